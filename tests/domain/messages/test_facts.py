"""Who hears what of an audit, a drift check, the watch and a remediation: each owner exactly what is theirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.audit.audit import Audit
from redis_ttl.domain.audit.estimate import Sample
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.messages.facts.action_required import ActionRequired
from redis_ttl.domain.messages.facts.drift_found import DriftFound
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult
from redis_ttl.domain.messages.facts.run_aborted import AbortCause, RunAborted
from redis_ttl.domain.messages.facts_of_audit import action_required, since_first_told
from redis_ttl.domain.messages.facts_of_events import burst_detected, drift_found, memory_level
from redis_ttl.domain.messages.facts_of_plan import approval_requested, end_of_run, rollback_result
from redis_ttl.domain.messages.kind import Urgency
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import MessageSettings, Owner, Policy, Priority, Rule, ScalingCost, SignOff
from redis_ttl.domain.remediation.approval import ApprovalRequest, Channel, Decision, Verdict
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.remediation import Outcome, PartResult, RuleAccount
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.domain.rollback.rollback import RestoreAccount, RestoreResult
from redis_ttl.domain.watch.events import BurstReport, LevelChange, NotKnown, PatternGrowth, WritingClients
from redis_ttl.domain.watch.levels import Level, Measure
from tests.messages.pages.test_audit_report import AUDIT
from tests.messages.pages.test_drift_page import REPORT
from tests.plans import PLAN as ODD_PLAN

DAY_S = 86_400
CLUSTER = "luckyus-isales-market"
COUPONS, ODD, PRICES = ODD_PLAN.rules[0].pattern, "contact:last:activity:{contactId}", ODD_PLAN.rules[2].pattern
#: With a pattern that a policy may have.
PLAN = replace(ODD_PLAN, rules=(ODD_PLAN.rules[0], replace(ODD_PLAN.rules[1], pattern=ODD), ODD_PLAN.rules[2]))

OWNER = Owner("isales-marketing", timezone="Asia/Shanghai")
SEARCH = Owner("search", timezone="America/New_York")
IDLE = Owner("idle")
POLICY = Policy(
    CLUSTER,
    "redis",
    OWNER,
    owners=(SEARCH, IDLE),
    scaling_cost=ScalingCost(135, "next node size"),
    messages=MessageSettings(deadline_s=14 * DAY_S),
    rules=(
        Rule(KeyPattern(COUPONS), 60 * DAY_S, priority=Priority.P1, sign_off=SignOff("Ann", dt.date(2026, 2, 20))),
        Rule(KeyPattern(ODD), 90 * DAY_S, mode=Mode.CAP, owner="search"),
        Rule(KeyPattern(PRICES), 7 * DAY_S, priority=Priority.P3, owner="search"),
        Rule(KeyPattern("kept:{id}"), 7 * DAY_S, owner="idle"),
    ),
)


def row(
    pattern: str, governed_by: str | None, keys: int, no_ttl: int, *, over: int = 0, ttl_s: float | None = None
) -> PatternStatistics:
    """A pattern of an audit, governed by the rule, or by nothing."""
    return PatternStatistics(
        db=0,
        pattern=pattern,
        governance=Governance.NONE if governed_by is None else Governance.RULE,
        governed_by=governed_by,
        keys=keys,
        no_ttl_keys=no_ttl,
        ttl_histogram=(0,) * 9,
        over_rule_keys=over,
        ttl_mean_s=ttl_s,
        sizes=Sample(10, 1_000.0, 100_000.0, 100.0),
        examples=(f"{pattern}!1".encode(), f"{pattern}!2".encode()),
    )


def audit_of(*rows: PatternStatistics, no_ttl_keys: int = 1_000) -> Audit:
    """An audit that met these patterns."""
    return replace(AUDIT, patterns=rows, keys=2_000, no_ttl_keys=no_ttl_keys)


ROWS = (
    row("MARKETING:COUPON:UNREAD:{n}", COUPONS, 500, 400),
    row("MARKETING:COUPON:UNREAD:{text}", COUPONS, 100, 50, ttl_s=100.0),
    row("odd", ODD, 300, 100, over=150, ttl_s=1_000.0),
    row("prices", PRICES, 10, 1),
    row("kept:{n}", "kept:{id}", 100, 0, over=7, ttl_s=50.0),
    row("nobody:{n}", None, 400, 380),
    row("seldom:{n}", None, 9, 9),
    row("fine:{n}", None, 9, 0),
)
BURST = BurstReport(
    CLUSTER,
    at="2026-02-12T14:17:00+00:00",
    since="2026-02-12T13:57:00+00:00",
    keys=5_000_000,
    used_bytes=10**8,
    no_ttl_keys=0,
    keys_per_s=4_000.0,
    sampled=1_500,
    patterns=(PatternGrowth("{n}", 0.4, 0.3, 0.5, 10, 9, 11, 1, 0.0),),
    clients=(
        WritingClients("campaign", "isales", "10.0.0.1", 3, ("set",)),
        WritingClients("", "isales", "10.0.0.2", 1, ("set",)),
        WritingClients("campaign", "other", "10.0.0.3", 1, ("set",)),
    ),
    jobs=("campaign, 13:57",),
    missing=(NotKnown.CLIENTS,),
)
CHANGE = LevelChange(
    CLUSTER, "2026-02-12T14:00:00+00:00", Measure.MEMORY, Level.CRITICAL, Level.WARN, 0.9, 90, 100, 9, 4, "x"
)
REQUEST = ApprovalRequest("r1", PLAN.plan_id, PLAN.digest, "approve_plan", 1, "2026-02-20T19:06:00+00:00")
APPROVED = Decision(
    "r1", PLAN.plan_id, PLAN.digest, "approve_plan", Verdict.APPROVED, Channel.FORM, "ann", "2026-02-20T19:30:00+00:00"
)
PART = PartResult(
    plan_id=PLAN.plan_id,
    part="shard-0",
    attempt="20260220T193100000Z-aaaaaa",
    outcome=Outcome.DONE,
    began_at="2026-02-20T19:31:00+00:00",
    ended_at="2026-02-20T19:33:00+00:00",
    scanned=1_000,
    accounts={0: RuleAccount(met=10, set=8), 1: RuleAccount(met=20, set=1, capped=4)},
    journal_objects=1,
    journal_bytes=100,
)
OTHER_PART = replace(PART, part="shard-1", attempt="20260220T193200000Z-bbbbbb", ended_at="2026-02-20T19:35:00+00:00")
VERIFICATION = Verification(
    plan_id=PLAN.plan_id,
    digest=PLAN.digest,
    began_at="2026-02-20T19:40:00+00:00",
    ended_at="2026-02-20T19:45:00+00:00",
    scanned=6_693_950,
    no_ttl_keys=2_476_900,
    used_bytes=10**9,
    complete=True,
    rules=(
        VerifiedRule(
            0, COUPONS, "set", 147_111, met=99, kept=50, changed=9, wiped=8, expired=3, gone=4, vanished=1,
            no_ttl_keys=22, had_ttl=20, raced=10, hot=5,
        ),
        VerifiedRule(1, ODD, "cap", 375_640, kept=70, missed=2),
        VerifiedRule(2, PRICES, "set", 0, refusal="no sign-off"),
    ),
)  # fmt: skip
RESTORED = RestoreResult(
    PLAN.plan_id,
    "rollback",
    "20260221T100000000Z-abcdef",
    dry_run=False,
    began_at="2026-02-21T10:00:00+00:00",
    ended_at="2026-02-21T10:01:00+00:00",
    accounts={
        0: RestoreAccount(
            keys=100, removed=50, put_back=20, changed=6, as_before=9, restored_before=1, expired=4, gone=10
        )
    },
)


# Audits.


def by_team(found: Sequence[tuple[Owner, ActionRequired]]) -> dict[str, ActionRequired]:
    """What each team hears."""
    return {owner.team: facts for owner, facts in found}


def test_each_owner_hears_of_their_rules() -> None:
    """Sums over the patterns of a rule, the most urgent first; a rule that is kept is nobody's news."""
    found = by_team(action_required(audit_of(*ROWS), POLICY))
    assert list(found) == ["isales-marketing", "search"]
    mine, other = found["isales-marketing"], found["search"]
    (coupons,) = mine.rules
    assert (coupons.pattern, coupons.no_ttl_keys, coupons.longer_keys) == (COUPONS, 450, 0)
    assert (coupons.priority, coupons.ttl_s, coupons.caps, coupons.signed_off) == ("P1", 60 * DAY_S, False, True)
    assert (coupons.current_ttl_s, coupons.size_bytes) == (100, 45_000)
    assert len(coupons.examples) == 3
    odd, prices = other.rules
    assert (odd.pattern, prices.pattern) == (ODD, PRICES)
    assert (odd.concerned_keys, odd.current_ttl_s, odd.size_bytes, odd.signed_off) == (250, None, 25_000, False)
    assert (mine.priority, other.priority) == ("P1", "P2")


def test_what_nobody_governs_is_told_to_the_clusters_owner() -> None:
    """By name where it is a noticeable share of all keys without a TTL, counted where it isn't; other teams hear nothing of it."""
    found = by_team(action_required(audit_of(*ROWS), POLICY))
    mine, other = found["isales-marketing"], found["search"]
    assert [(each.pattern, each.no_ttl_keys) for each in mine.unknown] == [("nobody:{n}", 380)]
    assert (mine.other_unknown_patterns, mine.other_unknown_keys) == (1, 9)
    assert (other.unknown, other.other_unknown_patterns, other.other_unknown_keys) == ((), 0, 0)


def test_unknown_patterns_are_eight_at_most() -> None:
    """The largest; all others are counted."""
    rows = [row(f"p{number}:{{n}}", None, 100, 100 - number) for number in range(12)]
    ((_, facts),) = action_required(audit_of(*rows), POLICY)
    assert [each.pattern for each in facts.unknown] == [f"p{number}:{{n}}" for number in range(8)]
    assert (facts.other_unknown_patterns, facts.other_unknown_keys) == (4, 92 + 91 + 90 + 89)


@pytest.mark.parametrize("rows", [(), ROWS[4:5], (row("seldom:{n}", None, 9, 9),), ROWS[7:8]])
def test_where_all_is_well_nobody_hears_anything(rows: tuple[PatternStatistics, ...]) -> None:
    """Rules that are kept, patterns that hold next to nothing: no message."""
    assert action_required(audit_of(*rows), POLICY) == []


def test_a_rule_that_sets_leaves_longer_ttls_alone() -> None:
    """Keys with too long a TTL concern a rule of mode `cap` only."""
    assert action_required(audit_of(row("x", PRICES, 10, 0, over=10, ttl_s=10**8)), POLICY) == []


def test_a_rule_that_left_the_policy_is_told_nobody() -> None:
    """What the audit counted by a rule that isn't there any more is no owner's rule."""
    assert action_required(audit_of(row("x", "gone:{id}", 10, 10)), POLICY) == []


@pytest.mark.parametrize(
    ("finished_at", "here", "there"),
    [
        ("2026-02-12T19:00:00+00:00", dt.date(2026, 2, 27), dt.date(2026, 2, 26)),
        ("2026-02-12T15:59:59+00:00", dt.date(2026, 2, 26), dt.date(2026, 2, 26)),
        ("2026-02-13T04:59:59+00:00", dt.date(2026, 2, 27), dt.date(2026, 2, 26)),
    ],
)
def test_the_deadline_is_a_day_where_the_team_lives(finished_at: str, here: dt.date, there: dt.date) -> None:
    """Fourteen days later by the clock of Shanghai, and of New York."""
    found = by_team(action_required(replace(audit_of(*ROWS), finished_at=finished_at), POLICY))
    assert (found["isales-marketing"].deadline, found["search"].deadline) == (here, there)


@pytest.mark.parametrize(
    ("days", "is_told"), [(0.0, True), (6.99, True), (7.01, False), (400.0, False), (-1.0, True), (-8.0, False)]
)
def test_a_burst_is_mentioned_for_seven_days(days: float, *, is_told: bool) -> None:
    """To the cluster's owner only, with the names of its clients; one that lies further away isn't, however large."""
    finished_at = (dt.datetime.fromisoformat(BURST.at) + dt.timedelta(days=days)).isoformat()
    found = by_team(action_required(replace(audit_of(*ROWS), finished_at=finished_at), POLICY, burst=BURST))
    burst = found["isales-marketing"].burst
    assert (burst is not None) is is_told
    assert found["search"].burst is None
    if burst is not None:
        assert (burst.pattern, burst.keys, burst.clients) == ("{n}", BURST.patterns[0].grown_keys, ("campaign",))
        assert (burst.began_at, burst.ended_at) == (BURST.since, BURST.at)


def test_a_burst_without_patterns_is_a_burst() -> None:
    """Where nothing could be sampled its figures stand alone."""
    found = by_team(action_required(audit_of(*ROWS), POLICY, burst=replace(BURST, patterns=(), clients=())))
    burst = found["isales-marketing"].burst
    assert burst is not None
    assert (burst.pattern, burst.clients) == ("", ())


def test_figures_are_those_of_the_cluster() -> None:
    """Every team gets the cluster's totals, thresholds, cost, trend and link."""
    for _, facts in action_required(audit_of(*ROWS), POLICY, growth_bytes_per_day=7.0, link="https://x"):
        assert (facts.cluster, facts.audit_id, facts.keys, facts.no_ttl_keys) == (
            CLUSTER,
            AUDIT.plan.audit_id,
            2_000,
            1_000,
        )
        assert (facts.memory.used_bytes, facts.memory.limit_bytes) == (AUDIT.used_memory_bytes, AUDIT.maxmemory_bytes)
        assert (facts.memory_warn_ratio, facts.memory_critical_ratio) == (0.60, 0.85)
        assert facts.cost is not None
        assert (facts.cost.usd_per_month, facts.growth_bytes_per_day, facts.link) == (135, 7.0, "https://x")
        assert facts.eviction_policy == "volatile-lfu"


def test_low_priorities_alone_are_small() -> None:
    """Rules of P3 and P4 can wait for the daily summary; with anything above, or patterns that nobody governs, they can't."""
    ((_, small),) = action_required(audit_of(ROWS[3]), POLICY)
    ((_, larger),) = action_required(audit_of(*ROWS[2:4]), POLICY)
    ((_, unknown),) = action_required(audit_of(ROWS[5]), POLICY)
    assert [each.urgency for each in (small, larger, unknown)] == [Urgency.SMALL, Urgency.NORMAL, Urgency.NORMAL]


owners = st.sampled_from([None, "search", "idle", "isales-marketing", "left the policy"])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(owners, st.integers(0, 3), st.booleans()), max_size=8))
def test_every_rule_that_is_not_kept_is_told_once(drawn: list[tuple[str | None, int, bool]]) -> None:
    """To its owner, or to the cluster's where the team isn't in the policy; nobody hears of another one's."""
    rules = tuple(Rule(KeyPattern(f"r{number}:{{id}}"), 60, owner=team) for number, (team, _, _) in enumerate(drawn))
    rows = [
        row(f"r{number}:{{n}}", f"r{number}:{{id}}", 5, keys)
        for number, (_, keys, is_met) in enumerate(drawn)
        if is_met
    ]
    found = action_required(audit_of(*rows), replace(POLICY, rules=rules))
    told = [(owner.team, rule.pattern) for owner, facts in found for rule in facts.rules]
    teams = {"search", "idle"}
    assert sorted(told) == sorted(
        (team if team in teams else "isales-marketing", f"r{number}:{{id}}")
        for number, (team, keys, is_met) in enumerate(drawn)
        if is_met and keys
    )
    assert all(facts.rules and facts.owner == owner.team for owner, facts in found)


# Drift checks and the watch.


def test_drift_goes_to_whose_it_is() -> None:
    """What fails only, to each team its own; what belongs to a team that has left goes to the cluster's owner."""
    wiped, writer, overdue, *tolerated = REPORT.findings
    left = replace(writer, owner="left the policy")
    report = replace(REPORT, findings=(replace(wiped, owner="search"), left, overdue, *tolerated))
    found: dict[str, DriftFound] = {owner.team: facts for owner, facts in drift_found(report, POLICY, link="x")}
    assert {team: [(each.cause, each.pattern) for each in facts.findings] for team, facts in found.items()} == {
        "isales-marketing": [(left.kind, left.pattern), (overdue.kind, overdue.pattern)],
        "search": [(wiped.kind, wiped.pattern)],
    }
    facts = found["search"]
    assert (facts.new_keys, facts.accepted, facts.accepted_by, facts.link) == (1_204, 9, "lin.wei", "x")
    assert facts.findings[0].examples == wiped.examples


def test_drift_that_is_tolerated_is_told_nobody() -> None:
    """Neither is a check that found nothing."""
    for findings in ((), REPORT.findings[3:]):
        assert drift_found(replace(REPORT, findings=findings), POLICY) == []


@pytest.mark.parametrize(
    ("measure", "level", "before", "threshold", "urgency"),
    [
        (Measure.MEMORY, Level.CRITICAL, Level.WARN, 0.85, Urgency.CRITICAL),
        (Measure.MEMORY, Level.WARN, Level.CRITICAL, 0.85, Urgency.CRITICAL),
        (Measure.MEMORY, Level.OK, Level.CRITICAL, 0.85, Urgency.CRITICAL),
        (Measure.MEMORY, Level.WARN, Level.OK, 0.60, Urgency.NORMAL),
        (Measure.MEMORY, Level.OK, Level.WARN, 0.60, Urgency.SMALL),
        (Measure.NO_TTL, Level.WARN, Level.OK, 0.10, Urgency.NORMAL),
    ],
)
def test_a_level_is_told_with_what_was_passed(
    measure: Measure, level: Level, before: Level, threshold: float, urgency: Urgency
) -> None:
    """To the cluster's owner: the threshold above which it is now, or below which it fell."""
    change = replace(CHANGE, measure=measure, level=level, before=before, scaling_usd_per_month=135, scaling_note="n")
    ((owner, facts),) = memory_level(change, POLICY)
    assert (owner, facts.owner, facts.threshold_ratio, facts.urgency) == (OWNER, OWNER.team, threshold, urgency)
    assert facts.cost is not None
    ((_, free),) = memory_level(replace(change, scaling_usd_per_month=None), POLICY)
    assert free.cost is None


def test_a_burst_is_told_to_the_clusters_owner() -> None:
    """With everything that is known of it, at once, and once."""
    ((owner, facts),) = burst_detected(BURST, POLICY, link="x")
    assert (owner, facts.owner, facts.urgency, facts.items) == (
        OWNER,
        OWNER.team,
        Urgency.CRITICAL,
        (f"burst {BURST.since}",),
    )
    for name in ("since", "keys", "used_bytes", "keys_per_s", "patterns", "clients", "jobs", "missing"):
        assert getattr(facts, name) == getattr(BURST, name)


# Remediations.


def aborted(
    parts: Sequence[PartResult], decisions: Sequence[Decision], verification: Verification | None = None
) -> dict[str, RunAborted]:
    """What each team hears of a run that ended so."""
    found = end_of_run(PLAN, parts, decisions, verification, POLICY)
    return {owner.team: facts for owner, facts in found if isinstance(facts, RunAborted)}


def test_who_has_keys_in_a_plan_is_told_that_it_waits() -> None:
    """Each team with its own rules, those that the plan leaves out not among them, and until when it may be answered."""
    found = {owner.team: facts for owner, facts in approval_requested(PLAN, REQUEST, POLICY, link="x")}
    assert {team: [rule.pattern for rule in facts.rules] for team, facts in found.items()} == {
        "isales-marketing": [COUPONS],
        "search": [ODD],
    }
    for facts in found.values():
        assert (facts.plan_keys, facts.digest, facts.answer_by) == (
            PLAN.change_keys,
            PLAN.digest,
            "2026-02-21T19:06:00+00:00",
        )
        assert (facts.peak.used_bytes, facts.link) == (PLAN.forecast.peak_bytes, "x")
        assert facts.undo_s == 60 * 86_400, "until the first key expires, not what the policy allows at least"
    assert found["search"].rules[0].keys == 375_640
    assert found["search"].items == ("asked r1",)


def test_whoever_asked_for_the_plan_is_not_asked_to_approve_it() -> None:
    """The message names those whose answer counts, however the name is written."""
    for self_approval, named in ((False, ("bob",)), (True, ("bob", "Ann"))):
        settings = replace(POLICY.remediation, approvers=("bob", "Ann"), self_approval=self_approval)
        policy = replace(POLICY, remediation=settings)
        for _, facts in approval_requested(replace(PLAN, requested_by="ann"), REQUEST, policy):
            assert facts.approvers == named


def test_a_rule_that_the_policy_lost_is_the_clusters_owners() -> None:
    """Somebody must hear of what a plan would write."""
    found = approval_requested(PLAN, REQUEST, replace(POLICY, rules=()))
    assert [(owner.team, len(facts.rules)) for owner, facts in found] == [("isales-marketing", 2)]


def test_what_was_written_adds_up_to_what_was_verified() -> None:
    """Each team's own rules, who approved it, since when it can be taken back no more."""
    decisions = [APPROVED, replace(APPROVED, by="lin", at="2026-02-20T19:31:00+00:00"), replace(APPROVED, by="ann")]
    found = end_of_run(PLAN, [PART], decisions, VERIFICATION, POLICY)
    results = {owner.team: facts for owner, facts in found if isinstance(facts, RemediationResult)}
    assert {team: [rule.pattern for rule in facts.rules] for team, facts in results.items()} == {
        "isales-marketing": [COUPONS],
        "search": [ODD],
    }
    mine, other = results["isales-marketing"], results["search"]
    (coupons,) = mine.rules
    assert (coupons.planned, coupons.kept, coupons.changed, coupons.wiped) == (147_111, 50, 9, 8)
    assert (coupons.gone, coupons.left_alone, coupons.missed, coupons.no_ttl_keys) == (8, 35, 0, 22)
    assert mine.approved_by == ("ann", "lin")
    assert mine.undo_until == "2026-04-21T19:31:00+00:00"
    assert other.undo_until == mine.undo_until, "the plan is taken back as a whole"
    assert (mine.urgency, other.urgency) == (Urgency.NORMAL, Urgency.CRITICAL), "missed keys are a defect"


def test_a_result_without_what_it_needs_says_less() -> None:
    """Without approvals there is no moment until which it can be undone; memory that nobody knows afterwards is unknown."""
    ((_, facts), _) = end_of_run(PLAN, [], [], replace(VERIFICATION, used_bytes=None), POLICY)
    assert isinstance(facts, RemediationResult)
    assert (facts.undo_until, facts.approved_by) == (None, ())
    assert facts.memory_after.used_bytes is None


REJECTED = replace(APPROVED, verdict=Verdict.REJECTED, comment="not now", at="2026-02-20T19:40:00+00:00")
BY_GUARD = replace(OTHER_PART, outcome=Outcome.ABORTED, reason="memory is 95.2%")
BY_HAND = replace(OTHER_PART, outcome=Outcome.STOPPED, reason="stopped by ann")


@pytest.mark.parametrize(
    ("parts", "decisions", "cause", "reason", "by", "at"),
    [
        ([PART, BY_GUARD], [APPROVED], AbortCause.GUARD, "memory is 95.2%", None, BY_GUARD.ended_at),
        ([PART, BY_HAND], [APPROVED], AbortCause.OPERATOR, "stopped by ann", None, BY_HAND.ended_at),
        ([], [REJECTED], AbortCause.REJECTED, "not now", "ann", REJECTED.at),
        ([], [APPROVED, REJECTED], AbortCause.REJECTED, "not now", "ann", REJECTED.at),
        (
            [],
            [replace(REJECTED, verdict=Verdict.INVALID, comment=None, why="marked as success by nobody", by=None)],
            AbortCause.INVALID,
            "marked as success by nobody",
            None,
            REJECTED.at,
        ),
        (
            [],
            [replace(REJECTED, verdict=Verdict.TIMED_OUT, by=None, comment=None)],
            AbortCause.TIMED_OUT,
            None,
            None,
            REJECTED.at,
        ),
        ([], [APPROVED], AbortCause.FAILED, None, None, PLAN.created_at),
        ([], [], AbortCause.FAILED, None, None, PLAN.created_at),
        ([PART], [APPROVED], AbortCause.FAILED, None, None, PART.ended_at),
        # Rejected, asked again, approved.
        ([PART, OTHER_PART], [REJECTED, APPROVED], AbortCause.FAILED, None, None, OTHER_PART.ended_at),
        # A guard ended the part's first attempt; the second came to its end, and something else failed.
        (
            [BY_GUARD, replace(OTHER_PART, attempt="20260220T200000000Z-cccccc", ended_at="2026-02-20T20:05:00+00:00")],
            [APPROVED],
            AbortCause.FAILED,
            None,
            None,
            "2026-02-20T20:05:00+00:00",
        ),
        # Of two parts that ended early, the last one tells.
        (
            [replace(BY_HAND, part="shard-0", ended_at=PART.ended_at), BY_GUARD],
            [],
            AbortCause.GUARD,
            "memory is 95.2%",
            None,
            BY_GUARD.ended_at,
        ),
    ],
)
def test_how_a_run_ended(
    parts: list[PartResult],
    decisions: list[Decision],
    cause: AbortCause,
    *,
    reason: str | None,
    by: str | None,
    at: str,
) -> None:
    """By a guard, an operator, a no, no answer in time, or something else: in whose words, by whom, and when."""
    found = aborted(parts, decisions)
    assert list(found) == ["isales-marketing", "search"]
    for facts in found.values():
        assert (facts.cause, facts.reason, facts.by, facts.at) == (cause, reason, by, at)
        assert facts.urgency is (Urgency.CRITICAL if cause in {AbortCause.GUARD, AbortCause.FAILED} else Urgency.NORMAL)


def test_what_was_changed_before_the_end_is_each_teams_own() -> None:
    """Over all parts and attempts, of the rules of that team, against what was planned for them."""
    found = aborted([PART, BY_GUARD], [APPROVED], replace(VERIFICATION, complete=False))
    assert [(facts.changed_keys, facts.planned_keys, facts.patterns) for facts in found.values()] == [
        (16, 147_111, (COUPONS,)),
        (10, 375_640, (ODD,)),
    ]


def test_a_dry_rollback_is_told_nobody() -> None:
    """Nothing was changed by it."""
    assert rollback_result(PLAN, replace(RESTORED, dry_run=True), RESTORED, POLICY) == []


def test_a_rollback_is_told_to_whose_keys_it_was_about() -> None:
    """Each journalled key in one figure; a team without a key in the journal hears nothing."""
    # What other teams' rules have left isn't theirs.
    left = replace(RESTORED, accounts={0: RestoreAccount(keys=3, removed=3), 1: RestoreAccount(keys=500, removed=500)})
    ((owner, facts),) = rollback_result(PLAN, RESTORED, left, POLICY, link="x")
    (coupons,) = facts.rules
    assert (owner, facts.left, facts.urgency, facts.link) == (OWNER, 3, Urgency.CRITICAL, "x")
    assert (coupons.journalled, coupons.restored, coupons.changed, coupons.gone) == (100, 80, 6, 14)
    assert coupons.journalled == coupons.restored + coupons.changed + coupons.gone


# What a reader must not be misled by.


def test_low_rules_do_not_lower_what_nobody_governs() -> None:
    """A P4 rule beside ungoverned patterns is P2, and no small thing."""
    low = replace(POLICY, rules=(Rule(KeyPattern(COUPONS), DAY_S, priority=Priority.P4),))
    ((_, facts),) = action_required(audit_of(row("x", COUPONS, 1, 1), row("nobody:{n}", None, 900, 900)), low)
    assert (facts.priority, facts.urgency) == ("P2", Urgency.NORMAL)


def test_many_patterns_of_next_to_nothing_are_something() -> None:
    """A hundred and fifty that nobody governs, none of one percent: the largest three are named, as one thing that is told once."""
    rows = [row(f"p{number:03}:{{n}}", None, 10, 6) for number in range(150)]
    ((_, facts),) = action_required(audit_of(*rows), POLICY)
    assert [each.pattern for each in facts.unknown] == ["p000:{n}", "p001:{n}", "p002:{n}"]
    assert facts.other_unknown_patterns == 147
    assert facts.items == ("no rule for many",)


def test_databases_are_not_told_apart() -> None:
    """One pattern of three databases is one row with their sum, of an audit and of a drift check."""
    rows = [replace(row("nobody:{n}", None, 100, 90), db=number) for number in range(3)]
    ((_, facts),) = action_required(audit_of(*rows), POLICY)
    assert [(each.pattern, each.no_ttl_keys) for each in facts.unknown] == [("nobody:{n}", 270)]
    finding = replace(REPORT.failing[0], owner="search", new_keys=5, no_ttl_keys=7, growth_per_day=2.0)
    report = replace(REPORT, findings=(finding, replace(finding, db=finding.db + 1, growth_per_day=None)))
    ((_, found),) = drift_found(report, POLICY)
    (only,) = found.findings
    assert (only.new_keys, only.no_ttl_keys, only.growth_per_day) == (10, 14, None)


def test_overdue_keys_are_counted_once() -> None:
    """The new keys of a rule that is overdue are those of its patterns: the message says the number that the failed task says."""
    from redis_ttl.messages.pages.drift_page import failure

    found = drift_found(REPORT, replace(POLICY, owners=()))
    what, _ = failure(REPORT)
    ((_, facts),) = found
    assert what.startswith(f"{facts.new_keys:,} ")


def test_a_rules_own_date_comes_first() -> None:
    """A rule that is due before the message's deadline sets it; a later one doesn't."""
    due = dt.date(2026, 2, 14)
    rules = (replace(POLICY.rules[0], due=due), *POLICY.rules[1:])
    audit = replace(audit_of(*ROWS), finished_at="2026-02-12T12:00:00+00:00")
    found = by_team(action_required(audit, replace(POLICY, rules=rules)))
    assert found["isales-marketing"].deadline == due
    assert found["search"].deadline == dt.date(2026, 2, 26)


def test_a_reminder_keeps_the_deadline() -> None:
    """It counts from when it was told first, not from the night that reminds."""
    audit = replace(audit_of(*ROWS), finished_at="2026-02-20T12:00:00+00:00")
    ((owner, facts), _) = action_required(audit, POLICY)
    first = dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)
    assert facts.deadline == dt.date(2026, 3, 6)
    assert since_first_told(facts, first, POLICY, owner).deadline == dt.date(2026, 2, 26)


def test_a_limit_of_the_policy_is_a_limit() -> None:
    """A server without maxmemory is as full as the policy says."""
    policy = replace(POLICY, memory=replace(POLICY.memory, limit_bytes=10**9))
    audit = audit_of(*ROWS)
    servers = tuple(replace(server, memory_limit_bytes=None) for server in audit.plan.servers)
    found = action_required(replace(audit, plan=replace(audit.plan, servers=servers)), policy)
    assert {facts.memory.limit_bytes for _, facts in found} == {10**9}


def test_a_canary_that_was_not_passed_ended_the_run() -> None:
    """By its reasons, though every part that was written came to its end."""
    canary = CanaryReport(
        PLAN.plan_id,
        PLAN.digest,
        passed=False,
        began_at=PART.began_at,
        ended_at="2026-02-20T19:41:00+00:00",
        watched_s=600.0,
        reasons=("evictions", "misses"),
        figures={},
    )
    part = replace(PART, part="canary")
    found = end_of_run(PLAN, [part], [APPROVED], None, POLICY, canary=canary)
    for _, facts in found:
        assert isinstance(facts, RunAborted)
        assert (facts.cause, facts.reason, facts.at) == (AbortCause.GUARD, "evictions; misses", canary.ended_at)
    (_, facts), *_ = end_of_run(PLAN, [part, PART], [APPROVED], None, POLICY, canary=replace(canary, passed=True))
    assert isinstance(facts, RunAborted)
    assert facts.cause is AbortCause.FAILED


def test_what_is_no_approval_is_no_rejection() -> None:
    """Somebody who may not approve and says yes is not quoted as having said no."""
    invalid = replace(
        REJECTED, verdict=Verdict.INVALID, by="mallory", comment="looks good to me", why="may not approve"
    )
    for _, facts in end_of_run(PLAN, [], [invalid], None, POLICY):
        assert isinstance(facts, RunAborted)
        assert (facts.cause, facts.reason, facts.by) == (AbortCause.INVALID, "may not approve", None)


def test_owners_hear_of_their_keys_types() -> None:
    """Each sampled type with its share of all keys of the rule, counters apart from other strings; unknown is nothing."""
    mixed = (
        replace(row("a", COUPONS, 300, 300), types={"string": 6, "hash": 4}, counter_keys=3),
        replace(row("b", COUPONS, 100, 100), types={"set": 2}),
    )
    facts = asked_of(*mixed)
    assert [(each.kind.value, round(each.share, 3)) for each in facts.rules[0].kinds] == [
        ("hash", 0.3), ("set", 0.25), ("string", 0.225), ("counter", 0.225),
    ]  # fmt: skip
    half = (mixed[1], row("c", COUPONS, 100, 100))
    assert {each.kind.value: each.share for each in asked_of(*half).rules[0].kinds} == {"set": 0.5, "other": 0.5}
    assert asked_of(row("c", COUPONS, 100, 100)).rules[0].kinds == ()


def asked_of(*rows: PatternStatistics) -> ActionRequired:
    """What the owner hears of an audit with these rows."""
    return action_required(audit_of(*rows), POLICY)[0][1]


def test_the_request_has_what_the_plan_warns_of() -> None:
    """Each owner the warnings of its own rules, and those of the plan; of a plan of an older version in its own words."""
    (_, first), (_, second) = approval_requested(PLAN, REQUEST, POLICY)
    assert first.rules[0].cautions == PLAN.rules[0].cautions
    assert first.cautions == second.cautions == PLAN.cautions
    assert [caution.text for caution in second.rules[0].cautions] == list(PLAN.rules[1].warnings)
    assert first.rules[0].window_s == PLAN.rules[0].window_s + PLAN.forecast.late_s


def test_memory_limit_is_each_server_s_own() -> None:
    """Of two servers without maxmemory each may use what the policy says."""
    unlimited = tuple(replace(AUDIT.plan.servers[0], memory_limit_bytes=None) for _ in range(2))
    audit = replace(audit_of(*ROWS), plan=replace(AUDIT.plan, servers=unlimited))
    policy = replace(POLICY, memory=replace(POLICY.memory, limit_bytes=10**9))
    assert action_required(audit, policy)[0][1].memory.limit_bytes == 2 * 10**9
    assert action_required(audit, POLICY)[0][1].memory.limit_bytes is None
