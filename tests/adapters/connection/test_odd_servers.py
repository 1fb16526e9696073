"""Servers that answer as no Redis would: cursors that are names, counts that are texts, INFO without sections, lists of nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.connection.profile import parse_info
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import RedisTtlError, UnexpectedReply
from tests.adapters.scripted_server import scripted_server
from tests.usecases.auditing import FAST, Auditing

KEYS = [b"k:%d" % number for number in range(50)]
INFO = (
    b"# Server\r\nredis_version:7.0.0\r\nrun_id:abc\r\nrole:master\r\nused_memory:100\r\n"
    b"# Keyspace\r\ndb0:keys=50,expires=0,avg_ttl=0\r\n"
)


def bulk(text: bytes) -> bytes:
    """A text as it is sent."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def array(*parts: bytes) -> bytes:
    """A list as it is sent."""
    return b"*%d\r\n" % len(parts) + b"".join(parts)


PLAIN = {
    b"PING": b"+PONG\r\n",
    b"INFO": bulk(INFO),
    b"DBSIZE": b":50\r\n",
    b"PTTL": b":-1\r\n",
    b"EXISTS": b":1\r\n",
    b"TYPE": b"+string\r\n",
    b"RANDOMKEY": bulk(KEYS[7]),
    b"MEMORY": b":56\r\n",
    b"OBJECT": b":56\r\n",
}
REPLIES = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                b"$-1\r\n",
                b"*-1\r\n",
                b"+OK\r\n",
                b":0\r\n",
                b":-3\r\n",
                b"-ERR no\r\n",
                b"-MOVED 1 127.0.0.1:1\r\n",
                b"_\r\n",
            ]
        ),
        st.integers(-(1 << 63), (1 << 63) - 1).map(lambda number: b":%d\r\n" % number),
        st.binary(max_size=40).map(bulk),
        st.sampled_from([b"0", b"_k:24", b"18446744073709551616", b"9" * 400, b"-1", b"1e3", "٣".encode(), b""]).map(
            bulk
        ),
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: array(*parts)),
    max_leaves=6,
)


class OddServer:
    """A small Redis but for the commands that it answers oddly."""

    def __init__(self, odd: dict[bytes, bytes]) -> None:
        self.odd = odd

    def __call__(self, words: list[bytes]) -> bytes | None:
        """The answer."""
        name = words[0].upper()
        if name in self.odd:
            return self.odd[name]
        if name == b"SCAN":
            half, cursor = (KEYS[:25], b"24") if words[1] == b"0" else (KEYS[25:], b"0")
            return array(bulk(cursor), array(*map(bulk, half)))
        return PLAIN.get(name, b"-ERR unknown command\r\n")


def audited(odd: dict[bytes, bytes], options: AuditOptions = FAST) -> int:
    """Keys that an audit of such a server counts."""
    with scripted_server(OddServer(odd)) as url, tempfile.TemporaryDirectory() as folder:
        return Auditing(url, Path(folder), options).run().keys


def test_the_server_is_a_small_redis_otherwise() -> None:
    """What the other tests change is an audit that works."""
    assert audited({}) == len(KEYS)


@pytest.mark.parametrize("cursor", [b"_k:24", b"18446744073709551616", b"-1", b"", b"9" * 5_000, "٣".encode()])
def test_a_cursor_that_is_no_number(cursor: bytes) -> None:
    """Kvrocks' cursors were key names once: one sentence that says so, and how to have numbers."""
    with pytest.raises(UnexpectedReply, match="cursors aren't numbers") as raised:
        audited({b"SCAN": array(bulk(cursor), array(*map(bulk, KEYS[:25])))})
    assert "redis-cursor-compatible" in str(raised.value)
    assert len(str(raised.value)) < 400


def test_what_info_says_at_length_is_cut() -> None:
    """Nothing of INFO gets into documents and messages that is longer than a line of it may be."""
    info = parse_info(INFO.replace(b"run_id:abc", b"run_id:" + b"a" * 1_000_000))
    assert max(map(len, info.values())) < 5_000
    assert info["used_memory"] == "100"


def test_a_page_of_very_many_names_is_counted() -> None:
    """A server that answers one SCAN with far more than it was asked for is read like any other."""
    names = [b"k:%d" % number for number in range(60_000)]
    info = INFO.replace(b"keys=50", b"keys=60000")
    odd = {b"SCAN": array(bulk(b"0"), array(*map(bulk, names))), b"INFO": bulk(info), b"DBSIZE": b":60000\r\n"}
    assert audited(odd) == len(names)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(
        [
            b"PING",
            b"INFO",
            b"DBSIZE",
            b"SCAN",
            b"PTTL",
            b"EXISTS",
            b"TYPE",
            b"RANDOMKEY",
            b"MEMORY",
            b"OBJECT",
            b"CONFIG",
        ]
    ),
    REPLIES,
)
@example(b"INFO", bulk(b""))
@example(b"INFO", bulk(b"# Keyspace\r\ndb0:keys=99999999999999999999999,expires=x\r\ndb99999999999999:keys=1\r\n"))
@example(b"INFO", b":5\r\n")
@example(b"DBSIZE", bulk(b"many"))
@example(b"SCAN", array(bulk(b"0"), bulk(b"k")))
@example(b"SCAN", array(bulk(b"0"), array(b":1\r\n")))
@example(b"PTTL", bulk(b"forever"))
@example(b"PTTL", b"$-1\r\n")
@example(b"TYPE", b":1\r\n")
@example(b"MEMORY", bulk(b"much"))
@example(b"OBJECT", array(b":1\r\n"))
@example(b"SCAN", b"-ERR " + b"x" * 2_000_000 + b"\r\n")
@example(b"DBSIZE", b"-" + b"X" * 2_000_000 + b"\r\n")
@example(b"PTTL", b"*1\r\n" * 500 + b":1\r\n")
@example(b"PTTL", b">2\r\n+invalidate\r\n*0\r\n")
@example(b"SCAN", b">2\r\n+invalidate\r\n*0\r\n")
@example(b"TYPE", bulk(b"t" * 2_000_000))
@example(b"INFO", bulk(INFO + b"".join(b"db%d:keys=1,expires=0,avg_ttl=0\r\n" % db for db in range(1, 10_000))))
@example(b"INFO", bulk(INFO + b"# Odd\r\n" + b"x:y\r\n" * 1_000_000))
@example(b"INFO", bulk(INFO + b"# Odd\r\n" + b"x:y\r\n" * 20_000_000))
@example(b"INFO", bulk(INFO.replace(b"run_id:abc", b"run_id:" + b"a" * 10_000_000)))
def test_whatever_it_answers_the_audit_ends_with_one_sentence(command: bytes, reply: bytes) -> None:
    """No reply of any shape to any command makes a traceback; what isn't understood is said, or left out."""
    said = []
    try:
        audited({command: reply})
    except RedisTtlError as error:
        said.append(str(error))
    assert all(len(sentence) < 1_000 and "\n" not in sentence for sentence in said)
