"""Reads documents of columns, and says of one that can't be read that it is damaged, whatever the library thinks of it."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from redis_ttl.domain.errors import DamagedDocument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def read_columns(data: bytes, what: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of a document; ``what`` says what it holds. Raises `DamagedDocument` for one that isn't whole, and for one
    without one of these columns.
    """
    with damage_named(what):
        return pl.read_parquet(io.BytesIO(data), columns=None if columns is None else list(columns))


@contextmanager
def damage_named(what: str) -> Iterator[None]:
    """Have everything that the library raises about a document be a `DamagedDocument` that says what it holds."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, pl.exceptions.PanicException) as error:
        raise DamagedDocument(
            f"a document of {what} is damaged",
            found=str(error).partition("\n")[0][:120],
            todo="Put it back from a copy of the store.",
        ) from error
