"""What a plan would do to a team's keys, while it waits for its approval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.memory import Memory
    from redis_ttl.domain.plan.caution import Caution


@dataclass(frozen=True, slots=True)
class PlannedFacts:
    """What a plan would do to one rule's keys: they expire between ``ttl_s`` and ``ttl_s + window_s`` seconds after the approval,
    the last of those that are written when it ends. ``cautions`` are the plan's, about these keys.
    """

    pattern: str
    priority: str
    ttl_s: int
    window_s: int
    keys: int
    size_bytes: int | None = None
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A plan waits for its approval. ``rules`` are the owner's, ``plan_keys`` counts those of all. ``answer_by`` is the end of its time,
    ``gate`` the task that waits.

    ``peak`` is the memory forecast while TTLs are set, ``expiries_per_s`` the worst second of what expires later; ``undo_s`` after the
    approval the plan's first key expires, and until then all of it can be taken back. ``cautions`` are about the plan as a whole.
    """

    cluster: str
    owner: str
    plan_id: str
    digest: str
    request_id: str
    gate: str
    answer_by: str
    rules: tuple[PlannedFacts, ...]
    plan_keys: int
    keys: int
    peak: Memory
    expiries_per_s: float
    undo_s: int
    cautions: tuple[Caution, ...] = ()
    approvers: tuple[str, ...] = ()
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.APPROVAL_REQUESTED

    @property
    def urgency(self) -> Urgency:
        """A plan waits for hours."""
        return Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each time that it is asked."""
        return (f"asked {self.request_id}",)

    @property
    def priority(self) -> str:
        """That of the most urgent rule."""
        return min(rule.priority for rule in self.rules)
