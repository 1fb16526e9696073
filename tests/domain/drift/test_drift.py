"""What of new keys fails, how fast they come, and since when."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.drift.drift import (
    EXAMPLES_SHOWN,
    Baseline,
    BaselineKind,
    ComparisonScope,
    DriftFinding,
    DriftKind,
    DriftReport,
    FingerprintRange,
    NewKeys,
    PatternKeys,
    Verdict,
)
from redis_ttl.domain.drift.judging import judge
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.policy import DriftSettings, DriftTolerance, Exemption, Owner, Policy, Rule
from tests.messages.pages.test_drift_page import REPORT

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


def findings(policy: Policy, found: list[NewKeys], rows: list[PatternKeys]) -> dict[str, DriftFinding]:
    """The findings by their pattern."""
    made = judge(policy, found, rows, audited_at=NOW, accepted_at=ACCEPTED, before=None)
    return {each.pattern: each for each in made}


def test_a_finding_says_whose_keys_of_how_many() -> None:
    """A finding names its rule or exemption, the owner, the day that is due, and what the audit counted of its pattern."""
    rule = replace(CART, owner="cart-team", due=NOW.date() + dt.timedelta(days=9))
    policy = replace(
        POLICY,
        owners=(Owner("cart-team"),),
        rules=(rule,),
        exemptions=(Exemption(KeyPattern("lock:{n}"), "kept"),),
        drift=DriftSettings(DriftTolerance(keys=7)),
    )
    rows = [
        ROW,
        PatternKeys(0, "cart:{n}", Governance.NONE, None, 10, 5),
        PatternKeys(3, "cart:{n}", Governance.RULE, "cart:{id}", 77, 7),
        PatternKeys(0, "lock:{n}", Governance.EXEMPT, "lock:{n}", 40, 30),
    ]
    found = findings(
        policy,
        [
            new(3),
            NewKeys(0, "lock:{n}", Governance.EXEMPT, "lock:{n}", wiped=False, keys=12),
            NewKeys(0, "misc:{n}", Governance.NONE, None, wiped=False, keys=9),
        ],
        rows,
    )
    cart, lock, misc = found["cart:{n}"], found["lock:{n}"], found["misc:{n}"]
    assert (cart.rule, cart.exemption, cart.owner) == ("cart:{id}", None, "cart-team")
    assert (cart.keys, cart.no_ttl_keys, cart.allowed_keys, cart.fails) == (1_010, 55, 7, False)
    assert cart.due == (NOW.date() + dt.timedelta(days=9)).isoformat()
    assert (lock.rule, lock.exemption, lock.owner, lock.due) == (None, "lock:{n}", "checkout", None)
    assert (lock.keys, lock.no_ttl_keys, lock.allowed_keys, lock.fails) == (40, 30, None, False)
    assert (misc.kind, misc.rule, misc.exemption, misc.owner) == (DriftKind.RULE_MISSING, None, None, "checkout")
    # What the comparison counted and the audit's table doesn't show is at least what was counted.
    assert (misc.keys, misc.no_ttl_keys, misc.allowed_keys, misc.fails) == (9, 9, 100, False)


def test_a_rule_without_a_date_has_none() -> None:
    """A finding of a rule that has no date says none."""
    assert findings(POLICY, [new(1)], [ROW])["cart:{n}"].due is None


def test_all_keys_that_nothing_governs_share_one_tolerance() -> None:
    """A hundred new ungoverned keys over all patterns are let pass, one more isn't, whatever exempt keys come on top."""
    policy = replace(POLICY, exemptions=(Exemption(KeyPattern("lock:{n}"), "kept"),))
    exempt = NewKeys(0, "lock:{n}", Governance.EXEMPT, "lock:{n}", wiped=False, keys=5_000)

    def misc(pattern: str, keys: int) -> NewKeys:
        return NewKeys(0, pattern, Governance.NONE, None, wiped=False, keys=keys)

    passed = findings(policy, [misc("a:{n}", 60), misc("b:{n}", 40), exempt], [])
    assert not any(each.fails for each in passed.values())
    failed = findings(policy, [misc("a:{n}", 60), misc("b:{n}", 41), exempt], [])
    assert {name for name, each in failed.items() if each.fails} == {"a:{n}", "b:{n}"}


def test_a_share_is_of_all_keys_of_the_rule() -> None:
    """A tolerated share counts the keys of every pattern and database that the rule governs."""
    policy = replace(POLICY, drift=DriftSettings(DriftTolerance(ratio=0.01)))
    rows = [ROW, PatternKeys(3, "cart:{hex}", Governance.RULE, "cart:{id}", 500, 0)]
    assert not findings(policy, [new(15)], rows)["cart:{n}"].fails
    assert findings(policy, [new(16)], rows)["cart:{n}"].fails
    assert findings(policy, [new(1)], [])["cart:{n}"].fails, "a share of nothing is nothing"


def test_a_budget_of_a_day_counts_from_the_acceptance() -> None:
    """A budget per day grows with the days since the baseline was accepted, and is that of one day at least."""
    policy = replace(POLICY, drift=DriftSettings(DriftTolerance(keys_per_day=10)))

    def fails(keys: int, hours: float) -> bool:
        accepted = NOW - dt.timedelta(hours=hours)
        (found,) = judge(policy, [new(keys)], [ROW], audited_at=NOW, accepted_at=accepted, before=None)
        return found.fails

    assert not fails(10, 1)
    assert fails(11, 1)
    assert not fails(15, 36)
    assert fails(16, 36)


def test_growth_is_told_from_an_hour_on() -> None:
    """Between checks less than an hour apart nothing is said of a day; from an hour on it is, to a tenth of a key."""

    def growth(seconds: float, keys: int) -> float | None:
        accepted = NOW - dt.timedelta(seconds=seconds)
        (found,) = judge(POLICY, [new(keys)], [ROW], audited_at=NOW, accepted_at=accepted, before=None)
        return found.growth_per_day

    assert growth(3_599, 5) is None
    assert growth(3_600, 5) == 120.0
    assert growth(3 * 86_400, 100) == 33.3


def test_what_is_overdue_counts_all_of_its_keys() -> None:
    """An overdue rule is one finding over all of its patterns and databases, with its new keys, and it always fails."""
    late = replace(
        POLICY, rules=(replace(CART, due=NOW.date() - dt.timedelta(days=1)), Rule(KeyPattern("other:{n}"), 60))
    )
    rows = [
        replace(ROW, db=3),
        PatternKeys(2, "cart:{hex}", Governance.RULE, "cart:{id}", 10, 0),
        PatternKeys(0, "other:{n}", Governance.RULE, "other:{n}", 7, 7),
        PatternKeys(0, "cart:x", Governance.NONE, None, 9, 9),
        PatternKeys(0, "cart:y", Governance.EXEMPT, "cart:{id}", 9, 9),
    ]
    others = NewKeys(0, "other:{n}", Governance.RULE, "other:{n}", wiped=False, keys=2)
    exempt = NewKeys(0, "cart:y", Governance.EXEMPT, "cart:{id}", wiped=False, keys=30)
    policy = replace(late, drift=DriftSettings(DriftTolerance(keys=1_000)))
    overdue = findings(policy, [new(4), new(3, "cart:{hex}"), others, exempt], rows)["cart:{id}"]
    assert (overdue.kind, overdue.db, overdue.new_keys) == (DriftKind.OVERDUE, 2, 7)
    assert (overdue.keys, overdue.no_ttl_keys, overdue.allowed_keys, overdue.fails) == (1_010, 50, 0, True)
    assert (overdue.rule, overdue.exemption, overdue.owner) == ("cart:{id}", None, "checkout")
    assert overdue.due == (NOW.date() - dt.timedelta(days=1)).isoformat()
    kept = [PatternKeys(0, "cart:{n}", Governance.RULE, "cart:{id}", 10, 0)]
    assert findings(policy, [], kept) == {}, "a rule that is kept isn't overdue"


def test_what_fails_comes_first_and_then_the_largest() -> None:
    """Findings are in the order of a person's interest: those that fail, by new keys, by keys without TTL."""
    policy = replace(POLICY, rules=(CART, Rule(KeyPattern("b:{n}"), 60, drift=DriftTolerance(keys=10_000))))

    def of_b(pattern: str, keys: int) -> NewKeys:
        return NewKeys(0, pattern, Governance.RULE, "b:{n}", wiped=False, keys=keys)

    rows = [
        PatternKeys(0, "b:2", Governance.RULE, "b:{n}", 90, 80),
        PatternKeys(0, "b:3", Governance.RULE, "b:{n}", 90, 85),
    ]
    found = [
        of_b("b:1", 900),
        new(1, "cart:small"),
        of_b("b:2", 70),
        of_b("b:3", 70),
        new(5, "cart:large"),
        of_b("b:0", 70),
    ]
    assert list(findings(policy, found, rows)) == ["cart:large", "cart:small", "b:1", "b:3", "b:2", "b:0"]


def test_rows_of_one_finding_are_one() -> None:
    """Two rows of one pattern, kind and database are added up; rows without keys are no finding."""
    found = findings(POLICY, [new(3), new(4), new(0, "cart:none")], [ROW])
    assert {name: each.new_keys for name, each in found.items()} == {"cart:{n}": 7}


def test_documents_of_drift_survive_json() -> None:
    """Baselines, reports and ranges that went through JSON text are the same."""
    ranges = (FingerprintRange(0, 2**63 - 1, 5, "a"), FingerprintRange(2**63, 2**64 - 1, 6, "b"))
    baseline = Baseline(
        2, "shop", BaselineKind.ACCEPTED, "audit-2", "x", 11, (0, 3), ranges, 2, "y", 1, "li", "why", "run"
    )
    for each in (baseline, replace(baseline, databases=None, previous=None)):
        assert from_plain(Baseline, json.loads(json.dumps(to_plain(each)))) == each
    assert to_plain(baseline)["ranges"][1]["last"] == "f" * 16
    found = findings(POLICY, [new(5)], [ROW])["cart:{n}"].with_examples(("a", "b"))
    report = replace(REPORT, findings=(found,), notes=("one",))
    assert from_plain(DriftReport, json.loads(json.dumps(to_plain(report)))) == report


def test_a_report_counts_what_fails() -> None:
    """The headline of a report has the number of its findings and of those that fail."""
    fails = findings(POLICY, [new(5)], [ROW])["cart:{n}"]
    report = replace(REPORT, findings=(fails, replace(fails, fails=False), replace(fails, fails=False)))
    assert report.failing == (fails,)
    assert (report.headline()["findings"], report.headline()["failing"]) == (3, 1)


def test_a_finding_shows_ten_names_at_most() -> None:
    """Of many examples the first ten are kept."""
    names = tuple(f"cart:{number}" for number in range(30))
    assert findings(POLICY, [new(30)], [ROW])["cart:{n}"].with_examples(names).examples == names[:10]
    assert EXAMPLES_SHOWN == 10


def test_a_comparison_is_an_ordinary_one_unless_told_otherwise() -> None:
    """A scope that says no more is no first check, accepts nothing, and lets keys leave."""
    scope = ComparisonScope(0, None, None)
    assert (scope.is_first, scope.accepts_all, scope.may_leave) == (False, False, True)


def test_a_share_of_no_keys_is_none() -> None:
    """New keys of a rule that the audit counted nothing of are beyond any tolerance in percent."""
    policy = replace(POLICY, drift=DriftSettings(tolerance=DriftTolerance(ratio=1.0)))
    findings = judge(policy, [new(1)], [], audited_at=NOW, accepted_at=ACCEPTED, before=None)
    assert [(each.allowed_keys, each.fails) for each in findings] == [(0, True)]
