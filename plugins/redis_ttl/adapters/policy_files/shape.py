"""The shape of a policy file: which keys it has, and what they become in ``redis_ttl.domain.policy.policy``.

Sees the document as plain mappings, lists and texts: nothing here knows of lines, nor of how two entries relate. What
a single text may be is in ``policy_file_leaves``.
"""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from redis_ttl.adapters.policy_files.leaves import (
    UNGUARDED,
    Approvals,
    ClusterName,
    ConnectionId,
    Databases,
    Date,
    DriftKeys,
    Duration,
    EmailAddress,
    Factor,
    Freq,
    GuardDuration,
    GuardPerSecond,
    GuardRatio,
    GuardSizeBytes,
    Interval,
    JobName,
    JobSchedule,
    KeyCount,
    LanguageName,
    LoadText,
    ModeName,
    NoGuard,
    Note,
    Parallel,
    PatternText,
    Percent,
    Person,
    PoolName,
    PriorityName,
    Quiet,
    RateText,
    Ratio,
    RatioAboveZero,
    Reason,
    Reference,
    Schedule,
    Shards,
    SizeBytes,
    SlackChannel,
    Source,
    Span,
    Team,
    TimeOfDay,
    TimeZone,
    Ttl,
    Unguarded,
    UsDollars,
    UserName,
    YesOrNo,
    mistake,
)
from redis_ttl.domain.policy.actions import DEFAULT_MODE, Mode
from redis_ttl.domain.policy.policy import (
    DEFAULT_JITTER_RATIO,
    DEFAULT_PRIORITY,
    AuditSettings,
    CanarySettings,
    Caps,
    Cold,
    DriftSettings,
    DriftTolerance,
    Exemption,
    GuardSettings,
    Job,
    Language,
    MemoryThresholds,
    MessageSettings,
    NoTtlThreshold,
    Owner,
    Policy,
    Priority,
    RemediationSettings,
    Rule,
    ScalingCost,
    SignOff,
    WatchSettings,
)

_MEMORY = MemoryThresholds()
_AUDIT = AuditSettings()
_REMEDIATION = RemediationSettings()
_CANARY = CanarySettings()
_GUARDS = GuardSettings()
_WATCH = WatchSettings()
_DRIFT = DriftSettings()
_MESSAGES = MessageSettings()


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _something(cls, value: object, info: ValidationInfo) -> object:
        """A key that may be left out still wants a value when it is there: an empty one is a slip, not a None."""
        if value is None and info.field_name and cls.model_fields[info.field_name].default is None:
            raise mistake(
                "nothing", "a value", "Leave the key out, or write something; a text that begins with # wants quotes"
            )
        return value


class OwnerEntry(_Entry):
    """``owner``, one of ``owners``, and ``fallback`` of ``messages``."""

    team: Team
    slack: SlackChannel | None = None
    slack_webhook: ConnectionId | None = None
    email: tuple[EmailAddress, ...] = ()
    languages: tuple[LanguageName, ...] = (Language.ENGLISH.value,)
    timezone: TimeZone | None = None
    quiet_hours: Quiet | None = None

    def value(self) -> Owner:
        """The owner that the entry means."""
        return Owner(
            team=self.team,
            slack=self.slack,
            slack_webhook=self.slack_webhook,
            email=self.email,
            languages=tuple(Language(name) for name in self.languages),
            timezone=self.timezone,
            quiet_hours=self.quiet_hours,
        )


class MessagesEntry(_Entry):
    """``messages``."""

    slack_connection: ConnectionId | None = None
    smtp_connection: ConnectionId | None = None
    fallback: OwnerEntry | None = None
    deadline: Duration = _MESSAGES.deadline_s
    remind_after: Interval = _MESSAGES.remind_after_s
    summary_at: TimeOfDay = _MESSAGES.summary_at
    redact_keys: YesOrNo = _MESSAGES.redacts_keys

    def value(self) -> MessageSettings:
        """The settings that the entry means."""
        return MessageSettings(
            slack_connection=self.slack_connection,
            smtp_connection=self.smtp_connection,
            fallback=None if self.fallback is None else self.fallback.value(),
            deadline_s=self.deadline,
            remind_after_s=self.remind_after,
            summary_at=self.summary_at,
            redacts_keys=self.redact_keys,
        )


class MemoryEntry(_Entry):
    """``memory``."""

    warn: RatioAboveZero = _MEMORY.warn_ratio
    critical: RatioAboveZero = _MEMORY.critical_ratio
    limit: SizeBytes | None = None


class NoTtlEntry(_Entry):
    """``no_ttl``."""

    warn_ratio: Ratio = NoTtlThreshold().warn_ratio


class ScalingCostEntry(_Entry):
    """``scaling_cost``."""

    usd_per_month: UsDollars
    note: Note | None = None


class AuditEntry(_Entry):
    """``audit``."""

    schedule: Schedule = _AUDIT.schedule
    timezone: TimeZone = _AUDIT.timezone
    load: LoadText = _AUDIT.load
    shards: Shards = "auto"
    parallel: Parallel = _AUDIT.parallel
    sample: Percent = _AUDIT.sample_percent
    pool: PoolName | None = None
    db: Databases | None = None
    source: Source = _AUDIT.source

    def value(self) -> AuditSettings:
        """The settings that the entry means."""
        return AuditSettings(
            schedule=self.schedule,
            timezone=self.timezone,
            load=self.load,
            shards=None if self.shards == "auto" else self.shards,
            parallel=self.parallel,
            sample_percent=self.sample,
            pool=self.pool,
            databases=self.db,
            source=self.source,
        )


class CanaryEntry(_Entry):
    """``canary`` of ``remediation``."""

    percent: RatioAboveZero = _CANARY.ratio
    keys: KeyCount = _CANARY.keys
    watch: Span = _CANARY.watch_s

    def value(self) -> CanarySettings:
        """The settings that the entry means."""
        return CanarySettings(self.percent, self.keys, self.watch)


class GuardsEntry(_Entry):
    """``guards`` of ``remediation``."""

    memory: GuardRatio | None = None
    evicted_keys: GuardPerSecond = _GUARDS.evicted_keys_per_s
    latency: Factor = _GUARDS.latency_factor
    replica_lag_bytes: GuardSizeBytes = _GUARDS.replica_lag_bytes
    replica_lag: GuardDuration = _GUARDS.replica_lag_s
    expire_cap_hits: GuardPerSecond = _GUARDS.expire_cap_hits_per_s
    replicas: NoGuard | None = None
    server: NoGuard | None = None
    misses: NoGuard | None = None
    errors: NoGuard | None = None
    patience: Span = _GUARDS.patience_s

    def value(self) -> GuardSettings:
        """The settings that the entry means; a guard that it does without keeps its default bound."""
        return GuardSettings(
            memory_ratio=None if isinstance(self.memory, str) else self.memory,
            evicted_keys_per_s=_bound(self.evicted_keys, _GUARDS.evicted_keys_per_s),
            latency_factor=self.latency,
            replica_lag_bytes=_bound(self.replica_lag_bytes, _GUARDS.replica_lag_bytes),
            replica_lag_s=_bound(self.replica_lag, _GUARDS.replica_lag_s),
            expire_cap_hits_per_s=_bound(self.expire_cap_hits, _GUARDS.expire_cap_hits_per_s),
            patience_s=self.patience,
            unguarded=tuple(sorted(name for name in type(self).model_fields if getattr(self, name) == UNGUARDED)),
        )


_Bound = TypeVar("_Bound", int, float)


def _bound(written: _Bound | Unguarded, default: _Bound) -> _Bound:
    return default if isinstance(written, str) else written


class RemediationEntry(_Entry):
    """``remediation``."""

    audit_age: Duration = _REMEDIATION.audit_age_s
    rate: RateText = _REMEDIATION.rate
    load: LoadText = _REMEDIATION.load
    max_keys: KeyCount | None = None
    max_percent: RatioAboveZero | None = None
    rule_max_keys: KeyCount | None = None
    rule_max_percent: RatioAboveZero | None = None
    tolerance: Ratio = _REMEDIATION.tolerance_ratio
    approvals: Approvals = _REMEDIATION.approvals
    approvers: tuple[UserName, ...] = ()
    self_approval: YesOrNo = _REMEDIATION.self_approval
    approval_timeout: Duration = _REMEDIATION.approval_timeout_s
    approval_valid: Duration = _REMEDIATION.approval_valid_s
    undo_window: Duration = _REMEDIATION.undo_window_s
    canary: CanaryEntry = CanaryEntry()
    guards: GuardsEntry = GuardsEntry()

    def value(self) -> RemediationSettings:
        """The settings that the entry means."""
        return RemediationSettings(
            audit_age_s=self.audit_age,
            rate=self.rate,
            load=self.load,
            run_caps=_caps(self.max_keys, self.max_percent, _REMEDIATION.run_caps),
            rule_caps=_caps(self.rule_max_keys, self.rule_max_percent, _REMEDIATION.rule_caps),
            tolerance_ratio=self.tolerance,
            approvals=self.approvals,
            approvers=self.approvers,
            self_approval=self.self_approval,
            approval_timeout_s=self.approval_timeout,
            approval_valid_s=self.approval_valid,
            undo_window_s=self.undo_window,
            canary=self.canary.value(),
            guards=self.guards.value(),
        )


def _caps(keys: int | None, ratio: float | None, default: Caps) -> Caps:
    """What is written, and the default for what isn't: nobody lifts one cap by naming the other."""
    return Caps(keys or default.keys, ratio or default.ratio)


class DriftToleranceEntry(_Entry):
    """``drift`` of a rule, and ``ungoverned`` of ``drift``."""

    keys: DriftKeys | None = None
    percent: Ratio | None = None
    keys_per_day: DriftKeys | None = None

    def tolerance(self) -> DriftTolerance:
        """The tolerance that the entry means."""
        return DriftTolerance(self.keys, self.percent, self.keys_per_day)


class DriftEntry(DriftToleranceEntry):
    """``drift``."""

    ungoverned: DriftToleranceEntry | None = None

    def value(self) -> DriftSettings:
        """The settings that the entry means."""
        return DriftSettings(
            self.tolerance(), _DRIFT.ungoverned if self.ungoverned is None else self.ungoverned.tolerance()
        )


class JobEntry(_Entry):
    """One of ``jobs`` of ``watch``."""

    name: JobName
    schedule: JobSchedule
    takes: Duration = 3600

    def value(self) -> Job:
        """The job that the entry means."""
        return Job(self.name, self.schedule, -(-self.takes // 60))


class BurstEntry(_Entry):
    """``burst`` of ``watch``."""

    keys: KeyCount = _WATCH.burst_keys
    bytes: SizeBytes = _WATCH.burst_bytes
    no_ttl_keys: KeyCount = _WATCH.burst_no_ttl_keys
    percent: Ratio = _WATCH.burst_ratio


class WatchEntry(_Entry):
    """``watch``."""

    schedule: Schedule = _WATCH.schedule
    retention: Duration = _WATCH.retention_days * 86_400
    burst: BurstEntry = BurstEntry()
    jobs: tuple[JobEntry, ...] = ()

    def value(self) -> WatchSettings:
        """The settings that the entry means."""
        return WatchSettings(
            schedule=self.schedule,
            retention_days=-(-self.retention // 86_400),
            burst_keys=self.burst.keys,
            burst_bytes=self.burst.bytes,
            burst_no_ttl_keys=self.burst.no_ttl_keys,
            burst_ratio=self.burst.percent,
            jobs=tuple(job.value() for job in self.jobs),
        )


class ColdEntry(_Entry):
    """``cold`` of a rule."""

    idle: Duration | None = None
    freq: Freq | None = None

    def value(self) -> Cold:
        """What the entry means."""
        return Cold(self.idle, self.freq)


class SignOffEntry(_Entry):
    """``sign_off`` of a rule."""

    by: Person
    on: Date
    ref: Reference | None = None


class RuleEntry(_Entry):
    """One of ``rules``."""

    pattern: PatternText
    ttl: Ttl
    mode: ModeName = DEFAULT_MODE.value
    priority: PriorityName = DEFAULT_PRIORITY.value
    jitter: Ratio = DEFAULT_JITTER_RATIO
    sign_off: SignOffEntry | None = None
    cold: ColdEntry | None = None
    max_keys: KeyCount | None = None
    max_percent: RatioAboveZero | None = None
    drift: DriftToleranceEntry | None = None
    due: Date | None = None
    owner: Team | None = None

    def value(self, caps: Caps) -> Rule:
        """The rule that the entry means, in a policy whose rules have these ``caps`` unless they say otherwise."""
        agreed = self.sign_off
        return Rule(
            pattern=self.pattern,
            ttl_s=self.ttl,
            mode=Mode(self.mode),
            priority=Priority(self.priority),
            jitter_ratio=self.jitter,
            sign_off=None if agreed is None else SignOff(agreed.by, agreed.on, agreed.ref),
            cold=None if self.cold is None else self.cold.value(),
            caps=_caps(self.max_keys, self.max_percent, caps) if self.max_keys or self.max_percent else None,
            drift=None if self.drift is None else self.drift.tolerance(),
            due=self.due,
            owner=self.owner,
        )


class ExemptionEntry(_Entry):
    """One of ``exempt``."""

    pattern: PatternText
    reason: Reason


class PolicyEntry(_Entry):
    """A whole policy file; the names of the fields are the keys of the file."""

    cluster: ClusterName
    connection: ConnectionId
    write_connection: ConnectionId | None = None
    owner: OwnerEntry
    memory: MemoryEntry = MemoryEntry()
    no_ttl: NoTtlEntry = NoTtlEntry()
    scaling_cost: ScalingCostEntry | None = None
    audit: AuditEntry = AuditEntry()
    remediation: RemediationEntry = RemediationEntry()
    watch: WatchEntry = WatchEntry()
    drift: DriftEntry = DriftEntry()
    messages: MessagesEntry = MessagesEntry()
    owners: tuple[OwnerEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    exempt: tuple[ExemptionEntry, ...] = ()

    def value(self) -> Policy:
        """The policy that the file means."""
        cost = self.scaling_cost
        remediation = self.remediation.value()
        return Policy(
            cluster=self.cluster,
            connection=self.connection,
            write_connection=self.write_connection,
            owner=self.owner.value(),
            memory=MemoryThresholds(self.memory.warn, self.memory.critical, self.memory.limit),
            no_ttl=NoTtlThreshold(self.no_ttl.warn_ratio),
            scaling_cost=None if cost is None else ScalingCost(cost.usd_per_month, cost.note),
            audit=self.audit.value(),
            remediation=remediation,
            watch=self.watch.value(),
            drift=self.drift.value(),
            messages=self.messages.value(),
            owners=tuple(owner.value() for owner in self.owners),
            rules=tuple(rule.value(remediation.rule_caps) for rule in self.rules),
            exemptions=tuple(Exemption(entry.pattern, entry.reason) for entry in self.exempt),
        )


def known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand where the last step of the location does."""
    names = [step for step in location[:-1] if isinstance(step, str)]
    if names == ["rules", "drift"]:  # the same word, and less to say there
        return list(DriftToleranceEntry.model_fields)
    return list((_ENTRIES[names[-1]] if names else PolicyEntry).model_fields)


_ENTRIES: Final[dict[str, type[_Entry]]] = {
    "owner": OwnerEntry,
    "owners": OwnerEntry,
    "messages": MessagesEntry,
    "fallback": OwnerEntry,
    "memory": MemoryEntry,
    "no_ttl": NoTtlEntry,
    "scaling_cost": ScalingCostEntry,
    "audit": AuditEntry,
    "remediation": RemediationEntry,
    "canary": CanaryEntry,
    "guards": GuardsEntry,
    "drift": DriftEntry,
    "ungoverned": DriftToleranceEntry,
    "watch": WatchEntry,
    "burst": BurstEntry,
    "jobs": JobEntry,
    "rules": RuleEntry,
    "cold": ColdEntry,
    "sign_off": SignOffEntry,
    "exempt": ExemptionEntry,
}
