"""What a cluster's policy says: who owns it, which keys must have which TTL, and how it is audited.

Knows nothing of files, YAML or Airflow; ``redis_ttl.adapters.policy_files.policy_file`` makes these from a policy file and vouches
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

from redis_ttl.domain.codec import document_part
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.actions import DEFAULT_MODE, Mode

DEFAULT_SCHEDULE: Final = "0 2 * * *"
"""Nightly, when nothing else is said; in the time zone of the audit."""

DEFAULT_JITTER_RATIO: Final = 0.10

#: Marks a setting that version 0.1 didn't have.
_ADDED_LATER: Final = {"added": "after 0.1"}


class Priority(StrEnum):
    """How urgent a rule is to its owner; P0 is the most urgent."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


DEFAULT_PRIORITY: Final = Priority.P2


class Language(StrEnum):
    """A language that messages are written in."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From when to when nobody wants to hear of what isn't critical, every day, by the clock of whom it is for."""

    begin: dt.time
    end: dt.time

    def ends_after(self, moment: dt.datetime) -> dt.datetime | None:
        """When the quiet hours end that this moment lies in, in its own zone; None outside of them."""
        now, day = moment.time(), moment.date()
        if self.begin <= self.end:
            quiet = self.begin <= now < self.end
        else:
            quiet = now >= self.begin or now < self.end
            day += dt.timedelta(days=1 if now >= self.begin else 0)
        # An hour that the clock shows twice: from within the second one they end in the second one.
        return dt.datetime.combine(day, self.end, moment.tzinfo).replace(fold=moment.fold) if quiet else None


@dataclass(frozen=True, slots=True)
class Owner:
    """A team that keys belong to, and how to reach it.

    ``slack`` is a channel, which needs a bot's connection; ``slack_webhook`` is the id of an Airflow connection that has a channel of
    its own, and is taken first. ``timezone`` None is that of the audits.
    """

    team: str
    slack: str | None = None
    slack_webhook: str | None = None
    email: tuple[str, ...] = ()
    languages: tuple[Language, ...] = (Language.ENGLISH,)
    timezone: str | None = None
    quiet_hours: QuietHours | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether there is any address."""
        return self.slack is not None or self.slack_webhook is not None or bool(self.email)


@dataclass(frozen=True, slots=True)
class MemoryThresholds:
    """Shares of maxmemory at which somebody must look, and at which somebody must act; ``warn_ratio`` is the lower."""

    warn_ratio: float = 0.60
    critical_ratio: float = 0.85
    limit_bytes: int | None = None
    """What a server without maxmemory may use."""


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
    """In the words of ``redis_ttl.domain.policy.load.parse_load``."""
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
class Caps:
    """How many keys may be changed at most, by number and as a share of all keys that the audit met; None is no limit.

    A plan that exceeds one of them is refused before anything is written.
    """

    keys: int | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """The first few keys of each rule, and how long they are watched before the others follow."""

    ratio: float = 0.01
    keys: int = 100
    """At least so many of each rule, where it has as many."""
    watch_s: int = 600


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Above what writing pauses, and is given up when it stays so for ``patience_s``."""

    memory_ratio: float | None = None
    """Used memory as a share of maxmemory; None is the policy's critical threshold."""
    evicted_keys_per_s: float = 0.0
    """More evictions than this: with a ``volatile-*`` policy, keys that have just got a TTL are among the victims."""
    latency_factor: float = 5.0
    """Our own round trip, against what it was at the start; round trips below 2 ms never pause."""
    replica_lag_bytes: int = 64 * 1024 * 1024
    replica_lag_s: int = 10
    expire_cap_hits_per_s: float = 1.0
    """``expired_time_cap_reached_count``: the server can't remove expired keys as fast as they expire."""
    patience_s: int = 300
    """For how long a pause may last, by the same reason, before the run is aborted."""
    unguarded: tuple[str, ...] = dataclasses.field(default=(), metadata=_ADDED_LATER)
    """The guards that the policy does without, by their keys: for servers that hide a figure. Sorted."""


@dataclass(frozen=True, slots=True)
class RemediationSettings:
    """What a remediation may do, who may approve it, and when it must stop."""

    audit_age_s: int = 24 * 3600
    """A plan is made of an audit that is younger than this."""
    rate: str = "20000/s"
    """Keys changed a second on each server, in the words of ``redis_ttl.domain.policy.rate.parse_rate``."""
    load: str = "gentle"
    """How the keyspace is read meanwhile, in the words of ``redis_ttl.domain.policy.load.parse_load``."""
    run_caps: Caps = Caps(5_000_000, 0.5)
    rule_caps: Caps = Caps(3_000_000, 0.4)
    """For each rule that has no caps of its own."""
    tolerance_ratio: float = 0.10
    """By how much a rule may match more keys than were planned before the run is refused."""
    approvals: int = 1
    """How many different people must approve."""
    approvers: tuple[str, ...] = ()
    """The Airflow user names that may approve; empty means whoever Airflow lets answer."""
    self_approval: bool = dataclasses.field(default=False, metadata=_ADDED_LATER)
    """Whether the one who triggers a remediation may approve it, too."""
    approval_timeout_s: int = 24 * 3600
    """How long a plan waits for its approval; no answer means no."""
    approval_valid_s: int = 24 * 3600
    """How long after its approval a plan may still write."""
    undo_window_s: int = 24 * 3600
    """No key may expire sooner than this after the approval: for so long everything can be taken back."""
    canary: CanarySettings = CanarySettings()
    guards: GuardSettings = GuardSettings()


@dataclass(frozen=True, slots=True)
class DriftTolerance:
    """How many new keys without TTL a drift check lets pass; what is given must be kept all together, and nothing given means none.

    ``ratio`` is a share of all keys that are governed alike; ``keys_per_day`` adds up from the accepted baseline on, in
    which the first day counts whole.
    """

    keys: int | None = None
    ratio: float | None = None
    keys_per_day: int | None = None

    def allowed_keys(self, *, of_keys: int, days: float) -> int:
        """How many, of so many keys, so many days after the baseline."""
        limits = []
        if self.keys is not None:
            limits.append(self.keys)
        if self.ratio is not None:
            limits.append(int(self.ratio * of_keys))
        if self.keys_per_day is not None:
            limits.append(int(self.keys_per_day * max(1.0, days)))
        return min(limits, default=0)


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """What a drift check tolerates: for each rule that says nothing else, and for all keys together that nothing governs."""

    tolerance: DriftTolerance = DriftTolerance()
    ungoverned: DriftTolerance = DriftTolerance(keys=100)


@dataclass(frozen=True, slots=True)
class Job:
    """Something that the cluster's owners run at fixed times: a burst may be its doing."""

    name: str
    schedule: str
    """A cron expression of five fields or a preset."""
    minutes: int = 60
    """How long it may take."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How often the cluster is looked at without a scan, and what counts as a burst.

    A burst is a growth within one interval that is far beyond that hour's history and larger than ``burst_keys``, ``burst_bytes``
    or ``burst_no_ttl_keys``, and than ``burst_ratio`` of what is there; twice as much where there is no history yet.
    """

    schedule: str | None = "*/5 * * * *"
    retention_days: int = 30
    burst_keys: int = 100_000
    burst_bytes: int = 64 * 1024 * 1024
    burst_no_ttl_keys: int = 20_000
    burst_ratio: float = 0.02
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """What messages are sent over, and how often.

    ``slack_connection`` and ``smtp_connection`` are ids of Airflow connections; without them messages are written into the store and
    sent nowhere. ``fallback`` hears of what reaches no owner.
    """

    slack_connection: str | None = None
    smtp_connection: str | None = None
    fallback: Owner | None = None
    deadline_s: int = 14 * 86_400
    """How long after an audit an owner has for what it asks of them."""
    remind_after_s: int = 7 * 86_400
    """The same fact isn't told again before."""
    summary_at: dt.time = dt.time(9)
    """When small things are told, all in one message, by the clock of whom they are for."""
    redacts_keys: bool = False
    """Whether names of keys are left out. Values are never read."""


@document_part
@dataclass(frozen=True, slots=True)
class Cold:
    """A rule that takes cold keys only: those that weren't used for so long, or so rarely.

    Under an LFU eviction policy a server knows how often a key is used (``freq_at_most``, OBJECT FREQ), otherwise when it was used last
    (``idle_s``, OBJECT IDLETIME).
    """

    idle_s: int | None = None
    freq_at_most: int | None = None


@document_part
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
    cold: Cold | None = None
    """Leave keys alone that are in use; None takes all."""
    caps: Caps | None = None
    """None takes the policy's ``remediation.rule_caps``."""
    drift: DriftTolerance | None = None
    """None takes the policy's ``drift``."""
    due: dt.date | None = None
    """After that day (UTC) a drift check fails as long as the rule has any key without TTL."""
    owner: str | None = None
    """The team that its keys belong to; None takes the cluster's owner."""

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
    remediation: RemediationSettings = RemediationSettings()
    watch: WatchSettings = WatchSettings()
    drift: DriftSettings = DriftSettings()
    messages: MessageSettings = MessageSettings()
    owners: tuple[Owner, ...] = ()
    """Further teams, that rules may name."""
    rules: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def governs(self, text: str) -> Rule | Exemption | None:
        """What decides about the key of this text: an exemption before any rule, and of several the first."""
        entries: tuple[Rule | Exemption, ...] = (*self.exemptions, *self.rules)
        for entry in entries:
            if entry.pattern.matches(text):
                return entry
        return None

    def owner_of(self, rule: Rule | None) -> Owner:
        """Whom the keys of a rule belong to; None means keys that no rule speaks of."""
        team = None if rule is None else rule.owner
        return next((owner for owner in self.owners if owner.team == team), self.owner)

    def timezone_of(self, owner: Owner) -> str:
        """The IANA time zone that a team's dates and times are meant in."""
        return owner.timezone or self.audit.timezone

    @property
    def hash(self) -> str:
        """The SHA-256, in hex, of what the policy says; comments, order and spelling (``1d``, ``24h``) don't count."""
        content = json.dumps(_canonical(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


def _canonical(value: object) -> object:
    """A value as JSON types, the same for equal policies in every process.

    A field that was added later is left out where it has its default: a policy that doesn't use it keeps its hash, and what was
    planned and approved by the version before stays good.
    """
    if isinstance(value, KeyPattern):
        return value.text
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _canonical(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata != _ADDED_LATER or getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
