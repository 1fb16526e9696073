"""Adds up the pattern tables of an audit's shards, and folds once more over all of them.

Only the sums meet here, so the order of arrival doesn't matter; the last folding sees the whole and so decides the
same way each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.counting.pattern_table import (
    empty_table,
    from_parquet,
    merge_tables,
    rename_patterns,
    to_parquet,
    to_statistics,
)
from redis_ttl.domain.keys.fold_by_count import AUDIT_LIMITS, SHARD_LIMITS, fold_by_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.keys.fold_by_count import FoldingLimits

#: Rows that may wait for the last folding; beyond it text segments are folded as they are within a shard.
PATTERNS_MERGED: Final = 40_000


class PatternMerger:
    """The pattern table of a whole audit in the making."""

    def __init__(self) -> None:
        self._table = empty_table()
        self._names: dict[str, str] = {}

    def add(self, patterns: bytes) -> None:
        """Add one increment of one shard."""
        self._table = merge_tables([self._table, from_parquet(patterns)])
        if self._table.height > PATTERNS_MERGED:
            self._table = self._folded(SHARD_LIMITS)

    def result(self) -> tuple[list[PatternStatistics], bytes]:
        """The rows of the report, most no-TTL keys first, and the table as a parquet document."""
        table = self._folded(AUDIT_LIMITS)
        return to_statistics(table), to_parquet(table)

    def names(self) -> dict[str, str]:
        """What each pattern of the shards is called in the report, after :meth:`result`; those that keep their name may be left out."""
        return self._names

    def _folded(self, limits: FoldingLimits) -> pl.DataFrame:
        keys = self._table.group_by("pattern").agg(pl.col("keys").sum())
        folded = fold_by_count(dict(keys.iter_rows()), limits)
        changed = {pattern: name for pattern, name in folded.items() if pattern != name}
        self._names = {pattern: changed.get(name, name) for pattern, name in self._names.items()} | changed
        return rename_patterns(self._table, folded)


def names_in_report(documents: Iterable[bytes]) -> dict[str, str]:
    """What the patterns of these increments' tables are called in the report that was made of them."""
    merger = PatternMerger()
    for document in documents:
        merger.add(document)
    merger.result()
    return merger.names()


def read_patterns(document: bytes) -> list[PatternStatistics]:
    """The rows of an audit's ``patterns.parquet``."""
    return to_statistics(from_parquet(document))
