"""When a shard is scanned, from where, and what its checkpoints say; against a server that a test scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import ServerChanged
from redis_ttl.usecases.audit import scan_shard as scanning
from redis_ttl.usecases.audit.scan_shard import ShardResult, scan_shard
from tests.usecases.stand_in_scan import NODE, Scanning, ScriptedRedis, SomeKeys, shard_of

THREE = [
    SomeKeys([b"a", b"no1"], 8, vanished=1),
    SomeKeys([b"b", b"c"], 4, vanished=2),
    SomeKeys([b"no2"], 0, done=True),
]


def new_scan(folder: Path, **more: object) -> Scanning:
    """A scan of three batches in one shard."""
    redis = ScriptedRedis({0: list(THREE)})
    return Scanning(folder, (shard_of(),), redis, samples={f"{NODE} 0": [b"no1", b"no2"]}, **more)  # type: ignore[arg-type]


def test_a_shard_is_one_checkpoint_where_nothing_is_due(tmp_path: Path) -> None:
    """Read to its end within the bounds of a checkpoint, a shard leaves one, with all of its figures."""
    scan = new_scan(tmp_path)
    result = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert result == ShardResult(0, f"{NODE} db0 1/1", keys=5, no_ttl_keys=2, vanished=3, resumed_at=None)
    assert to_plain(result) == {
        "shard": 0,
        "label": f"{NODE} db0 1/1",
        "keys": 5,
        "no_ttl_keys": 2,
        "vanished": 3,
        "resumed_at": None,
    }
    (saved,) = scan.folder.checkpoints(0)
    assert (saved.shard, saved.generation, saved.number, saved.run_id) == (0, 0, 0, "a")
    assert (saved.cursor, saved.done) == (0, True)
    assert (saved.keys, saved.no_ttl_keys, saved.vanished) == (5, 2, 3)
    assert saved.seen_samples == (b"no1".hex(), b"no2".hex())
    assert scan.folder.table(saved.patterns) == b"a no1 b c no2"
    assert scan.folder.table(saved.fingerprints) == b"no1 no2"
    assert (scan.tallies, scan.seeds) == ([0], [(7, 9)])
    assert scan.heard == [
        (0, 2, scan.plan.shards[0].ratio_done(8)),
        (0, 4, scan.plan.shards[0].ratio_done(4)),
        (0, 5, 1.0),
    ]
    assert scan.tally.facts == ["facts of a", "facts of b", "facts of no2", "facts of late"]


def test_a_checkpoint_is_due_after_so_many_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time the bound of keys is reached, what was read since becomes a checkpoint with its own cursor and counts."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 2)
    scan = new_scan(tmp_path)
    result = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    saved = scan.folder.checkpoints(0)
    assert [(each.number, each.cursor, each.done, each.keys, each.vanished) for each in saved] == [
        (0, 8, False, 2, 1),
        (1, 4, False, 2, 2),
        (2, 0, True, 1, 0),
    ]
    assert [each.seen_samples for each in saved] == [(b"no1".hex(),), (), (b"no2".hex(),)]
    assert (result.keys, result.vanished) == (5, 3)


def test_a_checkpoint_is_due_after_so_many_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow scan saves what it has when the time of a checkpoint has passed, whatever it has read."""
    monkeypatch.setattr(scanning, "CHECKPOINT_S", 2.0)
    scan = new_scan(tmp_path)
    scan.clock.step_s = 1.0
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert [(each.cursor, each.keys) for each in scan.folder.checkpoints(0)] == [(4, 4), (0, 1)]
    slow = new_scan(tmp_path / "slow")
    slow.clock.step_s = 2.0
    scan_shard(slow.folder, slow.plan, 0, slow.plan.shards[0], slow.tools)
    assert [each.cursor for each in slow.folder.checkpoints(0)] == [8, 4, 0]


def test_reading_goes_on_while_an_increment_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed increment waits for its last batches, and at the latest for the next one that is due; no key moves between them."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 4)
    scan = new_scan(tmp_path)
    scan.redis.batches[0] = [
        SomeKeys([b"a", b"b", b"c", b"d"], 8),
        SomeKeys([b"e"], 4),
        SomeKeys([b"f"], 2),
        *THREE[2:],
    ]
    scan.tally.counted_after = 1
    saved_when: list[int] = []
    tools = scan.tools
    hear = tools.progress

    def note(number: int, *, keys: int, ratio: float) -> None:
        hear(number, keys=keys, ratio=ratio)
        saved_when.append(len(scan.folder.checkpoints(0)))

    object.__setattr__(tools, "progress", note)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], tools)
    assert saved_when == [0, 0, 0, 1]
    assert [(each.cursor, each.keys) for each in scan.folder.checkpoints(0)] == [(8, 4), (0, 3)]


def test_another_server_process_before_a_checkpoint_is_never_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart inside of one shard ends its scan before the checkpoint that would mix two processes' cursors."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 2)
    scan = new_scan(tmp_path)
    scan.redis.run_ids = ["a", "a", "b"]
    with pytest.raises(ServerChanged, match=NODE):
        scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert [(each.run_id, each.cursor) for each in scan.folder.checkpoints(0)] == [("a", 8)]
    result = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    saved = scan.folder.checkpoints(0)
    assert [(each.generation, each.run_id) for each in saved] == [(1, "b")] * 3
    assert (result.keys, result.resumed_at) == (5, None)


def test_a_scan_goes_on_where_the_same_process_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill the scan goes on from the cursor of its last checkpoint, and says how many keys it had by then."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 2)
    scan = new_scan(tmp_path)
    tools = scan.tools

    def kill(_number: int, *, keys: int, ratio: float) -> None:
        del ratio
        if keys > 2:
            raise KeyboardInterrupt

    object.__setattr__(tools, "progress", kill)
    with pytest.raises(KeyboardInterrupt):
        scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], tools)
    assert [each.cursor for each in scan.folder.checkpoints(0)] == []
    # Two more: the first checkpoint is saved as soon as the next batch is there.
    object.__setattr__(tools, "progress", lambda _number, *, keys, ratio: kill(0, keys=keys - 2, ratio=ratio))
    with pytest.raises(KeyboardInterrupt):
        scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], tools)
    assert [each.cursor for each in scan.folder.checkpoints(0)] == [8]
    heard_before = len(scan.heard)
    result = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert scan.redis.cursors == [None, None, 8]
    assert (result.resumed_at, result.keys, result.vanished) == (2, 5, 3)
    assert scan.heard[heard_before][1] == 4
    assert [(each.generation, each.number) for each in scan.folder.checkpoints(0)] == [(0, 0), (0, 1), (0, 2)]


def test_a_shard_that_is_done_stays_done(tmp_path: Path) -> None:
    """Scanned again only when that is asked for: then from its start, as a new generation."""
    scan = new_scan(tmp_path)
    first = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    connected = len(scan.redis.connected)
    assert scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools) == first
    assert len(scan.redis.connected) == connected
    again = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools, again=True)
    assert (again.keys, again.resumed_at) == (5, None)
    assert scan.redis.cursors == [None, None]
    assert [each.generation for each in scan.folder.checkpoints(0)] == [1]


@pytest.mark.parametrize(("parallel", "share"), [(8, 2), (2, 2), (1, 1)])
def test_shards_of_one_server_share_its_load(tmp_path: Path, parallel: int, share: int) -> None:
    """A shard takes its part of what its server may be asked: of the tasks at a time, those of the same node."""
    shards = (shard_of(0, 2), shard_of(1, 2), shard_of(0, 1, "10.0.0.2:6379"))
    scan = Scanning(tmp_path, shards, ScriptedRedis({0: list(THREE)}), parallel=parallel, samples={f"{NODE} 0": [b"a"]})
    scan_shard(scan.folder, scan.plan, 0, shards[0], scan.tools)
    ((pinned, load_share, samples),) = scan.redis.read
    assert (load_share, samples) == (share, [b"a"])
    assert pinned.run_id == "a", "the shard that is read belongs to the process that answers"
    assert scan.redis.connected == [(NODE, 0)]


def test_facts_are_asked_for_and_counted_page_by_page(tmp_path: Path) -> None:
    """What a batch wants to know is asked with the pages that follow, and its answers are counted as they come."""
    scan = new_scan(tmp_path)
    tools = scan.tools
    known: list[tuple[list[bytes], list[str]]] = []

    def note(_number: int, *, keys: int, ratio: float) -> None:
        del keys, ratio
        known.append((list(scan.redis.readers[-1].asked), list(scan.tally.facts)))

    object.__setattr__(tools, "progress", note)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], tools)
    assert known[0] == ([b"a"], ["facts of a"])
    assert known[1] == ([b"a", b"b"], ["facts of a", "facts of b"])


def test_an_increment_that_is_not_counted_is_saved_before_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that ends while an increment before is still being counted saves both."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 4)
    scan = new_scan(tmp_path)
    scan.tally.counted_after = 1_000_000
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert [(each.cursor, each.keys, each.done) for each in scan.folder.checkpoints(0)] == [(4, 4, False), (0, 1, True)]


def test_the_bound_of_keys_is_met_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key below the bound isn't due, neither in the first increment nor in the next."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 3)
    scan = new_scan(tmp_path)
    two = [SomeKeys([b"a", b"b"], cursor) for cursor in (8, 4, 2, 1)]
    scan.redis.batches[0] = [*two, SomeKeys([b"c"], 0, done=True)]
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert [(each.cursor, each.keys) for each in scan.folder.checkpoints(0)] == [(4, 4), (1, 4), (0, 1)]
    assert (scanning.CHECKPOINT_KEYS, scanning.CHECKPOINT_S) == (3, 10.0)
    monkeypatch.undo()
    assert scanning.CHECKPOINT_KEYS == 1_000_000


def test_a_scan_goes_on_from_its_last_checkpoint_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of several checkpoints says where to go on, and whether the shard is done."""
    monkeypatch.setattr(scanning, "CHECKPOINT_KEYS", 2)
    scan = new_scan(tmp_path)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert scan.redis.cursors == [None], "done by its last checkpoint"
    (tmp_path / f"{scan.folder.path}/shards/0/0-00002.json").unlink()
    result = scan_shard(scan.folder, scan.plan, 0, scan.plan.shards[0], scan.tools)
    assert scan.redis.cursors == [None, 4]
    assert (result.resumed_at, result.keys) == (4, 5)
