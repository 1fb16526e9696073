"""Says what keeps an audit from being exact: databases that were left out, and a data set that was exchanged under the scan.

A scan takes minutes to hours. Meanwhile a server may be restarted from an older copy, flushed, swapped or failed over, or several of
them may answer at one address by turns. What each server says of itself before and after is compared, and where something may have
happened, the keys that were drawn at random before the scan are asked for: a data set that is still the same has most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import Role, exchanges_text, exchanging_calls

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from redis_ttl.domain.audit.audit import AuditPlan, Checkpoint
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.usecases.ports import Redis
    from redis_ttl.usecases.store.audits import AuditFolder

#: The share of drawn keys that must be there still, and by how much the number of keys may differ. Keys that expire or are deleted
#: in the course of things are gone, too, which is why this is asked only where something happened.
_SAME: Final = 0.9
#: A database of fewer keys may change by that many.
_FEW: Final = 100


def doubts(
    plan: AuditPlan,
    after: Iterable[ServerProfile],
    checkpoints: Iterable[Checkpoint],
    folder: AuditFolder,
    redis: Redis,
) -> tuple[str, ...]:
    """A sentence for each server whose keys may be of more than one data set, or of another than the audit began with."""
    processes: dict[str, set[str]] = {}
    for checkpoint in checkpoints:
        # A database that was scanned again as a whole has a number beyond those of the plan, and a node like the first of them.
        if checkpoint.shard < len(plan.shards):
            processes.setdefault(plan.shards[checkpoint.shard].node, set()).add(checkpoint.run_id)
    found = []
    for before, now in zip(plan.servers, after, strict=True):
        if now.run_id and processes.get(before.address, set()) - {"", now.run_id}:
            found.append(
                f"{now.address}: parts of the scan were answered by another process than the one that answers now (a restart, a "
                "failover, or several servers behind one address), and may be of another data set"
            )
        elif happened := _happened(before, now):
            found += _exchanged(plan, now, happened, folder, redis)
    return tuple(found)


def _happened(before: ServerProfile, now: ServerProfile) -> list[str]:
    """What may have exchanged the data set, as far as the server tells."""
    calls = exchanging_calls(before.exchanges, now.exchanges)
    happened = [exchanges_text(calls)] if calls else []
    if before.run_id and now.run_id and before.run_id != now.run_id:
        happened.append("another process answers since")
    if before.role is not now.role:
        happened.append(f"it turned from {before.role} to {now.role}")
    is_replica = before.role is now.role is Role.REPLICA
    if is_replica and before.lineage and before.lineage not in (now.lineage, now.former_lineage):
        happened.append("it follows another data set than before")
    if before.last_load and now.last_load and before.last_load != now.last_load:
        happened.append("it loaded its data set anew")
    return happened


def _exchanged(
    plan: AuditPlan, now: ServerProfile, happened: Collection[str], folder: AuditFolder, redis: Redis
) -> list[str]:
    found = []
    for split in plan.splits:
        if split.node != now.address:
            continue
        drawn = folder.samples(split.node, split.db)
        with redis.connect(split.node, split.db) as node:
            left = len(node.existing(drawn))
        keys = now.counts_of(split.db).keys
        is_like_before = abs(keys - split.keys) <= max(_FEW, (1 - _SAME) * split.keys)
        if left >= _SAME * len(drawn) and is_like_before:
            continue
        found.append(
            f"{now.address} db{split.db}: {', '.join(happened)} during the scan. Of {len(drawn):,} keys drawn at random before it "
            f"{left:,} are still there, and {keys:,} keys instead of {split.keys:,}: what was read may be of more than one data set"
        )
    return found
