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
    ComparisonScope,
    DriftFinding,
    DriftKind,
    DriftReport,
    NewKeys,
    Verdict,
)
from redis_ttl.domain.drift.judging import churn_levels, judge
from redis_ttl.domain.errors import BadInput, RedisTtlError
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.rollback.journal import attempt_of
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.drift.another_data_set import refuse_another_data_set
from redis_ttl.usecases.drift.drift_governance import Governed, named_and_governed
from redis_ttl.usecases.drift.drift_journals import DriftJournal, drift_journals
from redis_ttl.usecases.drift.drift_names import NewKeyNames
from redis_ttl.usecases.drift.drift_request import DriftRequest, DriftTools, check_acceptance
from redis_ttl.usecases.drift.drift_scope import notes_on, scope_of
from redis_ttl.usecases.drift.earlier_audits import EarlierAudit, earlier_audits
from redis_ttl.usecases.drift.next_baseline import next_baseline
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.drift import DriftDocuments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.drift.churn import Turnover
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.drift.drift_ports import Comparison


def check_drift(request: DriftRequest, tools: DriftTools) -> DriftReport:
    """The report, which is in the store when this returns, whatever its verdict.

    Raises :class:`NotApproved` for an acceptance without a reason or by nobody who can be named, and :class:`BadInput` for an audit that
    isn't there.
    """
    accept = request.accept
    if accept is not None:
        check_acceptance(accept)
    documents = DriftDocuments(tools.documents, tools.policy.cluster)
    base = documents.holding(request.audit_id, without_run=request.run if accept else None)
    for earlier in reversed(documents.reports_about(request.audit_id)):
        if _answers(earlier, request, base, tools.policy):
            return earlier
    folder = AuditFolder(tools.documents, tools.policy.cluster, request.audit_id)
    if not folder.is_finished:
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
    scope = scope_of(audit, base, accepts=accept is not None)
    journals = () if base is None else drift_journals(audit, tools)
    before = [] if base is None else earlier_audits(audit, tools.documents, tools.read_patterns)
    about = audit.no_ttl_keys + (0 if base is None else base.keys) + sum(each.keys for each in journals)
    about += sum(each.audit.no_ttl_keys for each in before)
    with tools.new_comparison(scope, about) as comparison:
        return _Check(request, tools, documents, folder, audit, base, scope, journals, before, comparison).report()


def _answers(report: DriftReport, request: DriftRequest, base: Baseline | None, policy: Policy) -> bool:
    """Whether the report is what the request would come to again."""
    if request.accept is not None:
        return report.verdict is Verdict.ACCEPTED and report.run == request.run
    if report.policy_hash != policy.hash or base is None:
        return False
    first = report.verdict is Verdict.FIRST and report.next_baseline == base.number
    return first or (report.verdict is not Verdict.ACCEPTED and report.baseline == base.number)


@dataclass(slots=True)
class _Check:
    request: DriftRequest
    tools: DriftTools
    documents: DriftDocuments
    folder: AuditFolder
    audit: Audit
    base: Baseline | None
    scope: ComparisonScope
    journals: tuple[DriftJournal, ...]
    earlier: Sequence[EarlierAudit]
    comparison: Comparison

    def report(self) -> DriftReport:
        self._fill()
        self.comparison.compare()
        if self.base is not None and self.request.accept is None:
            refuse_another_data_set(self.base, self.audit, self.comparison.left_keys, self.tools.documents)
        tools, governed = self.tools, Governed(self.audit, self.tools.policy)
        new, names = named_and_governed(
            self.comparison.new_keys(), self.audit, self.folder, governed, tools.names_in_report
        )
        following = next_baseline(
            self.base, audit=self.audit, scope=self.scope, comparison=self.comparison, request=self.request, tools=tools
        )
        before = self._report_before()
        turnovers = self._turnovers()
        findings = self._findings(new, governed, names, before, turnovers)
        report = self._report(findings, sum(each.keys for each in new), following)
        report = replace(report, churn=churn_levels(new, turnovers, before))
        self.documents.write_report(report, self.tools.page(report))
        return report

    def _fill(self) -> None:
        for number, path in enumerate(self.audit.fingerprints):
            self.comparison.add_today(number, self.folder.table(path))
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
                    document = each.folder.table(path)
                    self.comparison.add_earlier(document, back)
        except RedisTtlError as error:
            # Nothing is set aside then; what was added already is asked of nobody.
            self.earlier = []
            self.tools.warn(f"what came and went since the audit before can't be told: {error}")

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
            notes=notes_on(self.scope, base, is_of_this_policy=self.audit.plan.policy_hash == self.tools.policy.hash),
            by=None if accept is None else accept.by,
            why=None if accept is None else accept.why.strip(),
            previous=self.earlier[0].audit.plan.audit_id if self.earlier else None,
        )


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
