"""At which instants keys expire, as servers of every age tell it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.domain.errors import MissingPermission
from redis_ttl.domain.policy.load import parse_load
from tests.adapters.scripted_link import ScriptedLink

FAST = parse_load("fast")
DAY_MS = 86_400_000


def now_ms() -> int:
    """The moment."""
    return time.time_ns() // 1_000_000


def put(server: Server, expiries: dict[bytes, int | None], db: int = 0) -> None:
    """Keys that expire at these instants, or never."""
    with server.client(db) as client:
        pipeline = client.pipeline(transaction=False)
        for key, expires_ms in expiries.items():
            pipeline.set(key, "x")
            if expires_ms is not None:
                pipeline.pexpireat(key, expires_ms)
        pipeline.execute()


@pytest.mark.parametrize("number", [0, 1, 499, 500, 501, 1_000])
def test_expiries_come_in_the_order_of_the_keys(valkey: Server, number: int) -> None:
    """However many are asked: each with its instant, none without a TTL, and gone where there is no such key."""
    soon = now_ms() + DAY_MS
    names = [b"a:%d" % each for each in range(number)]
    put(valkey, {name: (soon + at if at % 3 == 0 else None) for at, name in enumerate(names) if at % 3 < 2})
    with RedisLink(endpoint_from_url(valkey.url)) as link:
        expiries = KeyExpiries(link, FAST)
        assert expiries.exact
        for asking in (False, True):  # a server without a cluster refuses ASKING, and answers
            found = expiries.read(names, asking=asking)
            assert found.columns == ["low_ms", "high_ms", "gone", "stray"]
            instants = [soon + at if at % 3 == 0 else None for at in range(number)]
            assert found["low_ms"].to_list() == found["high_ms"].to_list() == instants
            assert found["gone"].to_list() == [at % 3 == 2 for at in range(number)]
            assert found["stray"].null_count() == number


def test_before_seven_an_expiry_lies_between_two_limits(redis62: Server) -> None:
    """The true instant is within them, and they are near to one another."""
    soon = now_ms() + DAY_MS
    put(redis62, {b"a:1": soon, b"a:2": None})
    with RedisLink(endpoint_from_url(redis62.url)) as link:
        expiries = KeyExpiries(link, FAST)
        assert not expiries.exact
        for asking in (False, True):
            found = expiries.read([b"a:1", b"a:2", b"a:3"], asking=asking)
            assert found["gone"].to_list() == [False, False, True]
            assert found["low_ms"][0] <= soon <= found["high_ms"][0]
            assert found["low_ms"].to_list()[1:] == found["high_ms"].to_list()[1:] == [None, None]


def test_limits_are_made_of_two_looks_at_the_clock() -> None:
    """What is left counts from the first look for the lower limit, and from the second, with a millisecond of rounding, for the upper."""

    class Old(ScriptedLink):
        def call(self, *words: Any) -> Any:
            assert words == ("TIME",)
            return [b"2", b"999000"]

    link = Old([ErrorReply("ERR unknown command")], [[b"1", b"999000"]], [100, -1, -2, 0])
    found = KeyExpiries(link, FAST).read([b"a", b"b", b"c", b"d"])  # type: ignore[arg-type]
    assert found["low_ms"].to_list() == [2_099, None, None, 1_999]
    assert found["high_ms"].to_list() == [3_100, None, None, 3_000]
    assert found["gone"].to_list() == [False, False, True, False]


def test_what_a_node_says_of_a_key_is_no_expiry() -> None:
    """It is handed on for that key alone; another error is raised, as is a clock that may not be read."""
    link = ScriptedLink([ErrorReply("MOVED 1 a:1")], [7, ErrorReply("MOVED 1 a:1"), -2])
    found = KeyExpiries(link, FAST).read([b"a", b"b", b"c"])  # type: ignore[arg-type]
    assert list(found.iter_rows()) == [
        (7, 7, False, None),
        (None, None, False, "MOVED 1 a:1"),
        (None, None, True, None),
    ]
    link = ScriptedLink([-2], [7, ErrorReply("NOPERM x")])
    with pytest.raises(MissingPermission, match="PEXPIRETIME"):
        KeyExpiries(link, FAST).read([b"a", b"b"])  # type: ignore[arg-type]
    link = ScriptedLink([ErrorReply("ERR unknown")], [ErrorReply("NOPERM x")])
    with pytest.raises(MissingPermission, match="TIME"):
        KeyExpiries(link, FAST).read([b"a"])  # type: ignore[arg-type]


def test_looking_keeps_to_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are asked page by page, each as large as the load lets it be and 500 at most, with its pauses."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    link = ScriptedLink([-2], *[[-2] * 10] * 3)
    KeyExpiries(link, parse_load("100/s")).read([b"k"] * 30)  # type: ignore[arg-type]
    assert [count for _, count in link.sent] == [1, 10, 10, 10]
    assert len(slept) == 3
    assert sum(slept) > 0.1
    link = ScriptedLink([-2], [-2] * 500, [-2])
    KeyExpiries(link, FAST).read([b"k"] * 501)  # type: ignore[arg-type]
    assert [count for _, count in link.sent] == [1, 500, 1]
