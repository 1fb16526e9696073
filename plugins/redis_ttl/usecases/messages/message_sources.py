"""Which documents of the store a message is made of: for the tasks that tell what they have just written, for previews, and for
notifiers of other DAGs.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.messages.facts_of_audit import action_required
from redis_ttl.domain.messages.facts_of_events import burst_detected, drift_found, memory_level
from redis_ttl.domain.messages.facts_of_plan import approval_requested, end_of_run, rollback_result
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.remediation.approval import Verdict
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.store.audits import AuditFolder, finished_audits
from redis_ttl.usecases.store.catalogue import EventKind
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.plans import PlanDocuments, plan_ids
from redis_ttl.usecases.store.watch import WatchEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.drift.drift import DriftReport
    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.domain.policy.policy import Owner, Policy
    from redis_ttl.domain.remediation.canary import CanaryReport
    from redis_ttl.domain.remediation.signing import SigningKeys
    from redis_ttl.domain.remediation.verification import Verification
    from redis_ttl.domain.watch.events import LevelChange
    from redis_ttl.usecases.ports import Documents

Addressed = tuple["Owner", "AnyFacts"]

LATEST: Final = "LATEST"
_TREND_COUNTS: Final = dt.timedelta(days=7)
_FIRST: Final = {
    MessageKind.ACTION_REQUIRED: "audit",
    MessageKind.DRIFT_FOUND: "drift_check",
    MessageKind.APPROVAL_REQUESTED: "remediate",
    MessageKind.REMEDIATION_RESULT: "remediate",
    MessageKind.RUN_ABORTED: "remediate",
    MessageKind.ROLLBACK_RESULT: "rollback",
    MessageKind.MEMORY_LEVEL: "watch",
    MessageKind.BURST_DETECTED: "watch",
}


def has_events(documents: Documents, cluster: str, since: dt.datetime) -> bool:
    """Whether the watch has seen anything since then; costs the listing of one folder."""
    return bool(WatchEvents(documents, cluster).names(since=since))


#: Kinds of messages about events, each with a kind of events.
_EVENTS: Final = (
    (MessageKind.MEMORY_LEVEL, EventKind.MEMORY),
    (MessageKind.MEMORY_LEVEL, EventKind.NO_TTL),
    (MessageKind.BURST_DETECTED, EventKind.BURST),
)


class MessageSources:
    """The documents of one cluster as facts of messages.

    ``which`` is an audit's id for ``action_required`` and ``drift_found``, a plan's for what is about plans, an event's name for what
    the watch saw; or ``LATEST``. Raises `BadInput` where there is no such document. An empty list means that there is nothing to say.
    With a ``signer`` an approval that isn't signed as it must be is told as invalid.
    """

    def __init__(
        self,
        documents: Documents,
        policy: Policy,
        read_patterns: Callable[[bytes], Sequence[PatternStatistics]],
        signer: Callable[[], SigningKeys | None] = lambda: None,
    ) -> None:
        self._documents = documents
        self._events = WatchEvents(documents, policy.cluster)
        self._signer = signer
        self._policy = policy
        self._read_patterns = read_patterns

    def facts_of(self, kind: MessageKind, which: str = LATEST, link: str | None = None) -> Sequence[Addressed]:
        """Who must hear what."""
        match kind:
            case MessageKind.ACTION_REQUIRED:
                return self._action_required(which, link)
            case MessageKind.APPROVAL_REQUESTED:
                documents = self._plan(kind, which, lambda plan: bool(plan.requests()))
                return approval_requested(documents.plan(), documents.requests()[-1], self._policy, link=link)
            case MessageKind.REMEDIATION_RESULT | MessageKind.RUN_ABORTED:
                return self._end_of_run(kind, which, link)
            case MessageKind.ROLLBACK_RESULT:
                documents = self._plan(kind, which, lambda plan: bool(plan.rollbacks()))
                restored, found = documents.rollbacks()[-1]
                return rollback_result(documents.plan(), restored, found, self._policy, link=link)
            case MessageKind.DRIFT_FOUND:
                return drift_found(self._drift(which), self._policy, link=link)
            case MessageKind.MEMORY_LEVEL:
                change = self._event(kind, which, EventKind.MEMORY, EventKind.NO_TTL)
                return memory_level(self._events.level(change), self._policy, link=link)
            case MessageKind.BURST_DETECTED:
                burst = self._event(kind, which, EventKind.BURST)
                return burst_detected(self._events.burst(burst), self._policy, link=link)
            case _:
                assert_never(kind)

    def events_since(self, since: dt.datetime, link: str | None = None) -> list[Addressed]:
        """Who must hear what of the watch's events since then, of each kind the last one."""
        found: list[Addressed] = []
        for kind, of in _EVENTS:
            if names := self._events.names((of,), since):
                found += self.facts_of(kind, names[-1], link)
        return found

    def _action_required(self, which: str, link: str | None) -> Sequence[Addressed]:
        audits = finished_audits(self._documents, self._policy.cluster)
        audit_id = _wanted(which, audits)
        if audit_id is None:
            raise self._nothing(MessageKind.ACTION_REQUIRED, which, audits)
        audit = read_audit(AuditFolder(self._documents, self._policy.cluster, audit_id), self._read_patterns)
        bursts, levels = self._events.names((EventKind.BURST,)), self._events.names((EventKind.MEMORY,))
        burst = self._events.burst(bursts[-1]) if bursts else None
        level = self._events.level(levels[-1]) if levels else None
        growth = None if level is None else _trend_then(level, audit.finished_at)
        return action_required(audit, self._policy, burst=burst, growth_bytes_per_day=growth, link=link)

    def _end_of_run(self, kind: MessageKind, which: str, link: str | None) -> Sequence[Addressed]:
        def has_ended(plan: PlanDocuments) -> bool:
            if which.upper() != LATEST:
                return bool(plan.parts() or plan.decisions())
            # The newest that ended so; one that is under way, or ended otherwise, isn't meant.
            verification = _verification(plan)
            is_written = verification is not None and verification.complete
            return is_written if kind is MessageKind.REMEDIATION_RESULT else not is_written and _was_aborted(plan)

        documents = self._plan(kind, which, has_ended)
        found: Sequence[Addressed] = end_of_run(
            documents.plan(),
            documents.parts(),
            documents.decisions(),
            _verification(documents),
            self._policy,
            canary=_canary(documents),
            link=link,
        )
        other = next((facts.kind for _, facts in found if facts.kind is not kind), None)
        if other is not None:
            raise BadInput("that plan ended otherwise", where=documents.path, found=other.value, allowed=kind.value)
        return found

    def _plan(self, kind: MessageKind, which: str, has: Callable[[PlanDocuments], bool]) -> PlanDocuments:
        known = plan_ids(self._documents, self._policy.cluster)
        wanted = (
            known
            if which.upper() == LATEST
            else [each for each in [check_document_id(which, where="plan")] if each in known]
        )
        for plan_id in wanted:
            documents = PlanDocuments(self._documents, self._policy.cluster, plan_id, self._signer())
            if has(documents):
                return documents
        raise self._nothing(kind, which, known)

    def _drift(self, which: str) -> DriftReport:
        documents = DriftDocuments(self._documents, self._policy.cluster)
        if which.upper() == LATEST:
            report = documents.last_report()
        else:
            report = next(iter(reversed(documents.reports_about(check_document_id(which, where="audit")))), None)
        if report is None:
            raise self._nothing(MessageKind.DRIFT_FOUND, which, [])
        return report

    def _event(self, kind: MessageKind, which: str, *of: EventKind) -> str:
        """The name of the event that is meant."""
        known = self._events.names(of)[::-1]
        name = _wanted(which, known)
        if name is None:
            raise self._nothing(kind, which, known)
        return name

    def _nothing(self, kind: MessageKind, which: str, known: Sequence[str]) -> BadInput:
        return BadInput(
            f"no source document for {kind.value}",
            where=f"store {self._documents}, cluster {self._policy.cluster}",
            found=None if which.upper() == LATEST else which,
            allowed=", ".join(known[:3]) or None,
            todo=f"Run redis_ttl.{self._policy.cluster}.{_FIRST[kind]} first, or name another store.",
        )


def _verification(plan: PlanDocuments) -> Verification | None:
    """The last one."""
    return next(reversed(plan.verifications()), None)


def _canary(plan: PlanDocuments) -> CanaryReport | None:
    """What the last watch over the canary's keys came to."""
    return next(reversed(plan.canary_reports()), None)


def _was_aborted(plan: PlanDocuments) -> bool:
    """Whether the documents say what ended it: a guard, an operator, or whoever was asked."""
    parts, decisions, canary = plan.parts(), plan.decisions(), _canary(plan)
    if parts:
        return any(part.outcome is not Outcome.DONE for part in parts) or (canary is not None and not canary.passed)
    return bool(decisions) and decisions[-1].verdict is not Verdict.APPROVED


def _trend_then(level: LevelChange, audited_at: str) -> float | None:
    """The trend of memory in bytes a day, if it was seen in the week of the audit."""
    apart = dt.datetime.fromisoformat(audited_at) - dt.datetime.fromisoformat(level.at)
    return None if level.forecast is None or abs(apart) > _TREND_COUNTS else level.forecast.bytes_per_day


def _wanted(which: str, known: Sequence[str]) -> str | None:
    """The newest, or the one that is named if there is such; what is known comes newest first."""
    if which.upper() == LATEST:
        return known[0] if known else None
    return next((each for each in known if each == which), None)
