"""Whole audits of real servers: what they count, and what they do when something goes wrong on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.servers.cluster import Cluster
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.errors import NoSuchDatabase, StoreProblem
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.policy import Exemption, Owner, Policy, Rule
from redis_ttl.usecases.audit import scan_shard as scanning
from redis_ttl.usecases.audit.read_audit import read_audit
from tests.conftest import require
from tests.usecases.auditing import FAST, Auditing, counts, with_shards

DAY_S = 86_400
FAMILIES = {
    "user:{n}:profile": (b"user:%d:profile", None),
    "session:{n}": (b"session:%d", 3_600),
    "contact:last:activity:{n}": (b"contact:last:activity:%d", 364 * DAY_S),
    "lock\\xff:{n}": (b"lock\xff:%d", 400 * DAY_S),
}


def fill(server: Server, keys_each: int, db: int = 0) -> dict[tuple[int, str], tuple[int, int]]:
    """Write every family into a database; what an audit must count of it."""
    with server.client(db=db) as client:
        pipeline = client.pipeline(transaction=False)
        for template, ttl_s in FAMILIES.values():
            for number in range(keys_each):
                pipeline.set(template % (1_000_000 + number), b"v" * 20, ex=ttl_s)
            pipeline.execute()
    return expected(keys_each, db)


def expected(keys_each: int, db: int = 0) -> dict[tuple[int, str], tuple[int, int]]:
    """What an audit must count of :func:`fill`, with what folding makes of the family whose names aren't UTF-8."""
    return {
        (db, "{bytes}:{n}" if "xff" in pattern else pattern): (keys_each, 0 if ttl_s else keys_each)
        for pattern, (_, ttl_s) in FAMILIES.items()
    }


@pytest.mark.parametrize("shards", [1, 4])
def test_every_key_is_counted_once(any_server: Server, tmp_path: Path, shards: int) -> None:
    """However a scan is split, on whatever server, each pattern's counts are those that were written."""
    written = fill(any_server, 12_000)
    audit = Auditing(any_server.url, tmp_path, with_shards(shards)).run()
    assert len(audit.plan.shards) == shards
    assert counts(audit) == written
    assert (audit.keys, audit.no_ttl_keys, audit.counted_off) == (48_000, 12_000, 0)
    assert audit.completeness.samples > 900
    assert audit.completeness.unseen == 0


def test_a_cluster_is_counted_whole(any_cluster: Cluster, tmp_path: Path) -> None:
    """The primaries' shards together meet every key of the cluster once, by slots or by bits as the servers need it."""
    any_cluster.client().mset_nonatomic({f"user:{1_000_000 + number}:profile": "v" for number in range(90_000)})
    audit = Auditing(any_cluster.url, tmp_path, with_shards(2)).run()
    assert len(audit.plan.servers) == 3
    assert len(audit.plan.shards) == 6
    assert counts(audit) == {(0, "user:{n}:profile"): (90_000, 90_000)}
    assert audit.counted_off == 0


def test_all_databases_of_a_server(valkey: Server, tmp_path: Path) -> None:
    """``db: all`` scans every database that has keys and keeps their figures apart."""
    written = fill(valkey, 50) | fill(valkey, 70, db=3)
    audit = Auditing(valkey.url, tmp_path, replace(FAST, databases="all")).run()
    assert counts(audit) == written
    assert [(held.db, held.keys) for held in audit.keyspace_before] == [(0, 200), (3, 280)]


def test_ttls_are_classed_by_the_bounds_people_think_in(valkey: Server, tmp_path: Path) -> None:
    """An hour is 1h, 364 days are 1y, 400 days are more; the remaining time is kept in seconds."""
    fill(valkey, 100)
    audit = Auditing(valkey.url, tmp_path).run()
    by_pattern = {row.pattern: row for row in audit.patterns}
    classes = {name: dict(zip(TTL_CLASSES, row.ttl_histogram, strict=True)) for name, row in by_pattern.items()}
    assert classes["session:{n}"]["1h"] == 100
    assert classes["contact:last:activity:{n}"]["1y"] == 100
    assert classes["{bytes}:{n}"]["more"] == 100
    assert by_pattern["contact:last:activity:{n}"].ttl_max_s in range(364 * DAY_S - 60, 364 * DAY_S + 1)


def test_every_pattern_is_sampled_and_has_examples(valkey: Server, tmp_path: Path) -> None:
    """A rare pattern gets type, size and example keys as well as a common one, and its bytes are those that the server reports."""
    fill(valkey, 5_000)
    with valkey.client() as client:
        client.hset("rare:thing", mapping={"a": "1"})
        size = client.memory_usage("rare:thing")
    audit = Auditing(valkey.url, tmp_path).run()
    rare = next(row for row in audit.patterns if row.pattern == "rare:thing")
    assert rare.types == {"hash": 1}
    assert rare.examples == (b"rare:thing",)
    assert rare.size_bytes is not None
    assert round(rare.size_bytes.value) == size
    for row in audit.patterns:
        assert row.sizes.count > 0, row.pattern
        assert row.idles_s.count > 0, "the server of this test doesn't evict by frequency"


def test_access_frequency_is_asked_where_the_policy_keeps_it(valkey: Server, tmp_path: Path) -> None:
    """Under an LFU policy the sample carries FREQ instead of idle times."""
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
    fill(valkey, 100)
    audit = Auditing(valkey.url, tmp_path).run()
    assert all(row.freqs.count and not row.idles_s.count for row in audit.patterns)


def test_use_and_counters_are_counted(valkey: Server, tmp_path: Path) -> None:
    """Of the sampled keys those in use are known under both kinds of eviction policy, and strings that hold a number."""
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
        client.mset({f"hot:{number}": "x" for number in range(50)} | {f"count:{number}": 1 for number in range(50)})
        for _ in range(30):
            client.mget([f"hot:{number}" for number in range(50)])
    by_frequency = {row.pattern: row for row in Auditing(valkey.url, tmp_path).run().patterns}
    assert (by_frequency["hot:{n}"].hot_ratio, by_frequency["count:{n}"].hot_ratio) == (1.0, 0.0)
    assert by_frequency["count:{n}"].updated_in_place == {"counter": 1.0}
    assert by_frequency["hot:{n}"].updated_in_place == {}
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()
        client.hset("seen:1", "x", "1")
    (row,) = Auditing(valkey.url, tmp_path, audit_id="audit-2").run().patterns
    assert (row.hot_ratio, row.updated_in_place) == (1.0, {"hash": 1.0})


def test_rules_and_exemptions_are_named(valkey: Server, tmp_path: Path) -> None:
    """Each row says which rule or exemption of the policy governs it, or that none does."""
    policy = Policy(
        cluster="test",
        connection="r",
        owner=Owner("t"),
        rules=(Rule(KeyPattern("user:{id}:profile"), 60 * DAY_S), Rule(KeyPattern("session:{id}"), 60)),
        exemptions=(Exemption(KeyPattern("session:{n}"), "kept"),),
    )
    fill(valkey, 100)
    audit = Auditing(valkey.url, tmp_path, policy=policy).run()
    assert [(kept.keys, kept.no_ttl_keys) for _, kept in audit.by_rule()] == [(100, 100), (0, 0)]
    assert {row.pattern: (row.governance.value, row.governed_by) for row in audit.patterns} == {
        "user:{n}:profile": ("rule", "user:{id}:profile"),
        "session:{n}": ("exempt", "session:{n}"),
        "contact:last:activity:{n}": ("none", None),
        "{bytes}:{n}": ("none", None),
    }


@pytest.mark.parametrize(("ttl_days", "over"), [(363, 0), (300, 100)])
def test_keys_with_a_longer_ttl_than_their_rule_allows_are_counted(
    valkey: Server, tmp_path: Path, ttl_days: int, over: int
) -> None:
    """A TTL counts as longer only beyond the rule's jitter, which lengthens what the rule itself would set."""
    rule = Rule(KeyPattern("contact:last:activity:{id}"), ttl_days * DAY_S, jitter_ratio=0.01)
    policy = Policy(cluster="test", connection="r", owner=Owner("t"), rules=(rule,))
    fill(valkey, 100)
    audit = Auditing(valkey.url, tmp_path, policy=policy).run()
    assert [kept.over_rule_keys for _, kept in audit.by_rule()] == [over]


class Killed(BaseException):
    """Stands for the end of a process: nothing of ours runs after it."""


@pytest.mark.parametrize("kill_after", [1, 25_000, 47_000])
def test_a_killed_shard_goes_on_at_its_last_checkpoint(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_after: int
) -> None:
    """The merged result is the same as without the kill, and what was saved isn't scanned again."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 10_000)
    written = fill(valkey, 12_000)
    auditing = Auditing(valkey.url, tmp_path)
    auditing.plan()

    def kill(_number: int, *, keys: int, ratio: float) -> None:
        del ratio
        if keys >= kill_after:
            raise Killed

    with pytest.raises(Killed):
        auditing.scan(0, kill)
    resumed = auditing.scan(0)
    audit = auditing.merge()
    assert counts(audit) == written
    assert resumed.keys == 48_000
    assert auditing.scan(0).resumed_at is None, "a shard that is done is left alone"


def test_a_server_that_restarts_mid_scan_is_scanned_again_where_it_must(tmp_path: Path) -> None:
    """Shards by bits of two server processes don't fit together: the merge scans the earlier ones again."""
    with run_server(require(VALKEY)) as server:
        written = fill(server, 12_000)
        auditing = Auditing(server.url, tmp_path, with_shards(4))
        auditing.plan()
        auditing.scan(0)
        auditing.scan(1)
        with server.client() as client:
            client.save()
        server.stop()
        server.start()
        auditing.scan(2)
        auditing.scan(3)
        audit = auditing.merge()
        assert counts(audit) == written
        assert len(audit.completeness.scanned_again) == 2


def test_keys_that_stayed_unseen_are_looked_for_sequentially(valkey: Server, tmp_path: Path) -> None:
    """If sample keys exist that no shard met, the database is scanned again with one cursor."""
    fill(valkey, 12_000)
    auditing = Auditing(valkey.url, tmp_path, with_shards(4))
    auditing.plan()
    for number in range(4):
        auditing.scan(number)
    with valkey.client() as client:
        client.mset({f"missed:{number}": "v" for number in range(100)})
    samples = tmp_path / "test/audits/audit-1/samples.json"
    drawn = json.loads(samples.read_text())
    (place,) = drawn
    drawn[place] += [(b"missed:%d" % number).hex() for number in range(100)]
    samples.write_text(json.dumps(drawn))
    audit = auditing.merge()
    assert len(audit.completeness.scanned_again) == 1
    assert audit.completeness.unseen == 0
    assert counts(audit)[0, "missed:{n}"] == (100, 100)


def test_an_empty_database_says_where_the_keys_are(valkey: Server, tmp_path: Path) -> None:
    """An audit of nothing is no error, but it names the databases that do have keys."""
    fill(valkey, 10, db=2)
    audit = Auditing(valkey.url, tmp_path).run()
    assert audit.keys == 0
    assert audit.patterns == ()
    assert audit.warnings == ("database 0 is empty; keys are in db2 (40)",)


def test_a_database_that_does_not_exist_is_refused(valkey: Server, tmp_path: Path) -> None:
    """A number beyond the server's databases is an error that names it."""
    with pytest.raises(NoSuchDatabase, match="99"):
        Auditing(valkey.url, tmp_path, replace(FAST, databases=(99,))).run()


def test_a_store_that_cannot_be_written_stops_the_audit(valkey: Server, tmp_path: Path) -> None:
    """Nothing is scanned for a result that has nowhere to go."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreProblem, match="can't be written"):
        Auditing(valkey.url, tmp_path / "file").plan()


def test_a_finished_audit_is_read_back(valkey: Server, tmp_path: Path) -> None:
    """The documents in the store hold everything that the audit said."""
    fill(valkey, 100)
    auditing = Auditing(valkey.url, tmp_path)
    audit = auditing.run()
    assert read_audit(auditing.folder, read_patterns).to_json() == audit.to_json()
    prints = sum(len(Store(tmp_path).read(path)) for path in audit.fingerprints)
    assert prints > 0


def test_a_merge_that_was_killed_before_its_last_document_is_done_again(valkey: Server, tmp_path: Path) -> None:
    """A table of patterns that no audit names is passed over, never a reason to fail."""
    fill(valkey, 100)
    auditing = Auditing(valkey.url, tmp_path)
    first = auditing.run()
    (tmp_path / "test/audits/audit-1/audit.json").unlink()
    second = auditing.merge()
    assert second.patterns_document != first.patterns_document
    assert counts(read_audit(auditing.folder, read_patterns)) == counts(first)


def test_the_fingerprints_are_those_of_the_keys_without_ttl(valkey: Server, tmp_path: Path) -> None:
    """Every no-TTL key has its 64-bit xxh3 in the store, seeded by the cluster's secret, with its pattern, and no other key has."""
    import io

    import polars as pl
    import xxhash

    fill(valkey, 100)
    audit = Auditing(valkey.url, tmp_path).run()
    stored = pl.concat([pl.read_parquet(io.BytesIO(Store(tmp_path).read(path))) for path in audit.fingerprints])
    keys = [b"user:%d:profile" % (1_000_000 + number) for number in range(100)]
    assert sorted(stored["key_hash"]) == sorted(xxhash.xxh3_64_intdigest(key, audit.plan.seed) for key in keys)
    assert audit.plan.seed
    assert set(stored["pattern"].cast(pl.String)) == {"user:{n}:profile"}
