"""What a reply must look like before anything is built on it.

A server is never trusted to answer as Redis would: proxies, look-alikes and servers in trouble send cursors that are
names, counts that are texts, lists that are too short. Each function here gives the reply in the form that it must have,
or raises one `UnexpectedReply` that says what came. Only `are_numbers` runs once per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis_ttl.adapters.connection.errors import ErrorReply, translate_reply
from redis_ttl.domain.errors import UnexpectedReply

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN: Final = 60
_TIME_DIGITS: Final = 12
_INTEGERS: Final = frozenset({int})
#: A cursor is an unsigned number of 64 bits.
_CURSOR_DIGITS: Final = 20
_CURSORS: Final = 1 << 64
_LARGEST: Final = (1 << 63) - 1


def whole(reply: Any, command: str, where: str) -> int:
    """An integer reply."""
    _refuse_error(reply, command, where)
    if isinstance(reply, int) and not isinstance(reply, bool) and -_LARGEST <= reply <= _LARGEST:
        return reply
    raise unexpected(reply, command, where, "a number")


def count(reply: Any, command: str, where: str) -> int:
    """An integer reply that counts something."""
    found = whole(reply, command, where)
    if found < 0:
        raise unexpected(reply, command, where, "0 or more")
    return found


def text(reply: Any, command: str, where: str) -> bytes:
    """A text."""
    _refuse_error(reply, command, where)
    if isinstance(reply, bytes):
        return reply
    raise unexpected(reply, command, where, "a text")


def items(reply: Any, command: str, where: str, *, least: int = 0) -> Sequence[Any]:
    """A list of at least so many elements."""
    _refuse_error(reply, command, where)
    if isinstance(reply, list) and len(reply) >= least:
        return reply
    raise unexpected(reply, command, where, f"a list of {least} or more" if least else "a list")


def scan_page(reply: Any, where: str) -> tuple[int, list[bytes]]:
    """SCAN's answer: the next cursor, and the keys of the page."""
    found = items(reply, "SCAN", where, least=2)
    cursor, keys = found[0], found[1]
    digits = cursor if isinstance(cursor, bytes) else str(cursor).encode() if isinstance(cursor, int) else b""
    if not digits.isdigit() or len(digits) > _CURSOR_DIGITS or int(digits) >= _CURSORS:
        raise UnexpectedReply(
            "this server's cursors aren't numbers",
            where=where,
            found=_shown(cursor),
            allowed="a number below 2^64",
            todo="Kvrocks has them as numbers with `redis-cursor-compatible yes`; a proxy may change them: connect to the server itself.",
        )
    if not isinstance(keys, list) or not set(map(type, keys)) <= {bytes}:
        raise unexpected(keys, "SCAN", where, "a list of key names")
    return int(digits), keys


def unexpected(reply: Any, command: str, where: str, allowed: str) -> UnexpectedReply:
    """The error for a reply that isn't what the command answers."""
    return UnexpectedReply(
        f"the server answers {command} as Redis never would",
        where=where,
        found=_shown(reply),
        allowed=allowed,
        todo="It may be a proxy or a look-alike: connect to the server itself.",
    )


def time_us(reply: Any, where: str) -> int:
    """TIME's answer, in microseconds since 1970."""
    parts = [text(part, "TIME", where) for part in items(reply, "TIME", where, least=2)[:2]]
    if not all(part.isdigit() and len(part) <= _TIME_DIGITS for part in parts):
        raise unexpected(reply, "TIME", where, "seconds and microseconds")
    return int(parts[0]) * 1_000_000 + int(parts[1])


def are_numbers(replies: Iterable[Any]) -> bool:
    """Whether all of them are integers; about 25 ns each."""
    return _INTEGERS.issuperset(map(type, replies))


def _refuse_error(reply: Any, command: str, where: str) -> None:
    if isinstance(reply, ErrorReply):
        raise translate_reply(reply, command=command, where=where) from reply


def _shown(reply: Any) -> str:
    """A reply of any size in a few characters, none of which does anything."""
    if isinstance(reply, bytes):
        return repr(reply[:_SHOWN]).removeprefix("b") + ("..." if len(reply) > _SHOWN else "")
    if isinstance(reply, list):
        return f"a list of {len(reply):,}"
    return repr(reply)[:_SHOWN]
