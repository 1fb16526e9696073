"""The shape of the DAG ``redis_ttl.<cluster>.rollback``: its tasks, their order, limits and retries.

Airflow runs this module at every parse and at the start of every task, so the work itself is in
:mod:`redis_ttl.tasks.rollback.run`, which a task imports when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_current_context, result, task

from redis_ttl.tasks.dag_ids import dag_id_of
from redis_ttl.tasks.failures import clear_failure
from redis_ttl.tasks.rollback import pages as rollback_pages
from redis_ttl.tasks.rollback.form import form_of
from redis_ttl.tasks.task_defaults import QUIET, RETRIES

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def build_rollback_dag(policy: Policy) -> DAG:
    """The rollback of one cluster's remediations; it is run by hand only."""
    with DAG(
        dag_id_of(policy.cluster, "rollback"),
        description=f"Take back the TTLs that a remediation gave keys of {policy.cluster}",
        doc_md=rollback_pages.of_dag(policy),
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=["redis-ttl", policy.cluster, policy.owner.team],
        params=form_of(policy),
        default_args={"owner": policy.owner.team, **RETRIES},
    ) as dag:

        @task(doc_md=rollback_pages.LOAD_JOURNAL, **QUIET)
        @clear_failure()
        def load_journal() -> list[dict[str, Any]]:
            from redis_ttl.tasks.rollback import run as rollback_run

            return rollback_run.load_journal(policy, get_current_context())

        @task(
            doc_md=rollback_pages.RESTORE_SHARD,
            map_index_template="{{ task.op_kwargs['part']['label'] }}",
            max_active_tis_per_dag=policy.audit.parallel,
            pool=policy.audit.pool,
            **QUIET,
        )
        @clear_failure()
        def restore_shard(part: dict[str, Any]) -> dict[str, Any]:
            from redis_ttl.tasks.rollback import run as rollback_run

            return rollback_run.restore_shard(policy, get_current_context(), part)

        @task(doc_md=rollback_pages.VERIFY, **QUIET)
        @clear_failure()
        def verify(restored: list[dict[str, Any]]) -> dict[str, Any]:
            from redis_ttl.tasks.rollback import run as rollback_run

            return rollback_run.verify(policy, get_current_context(), list(restored))

        @result
        @task(doc_md=rollback_pages.REPORT, **QUIET)
        @clear_failure()
        def report(verified: dict[str, Any]) -> dict[str, Any]:
            from redis_ttl.tasks.rollback import run as rollback_run

            return rollback_run.report(policy, get_current_context(), verified)

        # What a task returns is known to Airflow's types only once it runs.
        parts: Any = load_journal()
        restored: Any = restore_shard.expand(part=parts)
        verified: Any = verify(restored)
        report(verified)
    return dag
