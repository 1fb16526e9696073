"""The trigger form of a rollback: which plan, which of its rules, and whether to write at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param, get_parsing_context

from redis_ttl.adapters.policy_files.relations import MAX_ENTRIES
from redis_ttl.domain.document_ids import ID_PATTERN, check_document_id
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.keys.pattern import MAX_LENGTH
from redis_ttl.domain.policy.rate import RATE_PATTERN
from redis_ttl.domain.policy.written import whole
from redis_ttl.tasks.store import store_url
from redis_ttl.usecases.store.catalogue import ClusterPaths

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy

_PLANS_SHOWN: Final = 20


def form_of(policy: Policy) -> dict[str, Param]:
    """The fields of the trigger form, by their names in the run's configuration."""
    recent = recent_plans(policy.cluster)
    # An empty list of examples would be a list to choose nothing from.
    examples: dict[str, Any] = {"examples": recent} if recent else {}
    return {
        "plan": Param(
            type="string",
            pattern=whole(ID_PATTERN),
            title="Plan",
            description="The id of the plan to roll back: see the remediation's report, or the folder names under journals/ in the store. "
            + ("Latest first." if recent else "It looks like 20260220T190000Z-0a1b2c."),
            **examples,
        ),
        "rules": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "minLength": 1, "maxLength": MAX_LENGTH},
            maxItems=MAX_ENTRIES,
            title="Rules",
            description="Roll back only these rules. Empty: all rules.",
            examples=[rule.pattern.text for rule in policy.rules],
        ),
        "dry_run": Param(
            True,  # noqa: FBT003  # a Param's first argument is its default
            type="boolean",
            title="Dry run",
            description="Report what would be restored and change nothing. Turn off to roll back.",
        ),
        "rate": Param(
            policy.remediation.rate,
            type="string",
            pattern=RATE_PATTERN,
            title="Rate",
            description="Write rate: keys per second on each server, such as 20000/s, or unlimited.",
            examples=[policy.remediation.rate, "5000/s", "unlimited"],
        ),
        "any_lineage": Param(
            False,  # noqa: FBT003  # as above
            type="boolean",
            title="Skip the server identity check",
            description="Continue although the servers' replication ids don't match the plan's, for example after several failovers or a "
            "restore from a backup. A key is still restored only if its expiry is exactly the one the plan set.",
        ),
    }


def recent_plans(cluster: str) -> list[str]:
    """The ids of the cluster's latest plans with a journal, the newest first, where the store is a folder of this machine.

    None while Airflow parses for a task, which knows its plan already, and none of a bucket: asking one takes too long
    for something that is done all the time.
    """
    if get_parsing_context().dag_id is not None:
        return []
    url = store_url()
    if "://" in url and not url.startswith("file://"):
        return []
    try:
        names = os.listdir(Path(url.removeprefix("file://")) / ClusterPaths(cluster).journals)  # noqa: PTH208  # names are all it takes
    except OSError:
        return []
    return sorted((name for name in names if _is_id(name)), reverse=True)[:_PLANS_SHOWN]


def _is_id(name: str) -> bool:
    try:
        check_document_id(name, where="store")
    except InvalidOption:
        return False
    return True
