"""What teams must hear of an audit. Pure: the same documents give the same facts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.messages.facts.action_required import (
    ActionRequired,
    BurstFacts,
    KindShare,
    RuleFacts,
    UnknownFacts,
    ValueKind,
)
from redis_ttl.domain.messages.facts.memory import Cost, Memory
from redis_ttl.domain.policy.actions import Standing
from redis_ttl.domain.policy.policy import Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.policy.policy import Owner, Policy, Rule
    from redis_ttl.domain.watch.events import BurstReport

#: A pattern that nobody governs is named when it holds so much of all keys without a TTL, and so many are named.
_NOTICEABLE: Final = 0.01
_MOST_UNKNOWN: Final = 8
_EXAMPLES: Final = 3
#: A burst that lies further away than this from the audit has nothing to do with it.
_BURST_COUNTS: Final = dt.timedelta(days=7)


def action_required(
    audit: Audit,
    policy: Policy,
    *,
    burst: BurstReport | None = None,
    growth_bytes_per_day: float | None = None,
    link: str | None = None,
) -> list[tuple[Owner, ActionRequired]]:
    """What each team must hear of this audit: its own rules that aren't kept; what no rule speaks of is told to the cluster's owner.

    Nobody is told anything when every rule is kept and nothing noticeable lacks one.
    """
    audited = dt.datetime.fromisoformat(audit.finished_at)
    if burst is not None and abs(audited - dt.datetime.fromisoformat(burst.at)) > _BURST_COUNTS:
        burst = None
    rules = _rules(audit, policy)
    unknown = _unknown(audit)
    shown = [row for row in unknown if row.no_ttl_keys >= _NOTICEABLE * audit.no_ttl_keys][:_MOST_UNKNOWN]
    is_scattered = not shown and sum(row.no_ttl_keys for row in unknown) >= max(1, _NOTICEABLE * audit.no_ttl_keys)
    if is_scattered:
        shown = unknown[:_EXAMPLES]
    rest = unknown[len(shown) :]
    cost = policy.scaling_cost
    found = []
    for owner in (policy.owner, *policy.owners):
        own = tuple(facts for of, facts in rules if of == owner)
        is_clusters = owner is policy.owner
        if not own and not (is_clusters and shown):
            continue
        facts = ActionRequired(
            cluster=policy.cluster,
            owner=owner.team,
            priority=min([*(rule.priority for rule in own), *([Priority.P2.value] if is_clusters and shown else [])]),
            audit_id=audit.plan.audit_id,
            audited_at=audit.finished_at,
            keys=audit.keys,
            no_ttl_keys=audit.no_ttl_keys,
            ending_keys=audit.ending_keys or 0,
            memory=Memory.of(audit.memory(policy.memory.limit_bytes)),
            memory_warn_ratio=policy.memory.warn_ratio,
            memory_critical_ratio=policy.memory.critical_ratio,
            eviction_policy=audit.plan.servers[0].eviction_policy,
            rules=own,
            unknown=tuple(shown) if is_clusters else (),
            is_scattered=is_scattered and is_clusters,
            other_unknown_patterns=len(rest) if is_clusters else 0,
            other_unknown_keys=sum(row.no_ttl_keys for row in rest) if is_clusters else 0,
            deadline=min([_deadline(audited, policy, owner), *_dues(own, policy)]),
            cost=None if cost is None else Cost(cost.usd_per_month, cost.note),
            burst=_burst_facts(burst) if is_clusters and burst is not None else None,
            growth_bytes_per_day=growth_bytes_per_day,
            knows_expire_nx=all(server.knows_expire_nx for server in audit.plan.servers),
            knows_field_ttls=all(server.knows_field_ttls for server in audit.plan.servers),
            link=link,
        )
        found.append((owner, facts))
    return found


def _rules(audit: Audit, policy: Policy) -> list[tuple[Owner, RuleFacts]]:
    """The rules that aren't kept, with their owners, the most urgent first."""
    of_rule: dict[str, list[PatternStatistics]] = {}
    for row in audit.patterns:
        if row.rule is not None:
            of_rule.setdefault(row.rule, []).append(row)
    rules = [
        (policy.owner_of(rule), facts)
        for rule in policy.rules
        if (facts := _rule_facts(rule, of_rule.get(rule.pattern.text, []))) is not None and facts.concerned_keys
    ]
    return sorted(rules, key=lambda each: (each[1].priority, -each[1].concerned_keys, each[1].pattern))


def _unknown(audit: Audit) -> list[UnknownFacts]:
    """What no rule speaks of, of all databases together, the largest first."""
    rows: dict[str, list[PatternStatistics]] = {}
    for row in audit.patterns:
        if row.governance is Governance.NONE and row.no_ttl_keys:
            rows.setdefault(row.pattern, []).append(row)
    found = []
    for pattern, own in rows.items():
        # What ends by itself is no leak.
        if no_ttl_keys := sum(row.lasting_keys for row in own):
            found.append(UnknownFacts(pattern, no_ttl_keys, _size(own, no_ttl_keys)))
    return sorted(found, key=lambda row: (-row.no_ttl_keys, row.pattern))


def since_first_told(facts: ActionRequired, first_told: dt.datetime, policy: Policy, owner: Owner) -> ActionRequired:
    """The same with the deadline that it had when it was told first: a reminder doesn't move it."""
    return replace(facts, deadline=min(facts.deadline, _deadline(first_told, policy, owner)))


def _dues(own: Sequence[RuleFacts], policy: Policy) -> list[dt.date]:
    """The dates that these rules have themselves, after which a drift check fails."""
    patterns = {rule.pattern for rule in own}
    return [rule.due for rule in policy.rules if rule.due is not None and rule.pattern.text in patterns]


def _deadline(audited: dt.datetime, policy: Policy, owner: Owner) -> dt.date:
    """The day, where the team lives."""
    zone = ZoneInfo(policy.timezone_of(owner))
    return (audited.astimezone(zone) + dt.timedelta(seconds=policy.messages.deadline_s)).date()


def _rule_facts(rule: Rule, rows: Sequence[PatternStatistics]) -> RuleFacts | None:
    if not rows:
        return None
    no_ttl = sum(row.lasting_keys for row in rows)
    longer = sum(row.over_rule_keys for row in rows)
    caps = rule.mode.action_on(Standing.LONGER) is not None
    with_ttl = [(row.keys - row.no_ttl_keys, row.ttl_mean_s) for row in rows if row.ttl_mean_s is not None]
    expiring = sum(count for count, _ in with_ttl)
    return RuleFacts(
        pattern=rule.pattern.text,
        priority=rule.priority.value,
        ttl_s=rule.ttl_s,
        caps=caps,
        signed_off=rule.sign_off is not None,
        no_ttl_keys=no_ttl,
        longer_keys=longer,
        # A mean that has keys which keep the rule in it says nothing of those that don't.
        current_ttl_s=round(sum(count * mean for count, mean in with_ttl) / expiring)
        if expiring and (not caps or longer == expiring)
        else None,
        size_bytes=_size(rows, no_ttl + (longer if caps else 0)),
        examples=_names(rows),
        kinds=_kinds(rows),
    )


def _kinds(rows: Sequence[PatternStatistics]) -> tuple[KindShare, ...]:
    """The kinds of the sampled values with their shares, each row by its keys; what wasn't asked is of no known kind."""
    keys = dict.fromkeys(ValueKind, 0.0)
    for row in rows:
        sampled = sum(row.types.values())
        for name, count in row.types.items():
            counters = min(count, row.counter_keys) if name == ValueKind.STRING.value else 0
            keys[ValueKind(name)] += row.keys * (count - counters) / sampled
            keys[ValueKind.COUNTER] += row.keys * counters / sampled
        keys[ValueKind.OTHER] += 0 if sampled else row.keys
    if not any(row.types for row in rows):
        return ()
    total = sum(keys.values())
    shares = [KindShare(kind, held / total) for kind, held in keys.items() if held]
    return tuple(sorted(shares, key=lambda each: -each.share))


def _size(rows: Sequence[PatternStatistics], keys: int) -> int | None:
    """What so many of these keys hold, as far as sampled sizes tell."""
    sizes = [row.size_bytes for row in rows]
    total = sum(row.keys for row in rows)
    known = [size.value for size in sizes if size is not None]
    return round(sum(known) * keys / total) if known and len(known) == len(sizes) and total else None


def _names(rows: Sequence[PatternStatistics]) -> tuple[str, ...]:
    return tuple(key_text(key) for row in rows for key in row.examples)[:_EXAMPLES]


def _burst_facts(burst: BurstReport) -> BurstFacts:
    names = dict.fromkeys(each.name for each in burst.clients if each.name)
    # The pattern that grew most, with its own growth: others may have grown beside it.
    first = burst.patterns[0] if burst.patterns else None
    pattern, keys = ("", burst.keys) if first is None else (first.pattern, max(first.grown_keys, 0) or burst.keys)
    known = [figure for figure in (keys, burst.keys) if figure is not None]
    return BurstFacts(pattern, min(known, default=None), burst.since, burst.at, tuple(names))
