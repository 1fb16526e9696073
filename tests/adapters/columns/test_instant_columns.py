"""Which expiries are instants of a plan, row by row."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.columns.instants import PlanInstants, jitter_ms, most_steps, whole_steps
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, Spread, jitter_seed
from tests.plans import PLAN

STEP = ANCHOR_STEP_MS
KEYS = [b"a:%d" % number for number in range(50)]


def series(*values: int | None, dtype: pl.DataType | type[pl.DataType] = pl.Int64) -> pl.Series:
    """A column."""
    return pl.Series("x", values, dtype=dtype)


@pytest.mark.parametrize("window_s", [0, 1, 7, 86_400, 2**32 - 1])
def test_jitter_is_that_of_the_domain(window_s: int) -> None:
    """Of each key what ``Spread`` adds to its earliest instant, by the plan's seed."""
    seed = jitter_seed(PLAN.digest)
    found = jitter_ms(pl.Series(KEYS, dtype=pl.Binary), seed, pl.Series([window_s] * 50, dtype=pl.UInt64))
    assert found.to_list() == [Spread(0, window_s).instant_ms(xxh3_64_intdigest(key, seed=seed)) for key in KEYS]


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "steps"),
    [(100, 100, 0), (99, 101, 0), (101, 101, None), (99, 99, None), (100 + STEP, 100 + STEP, 1), (100 - 2 * STEP, 100 - 2 * STEP, -2),
     (100 + STEP, 100 + STEP + 1, 1), (99 + STEP, 100 + STEP, 1), (101 + STEP, 102 + STEP, None), (0, STEP, 0), (None, None, None)],
)  # fmt: skip
def test_steps_are_whole_or_none(low_ms: int | None, high_ms: int | None, steps: int | None) -> None:
    """How many steps after 100 ms something lies between two limits, both included; nothing where no whole step does."""
    assert whole_steps(series(low_ms), series(high_ms), series(100)).to_list() == [steps]


@pytest.mark.parametrize(("valid_s", "steps"), [(0, 1), (1, 2), (900, 2), (901, 3), (86_400, 97)])
def test_an_approvals_life_is_so_many_steps(valid_s: int, steps: int) -> None:
    """Whole quarters of an hour, rounded up, and one more."""
    assert most_steps(valid_s) == steps


def test_a_key_lives_for_its_rules_ttl_and_its_jitter() -> None:
    """By the rule's number in the plan; a rule that isn't in it gives no life."""
    instants = PlanInstants(PLAN, [], 3)
    found = instants.lifetimes_ms(pl.Series(KEYS[:4], dtype=pl.Binary), series(0, 1, 2, None, dtype=pl.Int32)).to_list()
    seed = jitter_seed(PLAN.digest)
    expected = [
        Spread(rule.ttl_s * 1000, rule.window_s).instant_ms(xxh3_64_intdigest(key, seed=seed))
        for key, rule in zip(KEYS[:2], PLAN.rules[:2], strict=True)
    ]
    assert found == [*expected, None, None]
    other = PlanInstants(replace(PLAN, rate="7/s"), [], 3)
    assert other.lifetimes_ms(pl.Series(KEYS[:1], dtype=pl.Binary), series(0, dtype=pl.Int32)).to_list() != found[:1]


@pytest.mark.parametrize(
    ("off_ms", "is_one"),
    [
        (0, True),
        (3 * STEP, True),
        (4 * STEP, False),
        (-STEP, False),
        (1, False),
        (7_000, True),
        (7_000 + 3 * STEP, True),
        (7_000 - STEP, False),
    ],
)
def test_an_expiry_is_an_instant_after_any_approval(off_ms: int, is_one: bool) -> None:  # noqa: FBT001
    """From the approval's own to so many steps after it, of each of the approvals; one without an expiry has none."""
    instants = PlanInstants(PLAN, [57_000, 50_000, 50_000], 3)
    at = series(50_000 + 1_000 + off_ms)
    assert instants.include(series(1_000), at, at).to_list() == [is_one]
    assert instants.include(series(1_000), series(None), series(None)).to_list() == [False]


@pytest.mark.parametrize(
    ("off_ms", "is_near"), [(-10, True), (-11, False), (3 * STEP + 10, True), (3 * STEP + 11, False), (STEP // 2, True)]
)
def test_an_expiry_is_near_within_the_slack(off_ms: int, is_near: bool) -> None:  # noqa: FBT001
    """From the slack before the first instant to the slack after the last one; one of no rule is near nothing."""
    instants = PlanInstants(PLAN, [50_000], 3)
    at = series(51_000 + off_ms)
    assert instants.are_near(series(1_000), at, 10).to_list() == [is_near]
    assert instants.are_near(series(None), at, 10).to_list() == [False]


def test_without_an_approval_there_are_no_instants() -> None:
    """Nothing can have been written."""
    assert not PlanInstants(PLAN, [], 3).are_known
    assert PlanInstants(PLAN, [5], 3).are_known
