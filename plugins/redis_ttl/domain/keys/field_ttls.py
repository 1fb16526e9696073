"""What is known of TTLs that single fields of hashes have (HEXPIRE; Redis 7.4, Valkey 9.0), of one hash and of a pattern's sample.

A hash whose every field has a TTL ends by itself, with its last field, although the key's own TTL is -1. Says nothing of how
fields are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

#: Fields of one hash that are looked at, however many it has: what a look costs the server is bounded.
FIELDS_LOOKED_AT: Final = 64


class FieldTtlKind(StrEnum):
    """Which fields of a hash have TTLs."""

    NONE = "none"
    """None of those that were looked at."""
    ALL = "all"
    """All of the hash's: it ends by itself."""
    SOME = "some"
    """Some have one and others don't: it stays."""
    AT_LEAST_SOME = "at_least_some"
    """All that were looked at, but there are more fields."""


@dataclass(frozen=True, slots=True)
class FieldTtls:
    """One look at a hash of ``fields`` fields: of the ``looked`` that were looked at, ``with_ttl`` have a TTL. ``last_s`` is when the
    last of those ends, in seconds from the look; None where none has one.
    """

    fields: int
    looked: int
    with_ttl: int
    last_s: int | None = None

    @property
    def kind(self) -> FieldTtlKind:
        """Which of the hash's fields have TTLs, as far as this look can tell."""
        if not self.with_ttl:
            return FieldTtlKind.NONE
        if self.with_ttl < self.looked:
            return FieldTtlKind.SOME
        return FieldTtlKind.ALL if self.looked >= self.fields else FieldTtlKind.AT_LEAST_SOME


#: A hash of a database in which, by the server's own account, no hash has a field with a TTL.
NO_FIELD_TTLS: Final = FieldTtls(0, 0, 0)


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """What the sample of one pattern tells of its hashes' fields.

    ``hashes`` sampled hashes were looked at; of these, with or without a TTL of the key, all fields have a TTL in ``all_fields``, some
    in ``some_fields``, and at least some in ``at_least_some`` (too large to look at every field). Of ``no_ttl_sampled`` sampled
    keys without a TTL it is known whether they end by themselves, and ``ending`` do, the last of them in ``last_s`` seconds.
    """

    hashes: int = 0
    all_fields: int = 0
    some_fields: int = 0
    at_least_some: int = 0
    no_ttl_sampled: int = 0
    ending: int = 0
    last_s: int | None = None

    @property
    def with_ttls(self) -> int:
        """Sampled hashes that have a field with a TTL."""
        return self.all_fields + self.some_fields + self.at_least_some

    @property
    def ending_ratio(self) -> float | None:
        """The share of keys without a TTL that end by themselves; None where that isn't known of any."""
        return self.ending / self.no_ttl_sampled if self.no_ttl_sampled else None

    def ending_of(self, keys: int) -> int | None:
        """How many of so many keys without a TTL end by themselves, rounded down; None where it isn't known."""
        return keys * self.ending // self.no_ttl_sampled if self.no_ttl_sampled else None

    def to_json(self, no_ttl_keys: int) -> dict[str, Any]:
        """Plain data; null where nothing is known."""
        is_known = self.hashes > 0
        return {
            "sampled_hashes": self.hashes,
            "all_fields": self.all_fields if is_known else None,
            "some_fields": self.some_fields if is_known else None,
            "at_least_some_fields": self.at_least_some if is_known else None,
            "ending_keys": self.ending_of(no_ttl_keys),
            "ending_last_s": self.last_s,
        }
