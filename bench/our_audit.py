"""One audit, from the first connection to the merged result, in a process of its own.

A process of its own because its memory is one of the figures; it is started as ``python -m bench.our_audit`` and
answers with an empty line when it begins to scan and one line of JSON at the end. It runs the use cases as the terminal
does, without a progress bar.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis_ttl.cli  # noqa: F401  # what the terminal settles before anything imports polars

# isort: split
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.counting.pattern_merger import PatternMerger
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.cli.audit.scan_process import ScanJob, scan_all
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.policy import Owner, Policy, Rule
from redis_ttl.usecases.audit.inspect_server import inspect_server
from redis_ttl.usecases.audit.merge_audit import merge_audit
from redis_ttl.usecases.audit.plan_shards import plan_shards
from redis_ttl.usecases.store.audits import AuditFolder


@dataclass(frozen=True, slots=True)
class AuditFigures:
    """What one audit took.

    ``scan_s`` is the scan of all shards, with the start of the processes that scan them where there are several;
    ``whole_s`` also has the inspection, the plan and the merge, but not the start of Python. ``reading_s`` is the part of
    the scan between the first batch and the last, without the start of processes and the last checkpoint: the server's
    time in it tells who waits for whom. ``own_cpu_s`` is what this process and those that it started used, from the first
    connection on. ``peak_mib`` is the most memory that the process held at once: with one shard, the scanning process
    itself.
    """

    keys: int
    no_ttl_keys: int
    patterns: int
    governed_keys: int
    scan_s: float
    merge_s: float
    whole_s: float
    scan_server_cpu_s: float
    reading_s: float
    reading_server_cpu_s: float
    server_cpu_s: float
    own_cpu_s: float
    peak_mib: float

    @property
    def scan_keys_per_s(self) -> float:
        """Throughput of the scan phase."""
        return self.keys / self.scan_s

    @property
    def whole_keys_per_s(self) -> float:
        """Throughput of the audit from end to end."""
        return self.keys / self.whole_s

    @property
    def server_share_of_scan(self) -> float:
        """Server CPU seconds for each second of the scan phase."""
        return self.scan_server_cpu_s / self.scan_s

    @property
    def server_share(self) -> float:
        """Server CPU seconds for each second in which shards were read; 0 for a keyspace of a single batch."""
        return self.reading_server_cpu_s / self.reading_s if self.reading_s else 0.0

    @property
    def server_us_per_key(self) -> float:
        """Microseconds of the server's processor time for each key, in all phases."""
        return self.server_cpu_s / self.keys * 1e6


def audited(url: str, *, shards: int = 1, load: str = "fast", rules: int = 0) -> AuditFigures:
    """Audit that server in a process of its own; with ``rules`` rules of the incident's own families in the policy."""
    with TemporaryDirectory(prefix="redis-ttl-bench-") as place:
        command = _command(place, url, shards, load, rules)
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603
    return AuditFigures(**json.loads(answer.stdout.splitlines()[-1]))


@contextmanager
def audit_under_way(url: str, *, load: str) -> Iterator[subprocess.Popen[bytes]]:
    """An audit that has just begun to scan, ended with the ``with`` block however far it is."""
    with TemporaryDirectory(prefix="redis-ttl-bench-", ignore_cleanup_errors=True) as place:
        process = subprocess.Popen(_command(place, url, 1, load, 0), stdout=subprocess.PIPE)  # noqa: S603
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the audit did not start")
            yield process
        finally:
            process.terminate()
            process.communicate()


def _command(place: str, url: str, shards: int, load: str, rules: int) -> list[str]:
    wishes = {"place": place, "url": url, "shards": shards, "load": load, "rules": rules}
    return [sys.executable, "-m", "bench.our_audit", json.dumps(wishes)]


def _audit(place: str, url: str, *, shards: int, load: str, rules: int) -> AuditFigures:
    endpoint = endpoint_from_url(url)
    policy = _policy(rules) if rules else None
    options = AuditOptions(load=load, shards=shards, parallel=shards, databases=(endpoint.db,))
    with RedisLink(endpoint) as meter:
        own_cpu_before_s = _own_cpu_s()
        cpu_s, time_s = [_server_cpu_s(meter)], [time.perf_counter()]

        def lap() -> None:
            cpu_s.append(_server_cpu_s(meter))
            time_s.append(time.perf_counter())

        redis = RedisDeployment(endpoint, parse_load(load))
        folder = AuditFolder(Store(Path(place)), "bench", "audit")
        plan = plan_shards(
            folder,
            redis,
            inspect_server(redis, options),
            options,
            audit_id="audit",
            cluster="bench",
            started_at=SystemClock().now().isoformat(),
            policy=policy,
        )
        job = ScanJob(endpoint, Path(place), policy, plan)
        lap()
        print(flush=True)  # noqa: T201  # the parent may wait for the scan to begin
        reading = _Reading(meter)
        scan_all(job, reading)
        lap()
        done = merge_audit(folder, PatternMerger(), job.tools(_ignore_progress))
        lap()
    return AuditFigures(
        keys=done.keys,
        no_ttl_keys=done.no_ttl_keys,
        patterns=len(done.patterns),
        governed_keys=sum(pattern.keys for pattern in done.patterns if pattern.governed_by),
        scan_s=time_s[2] - time_s[1],
        merge_s=time_s[3] - time_s[2],
        whole_s=time_s[3] - time_s[0],
        scan_server_cpu_s=cpu_s[2] - cpu_s[1],
        reading_s=reading.marks[-1][0] - reading.marks[0][0],
        reading_server_cpu_s=reading.marks[-1][1] - reading.marks[0][1],
        server_cpu_s=cpu_s[3] - cpu_s[0],
        own_cpu_s=_own_cpu_s() - own_cpu_before_s,
        peak_mib=peak_mib(),
    )


def _policy(rules: int) -> Policy:
    """A policy of that many rules, each for keys that are really there; ``{n}`` alone is no pattern for a rule."""
    patterns: dict[KeyPattern, None] = {}
    for family in FAMILIES:
        try:
            patterns[KeyPattern(family.pattern)] = None
        except InvalidOption:
            continue
    chosen = list(patterns)[:rules]
    if len(chosen) < rules:
        raise ValueError(f"the incident has {len(chosen)} patterns that can be rules, {rules} wanted")
    return Policy(
        "bench",
        connection="bench",
        owner=Owner("bench"),
        rules=tuple(Rule(pattern, ttl_s=86_400) for pattern in chosen),
    )


def _ignore_progress(number: int, *, keys: int, ratio: float) -> None:
    pass


class _Reading:
    """Hears of every batch, and notes the time and the server's CPU seconds at each."""

    def __init__(self, meter: RedisLink) -> None:
        self._meter = meter
        self.marks: list[tuple[float, float]] = []

    def __call__(self, number: int, *, keys: int, ratio: float) -> None:  # noqa: ARG002  # the signature of a progress
        self.marks.append((time.perf_counter(), _server_cpu_s(self._meter)))


def _server_cpu_s(link: RedisLink) -> float:
    lines = bytes(link.call("INFO", "cpu")).decode().splitlines()
    figures = dict(line.split(":", 1) for line in lines if ":" in line)
    return float(figures["used_cpu_user"]) + float(figures["used_cpu_sys"])


def _own_cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_mib() -> float:
    """The peak of resident memory, from the kernel; unlike getrusage's it doesn't begin with the parent's."""
    status = Path("/proc/self/status")
    if not status.exists():  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines: Mapping[str, Any] = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def main() -> None:
    """Run the audit that the first argument describes, and print its figures."""
    print(json.dumps(asdict(_audit(**json.loads(sys.argv[1])))))  # noqa: T201  # the answer to the parent


if __name__ == "__main__":
    main()
