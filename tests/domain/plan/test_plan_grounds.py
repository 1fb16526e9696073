"""What a plan rests on: the rules that judged the audit, the data set that it read, and the program that cut it into shards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from redis_ttl.domain.audit.audit import Audit
from redis_ttl.domain.audit.server import Flavour, ServerProfile
from redis_ttl.domain.audit.shards import SplitRule
from redis_ttl.domain.errors import StaleAudit, WrongServer
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.planning import PlanRequest, make_plan
from redis_ttl.domain.policy.policy import Exemption, Policy, Rule
from tests.domain.plan.test_planning import AGREED, COUPON, DAY_S, NOW, POLICY, SEEN, SERVER, audit_of, plan_of

CONFIG = Exemption(KeyPattern("config:{name}"), "read at start-up")
ANOTHER = Rule(KeyPattern("cart:{id}"), 60 * DAY_S, sign_off=AGREED)


def changed(policy: Policy = POLICY, audited_by: Policy = POLICY, **audited: Any) -> str:
    """What is found when an audit by one policy is planned by another; empty when it may be."""
    audit = audit_of(policy=audited_by)
    audit = replace(audit, plan=replace(audit.plan, **audited))
    try:
        plan_of(audit, policy)
    except StaleAudit as error:
        return str(error.found) if "used other patterns" in str(error) else str(error)
    return ""


def test_the_patterns_of_the_audit_must_be_those_of_now() -> None:
    """Rules and exemptions, in their order; whatever else was changed since leaves the counts as they are."""
    coupon, seen = POLICY.rules
    assert changed(replace(POLICY, rules=(replace(coupon, ttl_s=90 * DAY_S), seen))) == ""
    assert changed(replace(POLICY, rules=(*POLICY.rules, ANOTHER))) == "new: `cart:{id}`"
    assert changed(replace(POLICY, rules=(seen,))) == f"gone: `{COUPON}`"
    assert changed(replace(POLICY, rules=(ANOTHER, seen))) == f"new: `cart:{{id}}`; gone: `{COUPON}`"
    assert changed(replace(POLICY, exemptions=(CONFIG,))) == "new: `config:{name}`"
    assert changed(replace(POLICY, rules=(seen, coupon))) == "the same patterns in another order or role"
    exempt = replace(POLICY, rules=(coupon,), exemptions=(Exemption(KeyPattern(SEEN), "kept"),))
    assert changed(exempt) == "the same patterns in another order or role"


def test_an_audit_that_does_not_say_its_exemptions_is_good_for_its_own_policy_only() -> None:
    """Version 0.1 didn't keep them: with any change of the policy nobody can tell."""
    assert changed(exemptions=None) == ""
    longer = replace(POLICY, rules=(replace(POLICY.rules[0], ttl_s=90 * DAY_S), POLICY.rules[1]))
    assert changed(longer, exemptions=None) == "an audit that doesn't say which exemptions it knew"


def planned(*servers: ServerProfile, audit: Audit | None = None) -> list[tuple[str, str]]:
    """The servers of the plan that is made of the audit when these are the primaries."""
    request = PlanRequest("20260220T190000Z-0a1b2c", "dag/run", NOW, "20000/s", "gentle")
    plan = make_plan(audit or audit_of(), POLICY, servers, request)
    assert [(shard.node, shard.run_id) for shard in plan.shards] == [(each.address, each.run_id) for each in plan.nodes]
    return [(each.address, each.run_id) for each in plan.nodes]


def test_the_data_set_is_known_by_its_replication_id() -> None:
    """The present one or the former, wherever it is now and whatever process has it; shards are read there."""
    elsewhere = replace(SERVER, address="10.0.0.8:6379", run_id="s" * 40)
    assert planned(elsewhere) == [("10.0.0.8:6379", "s" * 40)]
    promoted = replace(elsewhere, lineage="n" * 40, former_lineage=SERVER.lineage)
    assert planned(promoted) == [("10.0.0.8:6379", "s" * 40)]
    with pytest.raises(WrongServer, match=r"another data set.*10.0.0.8:6379 \(n{40}\).*Audit again"):
        planned(replace(elsewhere, lineage="n" * 40))


def test_without_a_replication_id_the_process_must_be_the_same() -> None:
    """It is named by what it says of itself."""
    alone = replace(SERVER, lineage="")
    audit = audit_of(server=alone)
    assert planned(alone, audit=audit) == [(SERVER.address, SERVER.run_id)]
    with pytest.raises(
        WrongServer, match=r"replication id unknown, run_id r{40}; expected one of 10.0.0.7:6379 \(s{40}\)"
    ):
        planned(replace(alone, run_id="s" * 40), audit=audit)


def test_a_primary_that_was_not_audited_is_refused() -> None:
    """Its keys are in no count."""
    with pytest.raises(WrongServer, match=r"audit didn't read all primaries.*10.0.0.8:6379"):
        planned(SERVER, replace(SERVER, address="10.0.0.8:6379", lineage="n" * 40))


def test_each_server_of_the_audit_is_another_one_now() -> None:
    """Two that were read can't both be continued by one."""
    audit = audit_of()
    other = replace(SERVER, address="10.0.0.8:6379", lineage="m" * 40)
    audit = replace(audit, plan=replace(audit.plan, servers=(SERVER, other)))
    with pytest.raises(WrongServer, match=r"another data set.*10.0.0.8:6379 with"):
        planned(SERVER, audit=audit)
    assert planned_of_two(audit, other) == [SERVER.address, other.address]


def planned_of_two(audit: Audit, other: ServerProfile) -> list[str]:
    """The servers of a plan of both, given the other way round."""
    request = PlanRequest("20260220T190000Z-0a1b2c", "dag/run", NOW, "20000/s", "gentle")
    return [each.address for each in make_plan(audit, POLICY, [other, SERVER], request).nodes]


@pytest.mark.parametrize(
    "program", [{"flavour": Flavour.VALKEY}, {"version": "7.2.0"}, {"cluster_enabled": True}], ids=str
)
def test_a_keyspace_is_cut_alike_by_the_same_program_only(program: dict[str, object]) -> None:
    """Another version may walk its table in another order; one shard over everything doesn't mind."""
    now = replace(SERVER, **program)  # type: ignore[arg-type]  # fields by name
    assert planned(now) == [(SERVER.address, SERVER.run_id)]
    audit = audit_of()
    by_bits = tuple(replace(shard, rule=SplitRule.BITS) for shard in audit.plan.shards)
    cut = replace(audit, plan=replace(audit.plan, shards=by_bits))
    assert planned(SERVER, audit=cut) == [(SERVER.address, SERVER.run_id)]
    with pytest.raises(WrongServer, match=r"runs other software than when it was audited.*expected redis 7.0.15"):
        planned(now, audit=cut)


@pytest.mark.parametrize(
    ("age_s", "words"),
    [
        (3 * DAY_S, "too old to plan from; found finished 3d ago; expected at most 1d ago .*Audit again."),
        (-3_600, "made in the future; found finished 1h from now; .*Correct the clocks"),
    ],
)
def test_an_audit_that_is_no_longer_good_says_its_age(age_s: float, words: str) -> None:
    """And what to do."""
    with pytest.raises(StaleAudit, match=words):
        plan_of(audit_of(age_s=age_s))
