"""What entries of a policy file must be to each other: no rule twice, none hidden behind another, thresholds in order.

Looks at the plain document, not at the finished policy, so that these mistakes are told together with all others;
entries that are wrong by themselves are passed over here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from redis_ttl.adapters.policy_files.entries.audit import MemoryEntry
from redis_ttl.adapters.policy_files.entries.remediation import RemediationEntry
from redis_ttl.adapters.policy_files.leaves.leaf import did_you_mean
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.keys.pattern import KeyPattern, shown
from redis_ttl.domain.keys.steps import Effort, TooMuchEffort
from redis_ttl.domain.policy.duration import format_duration

Location = tuple[str | int, ...]
"""The way to a piece of the document: keys and positions in lists."""


MAX_ENTRIES: Final = 500
"""Rules, and exemptions, that a policy may have."""

MAX_EFFORT: Final = 2_000_000
"""Steps of comparing patterns that a policy may take, about a second. 500 ordinary rules take some ten thousand; a policy is read at
each parse of a DAG file, and must not keep the others waiting.
"""


#: What is larger is a mistake by itself.
_SMALL_NUMBER: Final = re.compile("[0-9]{1,9}")
_COLD_ADVICE: Final = "idle: 7d is asked under LRU and other policies, freq: 5 under LFU ones"


@dataclass(frozen=True, slots=True)
class RelationMistake:
    """Two entries that don't go together; ``other`` is where the other one stands, None where it isn't written."""

    location: Location
    found: str
    expected: str
    other: Location | None
    advice: str | None


def relation_mistakes(document: dict[str, object]) -> Iterator[RelationMistake]:
    """Every pair of entries that don't go together; of several reasons against one entry only the first."""
    yield from _too_many(document)
    yield from _hidden_entries(document)
    yield from _thresholds(document)
    yield from _approvers(document)
    yield from _watch(document)
    yield from _empty_cold(document)
    yield from _owners(document)


def _too_many(document: dict[str, object]) -> Iterator[RelationMistake]:
    for key in ("exempt", "rules"):
        entries = document.get(key)
        if isinstance(entries, list) and len(entries) > MAX_ENTRIES:
            advice = "Each key is held against all of them: let one pattern stand for many keys"
            yield RelationMistake((key,), f"{len(entries):,} entries", f"at most {MAX_ENTRIES}", None, advice)


def _hidden_entries(document: dict[str, object]) -> Iterator[RelationMistake]:
    exempt, rules = _patterns(document, "exempt"), _patterns(document, "rules")
    effort = Effort(MAX_EFFORT)
    for kind, entries, before in (("exemption", exempt, []), ("rule", rules, exempt)):
        earlier = list(before)
        for location, pattern in entries:
            try:
                for other, wider in earlier:
                    if wider.covers(pattern, effort):
                        yield _hidden(kind, (location, pattern), (other, wider), effort)
                        break
            except TooMuchEffort:
                yield RelationMistake(
                    location,
                    f"{shown(str(pattern))}, which is too much like the entries above to be compared with them",
                    f"patterns that are told apart within {MAX_EFFORT:,} steps",
                    None,
                    "Use fewer placeholders with a shape, or put other literal text between them",
                )
                return
            earlier.append((location, pattern))


def _hidden(
    kind: str, entry: tuple[Location, KeyPattern], before: tuple[Location, KeyPattern], effort: Effort
) -> RelationMistake:
    (location, pattern), (other, wider) = entry, before
    if kind == "rule" and other[0] == "exempt":
        return RelationMistake(
            location,
            f"a rule for `{pattern}`, all of whose keys are exempt as `{wider}`",
            "a rule that governs some key",
            other,
            "Exemptions come first: drop the rule, or narrow the exemption",
        )
    if pattern.covers(wider, effort):
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


def _approvers(document: dict[str, object]) -> Iterator[RelationMistake]:
    remediation = document.get("remediation")
    if not isinstance(remediation, dict):
        return
    approvers, approvals = remediation.get("approvers"), remediation.get("approvals")
    if not isinstance(approvers, list) or not approvers or not all(isinstance(name, str) for name in approvers):
        return
    names: dict[str, int] = {}
    for index, name in enumerate(approvers):
        location = ("remediation", "approvers", index)
        if name in names:
            other = ("remediation", "approvers", names[name])
            yield RelationMistake(location, f"`{name}` a second time", "each name once", other, "Drop one of them")
        names.setdefault(name, index)
    if isinstance(approvals, str) and _SMALL_NUMBER.fullmatch(approvals) and int(approvals) > len(names):
        yield RelationMistake(
            ("remediation", "approvals"),
            f"{approvals} approvals and {len(names)} approver{'' if len(names) == 1 else 's'}",
            "at least as many approvers as approvals",
            ("remediation", "approvers"),
            "Approvals come from different people: name more of them, or ask for fewer",
        )


def _watch(document: dict[str, object]) -> Iterator[RelationMistake]:
    try:
        remediation = RemediationEntry.model_validate(document.get("remediation", {}))
    except ValidationError:
        return
    if remediation.canary.watch >= remediation.approval_valid:
        in_canary = "watch" in remediation.canary.model_fields_set
        yield RelationMistake(
            ("remediation", "canary", "watch") if in_canary else ("remediation", "approval_valid"),
            f"a canary that is watched for {format_duration(remediation.canary.watch)}, "
            f"and an approval that ends after {format_duration(remediation.approval_valid)}",
            "an approval that outlasts the canary",
            ("remediation", "approval_valid")
            if in_canary and "approval_valid" in remediation.model_fields_set
            else None,
            "The other keys follow after the canary, and nothing is written without a valid approval",
        )


def _empty_cold(document: dict[str, object]) -> Iterator[RelationMistake]:
    rules = document.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict) and rule.get("cold") == {}:
            yield RelationMistake(
                ("rules", index, "cold"), "neither `idle` nor `freq`", "`idle`, `freq` or both", None, _COLD_ADVICE
            )


def _owners(document: dict[str, object]) -> Iterator[RelationMistake]:
    """A team twice, and rules of a team that nobody can reach."""
    entries = document.get("owners")
    places: dict[str, Location] = {}
    owners: list[tuple[Location, object]] = [
        (("owner",), document.get("owner")),
        *((("owners", number), entry) for number, entry in enumerate(entries if isinstance(entries, list) else [])),
    ]
    for place, entry in owners:
        team = entry.get("team") if isinstance(entry, dict) else None
        if not isinstance(team, str):
            continue
        if team in places:
            yield RelationMistake(
                (*place, "team"),
                f"`{team}` a second time",
                "each team once",
                (*places[team], "team"),
                "Drop one of them",
            )
        places.setdefault(team, place)
    messages = document.get("messages")
    fallback = messages.get("fallback") if isinstance(messages, dict) else None
    for place, entry in [*owners, (("messages", "fallback"), fallback)]:
        if isinstance(entry, dict):
            yield from _lists(place, entry)
    if isinstance(fallback, dict) and not fallback.keys() & {"slack", "slack_webhook", "email"}:
        found = "a contact without an address"
        yield RelationMistake(("messages", "fallback"), found, "`slack`, `slack_webhook` or `email`", None, None)
    rules = document.get("rules")
    for number, rule in enumerate(rules if isinstance(rules, list) else []):
        team = rule.get("owner") if isinstance(rule, dict) else None
        if isinstance(team, str) and team.strip() and team.strip() not in places and places:
            yield RelationMistake(
                ("rules", number, "owner"),
                f"`{team}`, a team that isn't described",
                "the team of `owner`, or of one of `owners`",
                None,
                did_you_mean(team, places) or "Add it to `owners`, with how it is reached",
            )


def _lists(place: Location, entry: dict[str, object]) -> Iterator[RelationMistake]:
    """Languages and addresses: none where some are meant, or one twice."""
    for key, meant in (("languages", "one language or more"), ("email", "one address or more")):
        items = entry.get(key)
        if not isinstance(items, list):
            continue
        if not items:
            yield RelationMistake((*place, key), "an empty list", f"{meant}; leave it out for the default", None, None)
        first: dict[str, int] = {}
        for number, item in enumerate(items):
            if isinstance(item, str) and first.setdefault(item, number) != number:
                yield RelationMistake(
                    (*place, key, number),
                    f"`{item}` a second time",
                    "each once",
                    (*place, key, first[item]),
                    "Drop one of them",
                )


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
