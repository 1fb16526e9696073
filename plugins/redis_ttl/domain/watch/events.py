"""What a watch tells: a level that was reached or left, and a burst with what is known of its source. Each is a document of the store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from redis_ttl.domain.audit.node_memory import Fullest
from redis_ttl.domain.codec import document, document_part
from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.domain.watch.trend import Forecast

#: 2 added ``limit_is_told`` and ``fullest``, and figures that may be null.
EVENT_SCHEMA: Final = "redis_ttl.watch_event/2"


@document_part
@dataclass(frozen=True, slots=True)
class PatternGrowth:
    """A pattern among the keys sampled during a burst: its share now with a 95% interval, the keys that this means, and how
    many the last audit knew. ``ttl_s`` is the median TTL of its sampled keys that have one, ``no_ttl_ratio`` the share without.
    """

    pattern: str
    share: float
    share_low: float
    share_high: float
    keys: int
    keys_low: int
    keys_high: int
    audited_keys: int
    no_ttl_ratio: float
    ttl_s: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def grown_keys(self) -> int:
        """By how many keys it has grown since the audit, as far as can be told."""
        return self.keys - self.audited_keys


@document_part
@dataclass(frozen=True, slots=True)
class WritingClients:
    """Connections of one name, user and host whose last command writes: how many, and which commands."""

    name: str
    user: str
    host: str
    connections: int
    commands: tuple[str, ...]


class NotKnown(StrEnum):
    """What couldn't be found out about a burst."""

    AUDIT = "there is no audit to compare with"
    KEYS = "RANDOMKEY may not be called"
    CLIENTS = "CLIENT LIST may not be called"
    KEYSPACE = "INFO doesn't tell how many keys there are"


@document(EVENT_SCHEMA, kind="burst")
@dataclass(frozen=True, slots=True)
class BurstReport:
    """A burst and what is known of its source. Figures are from the sample before it to the one that found it.

    ``calls`` is how often commands that write were called since the sample before; ``jobs`` are DAG runs and declared jobs of
    the policy that overlap. ``missing`` says what couldn't be asked.
    """

    cluster: str
    at: str
    since: str
    keys: int | None
    used_bytes: int | None
    no_ttl_keys: int | None
    keys_per_s: float | None
    sampled: int
    patterns: tuple[PatternGrowth, ...] = ()
    clients: tuple[WritingClients, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()
    jobs: tuple[str, ...] = ()
    audit_id: str | None = None
    missing: tuple[NotKnown, ...] = ()


@document(EVENT_SCHEMA, kind="level")
@dataclass(frozen=True, slots=True)
class LevelChange:
    """A measure that has reached another level, or came back. For memory ``ratio`` is that of the fullest node (``fullest`` where there
    are several): a sum that looks fine keeps no node from being full.
    """

    cluster: str
    at: str
    measure: Measure
    level: Level
    before: Level
    ratio: float
    used_bytes: int | None
    limit_bytes: int | None
    keys: int | None
    no_ttl_keys: int | None
    eviction_policy: str | None
    forecast: Forecast | None = None
    scaling_usd_per_month: float | None = None
    scaling_note: str | None = None
    limit_is_told: bool = True
    fullest: Fullest | None = None

    @property
    def is_worse(self) -> bool:
        """Whether it has risen."""
        return self.level.is_above(self.before)
