"""Writes the incident's keyspace into a real server, or the nodes of a cluster, as fast as one connection to each allows.

While the server works on one chunk, the next one is being made. Every reply is read, because a load that
lost keys would make every comparison with an audit worthless. Never deletes a key, never changes a setting, and
writes to no server that isn't on this machine unless told.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import hiredis

from redis_ttl.adapters.connection.cluster import Ways, check_primary, cluster_nodes, is_cluster
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink, encode
from redis_ttl.adapters.connection.profile import parse_info, profile_from_info
from redis_ttl.adapters.incident.commands import Chunk, chunks
from redis_ttl.domain.audit.shards import SLOTS, key_slot
from redis_ttl.domain.errors import InvalidOption, ServerProblem
from redis_ttl.domain.incident.incident import Share, estimated_bytes

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint


def write_keyspace(
    endpoint: Endpoint,
    shares: Sequence[Share],
    *,
    seed: int,
    add: bool = False,
    anywhere: bool = False,
    on_progress: Callable[[int], None],
) -> int:
    """Write the keys of ``shares`` and return how many were acknowledged; in a Redis Cluster each to its node.

    ``on_progress`` gets the number of keys acknowledged so far. Raises InvalidOption for a server that isn't on this machine
    (unless ``anywhere``), for a database that holds keys (unless ``add``) and for one that has no room, WrongRole for a replica,
    ServerProblem when a server refuses a command, and what finding and opening the servers raises.
    """
    ways = Ways(endpoint)
    with ExitStack() as links:
        targets = _targets(ways, links, anywhere=anywhere)
        distinct = list({id(link): link for link in targets}.values())
        for link in distinct:
            if not add:
                _require_empty(link)
            _require_room(link, round(estimated_bytes(shares) * targets.count(link) / len(targets)))
        written = 0
        made = chunks(shares, seed)
        chunk = next(made, None)
        while chunk is not None:
            sent = _send(chunk, targets)
            following = next(made, None)
            for link, replies in sent:
                _take_replies(link, replies)
            written += chunk.keys
            on_progress(written)
            chunk = following
        return written


def _targets(ways: Ways, links: ExitStack, *, anywhere: bool) -> list[RedisLink]:
    """The connection for each slot of a cluster, or the only one; all of them primaries, none of them elsewhere unless told."""
    entry = ways.entry(permit=None if anywhere else require_loopback)
    link = links.enter_context(RedisLink(entry))
    if not is_cluster(link):
        check_primary(profile_from_info(parse_info(link.call("INFO")), address=entry.label, access={}))
        return [link]
    targets: list[RedisLink | None] = [None] * SLOTS
    for node in cluster_nodes(link):
        way = ways.to(node.address, entry.db)
        if not anywhere:
            require_loopback(way)
        node_link = links.enter_context(RedisLink(way))
        for first, last in node.slots:
            targets[first : last + 1] = [node_link] * (last + 1 - first)
    found = [target for target in targets if target is not None]
    if len(found) < SLOTS:
        raise ServerProblem(
            "slots of the cluster belong to no node",
            where=entry.label,
            found=f"{SLOTS - len(found):,} slots",
            todo="CLUSTER INFO must say cluster_state:ok.",
        )
    return found


def require_loopback(endpoint: Endpoint) -> None:
    """Return for a unix socket, a loopback address, or a name that stands for such only; else raise InvalidOption."""
    if endpoint.unix_socket:
        return
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        found = set()
    if found and all(_is_loopback(address) for address in found):
        return
    raise InvalidOption(
        "a load writes into servers on this machine only, unless told",
        where=endpoint.label,
        found=", ".join(sorted(found)) or "a name without an address",
        allowed="a loopback address or a unix socket",
        todo="If you mean this very server, add --anywhere.",
    )


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _send(chunk: Chunk, targets: Sequence[RedisLink]) -> list[tuple[RedisLink, int]]:
    """Send each command to its key's server; who got how many."""
    if len(targets) == 1:
        targets[0].send(chunk.commands, chunk.replies)
        return [(targets[0], chunk.replies)]
    reader = hiredis.Reader()
    reader.feed(chunk.commands)
    parts: dict[int, list[bytes]] = {}
    links: dict[int, RedisLink] = {}
    while words := reader.gets():
        link = targets[key_slot(words[1])]
        links[id(link)] = link
        parts.setdefault(id(link), []).append(encode(*words))
    for number, commands in parts.items():
        links[number].send(b"".join(commands), len(commands))
    return [(links[number], len(commands)) for number, commands in parts.items()]


def _take_replies(link: RedisLink, count: int) -> None:
    replies = link.receive_together(count)
    errors = [reply for reply in replies if isinstance(reply, ErrorReply)]
    if errors:
        raise ServerProblem(
            f"the server refused {len(errors):,} of {count:,} commands",
            where=link.where,
            found=errors[0].text,
            todo="Keys that were written before stay there; empty the database before the next load.",
        ) from errors[0]


def _require_empty(link: RedisLink) -> None:
    keys = int(link.call("DBSIZE"))
    if keys:
        raise InvalidOption(
            "the database isn't empty, and a load removes nothing",
            where=link.where,
            found=f"{keys:,} keys",
            allowed="an empty database",
            todo="Give another database or server, or add to this one with --add.",
        )


def _require_room(link: RedisLink, needed_bytes: int) -> None:
    figures = _memory(link)
    maxmemory = figures.get("maxmemory", 0)
    free_bytes = maxmemory - figures.get("used_memory", 0)
    if maxmemory and needed_bytes > free_bytes:
        raise InvalidOption(
            "the keyspace doesn't fit below the server's maxmemory",
            where=link.where,
            found=f"about {needed_bytes / 2**20:,.0f} MiB needed",
            allowed=f"{max(0, free_bytes) / 2**20:,.0f} MiB ({maxmemory / 2**20:,.0f} MiB maxmemory less what is used)",
            todo="Load fewer keys with --keys, or raise maxmemory.",
        )


def _memory(link: RedisLink) -> dict[str, int]:
    """The figures of INFO memory; none where a server hides it."""
    lines = bytes(link.call("INFO", "memory")).decode().splitlines()
    fields = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value) for name, value in fields if value.isdigit()}
