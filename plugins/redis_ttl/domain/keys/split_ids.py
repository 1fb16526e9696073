"""Random ids that have a separator by chance, filed with their family.

One in three ids of 20 bytes in base64 has a `/`, which ends a segment everywhere else. A path of two ids has it always at the same
place; an id has it anywhere, with pieces of any length on both sides. That difference, which only many names show, decides. The same
goes for MAC addresses that have no letter by chance. Knows nothing of segments, of limits, or of what else folds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Final

from redis_ttl.domain.keys.id_families import LARGE, TOKEN, looks_random

_COMPONENT: Final = re.compile(r"(?:[0-9A-Za-z+/_-]|\{(?:token|n|hex|ulid|text|date)\})+=*")
_WORD: Final = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|[a-z]*[0-9]+|[a-z]*\{(?:n|date)\}")
_LONG_WORD: Final = re.compile("[A-Za-z]?[a-z]{3,}|[A-Z]{4,}")

_RAGGED: Final = 3
"""Different names with a piece too short to be an id by itself, which make a family of what could be paths."""

_WHOLE: Final = 1 / 100
"""The least share of ids without a separator: of 200 bytes one in seventy has none."""

_RARE: Final = (1, 1 / 500)
"""The most keys, and the largest share of a family, that one name may have which begins or ends with a word like a path."""

_RARE_SHORT: Final = (4, 1 / 100)
"""The same where a letter or a number stands there."""


def join_split(table: Mapping[str, int]) -> dict[str, str]:
    """New names for patterns whose ids are cut in two, and for addresses that look like rows of numbers."""
    names = dict(_number_rows(table))
    families: dict[str, list[str]] = defaultdict(list)
    ragged: dict[str, int] = defaultdict(int)
    undecided = [pattern for pattern in table if "/" in pattern and pattern not in names]
    for pattern in undecided:
        whole, is_ragged = _joined(pattern)
        if whole != pattern:
            families[whole].append(pattern)
            ragged[whole] += is_ragged
    sizes: dict[str, int] = {}
    for whole, members in families.items():
        keys, held = table.get(whole, 0), sum(map(table.__getitem__, members))
        if ragged[whole] >= _RAGGED and keys > _WHOLE * held:
            sizes[whole] = keys + held
            names |= dict.fromkeys(members, whole)
        elif ragged[whole] and keys >= LARGE:
            # What other foldings have joined is proof no more, but there is something to be rare beside.
            sizes[whole] = keys
            names |= {member: whole for member in members if table[member] <= max(_RARE[0], _RARE[1] * keys)}
    # Largest first: behind one letter of an id that has two separators a family of its own may seem to begin.
    for pattern in sorted(undecided, key=lambda each: (-sizes.get(each, 0), each)) if sizes else ():
        if pattern not in names:
            home, (least, share) = next(((whole, rare) for whole, rare in _guesses(pattern) if whole in sizes), _NONE)
            keys = sizes.get(pattern, table[pattern])
            if home and names.get(home, home) != pattern and keys <= max(least, share * sizes[home]):
                names[pattern] = names.get(home, home)
    return {pattern: names.get(whole, whole) for pattern, whole in names.items()}


_NONE: Final = ("", _RARE)


def _joined(pattern: str) -> tuple[str, bool]:
    """The pattern with each id in one piece as far as no word speaks against it, and whether some piece isn't an id by itself."""
    is_ragged = False

    def whole(match: re.Match[str]) -> str:
        nonlocal is_ragged
        before, pieces = _pieces(match[0])
        first, last = _without_words(pieces)
        middle = pieces[first:last]
        if middle[1:] == [] or any(_LONG_WORD.fullmatch(piece) for piece in middle) or not _is_an_id(middle):
            return match[0]
        is_ragged |= any(not looks_random(piece) for piece in middle)
        return before + "/".join([*pieces[:first], TOKEN, *pieces[last:]])

    return _COMPONENT.sub(whole, pattern), is_ragged


def _guesses(pattern: str) -> Iterator[tuple[str, tuple[int, float]]]:
    """The pattern with each id in one piece where words may be pieces of it, too; as few of them as possible first."""
    for lost in range(_LOST_WORDS):
        for front in range(lost + 1):
            rare = _RARE_SHORT

            def whole(match: re.Match[str], front: int = front, back: int = lost - front) -> str:
                nonlocal rare
                before, pieces = _pieces(match[0])
                first, last = _without_words(pieces)
                first, last = max(0, first - front), min(len(pieces), last + back)
                if not _is_an_id(pieces[first:last]):
                    return match[0]
                if any(_LONG_WORD.fullmatch(piece) for piece in pieces[first:last]):
                    rare = _RARE
                return before + "/".join([*pieces[:first], TOKEN, *pieces[last:]])

            guess = _COMPONENT.sub(whole, pattern)
            if guess != pattern:
                yield guess, rare


_LOST_WORDS: Final = 4


def _pieces(component: str) -> tuple[str, list[str]]:
    """Words before the first id, which a sign of their own divides from it, and what slashes divide."""
    before = _WORDS_BEFORE.match(component)
    at = before.end() if before else 0
    return component[:at], component[at:].split("/")


_WORDS_BEFORE: Final = re.compile("(?:[A-Za-z]?[a-z]{2,}[_-])+")


def _without_words(pieces: list[str]) -> tuple[int, int]:
    """Where the words before an id end, and where those behind it begin."""
    first = sum(1 for _ in takewhile(_WORD.fullmatch, pieces))
    last = len(pieces) - sum(1 for _ in takewhile(_WORD.fullmatch, reversed(pieces[first:])))
    return first, last


def _is_an_id(pieces: list[str]) -> bool:
    return looks_random("".join(pieces))


# Addresses

_NUMBER_ROW: Final = re.compile(r"\{n\}(?:[:-]\{n\}){5,}")
_WITHOUT_LETTER: Final = 0.02
"""The largest share of addresses that have no letter: of MAC addresses 0.4%."""


def _number_rows(table: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for pattern, keys in table.items():
        if "{n}" in pattern:
            address = _NUMBER_ROW.sub("{mac}", pattern)
            if address != pattern and keys <= 1 + _WITHOUT_LETTER * table.get(address, 0) and address in table:
                yield pattern, address
