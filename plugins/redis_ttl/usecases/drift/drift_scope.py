"""Which databases an audit read, and what that lets a comparison with the baseline say."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from redis_ttl.domain.drift.drift import (
    Baseline,
    ComparisonScope,
)
from redis_ttl.usecases.drift.earlier_audits import met_every_key

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import Audit


def scope_of(audit: Audit, base: Baseline | None, *, accepts: bool) -> ComparisonScope:
    """What is compared: databases, which keys may leave the baseline, and what the next one is hashed with."""
    chosen = audit.plan.options.databases
    # What was asked for, and not where keys were: a database that is empty tonight was read all the same.
    scanned = None if chosen == "all" else tuple(sorted(chosen))
    if audit.completeness.left_out:
        scanned = tuple(sorted({split.db for split in audit.plan.splits}))
    return ComparisonScope(
        audit_began_ms=int(dt.datetime.fromisoformat(audit.plan.started_at).timestamp() * 1000),
        scanned=scanned,
        covered=() if base is None else base.databases,
        is_first=base is None,
        accepts_all=accepts,
        # What slots on the move, or a scan that lost some, didn't meet may still be there: it would come back as new.
        seed=audit.plan.seed,
        next_seed=audit.plan.next_seed
        if accepts and not _beyond(None if base is None else base.databases, scanned)
        else None,
        may_leave=met_every_key(audit),
    )


def both(some: tuple[int, ...] | None, others: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The databases of both; None is all."""
    return None if some is None or others is None else tuple(sorted({*some, *others}))


def _beyond(some: tuple[int, ...] | None, others: tuple[int, ...] | None) -> str:
    """Which of some databases aren't among the others, in words; empty where there are none."""
    if others is None:
        return ""
    if some is None:
        return f"databases other than {', '.join(map(str, others))}"
    return ", ".join(f"database {db}" for db in some if db not in others)


def notes_on(scope: ComparisonScope, base: Baseline | None, *, is_of_this_policy: bool) -> tuple[str, ...]:
    """What whoever reads the report must know of how far it goes."""
    notes = []
    if not scope.may_leave:
        notes.append(
            "the audit may not have met every key (slots moved, sample keys stayed unseen, or the data set was exchanged meanwhile), "
            "so none left the baseline"
        )
    if base is not None and (joined := _beyond(scope.scanned, base.databases)):
        notes.append(f"the first audit that read {joined}: their keys joined the baseline")
    if base is not None and (unread := _beyond(base.databases, scope.scanned)):
        notes.append(f"the audit didn't read {unread}: their keys stay in the baseline as they are")
    if not is_of_this_policy:
        notes.append("the policy was changed after the audit began; keys are judged by today's")
    return tuple(notes)
