"""What became of each key of a plan, counted by columns while the keyspace is scanned once more.

Keys are numbers here, sorted, so that a batch finds its own among millions without a table of them: some twenty bytes for
each key of the journal, eight for each of the audit's. Where a key's own name is at hand it stands under a number that nobody
can steer (`key_ids`). Only the audit's keys are known by their fingerprints alone, and those decide nothing but whether a key
without a TTL was there before: somebody who makes a name with another key's fingerprint has it looked at, and hides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

import polars as pl

from redis_ttl.adapters.columns.instants import PlanInstants, most_steps, whole_steps
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_places import find_places, in_database, key_ids, key_places
from redis_ttl.adapters.columns.key_tables import KeyStates, SortedRows
from redis_ttl.adapters.counting.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.counting.governance_columns import Governors
from redis_ttl.adapters.store.parquet_documents import damage_named, read_columns
from redis_ttl.domain.plan.expiry import MOVES_SHIFT_MS
from redis_ttl.domain.policy.actions import Action, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from redis_ttl.domain.audit.key_facts import KeyFacts
    from redis_ttl.domain.plan.plan import Plan, PlannedRule
    from redis_ttl.domain.policy.policy import Policy

_KEPT, _CHANGED, _WIPED, _UNFINISHED, _EXPIRED, _GONE = range(6)
_UNSEEN: Final = 255
_JOURNALLED: Final = ("kept", "changed", "wiped", "unfinished", "expired", "gone")
_NEW, _REWRITTEN, _IN_USE, _LEFT, _MISSED, _UNJOURNALLED, _UNTOLD = range(7)
_OTHERS: Final = ("new", "rewritten", "in_use", "left", "missed", "unjournalled", "untold")
#: By how much the clocks of a worker and a server may differ, and what it takes to read a batch.
_SLACK_MS: Final = 10 * 60_000


class VerifyLedger:
    """The ledger of one plan, whose rules are those of ``policy``."""

    def __init__(self, plan: Plan, policy: Policy) -> None:
        self._plan = plan
        self._rules = {rule.number: rule for rule in plan.rules}
        self._governors = Governors(policy)
        self._exemptions = len(policy.exemptions)
        self._steps = most_steps(policy.remediation.approval_valid_s)
        included = [rule.number for rule in plan.included]
        self._included = pl.Series(included, dtype=pl.Int32)
        gives = [rule.number for rule in plan.included if rule.mode.action_on(Standing.NO_TTL)]
        self._gives_ttls = pl.Series(gives, dtype=pl.Int32)
        self._unmet = _unmet_rules(plan)
        self._instants = PlanInstants(plan, (), self._steps)
        self._fingerprints = SortedRows()
        self._journalled = SortedRows()
        self._audited = pl.Series(dtype=pl.UInt64)
        self._journal = _EMPTY_JOURNAL
        self._early_ms, self._late_ms = 0, 0
        self._seed = 0
        self._ready = False
        self._state = _nothing_seen(0)
        self._others = KeyStates()
        self._counts: dict[int, dict[str, int]] = {}
        self._begin()

    def add_approvals(self, approved_at_ms: Collection[int]) -> None:
        """Take in since when the plan was approved, of which all of its instants follow."""
        self._instants = PlanInstants(self._plan, approved_at_ms, self._steps)

    def add_fingerprints(self, document: bytes, *, seed: int = 0) -> None:
        """Take in the audit's keys without TTL of one checkpoint; ``seed`` is that of all of the audit's fingerprints."""
        self._seed = seed
        table = read_columns(document, "fingerprints", ("key_hash", "db"))
        for (db,), rows in table.group_by("db"):
            self._fingerprints.add(in_database(rows["key_hash"], int(str(db))).alias("place").to_frame())

    def add_journal(self, document: bytes, *, finished: bool) -> None:
        """Take in a journal object, the earliest first; ``finished``: the part that wrote it came to its end."""
        with damage_named("a journal"):
            rows = journal_rows(document)
        finish = pl.Series("finished", [finished], dtype=pl.Boolean)
        for (db,), part in rows.group_by("db", maintain_order=True):
            self._journalled.add(
                pl.DataFrame(
                    {
                        "place": key_ids(part["key"], int(str(db))),
                        "set_ms": part["set_ms"],
                        "rule": part["rule"].cast(pl.UInt16),
                        "finished": finish.new_from_index(0, part.height),
                    }
                )
            )

    def begin_again(self, *, in_cluster: bool = False) -> None:
        """Forget what was met: the keyspace is looked at once more, from its beginning.

        In a cluster a key's expiry may have shifted with the key (`domain.plan.expiry.MOVES_SHIFT_MS`), without having been changed.
        """
        self._prepare()
        self._early_ms, self._late_ms = MOVES_SHIFT_MS if in_cluster else (0, 0)
        self._begin()

    def judge(self, db: int, frame: pl.DataFrame, *, now_ms: int) -> JudgedBatch:
        """Count a batch (columns ``key``, ``ttl_ms``) that was read about now, and say what must be asked about it."""
        self._prepare()
        texts = key_texts(frame["key"])
        rule = self._governors.judge(texts, fold_shapes(texts)) - self._exemptions
        ids = key_ids(frame["key"], db)
        rows = frame.with_columns(
            place=ids,
            rule=pl.when(rule >= 0).then(rule).cast(pl.Int32),
            at=find_places(self._journal["place"], ids),
        )
        self._count(rows)
        journalled = rows.filter(pl.col("at").is_not_null())
        wiped = journalled.filter(pl.col("ttl_ms").is_null())
        self._note(wiped["at"], self._unless_unfinished(wiped["at"], _WIPED))
        others = rows.filter(pl.col("at").is_null() & pl.col("rule").is_in(self._included.implode()))
        bare = others.filter(pl.col("ttl_ms").is_null() & pl.col("rule").is_in(self._gives_ttls.implode()))
        audited = find_places(self._audited, key_places(bare["key"], db, self._seed)).is_not_null()
        new = bare.filter(~audited)
        self._others.add(new["place"], _NEW, new["rule"])
        asked = pl.concat(
            [
                journalled.filter(pl.col("ttl_ms").is_not_null()).with_columns(lifetime_ms=pl.lit(None, pl.Int64)),
                self._maybe_ours(others.filter(pl.col("ttl_ms").is_not_null()), now_ms),
            ]
        )
        return JudgedBatch(self, rows["ttl_ms"].null_count(), asked, bare.filter(audited))

    def unseen(self, document: bytes) -> Iterator[tuple[int, JudgedBatch]]:
        """The keys of a journal object that no batch has had, by their databases."""
        self._prepare()
        rows = journal_rows(document)
        for (db,), part in rows.group_by("db", maintain_order=True):
            at = find_places(self._journal["place"], key_ids(part["key"], int(str(db))))
            table = part.select("key", pl.col("rule").cast(pl.Int32)).with_columns(
                at=at, lifetime_ms=pl.lit(None, pl.Int64), is_unseen=pl.lit(value=True)
            )
            left = table.filter((self._state.gather(at) == _UNSEEN).fill_null(value=False)).unique("at")
            if left.height:
                yield int(str(db)), JudgedBatch(self, 0, left, _NO_SUSPECTS)

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

    def expire(self, asked: pl.DataFrame, expiries: pl.DataFrame) -> None:
        """Note which keys have the expiry that we set, and which another one."""
        there = pl.concat([asked, expiries], how="horizontal").filter(~pl.col("gone"))
        if "is_unseen" in there.columns:
            self._count(there.with_columns(ttl_ms=pl.col("low_ms")))
        there = there.with_columns(low_ms=pl.col("low_ms") - self._late_ms, high_ms=pl.col("high_ms") + self._early_ms)
        rows = there.filter(pl.col("at").is_not_null())
        set_ms = self._journal["set_ms"].gather(rows["at"])
        # Attempts that decided at other moments set instants that lie whole steps apart, and the newest row tells one of them.
        steps = whole_steps(rows["low_ms"], rows["high_ms"], set_ms).abs()
        kept = (steps <= self._steps).fill_null(value=False)
        bare = rows["low_ms"].is_null()
        kept_at, wiped_at, changed_at = (rows["at"].filter(each) for each in (kept, bare, ~kept & ~bare))
        self._note(kept_at, pl.Series([_KEPT], dtype=pl.UInt8).new_from_index(0, len(kept_at)))
        self._note(wiped_at, self._unless_unfinished(wiped_at, _WIPED))
        self._note(changed_at, self._unless_unfinished(changed_at, _CHANGED))
        others = there.filter(pl.col("at").is_null())
        if others.height:
            ours = others.filter(self._instants.include(others["lifetime_ms"], others["low_ms"], others["high_ms"]))
            self._others.add(ours["place"], _UNJOURNALLED, ours["rule"])

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

    def _maybe_ours(self, rows: pl.DataFrame, now_ms: int) -> pl.DataFrame:
        """Those of these keys, which have a TTL and no row in the journal, that may have an instant of the plan all the same."""
        if not self._instants.are_known or rows.is_empty():
            return rows.clear().with_columns(lifetime_ms=pl.lit(None, pl.Int64))
        lifetime_ms = self._instants.lifetimes_ms(rows["key"], rows["rule"])
        near = self._instants.are_near(lifetime_ms, rows["ttl_ms"] + now_ms, _SLACK_MS)
        return rows.with_columns(lifetime_ms=lifetime_ms).filter(near)

    def _count(self, rows: pl.DataFrame) -> None:
        governed = rows.filter(pl.col("rule").is_not_null())
        figures = governed.join(self._unmet, on="rule", how="left", maintain_order="left").select(
            "rule",
            "ttl_ms",
            # In the journal, a key is told by what became of what we set.
            **{name: holds.fill_null(value=False) & pl.col("at").is_null() for name, holds in _UNMET.items()},
        )
        table = figures.group_by("rule").agg(
            pl.len().alias("met"), pl.col("ttl_ms").null_count().alias("no_ttl_keys"), pl.col(list(_UNMET)).sum()
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
        self._ready = True
        self._begin()

    def _begin(self) -> None:
        self._state = _nothing_seen(self._journal.height)
        self._others = KeyStates()
        self._counts = {number: dict.fromkeys(("met", "no_ttl_keys", *_UNMET), 0) for number in self._rules}


class JudgedBatch:
    """One batch, half judged: of some keys the exact expiry must be known, of some their use."""

    def __init__(self, ledger: VerifyLedger, no_ttl_keys: int, asked: pl.DataFrame, suspects: pl.DataFrame) -> None:
        self._ledger = ledger
        self._no_ttl_keys = no_ttl_keys
        self._asked = asked
        self._suspects = suspects

    @property
    def no_ttl_keys(self) -> int:
        """How many of its keys have no TTL, governed or not."""
        return self._no_ttl_keys

    @property
    def asked(self) -> Sequence[bytes]:
        """Keys whose expiry may be ours: those of our journal, and others that expire when one of ours would."""
        return self._asked["key"].to_list()

    @property
    def suspects(self) -> Sequence[bytes]:
        """Keys of the audit without a TTL and outside our journal, which may have been there all along."""
        return self._suspects["key"].to_list()

    def expire(self, expiries: Any) -> None:
        """Hear the expiries of :attr:`asked`, in their order."""
        self._ledger.expire(self._asked, expiries)

    def use(self, facts: Iterable[KeyFacts], *, since_s: float) -> None:
        """Hear the use of :attr:`suspects`; our writing began ``since_s`` seconds ago."""
        self._ledger.use(self._suspects, facts, since_s=since_s)

    def settle(self, *, left: bool) -> None:
        """Ask nothing about :attr:`suspects`: the run didn't get to them (``left``), or they are too many to ask about."""
        self._ledger.settle(self._suspects, left=left)


_EMPTY_JOURNAL: Final = pl.DataFrame(
    schema={"place": pl.UInt64, "set_ms": pl.Int64, "rule": pl.UInt16, "finished": pl.Boolean}
)
_NO_SUSPECTS: Final = pl.DataFrame(schema={"key": pl.Binary, "place": pl.UInt64, "rule": pl.Int32})


def _is_unmet(action: Action) -> pl.Expr:
    """Whether a key that isn't ours, with its rule's columns of `_unmet_rules`, is one that the action is for."""
    match action.spec.means:
        case Standing.LONGER:
            return pl.col(action.value) & (pl.col("longest_ms") < pl.col("ttl_ms"))
        case Standing.SHORTER:
            return pl.col(action.value) & (pl.col("ttl_ms") < pl.col("rule_ttl_ms"))
        case Standing.NO_TTL | Standing.KEPT:
            raise ValueError(action)
        case _:
            assert_never(action.spec.means)


#: The figures of keys that an action is for and that a look still meets.
_UNMET: Final = {action.spec.unmet: _is_unmet(action) for action in Action if action.spec.unmet is not None}


def _unmet_rules(plan: Plan) -> pl.DataFrame:
    """The plan's rules: whether each may do what, its TTL, and the longest one that keeps it."""
    return pl.DataFrame(
        {
            "rule": pl.Series([rule.number for rule in plan.included], dtype=pl.Int32),
            "rule_ttl_ms": pl.Series([rule.ttl_s * 1000 for rule in plan.included], dtype=pl.Int64),
            "longest_ms": pl.Series([(rule.ttl_s + rule.window_s) * 1000 for rule in plan.included], dtype=pl.Int64),
            **{
                action.value: pl.Series([action in rule.mode.actions for rule in plan.included], dtype=pl.Boolean)
                for action in Action
            },
        }
    )


def _nothing_seen(keys: int) -> pl.Series:
    return pl.Series("state", [_UNSEEN], dtype=pl.UInt8).new_from_index(0, keys)


def _suspicion(rule: PlannedRule, facts: KeyFacts, since_s: float) -> int:
    """What a key's use says of it: too much in use for its rule, used since we began, or there all along."""
    if rule.cold is not None:
        if rule.cold.idle_s is not None and facts.idle_s is not None and facts.idle_s < rule.cold.idle_s:
            return _IN_USE
        if rule.cold.freq_at_most is not None and facts.freq is not None and facts.freq > rule.cold.freq_at_most:
            return _IN_USE
    if facts.unwritten_s is not None:
        return _REWRITTEN if facts.unwritten_s < since_s else _UNTOLD
    if facts.idle_s is not None:
        return _REWRITTEN if facts.idle_s < since_s else _MISSED
    # A server that counts uses lets the count of a new key, 5, sink by one a minute: 0 is no proof, but no excuse either.
    return _REWRITTEN if facts.freq else _MISSED
