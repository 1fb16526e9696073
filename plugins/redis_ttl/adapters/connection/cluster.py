"""Finds the servers that make up one deployment, through a cluster's own table or a primary's INFO.

Nothing is scanned here, and no role is guessed: asked for a replica where there is none, it says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.endpoint import address_of
from redis_ttl.adapters.connection.entry import AWAY, Source, in_vain, locate, none_leads, profile_now
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.topology_replies import Member, my_id, own_line, slot_table
from redis_ttl.domain.audit.server import Role, ServerProfile
from redis_ttl.domain.audit.shards import SLOTS
from redis_ttl.domain.errors import (
    ConnectionLost,
    OtherServer,
    RedisTtlError,
    ServerLoading,
    ServerProblem,
    Unreachable,
    WrongRole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.adapters.connection.endpoint import Endpoint

_GAPS_SHOWN: Final = 5
_ANNOUNCE: Final = "Let each node announce its own: see cluster-preferred-endpoint-type and cluster-announce-ip."


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One primary of a cluster: its id and address, the slots that it owns, and the addresses and ids of its replicas.

    ``slots`` are ranges, both ends included.
    """

    id: str
    address: str
    slots: tuple[tuple[int, int], ...]
    replicas: tuple[str, ...] = ()
    replica_ids: tuple[str, ...] = ()


class Ways:
    """The ways to the servers of the deployment that an endpoint leads to: every connection begins here.

    Sentinels are asked where to go, and in a cluster each way knows which node must answer at its end, so that no address is
    taken for another server's. What the cluster said is kept until an address isn't in it.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._ids: dict[str, str] | None = None

    def entry(self, source: Source = "primary", *, permit: Callable[[Endpoint], None] | None = None) -> Endpoint:
        """The server that the endpoint names, or that its sentinels or startup nodes lead to; raises what `locate` does."""
        return locate(self._endpoint, source, permit=permit)

    def to(self, address: str, db: int = 0) -> Endpoint:
        """The way to that database of the server at that address, which is one of the deployment's.

        Raises `OtherServer` when the deployment is a cluster that has no node there, or several, and whatever asking it raises.
        """
        way = self._endpoint.at(address).on(db)
        if not self._endpoint.whole_cluster:
            return way
        if self._ids is None or (self._ids and address not in self._ids):
            self._ids = self._node_ids(address)
        if not self._ids:
            return way
        if address not in self._ids:
            raise OtherServer(
                "no node of the cluster has this address",
                where=address,
                allowed=", ".join(sorted(self._ids)),
                todo="It left the cluster, or has no slots any more: begin anew.",
            )
        return self._endpoint.at(address, self._ids[address]).on(db)

    def _node_ids(self, address: str) -> dict[str, str]:
        """The id of the node at each address of the cluster; empty outside a cluster."""
        try:
            return _ids_by_address(self.entry().on(0))
        except (Unreachable, ConnectionLost, ServerLoading):
            # The entry may be down while the others go on: then the one that is meant says who it is.
            return _ids_by_address(self._endpoint.at(address).on(0))


def is_cluster(link: RedisLink) -> bool:
    """Whether this server is a node of a cluster."""
    return profile_now(link).cluster_enabled


def cluster_nodes(link: RedisLink) -> list[ClusterNode]:
    """The primaries of the cluster that this node belongs to, in the order of their slots.

    Raises `OtherServer` when the cluster doesn't say where one of its nodes is, or says the same of two.
    """
    slots: dict[str, list[tuple[int, int]]] = {}
    known: dict[str, ClusterNode] = {}
    own_id = my_id(link)
    for row in slot_table(link):
        slots.setdefault(row.primary.id, []).append((row.first, row.last))
        known[row.primary.id] = ClusterNode(
            row.primary.id,
            _member_address(row.primary, link, own_id),
            (),
            tuple(_member_address(replica, link, own_id) for replica in row.replicas),
            tuple(replica.id for replica in row.replicas),
        )
    nodes = [replace(node, slots=tuple(sorted(slots[node.id]))) for node in known.values()]
    _by_address(nodes, link.where)
    return sorted(nodes, key=lambda node: node.slots)


def check_coverage(nodes: Sequence[ClusterNode], where: str) -> None:
    """Return if every slot has a node; else raise `ServerProblem`: what is read of such a cluster is a part of it."""
    free, gaps = 0, []
    for first, last in (*sorted(slots for node in nodes for slots in node.slots), (SLOTS, SLOTS)):
        if first > free:
            gaps.append(f"{free}-{first - 1}")
        free = max(free, last + 1)
    if gaps:
        raise ServerProblem(
            "the cluster isn't whole: some of its slots have no node",
            where=where,
            found=f"none for slots {', '.join(gaps[:_GAPS_SHOWN])}" + (" ..." if len(gaps) > _GAPS_SHOWN else ""),
            allowed=f"a node for each slot from 0 to {SLOTS - 1}",
            todo="A new node may not know the others yet; otherwise assign the slots to a node (redis-cli --cluster fix).",
        )


def own_slots(link: RedisLink) -> tuple[set[int], set[int]]:
    """The slots that this node itself says it owns, and those that it is giving away or taking over."""
    ranges, moving = own_line(link)
    return {slot for first, last in ranges for slot in range(first, last + 1)}, moving


def fingerprint(nodes: Sequence[ClusterNode]) -> str:
    """A short text that changes when a slot changes its primary."""
    text = repr([(node.id, node.slots) for node in nodes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def replica_of(primary: ServerProfile, ways: Ways) -> str:
    """The replica of a standalone primary that is online, answers, and is least behind.

    Raises `WrongRole` when there is none, and else, of those that the primary names, what became of each: most often
    `Unreachable`, where it names an address of its own network.
    """
    online = sorted((each for each in primary.replicas if each.state == "online"), key=lambda each: each.lag_bytes or 0)
    if not online:
        raise WrongRole(
            "this primary has no replica to scan", where=primary.address, todo="Scan the primary, or add a replica."
        )
    todo = "Give the replica's own address instead, or let it announce one that can be reached (replica-announce-ip, -port)."
    return _first_replica([each.address for each in online], primary.address, ways, todo, lineage=primary.lineage)


def replica_of_node(node: ClusterNode, ways: Ways) -> str:
    """A replica of a cluster's primary that answers; raises what `replica_of` does."""
    if not node.replicas:
        raise WrongRole(
            "this primary of the cluster has no replica to scan",
            where=node.address,
            todo="Scan the primaries, or add a replica.",
        )
    todo = "Scan the primaries, or let it announce an address that can be reached (cluster-announce-ip, cluster-announce-port)."
    return _first_replica(node.replicas, node.address, ways, todo)


def _first_replica(addresses: Sequence[str], primary: str, ways: Ways, todo: str, *, lineage: str = "") -> str:
    said: list[RedisTtlError] = []
    for address in addresses:
        told = f"the primary says its replica is at {address}"
        try:
            with RedisLink(ways.to(address)) as link:
                found = profile_now(link)
        except AWAY as error:
            said.append(in_vain(told, primary, error, todo))
            continue
        except RedisTtlError as error:
            said.append(error)
            continue
        if found.role is not Role.PRIMARY and (not lineage or not found.lineage or found.lineage == lineage):
            return address
        what = "another deployment's server" if found.role is Role.REPLICA else f"a {found.role}"
        said.append(OtherServer(told, where=primary, found=f"{what} there", todo=todo))
    raise none_leads("no replica that the primary names can be read", primary, said, todo)


def check_is_cluster(profile: ServerProfile, endpoint: Endpoint) -> None:
    """Return unless the endpoint means a cluster and this server is part of none; else raise `OtherServer`."""
    if endpoint.must_be_cluster and not profile.cluster_enabled:
        raise OtherServer(
            "the connection says cluster, and this server isn't part of one",
            where=profile.address,
            allowed="a node of a Redis Cluster",
            todo="Name a node of the cluster, or leave out cluster: one is recognised without it.",
        )


def check_primary(profile: ServerProfile) -> None:
    """Return if the server is not a replica; else raise `WrongRole` naming its primary."""
    if profile.role is Role.REPLICA:
        primary = profile.primary_address or "unknown"
        raise WrongRole(
            "this server is a replica",
            where=profile.address,
            found="role replica",
            allowed="a primary",
            todo=f"Give the address of its primary ({primary}), or choose to scan a replica.",
        )


def _ids_by_address(entry: Endpoint) -> dict[str, str]:
    with RedisLink(entry) as link:
        return _by_address(cluster_nodes(link), link.where) if is_cluster(link) else {}


def _by_address(nodes: Sequence[ClusterNode], where: str) -> dict[str, str]:
    """The id of the node at each address; raises `OtherServer` when the cluster gives two nodes one address."""
    ids: dict[str, str] = {}
    for node in nodes:
        for address, node_id in ((node.address, node.id), *zip(node.replicas, node.replica_ids, strict=True)):
            if ids.setdefault(address, node_id) != node_id:
                raise OtherServer(
                    "the cluster gives two of its nodes the same address",
                    where=where,
                    found=f"{address} for nodes {ids[address]} and {node_id}",
                    allowed="an address for each node",
                    todo=_ANNOUNCE,
                )
    return ids


def _member_address(member: Member, link: RedisLink, own_id: str) -> str:
    """Where the cluster says that this node is."""
    host = member.host
    if host == "?":  # it prefers host names, and this node announces none: then its address is beside it
        host = member.said.get("ip", "")
    if host:
        return address_of(host, str(member.port))
    if member.id == own_id:  # it doesn't know its own address yet; we do
        return link.endpoint.address
    if member.host is None and link.endpoint.host:  # "the host that you asked": who answers there is checked
        return address_of(link.endpoint.host, str(member.port))
    raise OtherServer(
        "the cluster doesn't say where one of its nodes is",
        where=link.where,
        found=f"no address for node {member.id}",
        todo=_ANNOUNCE,
    )
