"""What became of a team's keys when a plan was taken back."""

from __future__ import annotations

from dataclasses import dataclass

from redis_ttl.domain.messages.kind import MessageKind, Urgency


@dataclass(frozen=True, slots=True)
class RestoredFacts:
    """What a rollback did to one rule's keys: ``restored`` are as they were, ``changed`` have an expiry by the application since, which
    stands, ``gone`` had expired or were deleted.
    """

    pattern: str
    journalled: int
    restored: int
    changed: int
    gone: int


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """A plan was taken back; ``left`` keys of all rules still have its expiry, or can't be reached. ``holes`` are parts of its journal
    that are lost: what became of their keys isn't known.
    """

    cluster: str
    owner: str
    plan_id: str
    ended_at: str
    rules: tuple[RestoredFacts, ...]
    left: int
    link: str | None = None
    holes: int = 0

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.ROLLBACK_RESULT

    @property
    def urgency(self) -> Urgency:
        """What couldn't be taken back expires."""
        return Urgency.CRITICAL if self.left or self.holes else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each rollback."""
        return (f"taken back {self.ended_at}",)
