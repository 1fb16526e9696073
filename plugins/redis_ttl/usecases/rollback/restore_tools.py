"""What a rollback is asked, and what it needs from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.policy.rate import Rate
    from redis_ttl.usecases.ports import PatientClock
    from redis_ttl.usecases.remediation.write_ports import Control
    from redis_ttl.usecases.rollback.restore_ports import EndedRows, JournalRows, LaterRows, OpenRestorer
    from redis_ttl.usecases.store.plans import PlanDocuments


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What the operator chose. ``rules`` are numbers of the plan's rules; None takes all of them.

    ``any_lineage`` restores on servers that don't continue the plan's by their replication ids, too: after several
    failovers those say nothing any more. A key is told by its name and its exact expiry all the same.
    """

    dry_run: bool = True
    rules: frozenset[int] | None = None
    any_lineage: bool = False


@dataclass(frozen=True, slots=True)
class RestoreTools:
    """What rolling back needs from the outside.

    ``rate`` is this part's, of the ``sharers`` that restore at the same time, unless the operator asks for another one through
    ``control``. ``new_later_rows`` and ``new_ended_rows`` are told whether it is a cluster. ``policy`` has the guards. ``progress``
    hears how many journal objects of how many are done; ``log`` hears why nothing is done, and what can't be.
    """

    documents: PlanDocuments
    open_restorer: OpenRestorer
    new_rows: Callable[[], JournalRows]
    new_later_rows: Callable[[bool], LaterRows]
    new_ended_rows: Callable[[bool], EndedRows]
    policy: Policy
    control: Control
    rate: Rate
    sharers: int
    progress: Callable[[int, int], None]
    log: Callable[[str], None]
    clock: PatientClock
    token: str


def chosen_rules(plan: Plan, patterns: Collection[str]) -> frozenset[int] | None:
    """The numbers of the plan's rules with these patterns; None for no patterns, which means all. Raises `BadInput`."""
    if not patterns:
        return None
    numbers = {rule.pattern: rule.number for rule in plan.rules}
    unknown = [pattern for pattern in patterns if pattern not in numbers]
    if unknown:
        raise BadInput(
            "the plan has no such rule",
            where=f"plan {plan.plan_id}",
            found=", ".join(unknown),
            allowed=", ".join(numbers),
            todo="Choose among these, or none for all of them.",
        )
    return frozenset(numbers[pattern] for pattern in patterns)
