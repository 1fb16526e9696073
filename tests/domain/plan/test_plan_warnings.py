"""What a plan warns of, and the figures of its rules that come from samples and several rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from redis_ttl.domain.audit.estimate import Sample
from redis_ttl.domain.audit.server import Access, Command, ServerProfile
from redis_ttl.domain.errors import CapExceeded, ExpiryStorm, InvalidOption
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.plan.expiry_windows import Standing
from redis_ttl.domain.plan.limits import coming
from redis_ttl.domain.plan.other_plans import OtherPlan, OtherRule, OtherState
from redis_ttl.domain.plan.plan import Plan, PlannedDatabase
from redis_ttl.domain.plan.planning import PlanRequest, make_plan
from redis_ttl.domain.plan.warnings import plan_warnings, weighted
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Caps, Cold, Policy, Rule
from tests.domain.plan.test_planning import (
    AGREED,
    COUPON,
    DAY_S,
    NOW,
    POLICY,
    ROWS,
    SEEN,
    SERVER,
    audit_of,
    plan_of,
    row,
)

HASHES = {"string": 6, "hash": 3, "set": 1}


def warned(*rows: Any, policy: Policy = POLICY, server: ServerProfile = SERVER) -> list[tuple[str, Caution]]:
    """The warnings of the first rule of the plan of these rows, beside what is said of every string."""
    return [each for each in all_warned(*rows, policy=policy, server=server) if each[1].kind is not CautionKind.STRINGS]


def all_warned(*rows: Any, policy: Policy = POLICY, server: ServerProfile = SERVER) -> list[tuple[str, Caution]]:
    """Those, and that nobody can tell how strings are written."""
    rule = plan_of(audit_of(*rows, ROWS[1]), policy, server=server).rules[0]
    return list(zip(rule.warnings, rule.cautions, strict=True))


def test_a_mean_is_weighted_by_keys() -> None:
    """What isn't known doesn't count, nor what no key has."""
    assert weighted([(0.5, 100), (0.0, 300)]) == 0.125
    assert weighted([(0.5, 100), (None, 300), (1.0, 0)]) == 0.5
    assert weighted([(None, 100)]) is None
    assert weighted([(0.5, 0)]) is None
    assert weighted([]) is None


def test_values_that_are_updated_in_place_are_warned_of() -> None:
    """Kinds of at least one percent, by the share of the keys that would change, with the day of the first expiry."""
    ((text, caution),) = warned(row(COUPON, 1_000, 300, types=HASHES))
    assert caution == Caution(CautionKind.IN_PLACE, ttl_s=60 * DAY_S, kinds=("hash 30%", "set 10%"))
    assert "(hash 30%, set 10%)" in text
    assert "60d after approval (2026-04-21 if approved today)" in text
    one = row(COUPON, 1_000, 100, types={"hash": 1, "string": 99})
    assert warned(one)[0][1].kinds == ("hash 1%",)
    assert warned(row(COUPON, 1_000, 100, types={"hash": 1, "string": 100})) == []
    unchanged = replace(row(COUPON, 1_000, 0, types={"hash": 1}), pattern="coupon:x")
    assert warned(row(COUPON, 1_000, 100, types={"string": 1}), unchanged) == []
    counters = row(COUPON, 1_000, 100, types={"string": 4}, counter_keys=1)
    assert warned(counters)[0][1].kinds == ("counter 25%",)


def test_types_that_are_nobodys_are_named() -> None:
    """A module's type, or a new one of Redis, is updated in place by its own name; what has none is ``other``. Of many the largest
    are shown.
    """
    known = row(COUPON, 1_000, 100, types={"string": 5, "other": 5}, other_types={"vectorset": 3, "ReJSON-RL": 1})
    assert warned(known)[0][1].kinds == ("ReJSON-RL 10%", "other 10%", "vectorset 30%")
    many = row(COUPON, 1_000, 100, types={"other": 99}, other_types={f"t{number:02}": 5 for number in range(19)})
    assert len(warned(many)[0][1].kinds) == 12


def test_strings_that_nobody_can_tell_of_are_said() -> None:
    """Whether SET replaces a string can't be seen: from one percent on, the plan says so, but not of those that are known."""
    texts, cautions = zip(
        *all_warned(row(COUPON, 1_000, 100, types={"string": 4}, counter_keys=1, short_raw_keys=2)), strict=True
    )
    assert [each.kind for each in cautions] == [CautionKind.IN_PLACE, CautionKind.STRINGS]
    assert cautions[0].kinds == ("counter 25%", "string written in place 50%")
    assert (cautions[1].ratio, cautions[1].ttl_s) == (0.25, 60 * DAY_S)
    assert all(
        word in texts[1] for word in ("APPEND", "SETBIT", "PFADD", "INCRBYFLOAT", "doesn't report how they are written")
    )
    known = row(COUPON, 1_000, 100, types={"string": 4}, counter_keys=4)
    assert [each[1].kind for each in all_warned(known)] == [CautionKind.IN_PLACE]


@pytest.mark.parametrize(("cold", "kind"), [(None, CautionKind.IN_USE), (Cold(idle_s=60), CautionKind.IN_USE_LEFT)])
def test_keys_in_use_are_warned_of(cold: Cold | None, kind: CautionKind) -> None:
    """From one percent on, by what the rule makes of them; the plan keeps the share."""
    asked = replace(SERVER, can={Command.OBJECT_IDLETIME: Access.ALLOWED})
    first = replace(POLICY.rules[0], cold=cold)
    policy = replace(POLICY, rules=(first, POLICY.rules[1]))
    used = row(COUPON, 1_000, 300, idles_s=Sample(100, 1.0, 1.0, 1.0), hot_keys=1)
    ((text, caution),) = warned(used, policy=policy, server=asked)
    assert caution == Caution(kind, ratio=0.01)
    assert text.startswith("about 1% of the keys are in use; ")
    less = replace(used, idles_s=Sample(101, 1.0, 1.0, 1.0))
    assert warned(less, policy=policy, server=asked) == []
    assert plan_of(audit_of(less, ROWS[1]), policy, server=asked).rules[0].hot_ratio == 0.0099
    assert plan_of().rules[0].hot_ratio is None


@pytest.mark.parametrize(("eviction", "warns"), [("volatile-lru", True), ("allkeys-lru", False), (None, False)])
def test_a_policy_that_evicts_keys_with_a_ttl_is_warned_of(eviction: str | None, *, warns: bool) -> None:
    """These keys are among the first to go once they have one."""
    plan = plan_of(server=replace(SERVER, eviction_policy=eviction))
    assert plan.eviction_policy == eviction
    assert [each.kind for each in plan.cautions] == [CautionKind.EVICTABLE] * warns
    assert [each.name for each in plan.cautions] == [eviction] * warns


def test_what_other_plans_leave_open_is_warned_of() -> None:
    """One that waits for its approval, and one whose documents are damaged, each by its name; nothing of a plan that was written."""
    waits = OtherPlan("p-waits", OtherState.WAITING, ())
    damaged = OtherPlan("p-damaged", OtherState.WRITTEN, (), unread=True)
    written = OtherPlan("p-written", OtherState.WRITTEN, ())
    found = plan_warnings(audit_of(), "noeviction", [waits, damaged, written])
    assert [(each.caution.kind, each.caution.name) for each in found] == [
        (CautionKind.OTHER_WAITS, "p-waits"),
        (CautionKind.OTHER_UNREAD, "p-damaged"),
    ]
    assert all(str(each.caution.name) in each.text for each in found)


def test_what_the_audit_noticed_on_its_way_is_told() -> None:
    """What it knew before it began stands in its own report."""
    audit = audit_of()
    audit = replace(
        audit, plan=replace(audit.plan, warnings=("known before",)), warnings=("known before", "slots moved")
    )
    assert [(each.text, each.caution) for each in plan_warnings(audit, None, [])] == [
        ("slots moved", Caution(CautionKind.TEXT, text="slots moved"))
    ]


def test_sizes_are_estimates_of_what_would_change() -> None:
    """The sum over the rows with keys to change; none where one of them wasn't sampled."""
    sampled = row(COUPON, 1_000, 300, sizes=Sample(10, 1_000.0, 100_000.0, 100.0))
    other = replace(row("coupon:x{n}", 50, 20, sizes=Sample(4, 800.0, 160_000.0, 200.0)), governed_by=COUPON)
    untouched = replace(row("coupon:y{n}", 50, 0), governed_by=COUPON)
    rule = plan_of(audit_of(sampled, other, untouched, ROWS[1])).rules[0]
    assert (rule.size_bytes, rule.size_low_bytes, rule.size_high_bytes) == (34_000, 34_000, 34_000)
    unsampled = replace(other, sizes=Sample())
    assert plan_of(audit_of(sampled, unsampled, ROWS[1])).rules[0].size_bytes is None


def test_keys_that_get_a_ttl_and_keys_that_get_a_shorter_one_count_alike() -> None:
    """Sizes and the share of keys in use are those of all keys of a row that would change, in one way or the other."""
    asked = Sample(10, 1.0, 1.0, 1.0)
    mixed = row(SEEN, 100, 30, 20, sizes=Sample(10, 1_000.0, 100_000.0, 100.0), idles_s=asked, hot_keys=2)
    other = replace(row("seen:x{n}", 100, 0, 150, sizes=mixed.sizes, idles_s=asked), governed_by=SEEN)
    rule = plan_of(audit_of(ROWS[0], mixed, other)).rules[1]
    assert rule.size_bytes == 20_000
    assert rule.hot_ratio == 0.05


def test_examples_are_of_what_changes_most() -> None:
    """Three names, of the rows with the most keys to change first, and none of a row that nothing happens to."""
    rows = (
        row(COUPON, 10, 5, examples=(b"coupon:1", b"coupon:2")),
        replace(row("coupon:x{n}", 50, 20, examples=(b"coupon:x1", b"coupon:\xff")), governed_by=COUPON),
        replace(row("coupon:y{n}", 99, 0, examples=(b"coupon:y1",)), governed_by=COUPON),
    )
    rule = plan_of(audit_of(*rows, ROWS[1])).rules[0]
    assert rule.examples == ("coupon:x1", "coupon:\\xff", "coupon:1")
    capped = (row(SEEN, 10, 1, 0, examples=(b"seen:1",)), replace(row("seen:x{n}", 10, 0, 2, examples=(b"seen:x",))))
    assert plan_of(audit_of(ROWS[0], capped[0], replace(capped[1], governed_by=SEEN))).rules[1].examples == (
        "seen:x",
        "seen:1",
    )


def test_each_database_has_its_own_counts() -> None:
    """Those with keys to change, by their numbers."""
    rows = (
        replace(row(SEEN, 10, 1, 2), db=3),
        row(SEEN, 10, 4, 0),
        replace(row(SEEN, 10, 0, 0), db=2),
        replace(row(SEEN, 10, 0, 5), db=1),
    )
    rule = plan_of(audit_of(ROWS[0], *rows)).rules[1]
    assert rule.databases == (
        PlannedDatabase(0, {Action.SET: 4}),
        PlannedDatabase(1, {Action.CAP: 5}),
        PlannedDatabase(3, {Action.SET: 1, Action.CAP: 2}),
    )
    assert rule.changes == {Action.SET: 5, Action.CAP: 7}


@pytest.mark.parametrize(
    ("cold", "eviction", "can", "words"),
    [
        (Cold(idle_s=60), "noeviction", Command.OBJECT_IDLETIME, None),
        (
            Cold(idle_s=60),
            "noeviction",
            Command.OBJECT_FREQ,
            "doesn't let us ask OBJECT IDLETIME (ACL rule +object|idletime)",
        ),
        (Cold(idle_s=60), "allkeys-lfu", Command.OBJECT_FREQ, "told by OBJECT FREQ: give the rule a `cold.freq`"),
        (Cold(freq_at_most=5), "allkeys-lfu", Command.OBJECT_FREQ, None),
        (Cold(freq_at_most=0), "allkeys-lfu", Command.OBJECT_FREQ, None),
        (Cold(freq_at_most=5), None, Command.OBJECT_IDLETIME, "policy unknown of 10.0.0.7:6379"),
        (Cold(idle_s=0), None, Command.OBJECT_IDLETIME, None),
    ],
)
def test_a_rule_for_cold_keys_needs_a_server_that_tells(
    cold: Cold, eviction: str | None, can: Command, words: str | None
) -> None:
    """By idle time, or under an LFU policy by the counter of uses; what can't be asked leaves the rule out with the reason."""
    policy = replace(POLICY, rules=(replace(POLICY.rules[0], cold=cold), POLICY.rules[1]))
    server = replace(SERVER, eviction_policy=eviction, can={can: Access.ALLOWED})
    refusal = plan_of(policy=policy, server=server).rules[0].refusal
    assert refusal is None if words is None else words in str(refusal)


def test_keys_that_were_counted_by_another_ttl_are_not_capped() -> None:
    """How many have too long a TTL is the audit's count; under ``set`` the TTL may be changed since."""
    coupon, seen = POLICY.rules
    for changed in (replace(seen, ttl_s=40 * DAY_S), replace(seen, jitter_ratio=0.5)):
        refusal = plan_of(audit_of(), replace(POLICY, rules=(coupon, changed))).rules[1].refusal
        assert "changed since the audit" in str(refusal)
    longer = replace(POLICY, rules=(replace(coupon, ttl_s=90 * DAY_S), seen))
    assert plan_of(audit_of(), longer).rules[0].refusal is None
    assert plan_of(audit_of(), longer).rules[0].mode is Mode.SET


def test_many_unknown_rules_are_not_all_named() -> None:
    """Twenty of them, and how many more."""
    with pytest.raises(InvalidOption) as caught:
        plan_of(rules=tuple(f"nope:{number}" for number in range(23)))
    assert str(caught.value.found).endswith("`nope:19` and 3 more")
    assert caught.value.allowed == f"one of `{COUPON}`, `{SEEN}`"
    with pytest.raises(InvalidOption) as caught:
        plan_of(rules=tuple(f"nope:{number}" for number in range(20)))
    assert str(caught.value.found).endswith("`nope:19`")


def crowded(per_s: float, *, state: OtherState = OtherState.WRITTEN, unread: bool = False) -> OtherPlan:
    """Another plan whose keys expire all the time."""
    first_ms, last_ms = int(NOW.timestamp() * 1000), int((NOW + dt.timedelta(days=400)).timestamp() * 1000)
    return OtherPlan("p-other", state, (OtherRule("their:{n}", 10**6, first_ms, last_ms, per_s),), unread)


def planned_beside(*others: OtherPlan) -> Plan:
    """The plan of everything beside these."""
    return make_plan(audit_of(), POLICY, [SERVER], PlanRequest("p", "dag/run", NOW, "20000/s", "gentle"), others)


def test_expiries_of_other_plans_count_up_to_what_goes_unnoticed() -> None:
    """With them a plan is made as long as no second has more than 2,500; the refusal names them and the day when they are over."""
    assert planned_beside(crowded(2_400.0)).forecast.others_per_s == 2_400
    assert planned_beside(crowded(1_000.0), crowded(1_200.0)).forecast.others_per_s == 2_200
    assert planned_beside(crowded(9_999.0, state=OtherState.WAITING)).forecast.others_per_s == 0
    with pytest.raises(ExpiryStorm, match=r"2,\d{3}/s at peak, with the keys of plan p-other") as caught:
        planned_beside(crowded(2_500.0), OtherPlan("p-empty", OtherState.WRITTEN, ()))
    assert caught.value.allowed == "2,500/s"
    assert "by 2027-03-27 19:00 UTC" in str(caught.value.todo)


def test_keys_may_be_written_until_the_approval_ends() -> None:
    """A plan may wait for its approval, and be written at the end of it: so much later its keys may expire."""
    found = coming(POLICY, [crowded(5.0)], NOW)
    settings = POLICY.remediation
    assert found.late_s == settings.approval_timeout_s + settings.approval_valid_s + 900
    assert found.standing == (Standing(0, 400 * DAY_S, 5.0),)


def test_a_run_beyond_its_cap_names_what_would_fit() -> None:
    """Those that free memory soonest first; without any that fits, other means are named."""
    third = Rule(KeyPattern("cart:{id}"), 10 * DAY_S, sign_off=AGREED)
    policy = replace(POLICY, rules=(*POLICY.rules, third))
    audit = audit_of(*ROWS, row("cart:{id}", 200, 150), policy=policy)

    def refused(most: int) -> str:
        capped = replace(policy, remediation=replace(policy.remediation, run_caps=Caps(most, None)))
        with pytest.raises(CapExceeded) as caught:
            plan_of(audit, capped)
        return str(caught.value.todo)

    assert "split it: `cart:{id}`, `seen:{id}` would fit; choose these, in several runs" in refused(399)
    assert "split it: `cart:{id}` would fit" in refused(150)
    assert "split it: `seen:{id}` would fit" in refused(149)
    assert "delete keys by other means first: no single rule fits." in refused(99)
