"""What today's policy says of an audit's patterns, and what they are called in its report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.drift.churn import Turnover
from redis_ttl.domain.drift.drift import NewKeys, PatternKeys
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.policy.policy import Exemption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.store.audits import AuditFolder

_Row = TypeVar("_Row", NewKeys, Turnover)


class Governed:
    """What today's policy says of the audit's patterns, where the audit was made under another one."""

    def __init__(self, audit: Audit, policy: Policy) -> None:
        self._policy = policy
        then = (audit.plan.exemptions, tuple(rule.pattern for rule in audit.plan.rules))
        today = (
            tuple(each.pattern.text for each in policy.exemptions),
            tuple(rule.pattern.text for rule in policy.rules),
        )
        self._same = then == today
        self._examples: dict[tuple[int, str, Governance, str | None], tuple[bytes, ...]] = {
            (row.db, row.pattern, row.governance, row.governed_by): row.examples for row in audit.patterns
        }
        self.patterns = [
            PatternKeys(
                row.db,
                row.pattern,
                *self._judged(row.db, row.pattern, row.governance, row.governed_by),
                row.keys,
                row.no_ttl_keys,
                row.ending_keys or 0,
            )
            for row in audit.patterns
        ]

    def now(self, row: _Row) -> _Row:
        """The same keys, governed as of today."""
        governance, governed_by = self._judged(row.db, row.pattern, row.governance, row.governed_by)
        return replace(row, governance=governance, governed_by=governed_by)

    def _judged(
        self, db: int, pattern: str, governance: Governance, governed_by: str | None
    ) -> tuple[Governance, str | None]:
        """By the names of the group's examples, which today's policy is asked about; they were all governed alike."""
        if self._same:
            return governance, governed_by
        for key in self._examples.get((db, pattern, governance, governed_by), ()):
            entry = self._policy.governs(key_text(key))
            if entry is None:
                return Governance.NONE, None
            kind = Governance.EXEMPT if isinstance(entry, Exemption) else Governance.RULE
            return kind, entry.pattern.text
        return governance, governed_by


def named_and_governed(
    rows: Sequence[_Row],
    audit: Audit,
    folder: AuditFolder,
    governed: Governed,
    names_in_report: Callable[[Iterable[bytes]], Mapping[str, str]],
) -> tuple[list[_Row], Mapping[str, str]]:
    """The rows under the names of the audit's report, governed as of today; and what patterns of its shards are called there, which is
    asked only where one isn't there under its own name.
    """
    reported = {row.pattern for row in audit.patterns}
    names: Mapping[str, str] = {}
    if not all(each.pattern in reported for each in rows):
        names = names_in_report(folder.counts_beside(path) for path in audit.fingerprints)
    return [governed.now(replace(each, pattern=names.get(each.pattern, each.pattern))) for each in rows], names
