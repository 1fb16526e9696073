"""The table of scores in ``docs/mutants.md``: a row for each module, of its last run that was tried to the end.

A row says which text of the module it is about, so that one of an older text is known as such.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mutants.results import score
from mutants.session import text_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants.session import ModuleResult
    from mutants.settings import Module

PAGE: Final = Path("docs/mutants.md")
_HEAD: Final = (
    "| module | changes | tried | noticed | score | survived | no end | text |",
    "|---|--:|--:|--:|--:|--:|--:|---|",
)


def record(modules: Sequence[Module], results: Sequence[ModuleResult]) -> None:
    """Write the rows of these results into the page, in the order of the modules; the others stay."""
    before, rows, after = _read(PAGE.read_text())
    for each in results:
        if not each.pending and not each.failed and each.tried:
            rows[each.module] = (
                f"| {each.module} | {each.changes} | {each.tried} | {each.killed} | {score(each):.0%} "
                f"| {len(each.survivors)} | {each.timeouts} | {_hash_of(modules, each.module)} |"
            )
    lines = [rows[each.name] for each in modules if each.name in rows]
    PAGE.write_text("\n".join([*before, *_HEAD, *lines, *after]) + "\n")


def outdated(modules: Sequence[Module]) -> list[str]:
    """The modules that have no row, or one that is about another text of theirs."""
    _, rows, _ = _read(PAGE.read_text())
    return [each.name for each in modules if f"| {text_hash(each.path)} |" not in rows.get(each.name, "")]


def _hash_of(modules: Sequence[Module], name: str) -> str:
    return next(text_hash(each.path) for each in modules if each.name == name)


def _read(page: str) -> tuple[list[str], dict[str, str], list[str]]:
    """What stands before the table, its rows by module, and what stands after it."""
    lines = page.splitlines()
    head = lines.index(_HEAD[0])
    end = next((at for at in range(head, len(lines)) if not lines[at].startswith("|")), len(lines))
    rows = {line.split("|")[1].strip(): line for line in lines[head + len(_HEAD) : end]}
    return lines[:head], rows, lines[end:]
