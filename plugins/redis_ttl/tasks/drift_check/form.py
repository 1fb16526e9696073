"""The trigger form of a drift check: which audit, and whether what it finds is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.sdk import Param

from redis_ttl.domain.document_ids import ID_PATTERN
from redis_ttl.domain.policy.written import optional

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy

_MOST_REASON: Final = 2_000


def form_of(policy: Policy) -> dict[str, Param]:
    """The fields of the trigger form, by their names in the run's configuration."""
    return {
        "accept": Param(
            False,  # noqa: FBT003  # a Param's first argument is its default
            type="boolean",
            title="Accept existing keys",
            description=f"Make every key of {policy.cluster} without a TTL in this audit the new baseline: only keys that appear later "
            "count as new. Your user name is recorded.",
        ),
        "reason": Param(
            "",
            type=["null", "string"],
            maxLength=_MOST_REASON,
            title="Reason",
            description="Why they are acceptable; required to accept. Write it for someone who reads it a year from now.",
        ),
        "audit_id": Param(
            None,
            type=["null", "string"],
            pattern=optional(ID_PATTERN),
            title="Audit",
            description="The id of a finished audit. Empty: the latest.",
        ),
    }
