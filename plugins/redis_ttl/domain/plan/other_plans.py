"""Other plans of the same cluster whose keys have still to expire: they add to the expiries of a new one.

What was written is known from their journals, less what was rolled back; what may still be written counts as planned. A
plan that waits for its approval has written nothing and may never do: it is named, and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from redis_ttl.domain.codec import document_part
from redis_ttl.domain.plan.expiry_windows import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable


class OtherState(StrEnum):
    """How far another plan is."""

    WRITTEN = "written"
    WRITING = "being written"
    """It is approved, and may still write."""
    WAITING = "waiting for its approval"


@dataclass(frozen=True, slots=True)
class JournalledExpiries:
    """Keys of one rule (its number in its plan) that have still to expire by a journal, between two instants (ms since 1970)."""

    rule: int
    keys: int
    first_ms: int
    last_ms: int


@document_part
@dataclass(frozen=True, slots=True)
class OtherRule:
    """Keys of one rule of another plan that have still to expire: ``keys`` between two instants (ms since 1970), at most
    ``per_s`` of them in a second.
    """

    pattern: str
    keys: int
    first_ms: int
    last_ms: int
    per_s: float


@document_part
@dataclass(frozen=True, slots=True)
class OtherPlan:
    """Another plan of the cluster. ``unread`` says that the plan or its journal couldn't be read: what the other says counts."""

    plan_id: str
    state: OtherState
    rules: tuple[OtherRule, ...]
    unread: bool = False

    @property
    def keys(self) -> int:
        """Keys that have still to expire, over all rules."""
        return sum(rule.keys for rule in self.rules)


def standing_of(others: Iterable[OtherPlan], now_ms: int) -> list[Standing]:
    """What expires whatever a new plan does, in seconds from now."""
    return [
        Standing(max(0, (rule.first_ms - now_ms) // 1000), -(-(rule.last_ms - now_ms) // 1000), rule.per_s)
        for other in others
        if other.state is not OtherState.WAITING
        for rule in other.rules
        if rule.last_ms > now_ms
    ]
