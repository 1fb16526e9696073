"""What is changed, and which tests must notice: read from ``mutants/modules.toml``, ``mutants/hand_made.toml`` and
``tests/mutants_survivors.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = Path("plugins/redis_ttl")
MODULES: Final = Path("mutants/modules.toml")
HAND_MADE: Final = Path("mutants/hand_made.toml")
SURVIVORS: Final = Path("tests/mutants_survivors.toml")


@dataclass(frozen=True, slots=True)
class Module:
    """One module (``usecases/audit/merge_audit.py``) and the tests that must notice a change in it."""

    name: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is in the tree."""
        return PACKAGE / self.name


@dataclass(frozen=True, slots=True)
class HandMade:
    """A change that somebody thought of: this text instead of that one, and the test that notices."""

    name: str
    module: str
    was: str
    now: str
    harm: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Harmless:
    """A change that no test notices, and why that does no harm."""

    module: str
    definition: str
    was: str
    now: str
    why: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Where a change means nothing when the program runs, beyond annotations and decorators.

    ``keywords`` of any call, whole ``calls``, and what is said in the arguments of ``texts``.
    """

    keywords: frozenset[str]
    calls: frozenset[str]
    texts: frozenset[str]


def read_silent() -> Silent:
    """What is left alone."""
    return Silent(**{name: frozenset(names) for name, names in _read(MODULES)["silent"].items()})


def read_modules() -> list[Module]:
    """Every module that decides, writes, journals, approves, restores, verifies, merges or compares."""
    return [Module(name, tuple(tests)) for name, tests in _read(MODULES)["modules"].items()]


def read_hand_made() -> list[HandMade]:
    """The changes that once met no test."""
    return [HandMade(**{**each, "tests": tuple(each["tests"])}) for each in _read(HAND_MADE).get("change", [])]


def read_harmless() -> list[Harmless]:
    """The changes that need no test, with their reasons."""
    return [Harmless(**each) for each in _read(SURVIVORS).get("harmless", [])]


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())
