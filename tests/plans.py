"""One plan with something of everything, for tests of what is made of plans."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.plan.other_plans import OtherPlan, OtherRule, OtherState
from redis_ttl.domain.plan.plan import Forecast, NodeIdentity, Plan, PlannedDatabase, PlannedRule, Skipped
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Cold, Owner, Policy, RemediationSettings, Rule, SignOff

DAY_S = 86_400
MIB = 1024 * 1024
AGREED = SignOff("Lin Wei", dt.date(2026, 2, 20), "ISALES-481")
NODE = "10.0.0.7:6379"

POLICY = Policy(
    cluster="luckyus-isales-market",
    connection="redis",
    owner=Owner("isales-marketing"),
    remediation=RemediationSettings(approvals=2, approvers=("lin.wei", "maria", "chen")),
    rules=(Rule(KeyPattern("MARKETING:COUPON:UNREAD:{userId}"), 60 * DAY_S, sign_off=AGREED),),
)

PLAN = Plan(
    plan_id="20260220T190500Z-0a1b2c",
    cluster="luckyus-isales-market",
    run="redis_ttl.luckyus-isales-market.remediate/manual__2026-02-20T19:04:00+00:00",
    created_at="2026-02-20T19:05:00+00:00",
    audit_id="20260220T180000Z-ab12cd",
    audit_finished_at="2026-02-20T18:01:02+00:00",
    policy_hash="c0ffee" * 10 + "abcd",
    keys=6_693_840,
    no_ttl_keys=2_623_984,
    nodes=(NodeIdentity(NODE, "a" * 40, "b" * 40),),
    shards=tuple(Shard(number, 2, NODE, "a" * 40, 0, SplitRule.BITS, number, number) for number in range(2)),
    rules=(
        PlannedRule(
            number=0,
            pattern="MARKETING:COUPON:UNREAD:{userId}",
            mode=Mode.SET,
            ttl_s=60 * DAY_S,
            window_s=6 * DAY_S,
            priority="P1",
            changes={Action.SET: 147_111},
            limit_keys=161_923,
            sign_off=AGREED,
            skipped=(Skipped("have a TTL of their own", 12),),
            size_bytes=80 * MIB,
            size_low_bytes=78 * MIB,
            size_high_bytes=82 * MIB,
            examples=("MARKETING:COUPON:UNREAD:20931", "MARKETING:COUPON:UNREAD:7"),
            warnings=(
                (
                    "values are updated in place (hash 5%), which doesn't renew the TTL: these keys are deleted as early as 60d "
                    "after approval (2026-04-21 if approved today), however often they are written"
                ),
            ),
            cautions=(Caution(CautionKind.IN_PLACE, ttl_s=60 * DAY_S, kinds=("hash 5%",)),),
            hot_ratio=0.002,
            databases=(PlannedDatabase(0, {Action.SET: 147_111}),),
        ),
        PlannedRule(
            number=1,
            pattern="a|b*_`{x}`_*:<b>{n}",
            mode=Mode.CAP,
            ttl_s=90 * DAY_S,
            window_s=9 * DAY_S,
            priority="P2",
            changes={Action.SET: 1_000, Action.CAP: 374_640},
            limit_keys=413_304,
            sign_off=AGREED,
            cold=Cold(7 * DAY_S, 5),
            size_bytes=200 * MIB,
            examples=("a|b*_`1`_*:<b>7\n\u202e## gone",),
            warnings=("about 12% of the keys are in use; the rule takes cold keys only and skips them",),
            hot_ratio=0.12,
            databases=(
                PlannedDatabase(0, {Action.SET: 500, Action.CAP: 374_640}),
                PlannedDatabase(3, {Action.SET: 500}),
            ),
        ),
        PlannedRule(
            number=2,
            pattern="exchange:coupon:high:commodity:price:{id}",
            mode=Mode.SET,
            ttl_s=7 * DAY_S,
            window_s=60_480,
            priority="P2",
            changes={Action.SET: 488},
            limit_keys=0,
            refusal="not signed off: the owner agrees by a `sign_off` in the policy",
        ),
    ),
    forecast=Forecast(
        used_bytes=2_150 * MIB,
        limit_bytes=2_376 * MIB,
        ttl_bytes=6 * MIB,
        table_bytes=64 * MIB,
        after_bytes=1_870 * MIB,
        expiries_per_s=9.2,
        first_expiry_s=60 * DAY_S,
        last_expiry_s=100 * DAY_S + 900,
        late_s=DAY_S + 900,
        others_per_s=8.4,
        peak_ratio=0.934343,
        allowed_ratio=0.95,
    ),
    rate="20000/s",
    load="gentle",
    eviction_policy="volatile-lfu",
    warnings=(
        (
            "when memory runs out, the eviction policy volatile-lfu can evict any key that has a TTL, however long; that will "
            "include these keys"
        ),
    ),
    exempt=(Skipped("`config:{name}`: read at start-up | never rewritten", 3),),
    ungoverned_keys=6_170_577,
    cautions=(Caution(CautionKind.EVICTABLE, name="volatile-lfu"),),
    limit_keys=575_227,
    others=(
        OtherPlan(
            "20260130T190500Z-0d0e0f",
            OtherState.WRITTEN,
            (OtherRule("session:{token}", 1_451_520, 1_775_000_000_000, 1_775_172_800_000, 8.4),),
        ),
    ),
)


def plan_of(policy: Policy) -> Plan:
    """A plan of that policy's rules, without an audit and without a server; rules that nobody has signed off are left out of it."""
    rules = tuple(
        PlannedRule(
            number=number,
            pattern=rule.pattern.text,
            mode=rule.mode,
            ttl_s=rule.ttl_s,
            window_s=int(rule.ttl_s * rule.jitter_ratio),
            priority=rule.priority.value,
            changes={Action.SET: 1_000},
            limit_keys=1_000,
            refusal=None if rule.sign_off else "not signed off",
            sign_off=rule.sign_off,
            cold=rule.cold,
        )
        for number, rule in enumerate(policy.rules)
    )
    return replace(PLAN, cluster=policy.cluster, policy_hash=policy.hash, rules=rules)
