"""What one look at a cluster costs: processor time of the work itself, with two weeks of history in the store."""

from __future__ import annotations

import datetime as dt
import resource
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from bench.rows import Row
from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.policy.policy import Owner, Policy
from redis_ttl.usecases.watch.watch_cluster import WatchTools, watch_cluster

Say = Callable[[str], None]

_LOOKS: Final = 14 * 288
#: Two hundred clusters every five minutes on two processors, of which a task's start takes most.
_MOST_S: Final = 0.5


def rows_of_watch(say: Say, looks: int = _LOOKS) -> list[Row]:
    """The processor time of a look."""
    say(f"watching a cluster, {looks:,} looks")
    policy = Policy("bench", connection="bench", owner=Owner("bench"))
    with run_server(VALKEY) as server, TemporaryDirectory(prefix="redis-ttl-bench-") as folder:
        clock = _Clock()
        redis = WatchedDeployment(endpoint_from_url(server.url))
        tools = WatchTools(redis, Store(Path(folder)), clock, 300.0, lambda: None, lambda _since, _until: ())
        took_s = []
        for _ in range(looks):
            before_s = _cpu_s()
            watch_cluster(policy, tools)
            took_s.append(_cpu_s() - before_s)
            clock.at += dt.timedelta(minutes=5)
    last = took_s[-min(288, looks) :]
    return [Row.promised("watch: processor time of a look, two weeks of history", median(last), "s", "<=", _MOST_S)]


class _Clock:
    def __init__(self) -> None:
        self.at = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """A moment that the benchmark moves."""
        return self.at

    def monotonic(self) -> float:
        """Its seconds."""
        return self.at.timestamp()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
