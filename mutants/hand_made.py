"""Tries the changes that somebody thought of: each is a text of a module and another one in its place, which a named test must
notice. A text that isn't there any more is told, so that the change moves with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mutants.forked_tests import Outcome, start
from mutants.settings import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

    from mutants.settings import HandMade

_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class HandMadeResult:
    """What came of one: ``noticed``, ``unnoticed``, or why it couldn't be tried."""

    change: HandMade
    outcome: str

    @property
    def is_noticed(self) -> bool:
        """Whether its test failed as it must, and passes without it."""
        return self.outcome == "noticed"


def try_hand_made(change: HandMade, folder: Path) -> HandMadeResult:
    """Try it in a copy of the tree: its tests must pass without it, and one of them must fail with it."""
    path = folder / PACKAGE / change.module
    source = path.read_text()
    count = source.count(change.was)
    if count != 1:
        where = "isn't there any more: find where it went" if not count else f"is there {count} times: quote more of it"
        return HandMadeResult(change, f"the text {where}")
    if _run(folder, change) is not Outcome.SURVIVED:
        return HandMadeResult(change, "its tests fail without the change")
    path.write_text(source.replace(change.was, change.now))
    try:
        outcome = _run(folder, change)
    finally:
        path.write_text(source)
    return HandMadeResult(
        change, {Outcome.KILLED: "noticed", Outcome.SURVIVED: "unnoticed"}.get(outcome, outcome.value)
    )


def _run(folder: Path, change: HandMade) -> Outcome:
    for cache in (folder / PACKAGE / change.module).parent.glob("__pycache__"):
        for compiled in cache.glob(f"{(folder / PACKAGE / change.module).stem}.*"):
            compiled.unlink()
    outcome = start(folder, change.tests, timeout_s=_TIMEOUT_S).wait()
    if outcome is Outcome.DOUBTFUL and start(folder, change.tests, timeout_s=_TIMEOUT_S).wait() is Outcome.DOUBTFUL:
        return Outcome.KILLED
    return outcome
