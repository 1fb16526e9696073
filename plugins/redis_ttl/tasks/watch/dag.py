"""The shape of the DAG ``redis_ttl.<cluster>.watch``: one task, every few minutes.

One task and not three, because with two hundred clusters the start of a task is what it costs. Airflow runs this module at
every parse and at the start of every task, so the work itself is in :mod:`redis_ttl.tasks.watch.run`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_current_context, result, task

from redis_ttl.tasks.dag_ids import dag_id_of
from redis_ttl.tasks.failures import clear_failure
from redis_ttl.tasks.schedule import timetable
from redis_ttl.tasks.task_defaults import QUIET
from redis_ttl.tasks.watch import pages as watch_pages

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def build_watch_dag(policy: Policy) -> DAG:
    """The watch of one cluster."""
    with DAG(
        dag_id_of(policy.cluster, "watch"),
        description=f"Memory, keys without a TTL, and bursts of {policy.cluster}",
        doc_md=watch_pages.of_dag(policy),
        schedule=timetable(policy.watch.schedule, policy.audit.timezone),
        catchup=False,
        # A look that is late is of no use beside the next one.
        max_active_runs=1,
        dagrun_timeout=timedelta(minutes=10),
        tags=["redis-ttl", policy.cluster, policy.owner.team],
        default_args={"owner": policy.owner.team, "retries": 0},
    ) as dag:

        @result
        @task(doc_md=watch_pages.SAMPLE, **QUIET)
        @clear_failure()
        def sample() -> dict[str, Any]:
            from redis_ttl.tasks.watch import run as watch_run

            return watch_run.sample(policy, get_current_context())

        sample()
    return dag
