"""How an audit is cut into shards; against a server that a test scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import AuditOptions, AuditPlan
from redis_ttl.domain.audit.server import Flavour, ServerProfile
from redis_ttl.domain.audit.shards import SlotClaims, SplitRule
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.policy import Exemption, Owner, Policy, Rule
from redis_ttl.usecases.audit import plan_shards as planning
from redis_ttl.usecases.audit.inspect_server import Inspection
from redis_ttl.usecases.audit.plan_shards import plan_shards
from redis_ttl.usecases.store.audits import AuditFolder
from tests.usecases.stand_in_scan import NODE, ScriptedRedis, profile_of

MILLION = 1_000_000


def plan(
    folder: Path,
    *servers: ServerProfile,
    redis: ScriptedRedis | None = None,
    shards: int | None = None,
    databases: str | tuple[int, ...] = "all",
    policy: Policy | None = None,
) -> AuditPlan:
    """The plan for these servers."""
    options = AuditOptions(shards=shards, databases=databases)  # type: ignore[arg-type]
    return plan_shards(
        AuditFolder(Store(folder), "test", "audit-1"),
        redis or ScriptedRedis(),
        Inspection(servers, ("a warning",)),
        options,
        audit_id="audit-1",
        cluster="test",
        started_at="2026-11-24T01:00:00+00:00",
        policy=policy,
    )


@pytest.mark.parametrize(
    ("keys", "shards"),
    [
        (250_000, 1),
        (250_001, 2),
        (500_000, 2),
        (500_001, 4),
        (1_000_001, 8),
        (2_000_001, 16),
        (100 * MILLION, 16),
    ],
)
def test_the_number_of_shards_follows_the_keys(tmp_path: Path, keys: int, shards: int) -> None:
    """Without a wish there is one shard up to a quarter of a million keys, and one more power of two each time they double."""
    assert len(plan(tmp_path, profile_of(databases=((0, keys, 0),))).shards) == shards


def test_a_wish_counts(tmp_path: Path) -> None:
    """A wished number of shards is taken, where the keys are enough for it."""
    assert len(plan(tmp_path, profile_of(databases=((0, MILLION, 0),)), shards=32).shards) == 32


def test_all_shards_together_fit_one_mapped_task(tmp_path: Path) -> None:
    """However many nodes and databases there are, Airflow can map a task over their shards (1,024 at most)."""
    servers = [
        profile_of(f"10.0.0.{node}:6379", databases=tuple((db, 10 * MILLION, 0) for db in range(16)))
        for node in range(16)
    ]
    made = plan(tmp_path, *servers, shards=64)
    assert len({(shard.node, shard.db) for shard in made.shards}) == 256
    assert len(made.shards) <= 1_000
    assert len(made.shards) == 256 * 2, "a power of two of at most 1,000 / 256 each"
    large = tuple((db, 10 * MILLION, 0) for db in range(16))
    many = [profile_of(f"n{node}:6379", databases=large) for node in range(70)]
    assert len(plan(tmp_path / "many", *many).shards) == 1_120, "one is the least"
    nodes = [profile_of(f"n{node}:6379", databases=large[:1], cluster_enabled=True) for node in range(77)]
    assert len(plan(tmp_path / "nodes", *nodes, shards=64).shards) == 77 * 12, "the whole part of 1,000 / 77 each"
    half = [profile_of(f"n{node}:6379", databases=large[:10]) for node in range(50)]
    assert len(plan(tmp_path / "half", *half, shards=64).shards) == 1_000


def test_few_databases_have_their_wish_in_full(tmp_path: Path) -> None:
    """The bound over all doesn't touch an audit of a few databases."""
    servers = [profile_of(f"10.0.0.{node}:6379", databases=((0, 10 * MILLION, 0),)) for node in range(15)]
    assert len(plan(tmp_path, *servers, shards=64).shards) == 15 * 64


def test_databases_with_keys_or_those_that_were_named(tmp_path: Path) -> None:
    """``all`` are those with keys, or database 0 where there are none; named ones are taken as they are."""
    server = profile_of(databases=((0, 0, 0), (2, 5, 1), (7, 1, 0)))
    assert [split.db for split in plan(tmp_path, server).splits] == [2, 7]
    assert [split.db for split in plan(tmp_path / "1", profile_of(databases=())).splits] == [0]
    assert [split.db for split in plan(tmp_path / "2", server, databases=(0, 3)).splits] == [0, 3]


def test_a_split_says_how_and_why(tmp_path: Path) -> None:
    """Each split names its rule, its keys and what it was decided by; the plan is in the store as it was returned."""
    redis = ScriptedRedis(random=[b"k%d" % number for number in range(2_000)], topologies=["slots"], run_ids=["now"])
    made = plan(tmp_path, profile_of(databases=((0, 300_000, 0),)), redis=redis)
    (split,) = made.splits
    assert (split.node, split.db, split.keys, split.rule, split.shards) == (NODE, 0, 300_000, "bits", 2)
    assert split.why == "valkey 9.0.0, standalone, 300,000 keys"
    assert {shard.run_id for shard in made.shards} == {"now"}
    assert (made.topology, made.warnings) == ("slots", ("a warning",))
    folder = AuditFolder(Store(tmp_path), "test", "audit-1")
    assert folder.plan() == made
    assert folder.samples(NODE, 0) == redis.random[: planning.SAMPLES]
    assert planning.SAMPLES == 1_000


def test_a_cluster_node_is_split_by_its_own_slots(tmp_path: Path) -> None:
    """Where a node keeps a table per slot, its shards share the slots that it owns."""
    redis = ScriptedRedis(slots=((0, 99), (200, 299)))
    made = plan(tmp_path, profile_of(databases=((0, 300_000, 0),), cluster_enabled=True), redis=redis)
    assert made.splits[0].why.startswith("valkey 9.0.0, cluster")
    assert [(shard.first, shard.last) for shard in made.shards] == [(0, 199), (200, 16_383)]


def test_the_servers_own_answers_withdraw_a_rule(tmp_path: Path) -> None:
    """A self-check that refuses leaves one sequential cursor, and the reason; one that wasn't to be split isn't asked."""
    server = profile_of(databases=((0, 300_000, 0),))
    made = plan(tmp_path, server, redis=ScriptedRedis(refused="odd cursors"))
    assert [shard.rule for shard in made.shards] == [SplitRule.SEQUENTIAL]
    assert made.splits[0].why == "the self-check refused to split: odd cursors"
    other = profile_of(databases=((0, 300_000, 0),), flavour=Flavour.DRAGONFLY)
    assert "self-check" not in plan(tmp_path / "2", other, redis=ScriptedRedis(refused="no")).splits[0].why


def test_the_policy_in_force_is_written_down(tmp_path: Path) -> None:
    """A plan names the policy's hash, rules and exemptions, or none of them."""
    policy = Policy(
        "test",
        connection="r",
        owner=Owner("t"),
        rules=(Rule(KeyPattern("a:{n}"), 60),),
        exemptions=(Exemption(KeyPattern("b"), "kept"),),
    )
    made = plan(tmp_path, profile_of(), policy=policy)
    assert (made.policy_hash, [rule.pattern for rule in made.rules], made.exemptions) == (
        policy.hash,
        ["a:{n}"],
        ("b",),
    )
    none = plan(tmp_path / "2", profile_of())
    assert (none.policy_hash, none.rules, none.exemptions) == (None, (), ())


def test_slots_on_the_move_are_a_warning_of_the_plan(tmp_path: Path) -> None:
    """Each counts once, though both of its nodes speak of it; a cluster that doesn't let us see them is a warning, too."""
    redis = ScriptedRedis()
    assert plan(tmp_path / "rest", profile_of(), redis=redis).warnings == ("a warning",)
    redis.claims = {
        "a": SlotClaims(frozenset({0, 1}), frozenset({1, 7})),
        "b": SlotClaims(frozenset({2}), frozenset({1})),
    }
    assert (
        plan(tmp_path / "moving", profile_of(), redis=redis).warnings[1].startswith("2 slots were moving between nodes")
    )
    redis.claims = None
    assert (
        "can't be seen: the user lacks +cluster|nodes"
        in plan(tmp_path / "hidden", profile_of(), redis=redis).warnings[1]
    )
