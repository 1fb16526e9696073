"""What became of each key of a plan, counted by columns while the keyspace is scanned once more.

Keys are numbers here (:mod:`redis_ttl.adapters.key_places`), sorted, so that a batch finds its own among millions
without a table of them: some twenty bytes for each key of the journal, eight for each of the audit's.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from redis_ttl.adapters.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.governance_columns import Governors
from redis_ttl.adapters.journal_columns import journal_rows
from redis_ttl.adapters.key_places import find_places, in_database, key_places
from redis_ttl.domain.policy import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis_ttl.domain.key_facts import KeyFacts
    from redis_ttl.domain.plan import Plan, PlannedRule
    from redis_ttl.domain.policy import Policy

_KEPT, _CHANGED, _WIPED, _UNFINISHED, _EXPIRED, _GONE = range(6)
_PLACES_A_PART: Final = 1 << 60
_UNSEEN: Final = 255
_JOURNALLED: Final = ("kept", "changed", "wiped", "unfinished", "expired", "gone")
_NEW, _REWRITTEN, _IN_USE, _LEFT, _MISSED = range(5)
_OTHERS: Final = ("new", "rewritten", "in_use", "left", "missed")
#: So many changes of state may wait before those of one key become one.
_STATES_HELD: Final = 1_000_000


class VerifyLedger:
    """The ledger of one plan, whose rules are those of ``policy``."""

    def __init__(self, plan: Plan, policy: Policy) -> None:
        self._rules = {rule.number: rule for rule in plan.rules}
        self._governors = Governors(policy)
        self._exemptions = len(policy.exemptions)
        included = [rule.number for rule in plan.included]
        self._included = pl.Series(included, dtype=pl.Int32)
        caps = [rule for rule in plan.included if rule.mode is Mode.CAP]
        self._capped = pl.DataFrame(
            {
                "rule": pl.Series([rule.number for rule in caps], dtype=pl.Int32),
                "longest_ms": pl.Series([(rule.ttl_s + rule.window_s) * 1000 for rule in caps], dtype=pl.Int64),
            }
        )
        self._fingerprints = _ByPlace()
        self._journalled = _ByPlace()
        self._audited = pl.Series(dtype=pl.UInt64)
        self._journal = _EMPTY_JOURNAL
        self._ready = False
        self._state = pl.Series("state", dtype=pl.UInt8)
        self._others = _States()
        self._counts: dict[int, dict[str, int]] = {
            number: dict.fromkeys(("met", "no_ttl_keys", "longer"), 0) for number in self._rules
        }

    def add_fingerprints(self, document: bytes) -> None:
        """Take in the audit's keys without TTL of one checkpoint."""
        table = pl.read_parquet(io.BytesIO(document), columns=["key_hash", "db"])
        for (db,), rows in table.group_by("db"):
            self._fingerprints.add(in_database(rows["key_hash"], int(str(db))).alias("place").to_frame())

    def add_journal(self, document: bytes, *, finished: bool) -> None:
        """Take in a journal object, the earliest first; ``finished``: the part that wrote it came to its end."""
        rows = journal_rows(document)
        finish = pl.Series("finished", [finished], dtype=pl.Boolean)
        for (db,), part in rows.group_by("db", maintain_order=True):
            self._journalled.add(
                pl.DataFrame(
                    {
                        "place": key_places(part["key"], int(str(db))),
                        "set_ms": part["set_ms"],
                        "rule": part["rule"].cast(pl.UInt16),
                        "finished": finish.new_from_index(0, part.height),
                    }
                )
            )

    def judge(self, db: int, frame: pl.DataFrame) -> JudgedBatch:
        """Count a batch (columns ``key``, ``ttl_ms``), and say what must be asked about it."""
        self._prepare()
        texts = key_texts(frame["key"])
        rule = self._governors.judge(texts, fold_shapes(texts)) - self._exemptions
        places = key_places(frame["key"], db)
        rows = frame.with_columns(
            place=places,
            rule=pl.when(rule >= 0).then(rule).cast(pl.Int32),
            at=find_places(self._journal["place"], places),
        )
        self._count(rows)
        journalled = rows.filter(pl.col("at").is_not_null())
        wiped = journalled.filter(pl.col("ttl_ms").is_null())
        self._note(wiped["at"], self._unless_unfinished(wiped["at"], _WIPED))
        bare = rows.filter(
            pl.col("at").is_null() & pl.col("ttl_ms").is_null() & pl.col("rule").is_in(self._included.implode())
        )
        audited = find_places(self._audited, bare["place"]).is_not_null()
        new = bare.filter(~audited)
        self._others.add(new["place"], _NEW, new["rule"])
        ours = journalled.filter(pl.col("ttl_ms").is_not_null())
        return JudgedBatch(self, rows["ttl_ms"].null_count(), ours, bare.filter(audited))

    def result(self, now_ms: int) -> Mapping[int, Mapping[str, int]]:
        """The figures of each rule by their names in ``VerifiedRule``, at that moment of the server's clock."""
        self._prepare()
        absent = pl.when(pl.col("set_ms") <= now_ms).then(_EXPIRED).otherwise(_GONE)
        states = self._journal.select(
            "rule", state=pl.when(self._state == _UNSEEN).then(absent).otherwise(self._state).cast(pl.UInt8)
        )
        figures = {number: dict(counts) for number, counts in self._counts.items()}
        for names, table in (
            (_JOURNALLED, states),
            (_OTHERS, self._others.latest().select("rule", "state")),
        ):
            for number, code, keys in table.group_by("rule", "state").len().iter_rows():
                figures.setdefault(number, {})[names[code]] = keys
        return figures

    def expire(self, ours: pl.DataFrame, expiries: pl.DataFrame) -> None:
        """Note whether keys of the journal still have exactly our expiry."""
        rows = pl.concat([ours.select("at"), expiries], how="horizontal").filter(~pl.col("gone"))
        set_ms = self._journal["set_ms"].gather(rows["at"])
        kept = (rows["low_ms"] <= set_ms) & (set_ms <= rows["high_ms"])
        wiped = rows["low_ms"].is_null()
        kept_at, wiped_at = rows["at"].filter(kept.fill_null(value=False)), rows["at"].filter(wiped)
        changed_at = rows["at"].filter(~kept.fill_null(value=True))
        self._note(kept_at, pl.Series([_KEPT], dtype=pl.UInt8).new_from_index(0, len(kept_at)))
        self._note(wiped_at, self._unless_unfinished(wiped_at, _WIPED))
        self._note(changed_at, self._unless_unfinished(changed_at, _CHANGED))

    def use(self, suspects: pl.DataFrame, facts: Iterable[KeyFacts], *, since_s: float) -> None:
        """Note why keys of the audit, which we never journalled, have no TTL."""
        known = {each.key: each for each in facts}
        rows = [
            (place, rule, _suspicion(self._rules[rule], known[key], since_s))
            for key, place, rule in suspects.select("key", "place", "rule").iter_rows()
            if key in known
        ]
        if rows:
            table = pl.DataFrame(rows, schema={"place": pl.UInt64, "rule": pl.UInt16, "state": pl.UInt8}, orient="row")
            self._others.add(table["place"], table["state"], table["rule"])

    def settle(self, suspects: pl.DataFrame, *, left: bool) -> None:
        """Note that keys of the audit were not reached (``left``), or count as missed without having been asked about."""
        self._others.add(suspects["place"], _LEFT if left else _MISSED, suspects["rule"])

    def _count(self, rows: pl.DataFrame) -> None:
        governed = rows.filter(pl.col("rule").is_not_null())
        longer = governed.join(self._capped, on="rule", how="left")["longest_ms"] < governed["ttl_ms"]
        table = (
            governed.with_columns(longer=longer.fill_null(value=False) & governed["at"].is_null())
            .group_by("rule")
            .agg(pl.len().alias("met"), pl.col("ttl_ms").null_count().alias("no_ttl_keys"), pl.col("longer").sum())
        )
        for row in table.iter_rows(named=True):
            counts = self._counts[row.pop("rule")]
            for name, keys in row.items():
                counts[name] += keys

    def _note(self, at: pl.Series, states: pl.Series) -> None:
        if not at.is_empty():
            self._state = self._state.scatter(at, states)

    def _unless_unfinished(self, at: pl.Series, state: int) -> pl.Series:
        finished = self._journal["finished"].gather(at)
        return pl.select(pl.when(finished).then(state).otherwise(_UNFINISHED).cast(pl.UInt8).alias("state"))["state"]

    def _prepare(self) -> None:
        if self._ready:
            return
        fingerprints = self._fingerprints.table()
        if fingerprints is not None:
            self._audited = fingerprints["place"]
        journal = self._journalled.table()
        if journal is not None:
            self._journal = journal
        self._state = pl.Series("state", [_UNSEEN], dtype=pl.UInt8).new_from_index(0, self._journal.height)
        self._ready = True


class JudgedBatch:
    """One batch, half judged: of some keys the exact expiry must be known, of some their use."""

    def __init__(self, ledger: VerifyLedger, no_ttl_keys: int, ours: pl.DataFrame, suspects: pl.DataFrame) -> None:
        self._ledger = ledger
        self._no_ttl_keys = no_ttl_keys
        self._ours = ours
        self._suspects = suspects

    @property
    def no_ttl_keys(self) -> int:
        """How many of its keys have no TTL, governed or not."""
        return self._no_ttl_keys

    @property
    def ours(self) -> Sequence[bytes]:
        """Keys of our journal that have a TTL, which may be ours."""
        return self._ours["key"].to_list()

    @property
    def suspects(self) -> Sequence[bytes]:
        """Keys of the audit without a TTL and outside our journal, which may have been there all along."""
        return self._suspects["key"].to_list()

    def expire(self, expiries: Any) -> None:
        """Hear the expiries of :attr:`ours`, in their order."""
        self._ledger.expire(self._ours, expiries)

    def use(self, facts: Iterable[KeyFacts], *, since_s: float) -> None:
        """Hear the use of :attr:`suspects`; our writing began ``since_s`` seconds ago."""
        self._ledger.use(self._suspects, facts, since_s=since_s)

    def settle(self, *, left: bool) -> None:
        """Ask nothing about :attr:`suspects`: the run didn't get to them (``left``), or they are too many to ask about."""
        self._ledger.settle(self._suspects, left=left)


class _States:
    """The latest state of each key outside the journal, by its place."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, places: pl.Series, state: pl.Series | int, rules: pl.Series) -> None:
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


class _ByPlace:
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


_EMPTY_JOURNAL: Final = pl.DataFrame(
    schema={"place": pl.UInt64, "set_ms": pl.Int64, "rule": pl.UInt16, "finished": pl.Boolean}
)


def _suspicion(rule: PlannedRule, facts: KeyFacts, since_s: float) -> int:
    """What a key's use says of it: too much in use for its rule, used since we began, or there all along."""
    if rule.cold is not None:
        if rule.cold.idle_s is not None and facts.idle_s is not None and facts.idle_s < rule.cold.idle_s:
            return _IN_USE
        if rule.cold.freq_at_most is not None and facts.freq is not None and facts.freq > rule.cold.freq_at_most:
            return _IN_USE
    if facts.idle_s is not None:
        return _REWRITTEN if facts.idle_s < since_s else _MISSED
    # A server that counts uses lets the count of a new key, 5, sink by one a minute: 0 is no proof, but no excuse either.
    return _REWRITTEN if facts.freq else _MISSED
