"""Tries in another process whether a document of columns can be read, so that what kills the reader kills nothing else.

One turned bit within the pages of a parquet file can make polars ask for 2^61 bytes, and a failed allocation ends the process: no
exception, no word about which document it was. Documents whose bytes are proven by a checksum needn't be tried; those of version
0.1 have none.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import select
import subprocess
import sys
from typing import IO, Final

from redis_ttl.domain.errors import DamagedDocument

#: A document is tried for so long at most.
_PATIENCE_S: Final = 120.0
_LENGTH_BYTES: Final = 8
_STARTED: Final = b"+"
_READ: Final = b"y"
_REFUSED: Final = b"n"

# It must not import us: what it needs is on no path of ours. The most memory that it may have is what no journal object needs.
_READER: Final = """
import io, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))
import polars
os.write(1, b"+")
while length := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(int.from_bytes(length, "little"))
    try:
        polars.read_parquet(io.BytesIO(data))
    except BaseException:
        os.write(1, b"n")
    else:
        os.write(1, b"y")
"""


class ParquetTrial:
    """The other process, which is started with the first document and again after one that killed it."""

    def __init__(self) -> None:
        self._reader: subprocess.Popen[bytes] | None = None
        self._passed: set[bytes] = set()

    def require(self, data: bytes) -> None:
        """Return if the document can be read; each is tried once. Raises `DamagedDocument`."""
        print_ = hashlib.blake2b(data, digest_size=16).digest()
        if print_ in self._passed:
            return
        said = self._try(data)
        if said != _READ:
            raise DamagedDocument(
                "this journal object can't be made sense of",
                found=f"{len(data):,} bytes"
                if said == _REFUSED
                else f"{len(data):,} bytes, which end the process that reads them",
                todo="Put it back from a copy of the store.",
            )
        self._passed.add(print_)

    def close(self) -> None:
        """End the other process."""
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None

    def _try(self, data: bytes) -> bytes:
        reader = self._reader = self._reader or self._start()
        try:
            stdin, stdout = _pipes(reader)
            stdin.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
            stdin.flush()
            said = _answer(stdout)
        except BrokenPipeError:
            said = b""
        if not said:
            self.close()
        return said

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, "POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
        reader = subprocess.Popen(  # noqa: S603  # our own words
            [sys.executable, "-c", _READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        if _answer(_pipes(reader)[1]) != _STARTED:
            reader.kill()
            reader.communicate()
            raise OSError("the process that tries documents can't be started")
        return reader


def _pipes(reader: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if reader.stdin is None or reader.stdout is None:
        raise BrokenPipeError
    return reader.stdin, reader.stdout


def _answer(stdout: IO[bytes]) -> bytes:
    """One byte, or none when the process has ended or takes too long."""
    ready, _, _ = select.select([stdout], [], [], _PATIENCE_S)
    return os.read(stdout.fileno(), 1) if ready else b""


TRIAL: Final = ParquetTrial()
atexit.register(TRIAL.close)
