"""A month of looks at a real server, on a clock that the test moves: what is raised, when, and what isn't.

``WATCH_DAYS=31`` is the whole month (two minutes); the suite watches five days of it. The table goes to
``build/watch_month.md``.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.checkout import ROOT
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink, encode
from redis_ttl.domain.policy.policy import MemoryThresholds, NoTtlThreshold, Owner, Policy, WatchSettings
from tests.conftest import require
from tests.usecases.watching import Watching

DAYS = int(os.environ.get("WATCH_DAYS", "5"))
#: A thousandth of the incident's: 6,700 keys, of which 2,600 have no TTL.
BASE_KEYS, BASE_NO_TTL = 4_100, 2_000
BURST_KEYS = 5_200
A_DAY = 288

pytestmark = pytest.mark.timeout(600)

POLICY = Policy(
    "month",
    connection="month",
    owner=Owner("sre"),
    memory=MemoryThresholds(0.60, 0.85),
    no_ttl=NoTtlThreshold(0.60),
    watch=WatchSettings(burst_keys=100, burst_bytes=200_000, burst_no_ttl_keys=40, burst_ratio=0.02),
)


@dataclass
class Keyspace:
    """The server's keys: a daily cycle of keys with a TTL, a leak without, and what a test adds. Written by the difference."""

    server: Server
    counts: dict[str, int] = field(default_factory=dict)

    def become(self, wanted: dict[str, int]) -> None:
        """Write and delete until there are so many keys of each family; those named with ``!`` have no TTL."""
        with RedisLink(endpoint_from_url(self.server.url)) as link:
            for family, count in wanted.items():
                have = self.counts.get(family, 0)
                options = () if family.endswith("!") else ("EX", 10_000_000)
                commands = [encode("SET", f"{family}:{number}", "x" * 100, *options) for number in range(have, count)]
                commands += [encode("DEL", f"{family}:{number}") for number in range(count, have)]
                if commands:
                    link.exchange(b"".join(commands), len(commands))
                self.counts[family] = count


def test_a_month_has_no_false_alarm_and_misses_nothing(tmp_path: Path) -> None:
    """A daily cycle and a slow leak raise nothing by themselves; a deploy that writes a pattern without TTL, a burst, a restart,
    a failover and a level are each raised by the first look that can see them, once.
    """
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server) as replica:
        watching = Watching(server.url, tmp_path, POLICY)
        keyspace = Keyspace(server)
        keyspace.become({"session": BASE_KEYS, "profile!": BASE_NO_TTL})
        limit = _limit([server, replica], 0.25)
        planted: list[tuple[dt.datetime, str]] = []
        deploy, burst, restart, failover, full = (int(DAYS * part * A_DAY) for part in (0.5, 0.65, 0.75, 0.85, 0.95))
        leaked = burst_keys = 0
        for look in range(DAYS * A_DAY):
            hour = look % A_DAY / 12
            cycle = int(BASE_KEYS * (1 + 0.3 * math.sin(2 * math.pi * hour / 24)))
            # A leak of one key in a thousand a day.
            slow = BASE_NO_TTL + look * BASE_NO_TTL // 1_000 // A_DAY
            if look >= deploy and leaked < 600:
                leaked += 60
            if look == deploy:
                planted.append((watching.now_at, "burst"))
            if burst <= look < burst + 4:
                burst_keys += BURST_KEYS // 4
            elif look >= burst + 4:
                burst_keys = max(0, burst_keys - BURST_KEYS // 24)
            if look == burst:
                planted.append((watching.now_at, "burst"))
            if look == restart:
                _restart(server, replica, limit)
                planted.append((watching.now_at, "a server was restarted"))
            if look == failover:
                _fail_over(server, replica)
                keyspace.server, watching.url = replica, replica.url
                planted += [(watching.now_at, "another server answers")] * 2  # one that answers, one that doesn't
            if look == full:
                limit = _limit([replica], 0.95)
                planted += [(watching.now_at, "maxmemory has changed"), (watching.now_at, "memory ok to critical")]
            keyspace.become({"session": cycle, "profile!": slow, "deployed!": leaked, "": burst_keys})
            watching.look()
            watching.pass_by()
        _write_table(planted, watching.told)
        assert sorted(watching.told) == sorted(planted)


def _limit(servers: list[Server], ratio: float) -> int:
    limit = 0
    for server in servers:
        with server.client() as client:
            limit = limit or int(client.info("memory")["used_memory"] / ratio)
            client.config_set("maxmemory", limit)
            # It fills in the course of a month, and would be most of so small a server's memory.
            client.config_set("repl-backlog-size", 16_384)
    return limit


def _restart(server: Server, replica: Server, limit: int) -> None:
    with server.client() as client:
        client.save()
    server.stop()
    server.start()
    with server.client() as client:
        client.config_set("maxmemory", limit)
        client.config_set("repl-backlog-size", 16_384)
    with replica.client() as client:
        wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the replica to follow again")


def _fail_over(server: Server, replica: Server) -> None:
    with server.client() as client, replica.client() as other:
        wait_for(lambda: client.dbsize() == other.dbsize(), "the replica to have everything")
        other.execute_command("REPLICAOF", "NO", "ONE")
    server.stop()


def _write_table(planted: list[tuple[dt.datetime, str]], raised: list[tuple[dt.datetime, str]]) -> None:
    moments = sorted({*planted, *raised})
    rows = [
        f"| {at:%d, %H:%M} | {what} | {'yes' if (at, what) in planted else 'NO'} | {'yes' if (at, what) in raised else 'NO'} |"
        for at, what in moments
    ]
    text = "\n".join(["| day and time | event | planted | raised |", "|---|---|---|---|", *rows]) + "\n"
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "watch_month.md").write_text(text)
    print(text)  # noqa: T201  # the table is what it is for
