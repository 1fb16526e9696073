"""``remediation`` of a policy file, with its canary, guards and caps."""

from __future__ import annotations

from typing import TypeVar

from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.leaves.amounts import (
    Approvals,
    Factor,
    KeyCount,
    LoadText,
    RateText,
    Ratio,
    RatioAboveZero,
)
from redis_ttl.adapters.policy_files.leaves.guards import (
    UNGUARDED,
    GuardDuration,
    GuardPerSecond,
    GuardRatio,
    GuardSizeBytes,
    NoGuard,
    Unguarded,
)
from redis_ttl.adapters.policy_files.leaves.names import (
    UserName,
    YesOrNo,
)
from redis_ttl.adapters.policy_files.leaves.times import (
    Duration,
    Span,
)
from redis_ttl.domain.policy.policy import (
    CanarySettings,
    Caps,
    GuardSettings,
    RemediationSettings,
)

_REMEDIATION = RemediationSettings()
_CANARY = CanarySettings()
_GUARDS = GuardSettings()


class CanaryEntry(Entry):
    """``canary`` of ``remediation``."""

    percent: RatioAboveZero = _CANARY.ratio
    keys: KeyCount = _CANARY.keys
    watch: Span = _CANARY.watch_s

    def value(self) -> CanarySettings:
        """The settings that the entry means."""
        return CanarySettings(self.percent, self.keys, self.watch)


class GuardsEntry(Entry):
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


class RemediationEntry(Entry):
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
            run_caps=caps_of(self.max_keys, self.max_percent, _REMEDIATION.run_caps),
            rule_caps=caps_of(self.rule_max_keys, self.rule_max_percent, _REMEDIATION.rule_caps),
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


def caps_of(keys: int | None, ratio: float | None, default: Caps) -> Caps:
    """What is written, and the default for what isn't: nobody lifts one cap by naming the other."""
    return Caps(keys or default.keys, ratio or default.ratio)
