"""Where baselines and reports about drift lie in the store.

``<cluster>/baselines/<number>.json`` with its fingerprints beside it, and ``<cluster>/drift/<audit_id>.json``. A
baseline's JSON is written last and makes it count; its name is its number, so that of two checks which make one at
the same time only one succeeds.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.drift.drift import Baseline, BaselineKind, DriftReport, FingerprintRange
from redis_ttl.domain.errors import AlreadyWritten
from redis_ttl.domain.schema import read_document
from redis_ttl.usecases.store.audits import AuditFolder, finished_audits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis_ttl.usecases.ports import Documents

_REPORT: Final = re.compile(r"(?P<audit>.+?)(?:\.(?P<again>\d{4}))?\.json")


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
        self._baselines = f"{path_part(cluster)}/baselines"
        self._reports = f"{cluster}/drift"

    def baselines(self) -> Iterator[Baseline]:
        """Every baseline, the newest first."""
        names = self._documents.names(self._baselines)
        for number in sorted((int(name[:-5]) for name in names if re.fullmatch(r"\d+\.json", name)), reverse=True):
            yield self.baseline(number)

    def baseline(self, number: int) -> Baseline:
        """The baseline of that number."""
        path = f"{self._baselines}/{number:08d}.json"
        return read_document(self._documents.read(path), Baseline.from_json, where=path)

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
            path = f"{self._baselines}/{number:08d}-{token}-{len(written):04d}.parquet"
            self._documents.write(path, data)
            written.append(FingerprintRange(each.first, each.last, each.keys, path))
        return tuple(written)

    def write_baseline(self, baseline: Baseline) -> None:
        """Make a baseline count."""
        self._write_json(f"{self._baselines}/{baseline.number:08d}.json", baseline.to_json())

    def reports_about(self, audit_id: str) -> list[DriftReport]:
        """What was reported about one audit, the earliest first."""
        return [self._report(name) for audit, name in self._report_names() if audit == audit_id]

    def last_report(self) -> DriftReport | None:
        """The last report about the newest audit that was checked."""
        names = self._report_names()
        return self._report(names[-1][1]) if names else None

    def report_before(self, audit_id: str) -> DriftReport | None:
        """The last report about an earlier audit."""
        names = [name for audit, name in self._report_names() if audit < audit_id]
        return self._report(names[-1]) if names else None

    def page_of(self, report: DriftReport) -> str:
        """The path of a report's page."""
        names = [name for audit, name in self._report_names() if audit == report.audit_id]
        found = next((name for name in reversed(names) if self._report(name) == report), names[-1])
        return f"{self._reports}/{found.removesuffix('.json')}.md"

    def write_report(self, report: DriftReport, page: str) -> None:
        """Keep a report and its page."""
        number = len([audit for audit, _ in self._report_names() if audit == report.audit_id]) + 1
        while True:
            stem = f"{self._reports}/{report.audit_id}" + (f".{number:04d}" if number > 1 else "")
            try:
                self._documents.write(f"{stem}.md", page.encode())
            except AlreadyWritten:  # by another check of this audit, which may have been killed before its report
                number += 1
                continue
            self._write_json(f"{stem}.json", report.to_json())
            return

    def _report_names(self) -> list[tuple[str, str]]:
        """Audits and names of reports, in their order."""
        matches = filter(None, map(_REPORT.fullmatch, self._documents.names(self._reports)))
        found = sorted((match["audit"], match["again"] or "", match[0]) for match in matches)
        return [(audit, name) for audit, _, name in found]

    def _report(self, name: str) -> DriftReport:
        path = f"{self._reports}/{name}"
        return read_document(self._documents.read(path), DriftReport.from_json, where=path)

    def _write_json(self, path: str, data: Any) -> None:
        self._documents.write(path, json.dumps(data, ensure_ascii=False, indent=1).encode())
