"""What a message to a team is about: its facts, in no language; and the message that is made of them.

Facts are plain and complete: whoever renders them asks nobody anything. ``identity`` is equal for two messages that say the same
to the same team, whatever their figures. Moments are ISO 8601 with their offset, ratios are fractions of 1, durations are seconds.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class MessageKind(StrEnum):
    """What a message is about."""

    ACTION_REQUIRED = "action_required"


class Format(StrEnum):
    """What a message can be shown as."""

    SLACK = "slack"
    EMAIL = "email"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """One message in every form in which it can be sent or kept; all of them say the same.

    ``slack_text`` is what a notification shows and what is read out; ``slack_blocks`` is the message itself (Block Kit).
    """

    subject: str
    slack_text: str
    slack_blocks: list[dict[str, Any]]
    email_html: str
    email_text: str
    markdown: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in use on all nodes together, and the limit where each has one."""

    used_bytes: int
    limit_bytes: int | None = None

    @property
    def ratio(self) -> float | None:
        """Used memory as a share of the limit."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else None


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """The keys of one rule that don't keep it.

    ``pattern`` is the rule's, with the names of its parameters. ``keys`` are all that it governs; ``no_ttl_keys`` have no
    TTL, ``longer_keys`` a longer one than the rule allows. ``current_ttl_s`` is the mean of those that have one.
    ``size_bytes`` is what the keys hold that would get another expiry.
    """

    pattern: str
    priority: str
    ttl_s: int
    caps: bool
    signed_off: bool
    keys: int
    no_ttl_keys: int
    longer_keys: int = 0
    current_ttl_s: int | None = None
    size_bytes: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def concerned_keys(self) -> int:
        """How many keys don't keep the rule."""
        return self.no_ttl_keys + (self.longer_keys if self.caps else 0)


@dataclass(frozen=True, slots=True)
class UnknownFacts:
    """Keys without a TTL that no rule and no exemption speaks of, by their pattern."""

    pattern: str
    keys: int
    no_ttl_keys: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BurstFacts:
    """Keys that came in far faster than before: which, when, how many. ``ended_at`` is the last moment at which it was seen."""

    pattern: str
    keys: int
    began_at: str
    ended_at: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """An audit met keys that must have a TTL and have none, or too long a one: what their owner has to do, and by when.

    ``owner`` is the team that it is written to, ``rules`` and ``unknown`` are its rows only; the other figures are those
    of the whole cluster. ``unknown`` are the patterns that hold a noticeable share; ``other_unknown_patterns`` with
    ``other_unknown_keys`` keys without a TTL are the rest.
    """

    cluster: str
    owner: str
    priority: str
    audit_id: str
    audited_at: str
    keys: int
    no_ttl_keys: int
    memory: Memory
    memory_warn_ratio: float
    memory_critical_ratio: float
    eviction_policy: str | None
    rules: tuple[RuleFacts, ...]
    unknown: tuple[UnknownFacts, ...] = ()
    other_unknown_patterns: int = 0
    other_unknown_keys: int = 0
    deadline: dt.date | None = None
    scaling_usd_per_month: float | None = None
    scaling_note: str | None = None
    burst: BurstFacts | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        return MessageKind.ACTION_REQUIRED

    @property
    def no_ttl_ratio(self) -> float:
        """The share of all keys that have no TTL."""
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    @property
    def identity(self) -> str:
        """Which rules aren't kept and which patterns nobody governs; counts and dates don't make it another message."""
        rules = sorted([rule.pattern, rule.ttl_s, rule.signed_off] for rule in self.rules)
        what = [self.kind.value, self.cluster, self.owner, rules, sorted(row.pattern for row in self.unknown)]
        return json.dumps(what, ensure_ascii=False, separators=(",", ":"))
