"""Memory and what more of it costs, as several kinds of message tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_ttl.domain.audit.node_memory import Fullest, NodesMemory


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in use on all nodes together, and the limit where each has one; None where a node doesn't tell.

    ``limit_is_told`` tells an unknown limit from none. ``fullest`` is the fullest of several nodes.
    """

    used_bytes: int | None
    limit_bytes: int | None = None
    limit_is_told: bool = True
    fullest: Fullest | None = None

    @classmethod
    def of(cls, nodes: NodesMemory) -> Memory:
        """That of these nodes."""
        return cls(nodes.used_bytes, nodes.limit_bytes, nodes.limit_is_told, nodes.fullest)

    @property
    def ratio(self) -> float | None:
        """Used memory as a share of the limit."""
        return None if self.used_bytes is None or not self.limit_bytes else self.used_bytes / self.limit_bytes

    @property
    def worst_ratio(self) -> float | None:
        """That of the fullest node, or of the only one."""
        return self.ratio if self.fullest is None else self.fullest.ratio


@dataclass(frozen=True, slots=True)
class Cost:
    """What the next larger cluster would cost more."""

    usd_per_month: float
    note: str | None = None
