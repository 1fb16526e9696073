"""What a task of a remediation sees of its run and its gates, and what people are told about who may approve.

Airflow can be asked by a task for states, XComs and how often tasks were cleared; who did what is behind the viewer's
connection (:mod:`redis_ttl.tasks.airflow_api`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.execution_time.comms import DagRunResult, GetDagRun

from redis_ttl.domain.errors import NotApproved, RedisTtlError, StoreProblem, Unreachable
from redis_ttl.domain.remediation.approval import gates_of, is_nameable, is_same_user
from redis_ttl.messages.figures import code_span, printable
from redis_ttl.tasks.airflow_api import AIRFLOW_CONNECTION, viewer_of
from redis_ttl.tasks.signing import SIGNING_CONNECTION
from redis_ttl.usecases.plan.gate_records import RunNow, ask_again, refuse_withdrawn

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.domain.remediation.signing import SigningKeys

_PLAIN: Final = re.compile(r"[A-Za-z0-9-]+")


def run_now(policy: Policy, context: Context, *, returned: bool = False) -> RunNow:
    """The run's gates as they are now, with what they returned only where that is asked for."""
    gates, task, run = gates_of(policy.remediation.approvals), context["ti"], context["dag_run"]
    states = task.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], task_ids=list(gates))
    pulled: dict[str, object] = {gate: task.xcom_pull(task_ids=gate) for gate in gates} if returned else {}
    return RunNow(
        {gate: states.get(run.run_id, {}).get(gate) for gate in gates},
        _clears(run.dag_id, run.run_id),
        pulled if returned else None,
    )


def refuse_if_withdrawn(policy: Policy, context: Context, approval: Approval) -> None:
    """Raise :class:`NotApproved` when somebody has cleared a gate of the approval since.

    While Airflow doesn't say, nothing may be written: :class:`StoreProblem`, at which a writer waits.
    """
    try:
        history = viewer_of(_run_fields(context))
        refuse_withdrawn(approval, run_now(policy, context), history)
    except NotApproved:
        raise
    except Exception as error:
        if isinstance(error, RedisTtlError) and not isinstance(error, Unreachable):
            raise
        raise StoreProblem(
            "Airflow doesn't say whether the approval was taken back",
            where=f"plan {approval.plan_id}",
            found=f"{type(error).__name__}: {error}"[:300],
            todo="Clear this task when Airflow's API answers again.",
        ) from error


def requester_of(context: Context) -> str | None:
    """The Airflow user who triggered the run; None where Airflow names nobody.

    Whoever clears its tasks later doesn't change that. ``airflow dags trigger`` gives the name of its operating system's user.
    """
    user: str | None = context["dag_run"].triggering_user_name
    return user if is_nameable(user) else None


def refuse_other_requester(plan: Plan, context: Context) -> None:
    """Raise :class:`NotApproved` when the plan says that somebody else asked for it than Airflow does.

    A plan of version 1 doesn't say, and is nobody's own.
    """
    if plan.requested_by == requester_of(context) or plan.schema.endswith("/1"):
        return
    raise NotApproved(
        "this plan doesn't say who asked for it as Airflow does",
        where=f"plan {plan.plan_id}",
        found=f"requested by {plan.requested_by or 'unknown'}",
        allowed=requester_of(context) or "unknown",
        todo="See who can write to the store, and trigger the remediation again.",
    )


def refuse_own_approval(policy: Policy, context: Context, approval: Approval) -> None:
    """Raise :class:`NotApproved` when somebody approved who triggered the run, by Airflow's word alone: the plan is a document, and
    one that says to be of version 1 names nobody.
    """
    requester = requester_of(context)
    own = next((by for by in approval.by if is_same_user(by, requester)), None)
    if own is None or policy.remediation.self_approval:
        return
    raise NotApproved(
        "not approved: who triggered the run can't approve its plan",
        where=f"plan {approval.plan_id}",
        found=f"approved by {own}, requested by {requester}",
        allowed="another user's approval, or self_approval: yes in the policy",
        todo=f"{ask_again(approval.decisions[0].gate)} Or have another user trigger the run."
        if approval.decisions
        else None,
    )


def lines_on_approving(plan: Plan, policy: Policy, context: Context, signer: SigningKeys | None) -> list[str]:
    """What whoever is asked must know beside the plan: whose it is, and what an approval is worth here. Markdown."""
    lines = []
    if plan.requested_by is not None:
        who = _named(plan.requested_by)
        own = "" if policy.remediation.self_approval else f"; {who} can't approve it"
        lines.append(f"Requested by {who}{own}.")
    else:
        lines.append("Airflow doesn't say who requested it, so any approver may approve it.")
    if (lacking := lacking_approvers(plan, policy)) is not None:
        lines.append(lacking)
    if viewer_of(_run_fields(context)) is None:
        lines.append(
            "Answer with the buttons of this form: without the Airflow connection "
            f"`{AIRFLOW_CONNECTION}` a mark on this task is no approval."
        )
    if signer is None:
        lines.append(
            f"Decisions aren't signed, because there is no Airflow connection `{SIGNING_CONNECTION}`: "
            "anyone with write access to the store can approve."
        )
    return lines


def lacking_approvers(plan: Plan, policy: Policy) -> str | None:
    """A warning when too few are left of the policy's approvers without whoever asked; None when there are enough."""
    settings = policy.remediation
    if settings.self_approval or not settings.approvers or plan.requested_by is None:
        return None
    left = [each for each in settings.approvers if not is_same_user(each, plan.requested_by)]
    if len(left) >= settings.approvals:
        return None
    return (
        f"Nobody can approve this plan: it takes {settings.approvals} of {', '.join(map(_named, settings.approvers))}, and "
        f"{_named(plan.requested_by)}, who requested it, doesn't count. Have another user trigger the run, or change the policy."
    )


def _named(user: str) -> str:
    """A user's name in Markdown, where it acts no more than a plain word."""
    return user if _PLAIN.fullmatch(user) else code_span(printable(user))


def _clears(dag_id: str, run_id: str) -> int | None:
    """How often tasks of the run were cleared until now; the context says what it was when this task began."""
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer: Any = SUPERVISOR_COMMS.send(GetDagRun(dag_id=dag_id, run_id=run_id))
    return answer.clear_number if isinstance(answer, DagRunResult) else None


def _run_fields(context: Context) -> dict[str, str]:
    return {"dag_id": context["dag_run"].dag_id, "run_id": context["dag_run"].run_id}
