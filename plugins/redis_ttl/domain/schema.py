"""Which version of a document this is. Older ones are read as they are; a newer one is refused by name.

A document says its schema as ``redis_ttl.plan/2``: what it is, and the version of its form. A version only ever adds
fields, so a reader of version 2 reads version 1 by giving the missing fields their defaults.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis_ttl.domain.errors import DamagedDocument, NewerDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_Read = TypeVar("_Read")


def check_schema(data: Mapping[str, Any], known: str, *, where: str | None = None) -> int:
    """The version of a document of the kind ``known``, the newest schema that this program writes.

    A document that says nothing is of version 1. Raises :class:`NewerDocument` for a newer version and for another kind.

    >>> check_schema({"schema": "redis_ttl.plan/1"}, "redis_ttl.plan/2")
    1
    """
    kind, _, newest = known.rpartition("/")
    said = data.get("schema", f"{kind}/1")
    for version in range(1, int(newest) + 1):
        if said == f"{kind}/{version}":
            return version
    raise NewerDocument(
        "this document was written by a newer version of redis_ttl, or isn't what it should be",
        where=where,
        found=str(said)[:80],
        allowed=f"{kind}/1" if newest == "1" else f"{kind}/1 to {kind}/{newest}",
        todo="Install the version that wrote it, or a newer one, on every machine of this Airflow.",
    )


def read_document(text: bytes, read: Callable[[Any], _Read], *, where: str) -> _Read:
    """What ``read`` makes of a JSON document; ``where`` is its path in the store.

    Raises :class:`DamagedDocument` for one that is no JSON object, or that lacks what it can't do without, and what
    ``read`` raises of the tree, which names the document then.
    """
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise TypeError(f"{type(data).__name__} instead of an object")  # as if it lacked everything
        return read(data)
    except NewerDocument as error:
        raise NewerDocument(
            error.what, where=where, found=error.found, allowed=error.allowed, todo=error.todo
        ) from error
    except _DAMAGES as error:
        raise _damaged(error, where) from error


def read_lines(lines: Iterable[str], read: Callable[[Any], _Read], *, where: str) -> list[_Read]:
    """What ``read`` makes of each line of JSON. Raises :class:`DamagedDocument`."""
    try:
        return [read(json.loads(line)) for line in lines]
    except _DAMAGES as error:
        raise _damaged(error, where) from error


#: What reading raises that meets something else than what was written.
_DAMAGES: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def _damaged(error: Exception, where: str) -> DamagedDocument:
    return DamagedDocument(
        "this document is damaged",
        where=where,
        found=f"{type(error).__name__}: {error}"[:120],
        todo="Put it back from a copy of the store.",
    )
