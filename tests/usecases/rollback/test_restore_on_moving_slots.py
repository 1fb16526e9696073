from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import restore_tools, roll_back
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import VALKEY, ServerKind
from lab.waiting import wait_for
from redis_ttl.adapters.connection import key_routes
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import Unfinished
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.rollback.rollback import RestoreAccount, refuse_unfinished
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import look_again, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions

FAR_S = 400 * 86_400
POLICY = policy_of(rule("cart:{{t}}{n}"), rule("seen:{{t}}{n}", ttl_s=86_400, mode=Mode.CAP))
REAL = RestoreOptions(dry_run=False)


class Move:
    """One slot on its way from the node that has it to the next one."""

    def __init__(self, cluster: Cluster, slot: int, stack: ExitStack) -> None:
        self.slot = slot
        clients = [stack.enter_context(server.client()) for server in cluster.primaries]
        owner = next(
            number for number, client in enumerate(clients) if client.execute_command("CLUSTER COUNTKEYSINSLOT", slot)
        )
        other = (owner + 1) % len(clients)
        self.clients = clients
        self.source, self.target = clients[owner], clients[other]
        self.port = cluster.primaries[other].port
        self.source_id, self.target_id = (
            bytes(client.execute_command("CLUSTER MYID")).decode() for client in (self.source, self.target)
        )

    def begin(self) -> None:
        """Open the slot on both nodes."""
        self.target.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", self.source_id)
        self.source.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", self.target_id)

    def take(self, keys: int) -> list[bytes]:
        """Move so many of its keys; those."""
        names: list[bytes] = self.source.execute_command("CLUSTER GETKEYSINSLOT", self.slot, keys)
        if names:
            self.source.execute_command("MIGRATE", "127.0.0.1", self.port, "", 0, 5000, "KEYS", *names)
        return names

    def end(self) -> None:
        """Give the slot to its new node."""
        for client in (self.target, self.source, *self.clients):
            client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", self.target_id)


def fill(cluster: Cluster) -> None:
    """400 keys of one slot: half without a TTL, half with a long one."""
    with cluster.client() as client:
        for number in range(200):
            client.set(f"cart:{{t}}{number}", "x")
            client.set(f"seen:{{t}}{number}", "x", ex=FAR_S + number)


def with_our_ttl(cluster: Cluster) -> int:
    """Keys that expire sooner than any did before us, wherever they are."""
    found = 0
    for server in cluster.primaries:
        with server.client() as client:
            for key in client.keys("*"):
                reply = client.execute_command("PTTL", key) if client.execute_command("ASKING") else None
                found += isinstance(reply, int) and 0 <= reply < (FAR_S - 86_400) * 1000
    return found


@pytest.fixture(params=[VALKEY], ids=lambda kind: kind.name)
def moving(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, Move]]:
    """A cluster with 400 keys of one slot, and the move of that slot."""
    kind: ServerKind = request.param
    with run_cluster(kind) as cluster, ExitStack() as stack:
        fill(cluster)
        yield cluster, Move(cluster, key_slot(b"cart:{t}1"), stack)


def test_keys_of_a_slot_on_its_way_are_followed(moving: tuple[Cluster, Move], tmp_path: Path) -> None:
    """While a slot moves, the keys that have left and those that haven't are all restored, and a second look finds all of them."""
    cluster, move = moving
    run = Applying(cluster.url, tmp_path, POLICY)
    run.run()
    assert with_our_ttl(cluster) == 400
    move.begin()
    assert len(move.take(300)) == 300
    total = roll_back(run)
    assert total == RestoreAccount(keys=400, removed=200, put_back=200)
    found, slots_moved = look_again(run.plan, REAL, restore_tools(run))
    assert (found.all_still_ours, found.total.restored_before, slots_moved) == (0, 400, False)
    move.take(400)
    move.end()
    assert with_our_ttl(cluster) == 0


class Interrupted(KeyRestorer):
    """Something happens between the look at some keys and their restoring."""

    happens: Callable[[], object]

    def journal(self, ours: pl.DataFrame) -> bytes:
        """The journal object; this is the last that happens before the keys are restored."""
        self.happens()
        return super().journal(ours)


def interrupted(run: Applying, happens: Callable[[], object]) -> Any:
    """The tools of a rollback to which this happens."""

    def opened() -> Interrupted:
        restorer = Interrupted(endpoint_from_url(run.url), parse_load("fast"), parse_rate("unlimited"))
        restorer.happens = happens
        return restorer

    return replace(restore_tools(run), open_restorer=opened)


@pytest.mark.parametrize("ends", [False, True], ids=["begins to move", "has moved"])
def test_a_slot_that_moves_between_look_and_restoring(
    moving: tuple[Cluster, Move], tmp_path: Path, *, ends: bool
) -> None:
    """Keys that leave after they were looked at are restored where they are then."""
    cluster, move = moving
    run = Applying(cluster.url, tmp_path, POLICY)
    run.run()
    once = iter([True])

    def happens() -> None:
        if next(once, False):
            move.begin()
            move.take(400 if ends else 150)
            if ends:
                move.end()

    total = restore_part(run.plan, whole_journal(run.documents), REAL, interrupted(run, happens)).total
    assert total == RestoreAccount(keys=400, removed=200, put_back=200)
    assert with_our_ttl(cluster) == 0


def test_keys_go_on_moving_while_they_are_restored(moving: tuple[Cluster, Move], tmp_path: Path) -> None:
    """Keys that leave one by one all the while are each restored once."""
    cluster, move = moving
    run = Applying(cluster.url, tmp_path, POLICY)
    run.run()
    move.begin()

    def carry() -> None:
        while move.take(7):
            pass

    carrier = threading.Thread(target=carry)
    carrier.start()
    total = roll_back(run)
    carrier.join()
    assert (total.keys, total.removed, total.put_back) == (400, 200, 200)
    assert with_our_ttl(cluster) == 0


def test_a_node_that_names_no_host_means_its_own(tmp_path: Path) -> None:
    """Redirections without a host lead to the host that sent them."""
    with run_cluster(VALKEY, "cluster-preferred-endpoint-type unknown-endpoint") as cluster, ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for server in cluster.primaries]
        for number in range(100):
            for client in clients:
                try:
                    client.set(f"cart:{{t}}{number}", "x")
                except redis.exceptions.ResponseError:
                    continue
        move = Move(cluster, key_slot(b"cart:{t}1"), stack)
        run = Applying(cluster.url, tmp_path, POLICY)
        run.run()
        move.begin()
        move.take(60)
        assert roll_back(run) == RestoreAccount(keys=100, removed=100)


def test_keys_that_cannot_be_reached_fail_the_rollback_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of a node that is down, and stays down, are counted as unreached, not as gone; and the rollback isn't a success."""
    monkeypatch.setattr(key_routes, "PATIENCE_S", 0.5)
    with run_cluster(VALKEY, "cluster-require-full-coverage no") as cluster:
        with cluster.client() as client:
            for number in range(300):
                client.set(f"cart:{number}", "x")
        run = Applying(cluster.url, tmp_path, policy_of(rule("cart:{n}")))
        run.run()
        with cluster.primaries[2].client() as client:
            lost = int(client.dbsize())
        tools = interrupted(run, cluster.primaries[2].stop)
        result = restore_part(run.plan, whole_journal(run.documents), REAL, tools)
        assert 0 < result.total.unreached <= lost
        assert (result.total.gone, result.total.changed) == (0, 0)
        assert result.total.removed + result.total.unreached == 300
        with pytest.raises(Unfinished, match=f"{result.total.unreached} keys whose node"):
            refuse_unfinished(result, result, moving=False)


def test_a_replica_that_is_promoted_takes_over_the_restoring(tmp_path: Path) -> None:
    """When a primary dies in the middle, its keys are restored on the replica that takes its place, in the same run."""
    with run_cluster(VALKEY, "cluster-node-timeout 1000", with_replicas=True) as cluster:
        with cluster.client() as client:
            for number in range(300):
                client.set(f"cart:{number}", "x")
        run = Applying(cluster.url, tmp_path, policy_of(rule("cart:{n}")))
        run.run()
        with cluster.primaries[1].client() as client, cluster.replicas[1].client() as replica:
            ours = client.info("keyspace")["db0"]["expires"]
            wait_for(lambda: replica.info("keyspace")["db0"]["expires"] == ours, "the replica to have our TTLs")
        tools = interrupted(run, cluster.primaries[1].stop)
        result = restore_part(run.plan, whole_journal(run.documents), REAL, tools)
        assert result.total == RestoreAccount(keys=300, removed=300)
        left = 0
        for server in (cluster.primaries[0], cluster.primaries[2], cluster.replicas[1]):
            with server.client() as client:
                left += int(client.info("keyspace")["db0"]["expires"])
        assert left == 0
