"""What somebody must know before saying yes to a plan, as figures, so that it can be said in any language.

A plan has the same as English sentences for its page (its ``warnings``); a message to an owner is made of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from redis_ttl.domain.codec import document_part


class CautionKind(StrEnum):
    """What it is about."""

    EVICTABLE = "evictable"
    """A key can be evicted from the moment that it has a TTL: ``name`` is the eviction policy."""
    UNGUARDED = "unguarded"
    """The policy does without the guards of ``kinds``, by their keys in ``remediation.guards``."""
    RENEWS = "renews"
    """Under the eviction policy ``name`` a key that gets a TTL counts as just written."""
    STRINGS = "strings"
    """``ratio`` of the values are strings of which nobody can tell whether they are updated in place: the same then."""
    OTHER_WAITS = "other_waits"
    """Plan ``name`` waits for its approval, too."""
    OTHER_UNREAD = "other_unread"
    """The plan ``name``, or its journal, can't be read."""
    IN_PLACE = "in_place"
    """Values of ``kinds`` are updated in place, which keeps the TTL: ``ttl_s`` after the approval they go all the same."""
    IN_USE = "in_use"
    """``ratio`` of the keys are in use."""
    IN_USE_LEFT = "in_use_left"
    """``ratio`` of the keys are in use, and left alone by the rule."""
    BIG = "big"
    """The largest sampled key has ``size_bytes``, and server ``name`` frees what expires while it answers nobody."""
    BIG_UNKNOWN = "big_unknown"
    """The same, where ``name`` doesn't say how it frees."""
    FIELDS_END = "fields_end"
    """``ratio`` of the keys are hashes that end by themselves, the last of their fields ``ttl_s`` after the audit."""
    FIELDS_CUT = "fields_cut"
    """The same, and some of their fields are to live longer than the rule's TTL."""
    FIELDS_MIXED = "fields_mixed"
    """``ratio`` of the hashes have fields with TTLs, and others that live longer, or may."""
    EXTENDED = "extended"
    """``ratio`` of the keys live longer than their applications asked for: until then they keep their memory, and once the old TTL has run
    out it can't be given back."""
    TEXT = "text"
    """Something else, in the English words ``text``."""


@document_part
@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to know; which of the figures it has follows from its kind."""

    kind: CautionKind
    name: str | None = None
    ratio: float | None = None
    ttl_s: int | None = None
    size_bytes: int | None = None
    kinds: tuple[str, ...] = ()
    text: str | None = None
