"""What a run came to: the table of ``build/mutants.md``, ``build/mutants.json``, and what makes the command fail."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants.changes import Change
    from mutants.hand_made import HandMadeResult
    from mutants.session import ModuleResult
    from mutants.settings import Harmless

#: Of all changes so many must be noticed.
LEAST_SCORE: Final = 0.85


def score(result: ModuleResult) -> float:
    """The share of the tried changes that a test noticed by failing. A test run that didn't end in time has noticed nothing."""
    return 1.0 if not result.tried else result.killed / result.tried


def mistakes(
    results: Sequence[ModuleResult], hand_made: Sequence[HandMadeResult], harmless: Sequence[Harmless]
) -> list[str]:
    """Why the run fails; empty when it doesn't."""
    found = [f"{each.module}: its tests fail without any change\n{each.failed}" for each in results if each.failed]
    found += [
        f"{each.module}: {each.pending} changes weren't tried yet; run it again" for each in results if each.pending
    ]
    found += [
        f"{each.module}: {score(each):.0%} of {each.tried} changes noticed, {LEAST_SCORE:.0%} wanted"
        for each in results
        if score(each) < LEAST_SCORE
    ]
    found += [f"nothing notices {each}, and no reason is given" for each in unexplained(results, harmless)]
    found += [f"{each.change.name} ({each.change.module}): {each.outcome}" for each in hand_made if not each.is_noticed]
    return found


def unexplained(results: Sequence[ModuleResult], harmless: Sequence[Harmless]) -> list[Change]:
    """Survivors without a reason."""
    allowed = Counter((each.module, each.definition, each.was, each.now) for each in harmless)
    found = []
    for change in (change for result in results for change in result.survivors):
        key = (change.module, change.definition, change.was, change.now)
        if allowed[key] > 0:
            allowed[key] -= 1
        else:
            found.append(change)
    return found


def as_markdown(
    results: Sequence[ModuleResult], hand_made: Sequence[HandMadeResult], harmless: Sequence[Harmless]
) -> str:
    """All of it for a person."""
    lines = ["# Changes of meaning, and whether a test notices", ""]
    lines += ["| module | changes | tried | noticed | no end | survived | score | not run | to be tried | seconds |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {each.module} | {each.changes} | {each.tried} | {each.killed} | {each.timeouts} | {len(each.survivors)} "
        f"| {score(each):.0%} | {each.not_run} | {each.pending} | {each.took_s:.0f} |"
        for each in results
    ]
    tried = sum(each.tried for each in results)
    noticed = sum(each.killed for each in results)
    if tried:
        lines += [
            f"| all | {sum(each.changes for each in results)} | {tried} | {noticed} | | {tried - noticed} | {noticed / tried:.0%} | | | |"
        ]
    reasons = {(each.module, each.definition, each.was, each.now): each.why for each in harmless}
    lines += ["", "## What nothing notices", ""]
    lines += [
        f"- {change}: {reasons.get((change.module, change.definition, change.was, change.now), '**no reason is given**')}"
        for result in results
        for change in result.survivors
    ]
    if hand_made:
        lines += ["", "## Changes made by hand", "", "| change | module | harm | outcome |", "|---|---|---|---|"]
        lines += [
            f"| {each.change.name} | {each.change.module} | {each.change.harm} | {each.outcome} |" for each in hand_made
        ]
    return "\n".join([*lines, ""])


def as_json(results: Sequence[ModuleResult], hand_made: Sequence[HandMadeResult]) -> str:
    """All of it for a program."""
    data = {
        "modules": [
            {
                "module": each.module,
                "changes": each.changes,
                "tried": each.tried,
                "killed": each.killed,
                "timeouts": each.timeouts,
                "not_run": each.not_run,
                "pending": each.pending,
                "seconds": round(each.took_s),
                "survivors": [
                    {"definition": one.definition, "line": one.line, "was": one.was, "now": one.now}
                    for one in each.survivors
                ],
            }
            for each in results
        ],
        "hand_made": {each.change.name: each.outcome for each in hand_made},
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
