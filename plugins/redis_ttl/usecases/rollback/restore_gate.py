"""Says while keys are restored whether to go on, how fast, and why not: the operator, and the guards of every server.

Taking back sets no TTLs and needs no memory, so a full server is no reason to wait. Two more guards give way where waiting would
lose what is to be saved: a server whose eviction policy takes keys with a TTL first is losing ours while they wait, and once
the plan's first instant has passed an expiry storm may be its own. A figure that the server hides is no reason either: it would
never be told, and the keys would expire meanwhile. The log says which guards that leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.policy.guards import Guards, Step, unreadable
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Interruption, Outcome
from redis_ttl.usecases.remediation.write_gate import CONTROL_S, HEALTH_S, LOG_S, Ended, command_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.policy import GuardSettings
    from redis_ttl.domain.policy.rate import Rate
    from redis_ttl.domain.rollback.rollback import WatchedNode
    from redis_ttl.usecases.ports import PatientClock
    from redis_ttl.usecases.remediation.write_ports import Control
    from redis_ttl.usecases.rollback.restore_ports import Restorer

_NEVER: Final = float("inf")
#: Guards that aren't asked about while keys are restored, by their keys: they belong to the writing, or to its canary.
_MEANINGLESS: Final = ("memory", "replicas", "misses", "errors")


@dataclass(slots=True)
class RestoreGate:
    """Stands before every page of keys that is restored.

    ``critical_ratio`` is the policy's share of maxmemory. ``earliest_ms`` is the first instant at which a key of the plan can
    expire, ms since 1970. ``look_s`` is how often a pause looks whether it is over.
    """

    restorer: Restorer
    guards: GuardSettings
    critical_ratio: float
    control: Control
    rate: Rate
    sharers: int
    earliest_ms: int | None
    log: Callable[[str], None]
    clock: PatientClock
    look_s: float
    interruptions: list[Interruption] = field(default_factory=list)
    _watched: dict[str, _Watched] = field(default_factory=dict, init=False)
    _command: OperatorCommand = field(default=OperatorCommand(), init=False)
    _reason: str | None = field(default=None, init=False)
    _next_health_s: float = field(default=0.0, init=False)
    _next_control_s: float = field(default=0.0, init=False)

    def begin(self) -> None:
        """Hear the operator before the next journal object, and set its rate; otherwise like :meth:`check`."""
        self._next_control_s = 0.0
        self.check()

    def check(self) -> None:
        """Return when keys may be restored, however long that takes. Raises `write_gate.Ended` when the
        operator or a guard ends the work.
        """
        now_s = self.clock.monotonic()
        if now_s < self._next_health_s and now_s < self._next_control_s:
            return
        began = self.clock.now()
        first: str | None = None
        said: str | None = None
        said_s = 0.0
        try:
            while (why := self._why_not()) is not None:
                first = first or why
                if why != said or self.clock.monotonic() - said_s >= LOG_S:
                    said, said_s = why, self.clock.monotonic()
                    self.log(f"paused: {why}")
                self.clock.sleep(self.look_s)
                self._next_control_s = 0.0
        except Ended as end:
            self._note(began.isoformat(), end.reason, self.clock.now().timestamp() - began.timestamp(), ended=True)
            raise
        if first is not None:
            self._note(began.isoformat(), first, self.clock.now().timestamp() - began.timestamp(), ended=False)
            self.log("going on")

    def _why_not(self) -> str | None:
        """Why nothing may be restored now; None when it may."""
        now_s = self.clock.monotonic()
        if now_s >= self._next_control_s:
            self._next_control_s = now_s + CONTROL_S
            self._command = command_of(self.control)
            if self._command.state is CommandState.STOP:
                raise Ended(Outcome.STOPPED, self._command.why or "the operator stopped it")
            if self._command.state is CommandState.RUN:
                self.restorer.limit(
                    self._command.rate.share(self.sharers) if self._command.rate is not None else self.rate
                )
        if now_s >= self._next_health_s:
            self._reason = self._look()
            # From the end of the look: one that takes long must not be all that is done.
            self._next_health_s = self.clock.monotonic() + HEALTH_S
        if self._command.state is CommandState.PAUSE:
            return self._command.why or "the operator paused it"
        return self._reason

    def _look(self) -> str | None:
        """What the guards say of the servers; raises when one of them ends the work."""
        found: list[str] = []
        nodes = self.restorer.health()
        several = len(nodes) > 1
        self._watched = {node.address: self._watch(node) for node in nodes}
        for node in nodes:
            reason = self._watched[node.address].look(node)
            if reason is not None:
                found.append(f"{node.address}: {reason}" if several else reason)
        return "; ".join(found) or None

    def _watch(self, node: WatchedNode) -> _Watched:
        known = self._watched.get(node.address)
        if known is None or (node.reading is not None and known.run_id not in ("", node.reading.run_id)):
            known = _Watched(self)
        return known

    def settings_for(self, node: WatchedNode, unwatched: Iterable[str]) -> GuardSettings:
        """The policy's guards, as far as they mean anything for taking back, and but those whose figure is hidden."""
        settings = replace(self.guards, unguarded=tuple({*_MEANINGLESS, *self.guards.unguarded, *unwatched}))
        if node.evicts_keys_with_ttl:
            settings = replace(settings, evicted_keys_per_s=_NEVER)
        if self.earliest_ms is not None and self.clock.now().timestamp() * 1000 >= self.earliest_ms:
            settings = replace(settings, expire_cap_hits_per_s=_NEVER)
        return settings

    def _note(self, at: str, reason: str, lasted_s: float, *, ended: bool) -> None:
        self.interruptions.append(Interruption(at, reason, lasted_s, ended))


@dataclass(slots=True)
class _Watched:
    """The guards of one server process."""

    gate: RestoreGate
    run_id: str = ""
    _guards: Guards | None = None
    _unwatched: frozenset[str] = frozenset()

    def look(self, node: WatchedNode) -> str | None:
        """Why this server should be left alone at the moment; raises :class:`Ended` when it has been for too long. A node that doesn't
        answer is no reason: nothing is sent to it, and its keys are looked for elsewhere or told as unreached.
        """
        reading = node.reading
        if reading is None or not reading.is_primary:
            return None
        self.run_id = reading.run_id
        settings = self.gate.settings_for(node, self._hidden(node.address, reading))
        if self._guards is None:
            self._guards = Guards(settings, self.gate.critical_ratio, reading.round_trip_s)
        self._guards.settings = settings
        ruling = self._guards.look(reading)
        if ruling.step is Step.ABORT:
            raise Ended(Outcome.ABORTED, f"{node.address}: {ruling.reason}")
        return ruling.reason if ruling.step is Step.PAUSE else None

    def _hidden(self, address: str, reading: Reading) -> frozenset[str]:
        """The keys of the guards whose figure this server hides; those that are new among them are said."""
        hidden = unreadable(reading, replace(self.gate.guards, unguarded=(*_MEANINGLESS, *self.gate.guards.unguarded)))
        if not {guard.key for guard in hidden} <= self._unwatched:
            names = "; ".join(f"{', '.join(lacking)} (guard {guard.key})" for guard, lacking in hidden.items())
            self.gate.log(f"{address} hides {names}: restoring without")
        self._unwatched = frozenset(guard.key for guard in hidden)
        return self._unwatched
