"""What is written down about each key before it is changed, so that it can be taken back.

One journal object is the rows of one batch, written by one attempt of one part of a run. An object's name begins with
the moment when its attempt began, so that names in order are attempts in order: of two rows about one key, the later
one knows better what its expiry was.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

#: The columns of a journal object. ``db`` is the number of the key's database, ``rule`` the rule's number in the plan;
#: ``was_ms`` is the instant at which the key would have expired, null where it had no TTL; ``set_ms`` the instant that
#: we set. Instants are ms since 1970. In the journal of a rollback the two are what we found and what we put back, null
#: where that is no TTL.
JOURNAL_COLUMNS: Final = ("key", "db", "rule", "was_ms", "set_ms")

_NAME: Final = re.compile(r"(?P<attempt>\d{8}T\d{9}Z-[0-9a-f]{6})_(?P<part>[a-z]+(?:-\d+)?)_(?P<number>\d{6})\.parquet")


@dataclass(frozen=True, slots=True, order=True)
class JournalName:
    """The name of one journal object: the attempt that wrote it (:func:`attempt_of`), the part of the run that it works on
    (``canary``, ``shard-3``, ``rollback-0``), and its number within the attempt.
    """

    attempt: str
    part: str
    number: int

    def __str__(self) -> str:
        return f"{self.attempt}_{self.part}_{self.number:06d}.parquet"

    @property
    def undoes(self) -> bool:
        """Whether the object tells of a rollback."""
        return self.part.startswith("rollback")

    @classmethod
    def parse(cls, name: str) -> JournalName | None:
        """The name in its parts; None for a file that is no journal object."""
        match = _NAME.fullmatch(name)
        return None if match is None else cls(match["attempt"], match["part"], int(match["number"]))


def attempt_of(began_at_ms: int, token: str) -> str:
    """The name of an attempt that began at that moment (ms since 1970); ``token`` (six hex digits) tells apart two that
    began at once.
    """
    began = dt.datetime.fromtimestamp(began_at_ms / 1000, dt.UTC)
    return f"{began:%Y%m%dT%H%M%S}{began_at_ms % 1000:03d}Z-{token}"
