from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lab.loopback import free_port
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import REDIS_7, VALKEY
from lab.servers.server import Server, run_sentinel, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.cluster import cluster_nodes, fingerprint
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.entry import locate
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.adapters.writing.writable_deployment import WritableDeployment
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.audit.shards import SLOTS, SplitRule
from redis_ttl.domain.errors import (
    AuthenticationFailed,
    InvalidOption,
    MissingPermission,
    OtherServer,
    Unreachable,
    WrongRole,
)
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import scaled
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.load import Load
from redis_ttl.domain.policy.rate import parse_rate
from tests.adapters.keyspaces import FAST, PagesWithInterruptions, link_to, set_keys, shards_of
from tests.conftest import require

PRIMARY = AuditOptions()
REPLICA = AuditOptions(source="replica")


def deployment(url: str, load: Load = FAST) -> RedisDeployment:
    """The deployment behind that URL."""
    return RedisDeployment(endpoint_from_url(url), load)


def address(server: Server) -> str:
    """Where the server listens."""
    return f"{server.host}:{server.port}"


@pytest.fixture
def replica(valkey: Server) -> Iterator[Server]:
    """A replica of the Valkey server."""
    with run_server(VALKEY, replica_of=valkey) as server:
        yield server


@pytest.fixture(scope="module")
def replicated_cluster() -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    with run_cluster(require(VALKEY), with_replicas=True) as cluster:
        yield cluster


def test_a_single_server_is_its_own_deployment(any_server: Server) -> None:
    """One server is one node with all slots and no topology, by TCP and by unix socket."""
    found = deployment(any_server.url)
    assert found.nodes(PRIMARY) == [address(any_server)]
    assert found.slots_of(address(any_server)) == ((0, SLOTS - 1),)
    assert found.topology() is None
    assert deployment(f"unix://{any_server.unix_socket}").nodes(PRIMARY) == [str(any_server.unix_socket)]


def test_a_replica_is_scanned_where_one_is_asked_for(valkey: Server, replica: Server) -> None:
    """Asked for a replica, its address is found through the primary, or taken as given."""
    assert deployment(valkey.url).nodes(REPLICA) == [address(replica)]
    assert deployment(replica.url).nodes(REPLICA) == [address(replica)]
    set_keys(valkey, (f"key:{number}" for number in range(1000)))
    with valkey.client() as client:
        client.wait(1, 5000)
    with deployment(valkey.url).connect(address(replica), 0) as node:
        shard = shards_of(replica, 1)[0]
        with node.reader(shard, load_share=1, samples=[]) as reader:
            assert sum(batch.keys for batch in reader.batches()) == 1000


def test_a_replica_is_no_primary(replica: Server, valkey: Server) -> None:
    """A replica where a primary was meant is an error that names the primary."""
    with pytest.raises(WrongRole) as caught:
        deployment(replica.url).nodes(PRIMARY)
    assert address(valkey) in str(caught.value)


def test_a_primary_without_replicas(any_server: Server) -> None:
    """Asked for a replica where there is none, nothing else is scanned instead."""
    with pytest.raises(WrongRole, match="no replica"):
        deployment(any_server.url).nodes(REPLICA)


def test_a_cluster_is_all_its_primaries(any_cluster: Cluster) -> None:
    """Through any node of a cluster all primaries are found, in the order of their slots."""
    for server in any_cluster.primaries:
        found = deployment(server.url)
        assert found.nodes(PRIMARY) == [address(primary) for primary in any_cluster.primaries]
        assert [found.slots_of(node) for node in found.nodes(PRIMARY)] == [
            ((0, 5460),),
            ((5461, 10_921),),
            ((10_922, SLOTS - 1),),
        ]


def test_one_node_of_a_cluster(any_cluster: Cluster) -> None:
    """With cluster=no, only the node that was named is scanned."""
    server = any_cluster.primaries[1]
    assert deployment(server.url + "?cluster=no").nodes(PRIMARY) == [address(server)]


def test_a_cluster_without_replicas(any_cluster: Cluster) -> None:
    """A cluster without replicas can't be scanned from replicas."""
    with pytest.raises(WrongRole, match="no replica"):
        deployment(any_cluster.url).nodes(REPLICA)


def test_a_cluster_is_scanned_from_its_replicas(replicated_cluster: Cluster) -> None:
    """Asked for replicas, one of each primary is read, and together they hold every key."""
    keys = {f"key:{number}".encode() for number in range(30_000)}
    for server in replicated_cluster.primaries:
        set_keys(server, keys)  # each node refuses what belongs to the others
        with server.client() as client:
            client.wait(1, 5000)
    found = deployment(replicated_cluster.url)
    with link_to(replicated_cluster.primaries[0]) as link:
        # A cluster lists a replica once gossip says that it has received something.
        wait_for(lambda: all(node.replicas for node in cluster_nodes(link)), "the replicas to be listed")
    nodes = found.nodes(REPLICA)
    assert sorted(nodes) == sorted(map(address, replicated_cluster.replicas))
    met: list[bytes] = []
    for node_address in nodes:
        with found.connect(node_address, 0) as node:
            profile = node.profile()
            server = next(server for server in replicated_cluster.replicas if address(server) == node_address)
            slots = found.slots_of(node_address)
            assert slots != ((0, SLOTS - 1),)
            shard = shards_of(server, 1, slots)[0]
            assert profile.run_id == shard.run_id
            with node.reader(shard, load_share=1, samples=[]) as reader:
                for batch in reader.batches():
                    met += batch.frame["key"].to_list()
                    assert batch.vanished == 0
    assert len(met) == len(keys)
    assert set(met) == keys


def test_the_topology_changes_with_a_slot(replicated_cluster: Cluster) -> None:
    """The fingerprint of a cluster is the same twice, and another one after a slot has moved."""
    source, target = replicated_cluster.primaries[:2]
    found = deployment(source.url)
    before = found.topology()
    assert before == found.topology()
    with source.client() as left, target.client() as right:
        left_id, right_id = (client.execute_command("CLUSTER", "MYID") for client in (left, right))
        # Slot 5 holds nothing but what hashes there; move its keys away first, so that it may change hands.
        for key in left.execute_command("CLUSTER", "GETKEYSINSLOT", 5, 1000):
            left.delete(key)
        right.execute_command("CLUSTER", "SETSLOT", 5, "IMPORTING", left_id)
        left.execute_command("CLUSTER", "SETSLOT", 5, "MIGRATING", right_id)
        for client in (right, left):
            client.execute_command("CLUSTER", "SETSLOT", 5, "NODE", right_id)
    wait_for(lambda: found.topology() != before, "the slot to have moved")
    with link_to(source) as link:
        nodes = cluster_nodes(link)
    assert nodes[0].slots == ((0, 4), (6, 5460))
    assert nodes[1].slots == ((5, 5), (5461, 10_921))
    assert fingerprint(nodes) == found.topology()


def test_keys_of_a_slot_that_is_moving(valkey_cluster: Cluster) -> None:
    """Keys that leave for another node between SCAN and PTTL count as vanished, and nothing fails."""
    source, target = valkey_cluster.primaries[:2]
    set_keys(source, (f"{{key:{number}}}" for number in range(3000)))
    with source.client() as left, target.client() as right, link_to(source) as link:
        left_id, right_id = (client.execute_command("CLUSTER", "MYID") for client in (left, right))
        slots = [slot for slot in range(5461) if left.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)][:50]

        def move_them(page: int) -> None:
            for slot in slots if page == 0 else ():
                right.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", left_id)
                left.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", right_id)
                for key in left.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
                    left.execute_command("MIGRATE", target.host, target.port, key, 0, 5000)

        held = int(link.call("DBSIZE"))
        load: Any = PagesWithInterruptions(move_them)
        try:
            batches = list(ShardReader(link, shards_of(source, 1)[0], load).batches())
            left_over = int(link.call("DBSIZE"))
            assert 0 < left_over < held
            assert sum(batch.vanished for batch in batches) == held - left_over
            assert sum(batch.keys for batch in batches) == left_over
        finally:
            for slot in slots:
                left.execute_command("CLUSTER", "SETSLOT", slot, "NODE", left_id)
                right.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")


@pytest.mark.parametrize("kind", [VALKEY, REDIS_7], ids=lambda kind: kind.name)
def test_sentinels_know_the_way(kind: object) -> None:
    """A sentinel names the primary and a replica that is up; one that is down is passed over for the next."""
    with (
        run_server(require(kind), password="secret") as primary,  # type: ignore[arg-type]
        run_server(kind, password="secret", replica_of=primary) as replica,  # type: ignore[arg-type]
        run_sentinel(kind, primary, name="shop") as sentinel,  # type: ignore[arg-type]
    ):
        url = f"redis+sentinel://:secret@127.0.0.1:{free_port()},{address(sentinel)}/shop"
        assert deployment(url).nodes(PRIMARY) == [address(primary)]
        endpoint = endpoint_from_url(url)

        def replica_is_known() -> bool:
            try:
                return locate(endpoint, "replica").address == address(replica)
            except WrongRole:
                return False

        wait_for(replica_is_known, "the sentinel to know the replica")
        assert deployment(url).nodes(REPLICA) == [address(replica)]
        with deployment(url).connect(address(primary), 0) as node:
            assert node.address == address(primary)


def test_sentinels_that_do_not_know_the_name(valkey: Server) -> None:
    """A name that the sentinel doesn't watch is the operator's mistake, and is shown."""
    with run_sentinel(VALKEY, valkey) as sentinel:
        url = f"redis+sentinel://{address(sentinel)}/shop"
        with pytest.raises(InvalidOption, match="shop"):
            deployment(url).nodes(PRIMARY)


def test_sentinels_that_want_a_password(valkey: Server) -> None:
    """The sentinel's password is its own, not the server's."""
    with run_sentinel(VALKEY, valkey, name="shop", password="secret") as sentinel:
        url = f"redis+sentinel://{address(sentinel)}/shop"
        with pytest.raises(AuthenticationFailed):
            deployment(url).nodes(PRIMARY)
        assert deployment(f"{url}?sentinel_password=secret").nodes(PRIMARY) == [address(valkey)]


def test_no_sentinel_answers() -> None:
    """When no sentinel can be reached, each that was tried is named."""
    ports = [free_port(), free_port()]
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    with pytest.raises(Unreachable) as caught:
        deployment(f"redis+sentinel://{places}/shop").nodes(PRIMARY)
    assert all(str(port) in str(caught.value) for port in ports)


@pytest.fixture(scope="module")
def hosts_of_one_port() -> Iterator[list[Server]]:
    """A cluster whose nodes have the same port, each on an address of its own, as on machines of their own."""
    kind, port, bus = require(VALKEY), free_port(), free_port()
    with ExitStack() as stack:
        nodes = []
        for number in (1, 2, 3):
            host = f"127.0.0.{number}"
            lines = ["cluster-enabled yes", f"cluster-port {bus}", f"cluster-announce-ip {host}"]
            nodes.append(stack.enter_context(Server(kind, lines, host=host, port=port)))
        for number, node in enumerate(nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1)
                if number:
                    client.execute_command("CLUSTER", "MEET", nodes[0].host, port, bus)

        def is_ok() -> bool:
            for node in nodes:
                with node.client() as client:
                    if b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                        return False
            return True

        wait_for(is_ok, "the cluster to be ok")
        yield nodes


def _prefer(nodes: list[Server], endpoint_type: str) -> None:
    for node in nodes:
        with node.client() as client:
            client.config_set("cluster-preferred-endpoint-type", endpoint_type)


def test_a_node_without_a_host_name_is_where_its_address_says(hosts_of_one_port: list[Server]) -> None:
    """A cluster that prefers host names and has none (``?``) still says its nodes' addresses, and these are used."""
    _prefer(hosts_of_one_port, "hostname")
    found = deployment(hosts_of_one_port[0].url)
    assert found.nodes(PRIMARY) == [address(node) for node in hosts_of_one_port]


def test_no_node_is_taken_for_another(hosts_of_one_port: list[Server]) -> None:
    """A cluster that announces no addresses isn't scanned, watched, written or restored at the entry's address three times."""
    _prefer(hosts_of_one_port, "unknown-endpoint")
    url, first = hosts_of_one_port[0].url, address(hosts_of_one_port[0])
    endpoint = endpoint_from_url(url)
    node = NodeIdentity(first, "", "")
    try:
        with pytest.raises(OtherServer, match="cluster-preferred-endpoint-type"):
            deployment(url).nodes(PRIMARY)
        with pytest.raises(OtherServer), deployment(url).connect(first, 0):
            pass
        with pytest.raises(OtherServer):
            WatchedDeployment(endpoint).sample("2026-01-01T00:00:00+00:00", limit_bytes=None)
        with pytest.raises(OtherServer):
            WritableDeployment(endpoint, FAST).primary_of(node)
        with pytest.raises(OtherServer), WritableDeployment(endpoint, FAST).connect(first, 0):
            pass
        with pytest.raises(OtherServer), KeyRestorer(endpoint, FAST, parse_rate("1000/s")):
            pass
        with pytest.raises(OtherServer):
            write_keyspace(endpoint, scaled(FAMILIES, 1_000), seed=1, on_progress=lambda _: None)
    finally:
        _prefer(hosts_of_one_port, "ip")


def test_a_node_that_is_not_the_one_meant_is_left_at_once(hosts_of_one_port: list[Server]) -> None:
    """Who answers at a node's address says its id, and another id ends the connection with both of them."""
    entry = endpoint_from_url(hosts_of_one_port[0].url)
    with hosts_of_one_port[1].client() as client:
        other = client.execute_command("CLUSTER", "MYID").decode()
    with pytest.raises(OtherServer, match=f"this is node [0-9a-f]{{40}}.*expected node {other}"):
        RedisLink(entry.at(entry.address, other))
    with RedisLink(entry.at(address(hosts_of_one_port[1]), other)) as link:
        assert link.call("PING") == b"PONG"


def test_an_address_that_the_cluster_does_not_have_is_not_tried(
    hosts_of_one_port: list[Server], valkey: Server
) -> None:
    """A plan's address that no node of the cluster has any more isn't connected to, whoever answers there."""
    with (
        pytest.raises(OtherServer, match="no node of the cluster"),
        deployment(hosts_of_one_port[0].url).connect(address(valkey), 0),
    ):
        pass


def test_the_other_nodes_are_found_while_the_entry_is_down(hosts_of_one_port: list[Server]) -> None:
    """With the URL's node down, a node that is known by its address is asked who it is itself."""
    target = hosts_of_one_port[2]
    found = deployment(f"redis://127.0.0.1:{free_port()}")
    with found.connect(address(target), 0) as node:
        assert node.address == address(target)


def test_a_user_must_be_allowed_to_ask_who_a_node_is(valkey_cluster: Cluster) -> None:
    """Without CLUSTER MYID nodes can't be told apart, which is said with the missing right."""
    server = valkey_cluster.primaries[0]
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "bob", "on", "nopass", "~*", "+@all", "-cluster|myid")
    with pytest.raises(MissingPermission, match=r"\+cluster\|myid"):
        deployment(f"redis://bob@127.0.0.1:{server.port}").nodes(PRIMARY)


def test_a_node_answers_for_its_database(any_server: Server) -> None:
    """A node draws, finds and checks keys in the database that it was opened on."""
    set_keys(any_server, (f"key:{number}" for number in range(20_000)), db=2)
    found = deployment(any_server.url)
    with found.connect(address(any_server), 2) as node, RedisLink(endpoint_from_url(any_server.url)) as link:
        assert node.address == address(any_server)
        assert node.profile().run_id == node.run_id()
        drawn = node.random_keys(10)
        assert 0 < len(drawn) <= 10
        assert node.existing([*drawn, b"gone"]) == drawn
        assert node.split_refused(SplitRule.BITS) is None
        assert link.call("DBSIZE") == 0
    with found.connect(address(any_server), 0) as node:
        assert node.random_keys(10) == []
