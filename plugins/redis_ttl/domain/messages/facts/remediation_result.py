"""What became of a team's keys when a plan was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.memory import Memory


@dataclass(frozen=True, slots=True)
class WrittenFacts:
    """What became of one rule's keys. ``kept`` have the expiry that was set, ``changed`` another one by the application since, ``wiped``
    lost it by being written again; ``gone`` were deleted or have expired; ``left_alone`` had a TTL, were in use, or changed
    under our hands. ``missed`` should have been changed.
    """

    pattern: str
    planned: int
    kept: int
    changed: int
    wiped: int
    gone: int
    left_alone: int
    missed: int
    no_ttl_keys: int


@dataclass(frozen=True, slots=True)
class RemediationResult:
    """A plan was written to its end. ``undo_until`` is the earliest expiry: until then all of it can be taken back."""

    cluster: str
    owner: str
    plan_id: str
    ended_at: str
    rules: tuple[WrittenFacts, ...]
    keys_before: int
    no_ttl_before: int
    keys_after: int
    no_ttl_after: int
    memory_after: Memory
    memory_expected_bytes: int | None
    approved_by: tuple[str, ...]
    undo_until: str | None
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.REMEDIATION_RESULT

    @property
    def urgency(self) -> Urgency:
        """Keys that were missed are a defect that somebody must see to."""
        return Urgency.CRITICAL if any(rule.missed for rule in self.rules) else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each verification."""
        return (f"written, verified {self.ended_at}",)

    @property
    def kept(self) -> int:
        """Keys that have the expiry that was set."""
        return sum(rule.kept for rule in self.rules)
