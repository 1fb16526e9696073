"""The shape of the DAG ``redis_ttl.<cluster>.drift_check``: one task, on each finished audit or by hand.

Airflow runs this module at every parse and at the start of every task, so the work itself is in
:mod:`redis_ttl.tasks.drift_check.run`, which the task imports when it begins.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import DAG, get_current_context, result, task

from redis_ttl.tasks.audit.dag import asset_of
from redis_ttl.tasks.dag_ids import dag_id_of
from redis_ttl.tasks.drift_check import pages as drift_check_pages
from redis_ttl.tasks.drift_check.form import form_of
from redis_ttl.tasks.failures import clear_failure
from redis_ttl.tasks.task_defaults import QUIET

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy

#: For a worker that was lost or a store that stumbled; what the check finds fails at once.
_RETRIES: Final[dict[str, Any]] = {"retries": 2, "retry_delay": timedelta(seconds=30)}


def build_drift_check_dag(policy: Policy) -> DAG:
    """The drift check of one cluster."""
    with DAG(
        dag_id_of(policy.cluster, "drift_check"),
        description=f"Whether new keys without TTL have come to {policy.cluster}",
        doc_md=drift_check_pages.of_dag(policy),
        schedule=[asset_of(policy)],
        catchup=False,
        max_active_runs=1,
        tags=["redis-ttl", policy.cluster, policy.owner.team],
        params=form_of(policy),
        default_args={"owner": policy.owner.team, **_RETRIES},
    ) as dag:

        @result
        @task(doc_md=drift_check_pages.COMPARE, **QUIET)
        @clear_failure()
        def compare() -> dict[str, Any]:
            from redis_ttl.tasks.drift_check import run as drift_check_run

            return drift_check_run.compare(policy, get_current_context())

        compare()
    return dag
