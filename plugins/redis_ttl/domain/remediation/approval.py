"""Who agreed to which plan, as documents, and whether they add up to an approval. Closed by default: whatever is missing means no.

A gate (the waiting task) first writes an :class:`ApprovalRequest`: the moment at which the plan was shown. Every answer
becomes a :class:`Decision` about one request. Asking again makes a new request, and what was decided about the old one
counts no more. All of them live in the store, signed where there is a key (:mod:`redis_ttl.domain.remediation.signing`);
nothing in Airflow's database is believed without them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Never

from redis_ttl.domain.codec import document, from_plain
from redis_ttl.domain.errors import NotApproved
from redis_ttl.domain.remediation.signing import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from redis_ttl.domain.plan.plan import Plan

#: 2 added ``instance`` and the signature; a decision's also ``clears``.
REQUEST_SCHEMA: Final = "redis_ttl.approval_request/2"
DECISION_SCHEMA: Final = "redis_ttl.decision/2"

#: The tasks that ask for an approval: a policy with ``approvals: 2`` has both, otherwise there is the first only.
GATES: Final = ("approve_plan", "approve_plan_again")

#: The ``request_id`` of a decision that was made where nothing had been asked: it can't count.
NOT_ASKED: Final = "none"

_NOBODY: Final = frozenset({"", "anonymous", "airflow"})
#: Machines' clocks differ a little; a decision that lies further in the future than this wasn't made yet.
_CLOCKS_DIFFER_MS: Final = 60_000
_ASK_AGAIN: Final = "Clear {gate} with its downstream tasks: the plan is shown again, and can be approved or rejected."
_NEW_PLAN: Final = "Trigger the remediation again, for a new plan."


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


@document(REQUEST_SCHEMA, without={"doubt"})
@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A gate showed this plan at this moment. ``gate`` is the task's id, ``attempt`` its try number from 1.

    ``instance`` is Airflow's id of the task as it then was: clearing it makes another. ``doubt`` says why the document isn't believed;
    it is found when it is read, and stands in no document.
    """

    request_id: str
    plan_id: str
    digest: str
    gate: str
    attempt: int
    requested_at: str
    instance: str | None = None
    doubt: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any], doubt: str | None = None) -> ApprovalRequest:
        """The request of a document, signed or not; ``doubt`` says why that isn't believed."""
        return replace(from_plain(cls, _bare(data)), doubt=doubt)


@document(DECISION_SCHEMA, without={"doubt"})
@dataclass(frozen=True, slots=True)
class Decision:
    """What one person (``by``, an Airflow user name; None for nobody) decided about one request, and when (ISO 8601, UTC).

    ``instance`` is Airflow's id of the gate as it was when that was decided, and ``clears`` how often tasks of the run had been cleared
    by then: whoever clears the gate later takes the decision back. None where that isn't known.
    """

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
    instance: str | None = None
    clears: int | None = None
    doubt: str | None = None
    """Why an approval counts for nothing, found when its document is read; it stands in no document."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any], doubt: str | None = None) -> Decision:
        """The decision of a document, signed or not; ``doubt`` says why that isn't believed.

        An approval that isn't believed is invalid, and says why. A refusal always counts: somebody who can forge one could as
        well have kept the plan from being approved, and a real one must not be lost for the sake of its signature.
        """
        made = from_plain(cls, _bare(data))
        if doubt is None or made.verdict is not Verdict.APPROVED:
            return made
        return replace(made, verdict=Verdict.INVALID, why=f"this approval counts for nothing: {doubt}", doubt=doubt)


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


def gates_of(approvals: int) -> tuple[str, ...]:
    """The gates of a policy that asks for so many approvals, which is one or two."""
    if not 1 <= approvals <= len(GATES):
        raise ValueError(f"{approvals} approvals; there are {len(GATES)} gates")
    return GATES[:approvals]


def is_nameable(user: str | None) -> bool:
    """Whether that name stands for somebody.

    Airflow writes ``Anonymous`` (or ``anonymous``) where nobody logs in, and ``airflow`` for what it did itself.
    """
    return user is not None and user.strip().casefold() not in _NOBODY


def may_approve(user: str | None, approvers: Collection[str]) -> bool:
    """Whether that user's word counts: somebody with a name, and on the list where there is one."""
    return is_nameable(user) and (not approvers or user in approvers)


def is_same_user(one: str | None, other: str | None) -> bool:
    """Whether two names stand for one person, who may have been written in another case."""
    return is_nameable(one) and is_nameable(other) and str(one).strip().casefold() == str(other).strip().casefold()


def is_own_plan(plan: Plan, user: str | None, *, self_approval: bool) -> bool:
    """Whether that user asked for the plan, and so isn't the one to approve it. A plan of nobody known is nobody's own."""
    return not self_approval and is_same_user(plan.requested_by, user)


def why_own_plan(plan: Plan, user: str | None) -> str:
    """Says why somebody can't approve a plan of their own, with both names."""
    return f"{user} may not approve it: it was requested by {plan.requested_by}, and the policy doesn't say self_approval: yes"


def latest_request(requests: Iterable[ApprovalRequest], gate: str) -> ApprovalRequest | None:
    """What the gate asked last; None when it never asked."""
    return max(
        (each for each in requests if each.gate == gate),
        key=lambda each: (instant_ms(each.requested_at), each.attempt),
        default=None,
    )


def instant_ms(moment: str) -> int:
    """Milliseconds since 1970 of a moment in ISO 8601 with its offset.

    >>> instant_ms("2026-02-20T10:00:00.5+00:00")
    1771581600500
    """
    parsed = dt.datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        raise ValueError(f"{moment} doesn't say its offset from UTC")
    return (parsed - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def judge(
    plan: Plan,
    requests: Sequence[ApprovalRequest],
    decisions: Sequence[Decision],
    *,
    gates: Sequence[str],
    approvers: Collection[str],
    policy_hash: str,
    now_ms: int,
    valid_s: int,
    self_approval: bool = False,
) -> Approval:
    """The approval that these documents add up to; :class:`NotApproved`, with what is missing, for everything else.

    Each of ``gates`` must have asked for exactly this plan; what it asked last must have been approved, later, by somebody who may
    (``approvers``; empty: anybody with a name) and who didn't ask for the plan (unless ``self_approval``), and not been decided otherwise
    by anybody; different gates by different people. What isn't signed as it must be counts for nothing. The policy must be the
    one that the plan was made of, and the last of these approvals not older than ``valid_s``.
    """
    if plan.policy_hash != policy_hash:
        _refuse(
            plan,
            "the policy was changed after the plan was made",
            found=f"policy {policy_hash[:12]}",
            allowed=plan.policy_hash[:12],
            todo=_NEW_PLAN,
        )
    if not gates:
        _refuse(plan, "nothing says who must approve it", todo="Look at remediation.approvals in the policy.")
    approved = [_approved(plan, gate, requests, decisions, approvers, self_approval=self_approval) for gate in gates]
    names = tuple(str(each.by) for each in approved)
    for place, name in enumerate(names):
        before = next((number for number in range(place) if is_same_user(names[number], name)), None)
        if before is not None:
            _refuse(
                plan,
                "the same person approved it twice",
                found=f"{names[before]} at {gates[before]} and {name} at {gates[place]}"
                if names[before] != name
                else f"{name} at {gates[before]} and {gates[place]}",
                allowed=f"{len(gates)} different people",
                todo=f"Clear {gates[place]} with its downstream tasks, and have another user approve.",
            )
    approved_at_ms = max(instant_ms(each.at) for each in approved)
    valid_until_ms = approved_at_ms + valid_s * 1000
    if approved_at_ms > now_ms + _CLOCKS_DIFFER_MS:
        _refuse(
            plan,
            "its approval lies in the future",
            found=_text(approved_at_ms),
            allowed=f"before {_text(now_ms)}",
            todo=f"Set the clocks of Airflow's machines right. {_ASK_AGAIN.format(gate=gates[0])}",
        )
    if now_ms > valid_until_ms:
        _refuse(
            plan,
            "its approval has expired",
            found=f"approved {_text(approved_at_ms)}, now {_text(now_ms)}",
            allowed=f"until {_text(valid_until_ms)}",
            todo="The keys have changed since. " + _NEW_PLAN,
        )
    return Approval(plan.plan_id, plan.digest, names, approved_at_ms, valid_until_ms, tuple(approved))


def _approved(
    plan: Plan,
    gate: str,
    requests: Sequence[ApprovalRequest],
    decisions: Sequence[Decision],
    approvers: Collection[str],
    *,
    self_approval: bool,
) -> Decision:
    """The earliest approval of what the gate asked last, when nothing speaks against it."""
    again = _ASK_AGAIN.format(gate=gate)
    for request in requests:
        # Which request is the last one decides what counts, so none of them may be doubtful.
        if request.gate == gate and request.doubt is not None:
            _refuse(
                plan,
                f"what {gate} asked isn't believed: {request.doubt}",
                found=f"request {request.request_id}",
                todo=f"See who can write to the store, and since when there is a signing key. {_NEW_PLAN}",
            )
    asked = latest_request(requests, gate)
    if asked is None:
        made = [each for each in decisions if each.gate == gate and each.request_id == NOT_ASKED]
        why = made[-1].why if made else None
        _refuse(plan, why or f"{gate} has never shown it to anybody", todo=again)
    if (asked.plan_id, asked.digest) != (plan.plan_id, plan.digest):
        _refuse(
            plan,
            f"{gate} showed another plan",
            found=f"{asked.plan_id}, digest {asked.digest[:12]}",
            allowed=f"digest {plan.digest[:12]}",
            todo=again,
        )
    about = [each for each in decisions if each.request_id == asked.request_id]
    made = [each for each in about if each.doubt is None]
    for each in made:
        _refuse_unless_approval(plan, asked, each, approvers, again, self_approval=self_approval)
    if not made and about:
        _refuse(
            plan,
            f"an approval at {gate} counts for nothing: {about[0].doubt}",
            found=f"a document that says {about[0].by} approved",
            allowed="an approval that this Airflow has signed",
            todo=f"See who can write to the store. {again}",
        )
    if not made:
        _refuse(
            plan,
            f"no decision yet at {gate}",
            todo="Approve or reject it there. If that task has ended without a decision, clear it with its downstream tasks.",
        )
    return min(made, key=lambda each: instant_ms(each.at))


def _refuse_unless_approval(
    plan: Plan,
    asked: ApprovalRequest,
    made: Decision,
    approvers: Collection[str],
    again: str,
    *,
    self_approval: bool,
) -> None:
    if made.verdict is not Verdict.APPROVED:
        by = f" by {made.by}" if made.by else ""
        _refuse(
            plan,
            f"{made.verdict.value} at {asked.gate}{by}: {made.why or made.comment or 'no reason given'}",
            todo=again,
        )
    if (made.plan_id, made.digest, made.gate) != (plan.plan_id, plan.digest, asked.gate):
        _refuse(
            plan,
            f"what was approved at {asked.gate} is another plan",
            found=f"{made.plan_id}, digest {made.digest[:12]}, at {made.gate}",
            allowed=f"digest {plan.digest[:12]}",
            todo=again,
        )
    if not is_nameable(made.by):
        _refuse(
            plan,
            f"cannot identify who approved it at {asked.gate}",
            found=repr(made.by),
            allowed="a user's name",
            todo=f"Have a user who is logged in by name approve it. {again}",
        )
    if not may_approve(made.by, approvers):
        _refuse(
            plan,
            f"{asked.gate}'s approver is not authorized",
            found=str(made.by),
            allowed=" or ".join(sorted(approvers)),
            todo=again,
        )
    if is_own_plan(plan, made.by, self_approval=self_approval):
        _refuse(
            plan,
            f"who asked for it can't approve it at {asked.gate}",
            found=f"approved by {made.by}, requested by {plan.requested_by}",
            allowed="another user's approval, or self_approval: yes in the policy",
            todo=again,
        )
    if instant_ms(made.at) < instant_ms(asked.requested_at):
        _refuse(
            plan,
            f"it was approved before {asked.gate} showed it",
            found=made.at,
            allowed=f"after {asked.requested_at}",
            todo=again,
        )


def _refuse(plan: Plan, why: str, *, todo: str, found: str | None = None, allowed: str | None = None) -> Never:
    raise NotApproved(f"not approved: {why}", where=f"plan {plan.plan_id}", found=found, allowed=allowed, todo=todo)


def _bare(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != SIGNATURE}


def _text(instant: int) -> str:
    return dt.datetime.fromtimestamp(instant / 1000, dt.UTC).isoformat(timespec="seconds")
