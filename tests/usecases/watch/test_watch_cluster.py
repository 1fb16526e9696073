from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab.servers.cluster import Cluster
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.domain.errors import StoreProblem, WrongRole
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import scaled
from redis_ttl.domain.policy.policy import AuditSettings, MemoryThresholds, Owner, Policy, ScalingCost, WatchSettings
from redis_ttl.domain.watch.levels import Measure
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.usecases.auditing import Auditing
from tests.usecases.watching import Watching

POLICY = Policy(
    "shop",
    connection="shop",
    owner=Owner("growth"),
    scaling_cost=ScalingCost(135, "next node size"),
    watch=WatchSettings(burst_keys=2_000, burst_bytes=10**9, burst_no_ttl_keys=10**6, burst_ratio=0),
)
#: The incident's: 5.2 million keys in twenty minutes.
RATE = 4_300

_WRITER = """
import sys, time, redis
client = redis.Redis(port=int(sys.argv[1]), client_name="coupon-campaign")
rate, number, began = int(sys.argv[2]), 10_000_000, time.monotonic()
print(flush=True)
while True:
    due = int((time.monotonic() - began) * rate) + 10_000_000
    with client.pipeline(transaction=False) as pipe:
        for number in range(number, min(due, number + 500)):
            pipe.set(number, "x", ex=900)
        pipe.execute()
    number = min(due, number + 1)
    time.sleep(0.02)
"""


@contextmanager
def burst(server: Server, rate: int) -> Iterator[subprocess.Popen[bytes]]:
    """A client with a name that writes bare numbers at that rate, until the block ends."""
    command = [sys.executable, "-c", _WRITER, str(server.port), str(rate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_burst_is_found_and_attributed(valkey: Server, tmp_path: Path) -> None:
    """At the incident's rate: the numeric pattern with its share and bound, its TTL, the client by name, its command, and what ran
    at that time.
    """
    write_keyspace(endpoint_from_url(valkey.url), scaled(FAMILIES, 30_000), seed=1, on_progress=lambda _: None)
    audit = Auditing(valkey.url, tmp_path).run()
    known: Mapping[str, int] = {row.pattern: row.keys for row in audit.patterns}
    watching = Watching(
        valkey.url,
        tmp_path,
        POLICY,
        audited=lambda: ("audit-1", known),
        jobs=lambda _since, _until: ("campaign, 13:57",),
    )
    watching.look()
    with burst(valkey, RATE):
        with valkey.client() as client:
            before = client.dbsize()
            deadline = time.monotonic() + 30
            while client.dbsize() < before + 2 * RATE and time.monotonic() < deadline:
                time.sleep(0.05)
        watching.pass_by()
        seen = watching.look()
    report = seen.burst
    assert report is not None
    assert report.keys is not None
    assert report.keys >= 2 * RATE
    first = report.patterns[0]
    assert first.pattern == "{n}"
    with valkey.client() as client:
        numbers = sum(1 for key in client.scan_iter(count=1000) if key.isdigit())
    assert first.keys_low * 0.9 <= numbers <= first.keys_high * 1.3  # it went on while it was probed
    assert first.share_high - first.share_low < 0.05
    assert first.no_ttl_ratio == 0.0
    assert 0 < (first.ttl_s or 0) < 86_400  # those of the burst, and what was left of an earlier one
    assert [(each.name, each.commands) for each in report.clients] == [("coupon-campaign", ("set",))]
    assert report.calls[0][0] == "set"
    assert report.calls[0][1] >= 2 * RATE
    assert report.jobs == ("campaign, 13:57",)
    assert report.missing == ()
    watching.pass_by()
    assert watching.look().burst is None, "one burst is told once"


def test_a_burst_without_permissions_is_found_all_the_same(redis7: Server, tmp_path: Path) -> None:
    """What a user may not ask narrows the report, and is named in it."""
    with redis7.client() as client:
        client.acl_setuser(
            "watcher",
            enabled=True,
            reset=True,
            passwords=["+secret"],
            keys=["*"],
            commands=["+info", "+ping", "+select"],
        )
    watching = Watching(f"redis://watcher:secret@{redis7.host}:{redis7.port}", tmp_path, POLICY)
    watching.look()
    set_keys(redis7, (str(number) for number in range(5_000)))
    watching.pass_by()
    report = watching.look().burst
    assert report is not None
    assert (report.patterns, report.clients) == ((), ())
    assert report.missing == (
        "there is no audit to compare with",
        "RANDOMKEY may not be called",
        "CLIENT LIST may not be called",
    )


def test_a_cluster_is_one_sample(any_cluster: Cluster, tmp_path: Path) -> None:
    """All primaries of a Redis Cluster are added up."""
    with any_cluster.client() as client:
        for number in range(300):
            client.set(f"cart:{number}", "x", ex=1_000 if number % 3 else None)
    seen = Watching(any_cluster.url, tmp_path, POLICY).look()
    assert len(seen.sample.nodes) == 3
    assert (seen.sample.keys, seen.sample.no_ttl_keys) == (300, 100)


def test_a_policys_limit_counts_where_the_server_has_none(valkey: Server, tmp_path: Path) -> None:
    """Without maxmemory the policy's limit makes the level, with its forecast's bounds and what it costs."""
    limited = replace(POLICY, memory=MemoryThresholds(0.5, 0.6, limit_bytes=1))
    watching = Watching(valkey.url, tmp_path, limited)
    (change,) = [each for each in watching.look().changes if each.measure is Measure.MEMORY]
    assert (change.level.value, change.limit_bytes, change.scaling_usd_per_month) == ("critical", 1, 135)
    unlimited = Watching(valkey.url, tmp_path / "other", POLICY)
    assert unlimited.look().sample.memory_ratio is None


def test_days_become_documents_and_go_after_their_time(valkey: Server, tmp_path: Path) -> None:
    """A finished day is one document, its samples are gone; beyond the retention the day goes, too; nothing else does."""
    policy = replace(POLICY, watch=replace(POLICY.watch, retention_days=3))
    watching = Watching(valkey.url, tmp_path, policy)
    other = tmp_path / "shop" / "journals" / "20200101T000000Z-0a1b2c"
    other.mkdir(parents=True)
    (other / "x.parquet").write_bytes(b"x")
    for _ in range(6 * 24):
        watching.look()
        watching.pass_by(60)
    folder = tmp_path / "shop" / "watch"
    assert sorted(path.name for path in folder.iterdir() if path.name != "events") == [
        "20260203.jsonl",
        "20260204.jsonl",
        "20260205.jsonl",
        "20260206",
    ]
    assert len((folder / "20260205.jsonl").read_text().splitlines()) == 24
    assert len(list((folder / "20260206").iterdir())) == 24
    assert (other / "x.parquet").exists()


def test_a_gap_is_named_and_is_no_burst(valkey: Server, tmp_path: Path) -> None:
    """What came in over a day without samples is a day's growth, not five minutes'."""
    watching = Watching(valkey.url, tmp_path, POLICY)
    watching.look()
    set_keys(valkey, (f"key:{number}" for number in range(20_000)))
    watching.pass_by(24 * 60)
    seen = watching.look()
    assert [each.kind.value for each in seen.oddities] == ["samples are missing"]
    assert seen.burst is None


@pytest.mark.parametrize("seconds", [1, 100])
def test_a_retry_is_no_burst(valkey: Server, tmp_path: Path, seconds: float) -> None:
    """Two looks of one interval aren't compared."""
    watching = Watching(valkey.url, tmp_path, POLICY)
    watching.look()
    set_keys(valkey, (f"key:{number}" for number in range(1_900)))
    watching.now_at += dt.timedelta(seconds=seconds)
    assert watching.look().burst is None


def test_a_replica_is_looked_at_where_audits_read_from_one(tmp_path: Path) -> None:
    """With `source: replica` the connection may lead to a replica; otherwise that is a mistake, and is said."""
    with run_server(require(VALKEY)) as primary, run_server(VALKEY, replica_of=primary) as replica:
        set_keys(primary, (f"cart:{number}" for number in range(100)))
        from_replica = replace(POLICY, audit=AuditSettings(source="replica"))
        watching = Watching(replica.url, tmp_path, from_replica)
        with replica.client() as client:
            wait_for(lambda: client.dbsize() == 100, "the replica to have everything")
        assert watching.look().sample.keys == 100
        with pytest.raises(WrongRole):
            Watching(replica.url, tmp_path / "other", POLICY).look()


def test_a_look_that_is_killed_tells_again(valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a look ends between telling of a level and saying that it was told, the next one tells of it once more."""
    limited = replace(POLICY, memory=MemoryThresholds(0.5, 0.6, limit_bytes=1))
    watching = Watching(valkey.url, tmp_path, limited)

    def full(*_: object) -> None:
        raise StoreProblem("the store is full")

    with monkeypatch.context() as patched:
        patched.setattr("redis_ttl.usecases.store.watch.WatchDocuments.write", full)
        with pytest.raises(StoreProblem):
            watching.look()
    assert len(list((tmp_path / "shop" / "watch" / "events").glob("*-memory.json"))) == 1
    watching.pass_by()
    assert [change.measure for change in watching.look().changes] == [Measure.MEMORY]
    watching.pass_by()
    assert watching.look().changes == ()


def test_a_burst_that_pauses_is_one_burst(valkey: Server, tmp_path: Path) -> None:
    """Two quiet looks in the middle don't end a burst; what goes on after them isn't told as another one. Three quiet looks do."""
    watching = Watching(valkey.url, tmp_path, POLICY)
    watching.look()
    number = 0

    def look(*, fast: bool) -> bool:
        nonlocal number
        if fast:
            set_keys(valkey, (f"key:{each}" for each in range(number, number + 5_000)))
            number += 5_000
        watching.pass_by()
        seen = watching.look()
        bursting.append(seen.is_bursting)
        return seen.burst is not None

    bursting: list[bool] = []
    told = [look(fast=fast) for fast in (True, False, False, True, False, False, True)]
    assert told == [True, False, False, False, False, False, False]
    assert bursting == [True] * 7
    assert [look(fast=False) for _ in range(4)] == [False] * 4
    assert bursting[7:] == [True, True, False, False]
    assert look(fast=True), "the next one is told again"
