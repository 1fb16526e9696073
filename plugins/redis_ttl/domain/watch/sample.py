"""What one look at a cluster reads of its primaries, a few figures of INFO each.

Only figures: who asks the server, and where samples lie, is not known here. Moments are ISO 8601, ratios fractions of 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.node_memory import NodeMemory, NodesMemory
from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from collections.abc import Iterable


#: 2 added ``limit_is_told``, and figures that may be null.
SAMPLE_SCHEMA: Final = "redis_ttl.watch_sample/2"


@document_part
@dataclass(frozen=True, slots=True)
class NodeSample:
    """One INFO of one primary. Counters count since the process started; what INFO leaves out is None.

    ``limit_bytes`` is None without a limit, too: ``limit_is_told`` tells the two apart.
    """

    address: str
    run_id: str
    keys: int | None
    expires: int | None
    used_bytes: int | None
    limit_bytes: int | None = None
    eviction_policy: str | None = None
    uptime_s: int | None = None
    evicted_keys: int | None = None
    expired_keys: int | None = None
    hits: int | None = None
    misses: int | None = None
    expire_cap_hits: int | None = None
    stale_percent: float | None = None
    fragmentation: float | None = None
    clients: int | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    """How often each command was called, by its name."""
    limit_is_told: bool = True

    @property
    def no_ttl_keys(self) -> int | None:
        """Keys without a TTL, by the server's own count."""
        return None if self.keys is None or self.expires is None else self.keys - self.expires

    @property
    def hit_ratio(self) -> float | None:
        """The share of look-ups that found their key, since the process started; None before the first."""
        if self.hits is None or self.misses is None or not self.hits + self.misses:
            return None
        return self.hits / (self.hits + self.misses)

    @property
    def limit_text(self) -> str:
        """What it may use, in words."""
        if self.limit_bytes is not None:
            return f"{self.limit_bytes} bytes"
        return "no limit" if self.limit_is_told else "unknown"


@document_part
@dataclass(frozen=True, slots=True)
class Sample:
    """All primaries of a cluster at one moment; ``policy_limit_bytes`` counts where a server has no maxmemory, or doesn't tell it.

    A sum is None where one of the nodes doesn't tell: a part of it is no figure of the whole.
    """

    at: str
    nodes: tuple[NodeSample, ...]
    policy_limit_bytes: int | None = None

    @property
    def moment(self) -> dt.datetime:
        """When it was taken."""
        return dt.datetime.fromisoformat(self.at)

    @property
    def keys(self) -> int | None:
        """Keys of all nodes and databases."""
        return _sum(node.keys for node in self.nodes)

    @property
    def no_ttl_keys(self) -> int | None:
        """Those without a TTL, by the servers' own count."""
        return _sum(node.no_ttl_keys for node in self.nodes)

    @property
    def no_ttl_ratio(self) -> float | None:
        """Their share."""
        if self.keys is None or self.no_ttl_keys is None:
            return None
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    @property
    def memory(self) -> NodesMemory:
        """Memory of the nodes, each with the limit that counts."""
        return NodesMemory(
            tuple(
                NodeMemory(
                    node.address,
                    node.used_bytes,
                    node.limit_bytes or self.policy_limit_bytes,
                    node.limit_is_told or self.policy_limit_bytes is not None,
                )
                for node in self.nodes
            )
        )

    @property
    def used_bytes(self) -> int | None:
        """Memory in use on all nodes."""
        return self.memory.used_bytes

    @property
    def limit_bytes(self) -> int | None:
        """The limits of all nodes together: maxmemory, or the policy's limit of a node that has none; None without either."""
        return self.memory.limit_bytes

    @property
    def memory_ratio(self) -> float | None:
        """Memory in use as a share of the limit, over all nodes."""
        return self.memory.ratio

    @property
    def evicted_keys(self) -> int | None:
        """Keys evicted since the processes started."""
        return _sum(node.evicted_keys for node in self.nodes)

    @property
    def expire_cap_hits(self) -> int | None:
        """How often servers had no time left for removing expired keys, since the processes started."""
        return _sum(node.expire_cap_hits for node in self.nodes)

    @property
    def clients(self) -> int | None:
        """Connections."""
        return _sum(node.clients for node in self.nodes)

    @property
    def hit_ratio(self) -> float | None:
        """The share of look-ups that found their key, since the processes started; None before the first."""
        hits, misses = _sum(node.hits for node in self.nodes), _sum(node.misses for node in self.nodes)
        return None if hits is None or misses is None or not hits + misses else hits / (hits + misses)

    @property
    def stale_ratio(self) -> float | None:
        """The share of keys with a TTL that have expired and are there still, as the worst server estimates it."""
        known = [node.stale_percent / 100 for node in self.nodes if node.stale_percent is not None]
        return max(known, default=None)

    @property
    def fragmentation(self) -> float | None:
        """Memory that the process has of the system for each byte in use, of the worst server."""
        return max((node.fragmentation for node in self.nodes if node.fragmentation is not None), default=None)


def _sum(figures: Iterable[int | None]) -> int | None:
    """None where one of them isn't known."""
    known = list(figures)
    return None if None in known else sum(figure for figure in known if figure is not None)
