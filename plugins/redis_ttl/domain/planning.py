"""Thinks one remediation through: which keys of which rules, when they expire, what that does to memory, and whether it
may happen at all.

Everything is computed from an audit, the policy of now and the servers as they are now; nothing is asked of anybody.
What must not happen is refused with `UnsafePlan`, which says what was measured, what is allowed, and the way out.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.duration import format_duration
from redis_ttl.domain.errors import BadInput, InvalidOption, UnsafePlan
from redis_ttl.domain.estimate import add_estimates, estimate_total
from redis_ttl.domain.expiry_windows import Expiring, fit_windows, worst_rate_per_s
from redis_ttl.domain.forecast import forecast_node, share_out
from redis_ttl.domain.key_name import key_text
from redis_ttl.domain.key_pattern import shown
from redis_ttl.domain.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.plan import Forecast, NodeIdentity, Plan, PlannedDatabase, PlannedRule, Skipped
from redis_ttl.domain.policy import CanarySettings, Mode
from redis_ttl.domain.server import Command
from redis_ttl.domain.shards import Shard, SplitRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis_ttl.domain.audit import Audit, RuleInForce
    from redis_ttl.domain.estimate import Estimate
    from redis_ttl.domain.forecast import NodeForecast
    from redis_ttl.domain.policy import Caps, Policy, Rule
    from redis_ttl.domain.server import ServerProfile

#: Keys that a rule may match beyond its tolerance, so that a rule of a few keys isn't refused for a new one.
LIMIT_SLACK_KEYS: Final = 100
_EXAMPLES: Final = 3
#: Rules that an error names, of those that an operator may have meant.
_NAMED: Final = 20
#: By how much an audit may seem to come from the future: clocks differ.
_CLOCK_SKEW_S: Final = 300
#: From this share of sampled keys on, something is said of them.
_WORTH_SAYING: Final = 0.01


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


def make_plan(audit: Audit, policy: Policy, servers: Sequence[ServerProfile], request: PlanRequest) -> Plan:
    """The plan. ``servers`` are the primaries as they are now.

    Raises `UnsafePlan`, `InvalidOption` for a rule that the policy doesn't have, and `BadInput` when there is nothing
    to do.
    """
    check_age(audit, policy, request.now)
    check_rules(audit, policy)
    primaries = match_servers(audit, servers)
    drafts = _drafts(audit, policy, list(primaries.values()), request)
    if not any(rule.refusal is None for rule in drafts):
        raise BadInput(
            "there is nothing to do",
            where=f"plan for {policy.cluster}",
            found="; ".join(f"`{rule.pattern}`: {rule.refusal}" for rule in drafts) or "a policy without rules",
        )
    _check_caps(audit, policy, drafts)
    rules = _with_windows(drafts)
    forecast = _forecast(list(primaries.values()), policy, rules)
    eviction = ", ".join(sorted({server.eviction_policy for server in servers if server.eviction_policy})) or None
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
        shards=tuple(_shard_now(shard, audit, primaries) for shard in audit.plan.shards),
        rules=tuple(rules),
        forecast=forecast,
        rate=request.rate,
        load=request.load,
        canary_watch_s=request.canary_watch_s,
        eviction_policy=eviction,
        warnings=tuple(_warnings(audit, eviction)),
        exempt=tuple(_exempt(audit, policy)),
        ungoverned_keys=sum(row.keys for row in audit.patterns if row.governance is Governance.NONE),
        limit_keys=min(
            sum(rule.limit_keys for rule in rules if rule.refusal is None), _most(policy.remediation.run_caps, audit)
        ),
    )


def check_age(audit: Audit, policy: Policy, now: dt.datetime) -> None:
    """Raise `UnsafePlan` for an audit that is older than the policy allows, or from the future."""
    allowed_s = policy.remediation.audit_age_s
    age_s = (now - dt.datetime.fromisoformat(audit.finished_at)).total_seconds()
    if -_CLOCK_SKEW_S <= age_s <= allowed_s:
        return
    raise UnsafePlan(
        "the audit is too old to plan by" if age_s > 0 else "the audit was made in the future",
        where=f"audit {audit.plan.audit_id}",
        found=f"finished {format_duration(int(abs(age_s)))} {'ago' if age_s > 0 else 'from now'}",
        allowed=f"at most {format_duration(allowed_s)} ago (remediation.audit_age)",
        todo="Audit again." if age_s > 0 else "Set the clocks right, and audit again.",
    )


def check_rules(audit: Audit, policy: Policy) -> None:
    """Raise `UnsafePlan` when the audit's keys were judged by other patterns than the policy has now.

    Whatever else was changed in the policy since then (a TTL, a sign-off, an owner) leaves the counts as they are.
    """
    if audit.plan.policy_hash == policy.hash:
        return
    judged_by = tuple(rule.pattern for rule in audit.plan.rules), audit.plan.exemptions
    patterns = tuple(rule.pattern.text for rule in policy.rules)
    exemptions = tuple(exemption.pattern.text for exemption in policy.exemptions)
    if judged_by == (patterns, exemptions):
        return
    raise UnsafePlan(
        "the audit judged its keys by other patterns than the policy has now",
        where=f"audit {audit.plan.audit_id}",
        found=_differences(judged_by[0], audit.plan.exemptions, patterns, exemptions),
        allowed="the same rules and exemptions, in the same order",
        todo="Audit again with the policy as it is now.",
    )


def match_servers(audit: Audit, servers: Sequence[ServerProfile]) -> dict[str, ServerProfile]:
    """For each address that the audit read, in its order, the primary that holds the same data set now.

    Raises `UnsafePlan` when one is missing, or when there is a primary that the audit didn't read.
    """
    matched: dict[str, ServerProfile] = {}
    left = list(servers)
    for read in audit.plan.servers:
        identity = NodeIdentity(read.address, read.run_id, read.lineage)
        found = next((each for each in left if _continues(each, identity)), None)
        if found is None:
            raise UnsafePlan(
                "the audit was made of another data set",
                where=f"audit {audit.plan.audit_id}",
                found=f"{read.address} with replication id {read.lineage or 'unknown'}, run_id {read.run_id or 'unknown'}",
                allowed="one of " + ", ".join(f"{each.address} ({each.lineage or each.run_id})" for each in servers),
                todo="Audit again: the server was replaced, emptied by a resynchronisation, or got its first replica since.",
            )
        left.remove(found)
        matched[read.address] = found
    if left:
        raise UnsafePlan(
            "there are primaries that the audit didn't read",
            where=f"audit {audit.plan.audit_id}",
            found=", ".join(each.address for each in left),
            todo="Audit again.",
        )
    return matched


def _continues(server: ServerProfile, identity: NodeIdentity) -> bool:
    return identity.is_continued_by(run_id=server.run_id, lineage=server.lineage, former_lineage=server.former_lineage)


def _differences(
    rules_then: tuple[str, ...],
    exempt_then: tuple[str, ...] | None,
    rules_now: tuple[str, ...],
    exempt_now: tuple[str, ...],
) -> str:
    if exempt_then is None:
        return "an audit that doesn't say which exemptions it knew"
    then, now = {*rules_then, *exempt_then}, {*rules_now, *exempt_now}
    new = [f"`{text}`" for text in sorted(now - then)]
    gone = [f"`{text}`" for text in sorted(then - now)]
    parts = [f"new: {', '.join(new)}"] if new else []
    parts += [f"gone: {', '.join(gone)}"] if gone else []
    return "; ".join(parts) or "the same patterns in another order or role"


def _shard_now(shard: Shard, audit: Audit, primaries: dict[str, ServerProfile]) -> Shard:
    """The shard on the primary of now. A program of another version or kind is read by one cursor: how a keyspace may be
    cut was found out on the one that the audit read.
    """
    read = next(each for each in audit.plan.servers if each.address == shard.node)
    now = primaries[shard.node]
    same_program = (read.flavour, read.version, read.cluster_enabled) == (now.flavour, now.version, now.cluster_enabled)
    if shard.rule is not SplitRule.SEQUENTIAL and not same_program:
        raise UnsafePlan(
            "the server runs another program than when it was audited",
            where=now.address,
            found=f"{now.flavour.value} {now.version}",
            allowed=f"{read.flavour.value} {read.version}, by which the keyspace was cut into shards",
            todo="Audit again; read the primary (audit.source), or with one shard.",
        )
    return replace(shard, node=now.address, run_id=now.run_id)


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What every rule of one plan is thought through by."""

    audit: Audit
    policy: Policy
    now: dt.datetime


def _drafts(audit: Audit, policy: Policy, servers: list[ServerProfile], request: PlanRequest) -> list[PlannedRule]:
    """The rules with their counts and refusals; their windows are not yet fitted to one another."""
    chosen = _chosen(policy, request.rules)
    grounds = _Grounds(audit, policy, request.now)
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
        return "nobody has signed it off: its owner agrees by a `sign_off` in the policy"
    undo_s = policy.remediation.undo_window_s
    if rule.ttl_s < undo_s:
        return (
            f"its TTL of {format_duration(rule.ttl_s)} is shorter than the undo window of {format_duration(undo_s)}, in which "
            "everything can be taken back: lengthen the TTL, or shorten `remediation.undo_window`"
        )
    if rule.mode is Mode.CAP and then.longest_ttl_s != rule.longest_ttl_s:
        return "its TTL or jitter was changed since the audit, which counted the keys with a longer TTL by the old one: audit again"
    if rule.cold is not None and (missing := _cold_unknown(rule, servers)) is not None:
        return missing
    if not sum(sum(_changes(rule, row)) for row in rows):
        return "no key of it would change"
    return None


def _cold_unknown(rule: Rule, servers: Sequence[ServerProfile]) -> str | None:
    cold = rule.cold
    if cold is None:
        return None
    for server in servers:
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


def _changes(rule: Rule, row: PatternStatistics) -> tuple[int, int]:
    return row.no_ttl_keys, row.over_rule_keys if rule.mode is Mode.CAP else 0


def _draft(
    number: int, rule: Rule, rows: Sequence[PatternStatistics], refusal: str | None, grounds: _Grounds
) -> PlannedRule:
    audit, policy = grounds.audit, grounds.policy
    changes = [(row, *_changes(rule, row)) for row in rows]
    set_keys, cap_keys = sum(change[1] for change in changes), sum(change[2] for change in changes)
    change_keys = set_keys + cap_keys
    size = _size((row, to_set + to_cap) for row, to_set, to_cap in changes)
    tolerated = ceil(change_keys * (1 + policy.remediation.tolerance_ratio)) + LIMIT_SLACK_KEYS
    hot_ratio = _weighted((row.hot_ratio, to_set + to_cap) for row, to_set, to_cap in changes)
    databases = sorted({row.db for row, to_set, to_cap in changes if to_set or to_cap})
    return PlannedRule(
        number=number,
        pattern=rule.pattern.text,
        mode=rule.mode,
        ttl_s=rule.ttl_s,
        window_s=int(rule.ttl_s * rule.jitter_ratio),
        priority=rule.priority.value,
        set_keys=set_keys,
        cap_keys=cap_keys,
        limit_keys=0 if refusal else min(tolerated, _most(rule.caps or policy.remediation.rule_caps, audit)),
        refusal=refusal,
        sign_off=rule.sign_off,
        cold=rule.cold,
        skipped=tuple(_skipped(rule, rows, change_keys)),
        size_bytes=None if size is None else round(size.value),
        size_low_bytes=None if size is None or size.low is None else round(size.low),
        size_high_bytes=None if size is None or size.high is None else round(size.high),
        examples=_examples(changes),
        warnings=tuple(_rule_warnings(rule, changes, hot_ratio, grounds.now)) if refusal is None else (),
        hot_ratio=None if hot_ratio is None else round(hot_ratio, 4),
        databases=tuple(
            PlannedDatabase(
                db,
                sum(to_set for row, to_set, _ in changes if row.db == db),
                sum(to_cap for row, _, to_cap in changes if row.db == db),
            )
            for db in databases
        ),
    )


_Change = tuple[PatternStatistics, int, int]


def _size(changed: Iterable[tuple[PatternStatistics, int]]) -> Estimate | None:
    sizes = [estimate_total(row.sizes, keys) for row, keys in changed if keys]
    known = [size for size in sizes if size is not None]
    return add_estimates(known) if known and len(known) == len(sizes) else None


def _weighted(shares: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(share, keys) for share, keys in shares if share is not None and keys]
    total = sum(keys for _, keys in known)
    return sum(share * keys for share, keys in known) / total if total else None


def _skipped(rule: Rule, rows: Sequence[PatternStatistics], change_keys: int) -> list[Skipped]:
    others = sum(row.keys for row in rows) - change_keys
    if not others:
        return []
    why = "have a TTL that is short enough" if rule.mode is Mode.CAP else "have a TTL of their own"
    return [Skipped(why, others)]


def _examples(changes: Sequence[_Change]) -> tuple[str, ...]:
    rows = sorted((change for change in changes if change[1] or change[2]), key=lambda change: -change[1] - change[2])
    return tuple(key_text(key) for row, _, _ in rows for key in row.examples)[:_EXAMPLES]


def _rule_warnings(rule: Rule, changes: Sequence[_Change], hot_ratio: float | None, now: dt.datetime) -> list[str]:
    warnings = []
    kinds = sorted({kind for row, *_ in changes for kind in row.updated_in_place})
    shares = {
        kind: _weighted((row.updated_in_place.get(kind, 0.0), to_set + to_cap) for row, to_set, to_cap in changes)
        or 0.0
        for kind in kinds
    }
    shown = [f"{kind} {share:.0%}" for kind, share in shares.items() if share >= _WORTH_SAYING]
    if shown:
        last_day = (now + dt.timedelta(seconds=rule.ttl_s)).date().isoformat()
        warnings.append(
            f"values that are updated in place ({', '.join(shown)}): such a write keeps the TTL that is set now, so these keys "
            f"are deleted {format_duration(rule.ttl_s)} after the approval (from {last_day} if it is given today), however often "
            "they are written until then"
        )
    if hot_ratio is not None and hot_ratio >= _WORTH_SAYING:
        cold = (
            "they are left alone, as the rule takes cold keys only"
            if rule.cold
            else "`cold` in the rule would leave such keys alone"
        )
        warnings.append(f"about {hot_ratio:.0%} of the keys are in use; {cold}")
    return warnings


def _warnings(audit: Audit, eviction: str | None) -> list[str]:
    warnings = []
    if eviction is not None and "volatile-" in eviction:
        warnings.append(
            f"the eviction policy {eviction} may remove any key that has a TTL when memory runs out: from the moment they "
            "get one, these keys are among them, however long their TTL"
        )
    return warnings + [warning for warning in audit.warnings if warning not in audit.plan.warnings]


def _exempt(audit: Audit, policy: Policy) -> list[Skipped]:
    keys = {exemption.pattern.text: 0 for exemption in policy.exemptions}
    for row in audit.patterns:
        if row.governance is Governance.EXEMPT and row.governed_by in keys:
            keys[row.governed_by] += row.keys
    reasons = {exemption.pattern.text: exemption.reason for exemption in policy.exemptions}
    return [Skipped(f"`{pattern}`: {reasons[pattern]}", count) for pattern, count in keys.items() if count]


def _most(caps: Caps, audit: Audit) -> int:
    """The number of keys that both of the caps allow."""
    by_ratio = audit.keys if caps.ratio is None else floor(audit.keys * caps.ratio)
    return by_ratio if caps.keys is None else min(caps.keys, by_ratio)


def _check_caps(audit: Audit, policy: Policy, rules: Sequence[PlannedRule]) -> None:
    settings = policy.remediation
    included = [rule for rule in rules if rule.refusal is None]
    over = [
        (rule, policy.rules[rule.number].caps or settings.rule_caps)
        for rule in included
        if rule.change_keys > _most(policy.rules[rule.number].caps or settings.rule_caps, audit)
    ]
    if over:
        others = [f"`{rule.pattern}`" for rule in included if rule not in [each for each, _ in over]]
        raise UnsafePlan(
            "a rule would change more keys than it may"
            if len(over) == 1
            else "rules would change more keys than they may",
            where=f"plan for {policy.cluster}",
            found="; ".join(f"`{rule.pattern}`: {_of_all(rule.change_keys, audit)}" for rule, _ in over),
            allowed="; ".join(f"`{rule.pattern}`: {_caps_text(caps)}" for rule, caps in over)
            + " (the rule's max_keys and max_percent, or remediation.rule_max_keys and rule_max_percent)",
            todo="Raise the cap if the rule is right"
            + (f", or choose the others: {', '.join(others)}." if others else "."),
        )
    total = sum(rule.change_keys for rule in included)
    if total > _most(settings.run_caps, audit):
        fitting = _fitting(
            included, lambda taken: sum(rule.change_keys for rule in taken) <= _most(settings.run_caps, audit)
        )
        raise UnsafePlan(
            "the run would change more keys than one run may",
            where=f"plan for {policy.cluster}",
            found=_of_all(total, audit),
            allowed=f"{_caps_text(settings.run_caps)} (remediation.max_keys and max_percent)",
            todo="Raise the cap if the rules are right, or " + _split_text(fitting, "in several runs"),
        )


def _of_all(keys: int, audit: Audit) -> str:
    return f"{keys:,} keys, {keys / audit.keys:.1%} of all" if audit.keys else f"{keys:,} keys"


def _caps_text(caps: Caps) -> str:
    parts = [f"{caps.keys:,} keys"] if caps.keys is not None else []
    parts += [f"{caps.ratio * 100:.6g}% of all"] if caps.ratio is not None else []
    return "at most " + " and ".join(parts)


def _with_windows(rules: Sequence[PlannedRule]) -> list[PlannedRule]:
    """The rules with windows in which all of them together expire unnoticed, even if each matches as many as it may."""
    included = [rule for rule in rules if rule.refusal is None]
    windows = fit_windows(list(map(_expiring, included)))
    fitted = {rule.number: replace(rule, window_s=window_s) for rule, window_s in zip(included, windows, strict=True)}
    return [fitted.get(rule.number, rule) for rule in rules]


def _expiring(rule: PlannedRule) -> Expiring:
    return Expiring(rule.limit_keys, rule.ttl_s, rule.window_s)


def _forecast(servers: Sequence[ServerProfile], policy: Policy, rules: Sequence[PlannedRule]) -> Forecast:
    included = [rule for rule in rules if rule.refusal is None]
    allowed = policy.remediation.guards.memory_ratio or policy.memory.critical_ratio
    nodes = _nodes(servers, included)
    fullest = max((node.peak_ratio for node in nodes if node.peak_ratio is not None), default=None)
    if fullest is not None and fullest > allowed:
        _refuse_peak(servers, policy, included, allowed)
    sizes = [rule.size_bytes for rule in included]
    freed = None if None in sizes else sum(size for size in sizes if size is not None)
    used = sum(node.used_bytes for node in nodes)
    limits = [node.limit_bytes for node in nodes]
    expiring = list(map(_expiring, included))
    return Forecast(
        used_bytes=used,
        limit_bytes=None if None in limits else sum(limit for limit in limits if limit is not None),
        ttl_bytes=sum(node.ttl_bytes for node in nodes),
        table_bytes=sum(node.table_bytes for node in nodes),
        after_bytes=None if freed is None else max(0, used - freed),
        expiries_per_s=round(worst_rate_per_s(expiring, [rule.window_s for rule in included]), 3),
        first_expiry_s=min(rule.ttl_s for rule in included),
        last_expiry_s=max(rule.ttl_s + rule.window_s for rule in included),
        peak_ratio=None if fullest is None else round(fullest, 6),
        allowed_ratio=allowed,
    )


def _nodes(servers: Sequence[ServerProfile], rules: Sequence[PlannedRule]) -> list[NodeForecast]:
    new: list[dict[int, int]] = [{} for _ in servers]
    for rule in rules:
        for database in rule.databases:
            for of_server, keys in zip(new, share_out(servers, database.db, database.set_keys), strict=True):
                of_server[database.db] = of_server.get(database.db, 0) + keys
    return [forecast_node(server, ttls) for server, ttls in zip(servers, new, strict=True)]


def _refuse_peak(
    servers: Sequence[ServerProfile], policy: Policy, rules: Sequence[PlannedRule], allowed: float
) -> None:
    def worst(taken: Sequence[PlannedRule]) -> NodeForecast:
        return max(_nodes(servers, taken), key=lambda node: node.peak_ratio or 0.0)

    node = worst(rules)
    now = node.used_bytes / (node.limit_bytes or 1)
    fitting = _fitting(rules, lambda taken: (worst(taken).peak_ratio or 0.0) <= allowed)
    raise UnsafePlan(
        "a TTL costs memory before it frees any, and there is not enough room for it",
        where=node.address,
        found=f"{now:.1%} of maxmemory in use now and {node.peak_ratio or 0.0:.1%} at the peak, with {node.new_ttls:,} new TTLs",
        allowed=f"{allowed:.0%} ({'remediation.guards.memory' if policy.remediation.guards.memory_ratio else 'memory.critical'})",
        todo=f"Set remediation.guards.memory above {node.peak_ratio or 0.0:.1%} if the server can bear it, or "
        + _split_text(fitting, "and the rest when their keys have expired"),
    )


def _fitting(rules: Sequence[PlannedRule], fits: Callable[[Sequence[PlannedRule]], bool]) -> list[PlannedRule]:
    """The rules that can be taken together, those that free memory soonest first."""
    taken: list[PlannedRule] = []
    for rule in sorted(rules, key=lambda rule: rule.ttl_s):
        if fits([*taken, rule]):
            taken.append(rule)
    return taken


def _split_text(fitting: Sequence[PlannedRule], then: str) -> str:
    if not fitting:
        return "remove keys by other means first: not one of the rules fits."
    return f"split it: {', '.join(f'`{rule.pattern}`' for rule in fitting)} would fit; choose these, {then}."
