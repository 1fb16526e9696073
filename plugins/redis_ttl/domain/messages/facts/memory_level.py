"""Memory, or the share of keys without TTL, at another level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.memory import Cost, Memory
    from redis_ttl.domain.watch.levels import Level, Measure
    from redis_ttl.domain.watch.trend import Forecast


@dataclass(frozen=True, slots=True)
class MemoryLevel:
    """Memory, or the share of keys without TTL, is at another level. ``threshold_ratio`` is what was
    passed on the way.
    """

    cluster: str
    owner: str
    at: str
    measure: Measure
    level: Level
    before: Level
    is_worse: bool
    ratio: float
    threshold_ratio: float | None
    memory: Memory
    keys: int | None
    no_ttl_keys: int | None
    eviction_policy: str | None
    forecast: Forecast | None = None
    cost: Cost | None = None
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.MEMORY_LEVEL

    @property
    def urgency(self) -> Urgency:
        """Who was woken by critical hears at once that it is over; that a warning is over can wait."""
        if "critical" in (self.level.value, self.before.value):
            return Urgency.CRITICAL
        return Urgency.NORMAL if self.is_worse else Urgency.SMALL

    @property
    def thread(self) -> str:
        """The measure."""
        return f"level {self.measure.value}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each change."""
        return (f"{self.level.value} {self.at}",)
