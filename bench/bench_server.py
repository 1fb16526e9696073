"""The server that is measured: Redis 7.0 where it is installed, else the Valkey of the wheel, with the incident's keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.servers.kinds import REDIS_7, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import scaled


@dataclass(frozen=True, slots=True)
class Counters:
    """Processor time that the server has used, all threads, user and system; and calls of PTTL that it has answered."""

    cpu_s: float
    pttl_calls: int


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running server that holds ``keys`` keys; ``cli`` is the redis-cli that belongs to it, where there is one."""

    server: Server
    keys: int
    cli: str | None

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.server.url

    @property
    def title(self) -> str:
        """Its name and version."""
        with self.server.client() as client:
            info = client.info("server")
        return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"

    def counters(self) -> Counters:
        """What it has used and done so far."""
        with self.server.client() as client:
            cpu, calls = client.info("cpu"), client.info("commandstats")
        return Counters(
            float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]), int(calls.get("cmdstat_pttl", {}).get("calls", 0))
        )


@contextmanager
def bench_server(keys: int) -> Iterator[BenchServer]:
    """A server with the incident's keyspace at that size, for the length of the ``with`` block."""
    has_redis = REDIS_7.find() is not None
    with run_server(REDIS_7 if has_redis else VALKEY) as server:
        write_keyspace(endpoint_from_url(server.url), scaled(FAMILIES, keys), seed=1, on_progress=lambda _: None)
        yield BenchServer(server, keys, shutil.which("redis-cli") if has_redis else None)
