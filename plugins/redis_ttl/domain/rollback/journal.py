"""What is written down about each key before it is changed, so that it can be taken back; and whether all of it is there.

One journal object is the rows of one batch, written by one attempt of one part of a run. An object's name begins with
the moment when its attempt began, so that names in order are attempts in order: of two rows about one key, the later
one knows better what its expiry was. A name ends with the beginning of the SHA-256 of what the object holds, so that it
can be told from one that was damaged; objects of version 0.1 have no such ending.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.remediation.parts import is_rollback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from redis_ttl.domain.remediation.remediation import PartBegun, PartResult

#: The columns of a journal object. ``db`` is the number of the key's database, ``rule`` the rule's number in the plan;
#: ``was_ms`` is the instant at which the key would have expired, null where it had no TTL; ``set_ms`` the instant that
#: we set; ``action`` what was done to the key (`domain.policy.actions`). Instants are ms since 1970. In the journal of a rollback
#: the two are what we found and what we put back, null where that is no TTL, and ``action`` is what was taken back.
JOURNAL_COLUMNS: Final = ("key", "db", "rule", "was_ms", "set_ms", "action")

#: Hex digits of an object's SHA-256 that its name carries.
CHECKSUM_DIGITS: Final = 16

_NAME: Final = re.compile(
    r"(?P<attempt>\d{8}T\d{9}Z-[0-9a-f]{6})_(?P<part>[a-z]+(?:-\d{1,9})?)_(?P<number>\d{6})(?:_(?P<checksum>[0-9a-f]{16}))?\.parquet",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class JournalName:
    """The name of one journal object: the attempt that wrote it (:func:`attempt_of`), the part of the run that it works on
    (``canary``, ``shard-3``, ``rollback-0``), its number within the attempt, and the ``checksum`` of what it holds, empty where
    that isn't known.
    """

    attempt: str
    part: str
    number: int
    checksum: str = ""

    def __str__(self) -> str:
        ending = f"_{self.checksum}" if self.checksum else ""
        return f"{self.attempt}_{self.part}_{self.number:06d}{ending}.parquet"

    @property
    def undoes(self) -> bool:
        """Whether the object tells of a rollback."""
        return is_rollback(self.part)

    def fits(self, data: bytes) -> bool:
        """Whether this is what was written under the name; true where the name doesn't tell."""
        return self.checksum in ("", checksum_of(data))

    @classmethod
    def parse(cls, name: str) -> JournalName | None:
        """The name in its parts; None for a file that is no journal object."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(match["attempt"], match["part"], int(match["number"]), match["checksum"] or "")


@dataclass(frozen=True, slots=True)
class JournalGaps:
    """What a plan's journal should hold and doesn't; empty: as far as can be told, all is there.

    ``named`` are objects whose name is known, without the checksum that it would end with. ``uncounted`` are those of which only
    the number is: attempts of version 0.1 didn't number their objects without gaps.
    """

    named: tuple[str, ...] = ()
    uncounted: tuple[tuple[str, int], ...] = ()

    @property
    def objects(self) -> int:
        """How many objects are missing."""
        return len(self.named) + sum(count for _, count in self.uncounted)

    def texts(self) -> tuple[str, ...]:
        """Each hole as a person reads it."""
        return (*self.named, *(f"{count} more of {attempt}" for attempt, count in self.uncounted))


@dataclass(slots=True)
class _Attempt:
    """What is known of one attempt at one part."""

    numbers: set[int] = field(default_factory=set)
    ended_with: int | None = None
    counts: bool = False
    """Whether its objects are numbered without gaps."""


def find_gaps(
    names: Iterable[JournalName], begun: Collection[PartBegun], results: Collection[PartResult]
) -> JournalGaps:
    """The journal objects that must have been there: all up to the number that an attempt's result tells, and all before one
    that is there. Of an attempt that was killed nobody knows whether its last objects are.
    """
    attempts: dict[tuple[str, str], _Attempt] = {}
    for each in begun:
        attempts.setdefault((each.attempt, each.part), _Attempt()).counts = True
    for result in results:
        attempts.setdefault((result.attempt, result.part), _Attempt()).ended_with = result.journal_objects
    for name in names:
        if not name.undoes:
            attempts.setdefault((name.attempt, name.part), _Attempt()).numbers.add(name.number)
    named: list[str] = []
    uncounted: list[tuple[str, int]] = []
    for (attempt, part), known in sorted(attempts.items()):
        if known.counts:
            most = max(known.ended_with or 0, max(known.numbers, default=-1) + 1)
            missing = sorted(set(range(most)) - known.numbers)
            named += [f"{attempt}_{part}_{number:06d}" for number in missing]
        elif (known.ended_with or 0) > len(known.numbers):
            uncounted.append((f"{attempt}_{part}", (known.ended_with or 0) - len(known.numbers)))
    return JournalGaps(tuple(named), tuple(uncounted))


def attempt_of(began_at_ms: int, token: str) -> str:
    """The name of an attempt that began at that moment (ms since 1970); ``token`` (six hex digits) tells apart two that
    began at once.
    """
    began = dt.datetime.fromtimestamp(began_at_ms / 1000, dt.UTC)
    return f"{began:%Y%m%dT%H%M%S}{began_at_ms % 1000:03d}Z-{token}"


def checksum_of(data: bytes) -> str:
    """What the name of an object with this content ends with.

    >>> checksum_of(b"")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(data).hexdigest()[:CHECKSUM_DIGITS]
