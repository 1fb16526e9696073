"""How patterns that differ only in a name become one, and how their number is kept within bounds.

`folding` sees one key name at a time, so `user:ann` and a million like it are still a million patterns. This module
sees them all, as a table of patterns and their keys, and folds what only their number gives away: user names, slugs
and search phrases become `{text}`. It knows no key, no shard and no column.

A pattern is cut into segments, which end with `:`, `/` or `|`, and the segments form a tree. Where one position has
more different texts than the limits allow, they become `{text}`, except those that hold a real share of the keys
there: a namespace among user names stays visible. Every decision depends on the table alone and not on its order, and
folding a folded table changes nothing. So the tables of shards can be added in any order, and a family that was folded
in one shard and had too few names for that in another is one pattern again after the last folding.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from redis_ttl.domain.keys.folding import TOO_LONG
from redis_ttl.domain.keys.id_families import TEXT, TOKEN, collectors, join_ids, join_mixed, most_by_chance, stands_in
from redis_ttl.domain.keys.split_ids import join_split

OTHER: Final = TOO_LONG
"""Stands for the patterns beyond the bound, the smallest ones; and for those that are too long."""


@dataclass(frozen=True, slots=True)
class FoldingLimits:
    """How much may stay as it is.

    `patterns`: patterns in all. `siblings`: different texts at one position; `first_siblings`: the same for the first
    segment of longer names, where applications put their namespaces. `numbered`: texts at one position that differ in
    their numbers alone. `heavy_share`: the share of a position's keys, 0 to 1, from which a text stays; on the first
    segment of longer names it is `heavy_first_share`.
    """

    patterns: int
    siblings: int
    first_siblings: int
    numbered: int
    heavy_share: float = 0.05
    heavy_first_share: float = 0.0005

    def stricter(self) -> FoldingLimits | None:
        """Limits that fold all that these fold, and more; `None` where that would leave nothing to read."""
        if self.siblings < _FEWEST_SIBLINGS:
            return None
        return replace(
            self,
            siblings=self.siblings // 3,
            first_siblings=self.first_siblings // 3,
            numbered=self.numbered // 3,
            heavy_first_share=min(self.heavy_share, self.heavy_first_share * 5),
        )


SHARD_LIMITS: Final = FoldingLimits(patterns=10_000, siblings=200, first_siblings=2_000, numbered=64)
"""Within a shard, which sees a part of the keys: only enough to keep its table small."""

AUDIT_LIMITS: Final = FoldingLimits(patterns=2_000, siblings=50, first_siblings=400, numbered=8)
"""Over all shards: what a person reads."""


def fold_by_count(keys: Mapping[str, int], limits: FoldingLimits) -> dict[str, str]:
    """The pattern that each pattern of the table becomes; `limits.patterns` different ones at most."""
    mapping = {pattern: pattern for pattern in keys}
    # What other foldings dropped stays dropped, and weighs nothing where the rest is judged.
    table = {pattern: count for pattern, count in keys.items() if pattern != OTHER}
    most = limits.patterns - (OTHER in keys)

    def changed_by(names: Mapping[str, str]) -> bool:
        nonlocal mapping, table
        if names:
            mapping = {pattern: names.get(name, name) for pattern, name in mapping.items()}
            table = _renamed(table, names)
        return bool(names)

    while True:
        # One folding makes siblings of what were cousins, so it goes on until nothing moves.
        while (
            changed_by(_join_bytes(table)) or changed_by(join_split(table)) or changed_by(_fold_segments(table, limits))
        ):
            pass
        if len(table) <= most:
            return mapping
        stricter = limits.stricter()
        if stricter is None:
            by_size = sorted(table, key=lambda pattern: (-table[pattern], pattern))
            changed_by(dict.fromkeys(by_size[limits.patterns - 1 :], OTHER))
            return mapping
        limits = stricter


_FEWEST_SIBLINGS: Final = 3


def _renamed(table: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for text, keys in table.items():
        sums[names.get(text, text)] += keys
    return dict(sums)


# Binary names

_BYTES: Final = "{bytes}"
_SPLIT_BYTES: Final = 1 / 50
"""The largest share of binary names that one separator in one place splits in a way of its own."""


def _join_bytes(table: Mapping[str, int]) -> dict[str, str]:
    """Binary names that have a separator by chance, filed with the many that have none."""
    binary = [pattern for pattern in table if _BYTES in pattern]
    names: dict[str, str] = {}
    for family in collectors(table, (pattern for pattern in binary if pattern.endswith(_BYTES))):
        before, few = family.removesuffix(_BYTES), table[family] * _SPLIT_BYTES
        for pattern in binary:
            if table[pattern] <= few and pattern not in names and pattern.startswith(before):
                names[pattern] = family
    return {pattern: family for pattern, family in names.items() if family not in names}


# The tree of segments

_SEGMENTS: Final = re.compile("[^:/|]*[:/|]?")
_SEPARATORS: Final = frozenset(":/|")
_FRAME: Final = re.compile(r"((?:[^{}]*\{\{)?)((?:[^{}]|\{[a-z]+\})*)(.*)", re.DOTALL)
"""A segment with a hash tag, or with an end of one: what stands around the text, and the text."""

_Frame = tuple[str, str]


def _fold_segments(table: Mapping[str, int], limits: FoldingLimits) -> dict[str, str]:
    """New names for the patterns that get one, from one walk over the tree."""
    patterns, counts = list(table), list(table.values())
    segments = [_SEGMENTS.findall(pattern) for pattern in patterns]
    changed: set[int] = set()
    todo: list[tuple[list[int], int]] = [(list(range(len(patterns))), 0)]
    while todo:
        members, depth = todo.pop()
        children: dict[str, list[int]] = defaultdict(list)
        for member in members:
            children[segments[member][depth]].append(member)
        if len(children) > 1:
            sizes = {text: sum(map(counts.__getitem__, group)) for text, group in children.items()}
            for text, name in _fold_siblings(sizes, limits, first=depth == 0).items():
                group = children.pop(text)
                changed.update(group)
                for member in group:
                    segments[member][depth] = name
                children[name] += group
        todo += [(group, depth + 1) for text, group in children.items() if text and len(group) > 1]
    return {patterns[member]: "".join(segments[member]) for member in changed}


def _fold_siblings(siblings: Mapping[str, int], limits: FoldingLimits, *, first: bool) -> dict[str, str]:
    """New names for those segments of one position that get one. Only like stands with like: `ann`, `ann:` and `{{ann}}` apart."""
    alike: dict[_Frame, dict[str, int]] = defaultdict(dict)
    for text, keys in siblings.items():
        frame, core = _framed(text)
        alike[frame][core] = keys
    names: dict[str, str] = {}
    for (before, behind), cores in alike.items():
        if len(cores) > 1:
            for core, name in _fold_cores(cores, limits, first=first, leaf=behind[-1:] not in _SEPARATORS).items():
                names[f"{before}{core}{behind}"] = f"{before}{name}{behind}"
    return names


def _framed(segment: str) -> tuple[_Frame, str]:
    behind = segment[-1:] if segment[-1:] in _SEPARATORS else ""
    core = segment[:-1] if behind else segment
    if "{{" not in core and "}}" not in core:
        return ("", behind), core
    match = _FRAME.fullmatch(core)
    return (("", behind), core) if match is None else ((match[1], match[3] + behind), match[2])


def _fold_cores(cores: dict[str, int], limits: FoldingLimits, *, first: bool, leaf: bool) -> dict[str, str]:
    """New names for the texts of one position, all of which stand in the same frame."""
    steps: tuple[Callable[[dict[str, int]], dict[str, str]], ...] = (
        lambda texts: join_mixed(texts, limits.heavy_share),
        lambda texts: _fold_numbered(texts, limits.numbered),
        join_ids,
        lambda texts: _fold_texts(texts, limits, first=first, leaf=leaf),
        _join_look_alikes,
    )
    names = {core: core for core in cores}
    for step in steps:
        found = step(cores)
        if found:
            names = {core: found.get(name, name) for core, name in names.items()}
            cores = _renamed(cores, found)
    return {core: name for core, name in names.items() if name != core}


# The texts of one position

_PLACEHOLDER: Final = re.compile(r"\{[a-z]+\}")
_DIGITS: Final = re.compile("[0-9]+")


def _is_text(core: str) -> bool:
    """Whether a text has a word of its own beside its placeholders."""
    if "{" not in core:
        return core != ""
    return any(sign.isalnum() for sign in _PLACEHOLDER.sub("", core))


def _fold_numbered(cores: Mapping[str, int], numbered: int) -> dict[str, str]:
    """Texts that differ in their numbers alone: many (`node7`, `node12`, ...), or some beside a `node{n}`."""
    alike: dict[str, list[str]] = defaultdict(list)
    for core in cores:
        if _DIGITS.search(core):
            alike[_DIGITS.sub("{n}", core)].append(core)
    return {core: name for name, group in alike.items() if len(group) > numbered or name in cores for core in group}


def _fold_texts(cores: Mapping[str, int], limits: FoldingLimits, *, first: bool, leaf: bool) -> dict[str, str]:
    """Light texts that are too many, and those beside a `{text}` that others like them have become."""
    namespaces = first and not leaf
    texts = {core: keys for core, keys in cores.items() if TEXT not in core and _is_text(core)}
    heavy = _heavy_keys(texts, sum(cores.values()), limits, namespaces=namespaces)
    light = [core for core, keys in texts.items() if keys < heavy]
    names: dict[str, str] = {}
    for family in sorted((core for core in cores if core.count(TEXT) == 1), key=lambda core: (-len(core), core)):
        before, _, behind = family.partition(TEXT)
        names |= {core: family for core in light if core not in names and stands_in(core, before, behind)}
    light = [core for core in light if core not in names]
    if len(light) > (limits.first_siblings if namespaces else limits.siblings):
        names |= _fold_light(light, limits.siblings, most_families=_MOST_FAMILIES_FIRST if first else _MOST_FAMILIES)
    return names


def _heavy_keys(texts: Mapping[str, int], total: int, limits: FoldingLimits, *, namespaces: bool) -> float:
    """The keys from which a text stays."""
    if not namespaces:
        return max(2.0, limits.heavy_share * total)
    heavy = max(2.0, limits.heavy_first_share * total)
    # Where this many reach it they are equals (tenants, say), and none of them stands out.
    while sum(keys >= heavy for keys in texts.values()) > limits.first_siblings // 4:
        heavy *= 2
    return heavy


_MOST_FAMILIES: Final = 4
_MOST_FAMILIES_FIRST: Final = 40
"""Families that words like `cart_` may set apart in one position; in a name's first segment they are its namespaces."""

_VALUES_PER_FAMILY: Final = 8
"""Different values that each such family must have on average: `cart_` and `seen_` have them, two words of a slug don't."""


def _fold_light(texts: list[str], siblings: int, most_families: int) -> dict[str, str]:
    """`{text}` for each, or `cart_{text}` and `{text}_seen` where words before or behind it set families apart."""
    least = max(siblings // 2, len(texts) // 50, 1)
    for frame_of in (_first_word, _last_word):
        groups: dict[_Frame, list[str]] = defaultdict(list)
        for text in texts:
            groups[frame_of(text)].append(text)
        families = {
            frame: [text[len(frame[0]) : len(text) - len(frame[1])] for text in group]
            for frame, group in groups.items()
            if len(group) > least and (_is_text("".join(frame)) or len(group) > _NEARLY_ALL * len(texts)) and any(frame)
        }
        values = len({value for group in families.values() for value in group})
        if families and len(families) <= most_families and values >= _VALUES_PER_FAMILY * len(families):
            names: dict[str, str] = {}
            for (before, behind), group in families.items():
                for value, name in _fold_light(group, siblings, _MOST_FAMILIES).items():
                    names[f"{before}{value}{behind}"] = f"{before}{name}{behind}"
            rest = [text for text in texts if frame_of(text) not in families]
            return names | (dict.fromkeys(rest, TEXT) if len(rest) > siblings else {})
    return dict.fromkeys(texts, TEXT)


_NEARLY_ALL: Final = 0.9
_WORD_ENDS: Final = re.compile("[._#@-]")


def _first_word(text: str) -> _Frame:
    found = _WORD_ENDS.search(text)
    return (text[: found.end()], "") if found and found.start() > 0 and found.end() < len(text) else ("", "")


def _last_word(text: str) -> _Frame:
    at = max(map(text.rfind, "._#@-"))
    return ("", text[at:]) if 0 < at < len(text) - 1 else ("", "")


# Shapes that are others by chance

_CHANCE: Final[Mapping[str, Mapping[str, float]]] = {
    "{n}": {"{date}": 0.06},
    "{hex}": {"{n}": 0.04, "{date}": 0.04},
    TOKEN: {"{n}": 0.005, "{hex}": 0.005, "{ulid}": 0.005, "{date}": 0.005, TEXT: 0.005},
    TEXT: {"{n}": 0.005, "{hex}": 0.005, TOKEN: 0.005, "{date}": 0.005},
    "{mac}": {"{version}": 0.02},
}
"""For each shape, the others that a few of its texts look like by chance, and how few.

Of eight hexadecimal digits 2.3% are all numbers; of numbers from 19,000,000 to 20,999,999, 3.8% are dates.
"""

_LOOKS_ALIKE: Final = re.compile(r"\{(?:n|date|hex|token|ulid|text|mac|version)\}")


def _join_look_alikes(cores: Mapping[str, int]) -> dict[str, str]:
    """A few numbers among many hexadecimal ids are ids without a letter; a few dates among many numbers are numbers."""
    alike: dict[str, list[str]] = defaultdict(list)
    for core in cores:
        if "{" in core:
            alike[_LOOKS_ALIKE.sub("{}", core)].append(core)
    names: dict[str, str] = {}
    for group in alike.values():
        family = max(group, key=lambda core: (cores[core], core))
        names |= {
            core: family for core in group if cores[core] <= most_by_chance(_chance(core, family) * cores[family])
        }
    return names


def _chance(core: str, family: str) -> float:
    """The share of a family's texts that may look like this one by chance; 0 where they never do."""
    pairs = zip(_LOOKS_ALIKE.findall(core), _LOOKS_ALIKE.findall(family), strict=True)
    chances = [_CHANCE.get(theirs, {}).get(ours, 0.0) for ours, theirs in pairs if ours != theirs]
    return max(chances) if chances and min(chances) > 0 else 0.0
