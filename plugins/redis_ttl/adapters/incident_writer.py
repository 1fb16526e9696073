"""Writes the incident's keyspace into a real server as fast as one connection allows.

While the server works on one chunk, the next one is being made. Every reply is read, because a load that
lost keys would make every comparison with an audit worthless. Never deletes a key, never changes a setting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from redis_ttl.adapters.incident_commands import Chunk, chunks
from redis_ttl.adapters.redis_cluster import is_cluster
from redis_ttl.adapters.redis_errors import ErrorReply
from redis_ttl.adapters.redis_link import RedisLink
from redis_ttl.domain.errors import InvalidOption, ServerProblem
from redis_ttl.domain.incident import Share, estimated_bytes

if TYPE_CHECKING:
    from redis_ttl.adapters.redis_endpoint import Endpoint


def write_keyspace(
    endpoint: Endpoint,
    shares: Sequence[Share],
    *,
    seed: int,
    add: bool = False,
    on_progress: Callable[[int], None],
) -> int:
    """Write the keys of ``shares`` and return how many the server acknowledged.

    ``on_progress`` gets the number of keys acknowledged so far. Raises InvalidOption for a node of a Redis Cluster, for
    a database that holds keys (unless ``add``) and for one that has no room, ServerProblem when the server refuses a
    command, and what opening a `RedisLink` raises.
    """
    with RedisLink(endpoint) as link:
        _require_standalone(link)
        if not add:
            _require_empty(link)
        _require_room(link, estimated_bytes(shares))
        written = 0
        made = chunks(shares, seed)
        chunk = next(made, None)
        while chunk is not None:
            link.send(chunk.commands, chunk.replies)
            following = next(made, None)
            _take_replies(link, chunk)
            written += chunk.keys
            on_progress(written)
            chunk = following
        return written


def _take_replies(link: RedisLink, chunk: Chunk) -> None:
    replies = link.receive_together(chunk.replies)
    errors = [reply for reply in replies if isinstance(reply, ErrorReply)]
    if errors:
        raise ServerProblem(
            f"the server refused {len(errors):,} of {chunk.replies:,} commands",
            where=link.where,
            found=errors[0].text,
            todo="Keys that were written before stay there; empty the database before the next load.",
        ) from errors[0]


def _require_standalone(link: RedisLink) -> None:
    if is_cluster(link):
        raise InvalidOption(
            "a load writes to one server only",
            where=link.where,
            found="a node of a Redis Cluster, which takes the keys of its own slots",
            allowed="a standalone server",
        )


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
