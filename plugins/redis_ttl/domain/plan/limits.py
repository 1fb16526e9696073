"""What a plan may come to: how many keys, how full the servers get, how many expiries a second. More than that is refused with
a kind of `UnsafePlan`, which says what was measured, what is allowed, and the way out.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING

from redis_ttl.domain.audit.node_memory import NodesMemory
from redis_ttl.domain.errors import CapExceeded, ExpiryStorm, NoRoom
from redis_ttl.domain.plan.expiry import UNNOTICED_EXPIRIES_PER_S, anchor_ms
from redis_ttl.domain.plan.expiry_windows import Expiring, Standing, fit_windows, worst_rate_per_s
from redis_ttl.domain.plan.forecast import forecast_node, share_out
from redis_ttl.domain.plan.other_plans import OtherState, standing_of
from redis_ttl.domain.plan.plan import Forecast, PlannedRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.forecast import NodeForecast
    from redis_ttl.domain.plan.other_plans import OtherPlan
    from redis_ttl.domain.policy.policy import Caps, Policy


def most_keys(caps: Caps, audit: Audit) -> int:
    """The number of keys that both of the caps allow."""
    # Rounded first: 100 x 0.29 is a little less than 29 in binary.
    by_ratio = audit.keys if caps.ratio is None else floor(round(audit.keys * caps.ratio, 6))
    return by_ratio if caps.keys is None else min(caps.keys, by_ratio)


def check_caps(audit: Audit, policy: Policy, rules: Sequence[PlannedRule]) -> None:
    """Raise `CapExceeded` when a rule, or all of them together, would change more keys than one may."""
    settings = policy.remediation
    included = [rule for rule in rules if rule.refusal is None]
    over = [
        (rule, policy.rules[rule.number].caps or settings.rule_caps)
        for rule in included
        if rule.change_keys > most_keys(policy.rules[rule.number].caps or settings.rule_caps, audit)
    ]
    if over:
        others = [f"`{rule.pattern}`" for rule in included if rule not in [each for each, _ in over]]
        raise CapExceeded(
            "a rule would change more keys than its cap allows"
            if len(over) == 1
            else "rules would change more keys than their caps allow",
            where=f"plan for {policy.cluster}",
            found="; ".join(f"`{rule.pattern}`: {_of_all(rule.change_keys, audit)}" for rule, _ in over),
            allowed="; ".join(f"`{rule.pattern}`: {_caps_text(caps)}" for rule, caps in over)
            + " (the rule's max_keys and max_percent, or remediation.rule_max_keys and rule_max_percent)",
            todo="Raise the cap if the rule is right"
            + (f", or choose the others: {', '.join(others)}." if others else "."),
        )
    total = sum(rule.change_keys for rule in included)
    if total > most_keys(settings.run_caps, audit):
        fitting = _fitting(
            included, lambda taken: sum(rule.change_keys for rule in taken) <= most_keys(settings.run_caps, audit)
        )
        raise CapExceeded(
            "the run would change more keys than its cap allows",
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


@dataclass(frozen=True, slots=True)
class Coming:
    """What expires anyhow while a plan's keys do: other plans' keys. ``late_s`` is how long after the moment of planning the
    last of the plan's own keys may be written, and their TTLs counted from.
    """

    others: tuple[OtherPlan, ...]
    standing: tuple[Standing, ...]
    late_s: int


def coming(policy: Policy, others: Sequence[OtherPlan], now: dt.datetime) -> Coming:
    """What ``others`` leave to expire after ``now``."""
    settings = policy.remediation
    standing = standing_of(others, int(now.timestamp() * 1000))
    return Coming(tuple(others), tuple(standing), settings.approval_timeout_s + written_within_s(policy))


def written_within_s(policy: Policy) -> int:
    """How long after its approval the last anchor of a plan may lie: that of what is written at the approval's end."""
    return anchor_ms(0, policy.remediation.approval_valid_s * 1000) // 1000


def with_windows(rules: Sequence[PlannedRule], coming: Coming) -> list[PlannedRule]:
    """The rules with windows in which all of them together, and what expires anyhow, go unnoticed, even if each matches as many
    keys as it may.
    """
    included = [rule for rule in rules if rule.refusal is None]
    windows = fit_windows(list(map(_expiring, included)), standing=coming.standing, late_s=coming.late_s)
    fitted = {rule.number: replace(rule, window_s=window_s) for rule, window_s in zip(included, windows, strict=True)}
    return [fitted.get(rule.number, rule) for rule in rules]


def check_storm(policy: Policy, rules: Sequence[PlannedRule], coming: Coming) -> None:
    """Raise `ExpiryStorm` when, with other plans' keys, more keys expire in a second than go unnoticed."""
    worst = _worst(rules, coming)
    if worst <= UNNOTICED_EXPIRIES_PER_S:
        return
    counted = [each for each in coming.others if each.state is not OtherState.WAITING and each.rules]
    last_ms = max(rule.last_ms for each in counted for rule in each.rules)
    raise ExpiryStorm(
        "with other plans' keys, too many keys would expire at once",
        where=f"plan for {policy.cluster}",
        found=f"{worst:,.0f}/s at peak, with the keys of {', '.join(f'plan {each.plan_id}' for each in counted)}",
        allowed=f"{UNNOTICED_EXPIRIES_PER_S:,}/s",
        todo=f"Plan again when those have expired, the last of them by {_minute(last_ms)} UTC; or roll one of the plans back.",
    )


def _worst(rules: Sequence[PlannedRule], coming: Coming) -> float:
    included = [rule for rule in rules if rule.refusal is None]
    return worst_rate_per_s(
        list(map(_expiring, included)),
        [rule.window_s for rule in included],
        standing=coming.standing,
        late_s=coming.late_s,
    )


def _minute(instant_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(instant_ms / 1000, dt.UTC):%Y-%m-%d %H:%M}"


def _expiring(rule: PlannedRule) -> Expiring:
    return Expiring(rule.limit_keys, rule.ttl_s, rule.window_s)


def forecast_plan(
    servers: Sequence[ServerProfile], policy: Policy, rules: Sequence[PlannedRule], coming: Coming
) -> Forecast:
    """Memory and expiries to come. Raises `NoRoom` for a peak above what the policy allows.

    Where a server has no maxmemory, the policy's ``memory.limit`` is its limit.
    """
    included = [rule for rule in rules if rule.refusal is None]
    allowed = policy.remediation.guards.memory_ratio or policy.memory.critical_ratio
    nodes = _nodes(servers, policy, included)
    fullest, address = max(
        ((node.peak_ratio, node.address) for node in nodes if node.peak_ratio is not None), default=(None, None)
    )
    if fullest is not None and fullest > allowed:
        _refuse_peak(servers, policy, included, allowed)
    sizes = [rule.size_bytes for rule in included]
    freed = None if None in sizes else sum(size for size in sizes if size is not None)
    memory = NodesMemory(tuple(server.memory(policy.memory.limit_bytes) for server in servers))
    used = memory.used_bytes
    late_s = written_within_s(policy)
    return Forecast(
        used_bytes=used,
        limit_bytes=memory.limit_bytes,
        ttl_bytes=sum(node.ttl_bytes for node in nodes),
        table_bytes=sum(node.table_bytes for node in nodes),
        after_bytes=None if freed is None or used is None else max(0, used - freed),
        expiries_per_s=round(_worst(included, coming), 3),
        first_expiry_s=min(rule.ttl_s for rule in included),
        last_expiry_s=max(rule.ttl_s + rule.window_s for rule in included) + late_s,
        peak_ratio=None if fullest is None else round(fullest, 6),
        allowed_ratio=allowed,
        late_s=late_s,
        others_per_s=round(_most_standing(coming.standing), 3),
        limit_is_policys=any(server.memory_limit_bytes is None for server in servers)
        and policy.memory.limit_bytes is not None,
        limit_is_told=memory.limit_is_told,
        fullest=address if len(nodes) > 1 else None,
    )


def _most_standing(standing: Sequence[Standing]) -> float:
    rates = (
        sum(other.per_s for other in standing if other.first_s <= each.first_s <= other.last_s) for each in standing
    )
    return max(rates, default=0.0)


def _nodes(servers: Sequence[ServerProfile], policy: Policy, rules: Sequence[PlannedRule]) -> list[NodeForecast]:
    new: list[dict[int, int]] = [{} for _ in servers]
    for rule in rules:
        for database in rule.databases:
            for of_server, keys in zip(new, share_out(servers, database.db, database.first_ttls), strict=True):
                of_server[database.db] = of_server.get(database.db, 0) + keys
    limit = policy.memory.limit_bytes
    return [forecast_node(server, ttls, limit_bytes=limit) for server, ttls in zip(servers, new, strict=True)]


def _refuse_peak(
    servers: Sequence[ServerProfile], policy: Policy, rules: Sequence[PlannedRule], allowed: float
) -> None:
    def worst(taken: Sequence[PlannedRule]) -> NodeForecast:
        return max(_nodes(servers, policy, taken), key=lambda node: node.peak_ratio or 0.0)

    node = worst(rules)
    now = (node.used_bytes or 0) / (node.limit_bytes or 1)
    is_policys = any(server.address == node.address and server.memory_limit_bytes is None for server in servers)
    limit = "memory.limit" if is_policys else "maxmemory"
    fitting = _fitting(rules, lambda taken: (worst(taken).peak_ratio or 0.0) <= allowed)
    raise NoRoom(
        "setting TTLs takes memory before it frees any, and there isn't enough",
        where=node.address,
        found=f"{now:.1%} of {limit} in use now and {node.peak_ratio or 0.0:.1%} at the peak, with {node.new_ttls:,} new TTLs",
        allowed=f"{allowed:.0%} ({'remediation.guards.memory' if policy.remediation.guards.memory_ratio else 'memory.critical'})",
        todo=f"Set remediation.guards.memory above {node.peak_ratio or 0.0:.1%} if the server can take it, or "
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
        return "delete keys by other means first: no single rule fits."
    return f"split it: {', '.join(f'`{rule.pattern}`' for rule in fitting)} would fit; choose these, {then}."
