"""When writing must pause, and when it must end: decided from a server's figures, not from who reads them.

A guard that is over its bound pauses the writing at once. Every later reading is another look: two good ones in a row
end the pause, and the same reason for longer than the policy's patience ends the run. A figure that can't be read is no
good figure, unless the policy does without its guard: `GUARDS` says which guard needs which figure, to the plan, the
writer and the rollback alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.policy.policy import GuardSettings

#: A round trip below this never pauses, however short it was at the start: the machine's own noise reaches so far.
LEAST_SLOW_S: Final = 2e-3
#: So many good readings in a row end a pause.
GOOD_LOOKS: Final = 2
#: A failover takes the replica away first, and tells the former primary up to half a minute later that it is none any more:
#: that is no end of the work, it is tried again at the new one.
FAILOVER_S: Final = 30
#: By how much a server's clock and ours may differ.
CLOCKS_DIFFER_S: Final = 60.0
#: Misses and errors a second that the canary's watch lets pass, whatever they were before.
_MISSES_ALLOWED_PER_S: Final = 100.0
_ERRORS_ALLOWED_PER_S: Final = 10.0
_TWICE: Final = 2.0
_PACE_MOST_S: Final = 1e-3


@document_part
@dataclass(frozen=True, slots=True)
class Reading:
    """A server's figures at one moment (``at_s``, monotonic). None is a figure that couldn't be read.

    Counters (``evicted_keys``, ``expire_cap_hits``, ``misses``, ``errors``) count since the server's start.
    ``limit_bytes`` is 0 for a server without a limit. ``lag_bytes`` and ``lag_s`` are those of the replica that is
    furthest behind, 0 without replicas. ``replicas_online`` take part in what is written: one that is being filled (again)
    does not. ``clock_ahead_s`` is the server's clock less this machine's. ``round_trip_s`` is our own, without any work in it.
    """

    at_s: float
    run_id: str
    is_primary: bool
    round_trip_s: float
    used_bytes: int | None
    limit_bytes: int | None
    evicted_keys: int | None
    expire_cap_hits: int | None
    lag_bytes: int | None
    lag_s: int | None
    misses: int | None = None
    errors: int | None = None
    replicas_online: int | None = None
    clock_ahead_s: float | None = None

    def memory_ratio(self, policy_limit_bytes: int | None = None) -> float | None:
        """Used memory as a share of maxmemory, or of the policy's limit for a server without one; None where there is neither,
        or it can't be read.
        """
        if self.used_bytes is None or self.limit_bytes is None:
            return None
        limit = self.limit_bytes or policy_limit_bytes
        return self.used_bytes / limit if limit else None


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard that needs figures of the server.

    ``kind`` is what its reasons are kept under, ``key`` its name in ``remediation.guards`` of a policy. ``figures`` are those of a
    `Reading`, each with where a server tells it; ``says`` is how a reason calls them.
    """

    kind: str
    key: str
    figures: tuple[tuple[str, str], ...]
    says: str

    def lacks(self, reading: Reading) -> tuple[str, ...]:
        """What this server doesn't tell of what the guard needs."""
        return tuple(source for figure, source in self.figures if getattr(reading, figure) in (None, ""))


#: Every guard that a server can leave without its figures. Latency isn't among them: we measure it ourselves.
GUARDS: Final = (
    Guard("memory", "memory", (("used_bytes", "used_memory"), ("limit_bytes", "maxmemory")), "memory"),
    Guard("evictions", "evicted_keys", (("evicted_keys", "evicted_keys"),), "evicted keys"),
    Guard(
        "expiry",
        "expire_cap_hits",
        (("expire_cap_hits", "expired_time_cap_reached_count"),),
        "expiry cycles cut short (expired_time_cap_reached_count)",
    ),
    Guard(
        "lag_bytes",
        "replica_lag_bytes",
        (("lag_bytes", "connected_slaves, slave<n> with its offset, or master_repl_offset"),),
        "replication lag in bytes",
    ),
    Guard(
        "lag_s",
        "replica_lag",
        (("lag_s", "connected_slaves, or slave<n> with its lag"),),
        "replication lag in seconds",
    ),
    Guard("replicas", "replicas", (("replicas_online", "connected_slaves, or slave<n>"),), "replicas online"),
    Guard("server", "server", (("run_id", "run_id"),), "whether it is the same process still (run_id)"),
    Guard("misses", "misses", (("misses", "keyspace_misses"),), "keyspace misses"),
    Guard("errors", "errors", (("errors", "total_error_replies"),), "error replies"),
)
#: What the canary's watch looks at beside what the writing does.
_WATCH_ONLY: Final = frozenset({"misses", "errors"})


def unreadable(reading: Reading, settings: GuardSettings) -> dict[Guard, tuple[str, ...]]:
    """The guards that this server leaves without a figure, and that the policy doesn't do without; with what it doesn't tell."""
    return {
        guard: lacking for guard in GUARDS if guard.key not in settings.unguarded and (lacking := guard.lacks(reading))
    }


class Step(StrEnum):
    """What writing may do now."""

    GO = "go"
    PAUSE = "pause"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What writing may do, and why it may not."""

    step: Step
    reason: str | None = None


@dataclass(slots=True)
class Guards:
    """Watches one server from reading to reading. ``start_round_trip_s`` is the round trip before anything was written;
    ``critical_ratio`` the policy's share of maxmemory, for guards that name none. ``memory_limit_bytes`` counts where the
    server has no maxmemory; ``start_replicas`` were online when the run began, None where that isn't known.
    """

    settings: GuardSettings
    critical_ratio: float
    start_round_trip_s: float
    memory_limit_bytes: int | None = None
    start_replicas: int | None = None
    _before: Reading | None = field(default=None, init=False)
    _bad_since_s: dict[str, float] = field(default_factory=dict, init=False)
    _good_looks: int = field(default=GOOD_LOOKS, init=False)
    _last: Ruling = field(default=Ruling(Step.GO), init=False)

    def look(self, reading: Reading) -> Ruling:
        """What this reading means for the writing."""
        found = reasons(
            reading,
            self._before,
            self.settings,
            critical_ratio=self.critical_ratio,
            start_round_trip_s=self.start_round_trip_s,
            memory_limit_bytes=self.memory_limit_bytes,
            start_replicas=self.start_replicas,
        )
        self._before = reading
        if found:
            self._good_looks = 0
            # What was bad a moment ago and isn't now keeps its start until the pause is over: it flickers.
            for kind in found:
                self._bad_since_s.setdefault(kind, reading.at_s)
            lasting = [kind for kind in found if reading.at_s - self._bad_since_s[kind] >= self._patience_s(kind)]
            text = "; ".join(found.values())
            if lasting:
                self._last = Ruling(Step.ABORT, f"{found[lasting[0]]}, for {self._patience_s(lasting[0])} s")
            else:
                self._last = Ruling(Step.PAUSE, text)
        else:
            self._good_looks += 1
            if self._good_looks >= GOOD_LOOKS:
                self._bad_since_s.clear()
                self._last = Ruling(Step.GO)
        return self._last

    def _patience_s(self, kind: str) -> int:
        return max(self.settings.patience_s, FAILOVER_S) if kind == "replicas" else self.settings.patience_s


def reasons(
    now: Reading,
    before: Reading | None,
    settings: GuardSettings,
    *,
    critical_ratio: float,
    start_round_trip_s: float,
    memory_limit_bytes: int | None = None,
    start_replicas: int | None = None,
) -> dict[str, str]:
    """Why nothing should be written at this moment, by guard, in words with the figure and its bound; empty: go on."""
    bound = critical_ratio if settings.memory_ratio is None else settings.memory_ratio
    found = {
        "memory": _memory(now, bound, memory_limit_bytes),
        "evictions": _counter("evictions", "evicted_keys", now, before, most_per_s=settings.evicted_keys_per_s),
        "latency": _latency(now, start_round_trip_s, settings.latency_factor),
        "expiry": _counter("expiry", "expire_cap_hits", now, before, most_per_s=settings.expire_cap_hits_per_s),
        "lag_bytes": _bound("lag_bytes", now.lag_bytes, settings.replica_lag_bytes),
        "lag_s": _bound("lag_s", now.lag_s, settings.replica_lag_s),
        "replicas": _replicas(now, start_replicas),
        "clock": _clock(now),
    }
    return _found(found | _unread(now, settings, _WATCH_ONLY, start_replicas), settings)


def watch_reasons(
    before: Reading,
    after: Reading,
    normal: tuple[Reading, Reading] | None,
    settings: GuardSettings,
    *,
    critical_ratio: float,
    start_round_trip_s: float,
    memory_limit_bytes: int | None = None,
    start_replicas: int | None = None,
) -> dict[str, str]:
    """Why the canary's watch from ``before`` to ``after`` isn't passed; ``normal`` are two readings from before it."""
    found = {
        "misses": _risen("misses", before, after, normal, allowed_per_s=_MISSES_ALLOWED_PER_S),
        "errors": _risen("errors", before, after, normal, allowed_per_s=_ERRORS_ALLOWED_PER_S),
    }
    return reasons(
        after,
        before,
        settings,
        critical_ratio=critical_ratio,
        start_round_trip_s=start_round_trip_s,
        memory_limit_bytes=memory_limit_bytes,
        start_replicas=start_replicas,
    ) | _found(found | _unread(after, settings, frozenset(_SAYS) - _WATCH_ONLY, start_replicas), settings)


def rate_per_s(name: str, before: Reading, after: Reading) -> float | None:
    """How fast that counter moved; None where it can't be told."""
    first, last = getattr(before, name), getattr(after, name)
    took_s = after.at_s - before.at_s
    if first is None or last is None or took_s <= 0:
        return None
    return float(max(0, last - first) / took_s)


def _unread(
    now: Reading, settings: GuardSettings, without: frozenset[str], start_replicas: int | None
) -> dict[str, str | None]:
    """The guards that have no figure, but those of the kinds ``without``."""
    found: dict[str, str | None] = {}
    for guard in unreadable(now, settings):
        # Nobody is missed of whom nobody knew.
        if guard.kind in without or (guard.kind == "replicas" and not start_replicas):
            continue
        began = f" ({start_replicas} when the run began)" if guard.kind == "replicas" else ""
        found[guard.kind] = f"{guard.says}{'' if guard.kind == 'memory' else ':'} can't be read{began}"
    return found


def _found(reasons: Mapping[str, str | None], settings: GuardSettings) -> dict[str, str]:
    """Those that are reasons, of guards that the policy doesn't do without."""
    off = {guard.kind for guard in GUARDS if guard.key in settings.unguarded}
    return {kind: text for kind, text in reasons.items() if text is not None and kind not in off}


def _memory(now: Reading, bound: float, policy_limit_bytes: int | None) -> str | None:
    ratio = now.memory_ratio(policy_limit_bytes)
    if ratio is None or ratio <= bound:
        return None
    limit = "maxmemory" if now.limit_bytes else "the policy's memory.limit"
    return f"memory is at {ratio:.1%} of {limit} (bound {bound:.0%})"


def _replicas(now: Reading, at_start: int | None) -> str | None:
    """A replica that is lost, or is being filled again, is missing; one that was added later is nobody's concern."""
    if not at_start or now.replicas_online is None or now.replicas_online >= at_start:
        return None
    return f"replicas online: {now.replicas_online} ({at_start} when the run began)"


def _clock(now: Reading) -> str | None:
    """TTLs count from the server's clock, approvals from this machine's: instants of clocks that differ are nonsense."""
    if now.clock_ahead_s is None or abs(now.clock_ahead_s) <= CLOCKS_DIFFER_S:
        return None
    return f"the server's clock is {now.clock_ahead_s:+,.0f} s from this machine's (bound {CLOCKS_DIFFER_S:g} s)"


def _latency(now: Reading, start_s: float, factor: float) -> str | None:
    bound_s = max(LEAST_SLOW_S, start_s * factor)
    if now.round_trip_s <= bound_s:
        return None
    return f"a round trip takes {now.round_trip_s * 1e3:.1f} ms (bound {bound_s * 1e3:.1f} ms)"


def _bound(kind: str, value: int | None, most: int) -> str | None:
    return None if value is None or value <= most else f"{_SAYS[kind]}: {value:,} (bound {most:,})"


def _counter(kind: str, name: str, now: Reading, before: Reading | None, *, most_per_s: float) -> str | None:
    value, value_before = getattr(now, name), None if before is None else getattr(before, name)
    # Two readings closer together than this would make a storm of a single event.
    if before is None or value is None or value_before is None or now.at_s - before.at_s < _PACE_MOST_S:
        return None
    per_s = (value - value_before) / (now.at_s - before.at_s)
    return None if per_s <= most_per_s else f"{_SAYS[kind]}: {per_s:,.1f} a second (bound {most_per_s:g})"


def _risen(
    name: str, before: Reading, after: Reading, normal: tuple[Reading, Reading] | None, *, allowed_per_s: float
) -> str | None:
    now_per_s = rate_per_s(name, before, after)
    if now_per_s is None:
        return None
    normal_per_s = (normal and rate_per_s(name, *normal)) or 0.0
    bound = normal_per_s * _TWICE + allowed_per_s
    if now_per_s <= bound:
        return None
    return f"{_SAYS[name]}: {now_per_s:,.0f} a second (bound {bound:,.0f}, before the canary {normal_per_s:,.0f})"


_SAYS: Final = {guard.kind: guard.says for guard in GUARDS}
