from __future__ import annotations

from pathlib import Path

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.servers.server import Server
from redis_ttl.domain.policy.actions import Mode
from tests.adapters.keyspaces import set_keys


def test_every_key_of_a_rule_gets_its_instant(any_server: Server, tmp_path: Path) -> None:
    """After a run every key of a rule expires at the instant that the plan says, and no other key has changed."""
    names = [b"coupon:%d" % number for number in range(30_000)]
    set_keys(any_server, [*names, *(b"other:%d" % number for number in range(1_000))])
    applying = Applying(any_server.url, tmp_path, policy_of(rule("coupon:{id}")), shards=2)
    canary, *shards = applying.run()
    assert 250 < canary.accounts[0].set < 350
    assert canary.accounts[0].met == 30_000
    assert canary.accounts[0].left == 30_000 - canary.accounts[0].set
    total = shards[0].accounts[0] + shards[1].accounts[0]
    assert total.set == 30_000 - canary.accounts[0].set
    assert total.already_ours == canary.accounts[0].set
    with any_server.client() as client:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.pttl(name)
        left_ms = pipeline.execute()
        seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    for name, left in zip(names, left_ms, strict=True):
        assert abs(now_ms + left - applying.instant_ms(name)) < 5_000, name
    if any_server.kind.name != "redis62":
        with any_server.client() as client:
            assert all(client.pexpiretime(name) == applying.instant_ms(name) for name in names[:200])
    with any_server.client() as client:
        assert client.ttl(b"other:1") == -1
    assert set(applying.was()) == {(0, name) for name in names}


def test_cap(any_server: Server, tmp_path: Path) -> None:
    """Mode cap shortens a TTL that is longer than the rule's, and journals the exact instant that it replaced."""
    set_keys(any_server, [b"a:%d" % number for number in range(300)])
    with any_server.client() as client:
        for number in range(100):
            client.expire(f"a:{number}", 300 * DAY_S)
        for number in range(100, 200):
            client.expire(f"a:{number}", 10 * DAY_S)
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{n}", mode=Mode.CAP), canary_keys=10))
    before = {}
    with any_server.client() as client:
        seconds, _ = client.time()
        before = {number: client.pttl(f"a:{number}") + seconds * 1000 for number in range(100)}
    canary, shard = applying.run()
    both = canary.accounts[0] + shard.accounts[0]
    assert (both.capped, both.set) == (100, 100)
    assert shard.accounts[0].had_ttl == 100
    for (_, key), was in applying.was().items():
        number = int(key[2:])
        if number < 100:
            assert all(abs(each - before[number]) < 3_000 for each in was if each is not None)
            assert None not in was
        else:
            assert was == {None}
