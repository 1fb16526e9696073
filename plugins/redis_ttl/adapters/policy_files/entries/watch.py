"""``watch`` of a policy file, with its bursts and jobs."""

from __future__ import annotations

from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.leaves.amounts import (
    KeyCount,
    Ratio,
    SizeBytes,
)
from redis_ttl.adapters.policy_files.leaves.names import (
    JobName,
)
from redis_ttl.adapters.policy_files.leaves.times import (
    Duration,
    JobSchedule,
    Schedule,
)
from redis_ttl.domain.policy.policy import (
    Job,
    WatchSettings,
)

_WATCH = WatchSettings()


class JobEntry(Entry):
    """One of ``jobs`` of ``watch``."""

    name: JobName
    schedule: JobSchedule
    takes: Duration = 3600

    def value(self) -> Job:
        """The job that the entry means."""
        return Job(self.name, self.schedule, -(-self.takes // 60))


class BurstEntry(Entry):
    """``burst`` of ``watch``."""

    keys: KeyCount = _WATCH.burst_keys
    bytes: SizeBytes = _WATCH.burst_bytes
    no_ttl_keys: KeyCount = _WATCH.burst_no_ttl_keys
    percent: Ratio = _WATCH.burst_ratio


class WatchEntry(Entry):
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
