"""Says while something is written whether to go on, how fast, and why not: the operator, the guards, the store, the
approval's end. Nothing outlives its approval: its end counts in every pause, whoever ordered it, and also while the
approval can't be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import RedisTtlError, ServerChanged, StoreProblem
from redis_ttl.domain.policy.guards import Guards, Ruling, Step
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Interruption, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.policy.rate import Rate
    from redis_ttl.usecases.ports import PatientClock
    from redis_ttl.usecases.remediation.write_ports import Approve, Control, WritableNode

#: How often the store is asked whether the plan is approved still, and how soon again when it didn't answer.
APPROVAL_S: Final = 20.0
_AGAIN_S: Final = 2.0
HEALTH_S: Final = 1.0
CONTROL_S: Final = 2.0
LOG_S: Final = 4.0
_STEP_S: Final = 0.1
_FIRST_LOOKS: Final = 3

GO_ON: Final = "Clear the task to go on, or roll back what was written."


class Ended(Exception):  # no error of its own: the part's result tells how it ended
    """The work of a part is over before its end."""

    def __init__(self, outcome: Outcome, reason: str, todo: str = GO_ON) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.todo = todo


def command_of(control: Control) -> OperatorCommand:
    """The operator's command; one that can't be read is a pause."""
    try:
        return control.read()
    except Exception as error:  # noqa: BLE001  # whatever keeps us from hearing the operator
        return OperatorCommand(CommandState.PAUSE, why=f"the operator's command can't be read ({error})")


@dataclass(slots=True)
class ApprovalWatch:
    """The approval of one part's work, from when it was found in force; it ends at ``valid_until_ms``, or earlier.

    ``patience_s`` is for how long it may be unreadable.
    """

    approve: Approve
    clock: PatientClock
    patience_s: float
    valid_until_ms: int
    _next_s: float = field(default=0.0, init=False)
    _unreadable: str | None = field(default=None, init=False)
    _unreadable_since_s: float = field(default=0.0, init=False)

    def look(self) -> str | None:
        """Why nothing may be written just now; None when it may. Asks the store only when that is due.

        Raises :class:`Ended` when the approval is over: its time is, somebody has taken it back, or it couldn't be read
        for longer than the patience.
        """
        now_s = self.clock.monotonic()
        if now_s >= self._next_s:
            self._ask(now_s)
        if self.clock.now().timestamp() * 1000 > self.valid_until_ms:
            raise Ended(Outcome.ABORTED, "the approval's time is over")
        lasted_s = now_s - self._unreadable_since_s
        if self._unreadable is not None and lasted_s >= self.patience_s:
            raise Ended(Outcome.ABORTED, f"the approval couldn't be read for {lasted_s:.0f} s ({self._unreadable})")
        return None if self._unreadable is None else f"the approval can't be read ({self._unreadable})"

    def _ask(self, now_s: float) -> None:
        self._next_s = now_s + APPROVAL_S
        try:
            self.valid_until_ms = self.approve().valid_until_ms
        except Exception as error:
            if isinstance(error, RedisTtlError) and not isinstance(error, StoreProblem):
                raise Ended(Outcome.ABORTED, str(error)) from error
            # Whatever else it is, we don't know whether somebody has taken the approval back.
            self._next_s = now_s + min(_AGAIN_S, APPROVAL_S)
            if self._unreadable is None:
                self._unreadable_since_s = now_s
            self._unreadable = str(error)
        else:
            self._unreadable = None


@dataclass(slots=True)
class WriteGate:
    """Stands before every write to one server process, ``run_id``.

    ``sharers`` write to it at the same time and share its rate. ``progress`` says in a few words how far the work is.
    ``start`` is the server before the run wrote anything; None where that isn't known, or another process was there.
    """

    node: WritableNode
    run_id: str
    policy: Policy
    rate: Rate
    sharers: int
    control: Control
    clock: PatientClock
    log: Callable[[str], None]
    progress: Callable[[], str]
    approval: ApprovalWatch
    start: Reading | None = None
    interruptions: list[Interruption] = field(default_factory=list)
    trouble: str | None = None
    """Why the store takes nothing now; set by who tried."""
    failure: Exception | None = None
    """Why it is given up; set by who tried."""
    _guards: Guards = field(init=False)
    _command: OperatorCommand = field(default=OperatorCommand(), init=False)
    _ruling: Ruling = field(default=Ruling(Step.GO), init=False)
    _unapproved: str | None = field(default=None, init=False)
    _next_health_s: float = field(default=0.0, init=False)
    _next_control_s: float = field(default=0.0, init=False)
    _next_log_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        first = [self._read() for _ in range(_FIRST_LOOKS)]
        self._guards = Guards(
            self.policy.remediation.guards,
            self.policy.memory.critical_ratio,
            median(each.round_trip_s for each in first),
            memory_limit_bytes=self.policy.memory.limit_bytes,
            start_replicas=replicas_at_start(self.start, first[0]),
        )
        self._next_log_s = self.clock.monotonic() + LOG_S

    @property
    def allowed(self) -> Rate:
        """The rate of this writer: its share of the server's."""
        return (self._command.rate or self.rate).share(self.sharers)

    def check(self) -> None:
        """Return when something may be written, however long that takes.

        Raises :class:`Ended` when the operator or a guard ends the work, and :class:`ServerChanged` when another
        process answers.
        """
        began = self.clock.now()
        try:
            latest = self._reason(self.clock.monotonic())
            if latest is None:
                if self.clock.monotonic() >= self._next_log_s:
                    self._say(self.progress())
                return
            self._say(f"paused: {latest}. {self.progress()}")
            while (still := self._reason(self.clock.monotonic())) is not None:
                if still != latest or self.clock.monotonic() >= self._next_log_s:
                    latest = still
                    self._say(f"paused: {still}. {self.progress()}")
                self.clock.sleep(_STEP_S)
        except Ended as end:
            self._note(began.isoformat(), end.reason, self.clock.now().timestamp() - began.timestamp(), ended=True)
            raise
        self._note(began.isoformat(), latest, self.clock.now().timestamp() - began.timestamp(), ended=False)
        self._say(f"going on after {(self.clock.now() - began).total_seconds():.0f} s. {self.progress()}")

    def _reason(self, now_s: float) -> str | None:
        """Why nothing may be written now; None when it may."""
        if self.failure is not None:
            raise self.failure
        if now_s >= self._next_control_s:
            self._next_control_s = now_s + CONTROL_S
            before = self._command.rate
            self._command = command_of(self.control)
            if self._command.rate != before:
                self._say(f"rate: {self._command.rate or self.rate} for each server")
        if now_s >= self._next_health_s:
            self._next_health_s = now_s + HEALTH_S
            self._ruling = self._guards.look(self._read())
        self._unapproved = self.approval.look()
        if self._command.state is CommandState.STOP:
            raise Ended(Outcome.STOPPED, self._command.why or "the operator stopped it")
        if self._ruling.step is Step.ABORT:
            raise Ended(Outcome.ABORTED, self._ruling.reason or "a guard")
        if self._command.state is CommandState.PAUSE:
            return self._command.why or "the operator paused it"
        if self._ruling.step is Step.PAUSE:
            return self._ruling.reason
        return self.trouble or self._unapproved

    def _read(self) -> Reading:
        reading = self.node.health()
        if reading.run_id != self.run_id or not reading.is_primary:
            raise ServerChanged(
                "another server process answers than the one that the work began with (a restart or a failover)",
                where=self.node.address,
                todo="The part begins again; what has our expiry is left as it is.",
            )
        return reading

    def _say(self, text: str) -> None:
        self._next_log_s = self.clock.monotonic() + LOG_S
        self.log(text)

    def _note(self, at: str, reason: str, lasted_s: float, *, ended: bool) -> None:
        self.interruptions.append(Interruption(at, reason, lasted_s, ended))


def replicas_at_start(start: Reading | None, first: Reading) -> int | None:
    """How many replicas must be online: as many as when the run began, or when this server process (``first``) was first
    seen. After a failover the replicas are others, and the former primary is none of them yet.
    """
    if start is not None and start.run_id == first.run_id and start.replicas_online is not None:
        return start.replicas_online
    return first.replicas_online


class WritePace:
    """When to send how many keys: small chunks at a limited rate, so that a neighbour never waits for many."""

    def __init__(self) -> None:
        self._due_s: float | None = None

    def chunk(self, rate: Rate) -> int:
        """How many keys to send at once."""
        if rate.keys_per_s is None:
            return _FAST_CHUNK
        return int(max(1.0, min(rate.keys_per_s / 4, max(_SMALL_CHUNK, rate.keys_per_s / _CHUNKS_PER_S))))

    def wait_s(self, rate: Rate, keys: int, now_s: float) -> float:
        """How long to wait after so many keys. Time that was lost is made up for only while it is a moment."""
        if rate.keys_per_s is None:
            self._due_s = None
            return 0.0
        due_s = now_s if self._due_s is None else max(self._due_s, now_s - _MAKE_UP_S)
        self._due_s = due_s + keys / rate.keys_per_s
        return max(0.0, self._due_s - now_s)


_FAST_CHUNK: Final = 1_000
_SMALL_CHUNK: Final = 20
_CHUNKS_PER_S: Final = 2_000
_MAKE_UP_S: Final = 0.02
