"""Who agreed to which plan, as documents, and whether they add up to an approval. Closed by default: whatever is missing means no.

A gate (the waiting task) first writes an :class:`ApprovalRequest`: the moment at which the plan was shown. Every answer
becomes a :class:`Decision` about one request. Asking again makes a new request, and what was decided about the old one
counts no more. All of them live in the store, where nobody edits them; nothing in Airflow's database is believed
without them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_SCHEMA: Final = "redis_ttl.approval_request/1"
DECISION_SCHEMA: Final = "redis_ttl.decision/1"


class Verdict(StrEnum):
    """What was decided about one request."""

    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed out"
    INVALID = "invalid"
    """Somebody did something that is no decision: the text says what, and what to do instead."""


class Channel(StrEnum):
    """How a decision reached us."""

    FORM = "form"
    """The Approve / Reject form of the waiting task."""
    MARK = "mark"
    """The waiting task was marked as success or failed."""
    NOBODY = "nobody"
    """No one acted: the form timed out, or the gate was lost."""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A gate showed this plan at this moment. ``gate`` is the task's id, ``attempt`` its try number from 1."""

    request_id: str
    plan_id: str
    digest: str
    gate: str
    attempt: int
    requested_at: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {"schema": REQUEST_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ApprovalRequest:
        """The request that :meth:`to_json` wrote."""
        return cls(**{name: value for name, value in data.items() if name != "schema"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person (``by``, an Airflow user name; None for nobody) decided about one request, and when (ISO 8601, UTC)."""

    request_id: str
    plan_id: str
    digest: str
    gate: str
    verdict: Verdict
    channel: Channel
    by: str | None
    at: str
    comment: str | None = None
    why: str | None = None
    """For what isn't an approval: the reason in words, with what to do next."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {"schema": DECISION_SCHEMA, **asdict(self), "verdict": self.verdict.value, "channel": self.channel.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """The decision that :meth:`to_json` wrote."""
        kept = {name: value for name, value in data.items() if name != "schema"}
        return cls(**{**kept, "verdict": Verdict(data["verdict"]), "channel": Channel(data["channel"])})


@dataclass(frozen=True, slots=True)
class Approval:
    """A plan's approval in force: by whom, since when (the moment of the last decision that it needed), until when.

    ``approved_at_ms`` (milliseconds since 1970) is what every expiry counts from.
    """

    plan_id: str
    digest: str
    by: tuple[str, ...]
    approved_at_ms: int
    valid_until_ms: int
    decisions: tuple[Decision, ...]
