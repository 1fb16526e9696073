"""What of new keys fails, how fast they come, and since when."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.drift import DriftKind, DriftReport, NewKeys, PatternKeys, Verdict, judge
from redis_ttl.domain.key_pattern import KeyPattern
from redis_ttl.domain.pattern_statistics import Governance
from redis_ttl.domain.policy import DriftSettings, DriftTolerance, Owner, Policy, Rule
from tests.messages.test_drift_page import REPORT

NOW = dt.datetime(2026, 2, 26, 19, tzinfo=dt.UTC)
ACCEPTED = NOW - dt.timedelta(days=2)
CART = Rule(KeyPattern("cart:{id}"), 86_400)
POLICY = Policy("shop", "r", Owner("checkout"), rules=(CART,))
ROW = PatternKeys(0, "cart:{n}", Governance.RULE, "cart:{id}", 1_000, 50)


def new(keys: int, pattern: str = "cart:{n}", *, wiped: bool = False) -> NewKeys:
    """So many new carts."""
    return NewKeys(0, pattern, Governance.RULE, "cart:{id}", wiped, keys)


def judged(policy: Policy, *found: NewKeys, before: DriftReport | None = None) -> list[tuple[DriftKind, int, bool]]:
    """Kind, keys and whether it fails."""
    findings = judge(policy, found, [ROW], audited_at=NOW, accepted_at=ACCEPTED, before=before)
    return [(each.kind, each.new_keys, each.fails) for each in findings]


@pytest.mark.parametrize(
    ("tolerance", "allowed"),
    [
        (DriftTolerance(), 0),
        (DriftTolerance(keys=7), 7),
        (DriftTolerance(ratio=0.01), 10),
        (DriftTolerance(keys_per_day=3), 6),
        (DriftTolerance(keys=7, ratio=0.01, keys_per_day=3), 6),
        (DriftTolerance(keys=0, ratio=1.0), 0),
    ],
)
def test_a_tolerance_is_exceeded_by_one_key_more(tolerance: DriftTolerance, allowed: int) -> None:
    """All limits that are given hold together, two days after the baseline; the first key beyond them fails."""
    policy = replace(POLICY, drift=DriftSettings(tolerance))
    if allowed:
        assert judged(policy, new(allowed)) == [(DriftKind.NEW_WRITER, allowed, False)]
    assert judged(policy, new(allowed + 1)) == [(DriftKind.NEW_WRITER, allowed + 1, True)]


@given(st.integers(0, 10**9), st.floats(0, 1000), st.integers(0, 10**6))
def test_a_budget_never_shrinks_and_its_first_day_counts_whole(of_keys: int, days: float, budget: int) -> None:
    """A run by hand minutes after an acceptance has the budget of a day."""
    tolerance = DriftTolerance(keys_per_day=budget)
    allowed = tolerance.allowed_keys(of_keys=of_keys, days=days)
    assert budget <= allowed <= tolerance.allowed_keys(of_keys=of_keys, days=days + 1)


def test_kinds_and_patterns_of_a_rule_share_its_tolerance() -> None:
    """Three wiped keys and three of a new writer are six keys of one rule."""
    policy = replace(POLICY, drift=DriftSettings(DriftTolerance(keys=5)))
    assert judged(policy, new(3), new(3, "cart:{hex}", wiped=True)) == [
        (DriftKind.NEW_WRITER, 3, True),
        (DriftKind.TTL_WIPED, 3, True),
    ]


def test_growth_and_age_come_from_the_check_before() -> None:
    """Twenty keys more within half a day are forty a day; the finding is as old as its first night."""
    (first,) = judge(POLICY, [new(10)], [ROW], audited_at=NOW, accepted_at=ACCEPTED, before=None)
    assert (first.growth_per_day, first.since) == (5.0, NOW.isoformat())
    before = replace(REPORT, audited_at=NOW.isoformat(), findings=(first,), verdict=Verdict.DRIFT)
    later = NOW + dt.timedelta(hours=12)
    (second,) = judge(POLICY, [new(30)], [ROW], audited_at=later, accepted_at=ACCEPTED, before=before)
    assert (second.growth_per_day, second.since) == (40.0, NOW.isoformat())
    soon = NOW + dt.timedelta(minutes=5)
    (third,) = judge(POLICY, [new(11)], [ROW], audited_at=soon, accepted_at=ACCEPTED, before=before)
    assert third.growth_per_day is None


def test_the_day_of_a_rule_is_its_last_one() -> None:
    """On the date itself a rule isn't overdue; on the day after it is, as long as it has keys without TTL."""
    due = replace(POLICY, rules=(replace(CART, due=NOW.date()),))
    assert judged(due) == []
    late = replace(POLICY, rules=(replace(CART, due=NOW.date() - dt.timedelta(days=1)),))
    assert judged(late) == [(DriftKind.OVERDUE, 0, True)]
