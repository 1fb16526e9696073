"""``rules``, ``exempt`` and ``drift`` of a policy file."""

from __future__ import annotations

from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.entries.remediation import caps_of
from redis_ttl.adapters.policy_files.leaves.amounts import (
    DriftKeys,
    Freq,
    KeyCount,
    Ratio,
    RatioAboveZero,
)
from redis_ttl.adapters.policy_files.leaves.names import (
    ModeName,
    PatternText,
    Person,
    PriorityName,
    Reason,
    Reference,
    Team,
)
from redis_ttl.adapters.policy_files.leaves.times import (
    Date,
    Duration,
    Ttl,
)
from redis_ttl.domain.policy.actions import DEFAULT_MODE, Mode
from redis_ttl.domain.policy.policy import (
    DEFAULT_JITTER_RATIO,
    DEFAULT_PRIORITY,
    Caps,
    Cold,
    DriftSettings,
    DriftTolerance,
    Priority,
    Rule,
    SignOff,
)

_DRIFT = DriftSettings()


class DriftToleranceEntry(Entry):
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


class ColdEntry(Entry):
    """``cold`` of a rule."""

    idle: Duration | None = None
    freq: Freq | None = None

    def value(self) -> Cold:
        """What the entry means."""
        return Cold(self.idle, self.freq)


class SignOffEntry(Entry):
    """``sign_off`` of a rule."""

    by: Person
    on: Date
    ref: Reference | None = None


class RuleEntry(Entry):
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
            caps=caps_of(self.max_keys, self.max_percent, caps) if self.max_keys or self.max_percent else None,
            drift=None if self.drift is None else self.drift.tolerance(),
            due=self.due,
            owner=self.owner,
        )


class ExemptionEntry(Entry):
    """One of ``exempt``."""

    pattern: PatternText
    reason: Reason
