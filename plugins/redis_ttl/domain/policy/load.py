"""How hard an audit may press the server: pages sized by time, pauses between them.

Only decisions: times come in as arguments and pauses go out as numbers; who measures and who sleeps is the reader's
business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final, Protocol, assert_never

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.written import KEYS_PER_S, MOST_KEYS_PER_S, number_of, quoted, whole, word

# More than this and one page blocks the server for over a millisecond (measured: 0.2 to 0.8 ms for SCAN alone).
MOST_KEYS_PER_PAGE = 1000


class LoadKind(StrEnum):
    """The three ways to limit an audit."""

    GENTLE = "gentle"
    FAST = "fast"
    RATE = "rate"


class Pace(Protocol):
    """Decides, page by page, how large the next one is and how long to wait before it."""

    @property
    def page_keys(self) -> int:
        """How many keys the next page should have."""

    @property
    def keeps_busy(self) -> bool:
        """Whether the server should always have the next request before it has answered the last one."""

    def pause_s(self, *, keys: int, elapsed_s: float, now_s: float) -> float:
        """How long to wait before the next page, after a round trip about ``keys`` keys that took ``elapsed_s`` and
        ended at ``now_s``.
        """


@dataclass(frozen=True, slots=True)
class Load:
    """A limit for the whole audit of one server, to be shared by ``sharers`` scans that run at the same time."""

    kind: LoadKind = LoadKind.GENTLE
    keys_per_s: int | None = None
    sharers: int = 1

    def share(self, parallel: int) -> Load:
        """The part of each of ``parallel`` scans that press the same server at the same time."""
        return replace(self, sharers=self.sharers * max(1, parallel))

    def pace(self, *, round_trip_s: float) -> Pace:
        """A new pace for one scan over a connection whose shortest round trip, without any work, takes that long."""
        match self.kind:
            case LoadKind.FAST:
                return FastPace()
            case LoadKind.RATE:
                return RatePace((self.keys_per_s or 1) / self.sharers)
            case LoadKind.GENTLE:
                return GentlePace(round_trip_s, self.sharers)
            case _:
                assert_never(self.kind)

    def __str__(self) -> str:
        return f"{self.keys_per_s} keys/s" if self.kind is LoadKind.RATE else self.kind.value


LOAD_EXPECTED: Final = f"gentle, fast, or keys per second as in 20000/s, at most {MOST_KEYS_PER_S:,}/s"
#: What :func:`parse_load` reads, all of it.
LOAD_PATTERN: Final = whole(
    rf"({word(LoadKind.GENTLE)})|({word(LoadKind.FAST)})|({KEYS_PER_S})(?:[ \t]*(?:{word('keys')})?/{word('s')})?"
)
_LOAD: Final = re.compile(LOAD_PATTERN)


def parse_load(text: str) -> Load:
    """The load that a person wrote: ``gentle``, ``fast``, or a number of keys a second as in ``20000`` or ``20000
    keys/s``. Raises `InvalidOption`.
    """
    match = _LOAD.match(text)
    if match is None:
        raise InvalidOption(
            "this load can't be used",
            where="load",
            found=quoted(text),
            allowed=LOAD_EXPECTED,
        )
    if match[3] is not None:
        return Load(LoadKind.RATE, number_of(match[3]))
    return Load(LoadKind.GENTLE if match[1] is not None else LoadKind.FAST)


class FastPace:
    """Large pages, no pauses: the server's thread is the limit."""

    # Not the most: a page's keys shall still be in the processor's cache when their TTLs are asked for. Measured in
    # turns on one with half a MiB, 700 to 800 keys at a time cost the server about a tenth less for each than a
    # thousand.
    page_keys = 750
    keeps_busy = True

    def pause_s(self, *, keys: int, elapsed_s: float, now_s: float) -> float:  # noqa: ARG002
        """Never waits."""
        return 0.0


@dataclass(slots=True)
class RatePace:
    """So many keys a second on average, in pages small enough that twenty of them make a second.

    After a stall of more than a second the lost time isn't made up for.
    """

    keys_per_s: float
    _next_due_s: float | None = None

    keeps_busy: ClassVar[bool] = False

    @property
    def page_keys(self) -> int:
        """A twentieth of a second's keys, from 10 to 1000."""
        return max(10, min(MOST_KEYS_PER_PAGE, int(self.keys_per_s / 20)))

    def pause_s(self, *, keys: int, elapsed_s: float, now_s: float) -> float:
        """Until the moment at which these keys were due."""
        due_s = now_s - elapsed_s if self._next_due_s is None else max(self._next_due_s, now_s - 1.0)
        self._next_due_s = due_s + keys / self.keys_per_s
        return max(0.0, self._next_due_s - now_s)


@dataclass(slots=True)
class GentlePace:
    """Pages that block the server for a fraction of a millisecond, and pauses that leave it more than four fifths of its thread.

    The server's time for a key is learnt from round trips, less the bare round trip of the connection; a single slow
    one counts little, because it may have been our own machine that was busy. A neighbour's traffic makes round trips
    longer: when keys take over twice as long as they did at best, pauses grow, up to eightfold.
    """

    round_trip_s: float
    sharers: int = 1
    _key_cost_s: float = field(default=2e-6, init=False)
    _best_key_cost_s: float = field(default=float("inf"), init=False)

    # Measured beside a loop of GETs on Redis 7.0 and Valkey 9: 0.05 ms and a fifth of the thread still add half to its
    # 99th percentile.
    BLOCK_S: ClassVar[float] = 0.025e-3
    SHARE: ClassVar[float] = 0.15
    # What the server spends on taking in a request and sending the reply, however small.
    REQUEST_COST_S: ClassVar[float] = 20e-6
    FEWEST_KEYS: ClassVar[int] = 16
    # No server tried comes near it (Valkey 9: 0.6 us); it bounds a page where round trips vary more than work takes.
    CHEAPEST_KEY_S: ClassVar[float] = 0.3e-6
    MOST_BACKING_OFF: ClassVar[float] = 8.0

    keeps_busy: ClassVar[bool] = False

    @property
    def page_keys(self) -> int:
        """As many keys as the server hands out in that fraction of a millisecond, but at least 16."""
        return max(self.FEWEST_KEYS, int(self.BLOCK_S / self._key_cost_s))

    def pause_s(self, *, keys: int, elapsed_s: float, now_s: float) -> float:  # noqa: ARG002
        """Long enough that the server's time for such a page is at most this scan's part of that share."""
        # Measured at a busy moment, the bare round trip would hide all of the server's work.
        self.round_trip_s = min(self.round_trip_s, elapsed_s)
        if keys:
            self._learn((elapsed_s - self.round_trip_s - self.REQUEST_COST_S) / keys)
        work_s = keys * self._key_cost_s + self.REQUEST_COST_S
        return work_s * (self.sharers / self.SHARE - 1) * self._backing_off

    @property
    def _backing_off(self) -> float:
        slowness = self._key_cost_s / self._best_key_cost_s
        return min(self.MOST_BACKING_OFF, max(1.0, slowness / 2))

    def _learn(self, key_cost_s: float) -> None:
        believable_s = min(max(key_cost_s, self.CHEAPEST_KEY_S), 3 * self._key_cost_s)
        self._key_cost_s += 0.1 * (believable_s - self._key_cost_s)
        # Forgotten slowly, so that a lucky page doesn't make all later ones look slow.
        self._best_key_cost_s = min(self._best_key_cost_s * 1.001, self._key_cost_s)
