"""The self-check accepts every real server, and refuses what looks like one and has other cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from lab.servers.cluster import Cluster
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.probe import split_refused
from redis_ttl.domain.audit.shards import SplitRule
from tests.adapters.keyspaces import link_to, set_keys
from tests.adapters.scripted_server import scripted_server

KEYS = 40_000


def refusal(url: str, rule: SplitRule) -> str | None:
    """What speaks against that rule there."""
    with RedisLink(endpoint_from_url(url)) as link:
        return split_refused(link, rule, int(link.call("DBSIZE")))


@contextmanager
def proxy(
    backends: list[RedisLink], join: Callable[[int, int], int], part: Callable[[int], tuple[int, int]]
) -> Iterator[str]:
    """A proxy that scans one backend after the other, with the backend's number somewhere in the cursor."""

    def scan(cursor: int, count: int) -> tuple[int, list[bytes]]:
        inner, backend = part(cursor)
        if backend >= len(backends):
            return 0, []
        next_inner, keys = backends[backend].call("SCAN", inner, "COUNT", count)
        if int(next_inner) == 0:
            backend += 1
        return (join(int(next_inner), backend) if backend < len(backends) else 0), keys

    def answer(words: list[bytes]) -> bytes:
        match words[0].upper():
            case b"DBSIZE":
                return b":%d\r\n" % sum(int(link.call("DBSIZE")) for link in backends)
            case b"SCAN":
                cursor, keys = scan(int(words[1]), int(words[3]))
                bulk = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)
                return b"*2\r\n$%d\r\n%d\r\n*%d\r\n%b" % (len(str(cursor)), cursor, len(keys), bulk)
        return b"+OK\r\n"

    with scripted_server(answer) as url:
        yield url


@contextmanager
def backends_of(server: Server, count: int) -> Iterator[list[RedisLink]]:
    """Databases of one server, each with its share of the keys, to stand for several servers."""
    with ExitStack() as stack:
        for db in range(count):
            set_keys(server, (f"key:{number}" for number in range(db, KEYS, count)), db)
        yield [stack.enter_context(link_to(server, db)) for db in range(count)]


def test_real_servers_are_accepted(any_server: Server) -> None:
    """The cursors of a server without cluster mode are positions."""
    for size in (20_000, KEYS):
        set_keys(any_server, (f"key:{number}" for number in range(size)))
        assert refusal(any_server.url, SplitRule.BITS) is None


def test_slots_of_new_cluster_nodes_are_accepted(valkey_cluster: Cluster) -> None:
    """The cursors of a Valkey 9 cluster node carry slots, and are no positions."""
    node = valkey_cluster.primaries[0]
    set_keys(node, (f"{{{number}}}" for number in range(KEYS)))
    assert refusal(node.url, SplitRule.SLOTS) is None
    assert refusal(node.url, SplitRule.BITS) is not None


def test_slots_of_old_cluster_nodes_are_refused(redis7_cluster: Cluster) -> None:
    """The cursors of a Redis 7.0 cluster node are positions, and carry no slots."""
    node = redis7_cluster.primaries[0]
    set_keys(node, (f"{{{number}}}" for number in range(KEYS)))
    assert refusal(node.url, SplitRule.BITS) is None
    assert refusal(node.url, SplitRule.SLOTS) is not None


@pytest.mark.parametrize("count", [3, 4, 8])
def test_a_proxy_with_its_backend_in_the_low_bits(valkey: Server, count: int) -> None:
    """A backend's number in the low bits of the cursor looks like a shard, and is refused at the borders."""
    with backends_of(valkey, count) as backends:
        bits = (count - 1).bit_length()
        places = (
            (lambda inner, backend: inner << bits | backend),
            (lambda cursor: (cursor >> bits, cursor % (1 << bits))),
        )
        with proxy(backends, *places) as url:
            assert refusal(url, SplitRule.BITS) is not None


@pytest.mark.parametrize("count", [2, 4])
def test_a_proxy_with_its_backend_in_the_high_byte(redis7: Server, count: int) -> None:
    """A backend's number in the high byte of the cursor makes positions wrong, and is refused."""
    with backends_of(redis7, count) as backends:
        low = (1 << 56) - 1
        places = (lambda inner, backend: backend << 56 | inner), (lambda cursor: (cursor & low, cursor >> 56))
        with proxy(backends, *places) as url:
            assert refusal(url, SplitRule.BITS) is not None


def test_cursors_that_are_counters() -> None:
    """Cursors that count keys from the first to the last are refused."""

    def answer(words: list[bytes]) -> bytes:
        if words[0].upper() == b"DBSIZE":
            return b":%d\r\n" % KEYS
        if words[0].upper() != b"SCAN":
            return b"+OK\r\n"
        start = int(words[1])
        keys = [b"key:%d" % number for number in range(start, min(start + int(words[3]), KEYS))]
        cursor = start + len(keys) if start + len(keys) < KEYS else 0
        bulk = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)
        return b"*2\r\n$%d\r\n%d\r\n*%d\r\n%b" % (len(str(cursor)), cursor, len(keys), bulk)

    with scripted_server(answer) as url:
        assert refusal(url, SplitRule.BITS) is not None
        assert refusal(url, SplitRule.SLOTS) is not None
        assert refusal(url, SplitRule.SEQUENTIAL) is None
