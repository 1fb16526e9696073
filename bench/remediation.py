"""What a remediation costs: keys changed a second beside a bare pipeline over known keys, its journal, and what a
neighbour feels of it at the default rate.

Everything runs on servers whose every key matches a rule, so that nothing is gained by keys that are only read.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.neighbour import Wait, neighbour, percentile_ms
from bench.our_remediation import RemediationFigures, remediated, remediation_under_way
from bench.rows import Row
from lab.servers.kinds import REDIS_7, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink, encode
from redis_ttl.domain.policy.policy import RemediationSettings

Say = Callable[[str], None]

#: The incident's recorded families without TTL, and the one whose TTL is too long, in their proportion.
_WITHOUT_TTL: Final = (("MARKETING:COUPON:UNREAD:%d", 147_111), ("contact:userGroupLabel:set:%d", 177_450))
_TOO_LONG: Final = ("contact:last:activity:%d", 374_639)
_TOO_LONG_S: Final = 364 * 86_400
_PIPELINE: Final = 1_000
_FAR_MS: Final = b"4000000000000"


@dataclass(frozen=True, slots=True)
class _Turn:
    from_s: float
    to_s: float

    def p99_ms(self, waits: list[Wait]) -> float:
        return percentile_ms([wait.took_ms for wait in waits if self.from_s <= wait.asked_s < self.to_s], 99)


def rows_of_remediation(keys: int, rounds: int, say: Say, *, turns: int, turn_s: float) -> list[Row]:
    """Throughput, journal, memory, and a neighbour's p99 at the default rate."""
    kind = REDIS_7 if REDIS_7.find() is not None else VALKEY
    with run_server(kind) as server:
        done: list[tuple[RemediationFigures, float]] = []
        for number in range(1, rounds + 1):
            say(f"remediation, round {number} of {rounds}: {keys:,} keys without TTL")
            names = _fill(server, keys)
            bare = _bare_pipeline(server, names)
            _fill(server, keys)
            done.append((remediated(server.url), bare))
        say("remediation, the incident's rules")
        _fill(server, keys, too_long=True)
        whole = remediated(server.url)
        beside = _rows_beside(server, say, turns=turns, turn_s=turn_s)
    return [
        Row.measured("bare PEXPIREAT pipeline over known keys", [bare for _, bare in done], "keys/s"),
        Row.promised(
            "keys changed, journalled, scan included, 1 task",
            median(ours.keys_per_s for ours, _ in done),
            "keys/s",
            ">=",
            150_000,
        ),
        Row.promised(
            "keys changed against the bare pipeline",
            median(ours.keys_per_s / bare for ours, bare in done),
            "times",
            ">=",
            0.35,
        ),
        Row.promised(
            "journal bytes per key, the incident's rules",
            max(whole.bytes_per_key, *(ours.bytes_per_key for ours, _ in done)),
            "bytes",
            "<=",
            15,
        ),
        Row.promised("keys rolled back", median(ours.restored_per_s for ours, _ in done), "keys/s", ">=", 100_000),
        Row.promised("peak memory of the writing process", max(ours.peak_mib for ours, _ in done), "MiB", "<=", 300),
        *beside,
    ]


def _rows_beside(server: Server, say: Say, *, turns: int, turn_s: float) -> list[Row]:
    """The neighbour's p99 without and with a remediation at the default rate; it stands still in every other turn."""
    rate = RemediationSettings().rate
    # So many keys that it isn't done before the last turn.
    _fill(server, max(2_000, int(1.5 * turns * turn_s * 20_000)))
    say(f"a neighbour, in {turns} turns without and with a remediation at {rate}")
    alone, beside, changed = [], [], []
    with neighbour(server.url) as other, remediation_under_way(server.url, rate=rate, load="gentle") as process:
        for _ in range(turns):
            process.send_signal(signal.SIGSTOP)
            alone.append(_turn(turn_s))
            before = _with_ttl(server)
            process.send_signal(signal.SIGCONT)
            beside.append(_turn(turn_s, process))
            changed.append((_with_ttl(server) - before) / (beside[-1].to_s - beside[-1].from_s))
    waits = other.waits
    pairs = list(zip(alone, beside, strict=True))
    return [
        Row.measured(f"remediation at {rate}: keys changed", changed, "keys/s"),
        Row.measured("GET p99 beside a remediation", [each.p99_ms(waits) for each in beside], "ms"),
        Row.promised(
            "GET p99 beside a remediation against idle",
            median(busy.p99_ms(waits) / idle.p99_ms(waits) for idle, busy in pairs),
            "times",
            "<=",
            1.5,
        ),
    ]


def _turn(turn_s: float, process: subprocess.Popen[bytes] | None = None) -> _Turn:
    from_s = time.monotonic()
    if process is None:
        time.sleep(turn_s)
    else:
        with suppress(subprocess.TimeoutExpired):
            process.wait(turn_s)
    return _Turn(from_s, time.monotonic())


def _with_ttl(server: Server) -> int:
    with server.client() as client:
        return int(client.info("keyspace").get("db0", {}).get("expires", 0))


def _fill(server: Server, keys: int, *, too_long: bool = False) -> list[bytes]:
    """Fill the emptied server with that many keys; their names."""
    families = [*_WITHOUT_TTL, *([_TOO_LONG] if too_long else [])]
    total = sum(count for _, count in families)
    names = []
    with RedisLink(endpoint_from_url(server.url)) as link:
        link.call("FLUSHALL")
        for name, count in families:
            size = keys * count // total
            own = [(name % number).encode() for number in random.Random(1).sample(range(10 * size), size)]
            options = ("EX", _TOO_LONG_S) if name == _TOO_LONG[0] else ()
            for part in _parts(own):
                link.exchange(b"".join([encode("SET", key, "x" * 40, *options) for key in part]), len(part))
            names += own
    return names


def _bare_pipeline(server: Server, names: list[bytes]) -> float:
    """Keys a second of PEXPIREAT NX over known keys, encoded before the clock starts, a thousand in each round trip and
    the next thousand on their way: nothing that sets expiries can be faster.
    """
    encoded = [
        (len(part), b"".join([encode("PEXPIREAT", key, _FAR_MS, "NX") for key in part])) for part in _parts(names)
    ]
    with RedisLink(endpoint_from_url(server.url)) as link:
        started_s = time.perf_counter()
        under_way = 0
        for count, data in encoded:
            link.send(data, count)
            link.receive_together(under_way)
            under_way = count
        link.receive_together(under_way)
        return len(names) / (time.perf_counter() - started_s)


def _parts(names: list[bytes]) -> Iterator[list[bytes]]:
    return (names[at : at + _PIPELINE] for at in range(0, len(names), _PIPELINE))
