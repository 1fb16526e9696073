"""How the project's DAGs are named: ``redis_ttl.<cluster>.<job>``."""

from __future__ import annotations

_PREFIX = "redis_ttl."


def dag_id_of(cluster: str, job: str) -> str:
    """The id of the DAG that does this job for this cluster."""
    return f"{_PREFIX}{cluster}.{job}"


def cluster_of(dag_id: str, job: str) -> str | None:
    """The cluster of a DAG of this job; None for the id of any other DAG."""
    suffix = f".{job}"
    if not is_ours(dag_id) or not dag_id.endswith(suffix):
        return None
    return dag_id.removeprefix(_PREFIX).removesuffix(suffix) or None


def is_ours(dag_id: str) -> bool:
    """Whether a DAG is one of the project's."""
    return dag_id.startswith(_PREFIX)
