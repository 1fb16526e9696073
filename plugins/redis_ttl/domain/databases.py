"""The databases that an operator asks for, in a form, an option or a policy."""

from __future__ import annotations

from typing import Literal

from redis_ttl.domain.errors import InvalidOption

_EXPECTED = "all, a number, or several as in 0,3"


def parse_databases(text: str | None, *, default: int, where: str) -> Literal["all"] | tuple[int, ...]:
    """``all``, or the numbers of ``0`` or ``0,3`` in order; nothing means the one that the connection names.

    Raises :class:`InvalidOption` that names ``where`` it was asked.
    """
    asked = (text or "").strip()
    if not asked:
        return (default,)
    if asked == "all":
        return "all"
    numbers = [part.strip() for part in asked.split(",")]
    if not all(number.isdecimal() and number.isascii() for number in numbers):
        raise InvalidOption("no database", where=where, found=repr(text), allowed=_EXPECTED)
    return tuple(sorted({int(number) for number in numbers}))


def databases_text(databases: Literal["all"] | tuple[int, ...] | None) -> str | None:
    """The reverse of :func:`parse_databases`: ``all``, ``0,3``, or None where the connection decides."""
    return ",".join(map(str, databases)) if isinstance(databases, tuple) else databases
