"""What teams would have been told in the incident that the project exists for: one message of each kind, as facts.

For looking at messages without having documents, and for tests. The figures of the incident's own message are the incident's; those
of what comes after it are what the product measured on a keyspace of that shape.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.drift.drift import DriftKind
from redis_ttl.domain.incident.incident import FULL_KEYS
from redis_ttl.domain.messages.facts.action_required import (
    ActionRequired,
    BurstFacts,
    KindShare,
    RuleFacts,
    UnknownFacts,
    ValueKind,
)
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested, PlannedFacts
from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.drift_found import DriftFacts, DriftFound
from redis_ttl.domain.messages.facts.memory import Cost, Memory
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult, WrittenFacts
from redis_ttl.domain.messages.facts.rollback_result import RestoredFacts, RollbackResult
from redis_ttl.domain.messages.facts.run_aborted import AbortCause, RunAborted
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.watch.events import PatternGrowth, WritingClients
from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.domain.watch.trend import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.messages.facts.any_facts import AnyFacts

_CLUSTER: Final = "luckyus-isales-market"
_TEAM: Final = "isales-marketing"
_DAY_S: Final = 86_400
#: So much later than the approval the last TTLs may be counted from: an approval of a day, and a step.
_LATE_S: Final = _DAY_S + 900
_GIB: Final = 2**30
_MIB: Final = 2**20
_NO_TTL: Final = 2_623_984
_COUPONS: Final = "MARKETING:COUPON:UNREAD:{userId}"
_LABELS: Final = "contact:userGroupLabel:set:{groupId}"
_PRICES: Final = "exchange:coupon:high:commodity:price:{id}"
_ACTIVITY: Final = "contact:last:activity:{contactId}"
_COST: Final = Cost(135, "next node size")
#: 2.10 G in use were 87.5% of it; the limit that the incident's own message names, 2.32 G, was another one.
_MEMORY: Final = Memory(round(2.10 * _GIB), round(2.40 * _GIB))
_PLAN: Final = "20260220T190500Z-0a1b2c"
_LINK: Final = (
    f"https://airflow.example.com/dags/redis_ttl.{_CLUSTER}.audit/runs/manual__2026-02-12T14%3A00%3A00%2B00%3A00"
)

ACTION_REQUIRED: Final = ActionRequired(
    cluster=_CLUSTER,
    owner=_TEAM,
    priority="P1",
    audit_id="20260212T140000Z-0a1b2c",
    audited_at="2026-02-12T14:00:00+00:00",
    keys=FULL_KEYS,
    no_ttl_keys=_NO_TTL,
    memory=_MEMORY,
    memory_warn_ratio=0.60,
    memory_critical_ratio=0.85,
    eviction_policy="volatile-lfu",
    rules=(
        RuleFacts(
            _LABELS,
            "P1",
            30 * _DAY_S,
            caps=False,
            signed_off=False,
            no_ttl_keys=177_450,
            size_bytes=60_000_000,
            examples=("contact:userGroupLabel:set:1001",),
            kinds=(KindShare(ValueKind.SET, 1.0),),
        ),
        RuleFacts(
            _COUPONS,
            "P1",
            60 * _DAY_S,
            caps=False,
            signed_off=False,
            no_ttl_keys=147_111,
            size_bytes=80_000_000,
            examples=("MARKETING:COUPON:UNREAD:20931",),
            kinds=(KindShare(ValueKind.STRING, 1.0),),
        ),
        RuleFacts(
            _ACTIVITY,
            "P2",
            90 * _DAY_S,
            caps=True,
            signed_off=False,
            no_ttl_keys=0,
            longer_keys=374_639,
            current_ttl_s=364 * _DAY_S,
            size_bytes=100_000_000,
            kinds=(KindShare(ValueKind.STRING, 1.0),),
        ),
        RuleFacts(
            _PRICES,
            "P2",
            7 * _DAY_S,
            caps=False,
            signed_off=False,
            no_ttl_keys=473,
            kinds=(KindShare(ValueKind.HASH, 1.0),),
        ),
    ),
    unknown=(UnknownFacts("contact:profile:{n}", 351_520, 170_000_000),),
    other_unknown_patterns=45,
    other_unknown_keys=1_947_430,
    deadline=dt.date(2026, 2, 26),
    cost=_COST,
    burst=BurstFacts(
        "{n}", 5_200_000, "2026-02-12T13:57:00+00:00", "2026-02-12T14:17:00+00:00", ("campaign-dispatcher",)
    ),
    growth_bytes_per_day=9 * _MIB,
    link=_LINK,
)

EXAMPLES: Final[Mapping[MessageKind, AnyFacts]] = {
    MessageKind.ACTION_REQUIRED: ACTION_REQUIRED,
    MessageKind.APPROVAL_REQUESTED: ApprovalRequested(
        cluster=_CLUSTER,
        owner=_TEAM,
        plan_id=_PLAN,
        digest="d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e",
        request_id="5f3a9c0d1e2b",
        gate="approve_plan",
        answer_by="2026-02-21T19:06:00+00:00",
        rules=(
            PlannedFacts(_COUPONS, "P1", 60 * _DAY_S, 6 * _DAY_S + _LATE_S, 147_111, 80_000_000),
            PlannedFacts(
                _LABELS,
                "P1",
                30 * _DAY_S,
                3 * _DAY_S + _LATE_S,
                177_450,
                60_000_000,
                (Caution(CautionKind.IN_PLACE, ttl_s=30 * _DAY_S, kinds=("set 100%",)),),
            ),
            PlannedFacts(_PRICES, "P2", 7 * _DAY_S, 60_480 + _LATE_S, 473),
            PlannedFacts(
                _ACTIVITY,
                "P2",
                90 * _DAY_S,
                9 * _DAY_S + _LATE_S,
                374_639,
                100_000_000,
                (Caution(CautionKind.IN_USE, ratio=0.31),),
            ),
        ),
        plan_keys=699_673,
        keys=FULL_KEYS,
        peak=Memory(round(2.19 * _GIB), round(2.40 * _GIB)),
        expiries_per_s=0.9,
        undo_s=7 * _DAY_S,
        cautions=(Caution(CautionKind.EVICTABLE, name="volatile-lfu"),),
        approvers=("lin.wei", "maria"),
        link=f"https://airflow.example.com/dags/redis_ttl.{_CLUSTER}.remediate/runs/manual__1/tasks/approve_plan/required_actions",
    ),
    MessageKind.REMEDIATION_RESULT: RemediationResult(
        cluster=_CLUSTER,
        owner=_TEAM,
        plan_id=_PLAN,
        ended_at="2026-02-20T19:52:00+00:00",
        rules=(
            WrittenFacts(_COUPONS, 147_111, 146_880, 12, 214, 5, 0, 0, 214),
            WrittenFacts(_LABELS, 177_450, 177_450, 0, 0, 0, 0, 0, 0),
            WrittenFacts(_PRICES, 473, 470, 0, 0, 3, 0, 0, 0),
            WrittenFacts(_ACTIVITY, 374_639, 373_101, 1_500, 0, 38, 0, 0, 0),
        ),
        keys_before=FULL_KEYS,
        no_ttl_before=_NO_TTL,
        keys_after=FULL_KEYS + 120,
        no_ttl_after=_NO_TTL - 324_820,
        memory_after=Memory(round(2.14 * _GIB), round(2.40 * _GIB)),
        memory_expected_bytes=round(1.91 * _GIB),
        approved_by=("lin.wei",),
        undo_until="2026-02-27T19:30:00+00:00",
        link=_LINK.replace(".audit", ".remediate"),
    ),
    MessageKind.ROLLBACK_RESULT: RollbackResult(
        cluster=_CLUSTER,
        owner=_TEAM,
        plan_id=_PLAN,
        ended_at="2026-02-21T08:12:00+00:00",
        rules=(
            RestoredFacts(_COUPONS, 147_106, 146_894, 212, 0),
            RestoredFacts(_ACTIVITY, 374_601, 373_088, 1_500, 13),
        ),
        left=0,
        link=_LINK.replace(".audit", ".rollback"),
    ),
    MessageKind.DRIFT_FOUND: DriftFound(
        cluster=_CLUSTER,
        owner=_TEAM,
        audit_id="20260301T190000Z-77aa12",
        audited_at="2026-03-01T19:01:00+00:00",
        accepted=2,
        accepted_at="2026-02-21T19:00:00+00:00",
        accepted_by="lin.wei",
        findings=(
            DriftFacts(
                DriftKind.TTL_WIPED,
                _COUPONS,
                1_204,
                1_204,
                "2026-02-27T19:01:00+00:00",
                301.0,
                None,
                ("MARKETING:COUPON:UNREAD:88213",),
            ),
            DriftFacts(
                DriftKind.NEW_WRITER,
                "contact:userGroupLabel:set:{n}",
                96,
                96,
                "2026-03-01T19:01:00+00:00",
                96.0,
            ),
            DriftFacts(
                DriftKind.RULE_MISSING,
                "contact:badge:{n}",
                5_310,
                5_310,
                "2026-02-28T19:01:00+00:00",
                2_655.0,
                None,
                ("contact:badge:17",),
            ),
            DriftFacts(
                DriftKind.OVERDUE,
                _PRICES,
                4,
                12,
                "2026-03-01T19:01:00+00:00",
                None,
                "2026-02-28",
            ),
        ),
        link=_LINK.replace(".audit", ".drift_check"),
    ),
    MessageKind.MEMORY_LEVEL: MemoryLevel(
        cluster=_CLUSTER,
        owner=_TEAM,
        at="2026-02-12T14:00:00+00:00",
        measure=Measure.MEMORY,
        level=Level.CRITICAL,
        before=Level.WARN,
        is_worse=True,
        ratio=0.875,
        threshold_ratio=0.85,
        memory=_MEMORY,
        keys=FULL_KEYS,
        no_ttl_keys=_NO_TTL,
        eviction_policy="volatile-lfu",
        forecast=Forecast(
            9 * _MIB,
            6 * _MIB,
            12 * _MIB,
            14,
            (("maxmemory", "2026-03-09T14:00:00+00:00", "2026-03-18T14:00:00+00:00", "2026-04-04T14:00:00+00:00"),),
        ),
        cost=_COST,
        link=_LINK.replace(".audit", ".watch"),
    ),
    MessageKind.BURST_DETECTED: BurstDetected(
        cluster=_CLUSTER,
        owner=_TEAM,
        since="2026-02-12T13:57:00+00:00",
        keys=5_200_000,
        used_bytes=330 * _MIB,
        no_ttl_keys=0,
        keys_per_s=4_333.3,
        patterns=(
            PatternGrowth(
                "{n}", 0.437, 0.406, 0.468, 5_196_000, 4_830_000, 5_560_000, 1_320, 0.0, 1_500, ("20260212",)
            ),
        ),
        clients=(WritingClients("campaign-dispatcher", "isales", "10.4.7.21", 24, ("set", "mset")),),
        jobs=("coupon-campaign (declared: 30 13 * * *, last start 2026-02-12 13:30 UTC)",),
        missing=(),
        link=_LINK.replace(".audit", ".watch"),
    ),
    MessageKind.RUN_ABORTED: RunAborted(
        cluster=_CLUSTER,
        owner=_TEAM,
        plan_id=_PLAN,
        at="2026-02-20T19:41:00+00:00",
        cause=AbortCause.GUARD,
        reason="memory is 95.2% of maxmemory, above 95%, for longer than 5m",
        by=None,
        changed_keys=201_330,
        planned_keys=699_673,
        patterns=(_COUPONS, _LABELS, _PRICES, _ACTIVITY),
        link=_LINK.replace(".audit", ".remediate"),
    ),
}
"""One of each kind."""
