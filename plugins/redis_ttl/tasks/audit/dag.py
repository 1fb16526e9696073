"""The shape of the DAG ``redis_ttl.<cluster>.audit``: its tasks, their order, schedule, limits and retries.

Airflow runs this module at every parse and at the start of every task, so the work itself, with the libraries that it
needs, is in :mod:`redis_ttl.tasks.audit.run`, which a task imports when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, get_current_context, result, task

from redis_ttl.tasks.audit import pages as audit_pages
from redis_ttl.tasks.audit.form import form_of
from redis_ttl.tasks.dag_ids import dag_id_of
from redis_ttl.tasks.failures import clear_failure
from redis_ttl.tasks.schedule import timetable
from redis_ttl.tasks.task_defaults import QUIET, RETRIES

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def build_audit_dag(policy: Policy) -> DAG:
    """The audit of one cluster; its tasks know the policy as it was when their DAG file was parsed."""
    audit = policy.audit
    with DAG(
        dag_id_of(policy.cluster, "audit"),
        description=f"Which key patterns of {policy.cluster} have no TTL",
        doc_md=audit_pages.of_dag(policy),
        schedule=timetable(audit.schedule, audit.timezone),
        catchup=False,
        max_active_runs=1,
        tags=["redis-ttl", policy.cluster, policy.owner.team],
        params=form_of(policy),
        default_args={"owner": policy.owner.team, **RETRIES},
    ) as dag:

        @task(doc_md=audit_pages.INSPECT_SERVER, **QUIET)
        @clear_failure()
        def inspect_server() -> dict[str, Any]:
            from redis_ttl.tasks.audit import run as audit_run

            return audit_run.inspect_server(policy, get_current_context())

        @task(doc_md=audit_pages.PLAN_SHARDS, **QUIET)
        @clear_failure()
        def plan_shards(inspection: dict[str, Any]) -> list[dict[str, Any]]:
            from redis_ttl.tasks.audit import run as audit_run

            return audit_run.plan_shards(policy, get_current_context(), inspection)

        @task(
            doc_md=audit_pages.SCAN_SHARD,
            map_index_template="{{ task.op_kwargs['shard']['label'] }}",
            max_active_tis_per_dag=audit.parallel,
            pool=audit.pool,
            **QUIET,
        )
        @clear_failure()
        def scan_shard(shard: dict[str, Any]) -> dict[str, object]:
            from redis_ttl.tasks.audit import run as audit_run

            return audit_run.scan_shard(policy, shard["audit_id"], shard["number"])

        @task(doc_md=audit_pages.MERGE_AUDIT, outlets=[asset_of(policy)], **QUIET)
        @clear_failure()
        def merge_audit(shards: list[dict[str, Any]]) -> dict[str, Any]:
            from redis_ttl.tasks.audit import run as audit_run

            headline = audit_run.merge_audit(policy, shards[0]["audit_id"])
            get_current_context()["outlet_events"][asset_of(policy)].extra = headline
            return headline

        @result
        @task(doc_md=audit_pages.REPORT, **QUIET)
        @clear_failure()
        def report(headline: dict[str, Any]) -> dict[str, Any]:
            from redis_ttl.tasks.audit import run as audit_run

            audit_run.report(policy, get_current_context(), headline["audit_id"])
            return headline

        # What a task returns is known to Airflow's types only once it runs.
        inspection: Any = inspect_server()
        shards: Any = plan_shards(inspection)
        merged: Any = merge_audit(shards)
        scan_shard.expand(shard=shards) >> merged
        report(merged)
    return dag


def asset_of(policy: Policy) -> Asset:
    """What each finished audit of the cluster updates; its events carry the headline figures."""
    # No URI of its own: Airflow takes two assets of one name and different URIs for rivals, and stops one of them.
    return Asset(f"redis_ttl/{policy.cluster}/audit")
