"""Which expiries are instants of a plan, by columns: the key's TTL and jitter from a moment of approval, and whole steps on top.

An instant follows from the key, the plan and the approval, so one that we set is known again without a journal. Knows
nothing of why it is asked: the writer must not write such a key twice, a verification misses the row that should be in
a journal, a rollback finds what no row tells of.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final

import polars as pl
from xxhash import xxh3_64_intdigest

from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, jitter_seed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from redis_ttl.domain.plan.plan import Plan

_HALF: Final = 1 << 32


def jitter_ms(keys: pl.Series, seed: int, window_s: pl.Series) -> pl.Series:
    """By how much each key's TTL is lengthened: whole seconds below its window (UInt64, below 2^32), in milliseconds.

    The product of hash and window has more than 64 bits, so it is formed in two halves.
    """
    hashes = pl.Series(list(map(xxh3_64_intdigest, keys.to_list(), repeat(seed))), dtype=pl.UInt64)
    high, low = hashes // _HALF, hashes % _HALF
    return (((high * window_s + low * window_s // _HALF) // _HALF).cast(pl.Int64) * 1000).alias("jitter_ms")


def whole_steps(low_ms: pl.Series, high_ms: pl.Series, base_ms: pl.Series) -> pl.Series:
    """How many whole anchor steps after ``base_ms`` an expiry lies that is known to be between two limits; null where that
    is no whole number of them. May be negative.
    """
    table = pl.DataFrame({"low": low_ms, "high": high_ms, "base": base_ms})
    steps = (pl.col("high") - pl.col("base")) // ANCHOR_STEP_MS
    fits = pl.col("base") + steps * ANCHOR_STEP_MS >= pl.col("low")
    return table.select(pl.when(fits).then(steps).alias("steps"))["steps"]


def most_steps(valid_s: int) -> int:
    """By how many steps the instants of one plan can differ, whose approval is good for so long."""
    return -(-valid_s * 1000 // ANCHOR_STEP_MS) + 1


class PlanInstants:
    """The instants that a plan may have set, after any of these approvals (ms since 1970) and up to ``steps`` steps."""

    def __init__(self, plan: Plan, approved_at_ms: Collection[int], steps: int) -> None:
        self._seed = jitter_seed(plan.digest)
        self._approved_at_ms = sorted(set(approved_at_ms))
        self._steps = steps
        self._rules = pl.DataFrame(
            {
                "rule": [rule.number for rule in plan.included],
                "ttl_ms": [rule.ttl_s * 1000 for rule in plan.included],
                "window_s": [rule.window_s for rule in plan.included],
            },
            schema={"rule": pl.Int32, "ttl_ms": pl.Int64, "window_s": pl.UInt64},
        )

    @property
    def are_known(self) -> bool:
        """Whether there was an approval that anything could have been written by."""
        return bool(self._approved_at_ms)

    def lifetimes_ms(self, keys: pl.Series, rules: pl.Series) -> pl.Series:
        """TTL and jitter of each key, whose rule (a number of the plan) is given; null for a rule that isn't in the plan."""
        known = (
            rules.cast(pl.Int32)
            .alias("rule")
            .to_frame()
            .join(self._rules, on="rule", how="left", maintain_order="left")
        )
        jitter = jitter_ms(keys, self._seed, known["window_s"].fill_null(0))
        return (known["ttl_ms"] + jitter).alias("lifetime_ms")

    def include(self, lifetime_ms: pl.Series, low_ms: pl.Series, high_ms: pl.Series) -> pl.Series:
        """Whether each expiry, known to lie between two limits (null without one), is one that the plan may have set."""
        return self._any(
            whole_steps(low_ms, high_ms, lifetime_ms + moment).is_between(0, self._steps).fill_null(value=False)
            for moment in self._approved_at_ms
        )

    def are_near(self, lifetime_ms: pl.Series, expires_ms: pl.Series, slack_ms: int) -> pl.Series:
        """Whether each expiry, which is known only roughly, may turn out to be one when it is asked for exactly."""
        return self._any(
            (expires_ms - lifetime_ms - moment)
            .is_between(-slack_ms, self._steps * ANCHOR_STEP_MS + slack_ms)
            .fill_null(value=False)
            for moment in self._approved_at_ms
        )

    def _any(self, found: Iterable[pl.Series]) -> pl.Series:
        answers = list(found)
        table = pl.DataFrame({str(number): answer for number, answer in enumerate(answers)})
        return table.select(pl.any_horizontal(pl.all()).alias("ours"))["ours"]
