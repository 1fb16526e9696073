"""Random ids that do not look random one by one, filed with their family.

Of ids drawn at random some have no digit, no letter, or a sign that cuts them in two. `folding`, which sees one name at a
time, takes those for words, numbers or paths. `fold_by_count` asks here what the others at their place say of them. As there,
every decision depends on a table alone and not on its order, and what has been joined stays as it is.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

TEXT: Final = "{text}"
"""Stands for a text that only its many siblings give away as a value."""

TOKEN: Final = "{token}"  # noqa: S105  # a placeholder of domain.folding

LARGE: Final = 50
"""Keys from which a family may collect what looks unlike it by chance."""

_COLLECTORS: Final = 8
"""Families at one position that do so, the largest ones: each of them looks at all its siblings."""


def collectors(table: Mapping[str, int], families: Iterable[str], least: int = LARGE) -> Iterable[str]:
    """Those of the families that may collect others, the largest first."""
    large = [family for family in families if table[family] >= least]
    return islice(sorted(large, key=lambda family: (-table[family], family)), _COLLECTORS)


def stands_in(core: str, before: str, behind: str) -> bool:
    """Whether a text has something between these two."""
    return len(core) > len(before) + len(behind) and core.startswith(before) and core.endswith(behind)


def most_by_chance(expected: float) -> float:
    """The most of something that chance makes of so many on average."""
    return expected + 4 * math.sqrt(expected)


# Beside ids that do look random

_FEWEST_IDS: Final = 12
"""Keys from which ids that look random collect single ones that don't."""

_PLAIN_ID: Final = 1 / 200
"""The largest share of random ids that one text holds which doesn't look random as a whole."""

_FEW: Final = 2
"""Keys up to which a text is rare, however few there are of its family."""

_EDGED_ID: Final = 1 / 10
"""The largest share of random ids that begin or end with one certain sign: folding leaves it beside the placeholder."""

_EDGED: Final = re.compile(r"[_+/-]*\{token\}[_+/-]*")
_ID_SIGNS: Final = re.compile(r"(?:[0-9A-Za-z_+-]|\{(?:token|n|hex|ulid|text)\})+=*")
_LIKE_AN_ID: Final = re.compile(
    r"[}].*[{]|token"  # parts of it looked random
    r"|^(?=.{10}).*[0-9]"  # long, with a number
    r"|[0-9A-Za-z]{20,}"  # longer than words are
    r"|^(?=.{10}).*(?:[A-Z][a-z]{1,2}[A-Z]|[a-z][A-Z]{2}|[A-Z]{2}[a-z])"  # long, with more capitals than words have
    r"|^(?=.{16})(?:.*[a-z].*[A-Z]|.*[A-Z].*[a-z])"
    # Long, with neighbours that words don't have.
    r"|^(?=.{10})(?i:.*(?:[jqvz][bcdfghjklmnpqrstvwxz]|[bcdfghkmpqtvwz][jqxz]|[bcdfghjklmnpqrstvwxz]{6}))"
)
_SHORTENED: Final[tuple[tuple[str, str], ...]] = (("{n}", "0000"), ("{hex}", "0000000a"))


def join_ids(cores: Mapping[str, int]) -> dict[str, str]:
    """Random ids that by chance do not look random, filed with the many that do."""
    names: dict[str, str] = {}
    families = (core for core in cores if TOKEN in core)
    for family in collectors(cores, families, _FEWEST_IDS):
        few, edged = max(_FEW, cores[family] * _PLAIN_ID), cores[family] * _EDGED_ID
        for before, behind in _around_ids(family):
            for core, keys in cores.items():
                if keys > max(few, edged) or core in names or core == family or not stands_in(core, before, behind):
                    continue
                middle = core[len(before) : len(core) - len(behind)]
                if _EDGED.fullmatch(middle) or (keys <= few and _ID_SIGNS.fullmatch(middle) and looks_random(middle)):
                    names[core] = family
    return {core: family for core, family in names.items() if family not in names}


def _around_ids(family: str) -> Iterator[tuple[str, str]]:
    at = family.find(TOKEN)
    while at >= 0:
        yield family[:at], family[at + len(TOKEN) :]
        at = family.find(TOKEN, at + 1)


def looks_random(text: str) -> bool:
    """Whether a text with its placeholders is unlike words: long, and with signs that words don't have."""
    for placeholder, example in _SHORTENED:
        text = text.replace(placeholder, example)
    return _LIKE_AN_ID.search(text) is not None


# Where none of them needs to

_VALUE: Final = re.compile(
    r"(?P<words>(?:(?:[A-Za-z]{2,}|\{[a-z]+\})[._#@+-]|[.#@+])*)(?P<value>(?:[0-9A-Za-z]|\{n\})+|\{hex\}|\{token\}|\{date\}|\{text\})(?P<end>(?:\.[a-z]{2,4})?)"
)
_MIXED: Final = re.compile(r"(?:.*[0-9}][A-Za-z]|[A-Za-z]{1,2}(?:[0-9]|\{n\})+$|(?=.{6}).*[A-Z][a-z][A-Z])")
_DIGITS: Final = re.compile(r"\{n\}|[0-9]+")
_PLACEHOLDER_ONLY: Final = re.compile(r"\{[a-z]+\}")
_MOST_MIXED_WORDS: Final = 8
"""Words such as `k8s`, `b2b` and `2fa` at one position. The same for shards and audits: what is a text by then can be asked no more."""

_MOST_BESIDE_TEXT: Final = 2
"""The same where such a position has been made a text in another shard."""

_MOST_HEX: Final = 0.5
"""Keys whose ids have hexadecimal letters alone, per key with another letter: of one letter among digits 6 in 26 are such."""

_MOST_NUMBERS: Final = 0.1
"""Keys whose ids are numbers, per key with a letter, where letters go beyond `f`."""

_LEAST_TOKENS: Final = 0.2
"""From this share on, ids that look random give those that don't their name."""


def join_mixed(cores: Mapping[str, int], heavy_share: float) -> dict[str, str]:
    """Short ids of letters and digits in no order, which are neither words nor numbers: where one position has more than a
    handful of them, other than in their digits, they are values; so are the numbers and digests among them, as far as chance explains
    them. A text with ``heavy_share`` of the keys stays.
    """
    groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for core in cores:
        match = _VALUE.fullmatch(core)
        if match:
            groups[match["words"], match["end"]][match["value"]] = core
    names: dict[str, str] = {}
    for (words, end), values in sorted(groups.items()):
        keys = {value: cores[core] for value, core in values.items()}
        name, joined = _joined_values(keys, heavy_share)
        names |= {values[value]: f"{words}{name}{end}" for value in joined}
    return names


def _joined_values(keys: Mapping[str, int], heavy_share: float) -> tuple[str, list[str]]:
    heavy = max(2.0, heavy_share * sum(keys.values()))
    texts = [
        value
        for value, count in keys.items()
        if not _PLACEHOLDER_ONLY.fullmatch(value) and not value.isdigit() and (count < heavy or "{" in value)
    ]
    mixed = [value for value in texts if _MIXED.match(value)]
    most = _MOST_BESIDE_TEXT if TEXT in keys else _MOST_MIXED_WORDS
    if 2 * len(mixed) < len(texts) or len({_DIGITS.sub("#", value) for value in mixed}) <= most:
        return "", []
    held = sum(keys[value] for value in texts) + keys.get(TEXT, 0)
    tokens = keys.get(TOKEN, 0)
    name = TOKEN if tokens > _LEAST_TOKENS * held else TEXT
    joined = [*texts, TOKEN] if tokens and name == TEXT else texts
    numbers = _most_numbers(mixed)
    allowed = {"{hex}": _MOST_HEX, "{n}": numbers, "{date}": numbers}
    return name, [
        *joined,
        *(value for value, share in allowed.items() if 0 < keys.get(value, 0) <= most_by_chance(share * held)),
    ]


def _most_numbers(mixed: list[str]) -> float:
    """Keys whose ids are numbers by chance, per key with a letter; half as many more, since the shortest one says how long they are."""
    whole = [value for value in mixed if "{" not in value]
    if not whole or any(not set(value) <= _HEX_SIGNS for value in whole if value.islower() or value.isupper()):
        return _MOST_NUMBERS
    all_digits = (10 / 16) ** min(map(len, whole))
    return max(_MOST_NUMBERS, 1.5 * all_digits / (1 - all_digits))


_HEX_SIGNS: Final = frozenset("0123456789abcdefABCDEF")
