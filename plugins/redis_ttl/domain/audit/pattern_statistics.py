"""What an audit knows of one pattern. Says nothing of how it was counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.audit.estimate import Estimate, Sample, estimate_total
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.keys.field_ttls import FieldStatistics
from redis_ttl.domain.keys.name import key_text

if TYPE_CHECKING:
    from collections.abc import Mapping


#: Strings that are stored as only APPEND, SETRANGE, SETBIT and PFADD leave them.
SHORT_RAW: Final = "string written in place"


class Governance(StrEnum):
    """Whether a policy speaks of a pattern's keys."""

    RULE = "rule"
    EXEMPT = "exempt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PatternStatistics:
    """One row of the report: the keys of one database that fold to one pattern and are governed alike.

    ``over_rule_keys`` have a TTL longer than the rule that governs them allows, ``under_rule_keys`` one with less left than the rule's
    TTL; ``ttl_histogram`` counts keys with a
    TTL by :data:`TTL_CLASSES`; TTLs are in seconds as the scan met them; ``sizes`` are sampled bytes (MEMORY USAGE),
    ``freqs`` sampled LFU counters, ``idles_s`` sampled idle seconds; ``types`` counts sampled keys by type. Of the
    sampled keys, ``hot_keys`` are in use (:attr:`redis_ttl.domain.audit.key_facts.KeyFacts.is_hot`) and ``counter_keys`` are
    strings that hold a whole number. ``unwritten_s`` are sampled seconds since the last write, where the server tells that and
    not the last use. ``other_types`` counts those of ``other`` by the names that the server gives them, some of them.
    ``short_raw_keys`` are strings that were changed in place for certain (`KeyFacts.is_short_raw`). ``fields`` is what is known of
    TTLs of hashes' fields.
    """

    db: int
    pattern: str
    governance: Governance
    governed_by: str | None
    keys: int
    no_ttl_keys: int
    ttl_histogram: tuple[int, ...]
    over_rule_keys: int = 0
    ttl_mean_s: float | None = None
    ttl_min_s: int | None = None
    ttl_max_s: int | None = None
    sizes: Sample = field(default_factory=Sample)
    freqs: Sample = field(default_factory=Sample)
    idles_s: Sample = field(default_factory=Sample)
    types: Mapping[str, int] = field(default_factory=dict)
    hot_keys: int = 0
    counter_keys: int = 0
    unwritten_s: Sample = field(default_factory=Sample)
    other_types: Mapping[str, int] = field(default_factory=dict)
    short_raw_keys: int = 0
    examples: tuple[bytes, ...] = ()
    fields: FieldStatistics = field(default_factory=FieldStatistics)
    under_rule_keys: int = 0

    @property
    def no_ttl_ratio(self) -> float:
        """The share of keys without TTL, 0 to 1."""
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    @property
    def ending_keys(self) -> int | None:
        """About how many of the keys without a TTL end by themselves, as all fields of these hashes have one; None where that
        isn't known.
        """
        return self.fields.ending_of(self.no_ttl_keys)

    @property
    def lasting_keys(self) -> int:
        """Keys without a TTL that don't end by themselves, as far as that is known."""
        return self.no_ttl_keys - (self.ending_keys or 0)

    @property
    def rule(self) -> str | None:
        """The pattern of the policy rule that governs these keys; ``None`` where none does or an exemption does."""
        return self.governed_by if self.governance is Governance.RULE else None

    @property
    def size_bytes(self) -> Estimate | None:
        """The bytes that all keys of the pattern hold, estimated from the sample; ``None`` without a sample."""
        return estimate_total(self.sizes, self.keys)

    @property
    def hot_ratio(self) -> float | None:
        """The share of sampled keys that are in use, 0 to 1; ``None`` where use wasn't asked or can't be told."""
        asked = self.freqs.count + self.idles_s.count
        return self.hot_keys / asked if asked else None

    @property
    def updated_in_place(self) -> dict[str, float]:
        """The kinds of values among the sampled keys that are written without being replaced, which leaves the TTL as it is,
        with their shares: every type but strings, by its name, and of strings ``counter`` and what else is known.
        """
        sampled = sum(self.types.values())
        strings = {"counter": self.counter_keys, SHORT_RAW: self.short_raw_keys}
        kinds = {name: keys for name, keys in {**self.named_types, **strings}.items() if keys and name != "string"}
        return {name: keys / sampled for name, keys in kinds.items()}

    @property
    def untold_strings_ratio(self) -> float:
        """The share of sampled keys that are strings of which nobody can tell how they are written."""
        sampled = sum(self.types.values())
        return (
            max(0, self.types.get("string", 0) - self.counter_keys - self.short_raw_keys) / sampled if sampled else 0.0
        )

    @property
    def named_types(self) -> dict[str, int]:
        """``types``, with the names of other types in the place of ``other`` as far as they are known."""
        named = {name: keys for name, keys in self.types.items() if name != "other"}
        for name, keys in self.other_types.items():
            named[name] = named.get(name, 0) + keys
        rest = self.types.get("other", 0) - sum(self.other_types.values())
        return {**named, "other": rest} if rest > 0 else named

    def to_json(self) -> dict[str, Any]:
        """Plain data for machines; keys as text, sizes in bytes, TTLs in seconds."""
        size = self.size_bytes
        return {
            "db": self.db,
            "pattern": self.pattern,
            "rule": self.rule,
            "governance": self.governance.value,
            "governed_by": self.governed_by,
            "keys": self.keys,
            "no_ttl_keys": self.no_ttl_keys,
            "no_ttl_ratio": round(self.no_ttl_ratio, 6),
            "over_rule_keys": self.over_rule_keys,
            "ttl_histogram": dict(zip(TTL_CLASSES, self.ttl_histogram, strict=True)),
            "ttl_mean_s": None if self.ttl_mean_s is None else round(self.ttl_mean_s, 1),
            "ttl_min_s": self.ttl_min_s,
            "ttl_max_s": self.ttl_max_s,
            "bytes": None if size is None else round(size.value),
            "bytes_low": None if size is None or size.low is None else round(size.low),
            "bytes_high": None if size is None or size.high is None else round(size.high),
            "bytes_sampled_keys": self.sizes.count,
            "types": dict(sorted(self.types.items())),
            "freq_mean": _rounded(self.freqs.mean),
            "freq_max": self.freqs.largest if self.freqs.count else None,
            "idle_mean_s": _rounded(self.idles_s.mean),
            "idle_max_s": self.idles_s.largest if self.idles_s.count else None,
            "hot_ratio": None if self.hot_ratio is None else round(self.hot_ratio, 6),
            "counter_sampled_keys": self.counter_keys,
            "short_raw_sampled_keys": self.short_raw_keys,
            "other_types": dict(sorted(self.other_types.items())),
            "unwritten_mean_s": _rounded(self.unwritten_s.mean),
            "unwritten_max_s": self.unwritten_s.largest if self.unwritten_s.count else None,
            "field_ttls": self.fields.to_json(self.no_ttl_keys),
            "examples": [key_text(key) for key in self.examples],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
