"""What else reads a whole keyspace: redis-cli's reports, a plain redis-py loop, and the cursor alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import redis

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.domain.policy.load import MOST_KEYS_PER_PAGE

if TYPE_CHECKING:
    from bench.bench_server import BenchServer


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the whole keyspace."""

    keys: int
    wall_s: float
    server_cpu_s: float

    @property
    def keys_per_s(self) -> float:
        """How fast it was."""
        return self.keys / self.wall_s

    @property
    def server_us_per_key(self) -> float:
        """Microseconds of the server's processor time for each key."""
        return self.server_cpu_s / self.keys * 1e6


def redis_cli(server: BenchServer, report: str) -> Pass:
    """``redis-cli --bigkeys`` or ``--memkeys``, with the options that they have by default."""

    def run() -> int:
        subprocess.run(  # noqa: S603  # the redis-cli of this machine, on our own server
            [str(server.cli), "-p", str(server.server.port), report], check=True, stdout=subprocess.DEVNULL
        )
        return server.keys

    return _timed(server, run)


def redis_py(server: BenchServer) -> Pass:
    """What a script does: ``scan_iter`` in pages of 1000, and a pipeline of ``pttl`` for each page."""

    def run() -> int:
        keys = 0
        with redis.Redis(port=server.server.port) as client:
            for page in _pages(client):
                pipeline = client.pipeline(transaction=False)
                for key in page:
                    pipeline.pttl(key)
                keys += len(pipeline.execute())
        return keys

    return _timed(server, run)


def scan_alone(server: BenchServer) -> Pass:
    """Nothing but the cursor, through the connection that an audit reads with: no scan can be faster."""

    def run() -> int:
        keys, cursor = 0, b"0"
        with RedisLink(endpoint_from_url(server.url)) as link:
            while True:
                cursor, page = link.call("SCAN", cursor, "COUNT", MOST_KEYS_PER_PAGE)
                keys += len(page)
                if cursor == b"0":
                    return keys

    return _timed(server, run)


def _pages(client: redis.Redis) -> Iterator[list[bytes]]:
    keys = client.scan_iter(count=MOST_KEYS_PER_PAGE)
    while page := list(islice(keys, MOST_KEYS_PER_PAGE)):
        yield page


def _timed(server: BenchServer, run: Callable[[], int]) -> Pass:
    cpu_before_s, started_s = server.counters().cpu_s, time.perf_counter()
    keys = run()
    return Pass(keys, time.perf_counter() - started_s, server.counters().cpu_s - cpu_before_s)
