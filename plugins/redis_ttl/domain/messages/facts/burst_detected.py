"""Keys that come in far faster than ever at this hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from redis_ttl.domain.watch.events import NotKnown, PatternGrowth, WritingClients


@dataclass(frozen=True, slots=True)
class BurstDetected:
    """Keys come in far faster than ever at this hour; what they are, who writes them, what ran at the time."""

    cluster: str
    owner: str
    since: str
    keys: int | None
    used_bytes: int | None
    no_ttl_keys: int | None
    keys_per_s: float | None
    patterns: tuple[PatternGrowth, ...] = ()
    clients: tuple[WritingClients, ...] = ()
    jobs: tuple[str, ...] = ()
    missing: tuple[NotKnown, ...] = ()
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.BURST_DETECTED

    @property
    def urgency(self) -> Urgency:
        """Memory may be full within the hour."""
        return Urgency.CRITICAL

    @property
    def thread(self) -> str:
        """The burst."""
        return f"burst {self.since}"

    @property
    def items(self) -> tuple[str, ...]:
        """The burst, once."""
        return (f"burst {self.since}",)
