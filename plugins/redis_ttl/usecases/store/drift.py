"""Baselines and reports about drift.

A baseline's JSON is written last and makes it count; its name is its number, so that of two checks which make one at
the same time only one succeeds.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from redis_ttl.domain.drift.drift import Baseline, BaselineKind, DriftReport, FingerprintRange
from redis_ttl.domain.errors import AlreadyWritten
from redis_ttl.usecases.store.audits import AuditFolder, finished_audits
from redis_ttl.usecases.store.catalogue import ClusterPaths, baseline_numbers_in, reports_in
from redis_ttl.usecases.store.json_documents import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis_ttl.usecases.ports import Documents


def seed_of_next_audit(documents: Documents, cluster: str) -> int:
    """What the fingerprints of the next audit are hashed with: as those of the baseline, or else of the latest audit, so that
    the two can be compared; a secret of 64 random bits for a cluster that has neither, or whose audits had none.
    """
    newest = next(DriftDocuments(documents, cluster).baselines(), None)
    if newest is not None:
        return newest.seed
    latest = next(iter(finished_audits(documents, cluster)), None)
    seed = 0 if latest is None else AuditFolder(documents, cluster, latest).plan().seed
    return seed or new_seed()


def new_seed() -> int:
    """A secret that nobody can foretell, and that isn't 0, which means none."""
    return secrets.randbits(64) or 1


class DriftDocuments:
    """The baselines and the reports of one cluster."""

    def __init__(self, documents: Documents, cluster: str) -> None:
        self._documents = documents
        self._paths = ClusterPaths(cluster).drift

    def baselines(self) -> Iterator[Baseline]:
        """Every baseline, the newest first."""
        for number in baseline_numbers_in(self._documents.names(self._paths.baselines)):
            yield self.baseline(number)

    def baseline(self, number: int) -> Baseline:
        """The baseline of that number."""
        return read_record(self._documents, self._paths.baseline(number), Baseline)

    def holding(self, audit_id: str, *, without_run: str | None = None) -> Baseline | None:
        """The newest baseline that an audit is compared with: one of an earlier audit, or one that somebody accepted of this one.

        What a check of the same audit left standing isn't among them, so that checking twice gives the same result;
        neither is what the run ``without_run`` accepted.
        """
        for each in self.baselines():
            earlier = each.audit_id < audit_id or (each.audit_id == audit_id and each.kind is not BaselineKind.STANDING)
            if earlier and (without_run is None or each.run != without_run):
                return each
        return None

    def fingerprints(self, baseline: Baseline) -> Iterator[bytes]:
        """The documents of a baseline."""
        for each in baseline.ranges:
            yield self._documents.read(each.path)

    def write_ranges(
        self, number: int, ranges: Iterable[tuple[FingerprintRange, bytes]]
    ) -> tuple[FingerprintRange, ...]:
        """Write the fingerprints of a baseline that is about to be made; the ranges with their paths."""
        token = secrets.token_hex(3)
        written: list[FingerprintRange] = []
        for each, data in ranges:
            path = self._paths.baseline_range(number, token, len(written))
            self._documents.write(path, data)
            written.append(FingerprintRange(each.first, each.last, each.keys, path))
        return tuple(written)

    def write_baseline(self, baseline: Baseline) -> None:
        """Make a baseline count."""
        write_record(self._documents, self._paths.baseline(baseline.number), baseline)

    def reports_about(self, audit_id: str) -> list[DriftReport]:
        """What was reported about one audit, the earliest first."""
        return [self._report(audit, check) for audit, check in self._reports() if audit == audit_id]

    def last_report(self) -> DriftReport | None:
        """The last report about the newest audit that was checked."""
        known = self._reports()
        return self._report(*known[-1]) if known else None

    def report_before(self, audit_id: str) -> DriftReport | None:
        """The last report about an earlier audit."""
        known = [each for each in self._reports() if each[0] < audit_id]
        return self._report(*known[-1]) if known else None

    def page_of(self, report: DriftReport) -> str:
        """The path of a report's page."""
        known = [each for each in self._reports() if each[0] == report.audit_id]
        return self._paths.page(*next((each for each in reversed(known) if self._report(*each) == report), known[-1]))

    def write_report(self, report: DriftReport, page: str) -> None:
        """Keep a report and its page."""
        check = len([audit for audit, _ in self._reports() if audit == report.audit_id]) + 1
        while True:
            try:
                self._documents.write(self._paths.page(report.audit_id, check), page.encode())
            except AlreadyWritten:  # by another check of this audit, which may have been killed before its report
                check += 1
                continue
            write_record(self._documents, self._paths.report(report.audit_id, check), report)
            return

    def _reports(self) -> list[tuple[str, int]]:
        """The reports in their order: the audit, and which check of it."""
        return reports_in(self._documents.names(self._paths.reports))

    def _report(self, audit_id: str, check: int) -> DriftReport:
        return read_record(self._documents, self._paths.report(audit_id, check), DriftReport)
