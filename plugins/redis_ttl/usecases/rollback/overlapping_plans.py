"""Several plans over the same keys: which has to be taken back first, and what lies beneath one that was taken back out of turn.

A later plan that changes a TTL finds the earlier plan's instant on the key, and journals it as what was there before. Taken
back in the order in which they were written, the earlier plan would find a strange expiry and leave it, and the later one
would put back an instant that nobody stands for any more. So the earlier one is refused while a later one's instant is on any
of its keys; and where that happened with an older version, the later one gives back what was there before both.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Never

from redis_ttl.domain.errors import BadInput, ConnectionLost, RedisTtlError
from redis_ttl.usecases.store.journals import JournalObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.rollback.journal import JournalName
    from redis_ttl.usecases.rollback.restore_ports import EndedRows, LaterRows, Restorer
    from redis_ttl.usecases.store.plans import PlanDocuments


def refuse_later_plans(
    journal: JournalObjects,
    names: Sequence[JournalName],
    rules: frozenset[int] | None,
    restorer: Restorer,
    new_rows: Callable[[bool], LaterRows],
) -> None:
    """Raise `BadInput` with the order to take, when keys of these journal objects have the instant of a later plan.

    Only plans that may replace TTLs can stand on others; the rest is known by the plan alone, without its journal. What counts is
    the expiry that a key has now: a later plan that was taken back, or never came to write, stands in nobody's way.
    """
    documents = journal.documents
    others = [JournalObjects(documents.other(plan_id), journal.log) for plan_id in _replacing(documents)]
    others = [other for other in others if other.written]
    if not others:
        return
    later = new_rows(restorer.in_cluster)
    for each in (journal, *others):
        each.use_all(each.written, later.note)
    for number, other in enumerate(others):
        other.use_all(other.written, partial(later.add, number))
    if not len(later):
        return
    changed = _Changed()
    for name in names:
        journal.use(name, partial(changed.look, restorer, later, rules, documents.plan_id))
    if changed.keys:
        _refuse(documents.plan_id, [other.documents.plan_id for other in others], changed)


@dataclass(slots=True)
class _Changed:
    """By plan: how many keys it changed after the one that is to be taken back, and how high it stands on it."""

    keys: dict[int, int] = field(default_factory=dict)
    heights: dict[int, int] = field(default_factory=dict)

    def look(
        self, restorer: Restorer, later: LaterRows, rules: frozenset[int] | None, plan_id: str, data: bytes
    ) -> None:
        """Add the keys of one journal object."""
        standing = later.standing_on(data, rules)
        if not len(standing):
            return
        looked = restorer.look(standing, lambda: None)
        if unreached := sum(account.unreached for account in looked.accounts.values()):
            raise ConnectionLost(
                "whether later plans have changed keys of this plan can't be told: their nodes don't answer",
                where=f"plan {plan_id}",
                found=f"{unreached:,} keys",
                todo="Try again when the cluster is whole.",
            )
        for number, (count, height) in later.plans(standing, looked.ours).items():
            self.keys[number] = self.keys.get(number, 0) + count
            self.heights[number] = max(self.heights.get(number, 0), height)


def _refuse(plan_id: str, others: Sequence[str], changed: _Changed) -> Never:
    # Who stands highest goes first.
    order = sorted(changed.keys, key=lambda number: (-changed.heights[number], others[number]))
    first = [others[number] for number in order]
    raise BadInput(
        "later plans have changed keys of this plan, and must be rolled back before it",
        where=f"plan {plan_id}",
        found="; ".join(
            f"plan {others[number]} changed {changed.keys[number]:,} of these keys after it" for number in order
        ),
        todo=f"Roll back in this order: {', then '.join([*first, plan_id])}. "
        "A rollback of some rules looks at the keys of those rules only.",
    )


def trace_ended_plans(
    journal: JournalObjects, restorer: Restorer, new_rows: Callable[[bool], EndedRows]
) -> EndedRows | None:
    """What lies beneath the rows of this journal where a plan that was taken back had set what they found; None where nothing
    does.
    """
    documents = journal.documents
    ended = _ended(journal) if _may_replace(documents) else []
    if not ended:
        return None
    rows = new_rows(restorer.in_cluster)
    for other, _ in ended:
        other.use_all(other.written, rows.note)
    journal.use_all(journal.written, rows.want)
    if not len(rows):
        return None
    # Each turn goes one plan deeper.
    for _ in ended:
        for other, rules in ended:
            other.use_all(other.written, partial(_trace, rows, rules))
        if not rows.turn():
            break
    return rows


def _trace(rows: EndedRows, rules: frozenset[int], data: bytes) -> None:
    rows.trace(data, rules)


def _ended(journal: JournalObjects) -> list[tuple[JournalObjects, frozenset[int]]]:
    """The other plans of which something was taken back, with the rules for which it was."""
    found = []
    for plan_id in journal.documents.others():
        other = journal.documents.other(plan_id)
        objects = JournalObjects(other, journal.log)
        if rules := _taken_back(objects):
            found.append((objects, rules))
    return found


def _replacing(documents: PlanDocuments) -> list[str]:
    return [plan_id for plan_id in documents.others() if _may_replace(documents.other(plan_id))]


def _may_replace(documents: PlanDocuments) -> bool:
    """Whether the plan may have replaced an expiry. A plan that can't be read may."""
    try:
        return any(action.spec.replaces_expiry for rule in documents.plan().included for action in rule.mode.actions)
    except (RedisTtlError, ValueError, KeyError, TypeError):
        return True


def _taken_back(journal: JournalObjects) -> frozenset[int]:
    """The numbers of the plan's rules that a rollback was run for, however far it came. Where a result can't be read, and a rollback
    wrote a journal, these may be all.
    """
    found: set[int] = set()
    for result in journal.records.restored():
        if not result.dry_run:
            found |= result.accounts.keys()
    if journal.spared and journal.undoing:
        with suppress(RedisTtlError):
            found |= {rule.number for rule in journal.documents.plan().rules}
    return frozenset(found)
