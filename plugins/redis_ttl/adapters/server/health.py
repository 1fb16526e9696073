"""A server's figures for the guards, over a connection of its own: one INFO and a few PINGs. What it doesn't tell is None."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.profile import parse_info, replica_fields, tells_replicas, whole_number
from redis_ttl.adapters.connection.replies import time_us
from redis_ttl.domain.policy.guards import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.adapters.connection.link import RedisLink

#: The shortest of so many round trips: a single one may have met our own machine at a busy moment.
_PINGS: Final = 5


def read_health(link: RedisLink) -> Reading:
    """The server's figures as they are now; a figure that it doesn't tell is None."""
    round_trip_s = float("inf")
    for _ in range(_PINGS):
        started_s = time.monotonic()
        # An error reply takes as long.
        link.call_many([("PING",)])
        round_trip_s = min(round_trip_s, time.monotonic() - started_s)
    info = parse_info(link.call("INFO"))
    if "server_time_usec" not in info:  # before 6.2
        info = {**info, **_clock(link)}
    return reading_from_info(info, at_s=time.monotonic(), round_trip_s=round_trip_s, now_s=time.time())


def reading_from_info(info: Mapping[str, str], *, at_s: float, round_trip_s: float, now_s: float) -> Reading:
    """The reading that INFO's fields describe; ``now_s`` is this machine's time, in seconds since 1970."""
    lag_bytes, lag_s = _lag(info)
    clock_us = whole_number(info.get("server_time_usec"))
    return Reading(
        at_s=at_s,
        run_id=info.get("run_id", ""),
        is_primary=info.get("role") == "master",
        round_trip_s=round_trip_s,
        used_bytes=whole_number(info.get("used_memory")),
        limit_bytes=whole_number(info.get("maxmemory")),
        evicted_keys=whole_number(info.get("evicted_keys")),
        expire_cap_hits=whole_number(info.get("expired_time_cap_reached_count")),
        lag_bytes=lag_bytes,
        lag_s=lag_s,
        misses=whole_number(info.get("keyspace_misses")),
        errors=whole_number(info.get("total_error_replies")),
        replicas_online=_replicas_online(info),
        clock_ahead_s=None if clock_us is None else clock_us / 1e6 - now_s,
    )


def _clock(link: RedisLink) -> dict[str, str]:
    """The server's clock as INFO would tell it; nothing where TIME may not be asked either."""
    reply = link.call_many([("TIME",)])[0]
    if isinstance(reply, ErrorReply):
        return {}
    return {"server_time_usec": str(time_us(reply, link.where))}


def _replicas_online(info: Mapping[str, str]) -> int | None:
    """How many replicas follow; not one that waits for its copy (``wait_bgsave``) or is being sent it (``send_bulk``). None where
    the server counts more than it tells of.
    """
    if not tells_replicas(info):
        return None
    return sum(replica.get("state") == "online" for replica in replica_fields(info))


def _lag(info: Mapping[str, str]) -> tuple[int | None, int | None]:
    """How far the replica that is furthest behind is behind, in bytes and seconds. One that is still being filled isn't
    behind: it gets our changes with everything else, and `_replicas_online` misses it.
    """
    if not tells_replicas(info):
        return None, None
    written = whole_number(info.get("master_repl_offset"))
    lag_bytes: list[int | None] = []
    lag_s: list[int | None] = []
    for replica in replica_fields(info):
        if replica.get("state") != "online":
            continue
        read = whole_number(replica.get("offset"))
        lag_bytes.append(None if written is None or read is None else max(0, written - read))
        lag_s.append(whole_number(replica.get("lag")))
    return _worst(lag_bytes), _worst(lag_s)


def _worst(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return None if len(known) < len(values) else max(known, default=0)
