"""The databases that an operator asks for, in a form, an option or a policy."""

from __future__ import annotations

import re
from typing import Final, Literal

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.written import optional, quoted

MAX_DATABASE: Final = 65_535
#: Characters of a text that names databases: whoever means more of them than fit says all.
MAX_DATABASES_TEXT: Final = 1_000
_UP_TO_MAX: Final = "0*(?:[1-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
#: What :func:`parse_databases` reads, all of it, in up to :data:`MAX_DATABASES_TEXT` characters. Nothing is an answer, too.
DATABASES_PATTERN: Final = optional(rf"(all)|{_UP_TO_MAX}(?:[ \t\r\n]*,[ \t\r\n]*{_UP_TO_MAX})*")
_DATABASES: Final = re.compile(DATABASES_PATTERN)
_EXPECTED: Final = f"all, a number, or several as in 0,3; at most {MAX_DATABASE}"


def parse_databases(text: str | None, *, default: int, where: str) -> Literal["all"] | tuple[int, ...]:
    """``all``, or the numbers of ``0`` or ``0,3`` in order; nothing means the one that the connection names.

    Raises :class:`InvalidOption` that names ``where`` it was asked.
    """
    asked = "" if text is None else text
    match = _DATABASES.match(asked) if len(asked) <= MAX_DATABASES_TEXT else None
    if match is None:
        raise InvalidOption("no database", where=where, found=quoted(text), allowed=_EXPECTED)
    if match[1] is not None:
        return "all"
    return tuple(sorted({int(number) for number in asked.split(",")})) if asked.strip() else (default,)


def databases_text(databases: Literal["all"] | tuple[int, ...] | None) -> str | None:
    """The reverse of :func:`parse_databases`: ``all``, ``0,3``, or None where the connection decides."""
    return ",".join(map(str, databases)) if isinstance(databases, tuple) else databases
