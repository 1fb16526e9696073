"""Nodes and sentinels that say of their deployment what none would: tables of nonsense, slots of two nodes, names without end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.entry import locate
from redis_ttl.domain.errors import RedisTtlError, ServerProblem, UnexpectedReply
from tests.adapters.connection.test_odd_servers import INFO, KEYS, REPLIES, OddServer, array, bulk
from tests.adapters.scripted_server import scripted_server
from tests.usecases.auditing import FAST, Auditing

ID = "0123456789abcdef" * 2 + "01234567"
CLUSTER_INFO = INFO.replace(b"role:master", b"role:master\r\nredis_mode:cluster\r\ncluster_enabled:1")


def number(value: int) -> bytes:
    """A number as it is sent."""
    return b":%d\r\n" % value


def row(first: int, last: int, *, host: bytes = bulk(b""), port: int = 0, node: str = ID, more: bytes = b"") -> bytes:
    """A row of CLUSTER SLOTS; by default of the node that answers, which doesn't know its own address."""
    member = (host, number(port), bulk(node.encode()), *([more] if more else []))
    return array(number(first), number(last), array(*member))


class OddNode:
    """The only node of a small cluster, but for what it says of itself."""

    def __init__(self, odd: dict[tuple[bytes, bytes], bytes]) -> None:
        self.odd = odd
        self.server = OddServer({b"INFO": bulk(CLUSTER_INFO), b"READONLY": b"+OK\r\n"})

    def __call__(self, words: list[bytes]) -> bytes | None:
        """The answer."""
        if words[0].upper() != b"CLUSTER":
            return self.server(words)
        nodes = f"{ID} :0@0 myself,master - 0 0 1 connected 0-16383\n".encode()
        plain = {b"MYID": bulk(ID.encode()), b"SLOTS": array(row(0, 16_383)), b"NODES": bulk(nodes)}
        asked = words[1].upper()
        return self.odd.get((b"CLUSTER", asked), plain.get(asked, b"-ERR unknown subcommand\r\n"))


def audited(command: bytes, reply: bytes) -> int:
    """Keys that an audit of such a cluster counts."""
    with scripted_server(OddNode({(b"CLUSTER", command): reply})) as url, tempfile.TemporaryDirectory() as folder:
        return Auditing(url, Path(folder), FAST).run().keys


def test_the_node_is_a_small_cluster_otherwise() -> None:
    """What the other tests change is an audit that works."""
    assert audited(b"COUNT", b"+OK\r\n") == len(KEYS)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (array(row(0, 9_000), row(8_000, 16_383, node=ID[::-1])), "each slot once"),
        (array(row(0, 16_384)), "slots 0 to 16383"),
        (array(row(5, 4)), "slots 0 to 16383"),
        (array(row(-1, 5)), "slots 0 to 16383"),
        (array(*[row(number, number) for number in range(20_000)]), "16,384"),
        (array(row(0, 16_383, host=bulk(b"h" * 1_000_000), port=1)), "255 readable"),
        (array(row(0, 16_383, host=bulk(b"a\r\nb"), port=1)), "255 readable"),
        (array(row(0, 16_383, host=bulk(b"127.0.0.1"), port=70_000)), "a port below"),
        (array(row(0, 16_383, node="é" * 300)), "255 readable"),
        (array(row(0, 16_383, more=array(bulk(b"\xff\xfe"), bulk(b"x")))), "255 readable"),
        (array(array(number(0), number(16_383))), "a list of 3"),
        (array(array(number(0), number(16_383), bulk(b"127.0.0.1"))), "a list"),
        (number(3), "a list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_slot_table_that_no_cluster_has(table: bytes, said: str) -> None:
    """One sentence says which command was answered so, and what was expected."""
    with pytest.raises(UnexpectedReply, match="CLUSTER SLOTS") as raised:
        audited(b"SLOTS", table)
    assert said in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("table", "none_for"),
    [
        (array(), "0-16383"),
        (array(row(0, 16_382)), "16383-16383"),
        (array(row(1, 5_460), row(5_462, 16_383)), "0-0, 5461-5461"),
        (array(*[row(slot, slot) for slot in range(0, 16_384, 2)]), "1-1, 3-3, 5-5, 7-7, 9-9 ..."),
    ],
    ids=["empty", "last", "two", "every second"],
)
def test_a_cluster_that_isn_t_whole_is_not_read_as_one(table: bytes, none_for: str) -> None:
    """A part of the slots is a part of the keys: the audit is refused, with the slots that nobody has."""
    with pytest.raises(ServerProblem, match="isn't whole") as raised:
        audited(b"SLOTS", table)
    assert raised.value.found == f"none for slots {none_for}"


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([b"SLOTS", b"MYID", b"NODES"]), REPLIES)
@example(b"MYID", number(40_000_000))
@example(b"MYID", bulk(b"\xff" * 40))
@example(b"NODES", bulk(f"{ID} :0@0 myself,master - 0 0 1 connected 0-99999999999\n".encode()))
@example(b"NODES", bulk(f"{ID} :0@0 myself,master - 0 0 1 connected 0-99999\n".encode()))
@example(b"NODES", bulk(b"x\n" * 1_000_000))
@example(b"NODES", bulk(b"\xff" * 20_000_000))
@example(b"SLOTS", array(*[row(0, 0)] * 3))
def test_whatever_a_node_says_the_audit_ends_with_one_sentence(command: bytes, reply: bytes) -> None:
    """No word of a node about its cluster makes a traceback, or takes room without a bound."""
    said = []
    try:
        audited(command, reply)
    except RedisTtlError as error:
        said.append(str(error))
    assert all(len(sentence) < 1_500 and "\n" not in sentence for sentence in said)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([b"GET-MASTER-ADDR-BY-NAME", b"SLAVES"]), REPLIES)
@example(b"GET-MASTER-ADDR-BY-NAME", array(bulk(b"127.0.0.1")))
@example(b"GET-MASTER-ADDR-BY-NAME", array(bulk(b"127.0.0.1"), bulk(b"many")))
@example(b"GET-MASTER-ADDR-BY-NAME", array(bulk(b"h" * 1_000_000), bulk(b"1")))
@example(b"SLAVES", array(array(bulk(b"flags"), bulk(b"slave"), bulk(b"odd"))))
@example(b"SLAVES", array(array(bulk(b"flags"), bulk(b"slave"), bulk(b"master-link-status"), bulk(b"ok"))))
def test_whatever_a_sentinel_says_the_way_ends_with_one_sentence(command: bytes, reply: bytes) -> None:
    """No word of a sentinel makes a traceback, or leads to a server that it didn't name."""

    def answer(words: list[bytes]) -> bytes | None:
        if words[0].upper() != b"SENTINEL":
            return OddServer({})(words)
        return reply if words[1].upper() == command else b"-ERR no\r\n"

    tried: list[Any] = []
    with scripted_server(answer) as url:
        endpoint = endpoint_from_url(url.replace("redis://", "redis+sentinel://").replace("/0", "/mymaster"))
        with pytest.raises(RedisTtlError) as raised:
            locate(endpoint, "primary" if command != b"SLAVES" else "replica", permit=tried.append)
    assert len(str(raised.value)) < 1_500
    assert "\n" not in str(raised.value)
