"""Ends a plan's approval, so that nothing is written by it while it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict

if TYPE_CHECKING:
    from redis_ttl.usecases.ports import PatientClock
    from redis_ttl.usecases.store.plans import PlanDocuments


def end_approval(documents: PlanDocuments, *, run: str, clock: PatientClock) -> None:
    """Have the plan's approval count no more, so that a writer which is started again doesn't put back what a rollback takes."""
    # Under a request that can't be read nothing is written either.
    latest = {request.gate: request for request in documents.forgiving({}).requests()}
    for request in latest.values():
        documents.write_decision(
            Decision(
                request_id=request.request_id,
                plan_id=request.plan_id,
                digest=request.digest,
                gate=request.gate,
                verdict=Verdict.REJECTED,
                channel=Channel.NOBODY,
                by=None,
                at=clock.now().isoformat(),
                why=f"the plan is rolled back by {run}. Trigger the remediation again, for a new plan.",
            )
        )
