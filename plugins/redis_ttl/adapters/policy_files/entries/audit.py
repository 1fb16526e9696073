"""What is audited, and the levels that are told: ``audit``, ``memory``, ``no_ttl`` and ``scaling_cost`` of a policy file."""

from __future__ import annotations

from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.leaves.amounts import (
    Databases,
    LoadText,
    Parallel,
    Percent,
    Ratio,
    RatioAboveZero,
    Shards,
    SizeBytes,
    UsDollars,
)
from redis_ttl.adapters.policy_files.leaves.names import (
    Note,
    PoolName,
    Source,
)
from redis_ttl.adapters.policy_files.leaves.times import (
    Schedule,
    TimeZone,
)
from redis_ttl.domain.policy.policy import (
    AuditSettings,
    MemoryThresholds,
    NoTtlThreshold,
)

_MEMORY = MemoryThresholds()
_AUDIT = AuditSettings()


class MemoryEntry(Entry):
    """``memory``."""

    warn: RatioAboveZero = _MEMORY.warn_ratio
    critical: RatioAboveZero = _MEMORY.critical_ratio
    limit: SizeBytes | None = None


class NoTtlEntry(Entry):
    """``no_ttl``."""

    warn_ratio: Ratio = NoTtlThreshold().warn_ratio


class ScalingCostEntry(Entry):
    """``scaling_cost``."""

    usd_per_month: UsDollars
    note: Note | None = None


class AuditEntry(Entry):
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
