"""The journal of one attempt by itself: a real store that fails as often as a test asks, and a gate that only listens."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.threads import ahead
from redis_ttl.domain.errors import StoreProblem
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.journal import attempt_of
from redis_ttl.usecases.remediation import part_journal
from redis_ttl.usecases.remediation.part_journal import PartJournal
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.store.plans import PlanDocuments

ATTEMPT = attempt_of(1_780_000_000_000, "abcdef")


@dataclass
class Listener:
    """What the journal tells its gate, and what the gate says when it is asked."""

    told: list[str | None] = field(default_factory=list)
    failure: Exception | None = None
    ends: Ended | None = None
    checks: int = 0
    heard: threading.Event = field(default_factory=threading.Event)

    @property
    def trouble(self) -> str | None:
        """What was told last."""
        return self.told[-1] if self.told else None

    @trouble.setter
    def trouble(self, text: str | None) -> None:
        self.told.append(text)
        self.heard.set()

    def check(self) -> None:
        """Nothing, or the end."""
        self.checks += 1
        if self.ends is not None:
            raise self.ends


class Failing(Store):
    """A folder that fails so many times more when it is written to."""

    failures = 0

    def write(self, path: str, data: bytes) -> None:
        """Fail, or write."""
        if self.failures:
            self.failures -= 1
            raise StoreProblem("no answer", where=path)
        super().write(path, data)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(part_journal, "_RETRY_STORE_S", 0.01)


def journal_in(folder: Path, patience_s: float = 60.0) -> tuple[Any, PlanDocuments, PartJournal]:
    """A store, the documents of a plan in it, and the journal of an attempt at a shard."""
    store = Failing(folder)
    documents = PlanDocuments(store, "market", "plan-1")
    return store, documents, PartJournal(documents, ATTEMPT, "shard-0", patience_s, SystemClock(), ahead)


def test_objects_are_numbered_without_a_gap_whatever_the_store_does(tmp_path: Path) -> None:
    """A name that failed is tried again, the next number comes after it, and only what is durable is counted."""
    store, documents, journal = journal_in(tmp_path)
    gate = Listener()
    for number in range(4):
        store.failures = number
        journal.write(b"x" * number, gate)  # type: ignore[arg-type]  # it listens as a gate does
    assert [(each.attempt, each.part, each.number) for each in documents.journal_names()] == [
        (ATTEMPT, "shard-0", number) for number in range(4)
    ]
    assert [len(documents.journal(each)) for each in documents.journal_names()] == [0, 1, 2, 3]
    assert (journal.objects, journal.size_bytes) == (4, 6)
    assert (gate.trouble, gate.failure) == (None, None)
    troubles = [text for text in gate.told if text]
    assert len(troubles) == 6
    assert all(text.startswith("the store takes no journal (") for text in troubles)


def test_a_store_that_fails_for_longer_than_the_patience_ends_the_attempt(tmp_path: Path) -> None:
    """It is tried again until the patience is over; the gate is told why, so that nothing is written any more."""
    store, documents, journal = journal_in(tmp_path, patience_s=0.5)
    store.failures = 10**9
    gate = Listener()
    with pytest.raises(StoreProblem, match="no answer") as ended:
        journal.write(b"x", gate)  # type: ignore[arg-type]  # it listens as a gate does
    assert gate.failure is ended.value
    assert len(gate.told) > 1
    assert "no answer" in str(gate.trouble)
    assert documents.journal_names() == []
    assert (journal.objects, journal.size_bytes) == (0, 0)


def test_nobody_waits_for_the_store_of_an_attempt_that_is_over(tmp_path: Path) -> None:
    """Who waits for the store, or for their turn, ends; nothing is journalled after that."""
    store, documents, journal = journal_in(tmp_path)
    store.failures = 10**9
    gate = Listener()
    ends: list[BaseException] = []

    def write() -> None:
        try:
            journal.write(b"x", gate)  # type: ignore[arg-type]  # it listens as a gate does
        except Ended as end:
            ends.append(end)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    assert gate.heard.wait(60)
    journal.end()
    for writer in writers:
        writer.join()
    assert [each.outcome for each in ends if isinstance(each, Ended)] == [Outcome.ABORTED] * 2
    store.failures = 0
    with pytest.raises(Ended, match="the work is over"):
        journal.write(b"x", gate)  # type: ignore[arg-type]  # it listens as a gate does
    assert documents.journal_names() == []


def test_the_gate_is_heard_while_the_store_is_waited_for(tmp_path: Path) -> None:
    """On the gate's own thread an operator's word, or a guard's, ends the waiting, and the attempt with it."""
    store, documents, journal = journal_in(tmp_path)
    gate = Listener()
    journal.write_and_wait(b"x", gate)  # type: ignore[arg-type]  # it listens as a gate does
    assert journal.objects == 1
    before = gate.checks  # the gate is asked while a write takes long, too
    store.failures = 10**9
    gate.ends = Ended(Outcome.STOPPED, "wang: enough")
    with pytest.raises(Ended, match="enough"):
        journal.write_and_wait(b"y", gate)  # type: ignore[arg-type]  # it listens as a gate does
    assert gate.checks == before + 1
    assert len(documents.journal_names()) == 1
    with pytest.raises(Ended, match="the work is over"):
        journal.insist(lambda: None, gate, "the store is slow")  # type: ignore[arg-type]  # it listens as a gate does
