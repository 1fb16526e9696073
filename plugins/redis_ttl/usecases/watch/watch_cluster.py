"""Looks at a cluster once, and says what has changed: a level reached or left, a burst begun. One call every few minutes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.watch.bursts import excess
from redis_ttl.domain.watch.events import BurstReport, LevelChange, NotKnown, PatternGrowth
from redis_ttl.domain.watch.history import Growth, Point, growth
from redis_ttl.domain.watch.levels import LevelState, Measure, next_level, thresholds_of
from redis_ttl.domain.watch.oddities import Oddity, oddities
from redis_ttl.domain.watch.trend import trend
from redis_ttl.usecases.store.watch import Look, WatchDocuments, WatchEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.watch.sample import Sample
    from redis_ttl.usecases.ports import Clock, RemovableDocuments
    from redis_ttl.usecases.watch.watch_ports import RunningJobs, SampledPattern, WatchedRedis

#: What trends and bursts are judged by.
HISTORY_DAYS: Final = 14
#: Random keys that a burst's patterns are told from: a pattern of a tenth of all keys is known to within a hundredth.
PROBED_KEYS: Final = 4_000
_PATTERNS_SHOWN: Final = 10
_CLIENTS_SHOWN: Final = 10
_CALLS_SHOWN: Final = 5
#: A burst is over when nothing has grown too fast for so many looks.
_QUIET_LOOKS: Final = 3
#: 95% of normal noise.
_Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class WatchTools:
    """What one look needs from the outside. ``audited`` gives the last audit's id and its keys by pattern, ``jobs`` what ran at a
    time.
    """

    redis: WatchedRedis
    store: RemovableDocuments
    clock: Clock
    interval_s: float
    audited: Callable[[], tuple[str, Mapping[str, int]] | None]
    jobs: RunningJobs


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look came to."""

    sample: Sample
    growth: Growth | None
    oddities: tuple[Oddity, ...]
    levels: Mapping[Measure, LevelState]
    changes: tuple[LevelChange, ...]
    burst: BurstReport | None
    is_bursting: bool


def watch_cluster(policy: Policy, tools: WatchTools) -> Seen:
    """Look once; the sample, and what has happened, is in the store when this returns."""
    documents = WatchDocuments(tools.store, policy.cluster)
    events = WatchEvents(tools.store, policy.cluster)
    now = tools.clock.now()
    memory = documents.last(now)
    sample = tools.redis.sample(now.isoformat(), limit_bytes=policy.memory.limit_bytes)
    found = oddities(memory.sample, sample, tools.interval_s)
    grown = growth(memory.sample, sample, tools.interval_s)
    history = [*documents.history(now, HISTORY_DAYS), *memory.today]
    levels, changes = _levels(policy, memory, sample, history)
    too_fast = () if grown is None else excess(grown, history, policy.watch, sample)
    burst_since, quiet = memory.burst_since, memory.quiet
    report = None
    if too_fast:
        if burst_since is None and memory.sample is not None:
            burst_since = memory.sample.at
            report = _probe(policy, tools, memory.sample, sample)
        quiet = 0
    elif burst_since is not None:
        quiet += 1
        if quiet >= _QUIET_LOOKS:
            burst_since, quiet = None, 0
    same_day = [point for point in memory.today if point.moment.date() == now.date()]
    # Before the sample, which says that they were told: a look that is killed in between tells them again, not never.
    for change in changes:
        events.write(now, change)
    if report is not None:
        events.write(now, report)
    documents.write(now, Look(sample, (*same_day, Point.of(sample, grown)), levels, burst_since, quiet, found))
    documents.tidy(now, policy.watch.retention_days)
    return Seen(sample, grown, found, levels, tuple(changes), report, burst_since is not None)


def _levels(
    policy: Policy, memory: Look, sample: Sample, history: Sequence[Point]
) -> tuple[dict[Measure, LevelState], list[LevelChange]]:
    levels: dict[Measure, LevelState] = {}
    changes = []
    nodes = sample.memory
    # The fullest node: one that is full evicts, or refuses writes, however empty the others are.
    for measure, share in ((Measure.MEMORY, nodes.worst_ratio), (Measure.NO_TTL, sample.no_ttl_ratio)):
        before = memory.levels.get(measure, LevelState())
        after = next_level(before, share, thresholds_of(policy, measure), sample.at)
        if measure is Measure.MEMORY and not nodes.is_whole and not after.is_above(before):
            # Nodes that don't tell may be as full as they were.
            after = before
        levels[measure] = after
        if after.level is before.level or share is None:
            continue
        limit = sample.limit_bytes
        bounds = _bounds(policy, sample)
        cost = policy.scaling_cost
        changes.append(
            LevelChange(
                cluster=policy.cluster,
                at=sample.at,
                measure=measure,
                level=after.level,
                before=before.level,
                ratio=share,
                used_bytes=sample.used_bytes,
                limit_bytes=limit,
                keys=sample.keys,
                no_ttl_keys=sample.no_ttl_keys,
                eviction_policy=sample.nodes[0].eviction_policy,
                forecast=trend(history, sample, bounds),
                scaling_usd_per_month=None if cost is None else cost.usd_per_month,
                scaling_note=None if cost is None else cost.note,
                limit_is_told=nodes.limit_is_told,
                fullest=nodes.fullest,
            )
        )
    return levels, changes


def _bounds(policy: Policy, sample: Sample) -> dict[str, float]:
    """How much memory is in use on all nodes when the fullest of them reaches each level, and its limit, if they grow alike."""
    used, worst = sample.used_bytes, sample.memory.worst_ratio
    if used is None or not worst:
        return {}
    full = used / worst
    levels = {level.value: bound * full for level, bound in thresholds_of(policy, Measure.MEMORY).items()}
    return {"maxmemory": full} | levels


def _probe(policy: Policy, tools: WatchTools, before: Sample, now: Sample) -> BurstReport:
    """Who and what it is, within a fixed number of questions."""
    missing = []
    audited = tools.audited()
    audit_id, known = audited if audited is not None else (None, {})
    if audited is None:
        missing.append(NotKnown.AUDIT)
    sampled = tools.redis.random_patterns(now, PROBED_KEYS, known)
    if sampled is None:
        missing.append(NotKnown.KEYS)
    clients = tools.redis.writing_clients(now)
    if clients is None:
        missing.append(NotKnown.CLIENTS)
    if now.keys is None:
        missing.append(NotKnown.KEYSPACE)
    apart_s = (now.moment - before.moment).total_seconds()
    keys = _more(before.keys, now.keys)
    return BurstReport(
        cluster=policy.cluster,
        at=now.at,
        since=before.at,
        keys=keys,
        used_bytes=_more(before.used_bytes, now.used_bytes),
        no_ttl_keys=_more(before.no_ttl_keys, now.no_ttl_keys),
        keys_per_s=None if keys is None else keys / apart_s if apart_s > 0 else 0.0,
        sampled=sum(each.keys for each in (sampled or {}).values()),
        patterns=() if now.keys is None else _grown(sampled or {}, now.keys, known),
        clients=tuple((clients or ())[:_CLIENTS_SHOWN]),
        calls=_calls(before, now, tools.redis),
        jobs=tuple(tools.jobs(before.moment, now.moment)),
        audit_id=audit_id,
        missing=tuple(missing),
    )


def _more(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else now - before


def _grown(sampled: Mapping[str, SampledPattern], keys: int, known: Mapping[str, int]) -> tuple[PatternGrowth, ...]:
    """The patterns that have grown for certain: more than the audit knew even at the lower end of the interval (Wilson's)."""
    total = sum(each.keys for each in sampled.values())
    found = []
    for pattern, each in sampled.items():
        if not each.keys:
            continue
        share, low, high = _wilson(each.keys, total)
        audited = known.get(pattern, 0)
        if low * keys <= audited:
            continue
        found.append(
            PatternGrowth(
                pattern=pattern,
                share=share,
                share_low=low,
                share_high=high,
                keys=round(share * keys),
                keys_low=round(low * keys),
                keys_high=round(high * keys),
                audited_keys=audited,
                no_ttl_ratio=each.no_ttl_keys / each.keys,
                ttl_s=int(median(each.ttls_s)) if each.ttls_s else None,
                examples=tuple(each.examples),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.grown_keys, each.pattern))[:_PATTERNS_SHOWN])


def _wilson(hits: int, total: int) -> tuple[float, float, float]:
    """A share with its 95% score interval (Wilson 1927)."""
    share = hits / total
    scale = 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / scale
    half = _Z * ((share * (1 - share) / total + _Z**2 / (4 * total**2)) ** 0.5) / scale
    return share, max(0.0, middle - half), min(1.0, middle + half)


def _calls(before: Sample, now: Sample, redis: WatchedRedis) -> tuple[tuple[str, int], ...]:
    """How often each command that writes was called between the samples, most often first."""
    # A server that hides its run_id is known by its address.
    earlier = {node.run_id or node.address: node.calls for node in before.nodes}
    moved: dict[str, int] = {}
    for node in now.nodes:
        known = earlier.get(node.run_id or node.address, {})
        for name, count in node.calls.items():
            moved[name] = moved.get(name, 0) + count - known.get(name, 0)
    called = {name: count for name, count in moved.items() if count > 0}
    writes = redis.writing_commands(now, called)
    counted = [(name, count) for name, count in called.items() if name in writes]
    return tuple(sorted(counted, key=lambda each: (-each[1], each[0]))[:_CALLS_SHOWN])
