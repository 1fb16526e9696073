"""One Redis deployment as the use cases see it: which servers it is made of, and which of them an audit scans."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis_ttl.adapters.connection.cluster import (
    ClusterNode,
    Ways,
    check_coverage,
    check_is_cluster,
    check_primary,
    cluster_nodes,
    fingerprint,
    is_cluster,
    own_slots,
    replica_of,
    replica_of_node,
)
from redis_ttl.adapters.connection.entry import profile_now
from redis_ttl.adapters.connection.errors import hung_up_on
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.cluster_following import FollowedExpiries
from redis_ttl.adapters.server.node import RedisNode
from redis_ttl.domain.audit.server import Role
from redis_ttl.domain.audit.shards import SLOTS, SlotClaims
from redis_ttl.domain.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.audit.audit import AuditOptions
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.policy.load import Load


class RedisDeployment:
    """The deployment that an endpoint leads to: one server, a primary with replicas, or a cluster.

    ``load`` is the limit for one server, which scans of it share. Everything raises the `ServerProblem` that fits.
    """

    def __init__(self, endpoint: Endpoint, load: Load) -> None:
        self._endpoint = endpoint
        self._ways = Ways(endpoint)
        self._load = load

    def nodes(self, options: AuditOptions) -> list[str]:
        """The addresses to scan: every primary, or a replica of each where the options ask for replicas."""
        # No database is entered: which of them this user may read is asked where they are read.
        entry = self._ways.entry(options.source).on(0)
        with RedisLink(entry) as link:
            profile = _profile(link)
            check_is_cluster(profile, entry)
            if profile.cluster_enabled and entry.whole_cluster:
                nodes = cluster_nodes(link)
                check_coverage(nodes, link.where)
                if options.source == "primary":
                    return [node.address for node in nodes]
                return [replica_of_node(node, self._ways) for node in nodes]
        if options.source == "primary":
            check_primary(profile)
            return [profile.address]
        return [profile.address if profile.role is Role.REPLICA else replica_of(profile, self._ways)]

    def slots_of(self, address: str) -> Sequence[tuple[int, int]]:
        """The slot ranges that the node, or the primary that it follows, owns; all of them outside a cluster."""
        return next(
            (node.slots for node in self._cluster() if address in (node.address, *node.replicas)), ((0, SLOTS - 1),)
        )

    def topology(self) -> str | None:
        """A text that changes when a slot changes its primary; None outside a cluster."""
        nodes = self._cluster()
        return fingerprint(nodes) if nodes else None

    def slot_claims(self) -> Mapping[str, SlotClaims]:
        """What each primary of a cluster says of its own slots, by its address; empty outside a cluster."""
        claims = {}
        for node in self._cluster():
            with RedisLink(self._ways.to(node.address)) as link:
                claims[node.address] = SlotClaims(*map(frozenset, own_slots(link)))
        return claims

    def expiries(self) -> FollowedExpiries:
        """A way to ask for keys by name, wherever they are."""
        return FollowedExpiries(self._endpoint, self._load)

    @contextmanager
    def connect(self, address: str, db: int) -> Iterator[RedisNode]:
        """A connection to that database of that node."""
        with RedisLink(self._ways.to(address, db), replica_reads=True) as link:
            yield RedisNode(link, self._load)

    def _cluster(self) -> list[ClusterNode]:
        with RedisLink(self._ways.entry().on(0)) as link:
            return cluster_nodes(link) if is_cluster(link) else []


def _profile(link: RedisLink) -> ServerProfile:
    try:
        return profile_now(link)
    except ConnectionLost as error:
        if link.was_closed:
            raise hung_up_on("INFO", link.where) from error
        raise
