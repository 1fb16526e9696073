"""Scans one shard to its end, and saves how far it came, so that a killed scan goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.audit import Checkpoint
from redis_ttl.domain.codec import document
from redis_ttl.domain.errors import ServerChanged
from redis_ttl.usecases.store.catalogue import Increment

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import AuditPlan
    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.usecases.ports import Clock, NewTally, Node, Progress, Redis, ShardReader, Tally
    from redis_ttl.usecases.store.audits import AuditFolder

#: A checkpoint is saved after this many keys or seconds, whichever comes first: what a kill costs at most.
CHECKPOINT_KEYS: Final = 1_000_000
CHECKPOINT_S: Final = 10.0


@document(None)
@dataclass(frozen=True, slots=True)
class ShardResult:
    """What one shard came to: small enough to travel between tasks."""

    shard: int
    label: str
    keys: int
    no_ttl_keys: int
    vanished: int
    resumed_at: int | None


@dataclass(frozen=True, slots=True)
class ScanTools:
    """What scanning needs from the outside."""

    redis: Redis
    new_tally: NewTally
    progress: Progress
    clock: Clock


def scan_shard(
    folder: AuditFolder, plan: AuditPlan, number: int, shard: Shard, tools: ScanTools, *, again: bool = False
) -> ShardResult:
    """Scan ``shard``, which the audit knows by ``number``, from its last checkpoint to its end.

    A shard that is done stays done, unless it shall be scanned ``again``. Where another server process answers than
    the one that the checkpoints belong to, their cursors mean nothing: a new generation starts from the shard's
    beginning. Raises :class:`ServerChanged` when the process changes during the scan; running the same scan again is
    then right.
    """
    saved = folder.checkpoints(number)
    if saved and saved[-1].done and not again:
        return _result(number, shard, saved, resumed_at=None)
    with tools.redis.connect(shard.node, shard.db) as node:
        run_id = node.run_id()
        resumes = bool(saved) and not again and saved[-1].run_id == run_id
        if not resumes:
            generation = saved[-1].generation + 1 if saved else 0
            saved = []
        else:
            generation = saved[-1].generation
        resumed_at = sum(each.keys for each in saved) if saved else None
        share = min(plan.options.parallel, sum(1 for other in plan.shards if other.node == shard.node))
        samples = folder.samples(shard.node, shard.db)
        pinned = replace(shard, run_id=run_id)
        with (
            tools.new_tally(shard.db, seed=plan.seed, next_seed=plan.next_seed) as tally,
            node.reader(pinned, load_share=share, samples=samples) as reader,
        ):
            scan = _Scan(folder, number, pinned, generation, node, reader, tally, saved)
            scan.run(tools.progress, tools.clock)
    return _result(number, shard, scan.saved, resumed_at=resumed_at)


@dataclass(frozen=True, slots=True)
class _Closed:
    """An increment that has all of its keys, and is about to become a checkpoint."""

    cursor: int
    done: bool
    vanished: int
    seen_samples: list[bytes]


@dataclass(slots=True)
class _Scan:
    """One generation of one shard under way."""

    folder: AuditFolder
    number: int
    shard: Shard
    generation: int
    node: Node
    reader: ShardReader
    tally: Tally
    saved: list[Checkpoint]

    def run(self, progress: Progress, clock: Clock) -> None:
        keys = sum(each.keys for each in self.saved)
        cursor = self.saved[-1].cursor if self.saved else None
        since_keys, since_s, vanished = 0, clock.monotonic(), 0
        closed: _Closed | None = None
        for batch in self.reader.batches(cursor):
            self.tally.add(batch.frame)
            self.reader.ask(self.tally.take_sample())
            self.tally.add_facts(self.reader.answers())
            keys += batch.keys
            since_keys += batch.keys
            vanished += batch.vanished
            progress(self.number, keys=keys, ratio=1.0 if batch.done else self.shard.ratio_done(batch.next_cursor))
            is_due = since_keys >= CHECKPOINT_KEYS or clock.monotonic() - since_s >= CHECKPOINT_S
            # Reading goes on until the last batches of an increment are counted.
            if closed is not None and (batch.done or is_due or self.tally.is_counted):
                self._save(closed)
                closed = None
            if batch.done or is_due:
                self.tally.close()
                closed = _Closed(batch.next_cursor, batch.done, vanished, self.reader.seen_samples())
                since_keys, since_s, vanished = 0, clock.monotonic(), 0
        if closed is not None:
            self._save(closed)

    def _save(self, closed: _Closed) -> None:
        self.tally.finish_batches()
        self.reader.ask(self.tally.take_sample())
        self.tally.add_facts(self.reader.all_answers())
        if self.node.run_id() != self.shard.run_id:
            raise ServerChanged(
                "another server process answers than the one that the scan began with (a restart or a failover)",
                where=self.node.address,
                todo="Its cursors mean nothing to the new process: the shard starts again.",
            )
        counted = self.tally.drain()
        count = len(self.saved)
        # The checkpoint is what makes the increment count, and only one task can write it.
        increment = Increment(self.number, self.generation, count)
        patterns, fingerprints = self.folder.write_counts(increment, counted.patterns, counted.fingerprints)
        checkpoint = Checkpoint(
            shard=self.number,
            generation=self.generation,
            number=count,
            run_id=self.shard.run_id,
            cursor=closed.cursor,
            done=closed.done,
            keys=counted.keys,
            no_ttl_keys=counted.no_ttl_keys,
            vanished=closed.vanished,
            patterns=patterns,
            fingerprints=fingerprints,
            seen_samples=tuple(key.hex() for key in closed.seen_samples),
        )
        self.folder.write_checkpoint(checkpoint)
        self.saved = [*self.saved, checkpoint]


def _result(number: int, shard: Shard, saved: list[Checkpoint], *, resumed_at: int | None) -> ShardResult:
    return ShardResult(
        shard=number,
        label=shard.label,
        keys=sum(each.keys for each in saved),
        no_ttl_keys=sum(each.no_ttl_keys for each in saved),
        vanished=sum(each.vanished for each in saved),
        resumed_at=resumed_at,
    )
