"""Run as a program: one part of a remediation, which may be told to kill itself at a certain moment.

    python -m tests.usecases.apply_part FILE PART MOMENT NUMBER

``FILE`` is a pickled :class:`Applying`, ``PART`` is ``canary``, ``shard`` or ``rollback``. ``MOMENT`` is one of ``never``,
``journal`` (before the object is written), ``journalled`` (when it is durable), ``sent`` (writes sent, no reply read),
``batch`` (between two batches) or ``full-disk`` (no file may grow beyond a kilobyte); it comes for the ``NUMBER``th
time. Exits with 75 for an error that is tried again. An empty line on standard output says that the work begins.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
from itertools import count
from pathlib import Path

from lab.remediation.applying import Applying
from lab.remediation.restoring import roll_back
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.writing.writable_deployment import DatabaseDecisions
from redis_ttl.domain.errors import RedisTtlError
from redis_ttl.usecases.remediation import part_work, write_gate
from redis_ttl.usecases.store.plans import PlanDocuments

TRY_AGAIN = 75
#: Small, so that a part has many moments.
BATCH_KEYS = 700
CHUNK_KEYS = 90


def main(file: str, part: str, moment: str, number: int) -> None:
    """Do it."""
    applying: Applying = pickle.loads(Path(file).read_bytes())
    part_work._BATCH_KEYS = BATCH_KEYS  # type: ignore[misc]  # a constant elsewhere
    write_gate._FAST_CHUNK = CHUNK_KEYS  # type: ignore[misc]
    arm(moment, number)
    print(flush=True)  # noqa: T201  # the test waits for it
    try:
        do(applying, part)
    except RedisTtlError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(TRY_AGAIN if error.retryable else 1)


def do(applying: Applying, part: str) -> None:
    """Work on that part, in this process."""
    match part:
        case "canary":
            applying.canary()
        case "shard":
            applying.shard()
        case "rollback":
            roll_back(applying)
        case _:
            raise ValueError(part)


def arm(moment: str, number: int) -> None:
    """Have this process killed at that moment."""
    times = count(1)

    def now(name: str) -> None:
        if name == moment and next(times) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    write_journal, send, decide = PlanDocuments.write_journal, RedisLink.send, DatabaseDecisions.decide

    def journalling(self: PlanDocuments, name: object, data: bytes) -> None:
        now("journal")
        write_journal(self, name, data)  # type: ignore[arg-type]
        now("journalled")

    def sending(self: RedisLink, data: bytes, count: int) -> None:
        send(self, data, count)
        if (b"PEXPIREAT" in data[:40] or b"EVALSHA" in data[:40]) and b"absent" not in data[:160]:
            now("sent")

    def deciding(self: DatabaseDecisions, batch: object) -> object:
        now("batch")
        return decide(self, batch)  # type: ignore[arg-type]

    PlanDocuments.write_journal = journalling  # type: ignore[method-assign, assignment]
    RedisLink.send = sending  # type: ignore[method-assign]
    DatabaseDecisions.decide = deciding  # type: ignore[method-assign, assignment]
    if moment == "full-disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, 1_024))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
