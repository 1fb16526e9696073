"""What a drift check is asked, and what it needs from the outside."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.errors import NotApproved
from redis_ttl.domain.remediation.approval import is_nameable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.drift.drift import (
        DriftReport,
    )
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.drift.drift_ports import NewComparison
    from redis_ttl.usecases.ports import Documents, Redis


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody's word that what an audit found is accounted for."""

    by: str | None
    why: str


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """One check: of which audit, in which run, and whether it accepts what it finds."""

    audit_id: str
    run: str
    accept: Acceptance | None = None


@dataclass(frozen=True, slots=True)
class DriftTools:
    """What checking needs from the outside.

    ``names_in_report`` says what shards' patterns are called in the report that was made of these documents. ``redis`` is
    asked for names of new keys; None doesn't ask. ``warn`` hears what the check does without. ``page`` makes the page of a report.
    """

    documents: Documents
    policy: Policy
    new_comparison: NewComparison
    read_patterns: Callable[[bytes], Sequence[PatternStatistics]]
    names_in_report: Callable[[Iterable[bytes]], Mapping[str, str]]
    redis: Redis | None
    now: Callable[[], dt.datetime]
    warn: Callable[[str], None]
    page: Callable[[DriftReport], str]


def check_acceptance(accept: Acceptance) -> None:
    """Raise :class:`NotApproved` for one without a reason, or by nobody who can be named."""
    if not accept.why.strip():
        raise NotApproved(
            "what is accepted needs a reason",
            where="reason",
            todo="Trigger it again with accept and a reason that someone understands a year from now.",
        )
    if not is_nameable(accept.by):
        raise NotApproved(
            "cannot identify who is accepting",
            where="the user who triggered this run",
            found=repr(accept.by),
            todo="Trigger it as a user who has logged in; an Airflow where everybody is admin can't accept drift.",
        )
