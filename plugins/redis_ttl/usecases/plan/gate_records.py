"""What Airflow's own records say of a gate, as plain data, and whether they speak against an approval that is on record.

Clearing a gate takes back what was decided there. Airflow raises its try number only when it starts again, and until then neither its
state nor its end tells: somebody may mark it as success meanwhile. What tells is the id of the task's instance, which a clear
replaces at once (seen by the viewer's connection); without that connection, how often anything in the run was cleared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from redis_ttl.domain.errors import NotApproved
from redis_ttl.domain.remediation.approval import Channel, instant_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.remediation.approval import Approval, ApprovalRequest, Decision

#: Airflow writes a mark's row before it looks whether the user may mark, and then changes the task. A row that is older than
#: the change by more than this was refused, and somebody else changed the task.
MARK_TAKES_MS: Final = 5_000
#: Between an answer and the end of its gate Airflow starts the gate once more, which takes a while when it is busy.
_ANSWER_TAKES_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of Airflow's audit log: ``owner`` asked at that moment (ISO 8601) to mark the gate as ``new_state``."""

    at: str
    owner: str | None
    new_state: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class GateTrace:
    """What Airflow knows of a gate beside its state.

    ``attempt`` is its try number, ``ended_at`` (ISO 8601) when it ended; ``marks`` are in their order. ``answered_by`` is
    who answered its form, also when that came too late to matter. ``lost``: the scheduler took the waiting task for a dead one.
    ``instance`` is Airflow's id of the task as it is now.
    """

    attempt: int | None = None
    ended_at: str | None = None
    marks: tuple[Mark, ...] = ()
    answered_by: str | None = None
    lost: bool = False
    instance: str | None = None


class GateHistory(Protocol):
    """Looks a gate up in Airflow's own records."""

    def trace(self, gate: str) -> GateTrace:
        """What is known of that gate of this run."""

    def instance(self, gate: str) -> str | None:
        """Airflow's id of the task as it is now."""


@dataclass(frozen=True, slots=True)
class RunNow:
    """What a task can see of its own run without any connection.

    ``states`` are those of the gates. ``clears`` is how often tasks of the run have been cleared, whichever they were. ``returned`` is what
    the gates have returned: XComs, which anybody who may edit XComs can change, so they can speak against an approval and never for one.
    """

    states: Mapping[str, str | None]
    clears: int | None = None
    returned: Mapping[str, object] | None = None


def asks_no_more(request: ApprovalRequest, trace: GateTrace | None) -> bool:
    """Whether the gate was cleared after that request, and hasn't asked again."""
    if trace is None:
        return False
    if None not in (request.instance, trace.instance) and request.instance != trace.instance:
        return True
    return trace.attempt is not None and trace.attempt > request.attempt


def why_withdrawn(made: Decision, seen: RunNow, trace: GateTrace | None) -> str | None:
    """Why an approval that is on record counts no more; None when it does."""
    gate, by = made.gate, made.by
    if made.channel is Channel.FORM and seen.returned is not None and not _is_answer(seen.returned.get(gate), made):
        return f"{gate} was approved by {by}, and what that task returned is gone or says something else"
    if trace is not None and None not in (made.instance, trace.instance):
        cleared = made.instance != trace.instance
        return (
            f"{gate} was approved by {by}, then cleared, and marked success before it showed the plan again"
            if cleared
            else None
        )
    if trace is None:
        if seen.returned is None and made.clears is None:
            return f"{gate} was approved by {by}, and nothing tells whether it was cleared since"
        why = _cleared_something(made, seen)
        return None if why is None else f"{gate} was approved by {by}, and {why}"
    return _why_ended_otherwise(made, trace)


def refuse_withdrawn(approval: Approval, run: RunNow, history: GateHistory | None) -> None:
    """Raise :class:`NotApproved` when a gate of the approval was cleared since, or ended otherwise; every writer looks again and again.

    The store says so only when the gate has asked again.
    """
    for decision in approval.decisions:
        gate, state = decision.gate, run.states.get(decision.gate)
        if state != "success":
            why: str | None = f"it is {state or 'to be run again'} now"
        elif history is not None and decision.instance is not None:
            why = None if history.instance(gate) == decision.instance else "it was cleared since"
        else:
            why = _cleared_something(decision, run)
        if why is not None:
            raise NotApproved(
                f"not approved any more: {gate} was approved by {decision.by}, and {why}",
                where=f"plan {approval.plan_id}",
                todo=ask_again(gate),
            )


def ask_again(gate: str) -> str:
    """What to do where a gate's answer counts no more."""
    return f"Clear {gate} with its downstream tasks: the plan is shown again, and can be approved or rejected."


def _why_ended_otherwise(made: Decision, trace: GateTrace) -> str | None:
    """The same for what was decided before decisions said of which instance they are: by who ended the gate, and when."""
    later = [each for each in trace.marks if instant_ms(each.at) > instant_ms(made.at)]
    if later:
        return (
            f"{made.gate} was approved by {made.by}, and marked {later[-1].new_state} by {later[-1].owner} after that"
        )
    takes_ms = _ANSWER_TAKES_MS if made.channel is Channel.FORM else MARK_TAKES_MS
    ended_ms = None if trace.ended_at is None else instant_ms(trace.ended_at)
    if ended_ms is None or not 0 <= ended_ms - instant_ms(made.at) <= takes_ms:
        return f"{made.gate} was approved by {made.by} at {made.at}, and ended at {trace.ended_at}: something else ended it"
    return None


def _is_answer(returned: object, made: Decision) -> bool:
    """Whether that is what the gate returns when its form was answered by this decision."""
    if not isinstance(returned, dict):
        return False
    said = (returned.get(name) for name in ("request_id", "verdict", "by", "at"))
    return tuple(said) == (made.request_id, made.verdict.value, made.by, made.at)


def _cleared_something(made: Decision, seen: RunNow) -> str | None:
    """Without the connection nobody sees which task was cleared; then any may have been the gate."""
    if made.clears is None or (seen.clears is not None and seen.clears <= made.clears):
        return None
    if seen.clears is None:
        return "nothing tells whether it was cleared since"
    return (
        "tasks of this run were cleared since; without the Airflow connection redis_ttl_airflow it is unknown whether "
        f"{made.gate} was among them"
    )
