"""Documents of JSON in the store, whole and named by their paths in every error."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.schema import read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.usecases.ports import Documents

_Read = TypeVar("_Read")


def write_json(documents: Documents, path: str, data: Any, *, indent: int | None = 1) -> None:
    """Write plain data."""
    documents.write(path, json.dumps(data, ensure_ascii=False, indent=indent).encode())


def write_record(documents: Documents, path: str, record: Any, *, indent: int | None = 1) -> None:
    """Write a dataclass that is a document (:func:`~redis_ttl.domain.codec.document`)."""
    write_json(documents, path, to_plain(record), indent=indent)


def read_json(documents: Documents, path: str, read: Callable[[Any], _Read]) -> _Read:
    """What ``read`` makes of plain data. Raises as :func:`~redis_ttl.domain.schema.read_document` does."""
    return read_document(documents.read(path), read, where=path)


def read_record(documents: Documents, path: str, kind: type[_Read]) -> _Read:
    """A document of that class."""
    return read_json(documents, path, partial(from_plain, kind))
