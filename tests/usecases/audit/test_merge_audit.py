"""What a merge believes, scans again and refuses; against a server that a test scripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from redis_ttl.domain.audit.audit import KeyspaceCount
from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
from redis_ttl.domain.audit.shards import SlotClaims, SplitRule
from redis_ttl.domain.errors import IncompleteScan
from redis_ttl.usecases.audit.merge_audit import merge_audit
from redis_ttl.usecases.audit.scan_shard import scan_shard
from tests.usecases.stand_in_scan import NODE, Scanning, ScriptedRedis, SomeKeys, profile_of, shard_of

OTHER = "10.0.0.2:6379"


class Pile:
    """A merger that keeps what it is given."""

    def __init__(self) -> None:
        self.added: list[bytes] = []

    def add(self, patterns: bytes) -> None:
        """Keep it."""
        self.added.append(patterns)

    def result(self) -> tuple[list[PatternStatistics], bytes]:
        """No rows, and all of it."""
        return [], b"|".join(self.added)


def last(*keys: bytes, vanished: int = 0) -> list[SomeKeys]:
    """A shard that is one batch."""
    return [SomeKeys(keys, 0, done=True, vanished=vanished)]


def two_shards(folder: Path, *drawn: bytes, **more: object) -> Scanning:
    """An audit of one database in two shards, which hold no1 and a, and no2, of these drawn samples."""
    redis = ScriptedRedis({0: last(b"no1", b"a", vanished=1), 1: last(b"no2", vanished=2)})
    shards = (shard_of(0, 2), shard_of(1, 2))
    return Scanning(folder, shards, redis, samples={f"{NODE} 0": list(drawn)}, **more)  # type: ignore[arg-type]


def scan_all(scan: Scanning) -> None:
    """Scan each shard of the plan."""
    for number, shard in enumerate(scan.plan.shards):
        scan_shard(scan.folder, scan.plan, number, shard, scan.tools)


def test_the_shards_add_up(tmp_path: Path) -> None:
    """The audit's figures are the sums over all checkpoints, its documents are named, and it is read back from the store."""
    scan = two_shards(tmp_path, b"no1", b"a")
    scan.redis.profiles[NODE] = profile_of(databases=((0, 3, 1), (5, 70, 7)))
    scan_all(scan)
    scan.clock.at_s += 60
    pile = Pile()
    audit = merge_audit(scan.folder, pile, scan.tools)
    assert (audit.keys, audit.no_ttl_keys, audit.vanished) == (3, 2, 3)
    assert pile.added == [b"no1 a", b"no2"]
    assert scan.folder.table("patterns.parquet") == b"no1 a|no2"
    assert audit.patterns_document == f"{scan.folder.path}/patterns.parquet"
    assert len(audit.fingerprints) == 2
    assert audit.duration_s == pytest.approx(60.0)
    assert (audit.completeness.samples, audit.completeness.unseen, audit.completeness.scanned_again) == (2, 0, ())
    assert audit.keyspace_before == (KeyspaceCount(0, 0, 0),)
    assert audit.keyspace_after == (KeyspaceCount(0, 3, 1),)
    assert audit.warnings == ()
    assert scan.folder.audit(scan.plan).keys == 3


def test_a_clock_that_was_set_back_makes_no_negative_duration(tmp_path: Path) -> None:
    """An audit takes no less than no time."""
    scan = two_shards(tmp_path)
    scan_all(scan)
    scan.clock.at_s = 0
    assert merge_audit(scan.folder, Pile(), scan.tools).duration_s == 0.0


def test_keys_that_no_scan_meets_fail_the_audit(tmp_path: Path) -> None:
    """Drawn keys that are there, and that even one cursor over the whole database doesn't meet, are a loss that is named."""
    missing = [b"no-missing%d" % number for number in range(4)]
    scan = two_shards(tmp_path, b"no1", *missing)
    scan_all(scan)
    scan.redis.keys = set(missing)
    scan.redis.hidden = True
    with pytest.raises(IncompleteScan, match=rf"{NODE} db0.*4 of 5 unseen.*at most 3"):
        merge_audit(scan.folder, Pile(), scan.tools)
    assert not scan.folder.is_finished


@pytest.mark.parametrize(
    ("drawn", "unseen", "again"), [(10, 3, False), (10, 4, True), (1_000, 5, False), (1_000, 6, True)]
)
def test_few_unseen_keys_are_no_loss(tmp_path: Path, drawn: int, unseen: int, *, again: bool) -> None:
    """Up to three drawn keys, or five in a thousand of them, may stay unseen (locks come and go); one more has the database read again."""
    missing = [b"lock:%d" % number for number in range(unseen)]
    gone = [b"gone:%d" % number for number in range(drawn - unseen)]
    scan = two_shards(tmp_path, *missing, *gone)
    scan_all(scan)
    scan.redis.keys = set(missing)
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert audit.completeness.samples == drawn
    assert audit.completeness.unseen == (0 if again else unseen)
    assert audit.completeness.scanned_again == ((f"{NODE} db0 1/1",) if again else ())
    assert audit.keys == (3 + unseen if again else 3), "what was read again replaces what the shards had met"


def test_a_shard_that_is_not_done_is_scanned_by_the_merge(tmp_path: Path) -> None:
    """A shard without a checkpoint, or with an open one, is finished first; the others aren't touched."""
    scan = two_shards(tmp_path)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    scan.redis.read.clear()
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert [shard.number for shard, _, _ in scan.redis.read] == [1]
    assert (audit.keys, audit.completeness.scanned_again) == (3, (f"{NODE} db0 2/2",))


def test_an_open_checkpoint_is_no_end(tmp_path: Path) -> None:
    """A shard whose last checkpoint isn't its end is gone on with, from there."""
    scan = two_shards(tmp_path)
    scan.redis.batches[0] = [SomeKeys([b"a"], 4), SomeKeys([b"b"], 0, done=True)]
    scan_shard(scan.folder, scan.plan, 1, scan.plan.shards[1], scan.tools)
    path = f"{scan.folder.path}/shards/0/0-00000.json"
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    (whole,) = scan.folder.checkpoints(0)
    (tmp_path / path).unlink()
    scan.folder.write_checkpoint(replace(whole, done=False, cursor=4, keys=1))
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert audit.completeness.scanned_again == (f"{NODE} db0 1/2",)
    assert [(each.cursor, each.done) for each in scan.folder.checkpoints(0)] == [(4, False), (0, True)]


def test_shards_of_two_processes_are_scanned_again(tmp_path: Path) -> None:
    """Under rule bits the shards that another process answered than the one of now are read again, and only they."""
    scan = two_shards(tmp_path)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    scan.redis.run_ids = ["b"]
    scan_shard(scan.folder, scan.plan, 1, scan.plan.shards[1], scan.tools)
    scan.redis.read.clear()
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert [shard.number for shard, _, _ in scan.redis.read] == [0]
    assert audit.completeness.scanned_again == (f"{NODE} db0 1/2",)
    assert audit.keys == 3


def test_shards_of_slots_are_good_whoever_answered(tmp_path: Path) -> None:
    """A slot is the same keys in every process: shards by slots aren't read again after a restart."""
    redis = ScriptedRedis({0: last(b"a"), 1: last(b"b")})
    shards = (shard_of(0, 2, rule=SplitRule.SLOTS), shard_of(1, 2, rule=SplitRule.SLOTS))
    scan = Scanning(tmp_path, shards, redis)
    scan_shard(scan.folder, scan.plan, 0, shards[0], scan.tools)
    scan.redis.run_ids = ["b"]
    scan_shard(scan.folder, scan.plan, 1, shards[1], scan.tools)
    assert merge_audit(scan.folder, Pile(), scan.tools).completeness.scanned_again == ()


def test_databases_and_nodes_are_checked_by_themselves(tmp_path: Path) -> None:
    """Each database of each node has its own samples, processes and second scan; what is found is added up."""
    redis = ScriptedRedis({0: last(b"a", b"m0", b"m1", b"m2")})
    redis.profiles = {
        NODE: profile_of(databases=((0, 4, 1), (3, 9, 2))),
        OTHER: profile_of(OTHER, databases=((0, 5, 3),)),
    }
    shards = (shard_of(), replace(shard_of(), db=3), shard_of(node=OTHER))
    samples = {f"{NODE} 0": [b"a", b"x"], f"{NODE} 3": [b"a"], f"{OTHER} 0": [b"m0", b"m1", b"y", b"z"]}
    scan = Scanning(tmp_path, shards, redis, samples=samples)
    scan_all(scan)
    scan.redis.keys = {b"x", b"y"}
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert (audit.completeness.samples, audit.completeness.unseen) == (7, 2)
    assert audit.keyspace_after == (KeyspaceCount(0, 9, 4), KeyspaceCount(3, 9, 2))
    assert {place for place in scan.redis.connected if place[0] == OTHER} == {(OTHER, 0)}


def test_a_database_that_is_read_again_has_a_number_of_its_own(tmp_path: Path) -> None:
    """The second scan of a database is kept beside the shards, whichever database it is, and its samples are asked for again."""
    redis = ScriptedRedis({0: last(b"a")})
    shards = (shard_of(), replace(shard_of(), db=3))
    missing = [b"lost:%d" % number for number in range(5)]
    scan = Scanning(tmp_path, shards, redis, samples={f"{NODE} 3": missing})
    scan_all(scan)
    scan.redis.keys = set(missing)
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert audit.completeness.scanned_again == (f"{NODE} db3 1/1",)
    assert scan.folder.checkpoints(2) == []
    assert [each.keys for each in scan.folder.checkpoints(3)] == [6]
    assert scan.redis.connected[-1][1] == 0, "the profile afterwards is asked in a database of the plan"


def test_a_table_of_a_killed_merge_is_passed_over(tmp_path: Path) -> None:
    """Where a table of patterns is there already, the audit writes and names another."""
    scan = two_shards(tmp_path)
    scan_all(scan)
    scan.folder.write_patterns(b"of the killed one")
    audit = merge_audit(scan.folder, Pile(), scan.tools)
    assert audit.patterns_document != f"{scan.folder.path}/patterns.parquet"
    assert scan.folder.table(audit.patterns_document) == b"no1 a|no2"


def test_slots_that_moved_are_a_warning(tmp_path: Path) -> None:
    """A cluster whose slots have other owners at the end than in the plan is audited with a warning."""
    scan = two_shards(tmp_path, topology="before")
    scan_all(scan)
    scan.redis.topologies = ["before"]
    assert merge_audit(scan.folder, Pile(), scan.tools).warnings == ()
    scan = two_shards(tmp_path / "moved", topology="before")
    scan_all(scan)
    scan.redis.topologies = ["after"]
    assert "slots moved" in merge_audit(scan.folder, Pile(), scan.tools).warnings[0]


def test_slots_on_their_way_at_the_end_are_a_warning(tmp_path: Path) -> None:
    """A slot that is being handed over warns, whoever owns it; a cluster that doesn't let us ask is judged by its owners alone."""
    scan = two_shards(tmp_path, topology="as ever")
    scan_all(scan)
    scan.redis.topologies = ["as ever"]
    scan.redis.claims = {
        "a": SlotClaims(frozenset({0, 1}), frozenset()),
        "b": SlotClaims(frozenset({2}), frozenset({1})),
    }
    assert "slots moved" in merge_audit(scan.folder, Pile(), scan.tools).warnings[0]
    scan = two_shards(tmp_path / "unasked", topology="as ever")
    scan_all(scan)
    scan.redis.topologies, scan.redis.claims = ["as ever"], None
    assert merge_audit(scan.folder, Pile(), scan.tools).warnings == ()


def test_as_many_unseen_keys_as_are_tolerated_are_no_loss_after_a_second_scan(tmp_path: Path) -> None:
    """What a second scan leaves unseen may be as much as the first one may."""
    missing = [b"lock:%d" % number for number in range(4)]
    scan = two_shards(tmp_path, *missing)
    scan_all(scan)
    scan.redis.keys, scan.redis.hidden = set(missing), True
    tools = scan.tools
    new_tally = tools.new_tally

    def one_goes(db: int, **seeds: int | None) -> object:
        scan.redis.keys.discard(missing[0])
        return new_tally(db, **seeds)  # type: ignore[arg-type]  # as they come

    object.__setattr__(tools, "new_tally", one_goes)
    assert merge_audit(scan.folder, Pile(), tools).completeness.unseen == 3


def test_the_last_checkpoint_says_whether_a_shard_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard of several checkpoints that came to its end isn't scanned again."""
    monkeypatch.setattr("redis_ttl.usecases.audit.scan_shard.CHECKPOINT_KEYS", 1)
    scan = two_shards(tmp_path)
    scan.redis.batches[0] = [SomeKeys([b"a"], 4), SomeKeys([b"b"], 0, done=True)]
    scan_all(scan)
    scan.redis.read.clear()
    assert merge_audit(scan.folder, Pile(), scan.tools).completeness.scanned_again == ()
    assert scan.redis.read == []


def test_a_restart_after_the_scan_does_no_harm(tmp_path: Path) -> None:
    """Shards that one process answered fit together, whichever process answers when they are merged."""
    scan = two_shards(tmp_path)
    scan_all(scan)
    scan.redis.run_ids = ["b"]
    scan.redis.read.clear()
    assert merge_audit(scan.folder, Pile(), scan.tools).completeness.scanned_again == ()
    assert scan.redis.read == []
