"""Languages. One file each, named by its code, with a ``PHRASES`` of the type below: adding a language is adding a file.

A sentence is a template with ``{placeholders}``; a language that leaves one out, or has one of its own, fails the tests.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """All that is said in one language."""

    count: Callable[[int], str]
    duration: Callable[[int], str]
    """Seconds, as people say them: days where they're whole."""
    date: Callable[[dt.date], str]
    moment: Callable[[dt.datetime], str]
    """To the minute, with the zone."""

    subject: str
    greeting: str
    what_heading: str
    what_memory: str
    what_no_limit: str
    what_no_ttl: str
    eviction_volatile: str
    eviction_none: str
    eviction_all: str
    eviction_unknown: str
    grows: str
    rules_heading: str
    column_pattern: str
    column_keys: str
    column_now: str
    column_proposed: str
    column_priority: str
    column_size: str
    never: str
    about: str
    mixed: str
    unknown_heading: str
    unknown_intro: str
    column_no_ttl: str
    others: str
    we_heading: str
    we_apply: str
    we_watch: str
    you_heading: str
    you_review: str
    you_change: str
    you_code: str
    you_burst: str
    you_own: str
    by_when: str
    otherwise: str
    otherwise_cost: str
    otherwise_cost_note: str
    examples: str
    source: str


def phrases_of(language: str) -> Phrases:
    """The phrases of that language. Raises `LookupError` for one that there is no file of."""
    if language not in languages():
        raise LookupError(f"no phrases for the language {language!r}; there are {', '.join(languages())}")
    found: Phrases = importlib.import_module(f"{__name__}.{language}").PHRASES
    return found


def languages() -> list[str]:
    """The codes of all languages."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
