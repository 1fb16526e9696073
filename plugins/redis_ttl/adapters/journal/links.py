"""Which journal rows stand on which: a plan that changed a TTL which another plan had set journals that plan's instant as
what was there before.

Keys are told apart by numbers that nobody can steer, together with an instant of theirs to the millisecond. Only rows whose
former expiry can be an instant of a plan at all are held: it has the milliseconds of one, and lies among them. In a cluster an
instant may have shifted with its key (`domain.plan.expiry.MOVES_SHIFT_MS`), so it is the same one within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.journal.reader import row_ids
from redis_ttl.domain.plan.expiry import MOVES_SHIFT_MS

if TYPE_CHECKING:
    from collections.abc import Collection

#: Plans on plans on plans; a longer chain is no chain but a mistake of ours.
_HIGHEST: Final = 100


class _Instants:
    """Which instants some plans set, roughly: they are whole seconds after few moments."""

    def __init__(self, *, shifted: bool) -> None:
        self.early_ms, self.late_ms = MOVES_SHIFT_MS if shifted else (0, 0)
        self._milliseconds: set[int] = set()
        self._first_ms: int | None = None
        self._last_ms: int | None = None

    def note(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        found = rows.select(
            pl.col("set_ms").min().alias("first"),
            pl.col("set_ms").max().alias("last"),
            (pl.col("set_ms") % 1000).unique().implode().alias("milliseconds"),
        ).row(0, named=True)
        self._milliseconds |= set(found["milliseconds"])
        self._first_ms = found["first"] if self._first_ms is None else min(self._first_ms, found["first"])
        self._last_ms = found["last"] if self._last_ms is None else max(self._last_ms, found["last"])

    def may_be(self, column: str) -> pl.Expr:
        """Whether that column can be one of them."""
        if self._first_ms is None:
            return pl.lit(value=False)
        instant = pl.col(column)
        is_one = instant.is_between(self._first_ms - self.early_ms, (self._last_ms or 0) + self.late_ms)
        if not self.late_ms:
            is_one &= (instant % 1000).is_in(sorted(self._milliseconds))
        return is_one.fill_null(value=False)

    def are_same(self, set_column: str, found_column: str) -> pl.Expr:
        """Whether what was found is the instant that was set."""
        return (pl.col(found_column) - pl.col(set_column)).is_between(-self.early_ms, self.late_ms)


class LaterRows:
    """Rows of plans that may stand on the rows of another one."""

    def __init__(self, shifted: bool) -> None:  # noqa: FBT001  # made by a factory that has nothing else to tell
        self._instants = _Instants(shifted=shifted)
        self._parts: list[pl.DataFrame] = []
        self._rows: pl.DataFrame | None = None

    def note(self, document: bytes) -> None:
        """Take note of which instants a plan sets; every object of every plan, before anything else."""
        self._instants.note(journal_rows(document))

    def add(self, plan: int, document: bytes) -> None:
        """Take in the rows of a later plan."""
        rows = journal_rows(document).filter(self._instants.may_be("was_ms"))
        if rows.height:
            ids = row_ids(rows).alias("id")
            self._parts.append(
                rows.select(ids, "was_ms", later_ms="set_ms", plan=pl.lit(plan, pl.Int32), later_rule="rule")
            )
            self._rows = None

    def __len__(self) -> int:
        return sum(part.height for part in self._parts)

    def standing_on(self, document: bytes, rules: Collection[int] | None) -> pl.DataFrame:
        """The rows, in chains, that stand on the rows of these rules in an object, as
        :meth:`~redis_ttl.adapters.writing.key_restorer.KeyRestorer.look` wants them; with ``plan`` and ``height``.
        """
        if self._rows is None:
            self._rows = pl.concat(self._parts).unique() if self._parts else pl.DataFrame(schema=_LATER_TYPES)
        rows = journal_rows(document)
        if rules is not None:
            rows = rows.filter(pl.col("rule").is_in(list(rules)))
        below = rows.with_columns(row_ids(rows).alias("id")).select("id", "key", "db", "set_ms")
        found: list[pl.DataFrame] = []
        for height in range(_HIGHEST):
            # Each row is followed by those that took its instant for what was there before.
            below = (
                below.select("id", "key", "db", "set_ms")
                .join(self._rows, on="id", how="inner")
                .filter(self._instants.are_same("set_ms", "was_ms"))
                .select("id", "key", "db", "plan", "was_ms", set_ms="later_ms", rule="later_rule")
                .with_columns(height=pl.lit(height, pl.Int32))
                .unique(["id", "plan", "was_ms", "set_ms"], maintain_order=True)
            )
            if below.is_empty():
                break
            found.append(below)
        if not found:
            return pl.DataFrame(schema=_STANDING_TYPES)
        standing = pl.concat(found).sort("id", "height", descending=[False, True])
        return standing.with_columns(
            key_at=(pl.col("id").rle_id()).cast(pl.UInt32),
            age=pl.int_range(0, pl.len()).over("id").cast(pl.Int32),
            undone=pl.lit(value=False),
        ).select(list(_STANDING_TYPES))

    @staticmethod
    def plans(standing: pl.DataFrame, looked: pl.DataFrame) -> dict[int, tuple[int, int]]:
        """By plan: how many of the ``looked`` keys have its instant, or that of a plan which stands on it; and how high it stands."""
        tops = looked.select("key_at", top="height")
        beneath = standing.join(tops, on="key_at", how="inner").filter(pl.col("height") <= pl.col("top"))
        counted = beneath.group_by("plan").agg(pl.col("key_at").n_unique().alias("keys"), pl.col("height").max())
        return {plan: (keys, height) for plan, keys, height in counted.select("plan", "keys", "height").iter_rows()}


class EndedRows:
    """Traces former expiries that were instants of ended plans back to what those had found."""

    def __init__(self, shifted: bool) -> None:  # noqa: FBT001  # made by a factory that has nothing else to tell
        self._instants = _Instants(shifted=shifted)
        self._wanted = pl.DataFrame(schema=_TRACED_TYPES)
        self._traced = pl.DataFrame(schema=_TRACED_TYPES)
        self._steps: list[pl.DataFrame] = []

    def note(self, document: bytes) -> None:
        """Take note of which instants an ended plan had set; every object, before anything else."""
        self._instants.note(journal_rows(document))

    def want(self, document: bytes) -> None:
        """Take in rows of the plan that is taken back."""
        rows = journal_rows(document).filter(self._instants.may_be("was_ms"))
        if rows.height:
            wanted = rows.select(row_ids(rows).alias("id"), instant_ms="was_ms", former_ms="was_ms")
            self._wanted = pl.concat([self._wanted, wanted]).unique()

    def __len__(self) -> int:
        return self._wanted.height

    def trace(self, document: bytes, rules: Collection[int]) -> None:
        """Trace them back through an object of an ended plan, by its rules that were taken back."""
        rows = journal_rows(document).filter(pl.col("rule").is_in(list(rules)))
        ended = rows.select(row_ids(rows).alias("id"), "set_ms", before_ms="was_ms")
        found = self._wanted.join(ended, on="id").filter(self._instants.are_same("set_ms", "former_ms"))
        if found.height:
            self._steps.append(found.select("id", "instant_ms", former_ms="before_ms"))

    def turn(self) -> bool:
        """Go on to what was found; whether that may be an ended plan's instant again."""
        if not self._steps:
            return False
        # The newest object was traced last.
        step = pl.concat(self._steps).unique(["id", "instant_ms"], keep="last", maintain_order=True)
        self._steps = []
        self._traced = pl.concat([self._traced, step]).unique(["id", "instant_ms"], keep="last", maintain_order=True)
        self._wanted = step.filter(self._instants.may_be("former_ms"))
        return self._wanted.height > 0

    def beneath(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with what was there before every ended plan."""
        if self._traced.is_empty():
            return rows
        traced = self._traced.select("id", was_ms="instant_ms", former_ms="former_ms", is_traced=pl.lit(value=True))
        found = rows.with_columns(row_ids(rows).alias("id")).join(
            traced, on=["id", "was_ms"], how="left", maintain_order="left"
        )
        was = pl.when(pl.col("is_traced")).then("former_ms").otherwise("was_ms")
        return found.with_columns(was_ms=was).select(rows.columns)


_LATER_TYPES: Final = {
    "id": pl.UInt64,
    "was_ms": pl.Int64,
    "later_ms": pl.Int64,
    "plan": pl.Int32,
    "later_rule": pl.Int32,
}
_STANDING_TYPES: Final = {
    "key": pl.Binary,
    "db": pl.Int32,
    "rule": pl.Int32,
    "was_ms": pl.Int64,
    "set_ms": pl.Int64,
    "key_at": pl.UInt32,
    "age": pl.Int32,
    "undone": pl.Boolean,
    "plan": pl.Int32,
    "height": pl.Int32,
}
_TRACED_TYPES: Final = {"id": pl.UInt64, "instant_ms": pl.Int64, "former_ms": pl.Int64}
