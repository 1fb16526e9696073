"""Looks at the keyspace once more after a remediation, and says what became of every key that the plan was about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.plan import Plan
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.verification import Verification
    from redis_ttl.usecases.ports import Clock, Documents, Redis
    from redis_ttl.usecases.verify_ports import Ledger


@dataclass(frozen=True, slots=True)
class VerifyTools:
    """What verifying needs from the outside.

    ``new_ledger`` makes an empty ledger for a plan (``adapters.verify_ledger.VerifyLedger``). ``progress`` hears, after
    each batch, how many keys were met of about how many.
    """

    redis: Redis
    documents: Documents
    policy: Policy
    new_ledger: Callable[[Plan, Policy], Ledger]
    progress: Callable[[int, int], None]
    clock: Clock


def verify_plan(plan: Plan, tools: VerifyTools) -> Verification:
    """Scan every database of the plan on the primaries of now, and write ``results/<plan_id>/verify-*.json``.

    Raises :class:`BadInput` when the policy isn't the plan's any more: its rules would mean other keys.
    """
    raise NotImplementedError
