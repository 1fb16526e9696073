"""Audits and checks one deployment night after night, in this process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from redis_ttl.adapters.columns.key_comparison import KeyComparison
from redis_ttl.adapters.counting.pattern_merger import names_in_report, read_patterns
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.drift.drift import DriftReport
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.messages.pages.drift_page import drift_page
from redis_ttl.usecases.drift.check_drift import check_drift
from redis_ttl.usecases.drift.drift_request import Acceptance, DriftRequest, DriftTools
from redis_ttl.usecases.store.drift import DriftDocuments
from tests.usecases.auditing import FAST, Auditing


@dataclass
class Nights:
    """One cluster, its store, and the policy of tonight."""

    url: str
    store: Path
    policy: Policy
    options: AuditOptions = FAST
    warnings: list[str] = field(default_factory=list)
    cluster: str = "test"
    first: int = 0
    """What audits are numbered from: beyond those that the store has."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def audit(self) -> Auditing:
        """Audit once; the audit."""
        number = next(self._numbers)
        audit = Auditing(
            self.url, self.store, self.options, self.policy, f"{self.first or 'audit-'}{number:03d}", self.cluster
        )
        audit.run()
        return audit

    def check(self, audit: Auditing, accept: Acceptance | None = None, run: str | None = None) -> DriftReport:
        """Check an audit."""
        request = DriftRequest(audit.audit_id, run or f"run-{next(self._runs)}", accept)
        return check_drift(request, self.tools(audit))

    def night(self) -> DriftReport:
        """Audit, and check."""
        return self.check(self.audit())

    def accept(self, by: str | None = "bob", why: str = "agreed in SRE-7") -> DriftReport:
        """Audit, and accept what is there."""
        return self.check(self.audit(), Acceptance(by, why))

    def change_policy(self, **changes: object) -> None:
        """From now on the policy is another one."""
        self.policy = replace(self.policy, **changes)  # type: ignore[arg-type]

    @property
    def documents(self) -> DriftDocuments:
        """What the checks keep."""
        return DriftDocuments(Store(self.store), self.cluster)

    def tools(self, audit: Auditing) -> DriftTools:
        """What checking needs."""
        return DriftTools(
            documents=Store(self.store),
            policy=self.policy,
            new_comparison=KeyComparison,
            read_patterns=read_patterns,
            names_in_report=names_in_report,
            redis=audit.redis,
            now=SystemClock().now,
            warn=self.warnings.append,
            page=drift_page,
        )


def found(report: DriftReport) -> dict[tuple[str, str], int]:
    """New keys by kind and pattern."""
    return {(each.kind.value, each.pattern): each.new_keys for each in report.findings}
