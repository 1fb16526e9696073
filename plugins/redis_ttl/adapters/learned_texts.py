"""Folds by columns what counting has folded before, so that the millionth user name doesn't have to be counted in.

`domain.fold_by_count` looks at each text of a position, in Python. Once it has made `user:{text}` of some names, a later
name at that place becomes `{text}` too unless it holds a real share of the keys there; this module does that for whole
columns, and leaves to the count every case that is less plain. What is a text and what is a share is said there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.domain.fold_by_count import SHARD_LIMITS, TEXT, fold_by_count

if TYPE_CHECKING:
    from collections.abc import Collection

#: Patterns with a `{text}` that are looked for; each costs a pass over the different names of a batch.
MOST_LEARNED: Final = 40
#: Different names that one lesson looks at.
_LESSON: Final = 10_000

_SEPARATOR: Final = re.compile("[:/|]")
_TEXT_WITH_NUMBER: Final = re.compile(r"[^:/|]*(?:[^:/|}]\{n\}|\{n\}[^:/|{]|\{token\})[^:/|]*")


class LearnedTexts:
    """The patterns with a `{text}` that are known so far."""

    def __init__(self) -> None:
        self._regexes: dict[str, str] = {}

    def learn(self, patterns: Collection[str]) -> None:
        """Know the patterns of a folded table."""
        regexes = {pattern: regex for pattern in patterns if (regex := _regex(pattern, patterns))}
        known = sorted((self._regexes | regexes).items(), key=lambda item: (-len(item[0]), item[0]))
        # One assignment, because another thread may be folding. The longest first: `cart_{text}` before `{text}`.
        self._regexes = dict(known[:MOST_LEARNED])

    def learn_from(self, names: pl.Series) -> None:
        """Fold some of the names by their number, and know what becomes of them."""
        lesson = names.value_counts(name="keys").head(_LESSON)
        self.learn(set(fold_by_count(dict(lesson.iter_rows()), SHARD_LIMITS).values()))

    def fold(self, names: pl.Series) -> pl.Series:
        """The names, those that are texts of a known pattern replaced by it."""
        if not self._regexes:
            return names
        left = names.value_counts(name="keys").rename({names.name: "name"})
        replaced = []
        for pattern, regex in self._regexes.items():
            there = left.filter(pl.col("name").str.contains(regex))
            heavy = max(2.0, SHARD_LIMITS.heavy_share * int(there["keys"].sum()))
            light = there.filter((pl.col("keys") < heavy) & (pl.col("name") != pattern))
            if light.height:
                replaced.append(light.select("name", pl.lit(pattern).alias("pattern")))
                left = left.join(light, on="name", how="anti")
        if not replaced:
            return names
        table = pl.concat(replaced)
        return names.replace(table["name"], table["pattern"])


def _regex(pattern: str, patterns: Collection[str]) -> str | None:
    """What the texts of a pattern look like; none where folding decides by more than a text at one place.

    The first segment of longer names holds namespaces, which stay visible at a much smaller share; and beside `node{n}`
    or random ids it isn't plain what `node7` is.
    """
    if pattern.count(TEXT) != 1:
        return None
    before, _, behind = pattern.partition(TEXT)
    if not _SEPARATOR.search(before) and _SEPARATOR.search(behind):
        return None
    for other in patterns:
        if other.startswith(before) and other.endswith(behind):
            middle = other[len(before) : len(other) - len(behind)]
            if _TEXT_WITH_NUMBER.fullmatch(middle):
                return None
    return f"^{re.escape(before)}[^:/|{{}}]*[^:/|{{}}0-9][^:/|{{}}]*{re.escape(behind)}$"
