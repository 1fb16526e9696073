"""The work of the tasks that ask for an approval and take the answer: announce, the gates, and the confirmation.

Imports everything that the work needs, so only a task that has begun may import it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars

# isort: split
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.remediation.approval import ApprovalRequest, Channel, Decision, Verdict, gates_of
from redis_ttl.messages.figures import count
from redis_ttl.messages.pages.plan_page import plan_page
from redis_ttl.tasks.airflow_api import AIRFLOW_CONNECTION, viewer_of
from redis_ttl.tasks.notify.notifying import notify, run_link
from redis_ttl.tasks.remediate.approval_evidence import (
    lacking_approvers,
    lines_on_approving,
    refuse_own_approval,
    run_now,
)
from redis_ttl.tasks.remediate.planned import plan_of_task, run_fields, run_name
from redis_ttl.tasks.signing import SIGNING_CONNECTION, signing_keys
from redis_ttl.usecases.plan import confirm_approval as approving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from redis_ttl.domain.policy.policy import Policy

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a gate shows, and what its answer will be held against."""

    plan_id: str
    digest: str
    request_id: str
    subject: str
    body: str


def announce(policy: Policy, context: Context, plan_id: str) -> None:
    """Log the plan, and how it is approved."""
    _, plan = plan_of_task(policy, context, plan_id)
    for line in plan_page(plan, policy).splitlines():
        _log.info("%s", line)
    gates = " and ".join(gates_of(policy.remediation.approvals))
    if signing_keys() is None:
        _log.warning(
            "decisions aren't signed: anyone with write access to the store can approve, because the Airflow connection %s doesn't exist",
            SIGNING_CONNECTION,
        )
    if (lacking := lacking_approvers(plan, policy)) is not None:
        _log.warning("%s", lacking)
    elif plan.requested_by is not None and not policy.remediation.self_approval:
        _log.info("requested by %s, who can't approve it", plan.requested_by)
    if viewer_of(run_fields(context)) is None:
        _log.warning(
            "approve it in the form of %s (Required Actions); marks don't count, because the Airflow connection %s, by which "
            "the run would see who made them, doesn't exist",
            gates,
            AIRFLOW_CONNECTION,
        )
    else:
        _log.info("approve it in the form of %s (Required Actions), or mark that task as success", gates)


def ask(policy: Policy, context: Context, plan_id: object, request_id: str) -> Asked:
    """Write down that the gate shows the plan now; returns what it shows."""
    documents, plan = plan_of_task(policy, context, plan_id)
    task = context["ti"]
    lines = lines_on_approving(plan, policy, context, signing_keys())
    page = plan_page(plan, policy) + "\n## Who may approve\n\n" + "".join(f"- {line}\n" for line in lines)
    documents.write_request(
        ApprovalRequest(
            request_id=request_id,
            plan_id=plan.plan_id,
            digest=plan.digest,
            gate=task.task_id,
            attempt=task.try_number,
            requested_at=SystemClock().now().isoformat(),
            instance=str(task.id),
        )
    )
    notify(policy, MessageKind.APPROVAL_REQUESTED, plan.plan_id, run_link(context, _required_actions(task.task_id)))
    subject = (
        f"{policy.cluster}: set TTLs on {count(plan.change_keys)} keys? Plan {plan.plan_id}, digest {plan.digest[:12]}"
    )
    return Asked(plan.plan_id, plan.digest, request_id, subject, page)


def decide(
    policy: Policy,
    context: Context,
    plan_id: str,
    request_id: str,
    answer: Mapping[str, Any] | None,
    *,
    approves: bool,
) -> dict[str, Any]:
    """Write down what the form's answer means; None is the end of its time. Returns the decision."""
    documents, _ = plan_of_task(policy, context, plan_id)
    request = next((each for each in documents.requests() if each.request_id == request_id), None)
    if request is None:
        raise BadInput(
            "what this answer is for was never asked",
            where=f"plan {plan_id}",
            found=f"request {request_id!r}",
            todo="Clear this task with its downstream tasks, to ask again.",
        )
    if answer is None or not answer.get("responded_by_user"):
        decision = Decision(
            request_id,
            request.plan_id,
            request.digest,
            request.gate,
            Verdict.TIMED_OUT,
            Channel.NOBODY,
            None,
            SystemClock().now().isoformat(),
            why="no answer in time, which means no",
        )
    else:
        form = answer.get("params_input") or {}
        decision = approving.decide_answer(
            documents,
            policy,
            request,
            approving.FormAnswer(
                approves=approves,
                by=answer["responded_by_user"].get("name"),
                at=answer["responded_at"].isoformat(),
                echoed=form.get("plan_digest"),
                comment=form.get("comment"),
                instance=str(context["ti"].id),
                clears=context["dag_run"].clear_number,
            ),
        )
    documents.write_decision(decision)
    _log.info(
        "%s by %s: %s", decision.verdict, decision.by or "nobody", decision.why or decision.comment or "no comment"
    )
    return to_plain(decision)


def confirm_approval(policy: Policy, context: Context, plan_id: object) -> dict[str, Any]:
    """Write down what marks mean, and require the approval; returns by whom and until when."""
    documents, plan = plan_of_task(policy, context, plan_id)
    seen = run_now(policy, context, returned=True)
    approval = approving.confirm_approval(
        documents,
        policy,
        plan,
        run_name(context),
        SystemClock().now(),
        states=seen.states,
        clears=seen.clears,
        returned=seen.returned,
        history=viewer_of(run_fields(context)),
    )
    refuse_own_approval(policy, context, approval)
    _log.info("plan %s is approved by %s", plan.plan_id, " and ".join(approval.by))
    return {"plan_id": plan.plan_id, "digest": plan.digest, "by": list(approval.by)}


def _required_actions(gate: str) -> str:
    """The page of a waiting task, below that of its run."""
    return f"/tasks/{gate}/required_actions"
