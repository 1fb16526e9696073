"""Looks at a deployment without a scan: one INFO of each primary; and, when it grows too fast, a bounded look at who and what.

Everything costs the server well under a millisecond at a time. What the user may not ask is left out, and said so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from redis_ttl.adapters.connection.cluster import Ways, check_is_cluster, check_primary, cluster_nodes
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import fraction, parse_info, profile_from_info, whole_number
from redis_ttl.adapters.server.writing_commands import writing_commands
from redis_ttl.domain.errors import ForbiddenDatabase
from redis_ttl.domain.watch.events import WritingClients
from redis_ttl.domain.watch.sample import NodeSample, Sample

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.adapters.counting.sampled_patterns import SampledPattern
    from redis_ttl.domain.audit.server import DatabaseCounts

Source = Literal["primary", "replica"]

_ASKED_TOGETHER: Final = 100
_NO_TTL: Final = -1
#: A client that was idle for longer isn't writing now.
_IDLE_S: Final = 10


class WatchedDeployment:
    """The deployment that an endpoint leads to. Everything raises the `ServerProblem` that fits.

    With ``source`` replica a replica is looked at, as audits read from one; in a Redis Cluster it is always the primaries. Keys are
    drawn from ``databases`` only.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        source: Source = "primary",
        databases: Literal["all"] | tuple[int, ...] = "all",
    ) -> None:
        self._ways = Ways(endpoint)
        self._source: Source = source
        self._databases = databases

    def sample(self, at: str, *, limit_bytes: int | None) -> Sample:
        """One INFO of each primary, or of the replica that is looked at instead."""
        entry = self._ways.entry(self._source).on(0)
        with RedisLink(entry) as link:
            info = _info(link)
            profile = profile_from_info(info, address=entry.address, access={})
            check_is_cluster(profile, entry)
            if not (profile.cluster_enabled and entry.whole_cluster):
                if self._source == "primary":
                    check_primary(profile)
                return Sample(at, (_node(link, entry.address, info),), limit_bytes)
            addresses = [node.address for node in cluster_nodes(link)]
        nodes = []
        for address in addresses:
            with RedisLink(self._ways.to(address)) as link:
                nodes.append(_node(link, address, _info(link)))
        return Sample(at, tuple(nodes), limit_bytes)

    def random_patterns(self, sample: Sample, keys: int, known: Collection[str]) -> Mapping[str, SampledPattern] | None:
        """About so many random keys of the sample's nodes by their pattern, folded as the ``known`` patterns of an audit; None
        where RANDOMKEY may not be called.
        """
        drawn: list[tuple[bytes, int | None]] = []
        held = [(node.address, counts) for node in sample.nodes for counts in self._counts(node.address)]
        total = sum(counts.keys for _, counts in held)
        for address, counts in held:
            try:
                with RedisLink(self._ways.to(address, counts.db)) as link:
                    found = _drawn(link, round(keys * counts.keys / max(1, total)))
            except ForbiddenDatabase:
                continue
            if found is None:
                return None
            drawn += found
        from redis_ttl.adapters.counting.sampled_patterns import sampled_patterns  # noqa: PLC0415  # a look without a burst doesn't wait for polars

        return sampled_patterns(drawn, known)

    def _counts(self, address: str) -> Sequence[DatabaseCounts]:
        with RedisLink(self._ways.to(address)) as link:
            counts = profile_from_info(_info(link), address=address, access={}).databases
        return [each for each in counts if self._databases == "all" or each.db in self._databases]

    def writing_clients(self, sample: Sample) -> Sequence[WritingClients] | None:
        """Who writes at this moment, most connections first; None where CLIENT LIST may not be called. A replica knows nobody
        but its primary. A server tells only the last command of each client: one whose last command was a read isn't seen.
        """
        groups: dict[tuple[str, str, str], dict[str, int]] = {}
        for node in sample.nodes:
            with RedisLink(self._ways.to(node.address)) as link:
                reply = link.call_many([("CLIENT", "LIST")])[0]
                if isinstance(reply, ErrorReply):
                    return None
                busy = _busy_clients(reply)
                writes = writing_commands(link, {command for _, command in busy})
            for who, command in busy:
                if command in writes:
                    commands = groups.setdefault(who, {})
                    commands[command] = commands.get(command, 0) + 1
        found = [
            WritingClients(
                *who, sum(commands.values()), tuple(sorted(commands, key=lambda name: (-commands[name], name)))
            )
            for who, commands in groups.items()
        ]
        return sorted(found, key=lambda each: (-each.connections, each.name, each.user, each.host))

    def writing_commands(self, sample: Sample, names: Collection[str]) -> Collection[str]:
        """Of these commands those that make or enlarge keys, or may."""
        if not names or not sample.nodes:
            return ()
        with RedisLink(self._ways.to(sample.nodes[0].address)) as link:
            return writing_commands(link, names)


def _busy_clients(reply: bytes) -> list[tuple[tuple[str, str, str], str]]:
    """Name, user and host of each client that wasn't idle lately, and its last command."""
    busy = []
    for line in bytes(reply).decode("utf-8", "replace").splitlines():
        fields = dict(part.split("=", 1) for part in line.split(" ") if "=" in part)
        idle = fields.get("idle", "0")
        if idle.isdecimal() and int(idle) <= _IDLE_S:
            host = fields.get("addr", "").rpartition(":")[0]
            busy.append(((fields.get("name", ""), fields.get("user", ""), host), fields.get("cmd", "").lower()))
    return busy


def _info(link: RedisLink) -> dict[str, str]:
    everything = link.call_many([("INFO", "everything")])[0]
    return parse_info(link.call("INFO") if isinstance(everything, ErrorReply) else everything)


def _node(link: RedisLink, address: str, info: Mapping[str, str]) -> NodeSample:
    profile = profile_from_info(info, address=address, access={})
    # An empty server has no database in INFO; nor has one that hides them, which DBSIZE tells where it may be asked.
    held = 0 if profile.databases else link.call_many([("DBSIZE",)])[0]
    is_told = isinstance(held, ErrorReply) or not held
    return NodeSample(
        address=address,
        run_id=profile.run_id,
        keys=sum(database.keys for database in profile.databases) if is_told else None,
        expires=sum(database.expires for database in profile.databases) if is_told else None,
        used_bytes=profile.used_memory_bytes,
        limit_bytes=profile.memory_limit_bytes,
        eviction_policy=profile.eviction_policy,
        uptime_s=profile.uptime_s,
        evicted_keys=profile.evicted_keys,
        expired_keys=profile.expired_keys,
        hits=whole_number(info.get("keyspace_hits")),
        misses=whole_number(info.get("keyspace_misses")),
        expire_cap_hits=whole_number(info.get("expired_time_cap_reached_count")),
        stale_percent=fraction(info.get("expired_stale_perc")),
        fragmentation=fraction(info.get("mem_fragmentation_ratio")),
        clients=whole_number(info.get("connected_clients")),
        calls={
            name.removeprefix("cmdstat_"): calls
            for name, value in info.items()
            if name.startswith("cmdstat_")
            and (calls := whole_number(value.partition("calls=")[2].partition(",")[0])) is not None
        },
        limit_is_told=profile.limit_is_told,
    )


def _drawn(link: RedisLink, wanted: int) -> list[tuple[bytes, int | None]] | None:
    """So many random keys of the link's database with their TTLs; None where they may not be drawn."""
    drawn: list[tuple[bytes, int | None]] = []
    for at in range(0, wanted, _ASKED_TOGETHER):
        some = link.call_many([("RANDOMKEY",)] * min(_ASKED_TOGETHER, wanted - at))
        refusal = next((key for key in some if isinstance(key, ErrorReply)), None)
        if refusal is not None and refusal.forbids_database:
            raise link.translate(refusal, ("RANDOMKEY",)) from refusal
        if refusal is not None:
            return None
        drawn += _with_ttls(link, [key for key in some if key is not None])
    return drawn


def _with_ttls(link: RedisLink, keys: list[bytes]) -> list[tuple[bytes, int | None]]:
    """The keys with their TTLs in ms, None without one; those that are gone, or may not be asked about, are left out."""
    replies = link.call_many([("PTTL", key) for key in keys]) if keys else []
    return [
        (key, None if reply == _NO_TTL else reply)
        for key, reply in zip(keys, replies, strict=True)
        if isinstance(reply, int) and reply >= _NO_TTL
    ]
