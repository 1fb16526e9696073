"""The journal of one plan as a rollback reads it: all that can be read, and the names of what can't."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis_ttl.domain.errors import DamagedDocument, StoreProblem
from redis_ttl.domain.remediation.approval import Verdict, instant_ms
from redis_ttl.domain.rollback.journal import JournalGaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis_ttl.domain.rollback.journal import JournalName
    from redis_ttl.usecases.store.plans import PlanDocuments


@dataclass(slots=True)
class JournalObjects:
    """The journal objects of a plan, listed once. ``unreadable`` are those that turned out to be, with the reason.

    ``records`` are the plan's documents without those beside the journal that can't be read, which ``spared`` tells by their names:
    no key waits for them.
    """

    documents: PlanDocuments
    log: Callable[[str], None]
    written: list[JournalName] = field(init=False)
    undoing: list[JournalName] = field(init=False)
    gaps: JournalGaps = field(default=JournalGaps(), init=False)
    unreadable: dict[JournalName, str] = field(default_factory=dict, init=False)
    spared: dict[str, str] = field(default_factory=dict, init=False)
    records: PlanDocuments = field(init=False)

    def __post_init__(self) -> None:
        names = self.documents.journal_names()
        self.written = [name for name in names if not name.undoes]
        self.undoing = [name for name in names if name.undoes]
        self.records = self.documents.forgiving(self.spared)

    def find_gaps(self) -> JournalGaps:
        """Compare what is there with the account of what was written; :attr:`gaps` from then on."""
        self.gaps = self.records.journal_gaps(self.written)
        for text in self.gaps.texts():
            self.log(f"the journal object {text} is missing: what it held can't be restored")
        for text in self.spared.values():
            self.log(f"what this document says of the journal is unknown: {text}")
        return self.gaps

    def use(self, name: JournalName, act: Callable[[bytes], object]) -> bool:
        """Have ``act`` take in an object; false for one that can't be read or made sense of, which is then known as that."""
        if name in self.unreadable:
            return False
        try:
            data = self._read(name)
        except StoreProblem as error:
            return self._give_up(name, error)
        try:
            act(data)
        except DamagedDocument as error:
            return self._give_up(name, error)
        return True

    def _give_up(self, name: JournalName, error: StoreProblem) -> bool:
        self.unreadable[name] = str(error)
        self.log(f"the journal object {name} can't be read: {error}")
        return False

    def use_all(self, names: Iterable[JournalName], act: Callable[[bytes], object]) -> None:
        """Have ``act`` take in these objects, as far as they can be read."""
        for name in names:
            self.use(name, act)

    def unreadable_names(self) -> tuple[str, ...]:
        """The objects with rows of the plan itself that can't be read, and the documents that should tell whether all are there."""
        return (*(str(name) for name in self.written if name in self.unreadable), *sorted(self.spared))

    def _read(self, name: JournalName) -> bytes:
        try:
            return self.documents.journal(name)
        except DamagedDocument:
            raise
        except StoreProblem:
            # A store that failed once may not fail twice; one that does is told with the object's name.
            return self.documents.journal(name)


def approvals_ms(documents: PlanDocuments) -> frozenset[int]:
    """All moments (ms since 1970) that the plan's instants may count from: those that its attempts wrote down, and, for what version
    0.1 wrote, those of its approvals.
    """
    begun = {each.approved_at_ms for each in documents.begun()}
    agreed = {instant_ms(each.at) for each in documents.decisions() if each.verdict is Verdict.APPROVED}
    return frozenset(begun | agreed)
