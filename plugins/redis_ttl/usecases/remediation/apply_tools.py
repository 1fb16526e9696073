"""What applying a plan needs from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.ports import Ahead, PatientClock
    from redis_ttl.usecases.remediation.write_ports import Approve, Control, WritableRedis
    from redis_ttl.usecases.store.plans import PlanDocuments


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
    clock: PatientClock
    ahead: Ahead
    log: Callable[[str], None]
    token: str
