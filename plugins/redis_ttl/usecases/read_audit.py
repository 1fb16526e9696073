"""Reads a finished audit back from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.pattern_statistics import PatternStatistics
    from redis_ttl.usecases.documents import AuditFolder


def read_audit(folder: AuditFolder, read_patterns: Callable[[bytes], Sequence[PatternStatistics]]) -> Audit:
    """The audit that :func:`redis_ttl.usecases.merge_audit.merge_audit` wrote into this folder."""
    data = folder.read_json("audit.json")
    patterns = folder.read(data["patterns_document"].removeprefix(f"{folder.path}/"))
    return Audit.from_json(data, folder.plan(), read_patterns(patterns))
