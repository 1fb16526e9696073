"""Finds the servers that make up one deployment, through sentinels, a cluster's own table or a primary's INFO.

Nothing is scanned here, and no role is guessed: asked for a replica where there is none, it says so.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from redis_ttl.adapters.redis_link import RedisLink
from redis_ttl.adapters.redis_profile import parse_info, profile_from_info
from redis_ttl.domain.errors import ConnectionLost, InvalidOption, Unreachable, WrongRole
from redis_ttl.domain.server import Role, ServerProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis_ttl.adapters.redis_endpoint import Endpoint

Source = Literal["primary", "replica"]


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One primary of a cluster: its id and address, the slots that it owns, and the addresses of its replicas.

    ``slots`` are ranges, both ends included.
    """

    id: str
    address: str
    slots: tuple[tuple[int, int], ...]
    replicas: tuple[str, ...] = ()

    def address_for(self, source: Source) -> str:
        """Where to read this primary's keys; raises `WrongRole` when it has no replica to read from."""
        if source == "primary":
            return self.address
        if not self.replicas:
            raise WrongRole(
                "this primary of the cluster has no replica to scan",
                where=self.address,
                todo="Scan the primaries, or add a replica.",
            )
        return self.replicas[0]


def locate(endpoint: Endpoint, source: Source) -> Endpoint:
    """The endpoint itself, or the server that its sentinels name: the primary, or one of its replicas that is up.

    The first sentinel that answers is believed. Raises `Unreachable` when none answers, `InvalidOption` when it doesn't
    know the name, `AuthenticationFailed`, and `WrongRole` when there is no replica.
    """
    if not endpoint.sentinels:
        return endpoint
    unreachable: list[str] = []
    for host, port in endpoint.sentinels:
        try:
            with RedisLink(_sentinel(endpoint, host, port)) as link:
                return endpoint.at(_watched_address(link, endpoint.sentinel_master or "", source))
        except (Unreachable, ConnectionLost) as error:
            unreachable.append(str(error))
    raise Unreachable(
        "no sentinel answers",
        where=endpoint.label,
        found=" / ".join(unreachable),
        todo="Check the sentinels' addresses (their port is usually 26379), firewall, and that they run.",
    )


def is_cluster(link: RedisLink) -> bool:
    """Whether this server is a node of a cluster."""
    return profile_from_info(parse_info(link.call("INFO")), address=link.where, access={}).cluster_enabled


def cluster_nodes(link: RedisLink) -> list[ClusterNode]:
    """The primaries of the cluster that this node belongs to, in the order of their slots."""
    slots: dict[str, list[tuple[int, int]]] = {}
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    for first, last, primary, *replicas in link.call("CLUSTER", "SLOTS"):
        node_id = _text(primary[2])
        slots.setdefault(node_id, []).append((int(first), int(last)))
        addresses = tuple(_member_address(replica, link.endpoint) for replica in replicas)
        known[node_id] = _member_address(primary, link.endpoint), addresses
    nodes = [
        ClusterNode(node_id, known[node_id][0], tuple(sorted(slots[node_id])), known[node_id][1]) for node_id in known
    ]
    return sorted(nodes, key=lambda node: node.slots)


def own_slots(link: RedisLink) -> tuple[set[int], set[int]]:
    """The slots that this node itself says it owns, and those that it is giving away or taking over.

    By its own line of CLUSTER NODES (``0-5460 5462 [8363->-id] [8363-<-id]``): what it says of others may be old.
    """
    lines = [line.split() for line in _text(link.call("CLUSTER", "NODES")).splitlines()]
    own = next((words[8:] for words in lines if "myself" in words[2].split(",")), [])
    owned: set[int] = set()
    for first, last in _ranges(own):
        owned.update(range(first, last + 1))
    return owned, {int(slot) for word in own for slot in re.findall(r"\[(\d+)-[<>]-", word)}


def fingerprint(nodes: Sequence[ClusterNode]) -> str:
    """A short text that changes when a slot changes its primary."""
    text = repr([(node.id, node.slots) for node in nodes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def replica_address(profile: ServerProfile) -> str:
    """The replica of a standalone primary that is online and least behind; raises `WrongRole` when there is none."""
    online = [replica for replica in profile.replicas if replica.state == "online"]
    if not online:
        raise WrongRole(
            "this primary has no replica to scan", where=profile.address, todo="Scan the primary, or add a replica."
        )
    return min(online, key=lambda replica: replica.lag_bytes or 0).address


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


def _ranges(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        if match := re.fullmatch(r"(\d+)(?:-(\d+))?", word):
            yield int(match[1]), int(match[2] or match[1])


def _member_address(member: Sequence[Any], endpoint: Endpoint) -> str:
    # A node that doesn't know its own address yet, or announces a host name instead, leaves it empty: then it is
    # where we connected to.
    host = _text(member[0]) if member[0] else ""
    if host in ("", "?"):
        host = endpoint.host
    return _address(host, member[1])


def _sentinel(endpoint: Endpoint, host: str, port: int) -> Endpoint:
    username, password = endpoint.sentinel_username, endpoint.sentinel_password
    return replace(
        endpoint, host=host, port=port, unix_socket=None, db=0, sentinels=(), username=username, password=password
    )


def _watched_address(link: RedisLink, name: str, source: Source) -> str:
    primary = link.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    if primary is None:
        raise InvalidOption(
            "the sentinel watches no primary of that name",
            where=link.where,
            found=f"sentinel_master {name}",
            todo="SENTINEL MASTERS lists the names that it knows.",
        )
    if source == "primary":
        return _address(*primary)
    # SENTINEL SLAVES is what every version knows.
    for fields in link.call("SENTINEL", "SLAVES", name):
        replica = {_text(key): _text(value) for key, value in zip(fields[::2], fields[1::2], strict=True)}
        if replica["flags"] == "slave" and replica.get("master-link-status") == "ok":
            return _address(replica["ip"], replica["port"])
    todo = "Scan the primary, or add a replica."
    raise WrongRole(f"the sentinel knows no replica of {name} that is up", where=link.where, todo=todo)


def _address(host: object, port: object) -> str:
    name = _text(host)
    return f"[{name}]:{_text(port)}" if ":" in name else f"{name}:{_text(port)}"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
