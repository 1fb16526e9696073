"""Verifying a cluster that moves slots meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.policies import policy_of, rule
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import VALKEY
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.cluster_following import FollowedExpiries
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.audit.shards import SlotClaims, key_slot, unsettled_slots
from redis_ttl.domain.errors import SlotsMoved
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.usecases.remediation.verify_plan import refuse_unverified, verify_plan
from tests.usecases.auditing import Auditing
from tests.usecases.verifying import Remediation, figures

SLOT = key_slot(b"cart:{t}1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One that these tests may move slots of."""
    with run_cluster(VALKEY) as running:
        yield running


@pytest.fixture
def carts(cluster: Cluster, tmp_path: Path) -> Remediation:
    """A remediation of 400 keys of one slot and 100 of others, written."""
    cluster.flush()
    with cluster.client() as client:
        for number in range(400):
            client.set(f"cart:{{t}}{number}", "x")
        for number in range(100):
            client.set(f"cart:{number}", "x")
    run = Remediation(cluster.url, tmp_path, policy_of(rule("cart:{{t}}{n}"), rule("cart:{n}")))
    run.apply()
    return run


class Move:
    """The slot on its way from its owner to another primary."""

    def __init__(self, cluster: Cluster) -> None:
        # redis-py doesn't type the commands that it has no function for.
        self.clients: list[Any] = [server.client() for server in cluster.primaries]
        self.ids = [client.execute_command("CLUSTER", "MYID").decode() for client in self.clients]
        owners = [client.execute_command("CLUSTER", "COUNTKEYSINSLOT", SLOT) for client in self.clients]
        self.source = owners.index(max(owners))
        self.target = (self.source + 1) % len(self.clients)
        self.servers = cluster.primaries

    def open(self) -> None:
        """Begin."""
        self.clients[self.target].execute_command("CLUSTER", "SETSLOT", SLOT, "IMPORTING", self.ids[self.source])
        self.clients[self.source].execute_command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", self.ids[self.target])

    def keys(self, count: int) -> list[bytes]:
        """Move so many keys; which."""
        source, target = self.clients[self.source], self.servers[self.target]
        keys: list[bytes] = source.execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, count)
        if keys:
            source.execute_command("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
        return keys

    def close(self) -> None:
        """End it: the target owns the slot."""
        while self.keys(1_000):
            pass
        for number in (self.target, self.source):
            self.clients[number].execute_command("CLUSTER", "SETSLOT", SLOT, "NODE", self.ids[self.target])


@contextmanager
def moving(cluster: Cluster) -> Iterator[Move]:
    """The slot is on its way until the block ends."""
    move = Move(cluster)
    move.open()
    try:
        yield move
    finally:
        move.close()


def test_no_key_on_its_way_counts_as_gone_and_the_verification_is_retried(cluster: Cluster, carts: Remediation) -> None:
    """While a slot is half moved every journalled key is found kept, and the verification is refused as one to be tried again."""
    with moving(cluster) as move:
        assert len(move.keys(300)) == 300
        verification = carts.verify()
        assert (verification.kept, verification.rules[0].gone) == (500, 0)
        assert verification.moving_slots == 1
        with pytest.raises(SlotsMoved, match="1 slots") as refused:
            refuse_unverified(verification)
        assert refused.value.retryable
    refuse_unverified(carts.verify())


def test_a_move_that_ends_during_the_look_has_it_looked_at_again(cluster: Cluster, carts: Remediation) -> None:
    """Keys that move behind the scan's back, to a node that was read already, are found by the next look; then all is well."""
    move = Move(cluster)
    steps = iter([move.open, move.close])
    looked = []

    def progress(met: int, _of: int) -> None:
        looked.append(met)
        next(steps, lambda: None)()

    verification = carts.verify(progress)
    assert [figures(each)["kept"] for each in verification.rules] == [400, 100]
    assert verification.moving_slots == 0
    assert len(looked) > len(cluster.primaries), "more than one look"
    refuse_unverified(verification)


def test_a_cluster_that_never_rests_is_looked_at_a_few_times_only(cluster: Cluster, carts: Remediation) -> None:
    """The slot changes its owner during every look: after a few of them the verification says how many slots it can't vouch for."""
    looks = []

    class Restless(RedisDeployment):
        """A cluster that gives the slot away as soon as somebody begins to look."""

        def nodes(self, options: AuditOptions) -> list[str]:
            addresses = super().nodes(options)
            looks.append(addresses)
            move = Move(cluster)
            move.open()
            move.close()
            return addresses

    redis = Restless(endpoint_from_url(cluster.url), parse_load("fast"))
    verification = verify_plan(carts.applying.plan, replace(carts.tools(), redis=redis))
    assert len(looks) == 3
    assert verification.moving_slots == 1
    assert verification.kept == 500
    with pytest.raises(SlotsMoved):
        refuse_unverified(verification)


@pytest.mark.parametrize("moved", [0, 1, 200, 400])
def test_expiries_are_followed_to_where_the_key_is(moved: int, cluster: Cluster, carts: Remediation) -> None:
    """However many keys of the slot have moved, each is answered for by the node that has it; one that is nowhere is gone."""
    keys = [b"cart:{t}%d" % number for number in range(400)]
    with moving(cluster) as move:
        if moved:
            move.keys(moved)
        for at in (None, f"127.0.0.1:{cluster.primaries[move.source].port}", f"127.0.0.1:{cluster.primaries[2].port}"):
            with FollowedExpiries(endpoint_from_url(cluster.url), parse_load("fast")) as expiries:
                found = expiries.read(0, [*keys, b"cart:{t}never"], at=at)
            assert found["gone"].to_list() == [False] * 400 + [True]
            set_ms = [carts.applying.instant_ms(key) for key in keys]
            off = [(a - b + 2_000) % 900_000 for a, b in zip(found["low_ms"][:400], set_ms, strict=True)]
            assert 0 <= min(off) <= max(off) <= 4_000, "MIGRATE moves expiries by some milliseconds"


def test_both_nodes_know_a_slot_that_is_on_its_way(cluster: Cluster) -> None:
    """A slot that is given away and taken over is named by both nodes, and by no other; at rest there is none."""
    redis = RedisDeployment(endpoint_from_url(cluster.url), parse_load("fast"))
    rest = redis.slot_claims()
    assert sorted(slot for each in rest.values() for slot in each.owned) == list(range(16_384))
    assert unsettled_slots(rest, rest) == frozenset()
    with cluster.client() as client:
        client.set("cart:{t}1", "x")
    with moving(cluster) as move:
        claims = redis.slot_claims()
        for number, server in enumerate(cluster.primaries):
            is_concerned = number in (move.source, move.target)
            assert claims[f"127.0.0.1:{server.port}"].moving == ({SLOT} if is_concerned else set())
        assert unsettled_slots(rest, claims) == unsettled_slots(claims, rest) == {SLOT}
    assert unsettled_slots(rest, redis.slot_claims()) == {SLOT}, "it has another owner now"


def test_slots_that_none_or_two_claim_are_not_settled() -> None:
    """Between two moments a slot is settled only if the same one node, and no other, owned it at both."""
    one, both = SlotClaims(frozenset({1, 2}), frozenset()), SlotClaims(frozenset({2, 3}), frozenset())
    assert unsettled_slots({"a": one}, {"a": one}) == frozenset()
    assert unsettled_slots({"a": one, "b": both}, {"a": one, "b": both}) == {2}
    assert unsettled_slots({"a": one}, {"a": one, "b": both}) == {2, 3}
    assert unsettled_slots({"a": one}, {}) == {1, 2}
    assert unsettled_slots({}, {}) == frozenset()


def test_expiries_before_7_0_are_known_between_two_limits(redis62: Server) -> None:
    """A server that doesn't know PEXPIRETIME answers with limits that hold the key's instant, and knows which keys have none."""
    with redis62.client() as client:
        client.set("a", "x", px=1_000_000)
        client.set("b", "x")
        before = client.time()
        left = int(client.pttl("a"))
        with FollowedExpiries(endpoint_from_url(redis62.url), parse_load("fast")) as expiries:
            found = expiries.read(0, [b"a", b"b", b"c"])
    instant = before[0] * 1000 + before[1] // 1000 + left
    assert found["low_ms"][0] - 2 <= instant <= found["high_ms"][0] + 2
    assert found.select("low_ms", "gone").rows()[1:] == [(None, False), (None, True)]


def test_an_audit_says_that_slots_were_moving(cluster: Cluster, tmp_path: Path) -> None:
    """An audit while a slot is open warns at its beginning and at its end, though no slot has changed its owner yet."""
    with cluster.client() as client:
        client.set("cart:{t}1", "x")
    rested = Auditing(cluster.url, tmp_path, audit_id="audit-1").run()
    assert (rested.plan.warnings, rested.warnings) == ((), ())
    with moving(cluster):
        audit = Auditing(cluster.url, tmp_path, audit_id="audit-2").run()
    assert ["slots" in text for text in audit.plan.warnings] == [True]
    assert len(audit.warnings) == 2


def test_an_auditor_who_may_not_see_slots_hears_of_it(cluster: Cluster, tmp_path: Path) -> None:
    """Without the right to CLUSTER NODES an audit goes on, and warns that it can't see slots move."""
    rights = ["+@read", "+info", "+dbsize", "+cluster|slots", "+cluster|myid", "+select", "+ping"]
    for server in cluster.primaries:
        with server.client() as client:
            client.acl_setuser("bob", enabled=True, reset=True, passwords=["+secret"], keys=["*"], commands=rights)
    url = cluster.url.replace("redis://", "redis://bob:secret@")
    audit = Auditing(url, tmp_path).run()
    assert any("+cluster|nodes" in text for text in audit.plan.warnings)
    assert audit.warnings == audit.plan.warnings
