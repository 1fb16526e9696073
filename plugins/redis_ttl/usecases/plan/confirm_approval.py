"""Turns what people did at the gates of a plan into decisions, and decides whether the plan may be written.

An answer to the form is written down by the gate itself. A task marker leaves nothing but Airflow's audit log, which is
read here: as plain data, because only the faces know Airflow. What can't be told for certain is no approval, and the
decision that is kept says why and what to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from redis_ttl.domain.errors import BadInput, NotApproved
from redis_ttl.domain.remediation.approval import (
    NOT_ASKED,
    ApprovalRequest,
    Channel,
    Decision,
    Verdict,
    gates_of,
    instant_ms,
    is_nameable,
    is_own_plan,
    judge,
    latest_request,
    may_approve,
    why_own_plan,
)
from redis_ttl.usecases.plan.gate_records import (
    MARK_TAKES_MS,
    GateHistory,
    GateTrace,
    Mark,
    RunNow,
    asks_no_more,
    why_withdrawn,
)
from redis_ttl.usecases.store.plans import PlanDocuments, plan_ids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.usecases.ports import Documents

_ENDED: Final = frozenset({"success", "failed", "skipped"})
_PLAN_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """What came back from the form; ``approves`` is True for Approve. ``echoed`` is the digest that it was sent with.

    ``instance`` and ``clears`` are the gate's and its run's at that moment (see :class:`Decision`).
    """

    approves: bool
    by: str | None
    at: str
    echoed: str | None
    comment: str | None = None
    instance: str | None = None
    clears: int | None = None


def plan_of_run(documents: Documents, cluster: str, plan_id: object, run: str) -> Plan:
    """The plan of that id, if it is the newest of this DAG run; :class:`NotApproved` otherwise.

    The id comes from an XCom, which anybody who may edit XComs can point at another plan; :class:`BadInput` for one that
    is no plan's id.
    """
    if not isinstance(plan_id, str) or _PLAN_ID.fullmatch(plan_id) is None:
        raise BadInput(
            "this is no plan's id",
            where=f"run {run}",
            found=repr(plan_id)[:80],
            allowed="an id as in 20260220T100000Z-1f2e3d",
            todo="Clear build_plan with its downstream tasks, and approve the plan that it makes.",
        )
    plan = PlanDocuments(documents, cluster, plan_id).plan()
    where = f"plan {plan_id}"
    if plan.run != run:
        raise NotApproved(
            "this plan was made in another run",
            where=where,
            found=plan.run,
            allowed=run,
            todo="Trigger the remediation again; a plan can be used only in the run that it was made in.",
        )
    for newer in plan_ids(documents, cluster):
        if newer <= plan_id:
            break
        if PlanDocuments(documents, cluster, newer).plan().run == run:
            raise NotApproved(
                "this run has a newer plan",
                where=where,
                found=newer,
                allowed=plan_id,
                todo="Clear build_plan with its downstream tasks, and approve the plan that it makes.",
            )
    return plan


def require_approval(documents: PlanDocuments, policy: Policy, plan: Plan, run: str, now: datetime) -> Approval:
    """The plan's approval in force, from the store alone; every task that writes asks for itself.

    Raises :class:`NotApproved` with what is missing.
    """
    if plan.run != run or plan.cluster != policy.cluster:
        raise NotApproved(
            "this plan was made in another run",
            where=f"plan {plan.plan_id}",
            found=f"{plan.run} of {plan.cluster}",
            allowed=run,
            todo="Trigger the remediation again.",
        )
    remediation = policy.remediation
    return judge(
        plan,
        documents.requests(),
        documents.decisions(),
        gates=gates_of(remediation.approvals),
        approvers=remediation.approvers,
        policy_hash=policy.hash,
        now_ms=instant_ms(now.isoformat()),
        valid_s=remediation.approval_valid_s,
        self_approval=remediation.self_approval,
    )


def confirm_approval(
    documents: PlanDocuments,
    policy: Policy,
    plan: Plan,
    run: str,
    now: datetime,
    *,
    states: Mapping[str, str | None],
    history: GateHistory | None,
    clears: int | None = None,
    returned: Mapping[str, object] | None = None,
) -> Approval:
    """Write down what was decided at the gates by other ways than their forms, and what was taken back; then :func:`require_approval`.

    ``states``, ``clears`` and ``returned`` are as in :class:`RunNow`. Without a ``history`` only forms count, and these must tell that
    none was taken back.
    """
    seen = RunNow(states, clears, returned)
    for gate in gates_of(policy.remediation.approvals):
        trace = None if history is None else history.trace(gate)
        decision = decision_at(gate, documents, policy, plan, now, seen=seen, trace=trace)
        if decision is not None:
            documents.write_decision(decision)
    return require_approval(documents, policy, plan, run, now)


def decide_answer(documents: PlanDocuments, policy: Policy, request: ApprovalRequest, answer: FormAnswer) -> Decision:
    """What an answer to the form means for what ``request`` asked. Writes nothing."""
    verdict, why = Verdict.APPROVED, None
    approvers, plan = policy.remediation.approvers, documents.plan()
    if not answer.approves:
        verdict = Verdict.REJECTED
    elif not is_nameable(answer.by):
        why = f"the form was answered by {answer.by!r}, which is not a user's name; Airflow needs users that log in"
    elif not may_approve(answer.by, approvers):
        why = f"{answer.by} may not approve; the policy names {' and '.join(approvers)}"
    elif is_own_plan(plan, answer.by, self_approval=policy.remediation.self_approval):
        why = why_own_plan(plan, answer.by)
    elif request.doubt is not None:
        why = f"what was asked isn't believed: {request.doubt}"
    elif answer.echoed is None:
        why = "the answer didn't say which plan it is for; answer in Airflow's page, or send params_input with plan_digest and comment"
    elif answer.echoed != request.digest:
        why = f"the answer is for the digest {answer.echoed[:64]}, and {request.digest} was asked"
    elif answer.by in _approvers_elsewhere(documents, request.gate):
        why = f"{answer.by} has approved this plan at the other gate already; it takes two different people"
    if why is not None:
        verdict = Verdict.INVALID
    return Decision(
        request.request_id,
        request.plan_id,
        request.digest,
        request.gate,
        verdict,
        Channel.FORM,
        answer.by,
        answer.at,
        answer.comment,
        why,
        answer.instance,
        answer.clears,
    )


def decision_at(
    gate: str,
    documents: PlanDocuments,
    policy: Policy,
    plan: Plan,
    now: datetime,
    *,
    seen: RunNow,
    trace: GateTrace | None,
) -> Decision | None:
    """What remains to be written down about a gate in this state; None where everything is, or nothing happened yet."""
    state = seen.states.get(gate)
    if state not in _ENDED:
        return None
    request = latest_request(documents.requests(), gate)
    asked_id = NOT_ASKED if request is None else request.request_id
    about = [each for each in documents.decisions() if each.gate == gate and each.request_id == asked_id]
    made = [each for each in about if each.doubt is None]
    if any(each.verdict is not Verdict.APPROVED for each in made):
        return None

    def decided(verdict: Verdict, why: str | None, mark: Mark | None = None) -> Decision:
        channel = Channel.NOBODY if mark is None else Channel.MARK
        by, at, note = (None, now.isoformat(), None) if mark is None else (mark.owner, mark.at, mark.note)
        instance = None if trace is None else trace.instance
        return Decision(
            asked_id, plan.plan_id, plan.digest, gate, verdict, channel, by, at, note, why, instance, seen.clears
        )

    mark = _latest_mark(request, made, trace)
    if request is None:
        return decided(Verdict.INVALID, f"{gate} was marked {state} before it showed the plan to anybody", mark)
    if asks_no_more(request, trace):
        return decided(Verdict.INVALID, f"{gate} was cleared, and marked {state} before it showed the plan again", mark)
    if state != "success":
        return _refused(decided, gate, state, trace, mark, approved=bool(made))
    if made:
        undone = next((why for each in made if (why := why_withdrawn(each, seen, trace))), None)
        return None if undone is None else decided(Verdict.INVALID, undone)
    why = _why_no_approval(gate, policy, plan, trace, mark)
    if why is not None and about:
        return None  # somebody left an approval that isn't believed, which is what must be said
    return decided(Verdict.APPROVED if why is None else Verdict.INVALID, why, mark)


class _Decided(Protocol):
    def __call__(self, verdict: Verdict, why: str | None, mark: Mark | None = None) -> Decision: ...


def _refused(
    decided: _Decided, gate: str, state: str, trace: GateTrace | None, mark: Mark | None, *, approved: bool
) -> Decision:
    """The gate ended as failed or skipped, and not by its form: somebody said no, or Airflow lost it."""
    if mark is not None and mark.new_state == state:
        if is_nameable(mark.owner):
            return decided(Verdict.REJECTED, f"{gate} was marked {state}", mark)
        return decided(Verdict.INVALID, f"{gate} was marked {state} by an unidentified user", mark)
    answered = approved or (trace is not None and trace.answered_by is not None)
    if answered and (trace is None or trace.lost):
        return decided(
            Verdict.INVALID,
            f"{gate} was answered, and then lost: Airflow's scheduler took it for a dead task (its log says 'state mismatch')",
        )
    return decided(Verdict.INVALID, f"{gate} is {state} and nothing says who did it{_late(trace)}")


def _why_no_approval(gate: str, policy: Policy, plan: Plan, trace: GateTrace | None, mark: Mark | None) -> str | None:
    """Why a gate that was marked as success isn't approved; None when it is."""
    approvers = policy.remediation.approvers
    if trace is None:
        return (
            f"{gate} was marked success, and without the Airflow connection redis_ttl_airflow the user is unknown; "
            "answer the form instead"
        )
    if mark is None:
        return (
            f"{gate} is success, and Airflow's audit log doesn't say who marked it: marks of several tasks at once, of a run, "
            f"or together with other tasks leave no name{_late(trace)}; answer the form, or mark this one task"
        )
    if mark.new_state != "success":
        return f"{gate} is success, and the last mark in Airflow's audit log is {mark.new_state}, by {mark.owner}{_late(trace)}"
    if not is_nameable(mark.owner):
        return (
            f"{gate} was marked success by {mark.owner!r}, which is not a user's name; Airflow needs users that log in"
        )
    if not may_approve(mark.owner, approvers):
        allowed = f"; the policy names {' and '.join(approvers)}" if approvers else ""
        return f"{gate} was marked success by {mark.owner}, who may not approve{allowed}{_late(trace)}"
    if is_own_plan(plan, mark.owner, self_approval=policy.remediation.self_approval):
        return f"{gate} was marked success by {mark.owner}: {why_own_plan(plan, mark.owner)}{_late(trace)}"
    took_ms = None if trace.ended_at is None else instant_ms(trace.ended_at) - instant_ms(mark.at)
    if took_ms is None or not 0 <= took_ms <= MARK_TAKES_MS:
        return (
            f"{gate} ended at {trace.ended_at}, and {mark.owner} asked to mark it at {mark.at}: "
            f"another user may have ended it{_late(trace)}"
        )
    return None


def _late(trace: GateTrace | None) -> str:
    answered = None if trace is None else trace.answered_by
    return "" if answered is None else f" ({answered} answered its form, which no longer changed anything)"


def _latest_mark(request: ApprovalRequest | None, made: list[Decision], trace: GateTrace | None) -> Mark | None:
    """The last mark, when it is about what was asked last and isn't on record yet.

    A gate whose approving mark is on record, and that was ended again by nobody known, wasn't ended by that mark.
    """
    mark = trace.marks[-1] if trace is not None and trace.marks else None
    if mark is None or request is None:
        return mark
    belongs_to_earlier = instant_ms(mark.at) < instant_ms(request.requested_at)
    is_on_record = any((each.by, each.at, "success") == (mark.owner, mark.at, mark.new_state) for each in made)
    return None if belongs_to_earlier or is_on_record else mark


def _approvers_elsewhere(documents: PlanDocuments, gate: str) -> set[str | None]:
    requests = documents.requests()
    others = {each.gate for each in requests} - {gate}
    latest = {asked.request_id for other in others if (asked := latest_request(requests, other)) is not None}
    return {each.by for each in documents.decisions() if each.request_id in latest and each.verdict is Verdict.APPROVED}
