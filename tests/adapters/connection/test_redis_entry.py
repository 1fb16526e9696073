from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from lab.loopback import free_port
from lab.servers.certificates import Certificates
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import REDIS_7, VALKEY, ServerKind
from lab.servers.server import Server, run_sentinel, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.entry import locate
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.writing.writable_deployment import WritableDeployment
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import (
    AuthenticationFailed,
    InvalidOption,
    OtherServer,
    TlsMismatch,
    Unreachable,
    WrongRole,
)
from redis_ttl.domain.plan.plan import NodeIdentity
from tests.adapters.keyspaces import FAST
from tests.conftest import require

PRIMARY = AuditOptions()
REPLICA = AuditOptions(source="replica")
#: An address of this machine where nobody listens.
NAT_HOST = "127.0.0.9"


def deployment(url: str) -> RedisDeployment:
    """The deployment behind that URL."""
    return RedisDeployment(endpoint_from_url(url), FAST)


def address(server: Server) -> str:
    """Where the server listens."""
    return f"{server.host}:{server.port}"


def _online(primary: Any) -> list[str]:
    """Where the primary says that its replicas are."""
    info = primary.info("replication")
    replicas = [info.get(f"slave{number}", {}) for number in range(info["connected_slaves"])]
    return [f"{each['ip']}:{each['port']}" for each in replicas if each.get("state") == "online"]


@contextmanager
def ignorant_sentinel(kind: ServerKind, **options: str) -> Iterator[Server]:
    """A sentinel that watches nothing."""
    with Server(kind, ["sentinel deny-scripts-reconfig yes"], sentinel=True, **options) as sentinel:  # type: ignore[arg-type]
        yield sentinel


def by(sentinels: Sequence[str], rest: str = "/mymaster", scheme: str = "redis+sentinel") -> str:
    """The URL that asks these sentinels in that order."""
    return f"{scheme}://{','.join(sentinels)}{rest}"


@pytest.fixture(params=[VALKEY, REDIS_7], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> ServerKind:
    """Each kind of server that has sentinels, in turn."""
    return require(request.param)


def test_the_order_of_sentinels_does_not_matter(kind: ServerKind) -> None:
    """Of sentinels that don't know the name, want a password, don't answer or do know, the one that does leads on."""
    with (
        run_server(kind) as server,
        ignorant_sentinel(kind) as ignorant,
        ignorant_sentinel(kind, password="secret") as locked,
        run_sentinel(kind, server) as knowing,
    ):
        others = [address(ignorant), address(locked), f"127.0.0.1:{free_port()}", address(server)]
        for asked in ([*others, address(knowing)], [address(knowing), *others]):
            assert deployment(by(asked)).nodes(PRIMARY) == [address(server)]
        with pytest.raises(InvalidOption) as caught:
            deployment(by(others)).nodes(PRIMARY)
    text = str(caught.value)
    assert "no sentinel leads to a primary" in text
    for words in (
        f"{address(ignorant)}: the sentinel watches no primary of that name (sentinel_master mymaster)",
        f"{address(locked)}: the server requires a password, and none was given",
        f"{others[2]}: connection failed",
        f"{address(server)}: the server ",
    ):
        assert words in text


def test_a_former_primary_is_passed_over(kind: ServerKind) -> None:
    """A sentinel that still names a server which is a replica by now isn't believed, and is named where no other knows better."""
    with run_server(kind) as old, run_sentinel(kind, old) as stale:
        with stale.client() as client:  # it never hears of the change, as one that was cut off
            client.execute_command("SENTINEL", "SET", "mymaster", "down-after-milliseconds", 3_600_000)
        with run_server(kind) as new, run_sentinel(kind, new) as knowing:
            with old.client() as client:
                client.replicaof(new.host, str(new.port))
            assert deployment(by([address(stale), address(knowing)])).nodes(PRIMARY) == [address(new)]
            with stale.client() as client:
                # Watching goes on, so that it may put its own order through; what it names stays the same.
                told = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
            assert [part.decode() for part in told] == [old.host, str(old.port)]
            with old.client() as client:
                client.replicaof(new.host, str(new.port))
                with pytest.raises(
                    WrongRole, match=f"primary is at {address(old)}; found a replica there of {address(new)}"
                ):
                    locate(endpoint_from_url(by([address(stale)])), "primary")


def test_a_name_that_leads_to_a_dead_server_is_passed_over(kind: ServerKind) -> None:
    """A sentinel whose server is gone isn't the last word, and alone it is quoted with the address that nobody typed."""
    with (
        run_server(kind) as server,
        run_sentinel(kind, server) as knowing,
        run_server(kind) as gone,
        run_sentinel(kind, gone) as stale,
    ):
        lost = address(gone)
        gone.stop()
        assert deployment(by([address(stale), address(knowing)])).nodes(PRIMARY) == [address(server)]
        with pytest.raises(
            Unreachable, match=f"the sentinel says that the primary is at {lost}; found connection failed"
        ):
            deployment(by([address(stale)])).nodes(PRIMARY)


def test_sentinels_without_tls_before_a_server_with_it(certificates: Certificates) -> None:
    """``sentinel_ssl`` says how sentinels are spoken to; a wrong answer names TLS."""
    kind = require(REDIS_7)
    with run_server(kind, certificates=certificates) as server:
        files = f"ssl_ca_certs={certificates.ca}"
        lines = [f"sentinel monitor mymaster {server.host} {server.port} 1"]
        with (
            Server(kind, lines, sentinel=True) as plain,
            Server(kind, lines, sentinel=True, certificates=certificates) as secured,
        ):
            here = f"/mymaster?{files}"
            secure_url = by([address(secured)], here, "rediss+sentinel")
            plain_url = by([address(plain)], here, "rediss+sentinel")
            assert deployment(secure_url).nodes(PRIMARY) == [address(server)]
            assert deployment(f"{secure_url}&sentinel_ssl=yes").nodes(PRIMARY) == [address(server)]
            assert deployment(f"{plain_url}&sentinel_ssl=no").nodes(PRIMARY) == [address(server)]
            with pytest.raises(TlsMismatch):
                deployment(plain_url).nodes(PRIMARY)
            with pytest.raises(TlsMismatch):
                deployment(f"{secure_url}&sentinel_ssl=no").nodes(PRIMARY)


def test_sentinels_with_tls_before_a_server_without_it(certificates: Certificates) -> None:
    """Sentinels may speak TLS where the server doesn't."""
    kind = require(REDIS_7)
    with run_server(kind) as server:
        lines = [f"sentinel monitor mymaster {server.host} {server.port} 1"]
        with Server(kind, lines, sentinel=True, certificates=certificates) as secured:
            url = by([address(secured)], f"/mymaster?sentinel_ssl=yes&ssl_ca_certs={certificates.ca}")
            assert deployment(url).nodes(PRIMARY) == [address(server)]


def test_sentinels_with_a_user_of_their_own(kind: ServerKind) -> None:
    """User and password of the sentinels are their own, and no server's are tried on them."""
    lines = ["user eve on >hers ~* &* +@all"]
    with run_server(kind, password="secret") as server:
        monitor = [f"sentinel monitor mymaster {server.host} {server.port} 1"]
        with Server(kind, [*lines, *monitor], sentinel=True, password="x") as sentinel:
            url = f"redis+sentinel://:secret@{address(sentinel)}/mymaster"
            assert deployment(f"{url}?sentinel_username=eve&sentinel_password=hers").nodes(PRIMARY) == [address(server)]
            with pytest.raises(AuthenticationFailed):
                deployment(f"{url}?sentinel_username=eve&sentinel_password=secret").nodes(PRIMARY)


@pytest.fixture(scope="module")
def replicated() -> Iterator[Cluster]:
    """A cluster of three with a replica each, whose first primary the tests stop."""
    with run_cluster(require(VALKEY), with_replicas=True) as cluster:
        yield cluster


def test_the_next_of_the_startup_nodes_is_asked(replicated: Cluster) -> None:
    """While the connection's host is down, its cluster is entered at another node; each that doesn't answer is listed."""
    lost, second, third = replicated.primaries
    deaf = f"127.0.0.1:{free_port()}"
    url = f"redis://{address(lost)}?startup_nodes={address(second)},{address(third)}"
    assert deployment(url).nodes(PRIMARY) == [address(each) for each in replicated.primaries]
    lost.stop()

    def has_taken_over() -> bool:
        with second.client() as client:
            return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")

    wait_for(lambda: not has_taken_over(), "the cluster to miss its primary", 60)
    wait_for(has_taken_over, "a replica to take over", 60)
    heir = address(replicated.replicas[0])
    nodes = [heir, address(second), address(third)]
    assert deployment(url).nodes(PRIMARY) == nodes
    assert deployment(f"redis://{deaf}?startup_nodes={address(lost)},{address(third)}").nodes(PRIMARY) == nodes
    assert (
        WatchedDeployment(endpoint_from_url(url)).sample("2026-01-01T00:00:00+00:00", limit_bytes=None).nodes[0].address
        == heir
    )
    with pytest.raises(Unreachable) as caught:
        deployment(f"redis://{deaf}?startup_nodes={address(lost)}").nodes(PRIMARY)
    assert all(f"{each}: connection failed" in str(caught.value) for each in (deaf, address(lost)))


def test_a_startup_node_of_another_cluster_is_refused(valkey: Server, any_cluster: Cluster) -> None:
    """A node is asked in another's place only if its cluster knows one of those that are named beside it."""
    deaf = f"127.0.0.1:{free_port()}"
    node, other = any_cluster.primaries[0], any_cluster.primaries[1]
    with pytest.raises(OtherServer, match="knows none of the others"):
        deployment(f"redis://{deaf}?startup_nodes={address(node)}").nodes(PRIMARY)
    with pytest.raises(OtherServer, match="isn't a cluster's node"):
        deployment(f"redis://{deaf}?startup_nodes={address(valkey)}").nodes(PRIMARY)
    # One that was replaced is forgotten by its cluster; the others know one another.
    found = deployment(f"redis://{deaf}?startup_nodes={address(node)},localhost:{other.port}").nodes(PRIMARY)
    assert found == [address(each) for each in any_cluster.primaries]


def test_startup_nodes_that_announce_other_addresses_are_taken(kind: ServerKind) -> None:
    """Where a cluster announces addresses that nobody types (behind a NAT), nothing tells its nodes from another's, and it is read."""
    with run_cluster(kind, "cluster-announce-ip 127.0.0.2", primaries=1) as cluster:
        (node,) = cluster.primaries
        endpoint = endpoint_from_url(f"redis://127.0.0.1:{free_port()}?startup_nodes={address(node)}")
        assert locate(endpoint, "primary").address == address(node)


def test_a_replica_behind_a_nat_is_named_as_the_primary_names_it(kind: ServerKind) -> None:
    """An address that the primary told and nobody can reach is shown as that, with the way out, and taken where it is given."""
    announced = ["replica-announce-ip " + NAT_HOST, "replica-announce-port 7999"]
    with run_server(kind) as primary, Server(kind, [*announced, f"replicaof {primary.host} {primary.port}"]) as replica:

        def is_online() -> bool:
            with primary.client() as client:
                return _online(client) == [f"{NAT_HOST}:7999"]

        wait_for(is_online, "the primary to know its replica")
        with pytest.raises(Unreachable) as caught:
            deployment(primary.url).nodes(REPLICA)
        assert (
            f"{address(primary)}: the primary says its replica is at {NAT_HOST}:7999; found connection failed there"
            in str(caught.value)
        )
        assert "Give the replica's own address instead" in str(caught.value)
        assert deployment(replica.url).nodes(REPLICA) == [address(replica)]
        # Watching and the guards ask the primary how far its replicas are behind, and need no way to them.
        sample = WatchedDeployment(endpoint_from_url(primary.url), "replica").sample(
            "2026-01-01T00:00:00+00:00", limit_bytes=None
        )
        assert [node.address for node in sample.nodes] == [address(primary)]
        with WritableDeployment(endpoint_from_url(primary.url), FAST).connect(address(primary), 0) as database:
            health = database.health()
        assert (health.replicas_online, health.lag_bytes is None) == (1, False)


def test_another_server_at_the_replicas_announced_address_is_not_read(kind: ServerKind) -> None:
    """Where the announced address belongs to a primary, or to a replica of another deployment, it isn't read."""
    with run_server(kind) as stranger, run_server(kind, replica_of=stranger) as its_replica:
        for taken in (stranger, its_replica):
            lines = [f"replica-announce-ip {taken.host}", f"replica-announce-port {taken.port}"]
            with run_server(kind) as other, Server(kind, [*lines, f"replicaof {other.host} {other.port}"]):

                def is_online(other: Server = other) -> bool:
                    with other.client() as client:
                        return bool(_online(client))

                wait_for(is_online, "the primary to know its replica")
                with pytest.raises(OtherServer, match=f"says its replica is at {address(taken)}"):
                    deployment(other.url).nodes(REPLICA)


def test_a_primary_that_only_its_replica_knows_is_named_as_that(kind: ServerKind) -> None:
    """A plan of a replica leads to its primary; an address that nobody can reach is shown as the replica's word."""
    with run_server(kind) as primary, run_server(kind, replica_of=primary) as replica:
        told = address(primary)
        primary.stop()
        with pytest.raises(Unreachable, match=f"{address(replica)}: the replica says its primary is at {told}; found"):
            WritableDeployment(endpoint_from_url(replica.url), FAST).primary_of(NodeIdentity(address(replica), "", ""))


def test_no_replica_of_a_cluster_is_read_that_does_not_answer(kind: ServerKind) -> None:
    """A cluster's replica that is away is the primary's word, and nobody's key is read from elsewhere instead."""
    with run_cluster(kind, "cluster-node-timeout 3600000", primaries=1, with_replicas=True) as cluster:
        (primary,), (replica,) = cluster.primaries, cluster.replicas

        def lists_it() -> bool:
            with primary.client() as client:
                return str(replica.port) in repr(client.execute_command("CLUSTER", "SLOTS"))

        wait_for(lists_it, "the cluster to list its replica")
        assert deployment(cluster.url).nodes(REPLICA) == [address(replica)]
        replica.stop()
        with pytest.raises(
            Unreachable, match=f"says its replica is at {address(replica)}; found .*cluster-announce-ip"
        ):
            deployment(cluster.url).nodes(REPLICA)
