"""Damaged documents of columns, of which some would end the process that reads them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.store.parquet_trial import ParquetTrial
from redis_ttl.domain.errors import DamagedDocument
from tests.journal_objects import journal_bytes

ROWS = pl.DataFrame(
    {
        "key": pl.Series([b"cart:%d" % number for number in range(20)], dtype=pl.Binary),
        "db": pl.Series([0] * 20, dtype=pl.Int32),
        "rule": pl.Series([0] * 20, dtype=pl.Int32),
        "was_ms": pl.Series([None] * 20, dtype=pl.Int64),
        "set_ms": pl.Series(range(20), dtype=pl.Int64),
    }
)
#: Reads a document with one bit turned at each place in turn, and says how it went; what ends this process ends this test.
_EVERY_BYTE = """
import sys
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.domain.errors import DamagedDocument
data = sys.stdin.buffer.read()
damaged = 0
for at in range(len(data)):
    wrong = bytearray(data)
    wrong[at] ^= 1
    try:
        journal_rows(bytes(wrong))
    except DamagedDocument:
        damaged += 1
print(len(data), damaged)
"""


def of_version_0_1(rows: pl.DataFrame = ROWS) -> bytes:
    """The journal object as version 0.1 wrote it."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=3, statistics=False)
    return buffer.getvalue()


def deadly() -> bytes:
    """An object with one bit turned, which ends a process that reads it just so."""
    data = of_version_0_1()
    for at in range(len(data)):
        wrong = bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])
        command = [
            sys.executable,
            "-c",
            "import io, sys, polars; polars.read_parquet(io.BytesIO(sys.stdin.buffer.read()))",
        ]
        if (
            at in range(100, 112)
            and subprocess.run(command, input=wrong, capture_output=True, check=False).returncode < 0
        ):
            return wrong
    pytest.skip("this version of polars survives them all")


def test_no_turned_bit_of_an_object_without_checksum_ends_the_process() -> None:
    """Whichever byte of an object of version 0.1 is hurt, the reader lives on: it gets rows, or hears that the object is damaged."""
    answer = subprocess.run(
        [sys.executable, "-c", _EVERY_BYTE],
        input=of_version_0_1(),
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "plugins")},
    )
    assert answer.returncode == 0, answer.stderr[-1_000:]
    size, damaged = map(int, answer.stdout.split())
    assert 0 < damaged < size


def test_one_that_ends_its_reader_is_damaged_and_the_next_is_tried_all_the_same() -> None:
    """After a document that killed the process which tried it, another one can be tried; what passed isn't tried again."""
    trial = ParquetTrial()
    try:
        trial.require(of_version_0_1())
        with pytest.raises(DamagedDocument, match="end the process"):
            trial.require(deadly())
        trial.require(of_version_0_1(ROWS.head(3)))
        trial.close()
        trial.require(of_version_0_1())
    finally:
        trial.close()


def test_objects_of_this_version_start_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that its name's checksum proves is read at once."""
    monkeypatch.setattr(ParquetTrial, "require", lambda *_: pytest.fail("tried"))
    assert journal_rows(journal_bytes(ROWS)).drop("action").equals(ROWS.sort("key"))


def test_an_object_of_0_1_is_read_as_ever() -> None:
    """What has no mark and no checksum is tried, and then read; what was done to each key follows from what it had before."""
    capped = ROWS.with_columns(was_ms=pl.Series([None, *range(100, 119)], dtype=pl.Int64))
    assert journal_rows(of_version_0_1(capped)).drop("action").equals(capped)
    assert journal_rows(of_version_0_1(capped))["action"].to_list() == ["set", *["cap"] * 19]
