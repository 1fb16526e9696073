"""Gives keys their TTLs as an approved plan says: a few of each rule first, then all of them, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.canary import CanaryReport
    from redis_ttl.domain.plan import Plan
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.remediation import PartResult
    from redis_ttl.usecases.plan_documents import PlanDocuments
    from redis_ttl.usecases.ports import Clock
    from redis_ttl.usecases.write_ports import Approve, Control, WritableRedis


@dataclass(frozen=True, slots=True)
class ApplyTools:
    """What applying needs from the outside.

    ``approve`` returns the approval in force and raises when there is none; each part calls it before it writes.
    ``log`` hears progress and reasons, at least every five seconds. ``token`` (six hex digits) tells this attempt from
    every other one.
    """

    redis: WritableRedis
    documents: PlanDocuments
    policy: Policy
    approve: Approve
    control: Control
    clock: Clock
    log: Callable[[str], None]
    token: str


def apply_canary(plan: Plan, tools: ApplyTools) -> PartResult:
    """Count what each rule would change, refuse if that is more than planned, and write the canary's keys only."""
    raise NotImplementedError


def check_canary(plan: Plan, tools: ApplyTools) -> CanaryReport:
    """Watch the servers for as long as the policy says, and write down whether the rest may follow."""
    raise NotImplementedError


def apply_shard(plan: Plan, number: int, tools: ApplyTools) -> PartResult:
    """Write one shard of the plan, from its beginning; what has our expiry already is left as it is."""
    raise NotImplementedError
