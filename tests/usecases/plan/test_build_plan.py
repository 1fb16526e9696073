"""Plans of real servers: what they count, whom they are good for, and what they refuse."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from redis_ttl.domain.errors import BadInput, CapExceeded, InvalidOption, NoRoom, StaleAudit, WrongServer
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Caps, Cold, Exemption, Owner, Policy, RemediationSettings, Rule, SignOff
from redis_ttl.usecases.plan.build_plan import build_plan
from tests.adapters.keyspaces import send, set_keys
from tests.usecases.auditing import Auditing

if TYPE_CHECKING:
    from pathlib import Path

    from lab.servers.cluster import Cluster
    from lab.servers.server import Server
    from redis_ttl.domain.audit.audit import Audit

DAY_S = 86_400
AGREED = SignOff("Lin Wei", dt.date(2026, 2, 20))
POLICY = Policy(
    cluster="test",
    connection="redis",
    owner=Owner("shop"),
    remediation=RemediationSettings(run_caps=Caps(None, 1.0), rule_caps=Caps(None, 1.0)),
    rules=(
        Rule(KeyPattern("coupon:{id}"), 60 * DAY_S, sign_off=AGREED),
        Rule(KeyPattern("seen:{id}"), 30 * DAY_S, Mode.CAP, sign_off=AGREED),
        Rule(KeyPattern("draft:{id}"), 30 * DAY_S),
    ),
    exemptions=(Exemption(KeyPattern("coupon:template-{id}"), "read at start-up"),),
)


def fill(client_of: Server | Cluster) -> None:
    """Keys of every kind that the policy speaks of, and some that it doesn't."""
    keys: list[tuple[object, ...]] = [("SET", f"coupon:{number}", number) for number in range(300)]
    keys += [("SET", f"coupon:x{number}", "x", "EX", 5_000) for number in range(40)]
    keys += [("SET", f"coupon:template-{number}", "x") for number in range(20)]
    keys += [("SET", f"seen:{number}", "x", "EX", 364 * DAY_S) for number in range(100)]
    keys += [("SET", f"seen:a{number}", "x", "EX", 60) for number in range(10)]
    keys += [("HSET", f"seen:b{number}", "x", "1") for number in range(50)]
    keys += [("SET", f"draft:{number}", "x") for number in range(30)]
    keys += [("SET", f"other:{number}", "x") for number in range(70)]
    with client_of.client() as client:
        for words in keys:
            client.execute_command(*words)


def plan_of(
    url: str, folder: Path, policy: Policy = POLICY, *, audited_by: Policy | None = None, **options: object
) -> Plan:
    """An audit of the server, and the plan made of it."""
    auditing = Auditing(url, folder, policy=audited_by or policy)
    return plan_from(auditing, auditing.run(), policy, **options)


def plan_from(auditing: Auditing, audit: Audit, policy: Policy = POLICY, **options: object) -> Plan:
    """The plan that this audit gives now."""
    given = {"plan_id": "20260220T190000Z-0a1b2c", "run": "dag/run", "now": dt.datetime.now(dt.UTC), **options}
    return build_plan(auditing.redis, audit, policy, **given)  # type: ignore[arg-type]


def check_counts(plan: Plan) -> None:
    """The figures of the keyspace of `fill`."""
    coupon, seen, draft = plan.rules
    assert (coupon.changes, coupon.refusal) == ({Action.SET: 300}, None)
    assert [(each.why, each.keys) for each in coupon.skipped] == [("have a TTL of their own", 40)]
    assert (seen.changes, seen.refusal) == ({Action.SET: 50, Action.CAP: 100}, None)
    assert [each.keys for each in seen.skipped] == [10]
    assert draft.changes == {Action.SET: 30}
    assert draft.change_keys == 0
    assert draft.refusal is not None
    assert [(each.keys) for each in plan.exempt] == [20]
    assert plan.ungoverned_keys == 70
    assert plan.change_keys == 450
    assert coupon.limit_keys == 430
    assert plan.limit_keys == 620, "430 and 265, but no more than there are"
    assert set(coupon.examples) <= {f"coupon:{number}" for number in range(300)} | {f"coupon:x{n}" for n in range(40)}
    assert coupon.size_bytes is not None


def test_a_plan_counts_what_is_there(any_server: Server, tmp_path: Path) -> None:
    """Per rule the keys without TTL, those with too long a one, those left alone, and the exempt ones apart."""
    fill(any_server)
    plan = plan_of(any_server.url, tmp_path)
    check_counts(plan)
    assert [node.address for node in plan.nodes] == [f"127.0.0.1:{any_server.port}"]
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_plan_of_a_cluster(any_cluster: Cluster, tmp_path: Path) -> None:
    """The counts are those of all primaries together, and every primary is named."""
    fill(any_cluster)
    plan = plan_of(any_cluster.url, tmp_path)
    check_counts(plan)
    assert [node.address for node in plan.nodes] == [f"127.0.0.1:{node.port}" for node in any_cluster.primaries]
    assert {shard.node for shard in plan.shards} == {node.address for node in plan.nodes}


def test_what_is_updated_in_place_is_warned_of(redis7: Server, tmp_path: Path) -> None:
    """Counters and hashes keep the TTL that they get, whoever writes to them."""
    fill(redis7)
    coupon, seen, _ = plan_of(redis7.url, tmp_path).rules
    assert "counter" in coupon.warnings[0]
    assert "60d after approval" in coupon.warnings[0]
    assert "hash 33%" in seen.warnings[0]


def test_keys_in_use_are_warned_of(redis7: Server, tmp_path: Path) -> None:
    """Keys that were used within a day are in use, and a rule for cold keys says that it leaves them alone."""
    fill(redis7)
    rules = tuple(replace(rule, cold=Cold(idle_s=7 * DAY_S)) for rule in POLICY.rules)
    plan = plan_of(redis7.url, tmp_path, replace(POLICY, rules=rules))
    assert plan.rules[0].hot_ratio == 1.0
    assert any(
        "100% of the keys are in use; the rule takes cold keys only" in warning for warning in plan.rules[0].warnings
    )


def test_cold_keys_that_nobody_can_tell(redis7: Server, tmp_path: Path) -> None:
    """A rule for keys of a low access counter is left out where the server counts no accesses."""
    fill(redis7)
    rules = (replace(POLICY.rules[0], cold=Cold(freq_at_most=5)), *POLICY.rules[1:])
    refusal = plan_of(redis7.url, tmp_path, replace(POLICY, rules=rules)).rules[0].refusal
    assert refusal is not None
    assert "cold.idle" in refusal


def test_a_volatile_policy_is_warned_of(valkey: Server, tmp_path: Path) -> None:
    """Under ``volatile-*`` a key can be evicted from the moment that it has a TTL."""
    fill(valkey)
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
    assert "volatile-lfu can evict any key" in plan_of(valkey.url, tmp_path).warnings[0]


def test_a_replica_that_was_audited_stands_for_its_primary(valkey: Server, tmp_path: Path) -> None:
    """A plan of an audit that read a replica is about the primary, whose keys it will change."""
    fill(valkey)
    with run_server(VALKEY, replica_of=valkey):
        auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
        auditing.options = replace(auditing.options, source="replica")
        audit = auditing.run()
        plan = plan_from(auditing, audit)
    assert audit.plan.servers[0].address != f"127.0.0.1:{valkey.port}"
    assert (
        [node.address for node in plan.nodes] == [shard.node for shard in plan.shards] == [f"127.0.0.1:{valkey.port}"]
    )
    check_counts(plan)


def test_an_audit_of_another_server(valkey: Server, redis7: Server, tmp_path: Path) -> None:
    """A server that holds another data set is refused, though its keys may look alike."""
    fill(valkey)
    fill(redis7)
    audit = Auditing(valkey.url, tmp_path, policy=POLICY).run()
    with pytest.raises(WrongServer, match="another data set"):
        plan_from(Auditing(redis7.url, tmp_path, policy=POLICY), audit)


def test_an_old_audit(valkey: Server, tmp_path: Path) -> None:
    """An audit that is older than the policy allows is refused, and one from the future."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    now = dt.datetime.now(dt.UTC)
    with pytest.raises(StaleAudit, match=r"finished 1d1h.* ago; expected at most 1d ago"):
        plan_from(auditing, audit, now=now + dt.timedelta(hours=25))
    with pytest.raises(StaleAudit, match="in the future"):
        plan_from(auditing, audit, now=now - dt.timedelta(hours=1))
    assert plan_from(auditing, audit, now=now + dt.timedelta(hours=23)).change_keys == 450


def test_a_policy_that_was_changed_since_the_audit(valkey: Server, tmp_path: Path) -> None:
    """Other TTLs, sign-offs and owners leave the counts as they are; other patterns, exemptions or another order don't."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    first, second, third = POLICY.rules
    fine = replace(
        POLICY, owner=Owner("others"), rules=(replace(first, ttl_s=DAY_S), second, replace(third, sign_off=AGREED))
    )
    plan = plan_from(auditing, audit, fine)
    assert plan.policy_hash == fine.hash
    assert plan.change_keys == 480
    for changed in (
        replace(POLICY, rules=(second, first, third)),
        replace(POLICY, rules=(first, second)),
        replace(POLICY, rules=(replace(first, pattern=KeyPattern("coupon:{n}")), second, third)),
        replace(POLICY, exemptions=()),
    ):
        with pytest.raises(StaleAudit, match="other patterns"):
            plan_from(auditing, audit, changed)
    longer = replace(POLICY, rules=(first, replace(second, ttl_s=90 * DAY_S), third))
    refusal = plan_from(auditing, audit, longer).rules[1].refusal
    assert refusal is not None
    assert "audit again" in refusal


def test_caps(valkey: Server, tmp_path: Path) -> None:
    """More keys than a rule or a run may change are refused, in keys and in percent, with what was measured and the way out."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    settings = POLICY.remediation
    for caps in (Caps(299, None), Caps(None, 0.3)):
        with pytest.raises(
            CapExceeded, match=r"`coupon:\{id\}`: 300 keys, 48.4% of all.*choose the others: `seen:\{id\}`"
        ):
            plan_from(auditing, audit, replace(POLICY, remediation=replace(settings, rule_caps=caps)))
        own = (replace(POLICY.rules[0], caps=caps), *POLICY.rules[1:])
        with pytest.raises(CapExceeded, match="max_keys"):
            plan_from(auditing, audit, replace(POLICY, rules=own))
        run = replace(POLICY, remediation=replace(settings, run_caps=caps))
        with pytest.raises(CapExceeded, match=r"450 keys.*split it: `seen:\{id\}` would fit"):
            plan_from(auditing, audit, run)
        assert plan_from(auditing, audit, run, rules=["seen:{id}"]).change_keys == 150
    tight = plan_from(auditing, audit, replace(POLICY, remediation=replace(settings, rule_caps=Caps(310, None))))
    assert tight.rules[0].limit_keys == 310


def test_room_first(valkey: Server, tmp_path: Path) -> None:
    """A peak above what the policy allows is refused, and the text says which rules would fit."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    with valkey.client() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", round(used / 0.5))
    assert plan_from(auditing, audit).change_keys == 450
    with valkey.client() as client:
        client.config_set("maxmemory", round(used / 0.9))
    with pytest.raises(NoRoom, match=r"there isn't enough.*85% \(memory.critical\).*no single rule fits"):
        plan_from(auditing, audit)


def test_a_ttl_within_the_undo_window(valkey: Server, tmp_path: Path) -> None:
    """A rule whose keys would go before everything can be taken back is left out, and the reason says what to change."""
    fill(valkey)
    rules = (replace(POLICY.rules[0], ttl_s=DAY_S - 1), *POLICY.rules[1:])
    plan = plan_of(valkey.url, tmp_path, replace(POLICY, rules=rules))
    assert plan.rules[0].refusal is not None
    assert "undo_window" in plan.rules[0].refusal
    assert plan.change_keys == 150


def test_nothing_to_do(valkey: Server, tmp_path: Path) -> None:
    """A plan without a rule that may be applied is none, and the text has each rule's reason."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    with pytest.raises(BadInput, match=r"nothing to do.*not chosen.*not signed off"):
        plan_from(auditing, audit, rules=["draft:{id}"])
    with pytest.raises(InvalidOption, match=r"no such rule; found `nope`"):
        plan_from(auditing, audit, rules=["nope"])
    with pytest.raises(InvalidOption):
        plan_from(auditing, audit, rate="fast")


def test_several_databases(redis7: Server, tmp_path: Path) -> None:
    """A rule's keys are counted database by database."""
    set_keys(redis7, ["coupon:1", "coupon:2"])
    set_keys(redis7, ["coupon:1"], db=3)
    auditing = Auditing(redis7.url, tmp_path, policy=POLICY)
    auditing.options = replace(auditing.options, databases="all")
    plan = plan_from(auditing, auditing.run())
    assert [(each.db, each.changes[Action.SET]) for each in plan.rules[0].databases] == [(0, 2), (3, 1)]
    assert {shard.db for shard in plan.shards} == {0, 3}


def test_the_forecast_holds(any_server: Server, tmp_path: Path) -> None:
    """Giving every planned key its TTL takes no more memory than was forecast, and the table's doubling is part of it."""
    # A server of its own: the replication backlog of one that has had a replica grows with every command.
    with run_server(any_server.kind) as server:
        set_keys(server, (f"coupon:{number}" for number in range(40_000)))
        send(server, (("SET", f"other:{number}", "x", "EX", 90_000) for number in range(20_000)))
        plan = plan_of(server.url, tmp_path)
        assert plan.forecast.table_bytes > 0
        with server.client() as client:
            before = client.info("memory")["used_memory"]
            # In small steps: the client's own buffers count as used memory too.
            for start in range(0, 40_000, 500):
                pipeline = client.pipeline(transaction=False)
                for number in range(start, start + 500):
                    pipeline.expire(f"coupon:{number}", 100_000)
                pipeline.execute()
            grown = client.info("memory")["used_memory"] - before
        forecast = plan.forecast.ttl_bytes + plan.forecast.table_bytes
        assert grown <= forecast
        assert forecast <= 6 * grown


def test_big_keys_that_would_block_the_server_are_warned_of(redis7: Server, tmp_path: Path) -> None:
    """By the largest sampled size, until the server frees what expires in the background."""
    fill(redis7)
    with redis7.client() as client:
        client.hset("seen:big", mapping={f"field:{number}": "x" * 100 for number in range(12_000)})
        client.config_set("lazyfree-lazy-expire", "no")
    auditing = Auditing(redis7.url, tmp_path, policy=POLICY)
    auditing.options = replace(auditing.options, sample_percent=100.0)
    audit = auditing.run()
    coupon, seen, _ = plan_from(auditing, audit).rules
    assert any("lazyfree-lazy-expire no" in warning and "MiB" in warning for warning in seen.warnings)
    assert not any("largest" in warning for warning in coupon.warnings)
    with redis7.client() as client:
        client.config_set("lazyfree-lazy-expire", "yes")
    assert not any("largest" in warning for warning in plan_from(auditing, audit).rules[1].warnings)
    with redis7.client() as client:
        client.config_set("lazyfree-lazy-expire", "no")


def test_a_watch_that_outlasts_the_approval(valkey: Server, tmp_path: Path) -> None:
    """A canary that is watched until nothing may be written any more is refused before anybody is asked."""
    fill(valkey)
    auditing = Auditing(valkey.url, tmp_path, policy=POLICY)
    audit = auditing.run()
    with pytest.raises(InvalidOption, match=r"canary_watch.*found 1d; expected less than 1d"):
        plan_from(auditing, audit, canary_watch_s=DAY_S)
    assert plan_from(auditing, audit, canary_watch_s=DAY_S - 1).canary_watch_s == DAY_S - 1
