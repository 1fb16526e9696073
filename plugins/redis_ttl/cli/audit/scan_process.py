"""Scans shards of a terminal's audit, each in a process of its own: reading keeps one interpreter busy, so threads
wouldn't help.
"""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty
from threading import Thread
from typing import TYPE_CHECKING

from redis_ttl.adapters.counting.tally import Tally
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.errors import RedisTtlError
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.usecases.audit.scan_shard import ScanTools, scan_shard
from redis_ttl.usecases.store.audits import AuditFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.audit.audit import AuditPlan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.ports import Progress

#: How long to wait before each new attempt at a shard whose server went away: a restart takes seconds. The scan goes on
#: at its last checkpoint where the same process answers.
_WAITS_S = (1.0, 4.0, 15.0)
_POLL_S = 0.1
_END_S = 5.0

_progress_queue: Queue[tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class ScanJob:
    """All that another process needs to scan a shard of this audit."""

    endpoint: Endpoint
    store: Path
    policy: Policy | None
    plan: AuditPlan

    def folder(self) -> AuditFolder:
        """The audit's documents."""
        return AuditFolder(Store(self.store), self.plan.cluster, self.plan.audit_id)

    def tools(self, progress: Progress) -> ScanTools:
        """What scanning needs, in this process."""
        return ScanTools(
            redis=RedisDeployment(self.endpoint, parse_load(self.plan.options.load)),
            new_tally=partial(Tally, policy=self.policy, sample_ratio=self.plan.options.sample_percent / 100),
            progress=progress,
            clock=SystemClock(),
        )


def scan_all(job: ScanJob, progress: Progress) -> None:
    """Scan every shard of the plan, as many at a time as its options say; ``progress`` hears shard number, keys and
    share done.
    """
    workers = min(job.plan.options.parallel, len(job.plan.shards))
    if workers <= 1:
        for number in range(len(job.plan.shards)):
            _scan(job, number, progress)
        return
    context = get_context("spawn")
    queue: Queue[tuple[int, int, float]] = context.Queue()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_join, initargs=(queue,)) as pool:
        try:
            with _workers_deaf_to_ctrl_c():
                open_scans = {pool.submit(_scan_in_worker, job, number) for number in range(len(job.plan.shards))}
            while open_scans:
                try:
                    number, keys, ratio = queue.get(timeout=_POLL_S)
                    progress(number, keys=keys, ratio=ratio)
                except Empty:
                    finished = {scan for scan in open_scans if scan.done()}
                    for scan in as_completed(finished):
                        scan.result()
                    open_scans -= finished
        except BaseException:
            workers_alive = list((pool._processes or {}).values())  # noqa: SLF001  # there is no other way to end work that has begun
            pool.shutdown(wait=False, cancel_futures=True)
            for process in workers_alive:
                process.terminate()
            for process in workers_alive:
                process.join(_END_S)
            raise


@contextmanager
def _workers_deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within inherit that Ctrl-C is ignored: the terminal sends it to all, and only the first one shall speak."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _scan(job: ScanJob, number: int, progress: Progress) -> None:
    for wait_s in (*_WAITS_S, None):
        try:
            scan_shard(job.folder(), job.plan, number, job.plan.shards[number], job.tools(progress))
        except RedisTtlError as error:
            if wait_s is None or not error.retryable:
                raise
            time.sleep(wait_s)
        else:
            return


def _join(queue: Queue[tuple[int, int, float]]) -> None:
    global _progress_queue  # noqa: PLW0603  # a queue can only be inherited, not sent to a worker
    _progress_queue = queue
    Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would scan on, and then wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _scan_in_worker(job: ScanJob, number: int) -> None:
    _scan(job, number, lambda number, *, keys, ratio: _progress_queue.put((number, keys, ratio)))
