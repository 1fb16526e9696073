"""Finds the other plans of a cluster whose keys have still to expire, for the sake of a new one. Reads the store only."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, Protocol

from redis_ttl.domain.errors import BadInput, DamagedDocument, NewerDocument, RedisTtlError
from redis_ttl.domain.plan.expiry import anchor_ms
from redis_ttl.domain.plan.other_plans import OtherPlan, OtherRule, OtherState
from redis_ttl.domain.remediation.approval import Verdict, instant_ms
from redis_ttl.usecases.store.plans import PlanDocuments, plan_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis_ttl.domain.plan.other_plans import JournalledExpiries
    from redis_ttl.domain.plan.plan import Plan, PlannedRule
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.rollback.journal import JournalName
    from redis_ttl.usecases.ports import Documents

#: An approval of an earlier policy may have been good for longer than one of now: so long at least a journal is looked at
#: after the last expiry that its plan could have set by the policy of now.
_SLACK: Final = dt.timedelta(days=30)


class ExpiriesOfJournal(Protocol):
    """Adds up what a journal leaves to expire."""

    def add(self, name: JournalName, document: bytes) -> None:
        """Take in one object."""

    def rules(self) -> list[JournalledExpiries]:
        """What is left of each rule."""


def other_plans(
    documents: Documents,
    policy: Policy,
    *,
    run: str,
    now: dt.datetime,
    new_expiries: Callable[[int], ExpiriesOfJournal],
) -> tuple[OtherPlan, ...]:
    """The plans of the policy's cluster that have keys to expire after ``now``, or may get some, the newest first.

    A plan that waits in ``run`` itself is left out: the new one takes its place there.
    ``new_expiries`` begins a sum of what expires after an instant (ms since 1970). Raises :class:`NewerDocument` for a plan of
    a newer version, whose keys nobody can tell; and :class:`StoreProblem` where neither plan nor journal can be read.
    """
    found = []
    for plan_id in plan_ids(documents, policy.cluster):
        other = _other(PlanDocuments(documents, policy.cluster, plan_id), policy, run, now, new_expiries)
        if other is not None:
            found.append(other)
    return tuple(found)


def _other(
    documents: PlanDocuments,
    policy: Policy,
    run: str,
    now: dt.datetime,
    new_expiries: Callable[[int], ExpiriesOfJournal],
) -> OtherPlan | None:
    now_ms = int(now.timestamp() * 1000)
    names = documents.journal_names()
    try:
        plan = documents.plan()
    except NewerDocument:
        raise
    except (BadInput, DamagedDocument):
        # Somebody changed the document, or it is damaged: what was written by it is in the journal all the same.
        left = _left(documents, names, new_expiries(now_ms))
        return (
            OtherPlan(documents.plan_id, OtherState.WRITTEN, tuple(_written({}, left)), unread=True) if left else None
        )
    unread = False
    try:
        approved_at, is_verified = _approved_at(documents), _is_verified(documents)
    except DamagedDocument:
        approved_at, is_verified, unread = None, False, True
    settings = policy.remediation
    valid = dt.timedelta(seconds=settings.approval_valid_s)
    begun_at = approved_at or dt.datetime.fromisoformat(plan.created_at)
    longest = max((rule.ttl_s + rule.window_s for rule in plan.included), default=0)
    if now > begun_at + dt.timedelta(seconds=settings.approval_timeout_s + longest) + valid + _SLACK:
        return None
    try:
        left = _left(documents, names, new_expiries(now_ms))
    except RedisTtlError:
        left, unread = [], True
    may_write = approved_at is not None and now <= approved_at + valid and not is_verified
    if unread or may_write:
        since = approved_at or begun_at
        rules = tuple(_planned(plan, left, since, valid, now))
        return OtherPlan(plan.plan_id, OtherState.WRITING if may_write else OtherState.WRITTEN, rules, unread)
    if left:
        return OtherPlan(
            plan.plan_id, OtherState.WRITTEN, tuple(_written({rule.number: rule for rule in plan.rules}, left))
        )
    if not names and plan.run != run and _is_waiting(documents, now, settings.approval_timeout_s):
        return OtherPlan(plan.plan_id, OtherState.WAITING, ())
    return None


def _left(
    documents: PlanDocuments, names: Sequence[JournalName], expiries: ExpiriesOfJournal
) -> list[JournalledExpiries]:
    for name in names:
        expiries.add(name, documents.journal(name))
    return expiries.rules()


def _approved_at(documents: PlanDocuments) -> dt.datetime | None:
    """When the last of the plan's gates was approved; None where one of them was answered otherwise, or none at all."""
    latest = {request.gate: request.request_id for request in documents.requests()}
    made = [each for each in documents.decisions() if each.request_id in latest.values()]
    if not made or any(each.verdict is not Verdict.APPROVED for each in made):
        return None
    return dt.datetime.fromtimestamp(max(instant_ms(each.at) for each in made) / 1000, dt.UTC)


def _is_waiting(documents: PlanDocuments, now: dt.datetime, timeout_s: int) -> bool:
    decided = {each.request_id for each in documents.decisions()}
    return any(
        request.request_id not in decided
        and now <= dt.datetime.fromisoformat(request.requested_at) + dt.timedelta(seconds=timeout_s)
        for request in documents.requests()
    )


def _is_verified(documents: PlanDocuments) -> bool:
    return any(each.complete for each in documents.verifications())


def _written(planned: Mapping[int, PlannedRule], left: Sequence[JournalledExpiries]) -> list[OtherRule]:
    """What the journal says, at the rate of the plan's own windows: however late some keys were written, no second has more."""
    rules = []
    for each in left:
        rule = planned.get(each.rule)
        span_s = max(1, (each.last_ms - each.first_ms) // 1000)
        window_s = span_s if rule is None else max(1, min(span_s, rule.window_s))
        pattern = f"rule {each.rule}" if rule is None else rule.pattern
        rules.append(OtherRule(pattern, each.keys, each.first_ms, each.last_ms, each.keys / window_s))
    return rules


def _planned(
    plan: Plan, left: Sequence[JournalledExpiries], since: dt.datetime, valid: dt.timedelta, now: dt.datetime
) -> list[OtherRule]:
    """All that the plan may write, from the earliest to the latest instant that it may set; more, where the journal has more."""
    journalled = {each.rule: each for each in left}
    since_ms, now_ms = int(since.timestamp() * 1000), int(now.timestamp() * 1000)
    last_anchor_ms = anchor_ms(since_ms, since_ms + int(valid.total_seconds() * 1000))
    rules = []
    for rule in plan.included:
        written = journalled.get(rule.number)
        keys = max(rule.change_keys, 0 if written is None else written.keys)
        first_ms, last_ms = since_ms + rule.ttl_s * 1000, last_anchor_ms + (rule.ttl_s + rule.window_s) * 1000
        if last_ms > now_ms:
            per_s = max(rule.limit_keys, keys) / max(1, rule.window_s)
            rules.append(OtherRule(rule.pattern, keys, first_ms, last_ms, per_s))
    return rules
