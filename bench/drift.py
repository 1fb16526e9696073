"""How long a drift check takes to compare fingerprints, and what memory it needs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from bench.our_drift import drift_figures
from bench.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_S: Final = 5
_MOST_MIB: Final = 500


def rows_of_drift(keys: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """The best of several comparisons of that many fingerprints on each side: a busy machine only makes them slower."""
    say(f"comparing {keys:,} fingerprints with a baseline")
    with TemporaryDirectory(prefix="redis-ttl-bench-") as folder:
        figures = [drift_figures(Path(folder), keys) for _ in range(rounds)]
    return [
        Row.promised(
            "drift check: fingerprints compared", min(each.seconds for each in figures), "s", "<=", _LONGEST_S
        ),
        Row.promised(
            "peak memory of the comparing process", max(each.peak_mib for each in figures), "MiB", "<=", _MOST_MIB
        ),
    ]
