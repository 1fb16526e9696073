"""Which keys earlier attempts have journalled, so that a key of theirs counts for a limit once, however often it is met.

Knows nothing of limits. Keys are known by numbers that nobody can steer (:func:`~redis_ttl.adapters.columns.key_places.key_ids`),
8 bytes each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_places import find_places, key_ids

if TYPE_CHECKING:
    from redis_ttl.adapters.columns.decisions import Decided


class EarlierChanges:
    """The keys of some journal objects."""

    def __init__(self) -> None:
        self._rows: dict[int, pl.Series] = {}
        self._added: list[pl.DataFrame] = []

    def add(self, journal: bytes) -> None:
        """Take in a journal object. Raises `DamagedDocument`."""
        self._added.append(_identified(journal_rows(journal)))

    def keys(self) -> dict[int, int]:
        """How many keys of each rule these are."""
        self._settle()
        return {rule: len(ids) for rule, ids in self._rows.items()}

    def others(self, decided: Decided) -> dict[int, tuple[int, int]]:
        """Of a batch's keys those that aren't among them, by rule: how many shall change, and how many have an expiry of ours."""
        self._settle()
        counts = [self._count_others(rows) for rows in (decided.changes, decided.ours)]
        return {rule: (counts[0].get(rule, 0), counts[1].get(rule, 0)) for rule in {*counts[0], *counts[1]}}

    def _count_others(self, rows: pl.DataFrame) -> dict[int, int]:
        return {
            int(str(rule)): find_places(self._rows.get(int(str(rule)), _NO_IDS), part["id"]).null_count()
            for (rule,), part in _identified(rows).group_by("rule")
        }

    def _settle(self) -> None:
        """Sorted, and each key once."""
        if not self._added:
            return
        added, self._added = pl.concat(self._added), []
        for (rule,), part in added.group_by("rule"):
            number = int(str(rule))
            self._rows[number] = pl.concat([self._rows.get(number, _NO_IDS), part["id"]]).unique().sort()


def _identified(rows: pl.DataFrame) -> pl.DataFrame:
    """The rules and ids of these rows, whose columns are the journal's; of one database."""
    parts = [part.select("rule", key_ids(part["key"], int(str(db))).alias("id")) for (db,), part in rows.group_by("db")]
    return pl.concat([_NOTHING, *parts])


_NO_IDS = pl.Series("id", [], dtype=pl.UInt64)
_NOTHING = pl.DataFrame(schema={"rule": pl.Int32, "id": pl.UInt64})
