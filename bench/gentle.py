"""What a neighbour feels of a gentle audit: short turns without and with one, compared turn by turn.

In turns, because on a shared machine the neighbour's own luck changes from one second to the next. An audit is started
anew for each turn, counted from its first page, and ended with the turn.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.neighbour import Wait, neighbour, percentile_ms
from bench.our_audit import audit_under_way
from bench.rows import Row

if TYPE_CHECKING:
    from bench.bench_server import BenchServer


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of time, the keys that were asked for their TTL in it, and what it took of the server."""

    from_s: float
    to_s: float
    keys: int
    server_cpu_s: float

    @property
    def keys_per_s(self) -> float:
        """How fast the audit was."""
        return self.keys / (self.to_s - self.from_s)

    @property
    def server_share(self) -> float:
        """Server CPU seconds for each second."""
        return self.server_cpu_s / (self.to_s - self.from_s)

    def p99_ms(self, waits: list[Wait]) -> float:
        """What 99 in 100 of the waits of this turn stayed below."""
        return percentile_ms([wait.took_ms for wait in waits if self.from_s <= wait.asked_s < self.to_s], 99)


def rows_of_gentle(server: BenchServer, say: Callable[[str], None], *, turns: int, turn_s: float) -> list[Row]:
    """The neighbour's p99 without and with a gentle audit, and what the audit takes of the server.

    The server's share is that of a turn with an audit less that of the turn before, when only the neighbour was there.
    """
    say(f"a neighbour, in {turns} turns without and with a gentle audit")
    alone, beside = [], []
    with neighbour(server.url) as other:
        for _ in range(turns):
            alone.append(_turn(server, turn_s))
            with audit_under_way(server.url, load="gentle") as audit:
                beside.append(_turn(server, turn_s, audit))
    waits = other.waits
    pairs = list(zip(alone, beside, strict=True))
    return [
        Row.measured("gentle audit: scan phase", [each.keys_per_s for each in beside], "keys/s"),
        Row.measured("GET p99 of an idle server", [each.p99_ms(waits) for each in alone], "ms"),
        Row.measured("GET p99 beside a gentle audit", [each.p99_ms(waits) for each in beside], "ms"),
        Row.promised(
            "GET p99 beside a gentle audit against idle",
            median(busy.p99_ms(waits) / idle.p99_ms(waits) for idle, busy in pairs),
            "times",
            "<=",
            1.5,
        ),
        Row.promised(
            "server CPU share of a gentle audit",
            median(100 * (busy.server_share - idle.server_share) for idle, busy in pairs),
            "%",
            "<=",
            25,
        ),
    ]


def _turn(server: BenchServer, turn_s: float, audit: subprocess.Popen[bytes] | None = None) -> Turn:
    """Let so much time pass; less when the audit is done before."""
    before = server.counters()
    from_s = time.monotonic()
    if audit is None:
        time.sleep(turn_s)
    else:
        with suppress(subprocess.TimeoutExpired):
            audit.wait(turn_s)
    to_s = time.monotonic()
    after = server.counters()
    return Turn(from_s, to_s, after.pttl_calls - before.pttl_calls, after.cpu_s - before.cpu_s)
