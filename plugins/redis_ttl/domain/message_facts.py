"""Draws the facts of messages from the product's own documents. Pure: the same documents give the same facts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from redis_ttl.domain.key_name import key_text
from redis_ttl.domain.message import ActionRequired, BurstFacts, Memory, RuleFacts, UnknownFacts
from redis_ttl.domain.pattern_statistics import Governance
from redis_ttl.domain.policy import Mode, Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit import Audit
    from redis_ttl.domain.pattern_statistics import PatternStatistics
    from redis_ttl.domain.policy import Policy, Rule
    from redis_ttl.domain.watch import BurstReport

#: A pattern that nobody governs is named when it holds so much of all keys without a TTL, and so many are named.
_NOTICEABLE: Final = 0.01
_MOST_UNKNOWN: Final = 8
_EXAMPLES: Final = 3
DEADLINE: Final = dt.timedelta(days=14)


def action_required(
    audit: Audit, policy: Policy, *, burst: BurstReport | None = None, deadline: dt.timedelta = DEADLINE
) -> ActionRequired | None:
    """What the owner must hear of this audit; None when every rule is kept and nothing noticeable lacks one."""
    of_rule: dict[str, list[PatternStatistics]] = {}
    for row in audit.patterns:
        if row.rule is not None:
            of_rule.setdefault(row.rule, []).append(row)
    rules = [
        facts
        for rule in policy.rules
        if (facts := _rule_facts(rule, of_rule.get(rule.pattern.text, []))) is not None and facts.concerned_keys
    ]
    rules.sort(key=lambda each: (each.priority, -each.concerned_keys, each.pattern))
    unknown = sorted(
        (row for row in audit.patterns if row.governance is Governance.NONE and row.no_ttl_keys),
        key=lambda row: (-row.no_ttl_keys, row.pattern),
    )
    shown = [row for row in unknown if row.no_ttl_keys >= _NOTICEABLE * audit.no_ttl_keys][:_MOST_UNKNOWN]
    if not rules and not shown:
        return None
    rest = unknown[len(shown) :]
    audited = dt.datetime.fromisoformat(audit.finished_at)
    cost = policy.scaling_cost
    return ActionRequired(
        cluster=policy.cluster,
        owner=policy.owner.team,
        priority=min((rule.priority for rule in rules), default=Priority.P2.value),
        audit_id=audit.plan.audit_id,
        audited_at=audit.finished_at,
        keys=audit.keys,
        no_ttl_keys=audit.no_ttl_keys,
        memory=Memory(audit.used_memory_bytes, audit.maxmemory_bytes),
        memory_warn_ratio=policy.memory.warn_ratio,
        memory_critical_ratio=policy.memory.critical_ratio,
        eviction_policy=audit.plan.servers[0].eviction_policy,
        rules=tuple(rules),
        unknown=tuple(
            UnknownFacts(row.pattern, row.keys, row.no_ttl_keys, _size([row], row.no_ttl_keys)) for row in shown
        ),
        other_unknown_patterns=len(rest),
        other_unknown_keys=sum(row.no_ttl_keys for row in rest),
        deadline=(audited.astimezone(ZoneInfo(policy.audit.timezone)) + deadline).date(),
        scaling_usd_per_month=None if cost is None else cost.usd_per_month,
        scaling_note=None if cost is None else cost.note,
        burst=None if burst is None else BurstFacts(_burst_pattern(burst), burst.keys, burst.since, burst.at),
    )


def _rule_facts(rule: Rule, rows: Sequence[PatternStatistics]) -> RuleFacts | None:
    if not rows:
        return None
    keys, no_ttl = sum(row.keys for row in rows), sum(row.no_ttl_keys for row in rows)
    longer = sum(row.over_rule_keys for row in rows)
    caps = rule.mode is Mode.CAP
    with_ttl = [(row.keys - row.no_ttl_keys, row.ttl_mean_s) for row in rows if row.ttl_mean_s is not None]
    expiring = sum(count for count, _ in with_ttl)
    return RuleFacts(
        pattern=rule.pattern.text,
        priority=rule.priority.value,
        ttl_s=rule.ttl_s,
        caps=caps,
        signed_off=rule.sign_off is not None,
        keys=keys,
        no_ttl_keys=no_ttl,
        longer_keys=longer,
        current_ttl_s=round(sum(count * mean for count, mean in with_ttl) / expiring) if expiring else None,
        size_bytes=_size(rows, no_ttl + (longer if caps else 0)),
        examples=_names(rows),
    )


def _size(rows: Sequence[PatternStatistics], keys: int) -> int | None:
    """What so many of these keys hold, as far as sampled sizes tell."""
    sizes = [row.size_bytes for row in rows]
    total = sum(row.keys for row in rows)
    known = [size.value for size in sizes if size is not None]
    return round(sum(known) * keys / total) if known and len(known) == len(sizes) and total else None


def _names(rows: Sequence[PatternStatistics]) -> tuple[str, ...]:
    return tuple(key_text(key) for row in rows for key in row.examples)[:_EXAMPLES]


def _burst_pattern(burst: BurstReport) -> str:
    return burst.patterns[0].pattern if burst.patterns else ""
