"""Tells a run about Airflow pools that don't exist, so that it fails instead of waiting for ever.

Airflow's scheduler leaves a task whose pool doesn't exist in the state "scheduled" and says so only in its own log.
Tasks and DAG files may not look into Airflow's database, and no API that they may use knows pools. The scheduler's
listeners may: this one leaves the names of missing pools in the run's configuration, where the first task of the run,
which waits for no pool, finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.listeners import hookimpl

from redis_ttl.domain.errors import BadInput
from redis_ttl.tasks.dag_ids import is_ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.models.dagrun import DagRun

_CONF_KEY: Final = "missing_pools"


class MissingPools:
    """The scheduler's part: notes missing pools in the run at the moment when it starts, and whenever it starts again."""

    @hookimpl
    def on_dag_run_running(self, dag_run: DagRun) -> None:
        """Compare the pools that the run's tasks name with those that exist. Airflow only logs what goes wrong in here."""
        if not is_ours(dag_run.dag_id) or dag_run.dag is None:
            return
        named = {task.pool for task in dag_run.dag.task_dict.values()}
        missing = sorted(named - _existing_pools(dag_run))
        conf = {key: value for key, value in (dag_run.conf or {}).items() if key != _CONF_KEY}
        dag_run.conf = {**conf, _CONF_KEY: missing} if missing else conf


def refuse_missing_pools(conf: Mapping[str, Any] | None, cluster: str) -> None:
    """The task's part: raise :class:`BadInput` when the scheduler found that a pool of this run doesn't exist."""
    missing = (conf or {}).get(_CONF_KEY)
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        raise BadInput(
            "it names an Airflow pool that doesn't exist",
            where=f"policy of {cluster}",
            found=f"audit.pool {names}",
            allowed="a pool of this Airflow",
            todo=(
                "Create it under Admin > Pools, with as many slots as tasks may scan this server at a time, or take the "
                "line out of the policy to use the default pool; then clear this task."
            ),
        )


def _existing_pools(dag_run: DagRun) -> set[str]:
    # Only the scheduler loads these, and only when a run starts: tasks import this module too.
    from airflow.models.pool import Pool
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        raise RuntimeError(f"the scheduler holds no database session for {dag_run}")
    with session.no_autoflush:  # a look, in the middle of the scheduler's own transaction
        return set(session.scalars(select(Pool.pool)))
