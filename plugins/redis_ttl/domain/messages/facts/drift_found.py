"""New keys without TTL, and why they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.drift.drift import DriftKind


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """New keys without TTL of one pattern, and why they are there. ``new_keys`` are those that count: beside them ``churn_keys`` come and
    go, and about ``ending_keys`` end by themselves. ``is_unheard_of``: the next audit tells whether they stay.
    """

    cause: DriftKind
    pattern: str
    new_keys: int
    no_ttl_keys: int
    since: str
    growth_per_day: float | None = None
    due: str | None = None
    examples: tuple[str, ...] = ()
    churn_keys: int = 0
    ending_keys: int = 0
    is_unheard_of: bool = False


@dataclass(frozen=True, slots=True)
class DriftFound:
    """Keys without TTL that weren't there when somebody last accepted those that were (``accepted_at``, ``accepted_by``)."""

    cluster: str
    owner: str
    audit_id: str
    audited_at: str
    accepted: int
    accepted_at: str
    accepted_by: str | None
    findings: tuple[DriftFacts, ...]
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.DRIFT_FOUND

    @property
    def urgency(self) -> Urgency:
        """It grows by the day, not by the minute."""
        return Urgency.NORMAL

    @property
    def thread(self) -> str:
        """Everything since somebody accepted what there was."""
        return f"drift {self.accepted}"

    @property
    def patterns(self) -> Mapping[str, str]:
        """The causes with their patterns: each item with the pattern that it is about."""
        return {f"{row.cause.value} {row.pattern}": row.pattern for row in self.findings}

    @property
    def items(self) -> tuple[str, ...]:
        """As in ``patterns``."""
        return tuple(self.patterns)

    @property
    def new_keys(self) -> int:
        """New keys of all findings; an overdue rule's are counted with the pattern that they are in."""
        return sum(row.new_keys for row in self.findings if row.cause.value != "overdue")
