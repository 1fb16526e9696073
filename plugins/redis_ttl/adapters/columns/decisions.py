"""What an approved plan means for each key of a batch, by columns: which rule governs it, whether it shall change, and
the instant that it gets.

Nothing is written here and nothing is decided beyond the plan: a key that no rule of the plan governs, or that an
exemption matches, leaves the batch in the first step.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final, Protocol, assert_never

import polars as pl
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.columns.journal import ACTIONS, JOURNAL_TYPES, journal_bytes
from redis_ttl.adapters.counting.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.counting.governance_columns import Governors
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS, anchor_ms, jitter_seed
from redis_ttl.domain.policy.actions import Standing
from redis_ttl.domain.remediation.remediation import RuleAccount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.plan.plan import Plan, PlannedRule
    from redis_ttl.domain.policy.policy import Cold, Policy

#: The columns of changes: those of the journal.
CHANGE_TYPES: Final = JOURNAL_TYPES

_HALF: Final = 1 << 32


class ColdQuestions(Protocol):
    """Asks a server whether keys are in use."""

    def are_cold(self, keys: Sequence[bytes], cold: Cold) -> list[bool | None]:
        """For each key whether it is cold; None when it is gone."""


class Decided:
    """What shall become of the keys of one batch.

    ``changes`` have the columns of `CHANGE_TYPES`; ``ours`` those keys that have one of our instants already, with the same
    columns and no ``action``. Keys that shall change are counted in ``met`` alone. The keys were read from ``read_at_s`` (monotonic) on.
    """

    def __init__(
        self,
        keys: int,
        accounts: dict[int, RuleAccount],
        changes: pl.DataFrame,
        ours: pl.DataFrame,
        read_at_s: float = 0.0,
    ) -> None:
        self.keys = keys
        self.accounts = accounts
        self.changes = changes
        self.ours = ours
        self.read_at_s = read_at_s

    @property
    def change_keys(self) -> int:
        """How many keys shall change."""
        return self.changes.height


class DecidedAgain:
    """What shall become of keys that were decided about before.

    ``changes`` are those that shall change still, ``unwritten`` those of them whose journal row isn't true any more: the
    key expires at another instant by now, or shall. ``accounts`` count the others, by the figure they belong to; ``met``
    not again.
    """

    def __init__(self, accounts: dict[int, RuleAccount], changes: pl.DataFrame, unwritten: pl.DataFrame) -> None:
        self.accounts = accounts
        self.changes = changes
        self.unwritten = unwritten


class DecisionColumns:
    """Decides for keys of one database of one server.

    ``tolerance_ms`` is how exactly the server tells when a key expires: 0 where it tells the instant. ``in_cluster`` says that
    keys may have moved from node to node, and their expiries shifted with that (`domain.plan.expiry.MOVES_SHIFT_MS`).
    """

    def __init__(
        self,
        plan: Plan,
        policy: Policy,
        approved_at_ms: int,
        *,
        db: int,
        tolerance_ms: int,
        questions: ColdQuestions,
        in_cluster: bool = False,
    ) -> None:
        self._db = db
        self._approved_at_ms = approved_at_ms
        self._tolerance_ms = tolerance_ms
        early_ms, late_ms = MOVES_SHIFT_MS if in_cluster else (0, 0)
        self._early_ms, self._late_ms = tolerance_ms + early_ms, tolerance_ms + late_ms
        self._questions = questions
        self._governors = Governors(policy)
        self._exemptions = len(policy.exemptions)
        self._seed = jitter_seed(plan.digest)
        included = {rule.number: rule for rule in plan.included}
        for rule in included.values():
            refuse_unagreed(rule, policy)
        self._cold = {number: rule.cold for number, rule in included.items() if rule.cold is not None}
        self._rules = pl.DataFrame(
            {
                "rule": list(included),
                "ttl_ms": [rule.ttl_s * 1000 for rule in included.values()],
                "earliest_ms": [approved_at_ms + rule.ttl_s * 1000 for rule in included.values()],
                "window_s": [rule.window_s for rule in included.values()],
                "longest_ms": [(rule.ttl_s + rule.window_s) * 1000 for rule in included.values()],
                **{
                    standing.value: [rule.mode.action_on(standing) for rule in included.values()]
                    for standing in Standing
                },
            },
            schema={
                "rule": pl.Int32,
                "ttl_ms": pl.Int64,
                "earliest_ms": pl.Int64,
                "window_s": pl.UInt64,
                "longest_ms": pl.Int64,
                **dict.fromkeys((standing.value for standing in Standing), ACTIONS),
            },
        )

    def decide(self, frame: pl.DataFrame, *, keys: int, now_ms: int, read_at_s: float = 0.0) -> Decided:
        """What shall become of these keys: columns ``key`` and ``expires_ms`` (null without a TTL).

        ``now_ms`` is the server's clock, ``keys`` how many were met, from ``read_at_s`` on.
        """
        texts = key_texts(frame["key"])
        governor = self._governors.judge(texts, fold_shapes(texts).alias("pattern"))
        rows = frame.select("key", "expires_ms", rule=governor - self._exemptions).filter(pl.col("rule") >= 0)
        rows = self._fates(rows, now_ms, self._questions)
        if rows.is_empty():
            return Decided(keys, {}, _NOTHING, _NOTHING, read_at_s)
        accounts: dict[int, RuleAccount] = {}
        for rule, what, count in rows.group_by("rule", "fate").len().iter_rows():
            account = RuleAccount(met=count, **({} if what == _CHANGE else {_FIGURES[what]: count}))
            accounts[rule] = accounts.get(rule, RuleAccount()) + account
        return Decided(
            keys,
            accounts,
            self._changes(rows.filter(pl.col("fate") == _CHANGE)),
            self._changes(rows.filter(pl.col("fate") == _OURS)),
            read_at_s,
        )

    def decide_again(
        self, changes: pl.DataFrame, expiries: pl.DataFrame, *, now_ms: int, questions: ColdQuestions, raced: bool
    ) -> DecidedAgain:
        """What shall become of keys that were to change: ``changes`` as `decide` gave them, and row by row their
        ``expires_ms`` and whether they are ``gone`` by now. ``raced``: the server refused them, because the application
        was faster; a TTL of its own is its doing, then.
        """
        both = pl.concat(
            [changes.select("key", "rule", before_ms="was_ms", meant_ms="set_ms"), expiries], how="horizontal"
        )
        gone = both.filter("gone")
        rows = self._fates(both.filter(~pl.col("gone")), now_ms, questions)
        accounts: dict[int, RuleAccount] = {}
        figures = {**_FIGURES, **({_HAD_TTL: "raced"} if raced else {})}
        ended = rows.filter(pl.col("fate") != _CHANGE).select("rule", "fate")
        ended = pl.concat([ended, gone.select("rule", fate=pl.lit(_VANISHED, pl.Int32))])
        for rule, what, count in ended.group_by("rule", "fate").len().iter_rows():
            accounts[rule] = accounts.get(rule, RuleAccount()) + RuleAccount(**{figures[what]: count})
        rows = rows.filter(pl.col("fate") == _CHANGE)
        moved = pl.col("expires_ms").ne_missing(pl.col("before_ms")) & (
            (pl.col("expires_ms") - pl.col("before_ms")).abs() > self._tolerance_ms
        ).fill_null(value=True)
        # Where the journal's row is true within the tolerance, it is what the server shall compare with.
        rows = rows.with_columns(moved=moved).with_columns(
            expires_ms=pl.when("moved").then("expires_ms").otherwise("before_ms")
        )
        unwritten = rows.filter(pl.col("moved") | (pl.col("set_ms") != pl.col("meant_ms")))
        return DecidedAgain(accounts, self._changes(rows), self._changes(unwritten))

    @staticmethod
    def journal(changes: pl.DataFrame) -> bytes:
        """The journal object of these changes."""
        return journal_bytes(changes)

    def _changes(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            "key",
            pl.lit(self._db, pl.Int32).alias("db"),
            "rule",
            pl.col("expires_ms").alias("was_ms"),
            "set_ms",
            "action",
        )

    def _fates(self, rows: pl.DataFrame, now_ms: int, questions: ColdQuestions) -> pl.DataFrame:
        """The rows (``key``, ``rule``, ``expires_ms``, others) of the plan's rules with ``set_ms``, ``fate``, ``action``, in their order.

        All instants that a plan can ever set on one key differ by whole steps. Ours is one of a step up to the present
        one, or the next, which a server with a faster clock may have set before a failover; 0 is what version 0.1 set.
        """
        # A join keeps the order of the left side, and drops what isn't in the plan.
        rows = rows.join(self._rules, on="rule", how="inner", maintain_order="left")
        if rows.is_empty():
            return rows.with_columns(
                set_ms=pl.lit(None, pl.Int64), fate=pl.lit(None, pl.Int32), action=pl.lit(None, ACTIONS)
            )
        ahead_ms = anchor_ms(self._approved_at_ms, now_ms) - self._approved_at_ms
        first_ms = instants_ms(rows["key"], self._seed, rows["earliest_ms"], rows["window_s"])
        rows = rows.with_columns(first_ms.alias("first_ms"), set_ms=first_ms + ahead_ms)
        # Shifted by the tolerance, so that the remainder of a division tells how far from a step it is on either side.
        off_ms = pl.col("expires_ms") - pl.col("first_ms") + self._early_ms
        ours = (
            (off_ms >= 0)
            & (off_ms % ANCHOR_STEP_MS <= self._early_ms + self._late_ms)
            & (off_ms // ANCHOR_STEP_MS <= ahead_ms // ANCHOR_STEP_MS + 1)
        )
        rows = rows.with_columns(ours=ours.fill_null(value=False))
        # What a rule does to a key follows from how the key's expiry stands to it; one that is ours already gets nothing more.
        action = pl.coalesce(pl.when(self._stands(standing, now_ms)).then(standing.value) for standing in Standing)
        rows = rows.with_columns(action=pl.when("ours").then(None).otherwise(action))
        fate = (
            pl.when("ours")
            .then(pl.lit(_OURS))
            .when(pl.col("action").is_not_null())
            .then(pl.lit(_CHANGE))
            .otherwise(pl.lit(_HAD_TTL))
        )
        rows = rows.with_columns(fate=fate)
        return self._spare_hot(rows, questions) if self._cold else rows

    def _stands(self, standing: Standing, now_ms: int) -> pl.Expr:
        """Whether keys stand so to their rules. One that would get no other expiry by it, as far as it can be told, doesn't."""
        expires_ms = pl.col("expires_ms")
        longer = (expires_ms - now_ms > pl.col("longest_ms")) & (expires_ms > pl.col("set_ms") + self._late_ms)
        shorter = (expires_ms - now_ms < pl.col("ttl_ms")) & (expires_ms < pl.col("set_ms") - self._early_ms)
        match standing:
            case Standing.NO_TTL:
                return expires_ms.is_null()
            case Standing.LONGER:
                return longer.fill_null(value=False)
            case Standing.SHORTER:
                return shorter.fill_null(value=False)
            case Standing.KEPT:
                return ~(longer | shorter).fill_null(value=True)
            case _:
                assert_never(standing)

    def _spare_hot(self, rows: pl.DataFrame, questions: ColdQuestions) -> pl.DataFrame:
        asked = rows.with_row_index("at").filter((pl.col("fate") == _CHANGE) & pl.col("rule").is_in(list(self._cold)))
        fates = rows["fate"]
        for (number,), part in asked.group_by("rule"):
            answers = questions.are_cold(part["key"].to_list(), self._cold[int(str(number))])
            spared = [
                (at, _HOT if answer is False else _VANISHED)
                for at, answer in zip(part["at"].to_list(), answers, strict=True)
                if not answer
            ]
            if spared:
                fates = fates.scatter([at for at, _ in spared], [fate for _, fate in spared])
        return rows.with_columns(fates.alias("fate"))


class CanaryColumns:
    """Picks the canary's keys of each rule while batches go by: those whose hash is among the lowest ``ratio`` of all
    hashes, and at least the ``keys`` lowest.

    Which keys those are depends on their names alone, so that a canary which is begun again takes the same ones. The
    hash isn't the one that spreads expiries. ``place`` is where a key was met.
    """

    def __init__(self, ratio: float, keys: int) -> None:
        self._keys = keys
        self._bound = min((1 << 64) - 1, int(ratio * (1 << 64)))
        self._picked = pl.DataFrame(schema=_PICKED_TYPES)
        self._met: list[pl.DataFrame] = []
        self._met_rows = 0

    def add(self, place: int, decided: Decided) -> None:
        """Take note of the keys that would change, and of those that an earlier canary has changed."""
        for rows, is_ours in ((decided.changes, False), (decided.ours, True)):
            if rows.is_empty():
                continue
            hashes = pl.Series("hash", list(map(xxh3_64_intdigest, rows["key"].to_list())), dtype=pl.UInt64)
            noted = rows.with_columns(hashes, place=pl.lit(place, pl.Int32), ours=pl.lit(is_ours))
            # What is not among the lowest of its batch is not among the lowest of all. A key that was met twice has one rank.
            rank = pl.col("hash").rank("dense").over("rule")
            noted = noted.filter((pl.col("hash") < self._bound) | (rank <= self._keys)).select(list(_PICKED_TYPES))
            self._met.append(noted)
            self._met_rows += noted.height
        if self._met_rows > _MET_HELD:
            self._sift()

    def changes(self, places: Iterable[int]) -> pl.DataFrame:
        """The picked keys that were met there and are to be changed, with the columns of `CHANGE_TYPES`."""
        self._sift()
        return self._picked.filter(pl.col("place").is_in(list(places)) & ~pl.col("ours")).select(list(CHANGE_TYPES))

    def counts(self, places: Iterable[int]) -> dict[int, int]:
        """How many keys of each rule these are."""
        return dict(self.changes(places).group_by("rule").len().iter_rows())

    def _sift(self) -> None:
        rows = pl.concat([self._picked, *self._met])
        self._met, self._met_rows = [], 0
        rows = rows.unique(["place", "key"], keep="first", maintain_order=True)
        rank = pl.col("hash").rank("ordinal").over("rule")
        self._picked = rows.filter((pl.col("hash") < self._bound) | (rank <= self._keys))


def instants_ms(keys: pl.Series, seed: int, earliest_ms: pl.Series, window_s: pl.Series) -> pl.Series:
    """The instant of each key: row by row what `domain.plan.expiry.Spread.instant_ms` gives.

    The product of hash and window has more than 64 bits, so it is formed in two halves; windows are below 2^32 s.
    """
    hashes = pl.Series(list(map(xxh3_64_intdigest, keys.to_list(), repeat(seed))), dtype=pl.UInt64)
    high, low = hashes // _HALF, hashes % _HALF
    jitter_s = (high * window_s + low * window_s // _HALF) // _HALF
    return (earliest_ms + jitter_s.cast(pl.Int64) * 1000).alias("set_ms")


def refuse_unagreed(rule: PlannedRule, policy: Policy) -> None:
    """Raise `BadInput` unless the policy has this very rule, signed off."""
    own = policy.rules[rule.number] if 0 <= rule.number < len(policy.rules) else None
    if (
        own is None
        or own.sign_off is None
        or (own.pattern.text, own.ttl_s, own.mode, own.cold) != (rule.pattern, rule.ttl_s, rule.mode, rule.cold)
    ):
        raise BadInput(
            "a rule of the plan isn't a signed-off rule of the policy",
            where=f"policy of {policy.cluster}",
            found=f"{rule.pattern} {rule.mode} {rule.ttl_s} s",
            todo="Make a new plan.",
        )


# What becomes of a key, as a number: a column of them is small.
_CHANGE, _OURS, _HAD_TTL, _HOT, _VANISHED = range(5)
_FIGURES: Final = {_OURS: "already_ours", _HAD_TTL: "had_ttl", _HOT: "hot", _VANISHED: "vanished"}
_NOTHING: Final = pl.DataFrame(schema=CHANGE_TYPES)
_PICKED_TYPES: Final = {**CHANGE_TYPES, "hash": pl.UInt64, "place": pl.Int32, "ours": pl.Boolean}
_MET_HELD: Final = 50_000
