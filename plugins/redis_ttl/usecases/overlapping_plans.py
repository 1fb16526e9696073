"""Several plans over the same keys: which has to be taken back first, and what lies beneath one that was taken back out of turn.

A later plan that shortens a TTL finds the earlier plan's instant on the key, and journals it as what was there before. Taken
back in the order in which they were written, the earlier plan would find a strange expiry and leave it, and the later one
would put back an instant that nobody stands for any more. So the earlier one is refused while a later one's instant is on any
of its keys; and where that happened with an older version, the later one gives back what was there before both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis_ttl.domain.errors import BadInput, ConnectionLost, RedisTtlError
from redis_ttl.domain.policy import Mode
from redis_ttl.usecases.journal_objects import JournalObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.journal import JournalName
    from redis_ttl.usecases.plan_documents import PlanDocuments
    from redis_ttl.usecases.restore_ports import EndedRows, LaterRows, Restorer


def refuse_later_plans(
    journal: JournalObjects,
    names: Sequence[JournalName],
    rules: frozenset[int] | None,
    restorer: Restorer,
    new_rows: Callable[[], LaterRows],
    check: Callable[[], None],
) -> None:
    """Raise `BadInput` with the order to take, when keys of these journal objects have the instant of a later plan.

    Only plans that may shorten TTLs can stand on others; the rest is known by the plan alone, without its journal. What counts is
    the expiry that a key has now: a later plan that was taken back, or never came to write, stands in nobody's way.
    """
    documents = journal.documents
    others = [JournalObjects(documents.other(plan_id), journal.log) for plan_id in _shortening(documents)]
    others = [other for other in others if other.written]
    if not others:
        return
    later = new_rows()
    for each in (journal, *others):
        for name in each.written:
            each.use(name, later.note)
    for number, other in enumerate(others):
        for name in other.written:
            other.use(name, lambda data, number=number: later.add(number, data))  # type: ignore[misc]
    if not len(later):
        return
    keys: dict[int, int] = {}
    heights: dict[int, int] = {}
    for name in names:
        found: list[Any] = []
        journal.use(name, lambda data, found=found: found.append(later.standing_on(data, rules)))  # type: ignore[misc]
        for standing in found:
            if not len(standing):
                continue
            looked = restorer.look(standing, check)
            if unreached := sum(account.unreached for account in looked.accounts.values()):
                raise ConnectionLost(
                    "whether later plans have changed keys of this plan can't be told: their nodes don't answer",
                    where=f"plan {documents.plan_id}",
                    found=f"{unreached:,} keys",
                    todo="Try again when the cluster is whole.",
                )
            for number, (count, height) in later.plans(standing, looked.ours).items():
                keys[number] = keys.get(number, 0) + count
                heights[number] = max(heights.get(number, 0), height)
    if keys:
        # Who stands highest goes first.
        order = sorted(keys, key=lambda number: (-heights[number], others[number].documents.plan_id))
        ids = [others[number].documents.plan_id for number in order]
        raise BadInput(
            "later plans have changed keys of this plan, and must be rolled back before it",
            where=f"plan {documents.plan_id}",
            found="; ".join(
                f"plan {plan_id} changed {keys[number]:,} of these keys after this plan"
                for number, plan_id in zip(order, ids, strict=True)
            ),
            todo=f"Roll back in this order: {', then '.join([*ids, documents.plan_id])}. "
            "A rollback of some rules only looks at the keys of those rules.",
        )


def trace_ended_plans(journal: JournalObjects, new_rows: Callable[[], EndedRows]) -> EndedRows | None:
    """What lies beneath the rows of this journal where a plan that was taken back had set what they found; None where nothing
    does.
    """
    documents = journal.documents
    if not _may_shorten(documents):
        return None
    ended: list[tuple[JournalObjects, frozenset[int]]] = []
    for plan_id in documents.others():
        other = documents.other(plan_id)
        rules = _taken_back(other)
        if rules:
            ended.append((JournalObjects(other, journal.log), rules))
    if not ended:
        return None
    rows = new_rows()
    for other_journal, _ in ended:
        for name in other_journal.written:
            other_journal.use(name, rows.note)
    for name in journal.written:
        journal.use(name, rows.want)
    more = len(rows) > 0
    for _ in range(len(ended) if more else 0):
        for other_journal, rules in ended:
            for name in other_journal.written:
                other_journal.use(name, lambda data, rules=rules: rows.trace(data, rules))  # type: ignore[misc]
        if not rows.turn():
            break
    return rows


def _shortening(documents: PlanDocuments) -> list[str]:
    return [plan_id for plan_id in documents.others() if _may_shorten(documents.other(plan_id))]


def _may_shorten(documents: PlanDocuments) -> bool:
    """Whether the plan may have replaced an expiry: only mode ``cap`` does. A plan that can't be read may."""
    try:
        return any(rule.mode is Mode.CAP for rule in documents.plan().included)
    except (RedisTtlError, ValueError, KeyError, TypeError):
        return True


def _taken_back(documents: PlanDocuments) -> frozenset[int]:
    """The numbers of the plan's rules that a rollback was run for, however far it came."""
    found: set[int] = set()
    for result in documents.results("rollback"):
        if not result["dry_run"]:
            found |= {int(rule) for rule in result["accounts"]}
    return frozenset(found)
