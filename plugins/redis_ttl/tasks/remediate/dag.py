"""The shape of the DAG ``redis_ttl.<cluster>.remediate``: its tasks, their order, limits and retries.

Airflow runs this module at every parse and at the start of every task, so the work itself is in
:mod:`redis_ttl.tasks.remediate.run`, which a task imports when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, TriggerRule, chain, get_current_context, result, task

from redis_ttl.domain.remediation.approval import gates_of
from redis_ttl.tasks.dag_ids import dag_id_of
from redis_ttl.tasks.failures import clear_failure
from redis_ttl.tasks.remediate import pages as remediate_pages
from redis_ttl.tasks.remediate.form import form_of
from redis_ttl.tasks.remediate.plan_approval import PlanApprovalOperator
from redis_ttl.tasks.task_defaults import QUIET, RETRIES

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def build_remediate_dag(policy: Policy) -> DAG:
    """The remediation of one cluster; it is run by hand only, one at a time.

    Between its tasks travel ids and a few figures. What counts is in the store: no task believes what another one says of an
    approval or of a plan.
    """
    with DAG(
        dag_id_of(policy.cluster, "remediate"),
        description=f"Give keys of {policy.cluster} the TTLs of the policy's rules, after an approval",
        doc_md=remediate_pages.of_dag(policy),
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=["redis-ttl", policy.cluster, policy.owner.team],
        params=form_of(policy),
        default_args={"owner": policy.owner.team, **RETRIES},
    ) as dag:

        @task(doc_md=remediate_pages.BUILD_PLAN, **QUIET)
        @clear_failure()
        def build_plan() -> str:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.build_plan(policy, get_current_context())

        @task(doc_md=remediate_pages.ANNOUNCE, **QUIET)
        @clear_failure()
        def announce(plan_id: str) -> None:
            from redis_ttl.tasks.remediate import approval_run

            approval_run.announce(policy, get_current_context(), plan_id)

        # Whatever became of the gates: this task says what it means.
        @task(doc_md=remediate_pages.CONFIRM_APPROVAL, trigger_rule=TriggerRule.ALL_DONE, **QUIET)
        @clear_failure()
        def confirm_approval(plan_id: str) -> dict[str, Any]:
            from redis_ttl.tasks.remediate import approval_run

            return approval_run.confirm_approval(policy, get_current_context(), plan_id)

        @task(doc_md=remediate_pages.APPLY_CANARY, pool=policy.audit.pool, **QUIET)
        @clear_failure()
        def apply_canary(plan_id: str) -> dict[str, Any]:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.apply_canary(policy, get_current_context(), plan_id)

        @task(doc_md=remediate_pages.CHECK_CANARY, **QUIET)
        @clear_failure()
        def check_canary(plan_id: str) -> list[dict[str, Any]]:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.check_canary(policy, get_current_context(), plan_id)

        @task(
            doc_md=remediate_pages.APPLY_SHARD,
            map_index_template="{{ task.op_kwargs['shard']['label'] }}",
            max_active_tis_per_dag=policy.audit.parallel,
            pool=policy.audit.pool,
            **QUIET,
        )
        @clear_failure()
        def apply_shard(shard: dict[str, Any]) -> dict[str, Any]:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.apply_shard(policy, get_current_context(), shard)

        @task(doc_md=remediate_pages.VERIFY, **QUIET)
        @clear_failure()
        def verify(plan_id: str) -> dict[str, Any]:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.verify(policy, get_current_context(), plan_id)

        # Also after a stop or an abort, when it fails: the run's state is that of its last task.
        @result
        @task(doc_md=remediate_pages.REPORT, trigger_rule=TriggerRule.ALL_DONE, **QUIET)
        @clear_failure()
        def report(plan_id: str) -> dict[str, Any]:
            from redis_ttl.tasks.remediate import run as remediate_run

            return remediate_run.report(policy, get_current_context(), plan_id)

        # What a task returns is known to Airflow's types only once it runs.
        plan: Any = build_plan()
        announced: Any = announce(plan)
        gates = [
            PlanApprovalOperator(task_id=gate, policy=policy, plan=plan, doc_md=remediate_pages.APPROVE_PLAN)
            for gate in gates_of(policy.remediation.approvals)
        ]
        confirmed: Any = confirm_approval(plan)
        canary: Any = apply_canary(plan)
        shards: Any = check_canary(plan)
        applied: Any = apply_shard.expand(shard=shards)
        verified: Any = verify(plan)
        # One gate after the other: the second needs somebody else, and nobody reads what is rejected already.
        chain(announced, *gates, confirmed, canary, shards)
        applied >> verified >> report(plan)
    return dag
