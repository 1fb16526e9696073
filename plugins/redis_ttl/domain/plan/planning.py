"""Thinks one remediation through: which keys of which rules, when they expire, what that does to memory, and whether it
may happen at all.

Everything is computed from an audit, the policy of now and the servers as they are now; nothing is asked of anybody.
What must not happen is refused with a kind of `UnsafePlan`, which says what was measured, what is allowed, and the way out.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.audit.estimate import add_estimates, estimate_total
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.audit.server import Command, DatabaseCounts
from redis_ttl.domain.errors import BadInput, InvalidOption
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.keys.pattern import shown
from redis_ttl.domain.plan.fields import freed_keys
from redis_ttl.domain.plan.grounds import check_age, check_rules, match_servers, shard_now
from redis_ttl.domain.plan.limits import check_caps, check_storm, coming, forecast_plan, most_keys, with_windows
from redis_ttl.domain.plan.plan import NodeIdentity, Plan, PlannedDatabase, PlannedRule, Skipped
from redis_ttl.domain.plan.warned import RowChanges
from redis_ttl.domain.plan.warnings import plan_warnings, rule_warnings, weighted
from redis_ttl.domain.policy.actions import Mode, Standing
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.domain.policy.policy import CanarySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.audit.audit import Audit, RuleInForce
    from redis_ttl.domain.audit.estimate import Estimate
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.other_plans import OtherPlan
    from redis_ttl.domain.policy.actions import Action
    from redis_ttl.domain.policy.policy import Policy, Rule

#: Keys that a rule may match beyond its tolerance, so that a rule of a few keys isn't refused for a new one.
LIMIT_SLACK_KEYS: Final = 100
_EXAMPLES: Final = 3
#: Rules that an error names, of those that an operator may have meant.
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the operator asked for: ``rules`` by their patterns (None: all of them), for the run named ``run``."""

    plan_id: str
    run: str
    now: dt.datetime
    rate: str
    load: str
    rules: tuple[str, ...] | None = None
    canary_watch_s: int = CanarySettings().watch_s


def make_plan(
    audit: Audit,
    policy: Policy,
    servers: Sequence[ServerProfile],
    request: PlanRequest,
    others: Sequence[OtherPlan] = (),
) -> Plan:
    """The plan. ``servers`` are the primaries as they are now, ``others`` the cluster's other plans whose keys have still to expire.

    Raises a kind of `UnsafePlan`, `InvalidOption` for a rule that the policy doesn't have, and `BadInput` when there is nothing
    to do.
    """
    check_age(audit, policy, request.now)
    check_rules(audit, policy)
    primaries = {address: _counted(server, audit) for address, server in match_servers(audit, servers).items()}
    drafts = _drafts(audit, policy, list(primaries.values()), request)
    if not any(rule.refusal is None for rule in drafts):
        raise BadInput(
            "there is nothing to do",
            where=f"plan for {policy.cluster}",
            found="; ".join(f"`{rule.pattern}`: {rule.refusal}" for rule in drafts) or "a policy without rules",
        )
    check_caps(audit, policy, drafts)
    expected = coming(policy, others, request.now)
    rules = with_windows(drafts, expected)
    check_storm(policy, rules, expected)
    forecast = forecast_plan(list(primaries.values()), policy, rules, expected)
    eviction = ", ".join(sorted({server.eviction_policy for server in servers if server.eviction_policy})) or None
    warned = plan_warnings(audit, eviction, others, policy.remediation.guards.unguarded)
    return Plan(
        plan_id=request.plan_id,
        cluster=policy.cluster,
        run=request.run,
        created_at=request.now.astimezone(dt.UTC).isoformat(timespec="seconds"),
        audit_id=audit.plan.audit_id,
        audit_finished_at=audit.finished_at,
        policy_hash=policy.hash,
        keys=audit.keys,
        no_ttl_keys=audit.no_ttl_keys,
        nodes=tuple(NodeIdentity(each.address, each.run_id, each.lineage) for each in primaries.values()),
        shards=tuple(shard_now(shard, audit, primaries) for shard in audit.plan.shards),
        rules=tuple(rules),
        forecast=forecast,
        rate=request.rate,
        load=request.load,
        canary_watch_s=request.canary_watch_s,
        eviction_policy=eviction,
        warnings=tuple(each.text for each in warned),
        cautions=tuple(each.caution for each in warned),
        exempt=tuple(_exempt(audit, policy)),
        ungoverned_keys=sum(row.keys for row in audit.patterns if row.governance is Governance.NONE),
        limit_keys=min(
            sum(rule.limit_keys for rule in rules if rule.refusal is None),
            most_keys(policy.remediation.run_caps, audit),
        ),
        others=tuple(others),
    )


def _counted(server: ServerProfile, audit: Audit) -> ServerProfile:
    """The server; where it hides how many keys its databases have, with what the audit counted on all of them, as the most that
    it can have.
    """
    if server.keyspace_is_told:
        return server
    counts: dict[int, DatabaseCounts] = {}
    for row in audit.patterns:
        known = counts.get(row.db, DatabaseCounts(row.db, 0, 0))
        expires = known.expires + row.keys - row.no_ttl_keys
        counts[row.db] = replace(known, keys=known.keys + row.keys, expires=expires)
    return replace(server, databases=tuple(counts.values()))


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What every rule of one plan is thought through by."""

    audit: Audit
    policy: Policy
    servers: Sequence[ServerProfile]
    now: dt.datetime


def _drafts(audit: Audit, policy: Policy, servers: list[ServerProfile], request: PlanRequest) -> list[PlannedRule]:
    """The rules with their counts and refusals; their windows are not yet fitted to one another."""
    chosen = _chosen(policy, request.rules)
    grounds = _Grounds(audit, policy, servers, request.now)
    drafts = []
    for number, rule in enumerate(policy.rules):
        rows = [row for row in audit.patterns if row.rule == rule.pattern.text]
        then = audit.plan.rules[number]
        refusal = "not chosen for this run" if number not in chosen else _refusal(rule, rows, then, servers, policy)
        drafts.append(_draft(number, rule, rows, refusal, grounds))
    return drafts


def _chosen(policy: Policy, patterns: Sequence[str] | None) -> set[int]:
    known = {rule.pattern.text: number for number, rule in enumerate(policy.rules)}
    if patterns is None:
        return set(known.values())
    unknown = [pattern for pattern in patterns if pattern not in known]
    if unknown:
        raise InvalidOption(
            "the policy has no such rule",
            where="rules",
            found=_few(unknown),
            allowed=f"one of {_few(list(known))}" if known else "a policy with rules",
        )
    return {known[pattern] for pattern in patterns}


def _few(patterns: Sequence[str]) -> str:
    more = f" and {len(patterns) - _NAMED} more" if len(patterns) > _NAMED else ""
    return ", ".join(map(shown, patterns[:_NAMED])) + more


def _refusal(
    rule: Rule, rows: Sequence[PatternStatistics], then: RuleInForce, servers: Sequence[ServerProfile], policy: Policy
) -> str | None:
    """Why nothing of this rule may be written; None when it may."""
    if rule.sign_off is None:
        return "not signed off: the owner agrees by a `sign_off` in the policy"
    undo_s = policy.remediation.undo_window_s
    if rule.ttl_s < undo_s:
        return (
            f"its TTL of {format_duration(rule.ttl_s)} is shorter than the undo window of {format_duration(undo_s)}, in which "
            "everything can be taken back: lengthen the TTL, or shorten `remediation.undo_window`"
        )
    for action in rule.mode.actions:
        if (stale := _counted_otherwise(action.spec.means, rule, then)) is not None:
            return stale
    if rule.cold is not None and (missing := _cold_unknown(rule, servers)) is not None:
        return missing
    if not sum(_changes(rule, row).keys for row in rows):
        return "no key of it would change"
    return None


def _cold_unknown(rule: Rule, servers: Sequence[ServerProfile]) -> str | None:
    cold = rule.cold
    if cold is None:
        return None
    for server in servers:
        if not server.tells_last_use:
            return (
                f"it takes cold keys only, and under the eviction policy {server.eviction_policy or 'of Redis 8.6, which is hidden,'} of "
                f"{server.address} OBJECT IDLETIME tells the last write here, not the last use: a key that is only read would count as "
                "cold. Take `cold` out of the rule, or give the server an LFU or LRU policy"
            )
        if server.evicts_by_frequency:
            command, word, limit = Command.OBJECT_FREQ, "cold.freq", cold.freq_at_most
        else:
            command, word, limit = Command.OBJECT_IDLETIME, "cold.idle", cold.idle_s
        if limit is None:
            return (
                f"it takes cold keys only, and under the eviction policy {server.eviction_policy or 'unknown'} of "
                f"{server.address} that is told by {command.value}: give the rule a `{word}`"
            )
        if not server.allows(command):
            return (
                f"it takes cold keys only, and {server.address} doesn't let us ask {command.value} "
                f"(ACL rule {command.acl_rule})"
            )
    return None


def _counted_otherwise(standing: Standing, rule: Rule, then: RuleInForce) -> str | None:
    """Why the audit's count of the keys that stand so to the rule isn't one by this rule; None when it is."""
    match standing:
        case Standing.LONGER:
            if then.longest_ttl_s != rule.longest_ttl_s:
                return "its TTL or jitter was changed since the audit, which counted the keys with a longer TTL by the old one: audit again"
        case Standing.SHORTER:
            if (then.mode, then.ttl_s) != (rule.mode.value, rule.ttl_s):
                return "its mode or TTL was changed since the audit, which didn't count the keys with a shorter TTL: audit again"
        case Standing.NO_TTL | Standing.KEPT:
            pass
        case _:
            assert_never(standing)
    return None


def _changes(rule: Rule, row: PatternStatistics) -> RowChanges:
    counts = {action: _standing_keys(action.spec.means, row) for action in rule.mode.actions}
    return RowChanges(row, {action: keys for action, keys in counts.items() if keys})


def _standing_keys(standing: Standing, row: PatternStatistics) -> int:
    """How many of the row's keys stand so to their rule."""
    match standing:
        case Standing.NO_TTL:
            return row.no_ttl_keys
        case Standing.LONGER:
            return row.over_rule_keys
        case Standing.SHORTER:
            return row.under_rule_keys
        case Standing.KEPT:
            return row.keys - row.no_ttl_keys - row.over_rule_keys - row.under_rule_keys
        case _:
            assert_never(standing)


def _draft(
    number: int, rule: Rule, rows: Sequence[PatternStatistics], refusal: str | None, grounds: _Grounds
) -> PlannedRule:
    audit, policy = grounds.audit, grounds.policy
    changes = [_changes(rule, row) for row in rows]
    change_keys = sum(change.keys for change in changes)
    size = _size((change.row, freed_keys(change)) for change in changes)
    # Rounded first: 100 x 0.1 is a little more than 10 in binary, and would allow one key more.
    tolerated = change_keys + ceil(round(change_keys * policy.remediation.tolerance_ratio, 6)) + LIMIT_SLACK_KEYS
    hot_ratio = weighted((change.row.hot_ratio, change.keys) for change in changes)
    warned = rule_warnings(rule, changes, hot_ratio, grounds.servers, grounds.now) if refusal is None else []
    databases = sorted({change.row.db for change in changes if change.keys})
    return PlannedRule(
        number=number,
        pattern=rule.pattern.text,
        mode=rule.mode,
        ttl_s=rule.ttl_s,
        window_s=int(rule.ttl_s * rule.jitter_ratio),
        priority=rule.priority.value,
        changes=_sums(changes),
        limit_keys=0 if refusal else min(tolerated, most_keys(rule.caps or policy.remediation.rule_caps, audit)),
        refusal=refusal,
        sign_off=rule.sign_off,
        cold=rule.cold,
        skipped=tuple(_skipped(rule, rows, change_keys)),
        size_bytes=None if size is None else round(size.value),
        size_low_bytes=None if size is None or size.low is None else round(size.low),
        size_high_bytes=None if size is None or size.high is None else round(size.high),
        examples=_examples(changes),
        warnings=tuple(each.text for each in warned),
        cautions=tuple(each.caution for each in warned),
        hot_ratio=None if hot_ratio is None else round(hot_ratio, 4),
        databases=tuple(
            PlannedDatabase(db, _sums(change for change in changes if change.row.db == db)) for db in databases
        ),
    )


def _sums(changes: Iterable[RowChanges]) -> dict[Action, int]:
    sums: dict[Action, int] = {}
    for change in changes:
        for action, keys in change.by_action.items():
            sums[action] = sums.get(action, 0) + keys
    return sums


def _size(changed: Iterable[tuple[PatternStatistics, int]]) -> Estimate | None:
    sizes = [estimate_total(row.sizes, keys) for row, keys in changed if keys]
    known = [size for size in sizes if size is not None]
    # Nothing is freed where all of the keys end by themselves, and nothing is known where one size isn't.
    return add_estimates(known) if len(known) == len(sizes) else None


def _skipped(rule: Rule, rows: Sequence[PatternStatistics], change_keys: int) -> list[Skipped]:
    others = sum(row.keys for row in rows) - change_keys
    if not others:
        return []
    return [Skipped(_why_spared(rule.mode), others)]


def _why_spared(mode: Mode) -> str:
    match mode:
        case Mode.SET:
            return "have a TTL of their own"
        case Mode.CAP:
            return "have a TTL that is short enough"
        case Mode.EXTEND:
            return "have a TTL that is long enough, or none"
        case _:
            assert_never(mode)


def _examples(changes: Sequence[RowChanges]) -> tuple[str, ...]:
    most = sorted((change for change in changes if change.keys), key=lambda change: -change.keys)
    return tuple(key_text(key) for change in most for key in change.row.examples)[:_EXAMPLES]


def _exempt(audit: Audit, policy: Policy) -> list[Skipped]:
    keys = {exemption.pattern.text: 0 for exemption in policy.exemptions}
    for row in audit.patterns:
        if row.governance is Governance.EXEMPT and row.governed_by in keys:
            keys[row.governed_by] += row.keys
    reasons = {exemption.pattern.text: exemption.reason for exemption in policy.exemptions}
    return [Skipped(f"`{pattern}`: {reasons[pattern]}", count) for pattern, count in keys.items() if count]
