"""What the modules that think a plan through hand on: what would change, and one warning about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.plan.caution import Caution
    from redis_ttl.domain.policy.actions import Action


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning: its English sentence, without a full stop, and its figures."""

    text: str
    caution: Caution


@dataclass(frozen=True, slots=True)
class RowChanges:
    """A row of the audit, with how many of its keys the plan does what to."""

    row: PatternStatistics
    by_action: Mapping[Action, int]

    @property
    def keys(self) -> int:
        """How many of its keys get another expiry."""
        return sum(self.by_action.values())

    @property
    def first_ttls(self) -> int:
        """How many of them had no TTL."""
        return sum(keys for action, keys in self.by_action.items() if not action.spec.replaces_expiry)
