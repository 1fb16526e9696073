"""A client that lives beside an audit: one GET about every millisecond, and how long each took.

In a process of its own, started as ``python -m bench.neighbour``, so that what it feels is the server and not the
benchmark's own interpreter. What it asks for isn't there: it is the wait that is timed, not the value.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink

_EVERY_S = 0.001


@dataclass(frozen=True, slots=True)
class Wait:
    """One request: when it was sent, by the monotonic clock that all processes share, and how long it took."""

    asked_s: float
    took_ms: float


class Neighbour:
    """A running neighbour; its ``waits`` are known when it has been stopped."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []


def percentile_ms(values: list[float], percent: float) -> float:
    """What so many in a hundred of the values stay below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@contextmanager
def neighbour(url: str) -> Iterator[Neighbour]:
    """A neighbour of that server, for the length of the ``with`` block."""
    process = subprocess.Popen(  # noqa: S603  # this very module
        [sys.executable, "-m", "bench.neighbour", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("the neighbour did not start")
        found = Neighbour()
        yield found
        answer, _ = process.communicate(b"\n")
        found.waits = [Wait(*each) for each in json.loads(answer)]
    finally:
        process.kill()
        process.wait()


def _keep_asking(url: str) -> None:
    """Ask until a line arrives on standard input, then print when each request was sent and what it took."""
    waits: list[tuple[float, float]] = []
    with RedisLink(endpoint_from_url(url)) as link:
        print(flush=True)  # noqa: T201  # the parent waits for it
        due_s = time.monotonic()
        while not select.select([sys.stdin], [], [], max(0.0, due_s - time.monotonic()))[0]:
            asked_s = time.monotonic()
            link.call("GET", f"bench:neighbour:{len(waits)}")
            answered_s = time.monotonic()
            waits.append((asked_s, (answered_s - asked_s) * 1e3))
            due_s = max(due_s + _EVERY_S, answered_s)
    print(json.dumps(waits))  # noqa: T201  # the answer to the parent


if __name__ == "__main__":
    _keep_asking(sys.argv[1])
