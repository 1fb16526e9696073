"""What a plan rests on: an audit that is fresh, judged by the rules of now, of the data set that the servers hold still.

What isn't so is refused with its own kind of `UnsafePlan`, before anything else is thought about.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import Role
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.errors import HiddenFigures, StaleAudit, WrongServer
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.domain.policy.guards import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.policy import Policy

#: By how much an audit may seem to come from the future: clocks differ.
_CLOCK_SKEW_S: Final = 300


def check_age(audit: Audit, policy: Policy, now: dt.datetime) -> None:
    """Raise `StaleAudit` for an audit that is older than the policy allows, or from the future."""
    allowed_s = policy.remediation.audit_age_s
    age_s = (now - dt.datetime.fromisoformat(audit.finished_at)).total_seconds()
    if -_CLOCK_SKEW_S <= age_s <= allowed_s:
        return
    raise StaleAudit(
        "the audit is too old to plan from" if age_s > 0 else "the audit was made in the future",
        where=f"audit {audit.plan.audit_id}",
        found=f"finished {format_duration(int(abs(age_s)))} {'ago' if age_s > 0 else 'from now'}",
        allowed=f"at most {format_duration(allowed_s)} ago (remediation.audit_age)",
        todo="Audit again." if age_s > 0 else "Correct the clocks, and audit again.",
    )


def check_rules(audit: Audit, policy: Policy) -> None:
    """Raise `StaleAudit` when the audit's keys were judged by other patterns than the policy has now.

    Whatever else was changed in the policy since then (a TTL, a sign-off, an owner) leaves the counts as they are.
    """
    if audit.plan.policy_hash == policy.hash:
        return
    judged_by = tuple(rule.pattern for rule in audit.plan.rules), audit.plan.exemptions
    patterns = tuple(rule.pattern.text for rule in policy.rules)
    exemptions = tuple(exemption.pattern.text for exemption in policy.exemptions)
    if judged_by == (patterns, exemptions):
        return
    raise StaleAudit(
        "the audit used other patterns than the policy has now",
        where=f"audit {audit.plan.audit_id}",
        found=_differences(judged_by[0], audit.plan.exemptions, patterns, exemptions),
        allowed="the same rules and exemptions, in the same order",
        todo="Audit again with the current policy.",
    )


def check_figures(servers: Sequence[ServerProfile], readings: Mapping[str, Reading], policy: Policy) -> None:
    """Raise `HiddenFigures` when a server hides what the writing must know: nothing could ever be written by such a plan, so nobody
    is asked to approve it. ``readings`` are the servers' figures by their addresses.
    """
    settings = policy.remediation.guards
    lacking = {address: unreadable(reading, settings) for address, reading in readings.items()}
    found = []
    for server in servers:
        told = [(what, f"which {why}") for what, why in _unnamed(server, readings[server.address])]
        told += [(", ".join(names), f"guard {guard.key}") for guard, names in lacking[server.address].items()]
        if told:
            found.append(f"{server.address} hides " + "; ".join(f"{what} ({why})" for what, why in told))
    if not found:
        return
    keys = sorted({guard.key for guards in lacking.values() for guard in guards})
    without = "{" + ", ".join(f"{key}: unguarded" for key in keys) + "}"
    raise HiddenFigures(
        "the server hides figures that writing depends on, so this plan could never be applied",
        where=f"plan for {policy.cluster}",
        found=". ".join(found),
        allowed="a server and user that report the figures of every guard in the policy",
        todo="Let the server report them"
        + (
            f", or turn the guards off in the policy: remediation.guards: {without}. The approver will see that."
            if keys
            else "."
        ),
    )


def _unnamed(server: ServerProfile, reading: Reading) -> list[tuple[str, str]]:
    """What no policy can do without, where the server hides it: INFO's fields, and what they are for."""
    return [
        (fields, why)
        for fields, why, is_told in (
            ("role", "tells a primary from a replica", server.role is not Role.UNKNOWN),
            ("run_id and master_replid", "name the data set", bool(server.run_id or server.lineage)),
            ("server_time_usec, and TIME", "tell the clock that TTLs count by", reading.clock_ahead_s is not None),
        )
        if not is_told
    ]


def match_servers(audit: Audit, servers: Sequence[ServerProfile]) -> dict[str, ServerProfile]:
    """For each address that the audit read, in its order, the primary that holds the same data set now.

    Raises `WrongServer` when one is missing, or when there is a primary that the audit didn't read.
    """
    matched: dict[str, ServerProfile] = {}
    left = list(servers)
    for read in audit.plan.servers:
        identity = NodeIdentity(read.address, read.run_id, read.lineage)
        found = next((each for each in left if _continues(each, identity)), None)
        if found is None:
            raise WrongServer(
                "the audit is of another data set",
                where=f"audit {audit.plan.audit_id}",
                found=f"{read.address} with replication id {read.lineage or 'unknown'}, run_id {read.run_id or 'unknown'}",
                allowed="one of " + ", ".join(f"{each.address} ({each.lineage or each.run_id})" for each in servers),
                todo="Audit again: the server was replaced, emptied by a resynchronisation, or got its first replica since.",
            )
        left.remove(found)
        matched[read.address] = found
    if left:
        raise WrongServer(
            "the audit didn't read all primaries",
            where=f"audit {audit.plan.audit_id}",
            found=", ".join(each.address for each in left),
            todo="Audit again.",
        )
    return matched


def shard_now(shard: Shard, audit: Audit, primaries: dict[str, ServerProfile]) -> Shard:
    """The shard on the primary of now. A program of another version or kind is read by one cursor: how a keyspace may be
    cut was found out on the one that the audit read; raises `WrongServer` where it was cut.
    """
    read = next(each for each in audit.plan.servers if each.address == shard.node)
    now = primaries[shard.node]
    same_program = (read.flavour, read.version, read.cluster_enabled) == (now.flavour, now.version, now.cluster_enabled)
    if shard.rule is not SplitRule.SEQUENTIAL and not same_program:
        raise WrongServer(
            "the server runs other software than when it was audited",
            where=now.address,
            found=f"{now.flavour.value} {now.version}",
            allowed=f"{read.flavour.value} {read.version}, by which the keyspace was cut into shards",
            todo="Audit again; read the primary (audit.source), or with one shard.",
        )
    return replace(shard, node=now.address, run_id=now.run_id)


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
