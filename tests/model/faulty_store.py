"""A store that fails as stores do: it refuses, loses its answer, is slow, shows an old listing, is raced, loses and spoils documents; and
a program that dies at any of its operations.

Everything else is the real store over a real folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import StoreProblem


class Killed(BaseException):
    """The program dies here: nothing of it may go on, and nothing may be tidied up."""


@dataclass
class Faults:
    """What shall go wrong, by how many operations from now: ``before`` and ``after`` have what happens at the writes to come."""

    before: list[Callable[[str], None] | None] = field(default_factory=list)
    after: list[Callable[[str], None] | None] = field(default_factory=list)
    writes: int = 0
    hidden_journals: int = 0
    """So many of the newest journal objects are missing in listings."""
    dead: bool = False

    def clear(self) -> None:
        """Nothing more goes wrong."""
        self.before, self.after, self.hidden_journals, self.dead = [], [], 0, False


class FaultyStore(Store):
    """A store over a folder, with faults that a test plans."""

    def __init__(self, root: Path, faults: Faults) -> None:
        super().__init__(root)
        self.root = root
        self.faults = faults

    def write(self, path: str, data: bytes) -> None:
        """Write, with what shall happen before and after."""
        self._die()
        self.faults.writes += 1
        self._happen(self.faults.before, path)
        super().write(path, data)
        self._happen(self.faults.after, path)

    def read(self, path: str) -> bytes:
        """Read."""
        self._die()
        return super().read(path)

    def names(self, folder: str) -> list[str]:
        """List; perhaps as it was a while ago."""
        self._die()
        found = super().names(folder)
        if self.faults.hidden_journals and "/journals/" in folder:
            return found[: -self.faults.hidden_journals]
        return found

    def _happen(self, planned: list[Callable[[str], None] | None], path: str) -> None:
        happens = planned.pop(0) if planned else None
        if happens is not None:
            happens(path)

    def _die(self) -> None:
        if self.faults.dead:
            raise Killed


def refuse(path: str) -> None:
    """The store takes nothing."""
    raise StoreProblem("no room", where=path)
