"""What reads one text of a policy file, and the mistakes that it may find.

A reader returns the value, or says what it found, what it expected and often what to write instead. pydantic carries that as an error
of type ``MISTAKE``.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.keys.pattern import shown

MISTAKE: Final = "policy_mistake"
"""The type of these errors; their context has ``found``, ``expected`` and ``advice``."""


MAX_WORDS: Final = 500
MAX_NAME: Final = 100
"""Airflow's limit for a tag, which a team's name becomes."""


_COMPARED: Final = 700
_COMPARED_CHARACTERS: Final = 40
"""Names that a misspelt one is compared with, and how long they may be: comparing long ones takes for ever."""


def describe(value: object) -> str:
    """What a document holds at some place, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return shown(value) if value.strip() else "an empty text"
    return "a list" if isinstance(value, list) else "a mapping"


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """A question with the name that the word most looks like, if it looks like one."""
    if len(word) > _COMPARED_CHARACTERS:
        return None
    few = itertools.islice(names, _COMPARED)
    by_folded = {name.casefold(): name for name in few if len(name) <= _COMPARED_CHARACTERS}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean `{by_folded[close[0]]}`?" if close else None


def mistake(found: str, expected: str, advice: str | None) -> PydanticCustomError:
    """An error for pydantic to carry."""
    context = {"found": found, "expected": expected, "advice": advice}
    return PydanticCustomError(MISTAKE, "found {found}; expected {expected}", context)


def leaf(read: Callable[[str], object], expected: str) -> PlainValidator:
    """Reads one text. A reader's ``ValueError`` means that it isn't what was expected; its ``BadInput`` says more."""

    def validate(value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            in_flow = isinstance(value, list | dict)
            raise mistake(describe(value), expected, "Quote a text that begins with { or [" if in_flow else None)
        try:
            return read(value)
        except BadInput as error:
            raise mistake(error.found or shown(value), error.allowed or expected, error.todo) from error
        except ValueError as error:
            raise mistake(shown(value), expected, None) from error

    return PlainValidator(validate)


def refuse(found: str, expected: str | None, advice: str | None) -> NoReturn:
    """Say what a reader found; without ``expected``, what its type expects."""
    raise BadInput("not usable", found=found, allowed=expected, todo=advice)


def matching(regex: str) -> Callable[[str], str]:
    """Reads a text that this expression matches as a whole."""
    compiled = re.compile(regex)

    def read(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError
        return value

    return read


def one_of(*names: str) -> PlainValidator:
    """One of these names."""

    def read(value: str) -> str:
        if value not in names:
            refuse(shown(value), None, did_you_mean(value, names))
        return value

    return leaf(read, f"{', '.join(names[:-1])} or {names[-1]}")


def whole_number(least: int, most: int, *words: str) -> PlainValidator:
    """A number within these bounds, or one of these words."""

    def read(value: str) -> int | str:
        if value in words:
            return value
        number = int(matching("[0-9]{1,9}")(value))
        if not least <= number <= most:
            raise ValueError
        return number

    return leaf(read, ", or ".join([*words, f"a whole number from {least} to {most}"]))


def few_words(meaning: str, at_most: int = MAX_WORDS) -> PlainValidator:
    """A line for people, with no more characters than that."""

    def read(value: str) -> str:
        if len(value) > at_most:
            refuse(f"{len(value)} characters", f"{meaning} in at most {at_most} characters", None)
        if not value.isprintable():
            refuse(shown(value), f"{meaning} on one line", None)
        return value.strip()

    return leaf(read, meaning)
