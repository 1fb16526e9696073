"""One warning of a plan, as the modules that think it through hand it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.plan.caution import Caution


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning: its English sentence, without a full stop, and its figures."""

    text: str
    caution: Caution


Changes = tuple["PatternStatistics", int, int]
"""A row of the audit with how many of its keys get a TTL, and how many a shorter one."""
