"""Compares the fingerprints of an audit with a baseline and the journals, by columns, within a bounded memory.

Fingerprints are numbers that are spread evenly, so what is too much at once is cut by their highest bits: each part is
compared by itself. The parts wait in files of a temporary folder. Knows nothing of the store, of policies or of servers.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_places import find_places, in_database, key_places
from redis_ttl.adapters.store.parquet_documents import damage_named, read_columns
from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.drift.churn import Turnover
from redis_ttl.domain.drift.drift import EXAMPLES_SHOWN, FingerprintRange, NewKeys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Self

    from redis_ttl.domain.drift.drift import ComparisonScope

#: Fingerprints, of both sides together, that are compared at once.
KEYS_AT_ONCE: Final = 8_000_000
#: New keys of a group that are remembered for each part, so that some of them can be found by name.
_REMEMBERED: Final = 20_000
_BITS: Final = 64
_TOP: Final = 1 << _BITS
_GROUP: Final = ("db", "pattern", "governance", "governed_by")
_BASELINE_TYPES: Final = {"place": pl.UInt64(), "db": pl.Int32()}
#: ``next`` is the place under the next baseline's seed, null where that is the same.
_TODAY_TYPES: Final = {
    "place": pl.UInt64(),
    "group": pl.UInt32(),
    "document": pl.UInt32(),
    "next": pl.UInt64(),
    "ends": pl.Boolean(),
}
#: Keys of an earlier audit.
_EARLIER_TYPES: Final = {"place": pl.UInt64(), "db": pl.Int32(), "group": pl.UInt32()}
_JOURNAL_TYPES: Final = {
    "place": pl.UInt64(),
    "turn": pl.UInt32(),
    "ours": pl.Boolean(),
    "later": pl.Boolean(),
    "undone": pl.Boolean(),
}


class KeyComparison:
    """One comparison: first add everything, then :meth:`compare`, then ask what came of it.

    ``keys`` is about how many fingerprints both sides have together.
    """

    def __init__(self, scope: ComparisonScope, keys: int) -> None:
        self._scope = scope
        self._bits = max(0, (keys - 1) // KEYS_AT_ONCE).bit_length()
        self._folder = tempfile.TemporaryDirectory(prefix="redis-ttl-drift-")
        root = Path(self._folder.name) if self._bits else None
        self._today = _Parts("today", _TODAY_TYPES, root, self._bits)
        self._baseline = _Parts("baseline", _BASELINE_TYPES, root, self._bits)
        self._accepted = _Parts("accepted", _BASELINE_TYPES, root, self._bits)
        self._journal = _Parts("journal", _JOURNAL_TYPES, root, self._bits)
        self._kept = _Parts("kept", _BASELINE_TYPES, root, self._bits)
        # One audit before, and two.
        self._earlier = [_Parts(f"earlier-{back}", _EARLIER_TYPES, root, self._bits) for back in (1, 2)]
        self._turnovers: dict[int, tuple[int, int, int]] = {}
        self._groups: dict[tuple[Any, ...], int] = {}
        self._new: list[pl.DataFrame] = []
        self._counts: dict[tuple[int, bool], tuple[int, ...]] = {}
        self._examples: dict[tuple[int, bool], dict[bytes, None]] = {}
        self._tried: set[int] = set()
        self.no_ttl_keys = 0
        self.left_keys = 0
        self.joined_keys = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add_today(self, number: int, document: bytes) -> None:
        """Take in a fingerprints document of the audit, by its number among them."""
        following = () if self._scope.next_seed is None else ("key_hash_next",)
        rows = self._in_groups(document, following)
        for (db,), part in rows.partition_by("db", as_dict=True).items():
            places = in_database(part["key_hash"], int(db)).alias("place")
            then = pl.lit(None, pl.UInt64)
            if following:
                then = pl.lit(in_database(part["key_hash_next"], int(db)))
            columns = (places, "group", pl.lit(number, dtype=pl.UInt32).alias("document"), then.alias("next"), "ends")
            self._today.add(part.select(columns))

    def add_earlier(self, document: bytes, back: int) -> None:
        """Take in a fingerprints document of the audit before (``back`` 1), or of the one before that (2)."""
        rows = self._in_groups(document, ())
        for (db,), part in rows.partition_by("db", as_dict=True).items():
            places = in_database(part["key_hash"], int(db)).alias("place")
            self._earlier[back - 1].add(part.select(places, "db", "group"))

    def add_baseline(self, document: bytes) -> None:
        """Take in a document of the baseline."""
        self._baseline.add(read_columns(document, "a baseline", tuple(_BASELINE_TYPES)))

    def add_accepted(self, document: bytes) -> None:
        """Take in a document of the accepted baseline which the baseline goes back to, where that is another one."""
        self._accepted.add(read_columns(document, "a baseline", tuple(_BASELINE_TYPES)))

    def add_journal(self, document: bytes, turn: int, *, undoes: bool, is_complete: bool, is_later: bool) -> None:
        """Take in a journal object; of two about one key, that with the later ``turn`` counts.

        ``is_complete``: what it announces was done before the audit began. ``is_later``: it began after the accepted baseline's audit.
        """
        with damage_named("a journal"):
            rows = journal_rows(document)
        for (db,), part in rows.partition_by("db", as_dict=True).items():
            holds = pl.col("set_ms") > self._scope.audit_began_ms
            self._journal.add(
                part.select(
                    key_places(part["key"], int(db), self._scope.seed).alias("place"),
                    pl.lit(turn, dtype=pl.UInt32).alias("turn"),
                    (holds.fill_null(value=False) & pl.lit(is_complete and not undoes)).alias("ours"),
                    pl.lit(is_later).alias("later"),
                    (pl.col("set_ms").is_null() & pl.lit(undoes)).alias("undone"),
                )
            )

    def compare(self) -> None:
        """Tell old keys from new ones, part by part."""
        for number in range(1 << self._bits):
            self._compare(number)

    def new_keys(self) -> list[NewKeys]:
        """The new keys of each pattern."""
        names = list(self._groups)
        counted = sorted(self._counts.items())
        return [NewKeys(*self._named(names[group]), wiped, *counts) for (group, wiped), counts in counted]

    def turnovers(self) -> list[Turnover]:
        """What became of each pattern's keys that were new in the audit before."""
        names = list(self._groups)
        return [Turnover(*self._named(names[group]), *counts) for group, counts in sorted(self._turnovers.items())]

    def ranges(self) -> Iterator[tuple[FingerprintRange, bytes]]:
        """The next baseline, a document at a time; the ranges have no path yet."""
        for number in range(1 << self._bits):
            rows = self._kept.read(number).sort("place")
            buffer = io.BytesIO()
            rows.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
            width = _TOP >> self._bits
            yield FingerprintRange(number * width, (number + 1) * width - 1, rows.height, ""), buffer.getvalue()

    def add_names(self, keys: Any, db: int) -> None:
        """Look for new keys among these: ``keys`` are names, or a batch's frame (of which only keys without TTL are looked at)."""
        is_batch = isinstance(keys, pl.DataFrame)
        names = keys.filter(pl.col("ttl_ms").is_null())["key"] if is_batch else pl.Series(list(keys), dtype=pl.Binary)
        if names.is_empty() or not self._new:
            return
        if len(self._new) > 1:
            self._new = [pl.concat(self._new).sort("place")]
        (new,) = self._new
        at = find_places(new["place"], key_places(names, db, self._scope.seed))
        found = new.select("group", "wiped").with_columns(row=pl.int_range(pl.len()))[at.drop_nulls()]
        hits = names.filter(at.is_not_null()).to_list()
        for (group, wiped, _), key in zip(found.iter_rows(), hits, strict=True):
            kept = self._examples.setdefault((group, wiped), {})
            if len(kept) < EXAMPLES_SHOWN:
                kept[key] = None

    def next_document(self) -> int | None:
        """The audit's document with the most new keys of patterns that lack examples, each once; None where nothing is lacking."""
        lacking = [
            {"group": group, "wiped": wiped}
            for (group, wiped), (keys, stayed, *_) in self._counts.items()
            if len(self._examples.get((group, wiped), ())) < min(EXAMPLES_SHOWN, stayed or keys)
        ]
        if not lacking or not self._new:
            return None
        wanted = pl.DataFrame(lacking, schema={"group": pl.UInt32, "wiped": pl.Boolean})
        rows = pl.concat(self._new).join(wanted, on=["group", "wiped"], how="semi")
        best = (
            rows.filter(~pl.col("document").is_in(list(self._tried)))
            .group_by("document")
            .len()
            .sort("len", "document", descending=[True, False])
        )
        if best.is_empty():
            return None
        number = int(best["document"][0])
        self._tried.add(number)
        return number

    def examples(self) -> dict[tuple[int, str, bool], list[bytes]]:
        """Names of new keys by database, pattern and whether their TTL was wiped."""
        names = list(self._groups)
        found: dict[tuple[int, str, bool], list[bytes]] = {}
        for (group, wiped), keys in sorted(self._examples.items()):
            db, pattern, *_ = names[group]
            found.setdefault((db, pattern, wiped), []).extend(keys)
        return found

    def _compare(self, number: int) -> None:
        today = _without_repeats(self._today.read(number))
        baseline = self._baseline.read(number)
        if not baseline["place"].is_sorted():
            baseline = baseline.sort("place")
        self.no_ttl_keys += today.height
        dbs = pl.Series([group[0] for group in self._groups], dtype=pl.Int32)
        today = today.with_columns(
            db=dbs.gather(today["group"]) if today.height else pl.Series([], dtype=pl.Int32),
            known=find_places(baseline["place"], today["place"]).is_not_null(),
        )
        today, journalled = self._with_journal(today, number)
        covered = pl.lit(value=True) if self._scope.accepts_all else _is_one_of(self._scope.covered)
        # A key that was wiped and written again between two audits never left the baseline; the journal knows better.
        old = (pl.col("known") & ~(pl.col("wiped") & pl.col("later"))) | (pl.col("undone") & pl.col("accepted"))
        today = today.with_columns(new=~old & covered & pl.lit(not self._scope.is_first))
        self._keep(number, today, baseline)
        before, long_before = (self._new_then(parts.read(number), baseline, journalled) for parts in self._earlier)
        self._count_turnover(today, before, long_before)
        stayed = find_places(before["place"], today["place"]).is_not_null()
        both = stayed & find_places(long_before["place"], today["place"]).is_not_null()
        new = today.with_columns(stayed=stayed, old=both).filter("new")
        asked = (
            pl.len(),
            pl.col("stayed").sum(),
            pl.col("old").sum(),
            pl.col("ends").is_not_null().sum(),
            pl.col("ends").sum(),
        )
        counted = new.group_by("group", "wiped").agg(*(each.alias(f"{at}") for at, each in enumerate(asked)))
        for group, wiped, *counts in counted.iter_rows():
            held = self._counts.get((group, wiped), (0,) * len(counts))
            self._counts[group, wiped] = tuple(map(sum, zip(held, counts, strict=True)))
        if new.height:
            # Names of keys that stay say more than names of those that came last.
            new = new.filter(pl.col("stayed") | ~pl.col("stayed").any().over("group", "wiped"))
            remembered = new.filter(pl.int_range(pl.len()).over("group", "wiped") < _REMEMBERED)
            self._new.append(remembered.select("place", "group", "wiped", "document"))

    def _in_groups(self, document: bytes, following: tuple[str, ...]) -> pl.DataFrame:
        """A fingerprints document with the numbers of its rows' groups."""
        rows = read_columns(document, "fingerprints")
        if rows.is_empty():
            return rows.select(pl.lit(0, pl.Int32).alias("db")).clear()
        with damage_named("fingerprints"):
            ends = pl.col("ends").cast(pl.Boolean) if "ends" in rows.columns else pl.lit(None, pl.Boolean).alias("ends")
            rows = rows.select("key_hash", *following, *_GROUP, ends)
        groups = rows.select(_GROUP).unique(maintain_order=True)
        ids = [
            self._groups.setdefault(group, len(self._groups))
            for group in groups.with_columns(pl.col(_GROUP[1:]).cast(pl.String)).iter_rows()
        ]
        return rows.join(
            groups.with_columns(group=pl.Series(ids, dtype=pl.UInt32)),
            on=_GROUP,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )

    def _new_then(self, earlier: pl.DataFrame, baseline: pl.DataFrame, journalled: pl.Series) -> pl.DataFrame:
        """What was new in an earlier audit by today's baseline, each once, sorted. A key that a remediation wrote isn't among it: if it
        is gone, or has a TTL, that is our doing.
        """
        rows = earlier.filter(_is_one_of(self._scope.covered))
        # Nearly all are in the baseline: what is left is sorted in no time.
        for known in (baseline["place"], journalled):
            rows = rows.filter(find_places(known, rows["place"]).is_null())
        return rows.unique("place").sort("place")

    def _count_turnover(self, today: pl.DataFrame, before: pl.DataFrame, long_before: pl.DataFrame) -> None:
        gone = find_places(today["place"].sort(), before["place"]).is_null()
        had_stayed = find_places(long_before["place"], before["place"]).is_not_null()
        counted = before.with_columns(gone=gone, gone_stayed=gone & had_stayed).group_by("group")
        for group, *counts in counted.agg(pl.len(), pl.col("gone", "gone_stayed").sum()).iter_rows():
            seen, left, had = self._turnovers.get(group, (0, 0, 0))
            self._turnovers[group] = (seen + counts[0], left + counts[1], had + counts[2])

    def _with_journal(self, today: pl.DataFrame, number: int) -> tuple[pl.DataFrame, pl.Series]:
        """Today's keys with what the journal says of them, and the places that it has, sorted."""
        journal = self._journal.read(number)
        if journal.is_empty():
            no = pl.lit(value=False)
            return today.with_columns(wiped=no, later=no, undone=no, accepted=no), pl.Series([], dtype=pl.UInt64)
        newest = journal.sort("place", "turn").unique("place", keep="last", maintain_order=True)
        at = find_places(newest["place"], today["place"])
        accepted = self._accepted.read(number)["place"].sort()
        told = today.with_columns(
            wiped=newest["ours"].gather(at).fill_null(value=False),
            later=newest["later"].gather(at).fill_null(value=False),
            undone=newest["undone"].gather(at).fill_null(value=False),
            accepted=find_places(accepted, today["place"]).is_not_null(),
        )
        return told, newest["place"]

    def _keep(self, number: int, today: pl.DataFrame, baseline: pl.DataFrame) -> None:
        """What the next baseline has of this part."""
        scope = self._scope
        away = (
            baseline.filter(find_places(today["place"], baseline["place"]).is_null()) if baseline.height else baseline
        )
        read = _is_one_of(scope.scanned)
        if scope.accepts_all or scope.is_first:
            kept, stays = today, away.filter(~read)
        else:
            kept = today.filter(~pl.col("new"))
            stays = away.filter(~read) if scope.may_leave else away
        if scope.next_seed is None:
            self._kept.add(pl.concat([kept.select("place", "db"), stays]), number)
        else:  # under another seed they belong to other parts
            self._kept.add(kept.select(pl.col("next").alias("place"), "db"))
        self.left_keys += away.height - stays.height + int((today["new"] & today["known"]).sum())
        self.joined_keys += int((~today["new"] & ~today["known"]).sum())

    @staticmethod
    def _named(group: tuple[Any, ...]) -> tuple[int, str, Governance, str | None]:
        db, pattern, governance, governed_by = group
        return db, pattern, Governance(governance), governed_by


class _Parts:
    """Rows cut into parts by the highest bits of their place: in memory where there is one part only, in files otherwise."""

    def __init__(self, name: str, types: dict[str, Any], root: Path | None, bits: int) -> None:
        self._types = types
        self._bits = bits
        self._folder = None if root is None else root / name
        self._rows: list[pl.DataFrame] = []
        self._files: dict[int, list[Path]] = {}
        if self._folder is not None:
            self._folder.mkdir()

    def add(self, rows: pl.DataFrame, number: int | None = None) -> None:
        """Take in rows; they are of part ``number`` where it is given."""
        rows = rows.select(pl.col(name).cast(kind) for name, kind in self._types.items())
        if self._folder is None:
            self._rows.append(rows)
        elif number is not None:
            self._write(rows, number, self._folder)
        else:
            cut = rows.with_columns(part=(pl.col("place") // (_TOP >> self._bits)).cast(pl.UInt32))
            for (part,), piece in cut.partition_by("part", as_dict=True, include_key=False).items():
                self._write(piece, int(part), self._folder)

    def read(self, number: int) -> pl.DataFrame:
        """The rows of a part, in the order in which they came; they are gone from here."""
        rows, self._rows = self._rows, []
        if self._folder is not None:
            rows = [pl.read_ipc(path) for path in self._files.pop(number, ())]
        return pl.concat(rows) if rows else pl.DataFrame(schema=self._types)

    def _write(self, rows: pl.DataFrame, number: int, folder: Path) -> None:
        files = self._files.setdefault(number, [])
        path = folder / f"{number}-{len(files)}"
        rows.write_ipc(path)
        files.append(path)


def _is_one_of(databases: tuple[int, ...] | None) -> pl.Expr:
    return pl.lit(value=True) if databases is None else pl.col("db").is_in(list(databases))


def _without_repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """In the order of the places, each once: a scan that overlaps itself meets keys twice."""
    ordered = rows.sort("place", maintain_order=True)
    return ordered.filter((pl.col("place") != pl.col("place").shift(1)).fill_null(value=True))
