"""A server's profile in words: what is printed at the start of every audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.audit.server import KEYSPACE, Access
from redis_ttl.messages.figures import count, duration, ratio, size

if TYPE_CHECKING:
    from redis_ttl.domain.audit.server import ServerProfile


def server_lines(server: ServerProfile) -> list[str]:
    """A few lines about one node, facts first, then what this user may not ask."""
    mode = "cluster" if server.cluster_enabled else "standalone"
    lines = [f"{server.address}: {server.flavour.value} {server.version}, {mode}, {server.role.value}"]
    lines[0] += ", uptime unknown" if server.uptime_s is None else f", up {duration(server.uptime_s)}"
    limit = "no limit" if server.limit_is_told else "maxmemory unknown"
    if server.memory_limit_bytes is not None:
        limit = f"maxmemory {size(server.memory_limit_bytes)}"
    used = f"  memory   {size(server.used_memory_bytes)} used, {limit}"
    if server.memory_ratio is not None:
        used += f" ({ratio(server.memory_ratio)})"
    lines.append(f"{used}, policy {server.eviction_policy or 'unknown'}")
    for held in server.databases:
        share = held.no_ttl_keys / held.keys if held.keys else 0.0
        lines.append(
            f"  db{held.db:<6} {count(held.keys)} keys, {count(held.no_ttl_keys)} without TTL ({ratio(share)})"
        )
    if not server.databases:
        lines.append("  keys     none" if server.keyspace_is_told else "  keys     unknown: not in INFO")
    lines += [
        f"  replica  {replica.address} {replica.state}"
        + (", lag unknown" if replica.lag_bytes is None else f", {size(replica.lag_bytes)} behind")
        for replica in server.replicas
    ]
    if "connected_slaves" in server.untold:
        lines.append(
            "  replica  unknown: not in INFO" if not server.replicas else "  replica  more, not listed in INFO"
        )
    elsewhere = {
        "used_memory",
        "maxmemory",
        "maxmemory_policy",
        "uptime_in_seconds",
        "role",
        "connected_slaves",
        KEYSPACE,
    }
    if left := [name for name in server.untold if name not in elsewhere]:
        lines.append(f"  missing from INFO: {', '.join(left)}")
    refused = {access: [command.value for command, found in server.can.items() if found is access] for access in Access}
    if refused[Access.FORBIDDEN]:
        lines.append(f"  forbidden to this user: {', '.join(refused[Access.FORBIDDEN])}")
    if refused[Access.UNKNOWN_COMMAND]:
        lines.append(f"  unknown to this server: {', '.join(refused[Access.UNKNOWN_COMMAND])}")
    return lines
