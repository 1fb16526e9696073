"""What a plan does to a server's memory: more at first, less at the end.

A TTL is an entry in a second table of the server, so it costs memory before it frees any; and that table doubles all at
once when it is full. Measured on Redis 7.0.15 (jemalloc, 64 bits): a million TTLs took 40.4 bytes each, 8 of them for
the table. The doubling is added all the same: until every entry has moved, the old table is there as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import Flavour
from redis_ttl.domain.audit.shards import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis_ttl.domain.audit.server import ServerProfile

#: Bytes that one TTL takes (the measurement above), whatever table it goes to.
BYTES_PER_TTL: Final = 40.4
_BUCKET_BYTES: Final = 8
_LEAST_BUCKETS: Final = 4
#: Valkey from 8.1 on keeps seven entries in a bucket of a cache line (``hashtable.c``).
_VALKEY_BUCKET_BYTES: Final = 64
_VALKEY_BUCKET_ENTRIES: Final = 7


@dataclass(frozen=True, slots=True)
class NodeForecast:
    """The memory of one server that gets ``new_ttls`` more TTLs: now, at its peak, and its limit if it has one. ``used_bytes`` is
    None where the server doesn't tell; so is ``limit_bytes``, and also without a limit.
    """

    address: str
    new_ttls: int
    used_bytes: int | None
    ttl_bytes: int
    table_bytes: int
    limit_bytes: int | None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory in use while the TTLs are set; None where what is in use now isn't known."""
        return None if self.used_bytes is None else self.used_bytes + self.ttl_bytes + self.table_bytes

    @property
    def peak_ratio(self) -> float | None:
        """The peak as a share of the limit; None where either isn't known."""
        return None if self.limit_bytes is None or self.peak_bytes is None else self.peak_bytes / self.limit_bytes


def forecast_node(
    server: ServerProfile, new_ttls: Mapping[int, int], *, limit_bytes: int | None = None
) -> NodeForecast:
    """What so many new TTLs in each database (by its number) do to this server. ``limit_bytes`` is its limit where it has no
    maxmemory, or doesn't tell it.
    """
    table_bytes = sum(
        _growth_bytes(server, before=server.counts_of(db).expires, added=added) for db, added in new_ttls.items()
    )
    added = sum(new_ttls.values())
    return NodeForecast(
        address=server.address,
        new_ttls=added,
        used_bytes=server.used_memory_bytes,
        ttl_bytes=round(added * BYTES_PER_TTL),
        table_bytes=table_bytes,
        limit_bytes=limit_bytes if server.memory_limit_bytes is None else server.memory_limit_bytes,
    )


def share_out(servers: Iterable[ServerProfile], db: int, keys: int) -> list[int]:
    """How many of a database's ``keys`` without TTL each server has, in proportion to how many it has in all, rounded up:
    an audit counts by pattern, not by server.
    """
    held = [max(0, server.counts_of(db).no_ttl_keys) for server in servers]
    total = sum(held)
    if not total:
        return [keys for _ in held]
    return [-(-keys * each // total) for each in held]


def _growth_bytes(server: ServerProfile, *, before: int, added: int) -> int:
    """The bytes of the table that is allocated when the one for TTLs has to double, which lives beside the old one.

    A plain table doubles when it has as many entries as buckets. Nodes of a cluster keep one table a slot from Redis
    7.4 and Valkey 8 on: those double one by one, the more of them the more the number of TTLs grows.
    """
    if not added:
        return 0
    after = before + added
    if _has_table_per_slot(server):
        doubling = min(1.0, log2(after / before)) if before >= SLOTS else 1.0
        return round(2 * _BUCKET_BYTES * max(after, SLOTS) * doubling)
    old, new = _table_bytes(server, before), _table_bytes(server, after)
    return new if new > old else 0


def _has_table_per_slot(server: ServerProfile) -> bool:
    if not server.cluster_enabled:
        return False
    least = {Flavour.REDIS: (7, 4), Flavour.VALKEY: (8,)}.get(server.flavour)
    return least is not None and server.version_tuple >= least


def _table_bytes(server: ServerProfile, entries: int) -> int:
    if server.flavour is Flavour.VALKEY and server.version_tuple >= (8, 1):
        return _buckets(-(-entries // _VALKEY_BUCKET_ENTRIES)) * _VALKEY_BUCKET_BYTES
    return _buckets(entries) * _BUCKET_BYTES


def _buckets(entries: int) -> int:
    """The smallest power of two that holds so many entries at one a bucket."""
    return max(_LEAST_BUCKETS, 1 << max(0, entries - 1).bit_length())
