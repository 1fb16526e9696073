"""Reads a finished audit back from the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.usecases.store.audits import AuditFolder


def read_audit(folder: AuditFolder, read_patterns: Callable[[bytes], Sequence[PatternStatistics]]) -> Audit:
    """The audit that :func:`redis_ttl.usecases.audit.merge_audit.merge_audit` wrote into this folder."""
    plan = folder.plan()
    # The document first, so that one of a newer version is refused before its patterns are looked for.
    audit = folder.audit(plan)
    return replace(audit, patterns=tuple(read_patterns(folder.table(audit.patterns_document))))
