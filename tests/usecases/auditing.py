"""Runs whole audits in this process, against servers that a test started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.counting.pattern_merger import PatternMerger
from redis_ttl.adapters.counting.tally import Tally
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.audit.audit import Audit, AuditOptions, AuditPlan
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.usecases.audit.inspect_server import inspect_server
from redis_ttl.usecases.audit.merge_audit import merge_audit
from redis_ttl.usecases.audit.plan_shards import plan_shards
from redis_ttl.usecases.audit.scan_shard import ScanTools, ShardResult, scan_shard
from redis_ttl.usecases.store.audits import AuditFolder

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy

FAST = AuditOptions(load="fast")


def ignore_progress(_number: int, *, keys: int, ratio: float) -> None:
    """Hears nothing."""
    del keys, ratio


@dataclass
class Auditing:
    """One audit of one deployment, step by step, as the tasks of a run take them."""

    url: str
    store: Path
    options: AuditOptions = FAST
    policy: Policy | None = None
    audit_id: str = "audit-1"
    cluster: str = "test"

    @property
    def redis(self) -> RedisDeployment:
        """The deployment."""
        return RedisDeployment(endpoint_from_url(self.url), parse_load(self.options.load))

    @property
    def folder(self) -> AuditFolder:
        """The audit's documents."""
        return AuditFolder(Store(self.store), self.cluster, self.audit_id)

    def plan(self) -> AuditPlan:
        """Inspect and plan."""
        return plan_shards(
            self.folder,
            self.redis,
            inspect_server(self.redis, self.options),
            self.options,
            audit_id=self.audit_id,
            cluster=self.cluster,
            started_at=SystemClock().now().isoformat(),
            policy=self.policy,
        )

    def tools(self, progress: Callable[..., None] = ignore_progress) -> ScanTools:
        """What scanning needs."""
        tally = partial(Tally, policy=self.policy, sample_ratio=self.options.sample_percent / 100)
        return ScanTools(self.redis, tally, progress, SystemClock())

    def scan(self, number: int, progress: Callable[..., None] = ignore_progress) -> ShardResult:
        """Scan one shard of the plan."""
        plan = self.folder.plan()
        return scan_shard(self.folder, plan, number, plan.shards[number], self.tools(progress))

    def merge(self) -> Audit:
        """Merge what the shards saved."""
        return merge_audit(self.folder, PatternMerger(), self.tools())

    def run(self) -> Audit:
        """All of it."""
        for number in range(len(self.plan().shards)):
            self.scan(number)
        return self.merge()


def counts(audit: Audit) -> dict[tuple[int, str], tuple[int, int]]:
    """Keys and no-TTL keys by database and pattern."""
    return {(row.db, row.pattern): (row.keys, row.no_ttl_keys) for row in audit.patterns}


def with_shards(shards: int) -> AuditOptions:
    """The fast options with that many shards."""
    return replace(FAST, shards=shards, parallel=1)
