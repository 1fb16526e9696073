from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl
import pytest

from lab.servers.cluster import Cluster
from lab.servers.kinds import REDIS_62, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from redis_ttl.adapters.columns.decisions import CHANGE_TYPES
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.key_questions import ExpiryQuestions, UseQuestions, server_now_ms
from redis_ttl.adapters.writing.key_writer import KeyWriter, refuse_missing_commands
from redis_ttl.domain.audit.server import Flavour, Role, ServerProfile
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import (
    ConnectionLost,
    MissingPermission,
    RedisTtlError,
    ServerChanged,
    ServerLoading,
    ServerProblem,
)
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.policy import Cold
from redis_ttl.domain.remediation.remediation import RuleAccount
from tests.adapters.keyspaces import send
from tests.adapters.scripted_server import Answer, scripted_server
from tests.conftest import require

DAY_S = 86_400
NOW_MS = time.time_ns() // 1_000_000
SET_MS = NOW_MS + 30 * DAY_S * 1000
LONG_MS = NOW_MS + 300 * DAY_S * 1000


def answering(replies: Mapping[str, bytes]) -> Answer:
    """A server that has these replies, and OK for anything else."""
    return lambda words: replies.get(words[0].decode().upper(), b"+OK\r\n")


@contextmanager
def writing(server: Server, *, in_cluster: bool = False) -> Iterator[tuple[RedisLink, KeyWriter]]:
    """A connection and a writer over it."""
    with RedisLink(endpoint_from_url(server.url)) as link:
        yield link, KeyWriter(link, exact=refuse_missing_commands(link), in_cluster=in_cluster)


def changes(rows: Sequence[tuple[bytes, int | None]], set_ms: int = SET_MS) -> pl.DataFrame:
    """Changes of these keys, whose journal rows say that they expired at these instants."""
    table = [(key, 0, 0, was, set_ms, Action.SET if was is None else Action.CAP) for key, was in rows]
    return pl.DataFrame(table, schema=CHANGE_TYPES, orient="row")


def written(writer: KeyWriter, rows: pl.DataFrame, *, at_once: int = 1_000) -> tuple[RuleAccount, set[bytes]]:
    """Send all of them: what became of them, and which keys were refused."""
    writer.take(rows)
    while writer.waiting:
        writer.write(at_once, ahead=True)
    settled = writer.settle()
    return settled.accounts.get(0, RuleAccount()), set(settled.raced["key"].to_list())


def left_ms(server: Server, key: bytes) -> int:
    """What is left of a key's life."""
    with server.client() as client:
        return int(client.pttl(key))


def test_only_what_the_journal_says_is_written(any_server: Server) -> None:
    """A key is written if it expires as its row says, to the millisecond (before 7.0 to 20), and refused otherwise."""
    names = [b"same", b"later", b"sooner", b"bare", b"gone", b"free", b"taken"]
    send(any_server, [("SET", name, "x") for name in names])
    send(any_server, [("PEXPIREAT", name, LONG_MS) for name in (b"same", b"later", b"sooner", b"taken")])
    send(any_server, [("PEXPIREAT", b"later", LONG_MS + 60), ("PEXPIREAT", b"sooner", LONG_MS - 60), ("DEL", b"gone")])
    rows = [(name, LONG_MS) for name in (b"same", b"later", b"sooner", b"bare", b"gone")]
    with writing(any_server) as (_, writer):
        account, refused = written(writer, changes([*rows, (b"free", None), (b"taken", None)]))
    assert account == RuleAccount(set=1, capped=1)
    assert refused == {b"later", b"sooner", b"bare", b"gone", b"taken"}
    assert abs(time.time() * 1000 + left_ms(any_server, b"same") - SET_MS) < 600_000
    assert abs(time.time() * 1000 + left_ms(any_server, b"later") - LONG_MS) < 600_000
    assert left_ms(any_server, b"bare") == -1


def test_a_batch_that_is_refused_as_a_whole_is_not_written(any_server: Server) -> None:
    """Keys that all have a TTL by now, or have all gone, come back as refused, and nothing is counted."""
    names = [b"a", b"b", b"c"]
    send(any_server, [("SET", name, "x", "EX", 5_000) for name in names])
    with writing(any_server) as (_, writer):
        assert written(writer, changes([(name, None) for name in names])) == (RuleAccount(), set(names))
        assert written(writer, changes([(b"gone:" + name, None) for name in names])) == (
            RuleAccount(),
            {b"gone:" + name for name in names},
        )
    assert all(0 < left_ms(any_server, name) <= 5_000_000 for name in names)


def test_a_life_is_never_lengthened(any_server: Server) -> None:
    """A change to an instant that isn't earlier than the key's own is refused by the server, whoever decided it."""
    send(any_server, [("SET", b"a", "x"), ("PEXPIREAT", b"a", SET_MS)])
    with writing(any_server) as (_, writer):
        assert written(writer, changes([(b"a", SET_MS)], LONG_MS)) == (RuleAccount(), {b"a"})
        assert written(writer, changes([(b"a", SET_MS)], SET_MS)) == (RuleAccount(), {b"a"})
    assert left_ms(any_server, b"a") <= 30 * DAY_S * 1000 + 1


@pytest.mark.parametrize("wanted_ms", [SET_MS - 1, SET_MS], ids=["a millisecond earlier", "the same"])
def test_no_ttl_is_shortened_by_extending(any_server: Server, wanted_ms: int) -> None:
    """Extending to an instant that isn't later than the key's own is refused by the server, and so is a key without a TTL."""
    send(any_server, [("SET", b"a", "x"), ("PEXPIREAT", b"a", SET_MS), ("SET", b"b", "x")])
    rows = changes([(b"a", SET_MS), (b"b", SET_MS)], wanted_ms).with_columns(action=pl.lit("extend"))
    with writing(any_server) as (_, writer):
        assert written(writer, rows) == (RuleAccount(), {b"a", b"b"})
        longer = changes([(b"a", SET_MS)], LONG_MS).with_columns(action=pl.lit("extend"))
        assert written(writer, longer) == (RuleAccount(extended=1), set())
    assert left_ms(any_server, b"b") == -1


def test_an_instant_in_the_past_deletes_nothing_before_7(redis62: Server) -> None:
    """The script of older servers sets no instant that has passed by the server's own clock."""
    send(redis62, [("SET", b"a", "x"), ("SET", b"b", "x"), ("PEXPIREAT", b"b", LONG_MS)])
    with writing(redis62) as (_, writer):
        rows = changes([(b"a", None), (b"b", LONG_MS)], NOW_MS - 1_000)
        assert written(writer, rows) == (RuleAccount(), {b"a", b"b"})
    with redis62.client() as client:
        assert client.exists("a", "b") == 2


def test_an_instant_that_is_none_is_refused(any_server: Server) -> None:
    """Seconds where milliseconds should be would delete the key at once: refused before anything is sent."""
    send(any_server, [("SET", b"a", "x")])
    with (
        writing(any_server) as (_, writer),
        pytest.raises(ServerProblem, match=rf"milliseconds of our time; found b'{SET_MS // 1000}'"),
    ):
        writer.take(pl.concat([changes([(b"b", None)]), changes([(b"a", None)], SET_MS // 1000)]))
    assert left_ms(any_server, b"a") == -1


@pytest.mark.parametrize("caps", [False, True])
def test_what_was_not_sent_is_given_back(any_server: Server, *, caps: bool) -> None:
    """Changes that weren't sent come back as they were, and aren't sent later."""
    rows = [(b"%d" % number, LONG_MS if caps else None) for number in range(10)]
    send(any_server, [("SET", name, "x") for name, _ in rows])
    if caps:
        send(any_server, [("PEXPIREAT", name, LONG_MS) for name, _ in rows])
    with writing(any_server) as (_, writer):
        writer.take(changes(rows))
        writer.write(4, ahead=True)
        rest = writer.give_back()
        assert writer.waiting == 0
        assert writer.settle().accounts[0].changed == 4
    assert set(rest["key"].to_list()) <= {name for name, _ in rows}
    assert rest.height == 6
    assert rest["was_ms"].null_count() == (0 if caps else 6)


@pytest.mark.parametrize("kind", [VALKEY, REDIS_62])
@pytest.mark.parametrize("caps", [False, True])
def test_an_error_is_no_answer_about_a_key(kind: ServerKind, *, caps: bool) -> None:
    """A server that refuses writes is an error, plainly and by script, and never keys that the application changed."""
    with run_server(require(kind)) as server:
        send(server, [("SET", b"a", "x"), *([("PEXPIREAT", b"a", LONG_MS)] if caps else [])])
        with writing(server) as (_, writer), server.client() as client:
            client.config_set("min-replicas-to-write", 1)
            with pytest.raises(ServerProblem, match="NOREPLICAS"):
                written(writer, changes([(b"a", LONG_MS if caps else None)]))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("READONLY You can't write against a read only replica.", ServerChanged),
        ("OOM command not allowed when used memory > 'maxmemory'.", ServerProblem),
        ("MISCONF Redis is configured to save RDB snapshots", ConnectionLost),
        ("LOADING Redis is loading the dataset in memory", ServerLoading),
        ("BUSY Redis is busy running a script.", ConnectionLost),
        ("CLUSTERDOWN The cluster is down", ConnectionLost),
        ("NOREPLICAS Not enough good replicas to write.", ConnectionLost),
        ("MOVED 1 127.0.0.1:1", ConnectionLost),
        ("ASK 1 127.0.0.1:1", ConnectionLost),
        ("TRYAGAIN Multiple keys request during rehashing of slot", ConnectionLost),
        ("NOPERM this user has no permissions to run the 'pexpireat' command", MissingPermission),
    ],
)
@pytest.mark.parametrize("caps", [False, True])
def test_every_error_of_a_server_ends_the_writing(reply: str, kind: type[RedisTtlError], *, caps: bool) -> None:
    """Whatever a server says instead of an answer is raised, retryable where that helps, and no key is counted by it."""
    error = f"-{reply}\r\n".encode()
    replies = {"SCRIPT": b"$3\r\nabc\r\n", "PEXPIREAT": error, "EVALSHA": error}
    with scripted_server(answering(replies)) as url, RedisLink(endpoint_from_url(url)) as link:
        writer = KeyWriter(link, exact=True, in_cluster=False)
        with pytest.raises(kind) as raised:
            written(writer, changes([(b"a", LONG_MS if caps else None)]))
    assert type(raised.value) is kind


def test_a_flushed_script_is_loaded_again(any_server: Server) -> None:
    """After SCRIPT FLUSH the keys of that call count as refused and nothing is lost; the next call works."""
    names = [b"a:%d" % number for number in range(250)]
    send(
        any_server,
        [
            (*words, *more)
            for name in names
            for words, more in ((("SET", name), ("x",)), (("PEXPIREAT", name), (LONG_MS,)))
        ],
    )
    rows = changes([(name, LONG_MS) for name in names])
    with writing(any_server) as (_, writer), any_server.client() as client:
        writer.take(rows)
        writer.give_back()
        client.script_flush()
        assert written(writer, rows) == (RuleAccount(), set(names)), "of each of several calls that were under way"
        assert written(writer, rows) == (RuleAccount(capped=250), set())


def test_writing_leaves_no_trace_of_use(valkey: Server) -> None:
    """Neither way of writing counts as a use of the key."""
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        client.config_set("lfu-log-factor", 0)
        send(valkey, [("SET", b"a", "x"), ("SET", b"b", "x"), ("PEXPIREAT", b"b", LONG_MS)])
        before = [client.object("freq", name) for name in ("a", "b")]
        with writing(valkey) as (_, writer):
            assert written(writer, changes([(b"a", None), (b"b", LONG_MS)]))[0].changed == 2
        assert [client.object("freq", name) for name in ("a", "b")] == before
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("lfu-log-factor", 10)


def test_a_call_in_a_cluster_is_about_one_slot(any_cluster: Cluster) -> None:
    """Keys of many slots and tags are capped in a cluster, and a key of another node is an error rather than gone."""
    server = any_cluster.primaries[0]
    names = [b"c:%d" % number for number in range(600)] + [b"c:{t}%d" % number for number in range(300)]
    own = [name for name in names if key_slot(name) < 5_461]
    send(server, [("SET", name, "x", "EX", 300 * DAY_S) for name in own])
    with writing(server, in_cluster=True) as (link, writer):
        exact = refuse_missing_commands(link)
        expiries = ExpiryQuestions(link, exact=exact).of(own)["expires_ms"].to_list()
        account, refused = written(writer, changes(list(zip(own, expiries, strict=True))), at_once=70)
        assert (account.capped, refused) == (len(own), set())
        other = next(name for name in names if key_slot(name) > 11_000)
        for was in (None, LONG_MS):
            with pytest.raises(ConnectionLost, match="MOVED"):
                written(writer, changes([(other, was)]))
        with pytest.raises(ConnectionLost):
            ExpiryQuestions(link, exact=exact).of([other])
        profile = ServerProfile("a:1", Flavour.VALKEY, "9.0.0", "r", cluster_enabled=True, role=Role.PRIMARY)
        with pytest.raises(ConnectionLost):
            UseQuestions(link, profile).are_cold([other], Cold(idle_s=0))


@pytest.mark.parametrize("command", ["evalsha", "script", "pttl", "pexpireat"])
def test_what_the_writing_needs_is_asked_before(any_server: Server, command: str) -> None:
    """A user who lacks a command that the writing calls is told at the start, by its name."""
    with any_server.client() as client:
        client.acl_setuser(
            "carol", enabled=True, reset=True, passwords=["+pw"], keys=["*"], commands=["+@all", f"-{command}"]
        )
    try:
        url = f"redis://carol:pw@127.0.0.1:{any_server.port}/0"
        with RedisLink(endpoint_from_url(url)) as link, pytest.raises(MissingPermission, match=command.upper()):
            refuse_missing_commands(link)
    finally:
        with any_server.client() as client:
            client.acl_deluser("carol")


def test_the_servers_clock_is_asked_by_info_or_time_and_must_be_near_ours() -> None:
    """A server that tells its time neither way, or one that is over a minute off, is refused in so many words."""
    now_s = int(time.time())

    def info(clock_us: int | None) -> bytes:
        text = b"run_id:a\r\n" + (b"" if clock_us is None else b"server_time_usec:%d\r\n" % clock_us)
        return b"$%d\r\n%b\r\n" % (len(text), text)

    def ask(replies: dict[str, bytes]) -> int:
        with scripted_server(answering(replies)) as url, RedisLink(endpoint_from_url(url)) as link:
            return server_now_ms(link)

    assert ask({"INFO": info(now_s * 1_000_000)}) == now_s * 1000
    second = b"*2\r\n$10\r\n%d\r\n$1\r\n0\r\n" % now_s
    assert ask({"INFO": info(None), "TIME": second}) == now_s * 1000
    with pytest.raises(ServerProblem, match="doesn't tell its time"):
        ask({"INFO": info(None), "TIME": b"-NOPERM no\r\n"})
    for off_s in (-3_600, 120):
        with pytest.raises(ServerProblem, match="differ too much"):
            ask({"INFO": info((now_s + off_s) * 1_000_000)})
