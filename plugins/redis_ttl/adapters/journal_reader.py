"""Of several journal rows about one key, the newest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.journal_columns import journal_rows
from redis_ttl.adapters.key_places import find_places, key_places

if TYPE_CHECKING:
    from collections.abc import Collection


class NewestRows:
    """Finds, among the rows of many journal objects, the newest one about each key.

    First :meth:`add` every object, the earliest first, numbered as you like; then :meth:`of` gives the rows of one that
    no later one overtakes. Holds eight bytes a key, and more only for those with several rows.
    """

    def __init__(self) -> None:
        self._places: list[pl.Series] = []
        self._several: pl.Series | None = None
        self._newest: dict[int, int] = {}
        self._undone_places: list[pl.Series] = []
        self._undone = _NO_PLACES

    def add(self, document: bytes) -> None:
        """Take in which keys an object is about."""
        self._places.append(_places(journal_rows(document)))

    def add_undone(self, document: bytes) -> None:
        """Take in which keys an object of an earlier rollback is about."""
        self._undone_places.append(_places(journal_rows(document)))

    def of(self, number: int, document: bytes, rules: Collection[int] | None = None) -> pl.DataFrame:
        """Of the object that was added as that number (from 0): the rows of these rules (None: of all) that no later object
        overtakes, with the column ``undone``: whether an earlier rollback restored the key.
        """
        if self._several is None:
            self._several = self._find_several()
            self._undone = pl.concat(self._undone_places).sort() if self._undone_places else _NO_PLACES
            self._undone_places = []
        rows = journal_rows(document)
        places = _places(rows)
        keep = self._is_newest(number, places)
        rows = rows.with_columns(undone=find_places(self._undone, places).is_not_null()).filter(keep)
        return rows if rules is None else rows.filter(pl.col("rule").is_in(list(rules)))

    def _is_newest(self, number: int, places: pl.Series) -> pl.Series:
        several = _NO_PLACES if self._several is None else self._several
        doubtful = find_places(several, places).is_not_null()
        if not doubtful.any():
            return ~doubtful
        # Within an object, the last row of a key.
        last = places.is_last_distinct()
        newest = [self._newest[place] == number for place in places.filter(doubtful)]
        return (~doubtful).scatter(doubtful.arg_true(), pl.Series(newest, dtype=pl.Boolean)) & last

    def _find_several(self) -> pl.Series:
        if not self._places:
            return _NO_PLACES
        every = pl.concat(self._places).sort()
        again = every == every.shift(1)
        several = every.filter(again.fill_null(value=False)).unique().sort()
        if not several.is_empty():
            for number, places in enumerate(self._places):
                for place in places.filter(find_places(several, places).is_not_null()):
                    self._newest[place] = number
        self._places = []
        return several


_NO_PLACES: Final = pl.Series(dtype=pl.UInt64)


def _places(rows: pl.DataFrame) -> pl.Series:
    """The places of keys of several databases, in the order of the rows."""
    dbs = rows["db"].unique().to_list()
    if len(dbs) <= 1:
        return key_places(rows["key"], dbs[0] if dbs else 0)
    places = pl.Series([0], dtype=pl.UInt64).new_from_index(0, rows.height)
    for db in dbs:
        at = (rows["db"] == db).arg_true()
        places = places.scatter(at, key_places(rows["key"].gather(at), db))
    return places
