"""What the options of ``redis-ttl audit`` mean, beside the policy that may say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.audit.databases import databases_text, parse_databases
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.written import quoted, whole

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy

_ALL_PERCENT: Final = 100.0
_PERCENT: Final = re.compile(whole(r"([0-9]{1,3}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})[ \t]*%?"))


def options_of(
    policy: Policy | None,
    url_db: int,
    *,
    load: str | None,
    shards: int | None,
    sample: str | None,
    db: str | None,
    source: str | None,
) -> AuditOptions:
    """What the options say; else what the policy says, except that a terminal scans in one part unless told otherwise."""
    by_policy = AuditOptions() if policy is None else _of_policy(policy)
    chosen_load = load or by_policy.load
    parse_load(chosen_load)
    chosen_source = source or by_policy.source
    if chosen_source not in ("primary", "replica"):
        raise InvalidOption(
            "can't be used", where="--source", found=quoted(chosen_source), allowed="primary or replica"
        )
    of_policy = None if policy is None else databases_text(policy.audit.databases)
    return AuditOptions(
        load=chosen_load,
        shards=shards or 1,
        sample_percent=by_policy.sample_percent if sample is None else _percent(sample),
        source="replica" if chosen_source == "replica" else "primary",
        databases=parse_databases(db if db is not None else of_policy, default=url_db, where="--db"),
        parallel=shards or 1,
    )


def _of_policy(policy: Policy) -> AuditOptions:
    audit = policy.audit
    return AuditOptions(load=audit.load, sample_percent=audit.sample_percent, source=audit.source)


def _percent(text: str) -> float:
    match = _PERCENT.match(text)
    value = float(match[1]) if match else -1.0
    if not 0 <= value <= _ALL_PERCENT:
        raise InvalidOption(
            "can't be used", where="--sample", found=quoted(text), allowed="a share from 0% to 100%, as in 1%"
        )
    return value
