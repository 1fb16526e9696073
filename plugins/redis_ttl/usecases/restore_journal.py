"""Takes a remediation back: each key whose expiry is still exactly ours gets the one that it had before.

Nothing is believed but the journal and the server: a key is restored by comparing and setting in one step, so that an
expiry which the application set since is never touched, however often and by however many this is run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.approval import Channel, Decision, Verdict
from redis_ttl.domain.control import WishedState
from redis_ttl.domain.errors import Aborted, BadInput, OtherServer
from redis_ttl.domain.journal import JournalName, attempt_of
from redis_ttl.domain.rollback import RestoreResult, add_restored
from redis_ttl.usecases.write_gate import LOG_S, wish_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from redis_ttl.domain.plan import Plan
    from redis_ttl.domain.rate import Rate
    from redis_ttl.domain.rollback import RestoreAccount
    from redis_ttl.usecases.plan_documents import PlanDocuments
    from redis_ttl.usecases.ports import Clock
    from redis_ttl.usecases.restore_ports import JournalRows, OpenRestorer
    from redis_ttl.usecases.write_ports import Control

#: How often a paused rollback looks whether it may go on.
_LOOK_S: Final = 1.0
#: A part has at least so many journal objects: less isn't worth a task.
_OBJECTS_A_PART: Final = 4


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What the operator chose. ``rules`` are numbers of the plan's rules; None takes all of them.

    ``any_lineage`` restores on servers that don't continue the plan's by their replication ids, too: after several
    failovers those say nothing any more. A key is told by its name and its exact expiry all the same.
    """

    dry_run: bool = True
    rules: frozenset[int] | None = None
    any_lineage: bool = False


@dataclass(frozen=True, slots=True)
class RestoreTools:
    """What rolling back needs from the outside.

    ``rate`` is this part's, of the ``sharers`` that restore at the same time, unless the operator wishes another one through
    ``control``. ``progress`` hears how many journal objects of how many are done; ``log`` hears why nothing is done.
    """

    documents: PlanDocuments
    open_restorer: OpenRestorer
    new_rows: Callable[[], JournalRows]
    control: Control
    rate: Rate
    sharers: int
    progress: Callable[[int, int], None]
    log: Callable[[str], None]
    clock: Clock
    token: str


@dataclass(frozen=True, slots=True)
class JournalPart:
    """The journal objects from ``first`` to ``last`` (names, both included), which one task restores."""

    number: int
    first: str
    last: str
    objects: int

    def to_json(self) -> dict[str, object]:
        """Plain data, for a mapped task."""
        return {name: getattr(self, name) for name in self.__slots__}


def load_journal(documents: PlanDocuments, *, parts: int) -> list[JournalPart]:
    """Cut the journal of a plan into at most so many parts, the newest objects first. Raises `BadInput` without a journal."""
    names = list(reversed(_written(documents)))
    if not names:
        raise BadInput(
            "this plan has no journal: nothing was written by it",
            where=f"plan {documents.plan_id}",
            todo="Look at the list of plans in the trigger form; the newest is the first.",
        )
    count = max(1, min(parts, len(names) // _OBJECTS_A_PART))
    bounds = [len(names) * number // count for number in range(count + 1)]
    return [
        JournalPart(number, str(names[end - 1]), str(names[start]), end - start)
        for number, (start, end) in enumerate(pairwise(bounds))
    ]


def end_approval(documents: PlanDocuments, *, run: str, clock: Clock) -> None:
    """Have the plan's approval count no more, so that a writer which is started again doesn't put back what a rollback takes."""
    latest = {request.gate: request for request in documents.requests()}
    for request in latest.values():
        documents.write_decision(
            Decision(
                request_id=request.request_id,
                plan_id=request.plan_id,
                digest=request.digest,
                gate=request.gate,
                verdict=Verdict.REJECTED,
                channel=Channel.NOBODY,
                by=None,
                at=clock.now().isoformat(),
                why=f"the plan is rolled back by {run}. Trigger the remediation again, for a new plan.",
            )
        )


def restore_part(plan: Plan, part: JournalPart, options: RestoreOptions, tools: RestoreTools) -> RestoreResult:
    """Restore the keys of one part of the journal, and write ``results/<plan_id>/rollback-*.json``.

    Of several rows about one key, wherever in the journal, the newest counts. What is restored is journalled before.
    In a dry run nothing is written but the result. Before each journal object the operator's wish is heard: a pause lasts
    as long as it is wished. Raises :class:`OtherServer` for servers that don't continue the plan's, unless the options say
    that this doesn't matter, and :class:`Aborted` when the operator stops it.
    """
    began = tools.clock.now()
    attempt = attempt_of(int(began.timestamp() * 1000), tools.token)
    names = _written(tools.documents)
    chosen = [name for name in names if part.first <= str(name) <= part.last]
    rows = tools.new_rows()
    for name in names:
        rows.add(tools.documents.journal(name))
    for name in tools.documents.journal_names():
        if name.undoes:
            rows.add_undone(tools.documents.journal(name))
    accounts: list[Mapping[int, RestoreAccount]] = []
    journalled = 0
    label = f"rollback-{part.number}"
    with tools.open_restorer() as restorer:
        _refuse_strangers(plan, restorer.strangers(plan.nodes), options)
        for done, name in enumerate(reversed(chosen), start=1):
            if not options.dry_run:
                restorer.limit(_allowed(tools))
            looked = restorer.look(rows.of(names.index(name), tools.documents.journal(name), options.rules))
            accounts.append(looked.accounts)
            if options.dry_run:
                accounts.append(looked.ours_accounts)
            elif looked.ours_accounts:
                tools.documents.write_journal(JournalName(attempt, label, journalled), restorer.journal(looked.ours))
                journalled += 1
                accounts.append(restorer.restore(looked.ours))
            accounts = [add_restored(accounts)]
            tools.progress(done, len(chosen))
    result = RestoreResult(
        plan_id=plan.plan_id,
        part=label,
        attempt=attempt,
        dry_run=options.dry_run,
        began_at=began.isoformat(),
        ended_at=tools.clock.now().isoformat(),
        accounts=add_restored(accounts),
        journal_objects=journalled,
    )
    tools.documents.write_result("rollback", result.to_json())
    return result


def whole_journal(documents: PlanDocuments) -> JournalPart:
    """All objects of the journal as one part, for a second look (a dry run over it)."""
    return load_journal(documents, parts=1)[0]


def chosen_rules(plan: Plan, patterns: Collection[str]) -> frozenset[int] | None:
    """The numbers of the plan's rules with these patterns; None for no patterns, which means all. Raises `BadInput`."""
    if not patterns:
        return None
    numbers = {rule.pattern: rule.number for rule in plan.rules}
    unknown = [pattern for pattern in patterns if pattern not in numbers]
    if unknown:
        raise BadInput(
            "the plan has no such rule",
            where=f"plan {plan.plan_id}",
            found=", ".join(unknown),
            allowed=", ".join(numbers),
            todo="Choose among these, or none for all of them.",
        )
    return frozenset(numbers[pattern] for pattern in patterns)


def _allowed(tools: RestoreTools) -> Rate:
    """The rate of this part at this moment, as soon as the operator lets it go on."""
    said: str | None = None
    said_s = tools.clock.monotonic()
    while True:
        wish = wish_of(tools.control)
        if wish.state is WishedState.STOP:
            raise Aborted(
                "the rollback was stopped",
                where=f"plan {tools.documents.plan_id}",
                found=wish.why or "the operator stopped it",
                todo="What was restored stays restored. Clear this task, or trigger the rollback again, to go on.",
            )
        if wish.state is WishedState.RUN:
            if said is not None:
                tools.log("going on")
            return wish.rate.share(tools.sharers) if wish.rate is not None else tools.rate
        why = wish.why or "the operator paused it"
        if why != said or tools.clock.monotonic() - said_s >= LOG_S:
            said, said_s = why, tools.clock.monotonic()
            tools.log(f"paused: {why}")
        time.sleep(_LOOK_S)


def _written(documents: PlanDocuments) -> list[JournalName]:
    return [name for name in documents.journal_names() if not name.undoes]


def _refuse_strangers(plan: Plan, strangers: list[str], options: RestoreOptions) -> None:
    if strangers and not options.any_lineage:
        raise OtherServer(
            "these servers don't continue those of the plan by their replication ids",
            where=f"plan {plan.plan_id}",
            found=", ".join(strangers),
            allowed=", ".join(f"{node.address} ({node.lineage or node.run_id})" for node in plan.nodes),
            todo="If it is the same data set after several failovers or a restore from a backup, say so in the trigger form; "
            "keys are restored only if they expire at exactly the instant that we set.",
        )
