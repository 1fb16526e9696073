"""Makes one audit of the shards' checkpoints, after making sure that together they met every key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.audit import UNSEEN_TOLERATED, Audit, Completeness, KeyspaceCount
from redis_ttl.domain.audit.shards import SplitRule, split
from redis_ttl.domain.errors import IncompleteScan, MissingPermission
from redis_ttl.usecases.audit.audit_doubts import doubts
from redis_ttl.usecases.audit.inspect_server import left_out
from redis_ttl.usecases.audit.scan_shard import scan_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis_ttl.domain.audit.audit import AuditPlan, Checkpoint
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.usecases.audit.scan_shard import ScanTools
    from redis_ttl.usecases.ports import Merger
    from redis_ttl.usecases.store.audits import AuditFolder

#: Keys that are deleted and written again all the time (locks) look unseen; this few never count as a loss.
_UNSEEN_ALWAYS_TOLERATED = 3

_SEVERAL: Final = (
    "Something between us and the server may hand out several servers under one address (a proxy or a balancer): "
    "point the connection at one node."
)


def merge_audit(folder: AuditFolder, merger: Merger, tools: ScanTools) -> Audit:
    """Check, merge and write ``patterns.parquet`` and ``audit.json``; the audit.

    Scans again, by itself, what can't be trusted: a shard that isn't done, shards of one database that were met by
    different server processes (bit positions mean other keys there), and, sequentially, a database of which sample
    keys stayed unseen. Raises :class:`IncompleteScan` when that doesn't help.
    """
    plan = folder.plan()
    checkpoints: list[Checkpoint] = []
    scanned_again: list[str] = []
    samples = unseen = 0
    for shards in _by_database(plan.shards):
        saved, again = _rescan_strangers(folder, plan, shards, tools)
        scanned_again += again
        first = next(iter(shards.values()))
        lost = _unseen(folder, first, saved, tools)
        if lost.count > lost.tolerated:
            number, whole = _sequential(plan, shards)
            scan_shard(folder, plan, number, whole, tools)
            scanned_again.append(whole.label)
            saved = folder.checkpoints(number)
            lost = _unseen(folder, first, saved, tools)
            if lost.count > lost.tolerated:
                raise IncompleteScan(
                    "keys that were drawn at random before the scan are still there, but the scan didn't meet them",
                    where=f"{whole.node} db{whole.db}",
                    found=f"{lost.count} of {lost.samples} unseen",
                    allowed=f"at most {lost.tolerated}",
                    todo=_SEVERAL,
                )
        samples += lost.samples
        unseen += lost.count
        checkpoints += saved
    for checkpoint in checkpoints:
        merger.add(folder.table(checkpoint.patterns))
    patterns, document = merger.result()
    after = _profiles(plan, tools)
    doubtful = doubts(plan, after, checkpoints, folder, tools.redis)
    missing = tuple(left_out(plan.servers))
    audit = Audit(
        plan=plan,
        finished_at=(now := tools.clock.now()).isoformat(),
        duration_s=max(0.0, (now - datetime.fromisoformat(plan.started_at)).total_seconds()),
        keys=sum(each.keys for each in checkpoints),
        no_ttl_keys=sum(each.no_ttl_keys for each in checkpoints),
        vanished=sum(each.vanished for each in checkpoints),
        keyspace_before=_keyspace(plan.servers, plan),
        keyspace_after=_keyspace(after, plan),
        completeness=Completeness(samples, unseen, tuple(scanned_again), doubtful, missing),
        patterns=tuple(patterns),
        patterns_document=folder.write_patterns(document),
        fingerprints=tuple(each.fingerprints for each in checkpoints),
        warnings=(*plan.warnings, *_late_warnings(plan, tools), *doubtful),
    )
    folder.write_audit(audit)
    return audit


@dataclass(frozen=True, slots=True)
class _Unseen:
    samples: int
    count: int

    @property
    def tolerated(self) -> int:
        return max(_UNSEEN_ALWAYS_TOLERATED, int(self.samples * UNSEEN_TOLERATED))


def _by_database(shards: Sequence[Shard]) -> list[dict[int, Shard]]:
    groups: dict[tuple[str, int], dict[int, Shard]] = {}
    for number, shard in enumerate(shards):
        groups.setdefault((shard.node, shard.db), {})[number] = shard
    return list(groups.values())


def _rescan_strangers(
    folder: AuditFolder, plan: AuditPlan, shards: Mapping[int, Shard], tools: ScanTools
) -> tuple[list[Checkpoint], list[str]]:
    """The checkpoints of one database, and the labels of the shards that had to be scanned for them.

    Those are shards that aren't done, and then those that another process answered than the one that answers now.
    """
    saved = {number: folder.checkpoints(number) for number in shards}
    scanned: list[str] = []

    def scan(number: int, *, again: bool) -> None:
        scan_shard(folder, plan, number, shards[number], tools, again=again)
        saved[number] = folder.checkpoints(number)
        scanned.append(shards[number].label)

    for number in shards:
        if not saved[number] or not saved[number][-1].done:
            scan(number, again=False)
    first = next(iter(shards.values()))
    if first.rule is SplitRule.BITS and len({each[-1].run_id for each in saved.values()}) > 1:
        with tools.redis.connect(first.node, first.db) as node:
            now = node.run_id()
        for number in shards:
            if saved[number][-1].run_id != now:
                scan(number, again=True)
        if len({each[-1].run_id for each in saved.values()}) > 1:
            raise IncompleteScan(
                "several server processes answer at one address by turns, so its shards don't fit together",
                where=f"{first.node} db{first.db}",
                todo=_SEVERAL,
            )
    return [checkpoint for number in shards for checkpoint in saved[number]], scanned


def _unseen(folder: AuditFolder, shard: Shard, saved: Iterable[Checkpoint], tools: ScanTools) -> _Unseen:
    drawn = set(folder.samples(shard.node, shard.db))
    met = {bytes.fromhex(key) for checkpoint in saved for key in checkpoint.seen_samples}
    missed = sorted(drawn - met)
    if not missed:
        return _Unseen(len(drawn), 0)
    with tools.redis.connect(shard.node, shard.db) as node:
        return _Unseen(len(drawn), len(node.existing(missed)))


def _sequential(plan: AuditPlan, shards: Mapping[int, Shard]) -> tuple[int, Shard]:
    number, first = next(iter(shards.items()))
    (whole,) = split(node=first.node, run_id=first.run_id, db=first.db, rule=SplitRule.SEQUENTIAL, dbsize=0, wanted=1)
    return len(plan.shards) + number, whole


def _profiles(plan: AuditPlan, tools: ScanTools) -> list[ServerProfile]:
    profiles = []
    for server in plan.servers:
        with tools.redis.connect(
            server.address, next(split.db for split in plan.splits if split.node == server.address)
        ) as node:
            profiles.append(node.profile())
    return profiles


def _keyspace(servers: Iterable[ServerProfile], plan: AuditPlan) -> tuple[KeyspaceCount, ...]:
    """The servers' own counts of what is scanned; nothing where one of them doesn't tell."""
    servers = list(servers)
    if not all(server.keyspace_is_told for server in servers):
        return ()
    scanned = sorted({split.db for split in plan.splits})
    counts = {db: [count for server in servers for count in server.databases if count.db == db] for db in scanned}
    return tuple(
        KeyspaceCount(
            db,
            sum(count.keys for count in of_nodes),
            sum(count.expires for count in of_nodes),
            _sum_if_known(count.field_ttl_keys for count in of_nodes),
        )
        for db, of_nodes in counts.items()
    )


def _sum_if_known(figures: Iterable[int | None]) -> int | None:
    """The sum; None without any, or where one isn't known."""
    known = list(figures)
    return None if not known or None in known else sum(figure for figure in known if figure is not None)


def _late_warnings(plan: AuditPlan, tools: ScanTools) -> list[str]:
    if plan.topology is None:
        return []
    try:
        are_moving = any(claims.moving for claims in tools.redis.slot_claims().values())
    except MissingPermission:
        are_moving = False  # the plan warns of it
    if are_moving or tools.redis.topology() != plan.topology:
        return ["slots moved between nodes during the scan: keys on the way may be counted twice or not at all"]
    return []
