"""The trigger form of a drift check: which audit, and whether what it finds is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Param

if TYPE_CHECKING:
    from redis_ttl.domain.policy import Policy


def form_of(policy: Policy) -> dict[str, Param]:
    """The fields of the trigger form, by their names in the run's configuration."""
    return {
        "accept": Param(
            False,  # noqa: FBT003  # a Param's first argument is its default
            type="boolean",
            title="Accept what is there",
            description=f"Make all keys of {policy.cluster} that have no TTL in this audit the new baseline: from then on only "
            "keys that come later are new. Your user name is recorded.",
        ),
        "reason": Param(
            "",
            type=["null", "string"],
            title="Reason",
            description="Why that is right; required to accept. Whoever reads it in a year wasn't there.",
        ),
        "audit_id": Param(
            None,
            type=["null", "string"],
            pattern=r"^\s*(\d{8}T\d{6}Z-[0-9a-f]{6})?\s*$",
            title="Audit",
            description="The id of a finished audit. Empty: the newest one.",
        ),
    }
