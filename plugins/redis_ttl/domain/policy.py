"""What a cluster's policy says: who owns it, which keys must have which TTL, and how it is audited.

Knows nothing of files, YAML or Airflow; ``redis_ttl.adapters.policy_file`` makes these from a policy file and vouches
for their values. Ratios are fractions of 1, durations are seconds.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from redis_ttl.domain.key_pattern import KeyPattern

DEFAULT_SCHEDULE: Final = "0 2 * * *"
"""Nightly, when nothing else is said; in the time zone of the audit."""

DEFAULT_JITTER_RATIO: Final = 0.10


class Priority(StrEnum):
    """How urgent a rule is to its owner; P0 is the most urgent."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


class Mode(StrEnum):
    """Which keys of its pattern a rule speaks of."""

    SET = "set"
    """Keys without a TTL, nothing else."""
    CAP = "cap"
    """Keys without a TTL, and keys whose TTL is longer than the rule's."""


DEFAULT_MODE: Final = Mode.SET
DEFAULT_PRIORITY: Final = Priority.P2


class Language(StrEnum):
    """A language that messages are written in."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True)
class Owner:
    """The team that the cluster's keys belong to, and how to reach it."""

    team: str
    slack: str | None = None
    email: tuple[str, ...] = ()
    languages: tuple[Language, ...] = (Language.ENGLISH,)


@dataclass(frozen=True, slots=True)
class MemoryThresholds:
    """Shares of maxmemory at which somebody must look, and at which somebody must act; ``warn_ratio`` is the lower."""

    warn_ratio: float = 0.60
    critical_ratio: float = 0.85


@dataclass(frozen=True, slots=True)
class NoTtlThreshold:
    """The share of keys without a TTL at which somebody must look."""

    warn_ratio: float = 0.10


@dataclass(frozen=True, slots=True)
class ScalingCost:
    """What the next larger cluster would cost more each month."""

    usd_per_month: float
    note: str | None = None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """When and how the cluster is audited."""

    schedule: str | None = DEFAULT_SCHEDULE
    """A cron expression of five fields or a preset such as ``@daily``; None runs by hand only."""
    timezone: str = "UTC"
    """The IANA time zone that ``schedule`` is meant in."""
    load: str = "gentle"
    """In the words of ``redis_ttl.domain.load.parse_load``."""
    shards: int | None = None
    """Into how many parts a scan is split; None lets the size of the keyspace decide."""
    parallel: int = 4
    """How many of them may be scanned at a time."""
    sample_percent: float = 1.0
    """Of how many keys in a hundred type, size and use are looked at; 0 looks at none."""
    pool: str | None = None
    """The Airflow pool that the scanning tasks draw from; None is Airflow's default pool."""
    databases: Literal["all"] | tuple[int, ...] | None = None
    """The numbers of the databases, or all of them; None is the one that the connection names."""
    source: Literal["primary", "replica"] = "primary"
    """Which node of a replicated server is read."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """The owner's agreement to a rule. Without one a rule is reported and never applied."""

    by: str
    on: dt.date
    ref: str | None = None
    """Where it can be read: a ticket, a thread."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern and the TTL that its keys must have."""

    pattern: KeyPattern
    ttl_s: int
    mode: Mode = DEFAULT_MODE
    priority: Priority = DEFAULT_PRIORITY
    jitter_ratio: float = DEFAULT_JITTER_RATIO
    """By how much a TTL may be lengthened, as a share of it, so that keys don't expire all at once."""
    sign_off: SignOff | None = None

    @property
    def longest_ttl_s(self) -> int:
        """The longest TTL that keeps the rule: jitter lengthens what the rule asks for, and must not look like a breach of it."""
        return self.ttl_s + int(self.ttl_s * self.jitter_ratio)


@dataclass(frozen=True, slots=True)
class Exemption:
    """A pattern whose keys are never written, and why."""

    pattern: KeyPattern
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that the policy file of one cluster says."""

    cluster: str
    connection: str
    """The id of the Airflow connection that reads."""
    owner: Owner
    write_connection: str | None = None
    """The id of the Airflow connection that writes; None writes over ``connection``."""
    memory: MemoryThresholds = MemoryThresholds()
    no_ttl: NoTtlThreshold = NoTtlThreshold()
    scaling_cost: ScalingCost | None = None
    audit: AuditSettings = AuditSettings()
    rules: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def governs(self, text: str) -> Rule | Exemption | None:
        """What decides about the key of this text: an exemption before any rule, and of several the first."""
        entries: tuple[Rule | Exemption, ...] = (*self.exemptions, *self.rules)
        for entry in entries:
            if entry.pattern.matches(text):
                return entry
        return None

    @property
    def hash(self) -> str:
        """The SHA-256, in hex, of what the policy says; comments, order and spelling (``1d``, ``24h``) don't count."""
        content = json.dumps(_canonical(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


def _canonical(value: object) -> object:
    """A value as JSON types, the same for equal policies in every process."""
    if isinstance(value, KeyPattern):
        return value.text
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
