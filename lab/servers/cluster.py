"""Clusters of real servers, ready to take keys."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from lab.loopback import free_port
from lab.servers.kinds import VALKEY, ServerKind
from lab.servers.server import Server, is_in_sync
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_SLOTS = 16_384


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster: its primaries in slot order, and a replica of each where asked for."""

    primaries: Sequence[Server]
    replicas: Sequence[Server]

    @property
    def url(self) -> str:
        """The URL of the first primary."""
        return self.primaries[0].url

    def client(self) -> redis.RedisCluster:
        """A redis-py client that finds the node of each key."""
        first = self.primaries[0]
        return redis.RedisCluster(host=first.host, port=first.port, password=first.password)

    def flush(self) -> None:
        """Remove every key of every primary."""
        for server in self.primaries:
            with server.client() as client:
                client.flushall()


@contextmanager
def run_cluster(
    kind: ServerKind = VALKEY, *config: str, primaries: int = 3, with_replicas: bool = False
) -> Iterator[Cluster]:
    """A cluster of that many primaries with equal shares of the slots, ready to take keys, for the length of the
    ``with`` block.
    """
    count = primaries * 2 if with_replicas else primaries
    with ExitStack() as stack:
        nodes: list[Server] = []
        bus_ports: list[int] = []
        for _ in range(count):
            bus_port = free_port()
            lines = [
                "cluster-enabled yes",
                "cluster-node-timeout 3000",
                f"cluster-port {bus_port}",
                "cluster-config-file nodes.conf",
            ]
            nodes.append(stack.enter_context(Server(kind, [*lines, *config])))
            bus_ports.append(bus_port)
        clients = [stack.enter_context(node.client()) for node in nodes]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                first, last = number * _SLOTS // primaries, (number + 1) * _SLOTS // primaries - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            if number:
                clients[0].execute_command("CLUSTER", "MEET", nodes[number].host, nodes[number].port, bus_ports[number])
        wait_for(lambda: all(_knows(client, count) for client in clients), "the nodes to know one another")
        for number, client in enumerate(clients[primaries:]):
            primary_id = clients[number].execute_command("CLUSTER", "MYID")
            client.execute_command("CLUSTER", "REPLICATE", primary_id)
        wait_for(lambda: all(_is_ok(client) for client in clients), "the cluster to be ok")
        wait_for(lambda: all(map(is_in_sync, clients[primaries:])), "the replicas to be in sync")
        yield Cluster(nodes[:primaries], nodes[primaries:])


def _knows(client: redis.Redis, count: int) -> bool:
    if _cluster_info(client).get(b"cluster_known_nodes") != str(count).encode():
        return False
    table: Any = client.execute_command("CLUSTER", "NODES")  # type: ignore[no-untyped-call]
    return "handshake" not in repr(table)  # until then it has a name for it that the node itself doesn't know


def _is_ok(client: redis.Redis) -> bool:
    return _cluster_info(client).get(b"cluster_state") == b"ok"


def _cluster_info(client: redis.Redis) -> dict[bytes, bytes]:
    answer: Any = client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    if isinstance(answer, dict):
        return {str(name).encode(): str(value).encode() for name, value in answer.items()}
    return dict(line.split(b":", 1) for line in bytes(answer).splitlines() if b":" in line)
