"""Of several journal rows about one key, the newest one."""

from __future__ import annotations

import polars as pl

from redis_ttl.adapters.journal_columns import journal_rows
from redis_ttl.adapters.key_places import key_places


class NewestRows:
    """Finds, among the rows of many journal objects, the newest one about each key.

    First :meth:`add` every object, the earliest first, numbered as you like; then :meth:`of` gives the rows of one that
    no later one overtakes. Holds eight bytes a key, and more only for those with several rows.
    """

    def __init__(self) -> None:
        self._places: list[pl.Series] = []
        self._several: pl.Series | None = None
        self._newest: dict[int, int] = {}

    def add(self, document: bytes) -> None:
        """Take in which keys an object is about."""
        self._places.append(_places(journal_rows(document)))

    def of(self, number: int, document: bytes) -> pl.DataFrame:
        """Those rows of the object, which was added as that number (from 0), that are the newest about their keys."""
        if self._several is None:
            self._several = self._find_several()
        rows = journal_rows(document)
        if self._several.is_empty():
            return rows
        places = _places(rows)
        doubtful = places.is_in(self._several.implode())
        if not doubtful.any():
            return rows
        newest = [self._newest[place] == number for place in places.filter(doubtful)]
        keep = (~doubtful).scatter(doubtful.arg_true(), pl.Series(newest, dtype=pl.Boolean))
        return rows.filter(keep).unique(["key", "db"], keep="last", maintain_order=True)

    @property
    def keys(self) -> int:
        """How many different keys the objects are about."""
        if self._several is None:
            self._several = self._find_several()
        return self._keys

    def _find_several(self) -> pl.Series:
        if not self._places:
            self._keys = 0
            return pl.Series(dtype=pl.UInt64)
        every = pl.concat(self._places).sort()
        again = every == every.shift(1)
        self._keys = len(every) - int(again.sum())
        several = every.filter(again.fill_null(value=False)).unique().sort()
        if not several.is_empty():
            for number, places in enumerate(self._places):
                for place in places.filter(places.is_in(several.implode())):
                    self._newest[place] = number
        self._places = []
        return several


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
