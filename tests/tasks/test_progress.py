from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from redis_ttl.domain.audit.audit import AuditOptions, AuditPlan
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.tasks.progress import LoggedProgress


class StoppedClock:
    """A clock that stands where a test puts it."""

    def __init__(self) -> None:
        """It begins at zero."""
        self.monotonic_s = 0.0

    def now(self) -> datetime:
        """Any time will do."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """Where the test put it."""
        return self.monotonic_s


def test_progress_is_told_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """The first batch is a line, and then each that ends three seconds after the last line: keys, speed, share."""
    shard = Shard(number=0, of=1, node="h:6379", run_id="a", db=0, rule=SplitRule.SEQUENTIAL, first=0, last=0)
    plan = AuditPlan(
        audit_id="a",
        cluster="market",
        started_at="",
        options=AuditOptions(),
        policy_hash=None,
        servers=(),
        splits=(),
        shards=(shard,),
    )
    clock = StoppedClock()
    progress = LoggedProgress(plan, clock)
    with caplog.at_level(logging.INFO):
        for seconds, keys in ((0, 1_000), (1, 3_000), (2.9, 6_000), (3, 7_000), (5, 12_000), (7, 15_000)):
            clock.monotonic_s = seconds
            progress(0, keys=keys, ratio=keys / 40_000)
    assert caplog.messages == [
        "h:6379 db0 1/1: 1,000 keys, 2% of the shard",
        "h:6379 db0 1/1: 7,000 keys, 2,000 keys/s, 18% of the shard",
        "h:6379 db0 1/1: 15,000 keys, 2,000 keys/s, 38% of the shard",
    ]
