from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lab.servers.cluster import Cluster
from lab.servers.server import Server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.profile import read_profile
from redis_ttl.adapters.server.node import RedisNode
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.domain.audit.key_facts import KeyFacts, Question, questions_for
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.errors import ConnectionLost, MissingPermission
from redis_ttl.domain.policy.load import Load, parse_load
from tests.adapters.keyspaces import (
    FAST,
    PagesWithInterruptions,
    link_to,
    read_keys,
    send,
    set_keys,
    shards_of,
    user_link,
)

STABLE = 60_000
OTHERS = 400_000


@contextmanager
def writing(server: Server, action: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that sets or deletes 400,000 other keys meanwhile."""
    script = Path(__file__).with_name("writer.py")
    arguments = [str(server.unix_socket), action, "0", str(OTHERS)]
    with server.client() as client, subprocess.Popen([sys.executable, str(script), *arguments]) as process:
        before = client.dbsize()
        wait_for(lambda: client.dbsize() != before, "the writer to begin")
        try:
            yield process
        finally:
            process.kill()


def whole(server: Server) -> Shard:
    """The one shard that is the whole database."""
    return shards_of(server, 1)[0]


@pytest.mark.parametrize("wanted", [1, 2, 8])
def test_shards_hand_out_every_key_once(any_server: Server, wanted: int) -> None:
    """However the scan is cut, each key comes exactly once."""
    keys = {f"key:{number}".encode() for number in range(100_000)}
    set_keys(any_server, keys)
    shards = shards_of(any_server, wanted)
    assert len(shards) == wanted
    found = Counter(read_keys(any_server, shards))
    assert found.keys() == keys
    assert found.total() == len(keys)


@pytest.mark.parametrize("load", ["gentle", "1000000"])
def test_every_load_reads_everything(any_server: Server, load: str) -> None:
    """Small pages and pauses change nothing about what is read."""
    keys = {f"key:{number}".encode() for number in range(25_000)}
    set_keys(any_server, keys)
    shards = shards_of(any_server, 2)
    assert shards[0].rule is SplitRule.BITS
    assert sorted(read_keys(any_server, shards, parse_load(load))) == sorted(keys)


def test_a_cluster_is_read_node_by_node(any_cluster: Cluster) -> None:
    """The shards of all primaries together hand out each key of a cluster once, by slots or by bits as its version does it."""
    keys = {f"key:{number}".encode() for number in range(120_000)}
    for server in any_cluster.primaries:
        set_keys(server, keys)  # each node refuses what belongs to the others
    rule = SplitRule.SLOTS if any_cluster.primaries[0].kind.name == "valkey" else SplitRule.BITS
    found: list[bytes] = []
    for server in any_cluster.primaries:
        shards = shards_of(server, 4)
        assert len(shards) > 1
        assert {shard.rule for shard in shards} == {rule}
        found += read_keys(server, shards)
    assert len(found) == len(keys)
    assert set(found) == keys


def test_uneven_slot_ranges_are_read_without_loss(valkey_cluster: Cluster) -> None:
    """Wherever the borders between slot shards lie, keys aren't lost or met twice."""
    server = valkey_cluster.primaries[0]
    keys = {f"key:{number}".encode() for number in range(30_000)}
    send(server, (("SET", key, "x") for key in keys))  # two of three are refused: they belong to other nodes
    base = whole(server)
    borders = [0, 1, 2, 700, 5000, 5460, 5461, 16_384]
    ranges = pairwise(borders)
    shards = [
        Shard(number, len(borders) - 1, base.node, base.run_id, 0, SplitRule.SLOTS, first, after - 1)
        for number, (first, after) in enumerate(ranges)
    ]
    found = Counter(read_keys(server, shards))
    assert set(found) == set(read_keys(server, [base]))
    assert found.total() == len(found)


def test_a_growing_keyspace_is_read_without_loss(any_server: Server) -> None:
    """Keys that are there all along are each met once while the table doubles again and again."""
    stable = {f"stable:{number}".encode() for number in range(STABLE)}
    set_keys(any_server, stable)
    shards = shards_of(any_server, 8)
    with any_server.client() as client, writing(any_server, "grow") as process:
        found = Counter(read_keys(any_server, shards, parse_load("60000")))
        assert process.wait(60) == 0
        assert client.dbsize() == STABLE + OTHERS
    assert len(shards) == 4
    assert {key for key in stable if found[key] != 1} == set()
    assert len(found) > STABLE  # the writer was at it meanwhile


def test_a_shrinking_keyspace_is_read_without_loss(any_server: Server) -> None:
    """Keys that are there all along are all met while the table shrinks; few of them twice."""
    stable = {f"stable:{number}".encode() for number in range(STABLE)}
    set_keys(any_server, stable)
    set_keys(any_server, (f"other:{number}" for number in range(OTHERS)))
    shards = shards_of(any_server, 8)
    with any_server.client() as client, writing(any_server, "shrink") as process:
        found = Counter(read_keys(any_server, shards, parse_load("100000")))
        assert process.wait(60) == 0
        assert client.dbsize() == STABLE
    assert stable <= found.keys()
    assert sum(found[key] - 1 for key in stable) < STABLE / 100
    assert len(found) < STABLE + OTHERS  # the writer was at it meanwhile


def test_ttls_are_columns(any_server: Server) -> None:
    """A key with a TTL has milliseconds, one without has null, whatever bytes it is named with."""
    names = [b"plain", "值".encode(), b"\xff\x00 \r\n", b"", b"$5\r\nfake\r\n"]
    for name in names:
        send(any_server, [("SET", name, "x"), ("SET", name + b":ttl", "x", "PX", 5_000_000)])
    with link_to(any_server) as link:
        (batch,) = ShardReader(link, whole(any_server), FAST).batches()
    rows = dict(batch.frame.iter_rows())
    assert set(rows) == {*names, *(name + b":ttl" for name in names)}
    for name in names:
        assert rows[name] is None
        assert 0 < rows[name + b":ttl"] <= 5_000_000
    assert (batch.vanished, batch.done, batch.keys) == (0, True, 10)


def test_an_empty_database_is_one_empty_batch(any_server: Server) -> None:
    """Where there are no keys, reading ends with one batch that has none."""
    with link_to(any_server) as link:
        (batch,) = ShardReader(link, whole(any_server), FAST).batches()
    assert (batch.keys, batch.done, batch.vanished) == (0, True, 0)
    assert batch.frame.columns == ["key", "ttl_ms"]


def test_keys_that_vanish_are_counted_not_shown(any_server: Server) -> None:
    """A key that is gone between SCAN and PTTL is in no row, and is counted as vanished."""
    set_keys(any_server, (f"key:{number}" for number in range(5000)))
    with link_to(any_server) as link, any_server.client() as client:
        # The first round trip is the first SCAN alone: its page is gone before its TTLs are asked for.
        load: Any = PagesWithInterruptions(lambda page: client.flushall() if page == 0 else None)
        batches = list(ShardReader(link, whole(any_server), load).batches())
    assert sum(batch.keys for batch in batches) == 0
    assert sum(batch.vanished for batch in batches) >= 100


def test_another_reader_goes_on_where_one_stopped(any_server: Server) -> None:
    """From the next cursor of any batch, a new connection reads the rest: nothing lost, nothing twice."""
    keys = {f"key:{number}".encode() for number in range(100_000)}
    set_keys(any_server, keys)
    for shard in shards_of(any_server, 2):
        with link_to(any_server) as link:
            straight = [key for batch in ShardReader(link, shard, FAST).batches() for key in batch.frame["key"]]
        found: list[bytes] = []
        cursor, done = None, False
        while not done:
            with link_to(any_server) as link:
                batch = next(iter(ShardReader(link, shard, FAST, batch_keys=9000).batches(cursor)))
            found += batch.frame["key"].to_list()
            cursor, done = batch.next_cursor, batch.done
        assert Counter(found) == Counter(straight)


def test_the_connection_is_free_while_a_batch_is_looked_at(any_server: Server) -> None:
    """Who takes the batches may ask over the same connection meanwhile, and the reader has nothing mixed up by it."""
    keys = {f"key:{number}".encode(): number + 1 for number in range(20_000)}
    set_keys(any_server, keys)
    with link_to(any_server) as link:
        for key, days in list(keys.items())[:100]:
            link.call("EXPIRE", key, days * 86_400)
        reader = ShardReader(link, whole(any_server), FAST, questions=(Question.TYPE,), batch_keys=3_000)
        found: list[bytes] = []
        for batch in reader.batches():
            with_ttl = batch.frame.filter(batch.frame["ttl_ms"].is_not_null())
            assert all(
                ttl_ms == pytest.approx(keys[key] * 86_400_000, abs=60_000) for key, ttl_ms in with_ttl.iter_rows()
            )
            found += batch.frame["key"].to_list()
            assert link.call("ECHO", "free") == b"free"
            asked = batch.frame["key"].head(5).to_list()
            reader.ask(asked)
            assert [facts.key for facts in reader.all_answers()] == asked
    assert Counter(found) == Counter(keys.keys())


def test_a_slow_scan_hands_out_what_it_has(any_server: Server) -> None:
    """A batch ends after its time even when it has few keys, so that a slow scan can tell how far it is and save it."""
    keys = {f"key:{number}".encode() for number in range(3_000)}
    set_keys(any_server, keys)
    with link_to(any_server) as link:
        batches = list(ShardReader(link, whole(any_server), FAST, batch_s=0.0).batches())
    assert len(batches) > 1
    assert Counter(key for batch in batches for key in batch.frame["key"]) == Counter(keys)


def test_a_broken_connection_is_told_as_that(any_server: Server) -> None:
    """When the connection breaks, the batches so far stand, and the error is worth another try."""
    set_keys(any_server, (f"key:{number}" for number in range(5000)))
    with link_to(any_server) as link, any_server.client() as client:
        own_id = str(link.call("CLIENT", "ID"))
        load: Any = PagesWithInterruptions(lambda page: client.client_kill_filter(_id=own_id) if page == 20 else None)
        batches: list[Any] = []
        with pytest.raises(ConnectionLost):
            batches.extend(ShardReader(link, whole(any_server), load, batch_keys=500).batches())


def test_a_restarted_server_is_another_process(any_server: Server) -> None:
    """A server keeps its run id until it is restarted, and has another one then."""
    with link_to(any_server) as link:
        before = RedisNode(link, FAST).run_id()
        assert before == RedisNode(link, FAST).run_id() == whole(any_server).run_id
    any_server.stop()
    any_server.start()
    with link_to(any_server) as link:
        assert RedisNode(link, FAST).run_id() not in ("", before)


def test_a_key_that_the_user_may_not_read(any_server: Server) -> None:
    """A forbidden key in the middle of a scan ends it with the pattern that the user needs."""
    set_keys(any_server, [*(f"mine:{number}" for number in range(2000)), "yours:1"])
    with user_link(any_server, ["+@all"], ["mine:*"]) as link, pytest.raises(MissingPermission, match=r"~\*"):
        list(ShardReader(link, whole(any_server), FAST).batches())


def test_a_forbidden_scan(any_server: Server) -> None:
    """A forbidden SCAN is an error that names it."""
    with user_link(any_server, ["+@all", "-scan"], ["*"]) as link, pytest.raises(MissingPermission, match="SCAN"):
        list(ShardReader(link, whole(any_server), FAST).batches())


def answers_about(server: Server, keys: list[bytes], load: Load = FAST) -> dict[bytes, KeyFacts]:
    """What the server answers about these keys, asked in the course of a scan."""
    with link_to(server) as link:
        reader = ShardReader(link, whole(server), load, questions=questions_for(read_profile(link)), batch_keys=1000)
        reader.ask(keys[: len(keys) // 2])
        answers = [facts for batch in reader.batches() if batch.keys for facts in reader.answers()]
        reader.ask(keys[len(keys) // 2 :])
        answers += reader.all_answers()
        assert reader.all_answers() == []
    assert len({facts.key for facts in answers}) == len(answers)
    return {facts.key: facts for facts in answers}


def test_questions_are_answered_along_the_way(any_server: Server) -> None:
    """Types, sizes and idle times are what the server says; a key that is gone has no answer."""
    set_keys(any_server, (f"key:{number}" for number in range(10_000)))
    commands = [
        ("RPUSH", "a:list", "x"),
        ("HSET", "a:hash", "f", "v"),
        ("SADD", "a:set", "x"),
        ("ZADD", "a:zset", 1, "x"),
    ]
    send(any_server, [*commands, ("XADD", "a:stream", "*", "f", "v"), ("SET", "a:string", "x" * 5000)])
    kinds = ("list", "hash", "set", "zset", "stream", "string")
    facts = answers_about(any_server, [*(f"a:{kind}".encode() for kind in kinds), b"gone"])
    assert {key: known.type for key, known in facts.items()} == {f"a:{kind}".encode(): kind for kind in kinds}
    with any_server.client() as client:
        assert all(known.size_bytes == client.memory_usage(key) for key, known in facts.items())
    assert all(known.idle_s is not None and known.freq is None for known in facts.values())


def test_thousands_of_questions_are_all_answered(any_server: Server) -> None:
    """However many keys are asked about, each is answered about once."""
    keys = [f"key:{number}".encode() for number in range(20_000)]
    set_keys(any_server, keys)
    assert set(answers_about(any_server, keys[:7000])) == set(keys[:7000])


def test_an_audit_is_no_access(any_server: Server) -> None:
    """Scanning keys and asking about them leaves their access counters as they were."""
    with any_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        client.config_set("lfu-log-factor", 0)
        client.config_set("lfu-decay-time", 0)
        keys = [f"key:{number}".encode() for number in range(100)]
        set_keys(any_server, keys)
        before = {key: client.object("freq", key) for key in keys}
        facts = answers_about(any_server, keys)
        assert {key: known.freq for key, known in facts.items()} == before
        assert {key: client.object("freq", key) for key in keys} == before
        assert client.get(keys[0]) == b"x"
        assert client.object("freq", keys[0]) > before[keys[0]]  # an access would have shown


def test_a_reader_without_questions_asks_nothing(valkey: Server) -> None:
    """Where the user may ask nothing about keys, asking is no error and has no answers."""
    set_keys(valkey, ["a"])
    with link_to(valkey) as link:
        reader = ShardReader(link, whole(valkey), FAST)
        reader.ask([b"a"])
        assert [batch.keys for batch in reader.batches()] == [1]
        assert reader.all_answers() == []


def test_forbidden_questions_have_no_answer(any_server: Server) -> None:
    """A question that the server refuses leaves its field empty, and the others are answered."""
    set_keys(any_server, ["a"])
    with user_link(any_server, ["+@all", "-memory"], ["*"]) as link:
        reader = ShardReader(link, whole(any_server), FAST, questions=(Question.TYPE, Question.SIZE))
        reader.ask([b"a"])
        assert reader.all_answers() == [KeyFacts(b"a", "string", None, None, None)]


def test_samples_are_ticked_off(any_server: Server) -> None:
    """Keys that were drawn before the scan are all met by it, across its shards, and each is reported once."""
    keys = [f"key:{number}".encode() for number in range(50_000)]
    set_keys(any_server, keys)
    met: list[bytes] = []
    with link_to(any_server) as link:
        node = RedisNode(link, FAST)
        samples = node.random_keys(1000)
        assert 900 < len(samples) <= 1000
        for shard in shards_of(any_server, 4):
            reader = ShardReader(link, shard, FAST, samples=[*samples, b"gone"], batch_keys=5000)
            for _ in reader.batches():
                met += reader.seen_samples()
        assert sorted(met) == sorted(samples)
        assert node.existing([*samples[:5], b"gone"]) == samples[:5]


def test_nothing_can_be_drawn_from_nothing(any_server: Server) -> None:
    """An empty database has no random keys, and of no keys none exists."""
    with link_to(any_server) as link:
        assert RedisNode(link, FAST).random_keys(10) == []
        assert RedisNode(link, FAST).existing([]) == []


@pytest.mark.parametrize("command", ["randomkey", "exists"])
def test_who_may_not_draw_gets_nothing(any_server: Server, command: str) -> None:
    """Without the right to draw keys, or to ask later whether they are still there, there are no samples and no error."""
    set_keys(any_server, ["a"])
    with user_link(any_server, ["+@all", f"-{command}"], ["*"]) as link:
        assert RedisNode(link, FAST).random_keys(10) == []
