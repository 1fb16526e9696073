"""Adds up journal objects, one at a time, so that a journal of any size can be told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.domain.rollback.journal_figures import JournalledKey, JournalledRule

if TYPE_CHECKING:
    from redis_ttl.domain.rollback.journal import JournalName


class JournalSummary:
    """The figures of each rule, and the rows about ``key`` where one is given. ``objects`` counts what was added."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self._tables: list[pl.DataFrame] = []
        self.objects = 0
        self.of_key: list[JournalledKey] | None = None if key is None else []

    def add(self, name: JournalName, document: bytes) -> None:
        """Take in one object."""
        self.objects += 1
        rows = journal_rows(document)
        undoes = pl.lit(name.undoes)
        self._tables.append(
            rows.group_by("rule").agg(
                pl.when(undoes).then(0).otherwise(pl.len()).alias("rows"),
                pl.when(undoes).then(0).otherwise(pl.col("was_ms").null_count()).alias("had_none"),
                pl.when(undoes).then(pl.len()).otherwise(0).alias("restored"),
                pl.when(~undoes).then(pl.col("set_ms").min()).alias("first_ms"),
                pl.when(~undoes).then(pl.col("set_ms").max()).alias("last_ms"),
            )
        )
        if self.of_key is not None:
            found = rows.filter(pl.col("key") == self._key).select("db", "rule", "was_ms", "set_ms")
            self.of_key += [JournalledKey(str(name), name.undoes, *row) for row in found.iter_rows()]

    def rules(self) -> list[JournalledRule]:
        """The figures so far, in the order of the rules."""
        if not self._tables:
            return []
        sums = (
            pl.concat(self._tables)
            .group_by("rule")
            .agg(pl.col("rows", "had_none", "restored").sum(), pl.col("first_ms").min(), pl.col("last_ms").max())
            .sort("rule")
        )
        return [JournalledRule(**row) for row in sums.iter_rows(named=True)]
