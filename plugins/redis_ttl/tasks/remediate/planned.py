"""The plan that a task of a remediation belongs to, read from the store: no task believes another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.remediation.signing import NO_KEYS
from redis_ttl.tasks.remediate.approval_evidence import (
    refuse_other_requester,
)
from redis_ttl.tasks.signing import signing_keys
from redis_ttl.tasks.store import open_store
from redis_ttl.usecases.plan import confirm_approval as approving
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy


def plan_of_task(policy: Policy, context: Context, plan_id: object) -> tuple[PlanDocuments, Plan]:
    """The documents and the plan, if it is one of this run's; raises :class:`BadInput` where there is none."""
    if plan_id is None:
        raise BadInput("there is no plan", where=f"run {run_name(context)}", todo="The log of build_plan says why.")
    store = open_store()
    plan = approving.plan_of_run(store, policy.cluster, plan_id, run_name(context))
    refuse_other_requester(plan, context)
    return PlanDocuments(store, policy.cluster, plan.plan_id, signing_keys() or NO_KEYS), plan


def run_name(context: Context) -> str:
    """What the store knows the run by."""
    return f"{context['dag_run'].dag_id}/{context['dag_run'].run_id}"


def run_fields(context: Context) -> dict[str, str]:
    """What Airflow knows the run by."""
    return {"dag_id": context["dag_run"].dag_id, "run_id": context["dag_run"].run_id}
