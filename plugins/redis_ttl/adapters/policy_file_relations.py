"""What entries of a policy file must be to each other: no rule twice, none hidden behind another, thresholds in order.

Looks at the plain document, not at the finished policy, so that these mistakes are told together with all others;
entries that are wrong by themselves are passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from redis_ttl.adapters.policy_file_shape import MemoryEntry
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.key_pattern import KeyPattern

Location = tuple[str | int, ...]
"""The way to a piece of the document: keys and positions in lists."""


MAX_ENTRIES: Final = 500
"""Rules, and exemptions, that a policy may have."""


@dataclass(frozen=True, slots=True)
class RelationMistake:
    """Two entries that don't go together; ``other`` is where the other one stands, None where it isn't written."""

    location: Location
    found: str
    expected: str
    other: Location | None
    advice: str


def relation_mistakes(document: dict[str, object]) -> Iterator[RelationMistake]:
    """Every pair of entries that don't go together; of several reasons against one entry only the first."""
    yield from _too_many(document)
    yield from _hidden_entries(document)
    yield from _thresholds(document)


def _too_many(document: dict[str, object]) -> Iterator[RelationMistake]:
    for key in ("exempt", "rules"):
        entries = document.get(key)
        if isinstance(entries, list) and len(entries) > MAX_ENTRIES:
            advice = "Each key is held against all of them: let one pattern stand for many keys"
            yield RelationMistake((key,), f"{len(entries):,} entries", f"at most {MAX_ENTRIES}", None, advice)


def _hidden_entries(document: dict[str, object]) -> Iterator[RelationMistake]:
    exempt, rules = _patterns(document, "exempt"), _patterns(document, "rules")
    for kind, entries, before in (("exemption", exempt, []), ("rule", rules, exempt)):
        earlier = list(before)
        for location, pattern in entries:
            for other, wider in earlier:
                if wider.covers(pattern):
                    yield _hidden(kind, location, pattern, other, wider)
                    break
            earlier.append((location, pattern))


def _hidden(kind: str, location: Location, pattern: KeyPattern, other: Location, wider: KeyPattern) -> RelationMistake:
    if kind == "rule" and other[0] == "exempt":
        return RelationMistake(
            location,
            f"a rule for `{pattern}`, all of whose keys are exempt as `{wider}`",
            "a rule that governs some key",
            other,
            "Exemptions come first: drop the rule, or narrow the exemption",
        )
    if wider.covers(pattern) and pattern.covers(wider):
        return RelationMistake(
            location,
            f"the pattern `{pattern}` a second time",
            f"one {kind} for the same keys",
            other,
            "The first one decides: drop one of them",
        )
    return RelationMistake(
        location,
        f"`{pattern}`, hidden behind `{wider}`",
        f"{'a' if kind == 'rule' else 'an'} {kind} that decides about some key",
        other,
        "The first that matches decides: move the narrower one up, or drop it",
    )


def _patterns(document: dict[str, object], key: str) -> list[tuple[Location, KeyPattern]]:
    entries = document.get(key)
    patterns: list[tuple[Location, KeyPattern]] = []
    # No further than the limit: each is compared with all others.
    for index, entry in enumerate(entries[:MAX_ENTRIES] if isinstance(entries, list) else []):
        text = entry.get("pattern") if isinstance(entry, dict) else None
        if isinstance(text, str):
            try:
                patterns.append(((key, index, "pattern"), KeyPattern(text)))
            except BadInput:
                continue
    return patterns


def _thresholds(document: dict[str, object]) -> Iterator[RelationMistake]:
    try:
        memory = MemoryEntry.model_validate(document.get("memory", {}))
    except ValidationError:
        return
    if memory.warn >= memory.critical:
        location: Location = ("memory", "warn") if "warn" in memory.model_fields_set else ("memory", "critical")
        yield RelationMistake(
            location,
            f"warn at {memory.warn:.0%} and critical at {memory.critical:.0%}",
            "warn below critical",
            ("memory", "critical") if len(memory.model_fields_set) > 1 else None,
            "What isn't written is 60% for warn and 85% for critical",
        )
