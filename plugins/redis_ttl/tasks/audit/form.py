"""The trigger form of an audit, and what an operator's answers mean. The policy's own settings are its defaults, so
that the nightly run has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.audit.databases import DATABASES_PATTERN, MAX_DATABASES_TEXT, databases_text, parse_databases
from redis_ttl.domain.audit.shards import MOST_SHARDS
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.load import LOAD_PATTERN, parse_load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.policy.policy import Policy

_ALL_PERCENT: Final = 100


def form_of(policy: Policy) -> dict[str, Param]:
    """The fields of the trigger form, by their names in the run's configuration."""
    audit = policy.audit
    return {
        "load": Param(
            audit.load,
            type="string",
            title="Load",
            description="gentle takes at most about 20% of the server's time and backs off when it slows down; fast never waits; "
            "or a rate in keys per second, such as 20000/s.",
            pattern=LOAD_PATTERN,
            examples=["gentle", "fast", "20000/s"],
        ),
        "shards": Param(
            audit.shards,
            type=["null", "integer"],
            minimum=1,
            maximum=MOST_SHARDS,
            title="Shards",
            description="How many parts to split the scan of each node and database into. Empty: chosen by size. "
            f"{audit.parallel} are scanned in parallel (audit.parallel in the policy).",
        ),
        "sample_percent": Param(
            audit.sample_percent,
            type="number",
            minimum=0,
            maximum=_ALL_PERCENT,
            title="Sampling %",
            description="Percentage of keys sampled for type, size and use; 0 samples none.",
        ),
        "source": Param(
            audit.source,
            type="string",
            enum=["primary", "replica"],
            title="Source",
            description="Which node to read: the primary, or a replica, which may lag slightly behind.",
        ),
        "db": Param(
            databases_text(audit.databases),
            type=["null", "string"],
            pattern=DATABASES_PATTERN,
            maxLength=MAX_DATABASES_TEXT,
            title="Database",
            description="A number, several such as 0,3, or all. Empty: the connection's database.",
            examples=["all", "0"],
        ),
    }


def options_of(params: Mapping[str, Any], *, connection_db: int, parallel: int) -> AuditOptions:
    """The audit that the answers ask for; :class:`InvalidOption` for one that can't be meant."""
    load = str(params["load"])
    parse_load(load)
    sample_percent = float(params["sample_percent"])
    if not 0 <= sample_percent <= _ALL_PERCENT:  # NaN passes the form's bounds
        raise InvalidOption(
            "this share can't be used",
            where="sample_percent",
            found=str(sample_percent),
            allowed="a number from 0 to 100",
        )
    return AuditOptions(
        load=load,
        shards=params["shards"],
        sample_percent=sample_percent,
        source=params["source"],
        databases=parse_databases(params["db"], default=connection_db, where="db"),
        parallel=parallel,
    )
