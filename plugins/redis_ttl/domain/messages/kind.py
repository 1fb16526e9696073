"""What a message is about, how soon it must be read, and what it can be shown as."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class MessageKind(StrEnum):
    """What a message is about."""

    ACTION_REQUIRED = "action_required"
    """An audit met keys that must have a TTL and have none."""
    APPROVAL_REQUESTED = "approval_requested"
    """A plan waits for its approval."""
    REMEDIATION_RESULT = "remediation_result"
    """A plan was written to its end, and verified."""
    ROLLBACK_RESULT = "rollback_result"
    """A plan was taken back."""
    DRIFT_FOUND = "drift_found"
    """New keys without TTL, more than the policy tolerates."""
    MEMORY_LEVEL = "memory_level"
    """Memory, or the share of keys without TTL, has reached another level."""
    BURST_DETECTED = "burst_detected"
    """Keys come in far faster than ever at this hour."""
    RUN_ABORTED = "run_aborted"
    """A remediation ended before its end: by a guard, an operator, or for want of an approval."""


#: What is a state, and reminded of while it lasts; everything else has happened once, and is told once.
STATES: Final = frozenset({MessageKind.ACTION_REQUIRED, MessageKind.DRIFT_FOUND})


class Format(StrEnum):
    """What a message can be shown as."""

    SLACK = "slack"
    EMAIL = "email"
    MARKDOWN = "markdown"


class Urgency(StrEnum):
    """How soon a message must be read."""

    CRITICAL = "critical"
    """At once, in quiet hours too."""
    NORMAL = "normal"
    """At once, or when quiet hours end."""
    SMALL = "small"
    """Once a day, together with others."""
