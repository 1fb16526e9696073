"""Compares an audit with the baseline: which keys without TTL are new, whose they are, and whether the policy lets them pass.

Checking the same audit twice gives the same report. Everything is written before anybody is told: first the
fingerprints of the next baseline, then the baseline, then the report. A check that is killed in between is done again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from redis_ttl.domain.drift.drift import (
    Baseline,
    BaselineKind,
    ComparisonScope,
    DriftFinding,
    DriftKind,
    DriftReport,
    NewKeys,
    Verdict,
)
from redis_ttl.domain.drift.judging import churn_levels, judge
from redis_ttl.domain.errors import BadInput, NotApproved, OtherServer, RedisTtlError
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.remediation.approval import is_nameable
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.journal import JournalName, attempt_of
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.drift.drift_governance import Governed, named_and_governed
from redis_ttl.usecases.drift.drift_names import NewKeyNames
from redis_ttl.usecases.drift.earlier_audits import EarlierAudit, earlier_audits, met_every_key
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.drift.churn import Turnover
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.drift.drift_ports import Comparison, NewComparison
    from redis_ttl.usecases.ports import Documents, Redis


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody's word that what an audit found is accounted for."""

    by: str | None
    why: str


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """One check: of which audit, in which run, and whether it accepts what it finds."""

    audit_id: str
    run: str
    accept: Acceptance | None = None


@dataclass(frozen=True, slots=True)
class DriftTools:
    """What checking needs from the outside.

    ``names_in_report`` says what shards' patterns are called in the report that was made of these documents. ``redis`` is
    asked for names of new keys; None doesn't ask. ``warn`` hears what the check does without. ``page`` makes the page of a report.
    """

    documents: Documents
    policy: Policy
    new_comparison: NewComparison
    read_patterns: Callable[[bytes], Sequence[PatternStatistics]]
    names_in_report: Callable[[Iterable[bytes]], Mapping[str, str]]
    redis: Redis | None
    now: Callable[[], dt.datetime]
    warn: Callable[[str], None]
    page: Callable[[DriftReport], str]


def check_drift(request: DriftRequest, tools: DriftTools) -> DriftReport:
    """The report, which is in the store when this returns, whatever its verdict.

    Raises :class:`NotApproved` for an acceptance without a reason or by nobody who can be named, and :class:`BadInput` for an audit that
    isn't there.
    """
    accept = request.accept
    if accept is not None:
        _check_acceptance(accept)
    documents = DriftDocuments(tools.documents, tools.policy.cluster)
    base = documents.holding(request.audit_id, without_run=request.run if accept else None)
    for earlier in reversed(documents.reports_about(request.audit_id)):
        if _answers(earlier, request, base, tools.policy):
            return earlier
    folder = AuditFolder(tools.documents, tools.policy.cluster, request.audit_id)
    if not folder.has("audit.json"):
        raise BadInput(
            "no such audit, or one that didn't come to its end",
            where=folder.path,
            todo="Leave audit_id empty for the newest one, or run the audit first.",
        )
    if (
        base is None
        and (oldest := min((each.audit_id for each in documents.baselines()), default=request.audit_id))
        > request.audit_id
    ):
        raise BadInput(
            "this audit is older than every baseline, so there is nothing to compare it with",
            where=folder.path,
            found=request.audit_id,
            allowed=f"an audit from {oldest} on",
        )
    audit = read_audit(folder, tools.read_patterns)
    if base is not None and base.seed != audit.plan.seed:
        raise BadInput(
            "this audit's fingerprints can't be compared with the baseline's: it was begun before there was one",
            where=folder.path,
            todo="Run another audit, which takes over what the baseline's fingerprints are hashed with, and check that one.",
        )
    if audit.completeness.doubts and (base is None or accept is not None):
        raise BadInput(
            "no baseline is made of an audit whose keys may be of more than one data set",
            where=folder.path,
            found=audit.completeness.doubts[0],
            todo="Audit again, and check that one.",
        )
    scope = _scope(audit, base, accepts=accept is not None)
    journals = () if base is None else _journals(audit, tools)
    before = [] if base is None else earlier_audits(audit, tools.documents, tools.read_patterns)
    about = audit.no_ttl_keys + (0 if base is None else base.keys) + sum(each.keys for each in journals)
    about += sum(each.audit.no_ttl_keys for each in before)
    with tools.new_comparison(scope, about) as comparison:
        return _Check(request, tools, documents, folder, audit, base, scope, journals, before, comparison).report()


def _check_acceptance(accept: Acceptance) -> None:
    if not accept.why.strip():
        raise NotApproved(
            "what is accepted needs a reason",
            where="reason",
            todo="Trigger it again with accept and a reason: whoever reads it in a year wasn't there.",
        )
    if not is_nameable(accept.by):
        raise NotApproved(
            "nobody can be named who accepts this",
            where="the user who triggered this run",
            found=repr(accept.by),
            todo="Trigger it as a user who has logged in; an Airflow where everybody is admin can't accept drift.",
        )


def _answers(report: DriftReport, request: DriftRequest, base: Baseline | None, policy: Policy) -> bool:
    """Whether the report is what the request would come to again."""
    if request.accept is not None:
        return report.verdict is Verdict.ACCEPTED and report.run == request.run
    if report.policy_hash != policy.hash or base is None:
        return False
    first = report.verdict is Verdict.FIRST and report.next_baseline == base.number
    return first or (report.verdict is not Verdict.ACCEPTED and report.baseline == base.number)


def _scope(audit: Audit, base: Baseline | None, *, accepts: bool) -> ComparisonScope:
    chosen = audit.plan.options.databases
    # What was asked for, and not where keys were: a database that is empty tonight was read all the same.
    scanned = None if chosen == "all" else tuple(sorted(chosen))
    if audit.completeness.left_out:
        scanned = tuple(sorted({split.db for split in audit.plan.splits}))
    return ComparisonScope(
        audit_began_ms=int(dt.datetime.fromisoformat(audit.plan.started_at).timestamp() * 1000),
        scanned=scanned,
        covered=() if base is None else base.databases,
        is_first=base is None,
        accepts_all=accepts,
        # What slots on the move, or a scan that lost some, didn't meet may still be there: it would come back as new.
        seed=audit.plan.seed,
        next_seed=audit.plan.next_seed
        if accepts and not _beyond(None if base is None else base.databases, scanned)
        else None,
        may_leave=met_every_key(audit),
    )


@dataclass(frozen=True, slots=True)
class _Journal:
    """The journal of one plan: its objects, the parts that had come to their end when the audit began, and about how many keys it has."""

    plan: PlanDocuments
    names: tuple[JournalName, ...]
    done: frozenset[str]
    keys: int


def _journals(audit: Audit, tools: DriftTools) -> tuple[_Journal, ...]:
    cluster = tools.policy.cluster
    began = dt.datetime.fromisoformat(audit.plan.started_at)
    journals = []
    for plan_id in tools.documents.names(f"{cluster}/journals"):
        plan = PlanDocuments(tools.documents, cluster, plan_id)
        parts = plan.parts()
        done = {
            each.part
            for each in parts
            if each.outcome is Outcome.DONE and dt.datetime.fromisoformat(each.ended_at) <= began
        }
        names = tuple(plan.journal_names())
        journals.append(_Journal(plan, names, frozenset(done), sum(each.changed for each in parts)))
    return tuple(journals)


@dataclass(slots=True)
class _Check:
    request: DriftRequest
    tools: DriftTools
    documents: DriftDocuments
    folder: AuditFolder
    audit: Audit
    base: Baseline | None
    scope: ComparisonScope
    journals: tuple[_Journal, ...]
    earlier: Sequence[EarlierAudit]
    comparison: Comparison

    def report(self) -> DriftReport:
        self._fill()
        self.comparison.compare()
        self._refuse_another_data_set()
        tools, governed = self.tools, Governed(self.audit, self.tools.policy)
        new, names = named_and_governed(
            self.comparison.new_keys(), self.audit, self.folder, governed, tools.names_in_report
        )
        following = self._next_baseline()
        before = self._report_before()
        turnovers = self._turnovers()
        findings = self._findings(new, governed, names, before, turnovers)
        report = self._report(findings, sum(each.keys for each in new), following)
        report = replace(report, churn=churn_levels(new, turnovers, before))
        self.documents.write_report(report, self.tools.page(report))
        return report

    def _refuse_another_data_set(self) -> None:
        """Raise `OtherServer` where most of the baseline is gone and the servers aren't those that it was made of: an empty or older copy
        in their place isn't the end of a leak. Somebody may accept it.
        """
        base = self.base
        if base is None or self.request.accept is not None or 2 * self.comparison.left_keys <= base.keys:
            return
        folder = AuditFolder(self.tools.documents, self.tools.policy.cluster, base.audit_id)
        if not folder.has("plan.json"):
            return
        then = folder.plan()
        # Keys that were given TTLs leave the baseline, too, but they are there until these end.
        if 2 * self.audit.keys > sum(split.keys for split in then.splits):
            return
        if not (strangers := _strangers(then.servers, self.audit)):
            return
        raise OtherServer(
            "most keys of the baseline are gone, and another data set answers than the one that it was made of",
            where=self.folder.path,
            found=f"{self.comparison.left_keys:,} of {base.keys:,} keys gone; {', '.join(strangers)}",
            todo="The server was replaced, restarted without its data, or filled anew. If it stays so, accept it: trigger this with accept "
            "and a reason.",
        )

    def _fill(self) -> None:
        for number, path in enumerate(self.audit.fingerprints):
            self.comparison.add_today(number, self.folder.read(path.removeprefix(f"{self.folder.path}/")))
        base = self.base
        if base is None:
            return
        self._fill_earlier()
        for document in self.documents.fingerprints(base):
            self.comparison.add_baseline(document)
        accepted = attempt_of(int(dt.datetime.fromisoformat(base.accepted_at).timestamp() * 1000), "")
        # By the names of the objects, which begin with when their attempts began: the later one knows better.
        objects = sorted(
            ((name, number) for number, journal in enumerate(self.journals) for name in journal.names),
        )
        for turn, (name, number) in enumerate(objects):
            journal = self.journals[number]
            self.comparison.add_journal(
                journal.plan.journal(name),
                turn,
                undoes=name.undoes,
                is_complete=name.part in journal.done,
                is_later=name.attempt > accepted,
            )
        if any(name.undoes for name, _ in objects) and base.accepted != base.number:
            for document in self.documents.fingerprints(self.documents.baseline(base.accepted)):
                self.comparison.add_accepted(document)

    def _fill_earlier(self) -> None:
        try:
            for back, each in enumerate(self.earlier, start=1):
                for path in each.audit.fingerprints:
                    document = each.folder.read(path.removeprefix(f"{each.folder.path}/"))
                    self.comparison.add_earlier(document, back)
        except RedisTtlError as error:
            # Nothing is set aside then; what was added already is asked of nobody.
            self.earlier = []
            self.tools.warn(f"what came and went since the audit before can't be told: {error}")

    def _next_baseline(self) -> Baseline:
        """The baseline that holds from now on; written where it is another one than before."""
        comparison, base, accept = self.comparison, self.base, self.request.accept
        newest = next(self.documents.baselines(), None)
        if accept is not None and newest is not None and newest.run == self.request.run:
            return newest
        if base is not None and accept is None:
            if newest is not None and newest != base and newest.audit_id >= self.audit.plan.audit_id:
                return newest  # an earlier attempt has written it, or a later audit was checked before this one
            if not comparison.left_keys and not comparison.joined_keys:
                return base
        number = 1 if newest is None else newest.number + 1
        ranges = self.documents.write_ranges(number, comparison.ranges())
        kind = BaselineKind.FIRST if base is None else BaselineKind.STANDING
        kind = kind if accept is None else BaselineKind.ACCEPTED
        stands = base is not None and accept is None
        made = Baseline(
            number=number,
            cluster=self.tools.policy.cluster,
            kind=kind,
            audit_id=self.audit.plan.audit_id,
            at=self.tools.now().isoformat(),
            keys=sum(each.keys for each in ranges),
            databases=_both(self.scope.covered, self.scope.scanned),
            ranges=ranges,
            accepted=base.accepted if base is not None and stands else number,
            accepted_at=base.accepted_at if base is not None and stands else self.audit.plan.started_at,
            previous=None if base is None else base.number,
            by=base.by if base is not None and stands else None if accept is None else accept.by,
            why=base.why if base is not None and stands else None if accept is None else accept.why.strip(),
            run=None if accept is None else self.request.run,
            seed=self.scope.seed if self.scope.next_seed is None else self.scope.next_seed,
        )
        self.documents.write_baseline(made)
        return made

    def _report_before(self) -> DriftReport | None:
        before = self.documents.report_before(self.audit.plan.audit_id)
        return None if before is None or self.base is None else _comparable(before, self.base)

    def _turnovers(self) -> list[Turnover] | None:
        """What became of what was new in the audit before; None where none can be compared."""
        if self.base is None or not self.earlier:
            return None
        last = self.earlier[0]
        governed = Governed(last.audit, self.tools.policy)
        rows, _ = named_and_governed(
            self.comparison.turnovers(), last.audit, last.folder, governed, self.tools.names_in_report
        )
        return rows

    def _findings(
        self,
        new: Sequence[NewKeys],
        governed: Governed,
        names: Mapping[str, str],
        before: DriftReport | None,
        turnovers: Sequence[Turnover] | None,
    ) -> tuple[DriftFinding, ...]:
        if self.base is None:
            return ()
        findings = judge(
            self.tools.policy,
            new,
            governed.patterns,
            audited_at=dt.datetime.fromisoformat(self.audit.finished_at),
            accepted_at=dt.datetime.fromisoformat(self.base.accepted_at),
            before=before,
            turnovers=turnovers,
        )
        if not new:
            return tuple(findings)
        NewKeyNames(self.audit, self.folder, self.comparison, self.tools.redis, self.tools.warn).look()
        found: dict[tuple[int, str, bool], list[bytes]] = {}
        for (db, pattern, wiped), keys in self.comparison.examples().items():
            found.setdefault((db, names.get(pattern, pattern), wiped), []).extend(keys)
        return tuple(_with_examples(each, found) for each in findings)

    def _report(self, findings: tuple[DriftFinding, ...], new_keys: int, following: Baseline) -> DriftReport:
        accept, base, comparison = self.request.accept, self.base, self.comparison
        held = following if base is None or accept is not None else base
        return DriftReport(
            cluster=self.tools.policy.cluster,
            audit_id=self.audit.plan.audit_id,
            audited_at=self.audit.finished_at,
            checked_at=self.tools.now().isoformat(),
            run=self.request.run,
            policy_hash=self.tools.policy.hash,
            verdict=_verdict(base, findings, new_keys, accepts=accept is not None),
            baseline=None if base is None else base.number,
            accepted=held.accepted,
            accepted_at=held.accepted_at,
            accepted_by=held.by,
            next_baseline=following.number,
            no_ttl_keys=comparison.no_ttl_keys,
            baseline_keys=0 if base is None else base.keys,
            new_keys=new_keys,
            left_keys=comparison.left_keys,
            findings=findings,
            notes=self._notes(),
            by=None if accept is None else accept.by,
            why=None if accept is None else accept.why.strip(),
            previous=self.earlier[0].audit.plan.audit_id if self.earlier else None,
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if not self.scope.may_leave:
            notes.append(
                "the audit may not have met every key (slots moved, sample keys stayed unseen, or the data set was exchanged meanwhile), "
                "so none left the baseline"
            )
        if self.base is not None and (joined := _beyond(self.scope.scanned, self.base.databases)):
            notes.append(f"the first audit that read {joined}: their keys joined the baseline")
        if self.base is not None and (unread := _beyond(self.base.databases, self.scope.scanned)):
            notes.append(f"the audit didn't read {unread}: their keys stay in the baseline as they are")
        if self.audit.plan.policy_hash != self.tools.policy.hash:
            notes.append("the policy was changed after the audit began; keys are judged by today's")
        return tuple(notes)


def _strangers(then: Sequence[ServerProfile], audit: Audit) -> list[str]:
    """The servers of the audit that don't continue any of those before by what they say of themselves; none where they say nothing."""
    identities = [NodeIdentity(each.address, each.run_id, each.lineage) for each in then if each.lineage or each.run_id]
    return [
        f"{now.address} with {now.lineage or now.run_id}"
        for now in audit.plan.servers
        if identities
        and (now.lineage or now.run_id)
        and not any(
            each.is_continued_by(run_id=now.run_id, lineage=now.lineage, former_lineage=now.former_lineage)
            for each in identities
        )
    ]


def _both(some: tuple[int, ...] | None, others: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if some is None or others is None else tuple(sorted({*some, *others}))


def _beyond(some: tuple[int, ...] | None, others: tuple[int, ...] | None) -> str:
    """Which of some databases aren't among the others, in words; empty where there are none."""
    if others is None:
        return ""
    if some is None:
        return f"databases other than {', '.join(map(str, others))}"
    return ", ".join(f"database {db}" for db in some if db not in others)


def _comparable(before: DriftReport, base: Baseline) -> DriftReport | None:
    """What an earlier report says of findings that are still open."""
    if before.verdict is Verdict.ACCEPTED or before.accepted != base.accepted:
        overdue = tuple(each for each in before.findings if each.kind is DriftKind.OVERDUE)
        return replace(before, findings=overdue, churn=()) if overdue or before.accepted == base.accepted else None
    return before


def _with_examples(finding: DriftFinding, found: Mapping[tuple[int, str, bool], Sequence[bytes]]) -> DriftFinding:
    if finding.kind is DriftKind.OVERDUE:
        return finding
    keys = sorted(found.get((finding.db, finding.pattern, finding.kind is DriftKind.TTL_WIPED), ()))
    return finding.with_examples(tuple(map(key_text, keys)))


def _verdict(base: Baseline | None, findings: Sequence[DriftFinding], new_keys: int, *, accepts: bool) -> Verdict:
    if accepts:
        return Verdict.ACCEPTED
    if base is None:
        return Verdict.FIRST
    if any(finding.fails for finding in findings):
        return Verdict.DRIFT
    if any(finding.churn_keys for finding in findings):
        return Verdict.CHURN
    return Verdict.TOLERATED if new_keys else Verdict.CLEAN
