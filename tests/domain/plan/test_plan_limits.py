"""The figures of a plan's forecast, and what a refusal says: with several servers, several rules, and rules that are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from redis_ttl.domain.audit.server import DatabaseCounts, ServerProfile
from redis_ttl.domain.errors import CapExceeded, ExpiryStorm, NoRoom
from redis_ttl.domain.plan.expiry_windows import Standing
from redis_ttl.domain.plan.limits import Coming, check_storm, forecast_plan
from redis_ttl.domain.plan.plan import Forecast, PlannedDatabase, PlannedRule
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.policy import Caps, GuardSettings, MemoryThresholds, Policy
from tests.domain.plan.test_plan_warnings import crowded
from tests.domain.plan.test_planning import COUPON, DAY_S, POLICY, SEEN, SERVER, audit_of, plan_of, row, settings

NOTHING = Coming((), (), 0)
ROOMY = replace(SERVER, address="10.0.0.8:6379", lineage="m" * 40)
TIGHT = replace(SERVER, used_memory_bytes=2_000_000, memory_limit_bytes=4_000_000)
COUPONS, SEENS = (
    replace(
        rule,
        size_bytes=size,
        window_s=100,
        limit_keys=limit,
        databases=(PlannedDatabase(0, {Action.SET: rule.changes.get(Action.SET, 0)}),),
    )
    for rule, size, limit in zip(plan_of().rules, (30_000, 5_000), (1_000, 200), strict=True)
)
LEFT_OUT = replace(
    COUPONS, number=2, pattern="left:{n}", refusal="not chosen", size_bytes=None, ttl_s=DAY_S, limit_keys=9_999
)


def forecast(
    *rules: PlannedRule, servers: Sequence[ServerProfile] = (SERVER,), policy: Policy = POLICY, coming: Coming = NOTHING
) -> Forecast:
    """What is to come of these rules."""
    return forecast_plan(servers, policy, rules or (COUPONS, SEENS, LEFT_OUT), coming)


def test_a_forecast_is_of_the_rules_that_are_in_the_plan() -> None:
    """Sizes, first and last expiry, and the worst second count what is written, and nothing of a rule that is left out."""
    found = forecast()
    assert found.after_bytes == 1_000_000 - 35_000
    assert (found.first_expiry_s, found.last_expiry_s) == (30 * DAY_S, 60 * DAY_S + 100 + DAY_S + 900)
    assert found.expiries_per_s == 10.0
    same_ttl = replace(SEENS, ttl_s=60 * DAY_S)
    assert forecast(COUPONS, same_ttl).expiries_per_s == 12.0


def test_what_is_freed_is_known_only_if_every_size_is() -> None:
    """And no server has less than nothing in use."""
    assert forecast(COUPONS, replace(SEENS, size_bytes=None)).after_bytes is None
    assert forecast(replace(COUPONS, size_bytes=2_000_000)).after_bytes == 0


def test_the_peak_is_the_fullest_servers() -> None:
    """Sums are over all servers; a server without any limit leaves the sum without one."""
    found = forecast(servers=(TIGHT, ROOMY))
    alone = forecast(servers=(TIGHT,))
    assert (found.used_bytes, found.limit_bytes) == (3_000_000, 14_000_000)
    assert 0.5 < float(found.peak_ratio or 0) < float(alone.peak_ratio or 0)
    assert found.ttl_bytes == 2 * round(170 * 40.4), "each has half of the keys"
    assert found.peak_ratio == round((2_000_000 + round(170 * 40.4) + found.table_bytes // 2) / 4_000_000, 6)
    assert forecast(servers=(replace(TIGHT, memory_limit_bytes=None), ROOMY)).limit_bytes is None


def test_what_others_leave_is_told_by_its_worst_moment() -> None:
    """Overlapping plans add up, others don't."""
    standing = (Standing(0, 10, 5.0), Standing(10, 20, 7.0), Standing(21, 30, 11.0))
    assert forecast(coming=Coming((), standing, 0)).others_per_s == 12.0
    assert forecast().others_per_s == 0.0


def test_a_refused_peak_names_the_server_the_figures_and_what_would_fit() -> None:
    """The fullest server of all, its memory now and at the peak, and the rules that fit together, exactly at the bound, too."""
    policy = replace(POLICY, memory=MemoryThresholds(0.4, 0.5))
    with pytest.raises(NoRoom) as caught:
        forecast(servers=(ROOMY, TIGHT), policy=policy)
    assert caught.value.where == TIGHT.address
    assert caught.value.found == "50.0% of maxmemory in use now and 50.4% at the peak, with 170 new TTLs"
    assert caught.value.allowed == "50% (memory.critical)"
    assert str(caught.value.todo) == (
        "Set remediation.guards.memory above 50.4% if the server can take it, or delete keys by other means first: "
        "no single rule fits."
    )
    seens_only = forecast(SEENS, servers=(TIGHT,)).peak_bytes
    assert seens_only is not None
    exact = replace(TIGHT, memory_limit_bytes=seens_only * 2)
    with pytest.raises(NoRoom, match=rf"split it: `{SEEN.replace('{', '.').replace('}', '.')}` would fit"):
        forecast(COUPONS, SEENS, servers=(exact,), policy=policy)
    guarded = replace(policy, remediation=replace(policy.remediation, guards=GuardSettings(memory_ratio=0.45)))
    with pytest.raises(NoRoom) as caught:
        forecast(servers=(TIGHT,), policy=guarded)
    assert caught.value.allowed == "45% (remediation.guards.memory)"


def test_a_database_is_shared_out_among_those_who_have_it() -> None:
    """A server without keys of that database gets none of its TTLs; two databases of one server add up."""
    elsewhere = replace(ROOMY, databases=(DatabaseCounts(1, 1_000, 0),))
    both = replace(
        COUPONS, databases=(PlannedDatabase(0, {Action.SET: 300, Action.CAP: 5}), PlannedDatabase(1, {Action.SET: 40}))
    )
    assert forecast(both, servers=(SERVER, elsewhere)).ttl_bytes == round(300 * 40.4) + round(40 * 40.4)
    one = replace(SERVER, databases=(DatabaseCounts(0, 1_000, 0), DatabaseCounts(1, 1_000, 0)))
    assert forecast(both, servers=(one,)).ttl_bytes == round(340 * 40.4)


@pytest.mark.parametrize(
    ("caps", "words"),
    [(Caps(1, 0.015), "at most 1 keys and 1.5% of all"), (Caps(None, 0.00125), "at most 0.125% of all")],
)
def test_rules_beyond_their_caps_are_all_named(caps: Caps, words: str) -> None:
    """Each with its keys and its cap; when there is no other rule, none is offered."""
    with pytest.raises(CapExceeded) as caught:
        plan_of(policy=settings(rule_caps=caps))
    text = str(caught.value)
    assert "rules would change more keys than their caps allow" in text
    assert f"`{COUPON}`: 300 keys, 15.0% of all; `{SEEN}`: 100 keys, 5.0% of all" in text
    assert f"`{COUPON}`: {words}; `{SEEN}`: {words}" in text
    assert "Raise the cap if the rule is right." in text
    with pytest.raises(CapExceeded, match="a rule would change more keys than its cap allows"):
        plan_of(audit_of(row(COUPON, 1_000, 300), row(SEEN, 500, 0, 1)), settings(rule_caps=Caps(1, None)))


def test_a_storm_that_would_be_noticed_says_when_it_is_over() -> None:
    """When the last key of the last of the other plans has gone; plans that wait for their approval aren't counted."""
    other = crowded(2_499.0)
    long, short = other.rules[0], replace(other.rules[0], last_ms=other.rules[0].last_ms - 86_400_000)
    beside = Coming((replace(other, rules=(short, long)),), (Standing(0, 100 * DAY_S, 2_495.0),), 0)
    with pytest.raises(ExpiryStorm, match=r"2,505/s at peak.*the last of them by 2027-03-27 19:00 UTC"):
        check_storm(POLICY, [COUPONS, SEENS, LEFT_OUT], beside)
    check_storm(POLICY, [COUPONS, SEENS, LEFT_OUT], replace(beside, standing=(Standing(0, 100 * DAY_S, 2_490.0),)))
