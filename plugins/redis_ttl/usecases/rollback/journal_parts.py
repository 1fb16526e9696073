"""The journal of a plan, cut into parts that tasks restore side by side.

A part travels between tasks as plain data, which is believed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.errors import BadInput, StoreProblem
from redis_ttl.domain.rollback.journal import JournalName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.usecases.store.plans import PlanDocuments


#: A part has at least so many journal objects: less isn't worth a task.
_OBJECTS_A_PART: Final = 4
#: No journal has more parts, or objects in one.
_MOST_PARTS: Final = 999_999


@dataclass(frozen=True, slots=True)
class JournalPart:
    """The journal objects from ``first`` to ``last`` (names, both included), which one task restores."""

    number: int
    first: str
    last: str
    objects: int

    def __post_init__(self) -> None:
        """Raise `BadInput` for what is no part of a journal: it comes from another task, and becomes part of a path."""
        number, objects = _whole_number(self.number), _whole_number(self.objects)
        first, last = _name(self.first), _name(self.last)
        if number is None or objects is None or first is None or last is None or first.undoes or last.undoes:
            raise BadInput(
                "this is no part of a journal",
                where="the part that a task was given",
                found=repr((self.number, self.first, self.last, self.objects))[:200],
                allowed="its number, the names of its first and last object, and how many there are",
                todo="Clear load_journal with its downstream tasks.",
            )

    def names_of(self, journal: Sequence[JournalName]) -> list[JournalName]:
        """The objects of the part. Raises `BadInput` when it isn't one of this journal's."""
        first, last = _name(self.first), _name(self.last)
        if first not in journal or last not in journal or first is None or last is None:
            raise BadInput(
                "this part is of another journal, or its objects have gone since",
                where="the part that a task was given",
                found=f"{self.first} to {self.last}",
                todo="Clear load_journal with its downstream tasks.",
            )
        return [name for name in journal if first <= name <= last]

    def to_json(self) -> dict[str, object]:
        """Plain data, for a mapped task."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JournalPart:
        """What :meth:`to_json` gave to a task. Raises `BadInput` for anything else."""
        return cls(*(data.get(name) for name in cls.__slots__))  # type: ignore[arg-type]  # looked at when it is made


def load_journal(documents: PlanDocuments, *, parts: int) -> list[JournalPart]:
    """Cut the journal of a plan into at most so many parts, the newest objects first.

    Raises `BadInput` when nothing was written by the plan, and `StoreProblem` when something was and no journal is there.
    """
    names = [name for name in reversed(documents.journal_names()) if not name.undoes]
    if not names:
        spared: dict[str, str] = {}
        gaps = documents.forgiving(spared).journal_gaps([])
        if gaps.objects or spared:
            raise StoreProblem(
                "the journal of this plan is gone: by the account of its run it was written",
                where=f"plan {documents.plan_id}",
                found="no journal object",
                allowed=f"{gaps.objects:,} journal objects"
                if gaps.objects
                else f"unknown: {', '.join(spared)} can't be read",
                todo="See that this is the store that the run wrote to, and put the journal back from a copy.",
            )
        ended = {each.attempt for each in documents.parts()}
        if unended := [each for each in documents.begun() if each.attempt not in ended]:
            raise StoreProblem(
                "this plan has no journal, and attempts at it say that they began, but not how they ended",
                where=f"plan {documents.plan_id}",
                found=f"no journal object; {', '.join(sorted({each.part for each in unended}))} without a result",
                todo="If they were killed before they wrote anything, there is nothing to take back: the task verify of their run finds "
                "no key with the plan's expiry. Otherwise put the journal back from a copy of the store.",
            )
        raise BadInput(
            "this plan has no journal: by its documents nothing was written by it",
            where=f"plan {documents.plan_id}",
            todo="Look at the list of plans in the trigger form; the newest is the first.",
        )
    count = max(1, min(parts, len(names) // _OBJECTS_A_PART))
    bounds = [len(names) * number // count for number in range(count + 1)]
    return [
        JournalPart(number, str(names[end - 1]), str(names[start]), end - start)
        for number, (start, end) in enumerate(pairwise(bounds))
    ]


def whole_journal(documents: PlanDocuments) -> JournalPart:
    """All objects of the journal as one part, for a second look (a dry run over it)."""
    return load_journal(documents, parts=1)[0]


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_PARTS else None


def _name(value: object) -> JournalName | None:
    return JournalName.parse(value) if isinstance(value, str) else None
