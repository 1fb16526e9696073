"""Sends changes that were decided and journalled a moment ago, and looks again at those that are older, or that were refused.

Nothing is sent that was read longer than `FRESH_S` ago: after a pause, at a low rate, or behind a slow store the next few keys
are read, decided and (where that differs) journalled again first. So no key gets an expiry that was right an hour ago. What the
server refuses, because a key isn't what its journal row says, goes the same way a few times. Each key ends in exactly one figure
of its account.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.remediation.remediation import RuleAccount
from redis_ttl.usecases.remediation.write_gate import HEALTH_S, Ended, WritePace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis_ttl.usecases.ports import PatientClock
    from redis_ttl.usecases.remediation.part_journal import PartJournal
    from redis_ttl.usecases.remediation.write_gate import WriteGate
    from redis_ttl.usecases.remediation.write_ports import Changes, Decisions, KeyWriter

#: What was read longer ago is read again before it is sent.
FRESH_S: Final = 5.0
#: So many seconds' keys are read again together, and so many where no rate says how many that are.
_AGAIN_S: Final = 2.0
_AGAIN_KEYS: Final = 5_000
#: How often a key that the server refuses is looked at again; an application that is faster each time keeps what it set.
_ROUNDS: Final = 3


@dataclass(slots=True)
class ChangeWriting:
    """Writes changes to one database behind its gate. ``add`` takes what became of keys, ``sent`` how many were sent."""

    decisions: Decisions
    writer: KeyWriter
    gate: WriteGate
    journal: PartJournal
    clock: PatientClock
    add: Callable[[Mapping[int, RuleAccount]], None]
    sent: Callable[[int], None]
    _pace: WritePace = field(default_factory=WritePace, init=False)
    _open: dict[int, int] = field(default_factory=dict, init=False)

    def write(self, changes: Changes, read_at_s: float) -> None:
        """Send changes that are in the journal and were read at that moment (monotonic). Raises :class:`Ended`; what wasn't
        sent by then is ``left``.
        """
        self._accounted(changes, lambda: self._write(changes, read_at_s))

    def write_unjournalled(self, changes: Changes) -> None:
        """Read these changes again, whenever they were decided; then journal and send them."""
        self._accounted(changes, lambda: self._write(changes, None))

    def _accounted(self, changes: Changes, work: Callable[[], None]) -> None:
        self._open = dict(self.decisions.count(changes))
        try:
            work()
        except Ended:
            self.writer.give_back()
            settled = self.writer.settle()
            self._note(settled.accounts)
            self._note(self._raced(settled.raced))
            self.add({rule: RuleAccount(left=keys) for rule, keys in self._open.items() if keys})
            raise

    def _write(self, changes: Changes, read_at_s: float | None) -> None:
        while len(changes):
            if read_at_s is None or self._is_old(read_at_s):
                keys = self._keys_to_read_again()
                self._write_again(changes.slice(0, keys), journalled=read_at_s is not None)
                changes = changes.slice(keys)
            else:
                changes = self._send(changes, read_at_s, round_=0)

    def _write_again(self, changes: Changes, *, journalled: bool = True, round_: int = 0) -> None:
        """Read, decide, journal and send these changes; a ``round_`` above 0 says that the server refused them so often."""
        while len(changes):
            if round_ > _ROUNDS:
                self._note(self._raced(changes))
                return
            self.gate.check()
            read_at_s = self.clock.monotonic()
            again = self.decisions.decide_again(changes, raced=round_ > 0)
            self._note(again.accounts)
            changes = again.changes
            if len(unwritten := again.unwritten if journalled else changes):
                self.journal.write_and_wait(self.decisions.journal(unwritten), self.gate)
            journalled = True
            changes = self._send(changes, read_at_s, round_=round_)

    def _send(self, changes: Changes, read_at_s: float, *, round_: int) -> Changes:
        """Send what is in the journal at the rate of the moment; the rest when it becomes too old for that."""
        writer, clock = self.writer, self.clock
        writer.take(changes)
        while writer.waiting:
            self.gate.check()
            if self._is_old(read_at_s):
                break
            rate = self.gate.allowed
            sent = writer.write(self._pace.chunk(rate), ahead=rate.keys_per_s is None)
            self.sent(sent)
            wait_s = self._pace.wait_s(rate, sent, clock.monotonic())
            while wait_s > HEALTH_S:  # at a few keys a second, a pause must not wait for the next one
                clock.sleep(HEALTH_S)
                wait_s -= HEALTH_S
                self.gate.check()
            if wait_s > 0:  # even a sleep of nothing hands the interpreter to another thread
                clock.sleep(wait_s)
        rest = writer.give_back()
        settled = writer.settle()
        self._note(settled.accounts)
        if len(settled.raced):
            self._write_again(settled.raced, round_=round_ + 1)
        return rest

    def _is_old(self, read_at_s: float) -> bool:
        return self.clock.monotonic() - read_at_s > FRESH_S

    def _keys_to_read_again(self) -> int:
        rate = self.gate.allowed.keys_per_s
        return _AGAIN_KEYS if rate is None else int(min(_AGAIN_KEYS, max(1, rate * _AGAIN_S)))

    def _raced(self, changes: Changes) -> dict[int, RuleAccount]:
        return {rule: RuleAccount(raced=keys) for rule, keys in self.decisions.count(changes).items()}

    def _note(self, accounts: Mapping[int, RuleAccount]) -> None:
        self.add(accounts)
        for rule, account in accounts.items():
            self._open[rule] -= account.settled
