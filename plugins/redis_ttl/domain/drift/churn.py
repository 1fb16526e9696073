"""New keys without TTL that come and go: how many of them pile up, and how many are replaced by others from audit to audit.

A key that wasn't there in the audit before can't be judged by itself: it may stay, or be gone tomorrow. What became of the new
keys that the audits before met tells which of the two to expect. What piles up is never set aside: a key that was new in the
audit before and is still there counts, unless as many that were of its age have gone since. Neither is growth: the keys that come
and go may be a quarter more than they have been, which a leak that renames its keys soon exceeds.
Knows nothing of fingerprints, policies or documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from redis_ttl.domain.audit.pattern_statistics import Governance

#: Keys that come and go may be so many times as many as they have been.
_GROWTH_TOLERATED: Final = 1.25


@dataclass(frozen=True, slots=True)
class Turnover:
    """What became of the keys of one pattern that were new in the audit before: ``seen`` were, ``gone`` of them aren't there any more,
    and of those ``gone_stayed`` had been there in the audit before that, too. Keys that a remediation gave a TTL aren't among them.
    """

    db: int
    pattern: str
    governance: Governance
    governed_by: str | None
    seen: int
    gone: int
    gone_stayed: int = 0


@document_part
@dataclass(frozen=True, slots=True)
class ChurnLevel:
    """How many keys of a pattern come and go at a time."""

    db: int
    pattern: str
    keys: int


@dataclass(frozen=True, slots=True)
class Coming:
    """New keys of one pattern: ``new`` in all, of which ``stayed`` were new in the audit before, and ``old`` in the one before that,
    too.
    """

    new: int
    stayed: int = 0
    old: int = 0


def churn_of(coming: Coming, *, seen: int, gone: int, gone_stayed: int, level: int | None) -> tuple[int, int | None]:
    """How many of the new keys come and go, and the level of that from now on; ``level`` is what it has been, None where the pattern
    isn't known for it.

    >>> churn_of(Coming(3_200, 200), seen=3_200, gone=3_000, gone_stayed=0, level=3_000)
    (3000, 3200)
    """
    turns_over = 2 * gone >= seen if seen else level is not None
    if not turns_over:
        return 0, level
    if level is None:
        level = seen
    elif coming.new <= seen:
        # It was more before, and hasn't grown since: another weekday, not a leak.
        level = max(level, seen)
    piled_up = coming.stayed - min(coming.stayed - coming.old, gone_stayed)
    grown = coming.new - int(level * _GROWTH_TOLERATED)
    return coming.new - max(piled_up, grown, 0), level


def fitting_tolerance(keys: int) -> int:
    """A number of keys that lets so many pass, and a quarter more, in two digits.

    >>> fitting_tolerance(3_000)
    3800
    """
    wanted = max(1, int(keys * _GROWTH_TOLERATED))
    step = int(10 ** max(0, len(str(wanted)) - 2))
    return -(-wanted // step) * step
