"""Of several journal rows about one key, the newest one, and the others beside it.

Attempts that decided at different times may have set different instants. Which of them the key has now, only the server
tells; so a key's newest row comes with its older ones (``age`` 1, 2, ...), where their instants differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.journal import ACTIONS, journal_rows
from redis_ttl.adapters.columns.key_places import find_places, key_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class NewestRows:
    """Finds, among the rows of many journal objects, the newest one about each key.

    First :meth:`add` every object, the earliest first, numbered as you like; then :meth:`of` gives the rows of one that
    no later one overtakes. Holds eight bytes a key, and more only for those with several rows. Keys are told apart by a number that
    whoever chooses their names can't steer (:func:`~redis_ttl.adapters.columns.key_places.key_ids`).
    """

    def __init__(self) -> None:
        self._ids: dict[int, pl.Series] = {}
        self._older: pl.DataFrame | None = None
        self._newest: pl.DataFrame | None = None
        self._doubtful = _NO_IDS
        self._undone_ids: list[pl.Series] = []
        self._undone = _NO_IDS

    def add(self, number: int, document: bytes) -> None:
        """Take in which keys an object is about. Raises `DamagedDocument`."""
        self._ids[number] = row_ids(journal_rows(document))

    def add_undone(self, document: bytes) -> None:
        """Take in which keys an object of an earlier rollback is about."""
        self._undone_ids.append(row_ids(journal_rows(document)))

    def settle(self, read: Callable[[int], bytes]) -> None:
        """Find the keys with several rows, once every object was added; ``read`` gives an added object again."""
        self._undone = pl.concat(self._undone_ids).unique().sort() if self._undone_ids else _NO_IDS
        self._undone_ids = []
        several = self._doubtful = self._several()
        parts = []
        for number, ids in sorted(self._ids.items()) if len(several) else ():
            doubtful = find_places(several, ids).is_not_null()
            if doubtful.any():
                rows = journal_rows(read(number)).with_columns(ids.alias("id"), object=pl.lit(number, pl.Int64))
                parts.append(rows.with_row_index("row").filter(doubtful))
        self._ids = {}
        found = pl.concat(parts).select(list(_ROW_TYPES)) if parts else _NO_ROWS
        # The latest row of a key first; of rows with one instant, the latest only.
        found = found.sort(*_KEY, "object", "row", descending=[False, False, False, True, True])
        found = found.unique([*_KEY, "set_ms"], keep="first", maintain_order=True)
        found = found.with_columns(age=pl.int_range(0, pl.len()).over(_KEY).cast(pl.Int32))
        self._newest = found.filter(pl.col("age") == 0).select(*_KEY, newest_object="object", newest_row="row")
        self._older = found.filter(pl.col("age") > 0).drop("object", "row")

    def of(self, number: int, document: bytes, rules: Collection[int] | None = None) -> pl.DataFrame:
        """Of the object that was added as that number: the rows of these rules (None: of all) that no later object overtakes,
        each followed by its key's older rows with other instants.

        Has the journal's columns; ``key_at``, the same for all rows of a key; ``age``, 0 for the newest; and ``undone``: whether
        an earlier rollback restored the key.
        """
        rows = journal_rows(document).with_row_index("row")
        rows = rows.with_columns(row_ids(rows).alias("id"))
        newest = rows.filter(self._is_newest(rows, number)).with_row_index("key_at")
        newest = newest.with_columns(
            age=pl.lit(0, pl.Int32), undone=find_places(self._undone, newest["id"]).is_not_null()
        ).drop("row")
        found = newest
        if self._older is not None and self._older.height:
            older = newest.select(*_KEY, "key_at", "undone").join(self._older, on=_KEY, how="inner")
            if older.height:
                found = pl.concat([newest, older.select(newest.columns)]).sort("key_at", "age")
        found = found.drop("id")
        return found if rules is None else found.filter(pl.col("rule").is_in(list(rules)))

    def _several(self) -> pl.Series:
        if not self._ids:
            return _NO_IDS
        every = pl.concat(list(self._ids.values())).sort()
        again = every == every.shift(1)
        return every.filter(again.fill_null(value=False)).unique().sort()

    def _is_newest(self, rows: pl.DataFrame, number: int) -> pl.Series:
        if (
            self._newest is None
            or self._newest.is_empty()
            or not find_places(self._doubtful, rows["id"]).is_not_null().any()
        ):
            return rows["id"].is_not_null()
        known = rows.select(*_KEY, "row").join(self._newest, on=_KEY, how="left", maintain_order="left")
        return known.select(
            pl.col("newest_row").is_null()
            | ((pl.col("newest_object") == number) & (pl.col("row") == pl.col("newest_row")))
        ).to_series()


def row_ids(rows: pl.DataFrame) -> pl.Series:
    """What tells the keys of several databases apart in this process, in the order of the rows."""
    dbs = rows["db"].unique().to_list()
    if len(dbs) <= 1:
        return key_ids(rows["key"], dbs[0] if dbs else 0)
    ids = pl.Series([0], dtype=pl.UInt64).new_from_index(0, rows.height)
    for db in dbs:
        at = (rows["db"] == db).arg_true()
        ids = ids.scatter(at, key_ids(rows["key"].gather(at), db))
    return ids


_NO_IDS: Final = pl.Series(dtype=pl.UInt64)
# What tells keys apart: the number finds them, the name makes sure.
_KEY: Final = ["id", "db", "key"]
_ROW_TYPES: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "id": pl.UInt64,
    "db": pl.Int32,
    "key": pl.Binary,
    "object": pl.Int64,
    "row": pl.UInt32,
    "rule": pl.Int32,
    "was_ms": pl.Int64,
    "set_ms": pl.Int64,
    "action": ACTIONS,
}
_NO_ROWS: Final = pl.DataFrame(schema=_ROW_TYPES)
