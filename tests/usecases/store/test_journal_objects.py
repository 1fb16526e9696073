"""The journal as a rollback reads it: what can be read is used, and what can't is named, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import ConnectionLost, DamagedDocument, StoreProblem
from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.store.journals import JournalObjects, approvals_ms
from redis_ttl.usecases.store.plans import PlanDocuments

PLAN_ID = "20261124T010101Z-abcdef"
ATTEMPT = "20261124T010101000Z-abcdef"


class Flaky(Store):
    """A store that fails to read journal objects so often, and then reads them."""

    fails = 0
    reads = 0

    def read(self, path: str) -> bytes:
        """Read, or fail."""
        if "/journals/" in path:
            self.reads += 1
            if self.fails:
                self.fails -= 1
                raise StoreProblem("no answer", where=path)
        return super().read(path)


class Journal:
    """A journal of three objects and a rollback's one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Flaky(folder)
        self.documents = PlanDocuments(self.store, "test", PLAN_ID)
        for part, number in (("shard-0", 0), ("shard-0", 1), ("shard-1", 0), ("rollback-0", 0)):
            self.documents.write_journal(JournalName(ATTEMPT, part, number), f"{part} {number}".encode())
        self.log: list[str] = []
        self.objects = JournalObjects(self.documents, self.log.append)

    def damage(self, name: JournalName) -> None:
        """Have it be something else."""
        (self.folder / "test/journals" / PLAN_ID / str(name)).write_bytes(b"else")

    def begun(self, part: str = "shard-0", approved_at_ms: int = 5) -> None:
        """An attempt says that it was begun."""
        self.documents.write_begun(PartBegun(PLAN_ID, part, ATTEMPT, approved_at_ms, "x"))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """The journal."""
    return Journal(tmp_path)


def test_a_rollbacks_own_objects_are_told_apart(journal: Journal) -> None:
    """What the plan wrote and what rollbacks undid are two lists, each in the order of their writing."""
    written = [(each.part, each.number) for each in journal.objects.written]
    assert written == [("shard-0", 0), ("shard-0", 1), ("shard-1", 0)]
    assert [each.part for each in journal.objects.undoing] == ["rollback-0"]


def test_what_can_be_read_is_used_and_what_cannot_is_named_once(journal: Journal) -> None:
    """A damaged object is left out, told in the log once, and never read again; the others are used in their order."""
    damaged = journal.objects.written[1]
    journal.damage(damaged)
    used: list[bytes] = []
    for _ in range(2):
        journal.objects.use_all(journal.objects.written, used.append)
    assert used == [b"shard-0 0", b"shard-1 0"] * 2
    assert journal.objects.use(damaged, used.append) is False
    assert journal.objects.use(journal.objects.written[0], used.append) is True
    assert len(journal.log) == 1
    assert journal.log[0].startswith(f"the journal object {damaged} can't be read: ")
    assert journal.objects.unreadable_names() == (str(damaged),)
    assert "isn't what was written" in journal.objects.unreadable[damaged]


def test_an_object_that_nobody_can_make_sense_of_is_unreadable(journal: Journal) -> None:
    """Damage that shows only when an object is taken in counts as damage; any other error is handed on."""

    def refuses(kind: type[Exception]) -> Callable[[bytes], Any]:
        def act(_: bytes) -> None:
            raise kind("what it isn't")

        return act

    name = journal.objects.written[0]
    with pytest.raises(ConnectionLost):
        journal.objects.use(name, refuses(ConnectionLost))
    assert journal.objects.unreadable_names() == ()
    assert journal.objects.use(name, refuses(DamagedDocument)) is False
    assert journal.objects.unreadable_names() == (str(name),)


@pytest.mark.parametrize(("fails", "reads", "is_used"), [(0, 1, True), (1, 2, True), (2, 2, False)])
def test_a_store_may_fail_once(journal: Journal, fails: int, reads: int, *, is_used: bool) -> None:
    """An object that the store didn't hand out is asked for once more, and then given up."""
    journal.store.fails, journal.store.reads = fails, 0
    used: list[bytes] = []
    assert journal.objects.use(journal.objects.written[0], used.append) is is_used
    assert (journal.store.reads, bool(used)) == (reads, is_used)


def test_a_damaged_object_is_not_asked_for_twice(journal: Journal) -> None:
    """What isn't what was written doesn't become so by another look."""
    journal.damage(journal.objects.written[0])
    journal.store.reads = 0
    assert journal.objects.use(journal.objects.written[0], print) is False
    assert journal.store.reads == 1


def test_missing_objects_are_told(journal: Journal) -> None:
    """What the account of the attempts tells of and isn't there is told in the log, and kept as the gaps."""
    assert journal.objects.gaps.texts() == ()
    journal.begun()
    lost = journal.objects.written.pop(0)
    assert journal.objects.find_gaps() is journal.objects.gaps
    assert journal.objects.gaps.texts() == (f"{ATTEMPT}_shard-0_000000",)
    assert journal.log == [f"the journal object {ATTEMPT}_shard-0_000000 is missing: what it held can't be restored"]
    assert lost not in journal.objects.unreadable


def test_records_that_cannot_be_read_are_told(journal: Journal) -> None:
    """A document beside the journal that can't be read is named, by its name, with what it might have said."""
    journal.begun()
    [path] = (journal.folder / "test/results" / PLAN_ID).glob("begun-*")
    path.write_bytes(b"{")
    journal.objects.find_gaps()
    assert len(journal.log) == 1
    assert journal.log[0].startswith("what this document says of the journal is unknown: ")
    assert journal.objects.unreadable_names() == (path.name,)


def test_a_plans_instants_count_from_every_approval(journal: Journal) -> None:
    """From those that attempts wrote down, and from each approval itself; a rejection is none."""
    assert approvals_ms(journal.documents) == frozenset()
    journal.begun("shard-0", 5)
    journal.begun("shard-1", 7)
    for number, verdict in enumerate((Verdict.APPROVED, Verdict.REJECTED)):
        journal.documents.write_decision(
            Decision(
                request_id=f"r{number}",
                plan_id=PLAN_ID,
                digest="d",
                gate="approve_plan",
                verdict=verdict,
                channel=Channel.NOBODY,
                by="wang",
                at=f"1970-01-01T00:00:0{number + 1}+00:00",
                why=None,
            )
        )
    assert approvals_ms(journal.documents) == frozenset({5, 7, 1_000})
