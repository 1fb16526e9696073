"""Watches a server with a clock that a test moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.watch.levels import Measure
from redis_ttl.usecases.watch.watch_cluster import Seen, WatchTools, watch_cluster
from redis_ttl.usecases.watch.watch_ports import RunningJobs

INTERVAL_S = 300.0


@dataclass
class Watching:
    """One cluster, looked at every five minutes of a clock that stands still otherwise.

    ``told`` collects what was raised: the moment, and what.
    """

    url: str
    store: Path
    policy: Policy
    now_at: dt.datetime = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    audited: Callable[[], tuple[str, Mapping[str, int]] | None] = lambda: None
    jobs: RunningJobs = lambda since, until: ()  # noqa: ARG005
    told: list[tuple[dt.datetime, str]] = field(default_factory=list)
    seen: Seen | None = None

    def now(self) -> dt.datetime:
        """The time."""
        return self.now_at

    def monotonic(self) -> float:
        """Seconds of that clock."""
        return self.now_at.timestamp()

    def look(self) -> Seen:
        """Look once."""
        tools = WatchTools(
            redis=WatchedDeployment(
                endpoint_from_url(self.url), self.policy.audit.source, self.policy.audit.databases or "all"
            ),
            store=Store(self.store),
            clock=self,
            interval_s=INTERVAL_S,
            audited=self.audited,
            jobs=self.jobs,
        )
        self.seen = seen = watch_cluster(self.policy, tools)
        self.told += [(self.now_at, f"{change.measure} {change.before} to {change.level}") for change in seen.changes]
        self.told += [(self.now_at, each.kind.value) for each in seen.oddities]
        if seen.burst is not None:
            self.told.append((self.now_at, "burst"))
        return seen

    def pass_by(self, minutes: float = 5.0) -> None:
        """Let so much time go by."""
        self.now_at += dt.timedelta(minutes=minutes)

    def level(self, measure: Measure) -> str:
        """The level that a measure has."""
        assert self.seen is not None
        return self.seen.levels[measure].level.value
