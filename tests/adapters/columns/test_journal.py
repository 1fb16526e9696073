"""Journal objects of every version."""

from __future__ import annotations

import io
from typing import Final

import polars as pl
import pytest

from redis_ttl.adapters.columns.journal import JOURNAL_TYPES, journal_bytes, journal_rows
from redis_ttl.domain.errors import DamagedDocument, NewerDocument

ROWS: Final = pl.DataFrame(
    [(b"a", 0, 0, None, 5_000, "set"), (b"b", 0, 1, 9_000, 5_000, "cap")], schema=JOURNAL_TYPES, orient="row"
)


def object_of(rows: pl.DataFrame, version: str) -> bytes:
    """An object that says this version."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, metadata={"redis_ttl.journal": version})
    return buffer.getvalue()


def test_each_row_says_its_action() -> None:
    """What is read back is what was written, whatever type the column has in the file."""
    assert journal_rows(journal_bytes(ROWS)).equals(ROWS)
    assert journal_rows(object_of(ROWS, "3")).equals(ROWS)


def test_rows_of_version_2_say_it_by_what_they_had() -> None:
    """A key that had no TTL was set, another one capped; a rollback's row, which has ours first, tells what it took back."""
    undone = ROWS.with_columns(was_ms="set_ms", set_ms="was_ms")
    for rows in (ROWS, undone):
        assert journal_rows(object_of(rows.drop("action"), "2")).equals(rows)


def test_a_later_version_is_refused() -> None:
    """What a later version's rows mean can't be known."""
    with pytest.raises(NewerDocument, match="found version 4"):
        journal_rows(object_of(ROWS, "4"))


def test_an_action_that_nobody_knows_is_no_row() -> None:
    """A row with another action isn't read as one of ours."""
    with pytest.raises(DamagedDocument):
        journal_rows(object_of(ROWS.with_columns(action=pl.lit("sever")), "3"))
