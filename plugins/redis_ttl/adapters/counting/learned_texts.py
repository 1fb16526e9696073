"""Folds by columns what counting has folded before, so that the millionth user name doesn't have to be counted in.

`domain.keys.fold_by_count` looks at each text of a position, in Python. Once it has made `user:{text}` of some names, a later
name at that place becomes `{text}` too unless it holds a real share of the keys there; this module does that for whole
columns, and leaves to the count every case that is less plain. What is a text and what is a share is said there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.domain.keys.fold_by_count import SHARD_LIMITS, fold_by_count
from redis_ttl.domain.keys.id_families import TEXT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

#: Patterns with a `{text}` that are looked for; each costs a pass over the different names of a batch.
MOST_LEARNED: Final = 40
#: Keys that one lesson looks at; a scan meets them in the order of their hash, so the first ones are a random sample.
_LESSON: Final = 10_000

_SEPARATOR: Final = re.compile("[:/|]")
_TEXT_WITH_NUMBER: Final = re.compile(r"[^:/|]*(?:[^:/|}]\{n\}|\{n\}[^:/|{]|\{token\})[^:/|]*")


class LearnedTexts:
    """The patterns with a `{text}`, and the families of ids, that are known so far."""

    def __init__(self) -> None:
        self._regexes: dict[str, str] = {}
        self._shapes: dict[str, str] = {}
        self._ids: dict[str, _Ids] = {}

    def learn_folding(self, folding: Mapping[str, str]) -> None:
        """Know what counting has made of the patterns of a table.

        Beside the texts that is which shapes it has filed with them: later on there are too few texts left beside `cart:{n}` to show
        that these are `cart:{text}` without a letter.
        """
        alike = {pattern: name for pattern, name in folding.items() if pattern != name and _are_alike(pattern, name)}
        kept = {pattern: folding.get(name, name) for pattern, name in self._shapes.items()}
        self._shapes = dict(sorted((kept | alike).items())[:MOST_LEARNED])
        ids = {name: known for name, known in _families_of_ids(folding) if name not in self._ids}
        self._ids = dict(sorted((ids | self._ids).items(), key=lambda item: (-len(item[0]), item[0]))[:MOST_LEARNED])
        self.learn(set(folding.values()))

    def learn(self, patterns: Collection[str]) -> None:
        """Know the patterns of a folded table."""
        regexes = {pattern: regex for pattern in patterns if (regex := _regex(pattern, patterns))}
        known = sorted((self._regexes | regexes).items(), key=lambda item: (-len(item[0]), item[0]))
        # One assignment, because another thread may be folding. The longest first: `cart_{text}` before `{text}`.
        self._regexes = dict(known[:MOST_LEARNED])

    def learn_from(self, names: pl.Series) -> None:
        """Fold some of the names by their number, and know what becomes of them."""
        # Some keys, not some names: what is beside what, and how much of it, decides.
        lesson = names.head(_LESSON).value_counts(name="keys")
        self.learn_folding(fold_by_count(dict(lesson.iter_rows()), SHARD_LIMITS))

    def fold(self, names: pl.Series) -> pl.Series:
        """The names, those that are texts of a known pattern replaced by it."""
        if self._shapes:
            names = names.replace(self._shapes)
        if not self._regexes and not self._ids:
            return names
        left = names.value_counts(name="keys").rename({names.name: "name"})
        replaced = []
        known = [(pattern, each.condition()) for pattern, each in self._ids.items()]
        known += [(pattern, pl.col("name").str.contains(regex)) for pattern, regex in self._regexes.items()]
        for pattern, condition in known:
            there = left.filter(condition)
            heavy = max(2.0, SHARD_LIMITS.heavy_share * int(there["keys"].sum()))
            light = there.filter((pl.col("keys") < heavy) & (pl.col("name") != pattern))
            if light.height:
                replaced.append(light.select("name", pl.lit(pattern).alias("pattern")))
                left = left.join(light, on="name", how="anti")
        if not replaced:
            return names
        table = pl.concat(replaced)
        return names.replace(table["name"], table["pattern"])


@dataclass(frozen=True, slots=True)
class _Ids:
    """Random ids between two texts, some of which don't look so by themselves.

    `domain.keys.id_families` and `domain.keys.split_ids` say which these are.

    Those that it takes more to tell are left to the count.
    """

    before: str
    behind: str
    are_split: bool

    def condition(self) -> pl.Expr:
        """Whether a column `name` holds one."""
        signs, pieces = ("[0-9A-Za-z+/_-]", "=*") if self.are_split else ("[0-9A-Za-z+_-]", "")
        frame = rf"^{re.escape(self.before)}(?:{signs}|\{{(?:n|hex|token)\}}){{10,}}{pieces}{re.escape(self.behind)}$"
        name = pl.col("name")
        middle = name.str.strip_prefix(self.before).str.strip_suffix(self.behind)
        found = name.str.contains(frame) & middle.str.contains(_UNLIKE_WORDS)
        return found & ~middle.str.contains(_WITH_WORDS) if self.are_split else found


_UNLIKE_WORDS: Final = "[0-9{]|[A-Z][a-z]{1,2}[A-Z]|[a-z][A-Z]{2}|[A-Z]{2}[a-z]"
_WORD: Final = "(?:[A-Za-z]?[a-z]+|[A-Z]+|[a-z]*[0-9]+|[a-z]*[{](?:n|date)[}])"
_WITH_WORDS: Final = f"^(?:[A-Za-z]?[a-z]{{2,}}[_-])|^{_WORD}/|/{_WORD}$|/(?:[A-Za-z]?[a-z]{{3,}}|[A-Z]{{4,}})=*(?:/|$)"
#: Different names that make it worth to tell a family's ids by columns.
_WORTH_LEARNING: Final = 50


def _families_of_ids(folding: Mapping[str, str]) -> Iterator[tuple[str, _Ids]]:
    filed: dict[str, list[str]] = defaultdict(list)
    for pattern, name in folding.items():
        if pattern != name and name.count(TOKEN) == 1:
            filed[name].append(pattern)
    for name, patterns in filed.items():
        if len(patterns) >= _WORTH_LEARNING:
            before, _, behind = name.partition(TOKEN)
            inside = [each.removeprefix(before).removesuffix(behind) for each in patterns]
            yield name, _Ids(before, behind, are_split=sum("/" in each for each in inside) > len(inside) // 10)


_PLACEHOLDER: Final = re.compile(r"\{[a-z]+\}")


def _are_alike(pattern: str, name: str) -> bool:
    return "{" in pattern and _PLACEHOLDER.sub("{}", pattern) == _PLACEHOLDER.sub("{}", name)


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
