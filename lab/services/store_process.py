"""A store in a process of its own, so that two of them are to each other what two workers are.

The process reads commands, a line of JSON each, and answers each with a line. The module knows nothing of pytest.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from lab.checkout import ROOT
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import StoreProblem


@dataclass(frozen=True)
class StoreSpec:
    """How a process opens the store; ``by`` is ``folder``, ``upath`` or ``airflow``."""

    by: str
    root: str
    options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    has_hard_links: bool = True

    def open(self) -> Store:
        """The store, in this process."""
        if self.by == "folder":
            if not self.has_hard_links:
                os.link = _refuse_links
            return Store(Path(self.root))
        if self.by == "upath":
            from upath import UPath

            return Store(UPath(self.root, **self.options))
        from airflow.sdk import ObjectStoragePath

        return Store(ObjectStoragePath(self.root))


class StoreProcess:
    """The store that a spec names, opened by another process; it has the methods of `Store`. Ends with the ``with`` block."""

    def __init__(self, spec: StoreSpec) -> None:
        self._spec = spec

    def __enter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}", **self._spec.env}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.services.store_process", json.dumps(asdict(self._spec))],
            cwd=ROOT,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait(10)

    def begin(self, method: str, *arguments: Any) -> None:
        """Send a command and don't wait for its end."""
        assert self._process.stdin is not None
        plain = [{"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in arguments]
        self._process.stdin.write(json.dumps([method, *plain]) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """The answer to the command that was sent; what it raised is raised."""
        answer = self._answer()
        if "problem" in answer:
            raise StoreProblem(answer["problem"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        if "b64" in answer:
            return base64.b64decode(answer["b64"])
        return answer["value"]

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        self._call("write", path, data)

    def read(self, path: str) -> bytes:
        """See `Store`."""
        data = self._call("read", path)
        assert isinstance(data, bytes)
        return data

    def exists(self, path: str) -> bool:
        """See `Store`."""
        return bool(self._call("exists", path))

    def names(self, folder: str) -> list[str]:
        """See `Store`."""
        return list(self._call("names", folder))

    def remove(self, path: str) -> None:
        """See `Store`."""
        self._call("remove", path)

    def try_out(self) -> None:
        """See `Store`."""
        self._call("try_out")

    def digest(self, path: str) -> str:
        """The SHA-256 of a document, read by the process."""
        return str(self._call("digest", path))

    def _call(self, method: str, *arguments: Any) -> Any:
        self.begin(method, *arguments)
        return self.end()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("\x01"):  # libraries print, too
                return json.loads(line[1:])
        raise RuntimeError(f"the store's process ended with {self._process.wait(10)}")


def large_document(seed: int, size_bytes: int) -> bytes:
    """The document that the command ``write_large`` writes: the same for the same seed."""
    return random.Random(seed).randbytes(size_bytes)


def _refuse_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _say(answer: Any) -> None:
    sys.stdout.write(f"\x01{json.dumps(answer)}\n")
    sys.stdout.flush()


def _carry_out(store: Store, method: str, arguments: list[Any]) -> dict[str, Any]:
    plain: list[Any] = [base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in arguments]
    if method == "write_large":
        method, plain = "write", [plain[0], large_document(*plain[1:])]
    if method == "digest":
        return {"value": hashlib.sha256(store.read(plain[0])).hexdigest()}
    try:
        value = getattr(store, method)(*plain)
    except StoreProblem as problem:
        return {"problem": str(problem)}
    except Exception as error:  # noqa: BLE001  # whoever asked decides what it means
        return {"error": f"{type(error).__name__}: {error}"}
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else {"value": value}


def _main() -> None:
    store = StoreSpec(**json.loads(sys.argv[1])).open()
    _say("ready")
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        _say(_carry_out(store, method, arguments))


if __name__ == "__main__":
    _main()
