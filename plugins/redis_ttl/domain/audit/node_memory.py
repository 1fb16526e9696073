"""Memory of the nodes of a deployment: each for itself, all together, and the fullest, which a sum hides.

What a node doesn't tell is unknown, and so is every sum that it belongs to; a node without a limit has none, which is something
else. Knows nothing of servers or of who wants to know.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis_ttl.domain.codec import document_part


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """One node: bytes in use, and how many it may use. ``limit_bytes`` is None for no limit, and for one that isn't told
    (``limit_is_told`` is False then).
    """

    address: str
    used_bytes: int | None
    limit_bytes: int | None = None
    limit_is_told: bool = True

    @property
    def ratio(self) -> float | None:
        """What is used, as a share of the limit; None where either is unknown or there is no limit."""
        if self.used_bytes is None or not self.limit_bytes:
            return None
        return self.used_bytes / self.limit_bytes


@document_part
@dataclass(frozen=True, slots=True)
class Fullest:
    """The fullest of several nodes, and how full it is."""

    address: str
    ratio: float


@dataclass(frozen=True, slots=True)
class NodesMemory:
    """All nodes of one deployment."""

    nodes: tuple[NodeMemory, ...]

    @property
    def used_bytes(self) -> int | None:
        """Memory in use on all nodes together; None where one doesn't tell."""
        used = [node.used_bytes for node in self.nodes]
        return None if not used or None in used else sum(each for each in used if each is not None)

    @property
    def limit_bytes(self) -> int | None:
        """The limits together; None where a node has none, or doesn't tell."""
        limits = [node.limit_bytes for node in self.nodes]
        return None if not limits or None in limits else sum(limit for limit in limits if limit is not None)

    @property
    def limit_is_told(self) -> bool:
        """Whether every node says what it may use, or that it may use as much as there is."""
        return all(node.limit_is_told for node in self.nodes)

    @property
    def ratio(self) -> float | None:
        """What is used, as a share of the limit, over all nodes."""
        used, limit = self.used_bytes, self.limit_bytes
        return None if used is None or not limit else used / limit

    @property
    def worst_ratio(self) -> float | None:
        """How full the fullest node is, of those that tell; None where none does."""
        return max((node.ratio for node in self.nodes if node.ratio is not None), default=None)

    @property
    def is_whole(self) -> bool:
        """Whether it is known of every node how full it is."""
        return all(node.ratio is not None for node in self.nodes)

    @property
    def fullest(self) -> Fullest | None:
        """The fullest node, where there are several and it is known: a sum says nothing of it."""
        known = [(node.ratio, node.address) for node in self.nodes if node.ratio is not None]
        if len(self.nodes) < 2 or not known:  # noqa: PLR2004  # one node is its own sum
            return None
        ratio, address = max(known)
        return Fullest(address, ratio)
