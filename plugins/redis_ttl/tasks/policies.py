"""Which policies a DAG file builds DAGs of. Reads as little as it can: DAG files are parsed all the time, and again at
the start of every task.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.sdk import get_parsing_context

from redis_ttl.adapters.policy_files.policy_file import find_policy, load_policies
from redis_ttl.domain.errors import BadInput
from redis_ttl.tasks.dag_ids import cluster_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.policy.policy import Policy

POLICIES_VARIABLE: Final = "REDIS_TTL_POLICIES"


def policies_folder() -> Path:
    """The folder that ``REDIS_TTL_POLICIES`` names; otherwise ``include/policies`` beside the ``plugins`` folder that
    this file lies in.
    """
    named = os.environ.get(POLICIES_VARIABLE)
    return Path(named) if named else Path(__file__).parents[3] / "include" / "policies"


def policies_to_parse(job: str) -> Sequence[Policy]:
    """The policies to build DAGs of: all that are right, or, when Airflow parses for a task of this job, only that DAG's.

    What is wrong with other policies is :func:`refuse_broken_policies`' affair: an error in the DAG file itself would
    take every cluster's DAG away. For a task there is one cluster only, and an error (:class:`BadInput`) is what its
    log must show.
    """
    dag_id = get_parsing_context().dag_id
    if dag_id is not None:
        cluster = cluster_of(dag_id, job)
        return [] if cluster is None else [find_policy(policies_folder(), cluster)]
    try:
        return load_policies(policies_folder()).policies
    except BadInput:
        return []


def refuse_broken_policies() -> None:
    """Raise :class:`BadInput` with every mistake of every policy file; without any, do nothing."""
    problems = load_policies(policies_folder()).problems
    if problems:
        raise BadInput("\n\n".join(str(problem) for problem in problems))
