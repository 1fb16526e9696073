"""Makes the journal objects of one attempt durable, one after the other, however often the store must be asked.

The numbers of an attempt's objects have no gap: the next one is taken only when the one before is durable, so that a rollback
which misses an object knows it. A name is tried again with the same bytes, which the store takes for what it is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from redis_ttl.domain.errors import StoreProblem
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.remediation.write_gate import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_ttl.usecases.ports import Ahead, Clock
    from redis_ttl.usecases.remediation.write_gate import WriteGate
    from redis_ttl.usecases.store.plans import PlanDocuments

T = TypeVar("T")

_RETRY_STORE_S: Final = 2.0
_LOOK_S: Final = 0.1


@dataclass(slots=True)
class PartJournal:
    """The journal of one attempt at one part. The store may fail for ``patience_s``, then the attempt does."""

    documents: PlanDocuments
    attempt: str
    part: str
    patience_s: float
    clock: Clock
    ahead: Ahead
    objects: int = 0
    size_bytes: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)

    def end(self) -> None:
        """Whoever waits for the store waits no longer: the attempt is over."""
        self._over.set()

    def write(self, data: bytes, gate: WriteGate) -> None:
        """Make this the next object, on a thread beside the gate's own: the gate tells of trouble, and lets nothing pass."""
        while not self._turn.acquire(timeout=_LOOK_S):
            self._refuse_over()
        try:
            name = JournalName(self.attempt, self.part, self.objects)
            self.insist(lambda: self.documents.write_journal(name, data), gate, "the store takes no journal")
            self.objects += 1
            self.size_bytes += len(data)
        finally:
            self._turn.release()

    def write_and_wait(self, data: bytes, gate: WriteGate) -> None:
        """The same on the gate's own thread, which hears operator, guards and approval meanwhile."""

        def written() -> Iterator[None]:
            self.write(data, gate)
            yield None

        with self.ahead(written(), 1, idle=gate.check) as done:
            try:
                for _ in done:
                    pass
            except BaseException:
                self.end()
                raise

    def insist(self, action: Callable[[], T], gate: WriteGate, trouble: str) -> T:
        """What the action returns as soon as the store lets it succeed; beside the gate's own thread."""
        began_s = self.clock.monotonic()
        while True:
            self._refuse_over()
            try:
                found = action()
            except StoreProblem as error:
                gate.trouble = f"{trouble} ({error})"
                if self.clock.monotonic() - began_s >= self.patience_s:
                    gate.failure = error
                    raise
                self._over.wait(min(_RETRY_STORE_S, max(0.05, self.patience_s / 10)))
            else:
                gate.trouble = None
                return found

    def _refuse_over(self) -> None:
        if self._over.is_set():
            raise Ended(Outcome.ABORTED, "the work is over")
