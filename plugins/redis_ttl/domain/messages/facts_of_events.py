"""What teams must hear of a drift check and of the watch. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.drift_found import DriftFacts, DriftFound
from redis_ttl.domain.messages.facts.memory import Cost, Memory
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.watch.levels import Level, thresholds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.drift.drift import DriftFinding, DriftReport
    from redis_ttl.domain.policy.policy import Owner, Policy
    from redis_ttl.domain.watch.events import BurstReport, LevelChange


def drift_found(report: DriftReport, policy: Policy, *, link: str | None = None) -> list[tuple[Owner, DriftFound]]:
    """What is outside of the policy's tolerance, to each team its own; nobody hears of a check that found nothing of that kind."""
    by_team = {owner.team: owner for owner in (*policy.owners, policy.owner)}
    found = []
    for owner in (policy.owner, *policy.owners):
        # A team that has left the policy since leaves its rows to the cluster's owner.
        own = [each for each in report.failing if by_team.get(each.owner, policy.owner) == owner]
        rows = _rows(own)
        if rows:
            facts = DriftFound(
                cluster=report.cluster,
                owner=owner.team,
                audit_id=report.audit_id,
                audited_at=report.audited_at,
                accepted=report.accepted,
                accepted_at=report.accepted_at,
                accepted_by=report.accepted_by,
                findings=rows,
                link=link,
            )
            found.append((owner, facts))
    return found


def _rows(findings: Sequence[DriftFinding]) -> tuple[DriftFacts, ...]:
    """A row for each cause and pattern, of all databases together."""
    groups: dict[tuple[str, str], list[DriftFinding]] = {}
    for each in findings:
        groups.setdefault((each.kind.value, each.pattern), []).append(each)
    return tuple(
        DriftFacts(
            cause=group[0].kind,
            pattern=group[0].pattern,
            new_keys=sum(each.counted_keys for each in group),
            no_ttl_keys=sum(each.no_ttl_keys for each in group),
            since=min(each.since for each in group),
            growth_per_day=_sum(each.growth_per_day for each in group),
            due=group[0].due,
            examples=tuple(name for each in group for name in each.examples),
            churn_keys=sum(each.churn_keys for each in group),
            ending_keys=sum(each.ending_keys for each in group),
            is_unheard_of=all(each.is_unheard_of for each in group),
        )
        for group in groups.values()
    )


def _sum(figures: Iterable[float | None]) -> float | None:
    """None where one of them isn't known."""
    known = list(figures)
    return None if None in known else sum(figure for figure in known if figure is not None)


def memory_level(change: LevelChange, policy: Policy, *, link: str | None = None) -> list[tuple[Owner, MemoryLevel]]:
    """That a measure is at another level, to the cluster's owner."""
    # What was passed: the threshold of the level that is reached now, or the one that it fell below.
    passed = change.level if change.is_worse else change.before
    cost = None if change.scaling_usd_per_month is None else Cost(change.scaling_usd_per_month, change.scaling_note)
    facts = MemoryLevel(
        cluster=change.cluster,
        owner=policy.owner.team,
        at=change.at,
        measure=change.measure,
        level=change.level,
        before=change.before,
        is_worse=change.is_worse,
        ratio=change.ratio,
        threshold_ratio=None if passed is Level.OK else thresholds_of(policy, change.measure).get(passed),
        memory=Memory(change.used_bytes, change.limit_bytes, change.limit_is_told, change.fullest),
        keys=change.keys,
        no_ttl_keys=change.no_ttl_keys,
        eviction_policy=change.eviction_policy,
        forecast=change.forecast,
        cost=cost,
        link=link,
    )
    return [(policy.owner, facts)]


def burst_detected(burst: BurstReport, policy: Policy, *, link: str | None = None) -> list[tuple[Owner, BurstDetected]]:
    """That keys come in far too fast, to the cluster's owner."""
    facts = BurstDetected(
        cluster=burst.cluster,
        owner=policy.owner.team,
        since=burst.since,
        keys=burst.keys,
        used_bytes=burst.used_bytes,
        no_ttl_keys=burst.no_ttl_keys,
        keys_per_s=burst.keys_per_s,
        patterns=burst.patterns,
        clients=burst.clients,
        jobs=burst.jobs,
        missing=burst.missing,
        link=link,
    )
    return [(policy.owner, facts)]
