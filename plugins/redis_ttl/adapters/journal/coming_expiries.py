"""What a plan's journal leaves to expire: its keys whose instants lie ahead, each once, less those that were rolled back.

Takes one object after the other, and keeps some twenty bytes a key. Knows nothing of where the objects lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_places import key_ids
from redis_ttl.domain.errors import StoreProblem
from redis_ttl.domain.plan.other_plans import JournalledExpiries

if TYPE_CHECKING:
    from redis_ttl.domain.rollback.journal import JournalName

_SCHEMA: Final = {"id": pl.UInt64, "rule": pl.Int32, "set_ms": pl.Int64}


class ComingExpiries:
    """The keys of one journal that expire after ``now_ms`` (ms since 1970)."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._set: list[pl.DataFrame] = []
        self._undone: list[pl.Series] = []

    def add(self, name: JournalName, document: bytes) -> None:
        """Take in one object. Raises `StoreProblem` for one that is damaged."""
        try:
            rows = journal_rows(document)
        except pl.exceptions.PolarsError as error:
            raise StoreProblem("this journal object can't be read", where=str(name), found=str(error)[:80]) from error
        for (db,), of_db in rows.group_by("db"):
            ids = key_ids(of_db["key"], int(db)).alias("id")
            if name.undoes:
                self._undone.append(ids)
            else:
                self._set.append(of_db.select(ids, "rule", "set_ms"))

    def rules(self) -> list[JournalledExpiries]:
        """What is left of each rule, in the order of the rules; those with nothing left are left out."""
        keys = pl.concat([pl.DataFrame(schema=_SCHEMA), *self._set])
        undone = pl.concat([pl.Series("id", [], dtype=pl.UInt64), *self._undone])
        left = (
            # The latest of a key's rows says when it goes at the latest; an attempt that was cut off may have left another.
            keys.group_by("id")
            .agg(pl.col("rule").last(), pl.col("set_ms").max())
            .filter(pl.col("set_ms") > self._now_ms, ~pl.col("id").is_in(undone.implode()))
            .group_by("rule")
            .agg(
                pl.len().alias("keys"),
                pl.col("set_ms").min().alias("first_ms"),
                pl.col("set_ms").max().alias("last_ms"),
            )
            .sort("rule")
        )
        return [JournalledExpiries(**row) for row in left.iter_rows(named=True)]
