"""Tables of millions of keys, which stand in them as 64-bit numbers: sorted ones to look keys up in, and the latest word about each.

What a number stands for is the caller's affair (:mod:`redis_ttl.adapters.columns.key_places`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

_PLACES_A_PART: Final = 1 << 60
#: So many changes of state may wait before those of one key become one.
_STATES_HELD: Final = 1_000_000


class KeyStates:
    """The latest state of each key outside the journal, by its place."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, places: pl.Series, state: pl.Series | int, rules: pl.Series) -> None:
        """Note a state of each key, or one of all of them."""
        if places.is_empty():
            return
        if isinstance(state, int):
            state = pl.Series([state], dtype=pl.UInt8).new_from_index(0, len(places))
        self._parts.append(pl.DataFrame({"place": places, "state": state, "rule": rules.cast(pl.UInt16)}))
        self._waiting += len(places)
        if self._waiting > _STATES_HELD:
            self.latest()

    def latest(self) -> pl.DataFrame:
        """One row for each key."""
        if not self._parts:
            return pl.DataFrame(schema={"place": pl.UInt64, "state": pl.UInt8, "rule": pl.UInt16})
        rows = pl.concat(self._parts).unique("place", keep="last")
        self._parts, self._waiting = [rows], 0
        return rows


class SortedRows:
    """Rows in the making of a table that is sorted by place. Sixteen parts, by the first bits, are sorted one after the other,
    so that sorting needs little more room than the rows do.
    """

    def __init__(self) -> None:
        self._parts: dict[int, list[pl.DataFrame]] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Take in rows, later ones after earlier ones."""
        with_part = rows.with_columns(part=(pl.col("place") // _PLACES_A_PART).cast(pl.UInt8))
        for (part,), some in with_part.partition_by("part", as_dict=True, include_key=False).items():
            self._parts.setdefault(int(str(part)), []).append(some)

    def table(self) -> pl.DataFrame | None:
        """One row for each place, the latest; None without rows. There are no rows here any more then."""
        columns: dict[str, list[pl.Series]] = {}
        for part in sorted(self._parts):
            rows = _latest(pl.concat(self._parts.pop(part)))
            for column in rows:
                columns.setdefault(column.name, []).append(column)
        return (
            pl.DataFrame([pl.concat(columns.pop(name), rechunk=True) for name in tuple(columns)]) if columns else None
        )


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    ordered = rows.sort("place", maintain_order=True)
    again = ordered["place"] == ordered["place"].shift(1)
    if not again.any():
        return ordered
    # Few and far between: attempts that were cut off journalled what others wrote, and a scan may meet a key twice.
    finished = [pl.col("finished").any()] if "finished" in ordered.columns else []
    rest = [pl.col(name).last() for name in ordered.columns if name not in ("place", "finished")]
    return ordered.group_by("place", maintain_order=True).agg(*rest, *finished).select(ordered.columns)
