"""Which commands make or enlarge keys, as real servers tell it."""

from __future__ import annotations

import contextlib

import pytest
import redis

from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.server.writing_commands import writing_commands
from tests.adapters.keyspaces import link_to, user_link

GROW = [
    "set",
    "hset",
    "rpoplpush",
    "lmove",
    "sort",
    "rename",
    "move",
    "copy",
    "geosearchstore",
    "georadius",
    "incrbyfloat",
    "brpoplpush",
]
OTHERS = [
    "get",
    "del",
    "unlink",
    "expire",
    "persist",
    "getex",
    "lpop",
    "blpop",
    "srem",
    "xack",
    "flushall",
    "ping",
    "client|list",
    "info",
]
MAY = ["eval", "evalsha", "exec", "fcall", "json.set", "nonsense"]


def test_what_grows_a_keyspace(any_server: Server) -> None:
    """What makes or enlarges keys counts, what only reads, removes or expires doesn't, and the unknown may."""
    with link_to(any_server) as link:
        assert writing_commands(link, {*GROW, *OTHERS, *MAY}) == {*GROW, *MAY}


def test_subcommands_count_by_themselves(valkey: Server) -> None:
    """XGROUP CREATE can make a stream, XGROUP DESTROY can't."""
    with link_to(valkey) as link:
        assert writing_commands(link, {"xgroup|create", "xgroup|destroy", "config|get", "function|load"}) == {
            "xgroup|create",
            "function|load",
        }


def test_a_user_who_may_not_ask(valkey: Server) -> None:
    """Without COMMAND everything that isn't known to do neither may write."""
    with user_link(valkey, ["-@all", "+ping"], ["~*"]) as link:
        assert writing_commands(link, {*GROW, *OTHERS, *MAY}) == {*GROW, *MAY}


def test_nothing_asked() -> None:
    """Nothing is asked about nothing."""
    assert writing_commands(None, set()) == frozenset()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command",
    [
        ("MSETEX", "1", "k", "v", "EX", "60"),
        ("HSETEX", "h", "EX", "60", "FIELDS", "1", "a", "1"),
        ("GEOSEARCHSTORE", "d", "g", "FROMLONLAT", "1", "1", "BYRADIUS", "1", "km"),
        ("RPOPLPUSH", "a", "b"),
        ("SORT", "a", "STORE", "b"),
        ("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"),
        ("RENAME", "a", "b"),
        ("MOVE", "a", "1"),
        ("EVAL", "return 1", "0"),
    ],
)
def test_a_client_is_named_whatever_it_writes_with(valkey: Server, command: tuple[str, ...]) -> None:
    """A burst's writer is found by any command that makes keys, the newest too; a reader isn't taken for one."""
    watched = WatchedDeployment(endpoint_from_url(valkey.url))
    with valkey.client() as writer, valkey.client() as reader:
        writer.client_setname("app-writer")
        reader.client_setname("app-reader")
        reader.get("a")
        with contextlib.suppress(redis.ResponseError):
            writer.execute_command(*command)
        found = watched.writing_clients(watched.sample("2026-11-28T00:00:00+00:00", limit_bytes=None))
    assert found is not None
    assert [each.name for each in found] == ["app-writer"]
