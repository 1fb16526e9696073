"""What a pattern must know of the shapes that folding writes, so that they can stand in rules. Knows no pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.keys.folding import SHAPES
from redis_ttl.domain.keys.steps import CharacterSet

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uuid": "9b2d7a06-8d0f-4c55-9a3e-0a6d1c1f7b11",
        "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl",
        "email": "ann@example.com",
        "ip": "192.0.2.7",
        "date": "2026-02-20",
        "version": "1.4.2",
        "mac": "00:1b:63:84:45:e6",
        "ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "hex": "5f3a9c0e77d1b2a4",
        "token": "V1StGXR8_Z5jdHi6B-myT",
        "bytes": r"\xf0\x9f",
        "java": r"\xac\xed",
        "n": "20931",
    }
)
"""One text of each shape, for showing."""


@dataclass(frozen=True, slots=True)
class PatternShape:
    """One shape: the texts that it takes, and whether that is a choice at all."""

    regex: str
    characters: CharacterSet
    """Every character that may be in such a text, or more."""
    tells_names_apart: bool
    """False for a shape that takes ordinary words too."""
    is_also_a_name: bool = False
    """Whether it takes, besides, what a placeholder without a shape takes at its place."""


@cache
def pattern_shape(name: str) -> PatternShape | None:
    """The shape of that name; None for a name that is just a name."""
    for shape in SHAPES:
        if shape.name == name:
            tells_apart = not shape.is_also_a_name and re.fullmatch(shape.regex, _WORDS) is None
            return PatternShape(shape.regex, alphabet(shape.regex), tells_apart, shape.is_also_a_name)
    return None


def alphabet(regex: str) -> CharacterSet:
    """Every character that a text matched by the expression may have; more where that is simpler.

    Reads the small syntax that shapes are written in: literals, escapes, classes, groups without names, ``|`` and
    quantifiers.
    """
    taken: set[str] = set()
    left_out: set[str] | None = None
    for match in _REGEX_PART.finditer(regex):
        if match["class"] is not None:
            characters = _class_characters(match["class"])
            if match["not"]:
                left_out = characters if left_out is None else left_out & characters
            else:
                taken |= characters
        elif match["any"]:
            left_out = set()
        elif match["character"] is not None:
            taken.add(match["character"].removeprefix("\\"))
    return (
        CharacterSet(frozenset(taken)) if left_out is None else CharacterSet(frozenset(left_out - taken), negated=True)
    )


_WORDS = "words_without-meaning"
_REGEX_PART = re.compile(
    r"""
      \[ (?P<not>\^?) (?P<class>\]?(?:\\.|[^\]\\])*) \]   # a class
    | \(\?: | [()|?*+] | \{\d+,?\d*\}                     # grouping and quantifiers
    | (?P<any>\.)
    | (?P<character>\\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASS_PART = re.compile(r"(\\.|.)-(\\.|[^\\])|(\\.|.)", re.DOTALL)


def _class_characters(body: str) -> set[str]:
    characters: set[str] = set()
    for first, last, single in _CLASS_PART.findall(body):
        if single:
            # A class within the class, such as \s, is passed over: in a negated class that only takes more.
            characters |= {single} if len(single) == 1 else {single[1]} - set("sSdDwW")
        else:
            characters |= {chr(code) for code in range(ord(first[-1]), ord(last[-1]) + 1)}
    return characters
