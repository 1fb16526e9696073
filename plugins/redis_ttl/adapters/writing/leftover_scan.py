"""Looks through the keyspace for keys that have one of a plan's instants, in the journal or not.

A rollback goes by the journal. What the journal has lost, what a writer that nobody stopped sets meanwhile and what moved away
under the rollback shows here: the instants of a plan can be computed from it alone. They are whole seconds after its approval,
which leaves one key in a thousand to be looked at more closely; in a cluster, where expiries shift as keys move, all of those
that expire in the plan's time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.instants import PlanInstants
from redis_ttl.adapters.counting.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.counting.governance_columns import Governors
from redis_ttl.adapters.journal.reader import row_ids
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS, anchor_ms
from redis_ttl.domain.policy.policy import Owner, Policy, Rule
from redis_ttl.domain.rollback.rollback import Leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from redis_ttl.adapters.connection.key_routes import KeyRoutes
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.load import Load

#: While slots move, a key may leave a node that wasn't read yet for one that was: another look finds it.
_LOOKS: Final = 3
_EXAMPLES: Final = 5
#: Before 7.0 what is left to live is read beside our clock: so far apart may the two be.
_CLOCKS_DIFFER_MS: Final = 60_000
_BATCH_KEYS: Final = 100_000


class LeftoverScan:
    """One look over the primaries of a deployment for the instants of ``plan`` under these approvals (ms since 1970).

    ``rules`` are the numbers of the rules that count; None counts all of them.
    """

    def __init__(
        self,
        routes: KeyRoutes,
        load: Load,
        plan: Plan,
        approvals_ms: Collection[int],
        rules: Collection[int] | None,
    ) -> None:
        self._routes = routes
        self._load = load
        self._early_ms, self._late_ms = MOVES_SHIFT_MS if routes.in_cluster else (0, 0)
        self._dbs = sorted({shard.db for shard in plan.shards})
        self._approvals_ms = sorted(approvals_ms)
        # The plan's own patterns in their order, as the writer asked them; what the policy exempts never got an instant.
        patterns = tuple(Rule(KeyPattern(rule.pattern), rule.ttl_s, rule.mode) for rule in plan.rules)
        self._governors = Governors(Policy(plan.cluster, connection="", owner=Owner(""), rules=patterns))
        self._numbers = pl.Series([rule.number for rule in plan.rules], dtype=pl.Int32)
        counted = [rule for rule in plan.included if rules is None or rule.number in rules]
        self._rules = pl.Series([rule.number for rule in counted], dtype=pl.Int32)
        self._plan = plan
        self._earliest_ms = min((rule.ttl_s * 1000 for rule in counted), default=0)
        self._latest_ms = max(((rule.ttl_s + rule.window_s) * 1000 for rule in counted), default=0)
        self._found: list[pl.DataFrame] = []
        self._keys = 0

    def run(self, check: Callable[[], None]) -> Leftovers:
        """Look, and look again while slots move; ``check`` is called between batches, and may raise."""
        moving = False
        for look in range(_LOOKS if self._approvals_ms and len(self._rules) else 0):
            self._keys = 0
            before = self._routes.slots_state()
            for address in self._routes.addresses:
                for db in self._dbs:
                    self._look(address, db, check)
            moving = self._routes.slots_state() != before
            # A key that left for a node which was read already is there in the second look.
            if not moving and (look or not before.moving):
                break
        if not self._found:
            return Leftovers({}, (), self._keys, moving)
        found = pl.concat(self._found)
        found = found.with_columns(row_ids(found).alias("id")).unique("id", keep="first", maintain_order=True)
        counts = dict(found.group_by("rule").len().sort("rule").iter_rows())
        return Leftovers(counts, tuple(found["key"].head(_EXAMPLES).to_list()), self._keys, moving)

    def _look(self, address: str, db: int, check: Callable[[], None]) -> None:
        link = self._routes.link(address, db)
        expiries = KeyExpiries(link, self._load)
        run_id = self._routes.profiles[address].run_id
        whole = Shard(0, 1, address, run_id, db, SplitRule.SEQUENTIAL, 0, 0)
        reader = ShardReader(
            link, whole, self._load, batch_keys=_BATCH_KEYS, expiry="PEXPIRETIME" if expiries.exact else "PTTL"
        )
        for batch in reader.batches():
            check()
            self._keys += batch.keys
            rows = batch.frame.filter(pl.col("ttl_ms").is_not_null())
            if expiries.exact:
                rows = rows.select("key", low_ms="ttl_ms", high_ms="ttl_ms")
                rows = rows.filter(self._in_range(pl.col("low_ms"), self._late_ms))
                if not self._late_ms:
                    rows = rows.filter(pl.any_horizontal(self._may_be(each) for each in self._approvals_ms))
            else:
                now_ms = time.time_ns() // 1_000_000
                near = rows.filter(self._in_range(pl.col("ttl_ms") + now_ms, _CLOCKS_DIFFER_MS))
                read = expiries.read(near["key"].to_list())
                rows = pl.concat([near.select("key"), read.select("low_ms", "high_ms")], how="horizontal").drop_nulls()
            rows = rows.with_columns(
                low_ms=pl.col("low_ms") - self._late_ms, high_ms=pl.col("high_ms") + self._early_ms
            )
            if rows.height:
                self._judge(rows, db)

    def _may_be(self, approved_ms: int) -> pl.Expr:
        """Whole seconds after the approval."""
        return (pl.col("low_ms") - approved_ms) % 1000 == 0

    def _in_range(self, instant: pl.Expr, tolerance_ms: int) -> pl.Expr:
        low = min(self._approvals_ms) + self._earliest_ms - tolerance_ms
        high = self._last_anchor_ms(max(self._approvals_ms)) + self._latest_ms + tolerance_ms
        return instant.is_between(low, high)

    @staticmethod
    def _last_anchor_ms(approved_ms: int) -> int:
        return anchor_ms(approved_ms, time.time_ns() // 1_000_000) + ANCHOR_STEP_MS

    def _judge(self, rows: pl.DataFrame, db: int) -> None:
        texts = key_texts(rows["key"])
        governor = self._governors.judge(texts, fold_shapes(texts).alias("pattern"))
        rows = rows.with_columns(rule=self._numbers.gather(governor))
        rows = rows.filter(pl.col("rule").is_in(self._rules.implode()))
        if rows.is_empty():
            return
        first_ms = min(self._approvals_ms)
        instants = PlanInstants(
            self._plan, self._approvals_ms, (self._last_anchor_ms(first_ms) - first_ms) // ANCHOR_STEP_MS
        )
        lifetimes_ms = instants.lifetimes_ms(rows["key"], rows["rule"])
        ours = instants.include(lifetimes_ms, rows["low_ms"], rows["high_ms"])
        found = rows.filter(ours)
        if found.height:
            self._found.append(found.select("key", pl.lit(db, pl.Int32).alias("db"), "rule"))
