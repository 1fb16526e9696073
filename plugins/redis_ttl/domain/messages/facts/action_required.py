"""What an audit found for a team: keys that must have a TTL and have none."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.messages.facts.memory import Cost, Memory


class ValueKind(StrEnum):
    """How a key's value is written, which decides how its TTL is."""

    STRING = "string"
    COUNTER = "counter"
    """A string that holds a whole number."""
    HASH = "hash"
    LIST = "list"
    SET = "set"
    ZSET = "zset"
    STREAM = "stream"
    OTHER = "other"
    """A module's type, or one that wasn't asked."""


@dataclass(frozen=True, slots=True)
class KindShare:
    """The share of a pattern's sampled keys that are of that kind, 0 to 1."""

    kind: ValueKind
    share: float


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """The keys of one rule that don't keep it.

    ``pattern`` is the rule's, with the names of its parameters. ``no_ttl_keys`` have no TTL and don't end by themselves;
    ``longer_keys`` have a longer one than the rule
    allows. ``current_ttl_s`` is the mean of those that have one, None where it would say nothing of the longer ones. ``size_bytes`` is
    what the keys hold that would get another expiry. ``kinds`` are those of the sampled keys, the commonest first; none where
    types weren't asked.
    """

    pattern: str
    priority: str
    ttl_s: int
    caps: bool
    signed_off: bool
    no_ttl_keys: int
    longer_keys: int = 0
    current_ttl_s: int | None = None
    size_bytes: int | None = None
    examples: tuple[str, ...] = ()
    kinds: tuple[KindShare, ...] = ()

    @property
    def concerned_keys(self) -> int:
        """How many keys don't keep the rule."""
        return self.no_ttl_keys + (self.longer_keys if self.caps else 0)


@dataclass(frozen=True, slots=True)
class UnknownFacts:
    """Keys without a TTL that no rule and no exemption speaks of, by their pattern."""

    pattern: str
    no_ttl_keys: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BurstFacts:
    """Keys that came in far faster than before: which, when, how many, by whom (names of clients)."""

    pattern: str
    keys: int | None
    began_at: str
    ended_at: str
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """An audit met keys that must have a TTL and have none, or too long a one: what their owner has to do, and by when.

    ``owner`` is the team that it is written to, ``rules`` and ``unknown`` are its rows only. ``unknown`` are the patterns that hold a
    noticeable share; ``other_unknown_patterns`` with ``other_unknown_keys`` keys without a TTL are the rest. ``is_scattered``: none has
    a noticeable share, but all together have; then the first few are named.
    ``no_ttl_keys`` are all of the cluster; about ``ending_keys`` of them end by themselves, as all fields of these hashes have
    TTLs, and are no row's. ``growth_bytes_per_day`` is the trend of memory that the watch saw last.
    ``knows_expire_nx`` and ``knows_field_ttls`` say that
    every server takes EXPIRE with NX, and HEXPIRE.
    """

    cluster: str
    owner: str
    priority: str
    audit_id: str
    audited_at: str
    keys: int
    no_ttl_keys: int
    memory: Memory
    memory_warn_ratio: float
    memory_critical_ratio: float
    eviction_policy: str | None
    rules: tuple[RuleFacts, ...]
    deadline: dt.date
    unknown: tuple[UnknownFacts, ...] = ()
    other_unknown_patterns: int = 0
    other_unknown_keys: int = 0
    is_scattered: bool = False
    cost: Cost | None = None
    burst: BurstFacts | None = None
    growth_bytes_per_day: float | None = None
    ending_keys: int = 0
    knows_expire_nx: bool = False
    knows_field_ttls: bool = False
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.ACTION_REQUIRED

    @property
    def urgency(self) -> Urgency:
        """Rules of low priority alone can wait for the daily summary."""
        return Urgency.SMALL if self.rules and not self.unknown and self.priority >= "P3" else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """All audits of the cluster."""
        return "audit"

    @property
    def patterns(self) -> Mapping[str, str]:
        """Rules that aren't kept, with what they ask, and patterns that nobody governs: each item with the pattern that it is about."""
        rules = {f"rule {rule.pattern} {rule.ttl_s} {rule.signed_off}": rule.pattern for rule in self.rules}
        if self.is_scattered:
            return {**rules, "no rule for many": self.unknown[0].pattern}
        return {**rules, **{f"no rule {row.pattern}": row.pattern for row in self.unknown}}

    @property
    def items(self) -> tuple[str, ...]:
        """As in ``patterns``."""
        return tuple(self.patterns)

    @property
    def no_ttl_ratio(self) -> float:
        """The share of all keys that have no TTL."""
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    @property
    def freed_bytes(self) -> int | None:
        """What the keys hold that the rules would let go, as far as it is known."""
        sizes = [rule.size_bytes for rule in self.rules if rule.size_bytes is not None]
        return sum(sizes) if sizes else None
