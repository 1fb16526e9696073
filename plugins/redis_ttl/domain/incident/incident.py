"""What the incident's keyspace consists of, and how it shrinks to another size with its proportions kept.

A family is a set of keys that one piece of software writes under one kind of name. The families themselves are in
``incident_families``; here are their meaning and the arithmetic of sizes. The module knows nothing of how a key is
made or written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from redis_ttl.domain.errors import InvalidOption

FULL_KEYS: Final = 6_693_836
"""Keys in the whole keyspace at the time of the incident."""

FULL_NO_TTL_KEYS: Final = 2_623_984
"""Keys of them without a TTL: 39.2%."""

FULL_MAXMEMORY_BYTES: Final = 2_491_081_031
"""2.32 GiB, the ``maxmemory`` of the incident's server."""

INCIDENT_MEMORY_RATIO: Final = 0.875
"""``used_memory`` over ``maxmemory`` when the alert went off."""

PLACEHOLDER: Final = re.compile("<([a-z0-9_]+)>")
"""A variable part in a family's name."""

FOLDED: Final[dict[str, str]] = {
    "n": "{n}",
    "few": "{n}",
    "mobile": "{n}",
    "one": "{n}",
    "two": "{n}",
    "uuid": "{uuid}",
    "md5": "{hex}",
    "sha1": "{hex}",
    "sha256": "{hex}",
    "date": "{date}",
    "day": "{date}",
    "email": "{email}",
    "ip": "{ip}",
    "ulid": "{ulid}",
    "jwt": "{jwt}",
    "token": "{token}",
    "nick": "{text}",
    "phrase": "{text}",
    "java": "{java}",
    "gbk": "{bytes}",
}
"""What the folding of key names makes of each variable part."""


class Kind(StrEnum):
    """The type of a key, in the word that TYPE answers."""

    STRING = "string"
    HASH = "hash"
    SET = "set"
    ZSET = "zset"
    LIST = "list"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Span:
    """A figure between two bounds, both included, any value as likely as the other."""

    low: int
    high: int

    @property
    def mean(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class Family:
    """Keys that one piece of software writes: name, how many at full size, type, value and time to live.

    ``name`` holds variable parts as ``<n>`` or ``<uuid>``; ``ttl_s`` is None for keys without a TTL. ``value_bytes``
    is the size of a string, or of one element; ``elements`` is the number of elements of a collection. A family that
    the incident's record counts is ``recorded``: it scales by rounding alone, so that its share stays the recorded
    one.
    """

    name: str
    keys: int
    kind: Kind
    value_bytes: Span
    elements: Span = Span(1, 1)
    ttl_s: Span | None = None
    recorded: bool = False

    @property
    def pattern(self) -> str:
        """The pattern that an audit reports for these keys."""
        escaped = self.name.replace("{", "{{").replace("}", "}}")
        return PLACEHOLDER.sub(lambda part: FOLDED[part[1]], escaped)


@dataclass(frozen=True, slots=True)
class Share:
    """One family and how many keys of it a keyspace of some size holds."""

    family: Family
    keys: int


@dataclass(frozen=True, slots=True)
class PatternCount:
    """What an audit must find for one pattern."""

    keys: int
    no_ttl_keys: int


def scaled(families: Sequence[Family], keys: int) -> tuple[Share, ...]:
    """Shares of the families that add up to exactly ``keys``, none of them empty.

    The recorded families and the number of keys without a TTL are the full size's figures in proportion, rounded;
    what remains is divided among the other families by largest remainder. Raises InvalidOption when there are fewer
    keys than that needs.
    """
    smallest = 4 * len(families)
    if keys < smallest:
        raise InvalidOption(
            "the keyspace can't be that small: each of its families needs at least one key",
            where="--keys",
            found=f"{keys:,}",
            allowed=f"{smallest:,} or more",
        )
    full_keys = sum(family.keys for family in families)
    full_no_ttl = sum(family.keys for family in families if family.ttl_s is None)
    no_ttl_keys = round(full_no_ttl * keys / full_keys)
    counts = {
        at: max(1, round(family.keys * keys / full_keys)) for at, family in enumerate(families) if family.recorded
    }
    for lasting, total in ((True, no_ttl_keys), (False, keys - no_ttl_keys)):
        group = [at for at, family in enumerate(families) if (family.ttl_s is None) is lasting]
        rest = [at for at in group if not families[at].recorded]
        taken = sum(counts[at] for at in group if families[at].recorded)
        counts |= dict(zip(rest, _divided(total - taken, [families[at].keys for at in rest]), strict=True))
    return tuple(Share(family, counts[at]) for at, family in enumerate(families))


def expected_patterns(shares: Iterable[Share]) -> dict[str, PatternCount]:
    """What an audit of the loaded keyspace must report, pattern by pattern, in the order of the table.

    Below some 20,000 keys the few keys of the families that fold to ``{text}`` are too few to be folded by their number.
    """
    found: dict[str, PatternCount] = {}
    for share in shares:
        before = found.get(share.family.pattern, PatternCount(0, 0))
        lasting = share.keys if share.family.ttl_s is None else 0
        found[share.family.pattern] = PatternCount(before.keys + share.keys, before.no_ttl_keys + lasting)
    return found


def estimated_bytes(shares: Iterable[Share]) -> int:
    """About how much memory the keys will take on the server.

    Per key: its name, its value, and the bookkeeping that was measured on Valkey 9.1 with the C library's allocator;
    the sum is within a few percent of what ``used_memory`` grows by.
    """
    total = 0.0
    for share in shares:
        family = share.family
        size = family.value_bytes.mean
        if family.kind is not Kind.STRING:
            size = family.elements.mean * (size + _ELEMENT_BYTES[family.kind])
        total += share.keys * (_KEY_BYTES + len(family.name.encode()) + size * _ALLOCATION)
    return round(total)


_KEY_BYTES = 76
_ELEMENT_BYTES = {Kind.HASH: 12, Kind.SET: 5, Kind.ZSET: 12, Kind.LIST: 5, Kind.STREAM: 12}
_ALLOCATION = 1.05


def _divided(total: int, weights: Sequence[int]) -> list[int]:
    """One for each weight, and the rest of ``total`` in proportion to what each has above one, by largest remainder."""
    spare = total - len(weights)
    above = [weight - 1 for weight in weights]
    whole = sum(above)
    parts = [divmod(spare * share, whole) for share in above]
    left = spare - sum(quotient for quotient, _ in parts)
    first = sorted(range(len(parts)), key=lambda index: -parts[index][1])[:left]
    counts = [1 + quotient for quotient, _ in parts]
    for index in first:
        counts[index] += 1
    return counts
