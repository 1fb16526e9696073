"""A remediation that ended before its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from redis_ttl.domain.messages.kind import MessageKind, Urgency


class AbortCause(StrEnum):
    """What ended a remediation before its end."""

    GUARD = "guard"
    """A figure of the server went beyond what the policy allows, and stayed there."""
    OPERATOR = "operator"
    """Somebody stopped it."""
    REJECTED = "rejected"
    """Somebody who was asked said no."""
    TIMED_OUT = "timed_out"
    """Nobody answered in time, which means no."""
    INVALID = "invalid"
    """What was answered is no approval."""
    FAILED = "failed"
    """Something else: the run's log says what."""


@dataclass(frozen=True, slots=True)
class RunAborted:
    """A remediation ended before its end. ``reason`` is in the words of whoever ended it, a guard or a person (``by``)."""

    cluster: str
    owner: str
    plan_id: str
    at: str
    cause: AbortCause
    reason: str | None
    by: str | None
    changed_keys: int
    planned_keys: int
    patterns: tuple[str, ...]
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.RUN_ABORTED

    @property
    def urgency(self) -> Urgency:
        """A guard doesn't stop for small things; a person who did knows already."""
        return Urgency.CRITICAL if self.cause in {AbortCause.GUARD, AbortCause.FAILED} else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each end."""
        return (f"{self.cause.value} {self.at}",)
