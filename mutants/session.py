"""Tries the changes of one module, and keeps what came of each in a session of cosmic-ray, so that a run that was cut off
goes on where it was.

A session belongs to the module's text. When only tests have changed since, what they noticed counts still, and what survived
is tried again.

Of a large module a sample of its changes may be tried, drawn at random and the same ones each time.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

from mutants.changes import Change, all_changes, changed_source, describe, statement_lines
from mutants.forked_tests import Baseline, Child, Outcome, run_baseline, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cosmic_ray.work_item import MutationSpec, WorkItem

    from mutants.settings import Module

BUILD: Final = Path("build/mutants")
_COPIED: Final = (
    "plugins",
    "tests",
    "lab",
    "demo",
    "dags",
    "include",
    "pyproject.toml",
    "docs",
    "bench",
    "proof",
    "mutants",
    "README.md",
)
_BASELINE_S: Final = 600.0
_TIMES_SLOWER: Final = 4.0
_LEAST_TIMEOUT_S: Final = 20.0
_LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """What came of a module's changes, ``changes`` in number, or of the sample of them that was to be tried."""

    module: str
    changes: int
    killed: int
    timeouts: int
    survivors: tuple[Change, ...]
    pending: int
    took_s: float
    not_run: int = 0
    """With so many changes the tests couldn't even be collected, or their process died: nothing was tried."""
    failed: str | None = None

    @property
    def tried(self) -> int:
        """How many changes were tried."""
        return self.killed + self.timeouts + len(self.survivors)


class Copies:
    """Copies of the tree to change, one for each test run at a time; a context manager that removes them."""

    def __init__(self, count: int) -> None:
        self.folders = [(BUILD / f"copy-{os.getpid()}-{number}").resolve() for number in range(count)]
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
            for name in _COPIED:
                source, target = Path(name), folder / name
                if source.is_dir():
                    shutil.rmtree(target, ignore_errors=True)
                    shutil.copytree(source, target)
                elif source.exists():
                    shutil.copy2(source, target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def warm(self, number: int) -> None:
        """Have the first copy's compiled modules in another one."""
        for cache in self.folders[0].rglob("__pycache__"):
            target = self.folders[number] / cache.relative_to(self.folders[0])
            shutil.copytree(cache, target, dirs_exist_ok=True)


def try_module(
    module: Module, copies: Copies, *, until_s: float, fresh: bool, sample: int | None, say: Callable[[str], None]
) -> ModuleResult:
    """Try every change of the module that wasn't tried yet, or so many of them, until that moment (monotonic)."""
    began_s = time.monotonic()
    source = module.path.read_text()
    database = BUILD / f"{module.name.replace('/', '-')}-{text_hash(module.path)}.sqlite"
    if fresh:
        database.unlink(missing_ok=True)
    noted = database.with_suffix(".tests")
    tests_hash = _hash(sorted(path for test in module.tests for path in _files(Path(test.partition("::")[0]))))
    with use_db(database, WorkDB.Mode.create) as db:
        if not db.num_work_items:
            db.add_work_items(all_changes(module.path))
        every = sorted(db.work_items, key=_place)
        items = every if sample is None or sample >= len(every) else _drawn(module.name, every, sample)
        results = dict(db.results)
        results = {job: each for job, each in results.items() if each.output not in _AGAIN}
        if not noted.exists() or noted.read_text() != tests_hash:
            results = {job: each for job, each in results.items() if each.test_outcome != TestOutcome.SURVIVED}
        pending = [item for item in items if item.job_id not in results]
        if pending:
            baseline = _baseline(module, copies)
            if baseline.failed is not None:
                return ModuleResult(module.name, len(every), 0, 0, (), len(pending), 0.0, failed=baseline.failed)
            say(f"{module.name}: {len(pending)} of {len(every)} changes to try with {len(baseline.seconds)} tests")
            trial = _Trial(module, source, baseline, copies, until_s, statement_lines(source))
            for item, outcome, text in trial.outcomes(pending):
                result = _result(outcome, text)
                db.set_result(item.job_id, result)
                results[item.job_id] = result
        if all(item.job_id in results for item in items):
            noted.write_text(tests_hash)
        return replace(_sum_up(module, source, items, results, time.monotonic() - began_s), changes=len(every))


def text_hash(path: Path) -> str:
    """What tells one text of a module from another."""
    return _hash([path])


def _place(item: WorkItem) -> tuple[tuple[int, int], str, int]:
    spec = item.mutations[0]
    return spec.start_pos, spec.operator_name, spec.occurrence


def _drawn(module: str, items: Sequence[WorkItem], sample: int) -> list[WorkItem]:
    # A larger sample has the smaller one's changes in it, so that a run can be gone on with.
    shuffled = list(items)
    random.Random(module).shuffle(shuffled)  # no secret
    return sorted(shuffled[:sample], key=_place)


def _result(outcome: Outcome | None, text: str) -> WorkResult:
    if outcome is None:
        return WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
    if outcome in _AGAIN:
        text = outcome.value
    kept = _KEPT.get(outcome, TestOutcome.INCOMPETENT)
    return WorkResult(worker_outcome=WorkerOutcome.NORMAL, test_outcome=kept, output=text)


#: What may have been the machine's doing is tried again the next time.
_AGAIN: Final = {Outcome.TIMEOUT, Outcome.NOT_RUN}
_KEPT: Final = {Outcome.SURVIVED: TestOutcome.SURVIVED, Outcome.KILLED: TestOutcome.KILLED}


def _baseline(module: Module, copies: Copies) -> Baseline:
    baseline = run_baseline(copies.folders[0], copies.folders[0] / module.path, module.tests, timeout_s=_BASELINE_S)
    for number in range(1, len(copies.folders)):
        copies.warm(number)
    return baseline


@dataclass(frozen=True, slots=True)
class _Trial:
    """The changes of one module being tried, as many at a time as there are copies of the tree."""

    module: Module
    source: str
    baseline: Baseline
    copies: Copies
    until_s: float
    lines: dict[int, tuple[int, ...] | None]

    def outcomes(self, pending: Iterable[WorkItem]) -> Iterator[tuple[WorkItem, Outcome | None, str]]:
        """What came of each change as it comes, and the end of what was printed: None where there is nothing to change.

        What is doubtful is run again, and has noticed the change when it comes to the same.
        """
        waiting = deque(pending)
        doubtful: set[str] = set()
        running: dict[Path, tuple[Child, WorkItem]] = {}
        try:
            while running or (waiting and time.monotonic() < self.until_s):
                for folder in self.copies.folders:
                    if folder not in running and waiting and time.monotonic() < self.until_s:
                        item = waiting.popleft()
                        begun = self._begin(item, folder)
                        if isinstance(begun, Child):
                            running[folder] = begun, item
                        else:
                            yield item, *begun
                time.sleep(_LOOK_S)
                for folder, (child, item) in list(running.items()):
                    outcome = child.poll()
                    if outcome is None:
                        continue
                    del running[folder]
                    if outcome is Outcome.DOUBTFUL and item.job_id not in doubtful:
                        doubtful.add(item.job_id)
                        waiting.appendleft(item)
                    else:
                        found = Outcome.KILLED if outcome is Outcome.DOUBTFUL else outcome
                        yield item, found, child.output()[-1_000:]
        finally:
            for child, _ in running.values():
                child.end()
            for folder in self.copies.folders:
                _put(folder / self.module.path, self.source)

    def _begin(self, item: WorkItem, folder: Path) -> Child | tuple[Outcome | None, str]:
        """A test run with that change, or what comes of it without one."""
        spec = item.mutations[0]
        changed = changed_source(self.source, spec)
        if changed is None:
            return None, ""
        tests = _tests_of(spec, self.lines, self.baseline)
        if not tests:
            return Outcome.SURVIVED, "no test runs this line"
        _put(folder / self.module.path, changed)
        timeout_s = _LEAST_TIMEOUT_S + _TIMES_SLOWER * sum(self.baseline.seconds[test] for test in tests)
        return start(folder, tests, timeout_s=timeout_s)


def _tests_of(spec: MutationSpec, lines: dict[int, tuple[int, ...] | None], baseline: Baseline) -> list[str]:
    """The tests that run the changed statement, the quickest first; all of them where it runs at the import."""
    statement = lines.get(spec.start_pos[0])
    if statement is None:
        names = set(baseline.seconds)
    else:
        names = {name for line in statement for name in baseline.tests_by_line.get(line, ())}
        if names == {""}:  # run while the tests were collected, for what they have in common
            names = set(baseline.seconds)
        names.discard("")
    return sorted(names, key=lambda name: baseline.seconds[name])


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    # Python tells a compiled file's age by whole seconds and the length of its source; no two changes may look alike.
    _PUT.append(path)
    stamp = 1_000_000_000 + len(_PUT)
    os.utime(path, (stamp, stamp))


_PUT: Final[list[Path]] = []


def _sum_up(
    module: Module, source: str, items: Sequence[WorkItem], results: dict[str, WorkResult], took_s: float
) -> ModuleResult:
    killed = timeouts = pending = not_run = 0
    survivors = []
    for item in items:
        result = results.get(item.job_id)
        if result is None:
            pending += 1
        elif result.test_outcome is TestOutcome.KILLED:
            killed += 1
        elif result.output == Outcome.TIMEOUT:
            timeouts += 1
        elif result.output == Outcome.NOT_RUN:
            not_run += 1
        elif result.test_outcome is TestOutcome.SURVIVED:
            spec = item.mutations[0]
            survivors.append(describe(module.name, source, changed_source(source, spec) or "", spec))
    return ModuleResult(module.name, len(items), killed, timeouts, tuple(survivors), pending, took_s, not_run)


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _hash(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:12]
