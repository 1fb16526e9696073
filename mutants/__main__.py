"""``python -m mutants``: try every change, write ``build/mutants.md`` and ``build/mutants.json``, fail where one isn't noticed.

``MODULE`` chooses one module (or ``hand_made``), ``JOBS`` how many test runs go on at a time, ``MINUTES`` when to stop (the next
run goes on from there), ``SAMPLE`` of how many changes of each module (drawn at random, always the same ones; all by default),
``FRESH=yes`` begins anew, and ``RECORD=yes`` writes the scores into ``docs/mutants.md``.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mutants.forked_tests import import_libraries
from mutants.hand_made import try_hand_made
from mutants.results import as_json, as_markdown, mistakes, score
from mutants.session import Copies, try_module
from mutants.settings import read_hand_made, read_harmless, read_modules
from mutants.table import outdated, record

if TYPE_CHECKING:
    from mutants.hand_made import HandMadeResult
    from mutants.session import ModuleResult
    from mutants.settings import HandMade, Module


def main() -> int:
    """0 when every change is noticed, or harmless by a reason that is written down."""
    wanted = set(os.environ.get("MODULE", "").split())
    modules = [each for each in read_modules() if not wanted or each.name in wanted]
    changes = [each for each in read_hand_made() if not wanted or {"hand_made", each.module} & wanted]
    unknown = wanted - {each.name for each in modules} - {each.module for each in changes} - {"hand_made"}
    if unknown:
        _say(f"not in mutants/modules.toml: {', '.join(sorted(unknown))}")
        return 2
    import_libraries()
    with Copies(int(os.environ.get("JOBS") or os.cpu_count() or 1)) as copies:
        hand_made = [_try_hand_made(change, copies.folders[0]) for change in changes]
        results = [_try_module(module, copies, _until_s()) for module in modules]
    harmless = read_harmless()
    Path("build/mutants.md").write_text(as_markdown(results, hand_made, harmless))
    Path("build/mutants.json").write_text(as_json(results, hand_made))
    if os.environ.get("RECORD") == "yes":
        record(read_modules(), results)
    found = mistakes(results, hand_made, harmless)
    for each in found:
        _say(each)
    if old := outdated(read_modules()):
        _say(f"docs/mutants.md doesn't say what became of {', '.join(old)}: no row, or one of another text")
    return 1 if found else 0


def _try_hand_made(change: HandMade, folder: Path) -> HandMadeResult:
    result = try_hand_made(change, folder)
    _say(f"{change.name}: {result.outcome}")
    return result


def _try_module(module: Module, copies: Copies, until_s: float) -> ModuleResult:
    sample = int(os.environ.get("SAMPLE") or 0) or None
    fresh = os.environ.get("FRESH") == "yes"
    result = try_module(module, copies, until_s=until_s, fresh=fresh, sample=sample, say=_say)
    _say(f"  {score(result):.0%} of {result.tried} noticed, {len(result.survivors)} survived, {result.took_s:.0f} s")
    return result


@cache
def _until_s() -> float:
    return time.monotonic() + 60 * float(os.environ.get("MINUTES") or 600)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
