"""make_plan by itself, on the very edge of what it allows: exactly at a limit a plan is made, one beyond it isn't."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from redis_ttl.domain.audit.audit import Audit, AuditOptions, AuditPlan, Completeness, RuleInForce
from redis_ttl.domain.audit.estimate import Sample
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.audit.server import DatabaseCounts, Flavour, Role, ServerProfile
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.errors import BadInput, CapExceeded, InvalidOption, NoRoom, StaleAudit
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.expiry import anchor_ms
from redis_ttl.domain.plan.forecast import BYTES_PER_TTL
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.plan.planning import LIMIT_SLACK_KEYS, PlanRequest, make_plan
from redis_ttl.domain.plan.warnings import BIG_COLLECTION_BYTES, BIG_STRING_BYTES
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import (
    Caps,
    Exemption,
    GuardSettings,
    MemoryThresholds,
    Owner,
    Policy,
    RemediationSettings,
    Rule,
    SignOff,
)

DAY_S = 86_400
NOW = dt.datetime(2026, 2, 20, 19, tzinfo=dt.UTC)
AGREED = SignOff("Lin Wei", dt.date(2026, 2, 20))
COUPON, SEEN = "coupon:{id}", "seen:{id}"
SERVER = ServerProfile(
    "10.0.0.7:6379",
    Flavour.REDIS,
    "7.0.15",
    "r" * 40,
    cluster_enabled=False,
    role=Role.PRIMARY,
    used_memory_bytes=1_000_000,
    memory_limit_bytes=10_000_000,
    eviction_policy="noeviction",
    databases=(DatabaseCounts(0, 1_500, 500),),
    lineage="l" * 40,
    frees_expired_lazily=True,
)
SETTINGS = RemediationSettings(run_caps=Caps(None, 1.0), rule_caps=Caps(None, 1.0))
POLICY = Policy(
    "test",
    "redis",
    Owner("shop"),
    remediation=SETTINGS,
    rules=(
        Rule(KeyPattern(COUPON), 60 * DAY_S, sign_off=AGREED),
        Rule(KeyPattern(SEEN), 30 * DAY_S, Mode.CAP, sign_off=AGREED),
    ),
)


def row(pattern: str, keys: int, no_ttl: int, over: int = 0, **fields: Any) -> PatternStatistics:
    """A pattern that a rule governs."""
    return PatternStatistics(
        0, pattern, Governance.RULE, pattern, keys, no_ttl, (0,) * 9, over_rule_keys=over, **fields
    )


ROWS = (row(COUPON, 1_000, 300), row(SEEN, 500, 40, 60))


def audit_of(
    *rows: PatternStatistics, policy: Policy = POLICY, age_s: float = 0, server: ServerProfile = SERVER
) -> Audit:
    """An audit of 2,000 keys, that ended so long ago."""
    plan = AuditPlan(
        "20260220T180000Z-ab12cd",
        "test",
        NOW.isoformat(),
        AuditOptions(),
        policy.hash,
        (server,),
        (),
        (Shard(0, 1, server.address, server.run_id, 0, SplitRule.SEQUENTIAL, 0, 0),),
        tuple(RuleInForce.of(rule) for rule in policy.rules),
        tuple(each.pattern.text for each in policy.exemptions),
    )
    return Audit(
        plan=plan,
        finished_at=(NOW - dt.timedelta(seconds=age_s)).isoformat(),
        duration_s=1.0,
        keys=2_000,
        no_ttl_keys=340,
        vanished=0,
        keyspace_before=(),
        keyspace_after=(),
        completeness=Completeness(0, 0),
        patterns=rows or ROWS,
    )


def plan_of(audit: Audit | None = None, policy: Policy = POLICY, server: ServerProfile = SERVER, **asked: Any) -> Plan:
    """The plan that is made now."""
    request = PlanRequest("20260220T190000Z-0a1b2c", "dag/run", NOW, "20000/s", "gentle", **asked)
    return make_plan(audit_of(policy=policy) if audit is None else audit, policy, [server], request)


def settings(**changed: Any) -> Policy:
    """The policy with other settings."""
    return replace(POLICY, remediation=replace(SETTINGS, **changed))


def test_a_plan_of_everything() -> None:
    """Keys, limits, dates and memory are what the audit, the policy and the server say."""
    plan = plan_of()
    coupon, seen = plan.rules
    assert (coupon.changes, coupon.limit_keys) == ({Action.SET: 300}, 430)
    assert (seen.changes, seen.limit_keys) == ({Action.SET: 40, Action.CAP: 60}, 210)
    assert (coupon.ttl_s, coupon.window_s) == (60 * DAY_S, 6 * DAY_S)
    assert plan.limit_keys == 640
    assert plan.change_keys == 400
    assert plan.forecast.first_expiry_s == 30 * DAY_S
    assert plan.forecast.late_s == anchor_ms(0, DAY_S * 1000) // 1000 == DAY_S + 900
    assert plan.forecast.last_expiry_s == 66 * DAY_S + DAY_S + 900
    assert plan.forecast.ttl_bytes == round(340 * BYTES_PER_TTL)
    assert plan.forecast.used_bytes == 1_000_000


@pytest.mark.parametrize("caps", [Caps(300, None), Caps(None, 0.15), Caps(300, 0.15)])
def test_a_rule_at_its_cap(caps: Caps) -> None:
    """As many keys as the cap are planned, and none more may be written, whatever is tolerated; one fewer allowed is refused."""
    policy = settings(rule_caps=caps)
    assert plan_of(policy=policy).rules[0].limit_keys == 300
    tighter = Caps(None if caps.keys is None else 299, None if caps.ratio is None else 0.1499)
    with pytest.raises(CapExceeded, match=r"`coupon:\{id\}`: 300 keys, 15.0% of all.*choose the others: `seen"):
        plan_of(policy=settings(rule_caps=tighter))


def test_a_share_is_what_people_mean_by_it() -> None:
    """29% of a hundred keys are 29, and 10% more than a hundred 110: no key is lost or won by binary fractions."""
    audit = replace(audit_of(row(COUPON, 29, 29), row(SEEN, 71, 0)), keys=100)
    assert plan_of(audit, settings(rule_caps=Caps(None, 0.29))).rules[0].limit_keys == 29
    assert plan_of(policy=settings(rule_caps=Caps(None, 0.29), tolerance_ratio=0.1)).rules[1].limit_keys == 210


def test_a_rule_s_own_caps_go_before_the_policy_s() -> None:
    """In either direction."""
    first, second = POLICY.rules
    own = replace(settings(rule_caps=Caps(1, None)), rules=(replace(first, caps=Caps(300, None)), second))
    with pytest.raises(CapExceeded, match=r"`seen:\{id\}`: 100 keys"):
        plan_of(policy=own)
    both = replace(own, rules=(own.rules[0], replace(second, caps=Caps(100, None))))
    assert [rule.limit_keys for rule in plan_of(policy=both).rules] == [300, 100]


def test_a_run_at_its_cap() -> None:
    """400 keys of a run that may change 400 are planned, and bound the whole run; of 399 they are refused, with what would fit."""
    assert plan_of(policy=settings(run_caps=Caps(400, None))).limit_keys == 400
    assert plan_of(policy=settings(run_caps=Caps(None, 0.2))).limit_keys == 400
    for caps in (Caps(399, None), Caps(None, 0.1999)):
        with pytest.raises(
            CapExceeded, match=r"its cap allows.*400 keys, 20.0% of all.*split it: `seen:\{id\}` would fit"
        ):
            plan_of(policy=settings(run_caps=caps))


@pytest.mark.parametrize(("tolerance", "limit"), [(0.0, 400), (0.1, 430), (0.001, 401), (1.0, 700)])
def test_the_tolerance_is_a_share_and_a_hundred_keys(tolerance: float, limit: int) -> None:
    """Rounded up, so that a tolerance of a few permille isn't none."""
    assert LIMIT_SLACK_KEYS == 100
    assert plan_of(policy=settings(tolerance_ratio=tolerance)).rules[0].limit_keys == limit


def test_a_ttl_as_long_as_the_undo_window() -> None:
    """It may be as short as that, and not by a second shorter; then the rule is left out, and nothing else."""
    assert plan_of(policy=settings(undo_window_s=60 * DAY_S)).rules[0].refusal is None
    refused = plan_of(policy=settings(undo_window_s=30 * DAY_S + 1))
    assert [rule.refusal is None for rule in refused.rules] == [True, False]
    assert "undo_window" in str(refused.rules[1].refusal)
    assert refused.rules[1].limit_keys == refused.rules[1].change_keys == 0
    assert refused.forecast.first_expiry_s == 60 * DAY_S


@pytest.mark.parametrize(
    ("age_s", "is_fine"), [(86_400, True), (86_401, False), (-300, True), (-301, False), (0, True)]
)
def test_an_audit_at_the_limit_of_its_age(age_s: float, *, is_fine: bool) -> None:
    """A day is young enough, a second more isn't; five minutes from the future are another machine's clock, more are a mistake."""
    if is_fine:
        plan_of(audit_of(age_s=age_s))
    else:
        with pytest.raises(StaleAudit, match="too old" if age_s > 0 else "in the future"):
            plan_of(audit_of(age_s=age_s))


def test_a_peak_at_what_is_allowed() -> None:
    """A peak that reaches the bound exactly is allowed, and one a byte above it is refused with what was measured."""
    peak = plan_of().forecast.peak_bytes
    assert peak is not None
    bound = MemoryThresholds(0.4, 0.5)
    at_limit = replace(SERVER, memory_limit_bytes=peak * 2)
    plan = plan_of(policy=replace(POLICY, memory=bound), server=at_limit)
    assert (plan.forecast.peak_ratio, plan.forecast.allowed_ratio) == (0.5, 0.5)
    above = replace(SERVER, memory_limit_bytes=peak * 2 - 1)
    with pytest.raises(NoRoom, match=r"of maxmemory in use now.*340 new TTLs.*50% \(memory.critical\)"):
        plan_of(policy=replace(POLICY, memory=bound), server=above)
    guarded = settings(guards=GuardSettings(memory_ratio=0.6))
    assert plan_of(policy=replace(guarded, memory=bound), server=above).forecast.allowed_ratio == 0.6


def test_memory_limit_is_the_limit_where_there_is_no_maxmemory() -> None:
    """The peak counts against it, a plan above it is refused by its name, and maxmemory goes before it."""
    unlimited = replace(SERVER, memory_limit_bytes=None)
    assert plan_of(server=unlimited).forecast.peak_ratio is None
    roomy = replace(POLICY, memory=MemoryThresholds(limit_bytes=10_000_000))
    forecast = plan_of(policy=roomy, server=unlimited).forecast
    assert (forecast.limit_bytes, forecast.limit_is_policys) == (10_000_000, True)
    assert forecast.peak_ratio == plan_of().forecast.peak_ratio
    with pytest.raises(NoRoom, match=r"of memory.limit in use now"):
        plan_of(policy=replace(POLICY, memory=MemoryThresholds(limit_bytes=1_000_001)), server=unlimited)
    kept = plan_of(policy=replace(POLICY, memory=MemoryThresholds(limit_bytes=1))).forecast
    assert (kept.limit_bytes, kept.limit_is_policys) == (10_000_000, False)


BIG = Sample(10, 1.0, 1.0, BIG_COLLECTION_BYTES)


@pytest.mark.parametrize(
    ("sizes", "types", "lazily", "words"),
    [
        (BIG, {"set": 10}, False, "lazyfree-lazy-expire no"),
        (BIG, {"set": 1, "string": 9}, False, "lazyfree-lazy-expire no"),
        (BIG, {}, False, "lazyfree-lazy-expire no"),
        (BIG, {"set": 10}, None, "doesn't let us check"),
        (BIG, {"set": 10}, True, None),
        (replace(BIG, largest=BIG_COLLECTION_BYTES - 1), {"set": 10}, False, None),
        (BIG, {"string": 10}, False, None),
        (replace(BIG, largest=BIG_STRING_BYTES), {"string": 10}, False, "16.0 MiB"),
        (Sample(), {"set": 10}, False, None),
    ],
)
def test_keys_that_block_when_they_expire(
    sizes: Sample, types: dict[str, int], *, lazily: bool | None, words: str | None
) -> None:
    """Big keys are warned of where the server frees them while it answers nobody, or doesn't say; each kind by what it takes."""
    audit = audit_of(row(COUPON, 1_000, 300, sizes=sizes, types=types), ROWS[1])
    warnings = plan_of(audit, server=replace(SERVER, frees_expired_lazily=lazily)).rules[0].warnings
    found = [warning for warning in warnings if "largest sampled key" in warning]
    assert len(found) == (words is not None)
    assert all(str(words) in warning for warning in found)


def test_only_rules_that_change_something_are_in_it() -> None:
    """A rule without sign-off, without keys, or not chosen is left out with its reason; without any there is no plan."""
    first, second = POLICY.rules
    unsigned = replace(POLICY, rules=(replace(first, sign_off=None), second))
    assert "sign_off" in str(plan_of(policy=unsigned).rules[0].refusal)
    assert plan_of(rules=(SEEN,)).rules[0].refusal == "not chosen for this run"
    kept = audit_of(row(COUPON, 1_000, 0), ROWS[1])
    assert plan_of(kept).rules[0].refusal == "no key of it would change"
    with pytest.raises(BadInput, match="nothing to do"):
        plan_of(audit_of(row(COUPON, 1_000, 0), row(SEEN, 500, 0, 0)))
    with pytest.raises(InvalidOption, match="no such rule; found `nope`"):
        plan_of(rules=("nope",))


def test_only_a_cap_shortens() -> None:
    """Keys with a TTL that is too long are the plan's under ``cap``, and left alone under ``set``."""
    longer = audit_of(row(COUPON, 1_000, 300, 200), ROWS[1])
    coupon = plan_of(longer).rules[0]
    assert (coupon.changes.get(Action.CAP, 0), [each.keys for each in coupon.skipped]) == (0, [700])
    assert [each.why for each in plan_of().rules[1].skipped] == ["have a TTL that is short enough"]


def test_exempt_keys_are_named_and_left_alone() -> None:
    """Keys of an exemption count as such, and those that nothing governs as ungoverned."""
    policy = replace(POLICY, exemptions=(Exemption(KeyPattern("config:{name}"), "read at start-up"),))
    exempt = replace(row("config:{name}", 7, 7), governance=Governance.EXEMPT)
    free = replace(row("free:{n}", 9, 9), governance=Governance.NONE, governed_by=None)
    plan = plan_of(audit_of(*ROWS, exempt, free, policy=policy), policy)
    assert [(each.why, each.keys) for each in plan.exempt] == [("`config:{name}`: read at start-up", 7)]
    assert plan.ungoverned_keys == 9
    assert plan.change_keys == 400
