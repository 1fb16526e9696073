"""Which version of a document this is. Older ones are read as they are; a newer one is refused by name.

A document says its schema as ``redis_ttl.plan/2``: what it is, and the version of its form. A version only ever adds
fields, so a reader of version 2 reads version 1 by giving the missing fields their defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis_ttl.domain.errors import NewerDocument

if TYPE_CHECKING:
    from collections.abc import Mapping


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
