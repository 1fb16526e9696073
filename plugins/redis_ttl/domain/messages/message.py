"""What a message to a team is about: its facts, in no language.

Facts are plain and complete: whoever renders them asks nobody anything. A team gets its own rows only; figures of the cluster are
those of all of it. Moments are ISO 8601 with their offset, ratios are fractions of 1, durations are seconds.

All of them say what they are about (``kind``), to which team (``owner``), and how soon it must be read (``urgency``). ``thread`` names
what a message belongs to: a later one about the same goes on from there. ``items`` are the single things that it tells: when all of
them were told not long ago, it isn't sent. Figures are no items, so a count that moves is no news. ``link`` is the address of a page
that shows more.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.audit.node_memory import Fullest, NodesMemory
    from redis_ttl.domain.drift.drift import DriftKind
    from redis_ttl.domain.plan.caution import Caution
    from redis_ttl.domain.watch.watch import Forecast, Level, Measure, NotKnown, PatternGrowth, WritingClients


class MessageKind(StrEnum):
    """What a message is about."""

    ACTION_REQUIRED = "action_required"
    """An audit met keys that must have a TTL and have none."""
    APPROVAL_REQUESTED = "approval_requested"
    """A plan waits for its approval."""
    REMEDIATION_RESULT = "remediation_result"
    """A plan was written to its end, and verified."""
    ROLLBACK_RESULT = "rollback_result"
    """A plan was taken back."""
    DRIFT_FOUND = "drift_found"
    """New keys without TTL, more than the policy tolerates."""
    MEMORY_LEVEL = "memory_level"
    """Memory, or the share of keys without TTL, has reached another level."""
    BURST_DETECTED = "burst_detected"
    """Keys come in far faster than ever at this hour."""
    RUN_ABORTED = "run_aborted"
    """A remediation ended before its end: by a guard, an operator, or for want of an approval."""


#: What is a state, and reminded of while it lasts; everything else has happened once, and is told once.
STATES: Final = frozenset({MessageKind.ACTION_REQUIRED, MessageKind.DRIFT_FOUND})


class Format(StrEnum):
    """What a message can be shown as."""

    SLACK = "slack"
    EMAIL = "email"
    MARKDOWN = "markdown"


class Urgency(StrEnum):
    """How soon a message must be read."""

    CRITICAL = "critical"
    """At once, in quiet hours too."""
    NORMAL = "normal"
    """At once, or when quiet hours end."""
    SMALL = "small"
    """Once a day, together with others."""


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


@dataclass(frozen=True, slots=True)
class PlannedFacts:
    """What a plan would do to one rule's keys: they expire between ``ttl_s`` and ``ttl_s + window_s`` seconds after the approval,
    the last of those that are written when it ends. ``cautions`` are the plan's, about these keys.
    """

    pattern: str
    priority: str
    ttl_s: int
    window_s: int
    keys: int
    size_bytes: int | None = None
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A plan waits for its approval. ``rules`` are the owner's, ``plan_keys`` counts those of all. ``answer_by`` is the end of its time,
    ``gate`` the task that waits.

    ``peak`` is the memory forecast while TTLs are set, ``expiries_per_s`` the worst second of what expires later; ``undo_s`` after the
    approval the plan's first key expires, and until then all of it can be taken back. ``cautions`` are about the plan as a whole.
    """

    cluster: str
    owner: str
    plan_id: str
    digest: str
    request_id: str
    gate: str
    answer_by: str
    rules: tuple[PlannedFacts, ...]
    plan_keys: int
    keys: int
    peak: Memory
    expiries_per_s: float
    undo_s: int
    cautions: tuple[Caution, ...] = ()
    approvers: tuple[str, ...] = ()
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.APPROVAL_REQUESTED

    @property
    def urgency(self) -> Urgency:
        """A plan waits for hours."""
        return Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each time that it is asked."""
        return (f"asked {self.request_id}",)

    @property
    def priority(self) -> str:
        """That of the most urgent rule."""
        return min(rule.priority for rule in self.rules)


@dataclass(frozen=True, slots=True)
class WrittenFacts:
    """What became of one rule's keys. ``kept`` have the expiry that was set, ``changed`` another one by the application since, ``wiped``
    lost it by being written again; ``gone`` were deleted or have expired; ``left_alone`` had a TTL, were in use, or changed
    under our hands. ``missed`` should have been changed.
    """

    pattern: str
    planned: int
    kept: int
    changed: int
    wiped: int
    gone: int
    left_alone: int
    missed: int
    no_ttl_keys: int


@dataclass(frozen=True, slots=True)
class RemediationResult:
    """A plan was written to its end. ``undo_until`` is the earliest expiry: until then all of it can be taken back."""

    cluster: str
    owner: str
    plan_id: str
    ended_at: str
    rules: tuple[WrittenFacts, ...]
    keys_before: int
    no_ttl_before: int
    keys_after: int
    no_ttl_after: int
    memory_after: Memory
    memory_expected_bytes: int | None
    approved_by: tuple[str, ...]
    undo_until: str | None
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.REMEDIATION_RESULT

    @property
    def urgency(self) -> Urgency:
        """Keys that were missed are a defect that somebody must see to."""
        return Urgency.CRITICAL if any(rule.missed for rule in self.rules) else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each verification."""
        return (f"written, verified {self.ended_at}",)

    @property
    def kept(self) -> int:
        """Keys that have the expiry that was set."""
        return sum(rule.kept for rule in self.rules)


@dataclass(frozen=True, slots=True)
class RestoredFacts:
    """What a rollback did to one rule's keys: ``restored`` are as they were, ``changed`` have an expiry by the application since, which
    stands, ``gone`` had expired or were deleted.
    """

    pattern: str
    journalled: int
    restored: int
    changed: int
    gone: int


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """A plan was taken back; ``left`` keys of all rules still have its expiry, or can't be reached. ``holes`` are parts of its journal
    that are lost: what became of their keys isn't known.
    """

    cluster: str
    owner: str
    plan_id: str
    ended_at: str
    rules: tuple[RestoredFacts, ...]
    left: int
    link: str | None = None
    holes: int = 0

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.ROLLBACK_RESULT

    @property
    def urgency(self) -> Urgency:
        """What couldn't be taken back expires."""
        return Urgency.CRITICAL if self.left or self.holes else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each rollback."""
        return (f"taken back {self.ended_at}",)


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """New keys without TTL of one pattern, and why they are there. ``new_keys`` are those that count: beside them ``churn_keys`` come and
    go, and about ``ending_keys`` end by themselves. ``is_unheard_of``: the next audit tells whether they stay.
    """

    cause: DriftKind
    pattern: str
    new_keys: int
    no_ttl_keys: int
    since: str
    growth_per_day: float | None = None
    due: str | None = None
    examples: tuple[str, ...] = ()
    churn_keys: int = 0
    ending_keys: int = 0
    is_unheard_of: bool = False


@dataclass(frozen=True, slots=True)
class DriftFound:
    """Keys without TTL that weren't there when somebody last accepted those that were (``accepted_at``, ``accepted_by``)."""

    cluster: str
    owner: str
    audit_id: str
    audited_at: str
    accepted: int
    accepted_at: str
    accepted_by: str | None
    findings: tuple[DriftFacts, ...]
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.DRIFT_FOUND

    @property
    def urgency(self) -> Urgency:
        """It grows by the day, not by the minute."""
        return Urgency.NORMAL

    @property
    def thread(self) -> str:
        """Everything since somebody accepted what there was."""
        return f"drift {self.accepted}"

    @property
    def patterns(self) -> Mapping[str, str]:
        """The causes with their patterns: each item with the pattern that it is about."""
        return {f"{row.cause.value} {row.pattern}": row.pattern for row in self.findings}

    @property
    def items(self) -> tuple[str, ...]:
        """As in ``patterns``."""
        return tuple(self.patterns)

    @property
    def new_keys(self) -> int:
        """New keys of all findings; an overdue rule's are counted with the pattern that they are in."""
        return sum(row.new_keys for row in self.findings if row.cause.value != "overdue")


@dataclass(frozen=True, slots=True)
class MemoryLevel:
    """Memory, or the share of keys without TTL, is at another level. ``threshold_ratio`` is what was
    passed on the way.
    """

    cluster: str
    owner: str
    at: str
    measure: Measure
    level: Level
    before: Level
    is_worse: bool
    ratio: float
    threshold_ratio: float | None
    memory: Memory
    keys: int | None
    no_ttl_keys: int | None
    eviction_policy: str | None
    forecast: Forecast | None = None
    cost: Cost | None = None
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.MEMORY_LEVEL

    @property
    def urgency(self) -> Urgency:
        """Who was woken by critical hears at once that it is over; that a warning is over can wait."""
        if "critical" in (self.level.value, self.before.value):
            return Urgency.CRITICAL
        return Urgency.NORMAL if self.is_worse else Urgency.SMALL

    @property
    def thread(self) -> str:
        """The measure."""
        return f"level {self.measure.value}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each change."""
        return (f"{self.level.value} {self.at}",)


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


class AbortCause(StrEnum):
    """What ended a remediation before its end."""

    GUARD = "guard"
    """A figure of the server went beyond what the policy allows, and stayed there."""
    OPERATOR = "operator"
    """Somebody stopped it."""
    REJECTED = "rejected"
    """Somebody who was asked said no."""
    TIMED_OUT = "timed_out"
    """Nobody answered in time, which means no."""
    INVALID = "invalid"
    """What was answered is no approval."""
    FAILED = "failed"
    """Something else: the run's log says what."""


@dataclass(frozen=True, slots=True)
class RunAborted:
    """A remediation ended before its end. ``reason`` is in the words of whoever ended it, a guard or a person (``by``)."""

    cluster: str
    owner: str
    plan_id: str
    at: str
    cause: AbortCause
    reason: str | None
    by: str | None
    changed_keys: int
    planned_keys: int
    patterns: tuple[str, ...]
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.RUN_ABORTED

    @property
    def urgency(self) -> Urgency:
        """A guard doesn't stop for small things; a person who did knows already."""
        return Urgency.CRITICAL if self.cause in {AbortCause.GUARD, AbortCause.FAILED} else Urgency.NORMAL

    @property
    def thread(self) -> str:
        """The plan."""
        return f"plan {self.plan_id}"

    @property
    def items(self) -> tuple[str, ...]:
        """Each end."""
        return (f"{self.cause.value} {self.at}",)


AnyFacts = (
    ActionRequired
    | ApprovalRequested
    | RemediationResult
    | RollbackResult
    | DriftFound
    | MemoryLevel
    | BurstDetected
    | RunAborted
)
"""Every kind of message; a ``match`` over it that forgets one doesn't pass the type checker."""
