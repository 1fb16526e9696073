"""The shape of a policy file: which keys it has, and what they become in ``redis_ttl.domain.policy``.

Sees the document as plain mappings, lists and texts: nothing here knows of lines, nor of how two entries relate. What
a single text may be is in ``policy_file_leaves``.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from redis_ttl.adapters.policy_file_leaves import (
    ClusterName,
    ConnectionId,
    Databases,
    Date,
    EmailAddress,
    LanguageName,
    LoadText,
    ModeName,
    Note,
    Parallel,
    PatternText,
    Percent,
    Person,
    PoolName,
    PriorityName,
    Ratio,
    RatioAboveZero,
    Reason,
    Reference,
    Schedule,
    Shards,
    SlackChannel,
    Source,
    Team,
    TimeZone,
    Ttl,
    UsDollars,
    mistake,
)
from redis_ttl.domain.policy import (
    DEFAULT_JITTER_RATIO,
    DEFAULT_MODE,
    DEFAULT_PRIORITY,
    AuditSettings,
    Exemption,
    Language,
    MemoryThresholds,
    Mode,
    NoTtlThreshold,
    Owner,
    Policy,
    Priority,
    Rule,
    ScalingCost,
    SignOff,
)

_MEMORY = MemoryThresholds()
_AUDIT = AuditSettings()


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
    """``owner``."""

    team: Team
    slack: SlackChannel | None = None
    email: tuple[EmailAddress, ...] = ()
    languages: tuple[LanguageName, ...] = (Language.ENGLISH.value,)

    def value(self) -> Owner:
        """The owner that the entry means."""
        return Owner(self.team, self.slack, self.email, tuple(Language(name) for name in self.languages))


class MemoryEntry(_Entry):
    """``memory``."""

    warn: RatioAboveZero = _MEMORY.warn_ratio
    critical: RatioAboveZero = _MEMORY.critical_ratio


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

    def value(self) -> Rule:
        """The rule that the entry means."""
        agreed = self.sign_off
        return Rule(
            pattern=self.pattern,
            ttl_s=self.ttl,
            mode=Mode(self.mode),
            priority=Priority(self.priority),
            jitter_ratio=self.jitter,
            sign_off=None if agreed is None else SignOff(agreed.by, agreed.on, agreed.ref),
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
    rules: tuple[RuleEntry, ...] = ()
    exempt: tuple[ExemptionEntry, ...] = ()

    def value(self) -> Policy:
        """The policy that the file means."""
        cost = self.scaling_cost
        return Policy(
            cluster=self.cluster,
            connection=self.connection,
            write_connection=self.write_connection,
            owner=self.owner.value(),
            memory=MemoryThresholds(self.memory.warn, self.memory.critical),
            no_ttl=NoTtlThreshold(self.no_ttl.warn_ratio),
            scaling_cost=None if cost is None else ScalingCost(cost.usd_per_month, cost.note),
            audit=self.audit.value(),
            rules=tuple(rule.value() for rule in self.rules),
            exemptions=tuple(Exemption(entry.pattern, entry.reason) for entry in self.exempt),
        )


def known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand where the last step of the location does."""
    names = [step for step in location[:-1] if isinstance(step, str)]
    return list((_ENTRIES[names[-1]] if names else PolicyEntry).model_fields)


_ENTRIES: Final[dict[str, type[_Entry]]] = {
    "owner": OwnerEntry,
    "memory": MemoryEntry,
    "no_ttl": NoTtlEntry,
    "scaling_cost": ScalingCostEntry,
    "audit": AuditEntry,
    "rules": RuleEntry,
    "sign_off": SignOffEntry,
    "exempt": ExemptionEntry,
}
