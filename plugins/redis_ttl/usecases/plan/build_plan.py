"""Makes the plan of one remediation: looks at the servers as they are now, and thinks the rest through
(:mod:`redis_ttl.domain.plan.planning`). Writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.plan.grounds import check_age, check_figures, check_rules
from redis_ttl.domain.plan.planning import PlanRequest, make_plan
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import parse_rate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.other_plans import OtherPlan
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.ports import Redis


def build_plan(
    redis: Redis,
    audit: Audit,
    policy: Policy,
    *,
    plan_id: str,
    run: str,
    now: datetime,
    rules: Sequence[str] | None = None,
    rate: str | None = None,
    load: str | None = None,
    canary_watch_s: int | None = None,
    others: Sequence[OtherPlan] = (),
) -> Plan:
    """The plan for this audit and this policy, in the run named ``run`` ("terminal" outside of Airflow).

    ``rules`` are the patterns of the rules to take, None takes all; ``rate``, ``load`` and ``canary_watch_s`` are
    the policy's unless given. ``others`` are the cluster's other plans whose keys have still to expire
    (:mod:`redis_ttl.usecases.plan.other_plans`).

    Raises a kind of `UnsafePlan` for what must not happen, `BadInput` when there is nothing to do, `InvalidOption` for an
    option that can't be used, and what a server that can't be asked raises.
    """
    request = PlanRequest(
        plan_id=plan_id,
        run=run,
        now=now,
        rate=rate or policy.remediation.rate,
        load=load or policy.remediation.load,
        rules=None if rules is None else tuple(rules),
        canary_watch_s=policy.remediation.canary.watch_s if canary_watch_s is None else canary_watch_s,
    )
    parse_rate(request.rate)
    parse_load(request.load)
    if request.canary_watch_s >= policy.remediation.approval_valid_s:
        raise InvalidOption(
            "the canary would be watched for as long as the approval lasts, or longer",
            where="canary_watch",
            found=format_duration(request.canary_watch_s),
            allowed=f"less than {format_duration(policy.remediation.approval_valid_s)} (remediation.approval_valid)",
            todo="The other keys follow after the canary, and nothing is written without a valid approval.",
        )
    # Before anybody is asked anything: no answer could make up for these.
    check_age(audit, policy, now)
    check_rules(audit, policy)
    database = audit.plan.shards[0].db if audit.plan.shards else 0
    return make_plan(audit, policy, inspect_primaries(redis, policy, database), request, others)


def inspect_primaries(redis: Redis, policy: Policy, database: int) -> list[ServerProfile]:
    """The primaries as they are now. Raises `HiddenFigures` when one hides what the writing can't do without: no plan of it could ever
    be written.
    """
    servers, readings = [], {}
    for address in redis.nodes(AuditOptions(source="primary")):
        with redis.connect(address, database) as node:
            servers.append(server := node.profile())
            readings[server.address] = node.health()
    check_figures(servers, readings, policy)
    return servers
