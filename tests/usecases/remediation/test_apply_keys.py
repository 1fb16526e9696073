"""Which keys are changed, of every kind of name and deployment; and the bugs of other tools that must not be ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.servers.cluster import Cluster
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Cold
from redis_ttl.domain.remediation.remediation import RuleAccount
from redis_ttl.domain.rollback.journal import JournalName
from tests.adapters.keyspaces import send, set_keys


def ttls(server: Server, keys: list[bytes], db: int = 0) -> dict[bytes, int]:
    """The remaining seconds of these keys, -1 without a TTL."""
    with RedisLink(endpoint_from_url(server.url).on(db)) as link:
        return dict(zip(keys, link.call_many([("TTL", key) for key in keys]), strict=True))


def test_names_of_every_kind(any_server: Server, tmp_path: Path) -> None:
    """Names with hash tags, control signs, other encodings and nothing at all are changed or left by their bytes."""
    governed = [
        b"a:{tag}1",
        "a:商品".encode(),
        "a:商品".encode("gbk"),
        b"a:\xff\xfe\x00",
        b"a:one two\r\nthree",
        b"a:$-1\r\n",
        b"a:" + b"x" * 5_000,
    ]
    others = [b"", b"a", b"b:1", b"\xffa:1", b"A:1"]
    set_keys(any_server, [*governed, *others])
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{x}")))
    applying.run()
    found = ttls(any_server, [*governed, *others])
    assert all(found[key] > 59 * DAY_S for key in governed), found
    assert all(found[key] == -1 for key in others), found
    assert set(applying.was()) == {(0, key) for key in governed}


def test_several_databases(any_server: Server, tmp_path: Path) -> None:
    """Each database of the plan is written, no other one, and the journal says which one a key is in."""
    for db in (0, 3, 7):
        set_keys(any_server, [b"a:1", b"a:%d" % (db + 10)], db)
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{n}")), databases=(0, 3))
    applying.run()
    assert set(applying.was()) == {(0, b"a:1"), (0, b"a:10"), (3, b"a:1"), (3, b"a:13")}
    assert ttls(any_server, [b"a:1"], 7) == {b"a:1": -1}
    assert ttls(any_server, [b"a:1"], 3)[b"a:1"] > 0


def test_a_cluster(any_cluster: Cluster, tmp_path: Path) -> None:
    """In a cluster every primary's keys are changed, whatever their slots and tags."""
    names = [b"a:%d" % number for number in range(900)] + [b"a:{t}%d" % number for number in range(100)]
    owner: dict[bytes, Server] = {}
    for number, server in enumerate(any_cluster.primaries):
        first, last = number * 16_384 // 3, (number + 1) * 16_384 // 3 - 1
        own = [name for name in names if first <= key_slot(name) <= last]
        set_keys(server, own)
        owner |= dict.fromkeys(own, server)
    applying = Applying(any_cluster.url, tmp_path, policy_of(rule("a:{x}"), canary_keys=30))
    canary, *shards = applying.run()
    assert canary.accounts[0].set >= 30
    assert len(shards) == 3
    assert sum(shard.accounts[0].set for shard in shards) + canary.accounts[0].set == 1_000
    for server in any_cluster.primaries:
        own = [name for name in names if owner[name] is server]
        assert min(ttls(server, own).values()) > 59 * DAY_S


def test_cold_keys_only(any_server: Server, tmp_path: Path) -> None:
    """A rule for cold keys leaves a key alone that the server calls hot; where it can't tell, it leaves all."""
    with any_server.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
        client.config_set("lfu-log-factor", 0)
        set_keys(any_server, [b"a:hot", b"a:cold"])
        for _ in range(50):
            client.get("a:hot")
        applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{x}", cold=Cold(freq_at_most=20))))
        canary, _ = applying.run()
        assert canary.accounts[0] == RuleAccount(met=2, set=1, hot=1)
        assert client.ttl("a:hot") == -1
        assert client.ttl("a:cold") > 0
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("lfu-log-factor", 10)
        set_keys(any_server, [b"a:cold"])
        again = Applying(any_server.url, tmp_path / "2", policy_of(rule("a:{x}", cold=Cold(freq_at_most=255))))
        assert again.canary().accounts[0] == RuleAccount(met=2, hot=2)


def test_an_application_that_was_faster(any_server: Server, tmp_path: Path) -> None:
    """Keys that got a TTL, or vanished, between our reading and our writing are left to the server's own check."""
    set_keys(any_server, [b"a:%d" % number for number in range(20)])
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=1))
    applying.pass_canary()
    documents = applying.documents
    write = documents.write_journal

    def late(name: JournalName, data: bytes) -> JournalName:
        kept = write(name, data)
        with any_server.client() as client:
            for number in range(5):
                client.expire(f"a:{number}", 10)
            client.delete("a:5", "a:6", "a:7")
        return kept

    documents.write_journal = late  # type: ignore[method-assign]
    account = applying.shard(documents=documents).accounts[0]
    done = account.already_ours
    assert account.met == 20
    assert account.raced + account.vanished + account.set + done == 20
    assert account.raced >= 4
    assert account.vanished >= 2
    assert all(
        0 < left <= 10 for key, left in ttls(any_server, [b"a:%d" % n for n in range(5)]).items() if left < DAY_S
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([b"a:%d" % n for n in range(40)]), st.none() | st.integers(100, 9_999_999), max_size=40
    )
)
def test_applying_twice_is_applying_once(
    valkey: Server, tmp_path_factory: pytest.TempPathFactory, keys: dict[bytes, int | None]
) -> None:
    """A second run of the same plan changes nothing, and adds nothing to the journal."""
    with valkey.client() as client:
        client.flushall()
    send(valkey, (("SET", key, "x", *(() if ttl is None else ("EX", ttl))) for key, ttl in keys.items()))
    policy = policy_of(rule("a:{n}", ttl_s=30 * DAY_S, mode=Mode.CAP), canary_keys=5)
    applying = Applying(valkey.url, tmp_path_factory.mktemp("store"), policy)
    applying.run()
    with valkey.client() as client:
        before = {key: client.pexpiretime(key) for key in keys}
    rows = applying.journal().height
    results = applying.run()
    with valkey.client() as client:
        assert {key: client.pexpiretime(key) for key in keys} == before
    assert applying.journal().height == rows
    assert sum(result.changed for result in results) == 0


# Four bugs that were found in other tools.


def test_not_expiredis_whose_default_rewrites_every_ttl(any_server: Server, tmp_path: Path) -> None:
    """Without any option about TTLs, keys that have one keep it (expiredis wants ``--ttl-min -1`` for that)."""
    send(any_server, [("SET", "a:1", "x", "EX", 50), ("SET", "a:2", "x", "EX", 900 * DAY_S)])
    Applying(any_server.url, tmp_path, policy_of(rule("a:{n}"))).run()
    found = ttls(any_server, [b"a:1", b"a:2"])
    assert 0 < found[b"a:1"] <= 50
    assert found[b"a:2"] > 899 * DAY_S


def test_not_redisexpire_whose_no_ttl_only_falls_through(any_server: Server, tmp_path: Path) -> None:
    """A key with a TTL among keys without is left, and the keys after it are changed (RedisExpire goes on to expire it)."""
    send(any_server, [("SET", f"a:{n}", "x", *(("EX", 77) if n % 2 else ())) for n in range(50)])
    Applying(any_server.url, tmp_path, policy_of(rule("a:{n}"))).run()
    found = ttls(any_server, [b"a:%d" % n for n in range(50)])
    assert all((found[b"a:%d" % n] <= 77) is bool(n % 2) for n in range(50))


def test_not_cachecloud_whose_filter_keeps_keys_without_ttl(any_server: Server, tmp_path: Path) -> None:
    """A key without TTL isn't taken for one with a very short TTL: mode cap changes it too (CacheCloud compares -1)."""
    send(
        any_server,
        [("SET", "a:none", "x"), ("SET", "a:long", "x", "EX", 900 * DAY_S), ("SET", "a:short", "x", "EX", 60)],
    )
    Applying(any_server.url, tmp_path, policy_of(rule("a:{x}", mode=Mode.CAP))).run()
    found = ttls(any_server, [b"a:none", b"a:long", b"a:short"])
    assert 59 * DAY_S < found[b"a:none"] <= 66 * DAY_S
    assert 59 * DAY_S < found[b"a:long"] <= 66 * DAY_S
    assert 0 < found[b"a:short"] <= 60


def test_not_airflow_doc_54000_whose_fifteen_days_are_fifteen_hours(any_server: Server, tmp_path: Path) -> None:
    """Fifteen days of a rule are fifteen days on the server, not 54,000 seconds."""
    set_keys(any_server, [b"a:1"])
    Applying(any_server.url, tmp_path, policy_of(rule("a:{n}", ttl_s=15 * DAY_S, jitter_ratio=0.0))).run()
    # TTLs count from an anchor that lies up to a quarter of an hour ahead.
    assert 15 * DAY_S - 60 < ttls(any_server, [b"a:1"])[b"a:1"] <= 15 * DAY_S + 16 * 60
