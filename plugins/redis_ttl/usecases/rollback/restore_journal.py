"""Takes a remediation back: each key whose expiry is still exactly ours gets the one that it had before.

Nothing is believed but the journal and the server: a key is restored by comparing and setting in one step, so that an
expiry which the application set since is never touched, however often and by however many this is run. What the journal
should hold and doesn't is told by name; the rest is restored all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.errors import Aborted, OtherServer
from redis_ttl.domain.remediation.parts import rollback_part
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.journal import JournalName, attempt_of
from redis_ttl.domain.rollback.rollback import RestoreResult, add_restored
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.rollback.journal_parts import JournalPart, whole_journal
from redis_ttl.usecases.rollback.overlapping_plans import refuse_later_plans, trace_ended_plans
from redis_ttl.usecases.rollback.restore_gate import RestoreGate
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, RestoreTools
from redis_ttl.usecases.store.journals import JournalObjects, approvals_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.rollback.rollback import Leftovers, RestoreAccount
    from redis_ttl.usecases.rollback.restore_ports import EndedRows, JournalRows, Restorer


#: How often a paused rollback looks whether it may go on.
_LOOK_S: Final = 1.0


def refuse_out_of_turn(plan: Plan, options: RestoreOptions, tools: RestoreTools) -> None:
    """Raise `BadInput`, with the order to take, when later plans have changed keys of this plan since; and `OtherServer` for
    servers that don't continue the plan's.
    """
    journal = JournalObjects(tools.documents, tools.log)
    with tools.open_restorer() as restorer:
        _refuse_strangers(plan, restorer.strangers(plan.nodes), options)
        refuse_later_plans(journal, journal.written, options.rules, restorer, tools.new_later_rows)


def restore_part(plan: Plan, part: JournalPart, options: RestoreOptions, tools: RestoreTools) -> RestoreResult:
    """Restore the keys of one part of the journal, and write ``results/<plan_id>/rollback-*.json``.

    Of several rows about one key, wherever in the journal, the newest counts whose instant it has. What is restored is
    journalled before. In a dry run nothing is written but the result. Journal objects that can't be read are left out and named.
    Before each journal object, and every second or two on the way, operator and guards are heard: a pause lasts as long as it
    must.

    Raises :class:`OtherServer` for servers that don't continue the plan's, unless the options say that this doesn't matter,
    :class:`BadInput` when later plans must be taken back first, and :class:`Aborted` when the operator or a guard ends it; the
    result of what was done until then is written.
    """
    work = _Work(plan, part, options, tools)
    with tools.open_restorer() as restorer:
        work.run(restorer)
    return work.result


def look_again(plan: Plan, options: RestoreOptions, tools: RestoreTools) -> tuple[RestoreResult, bool]:
    """What a rollback of the whole journal would restore now, and how many keys of the whole keyspace have the plan's instants,
    journalled or not; and whether slots moved during each of these looks, so that nobody can vouch for them.
    """
    work = _Work(plan, whole_journal(tools.documents), _look_only(options), tools, keyspace=True)
    with tools.open_restorer() as restorer:
        work.run(restorer)
    return work.result, work.left is not None and work.left.moving


@dataclass(slots=True)
class _Work:
    """One attempt at one part."""

    plan: Plan
    part: JournalPart
    options: RestoreOptions
    tools: RestoreTools
    keyspace: bool = False
    result: RestoreResult = field(init=False)
    left: Leftovers | None = field(default=None, init=False)
    _accounts: dict[int, RestoreAccount] = field(default_factory=dict, init=False)
    _journalled: int = field(default=0, init=False)
    _reason: str | None = field(default=None, init=False)

    def run(self, restorer: Restorer) -> None:
        """Restore, and write the result."""
        began = self.tools.clock.now()
        attempt = attempt_of(int(began.timestamp() * 1000), self.tools.token)
        journal = JournalObjects(self.tools.documents, self.tools.log)
        chosen = self.part.names_of(journal.written)
        gate = self._gate(restorer, journal)
        ended: Ended | None = None
        _refuse_strangers(self.plan, restorer.strangers(self.plan.nodes), self.options)
        refuse_later_plans(journal, chosen, self.options.rules, restorer, self.tools.new_later_rows)
        journal.find_gaps()
        try:
            self._restore(restorer, gate, journal, chosen, attempt)
            if self.keyspace:
                self._look_through_the_keyspace(restorer, journal)
        except Ended as end:
            ended = end
        self.result = RestoreResult(
            plan_id=self.plan.plan_id,
            part=self._label,
            attempt=attempt,
            dry_run=self.options.dry_run,
            began_at=began.isoformat(),
            ended_at=self.tools.clock.now().isoformat(),
            accounts=add_restored([self._accounts]),
            journal_objects=self._journalled,
            unreadable=journal.unreadable_names(),
            missing=journal.gaps.texts(),
            interruptions=tuple(gate.interruptions),
            reason=None if ended is None else ended.reason,
            leftovers=None if self.left is None else self.left.counts,
            examples=() if self.left is None else tuple(_text(key) for key in self.left.examples),
        )
        self.tools.documents.write_restored(self.result)
        if ended is not None:
            raise _aborted(self.tools.documents.plan_id, ended) from ended

    def _restore(
        self,
        restorer: Restorer,
        gate: RestoreGate,
        journal: JournalObjects,
        chosen: Sequence[JournalName],
        attempt: str,
    ) -> None:
        rows = self.tools.new_rows()
        for number, name in enumerate(journal.written):
            journal.use(name, partial(rows.add, number))
        journal.use_all(journal.undoing, rows.add_undone)
        rows.settle(lambda number: self.tools.documents.journal(journal.written[number]))
        beneath = trace_ended_plans(journal, restorer, self.tools.new_ended_rows)
        numbers = {name: number for number, name in enumerate(journal.written)}
        check = _nothing if self.options.dry_run else gate.check
        for done, name in enumerate(reversed(chosen), start=1):
            if not self.options.dry_run:
                gate.begin()
            wanted = partial(self._rows_of, rows, beneath, numbers[name])
            journal.use(name, partial(self._restore_object, restorer, attempt, wanted, check))
            self.tools.progress(done, len(chosen))

    def _look_through_the_keyspace(self, restorer: Restorer, journal: JournalObjects) -> None:
        approved = approvals_ms(journal.records)
        if approved:
            self.left = restorer.leftovers(self.plan, approved, self.options.rules, _nothing)
        else:
            self.tools.log(
                "nothing says when the plan was approved: the keyspace can't be looked through for its instants"
            )

    def _rows_of(self, rows: JournalRows, beneath: EndedRows | None, number: int, data: bytes) -> Any:
        found = rows.of(number, data, self.options.rules)
        return found if beneath is None else beneath.beneath(found)

    def _restore_object(
        self, restorer: Restorer, attempt: str, wanted: Callable[[bytes], Any], check: Callable[[], None], data: bytes
    ) -> None:
        looked = restorer.look(wanted(data), check)
        self._add(looked.accounts)
        if self.options.dry_run:
            self._add(looked.ours_accounts)
        elif looked.ours_accounts:
            name = JournalName(attempt, self._label, self._journalled)
            self.tools.documents.write_journal(name, restorer.journal(looked.ours))
            self._journalled += 1
            self._add(restorer.restore(looked.ours, check))

    @property
    def _label(self) -> str:
        return rollback_part(self.part.number)

    def _add(self, accounts: Mapping[int, RestoreAccount]) -> None:
        self._accounts = add_restored([self._accounts, accounts])

    def _gate(self, restorer: Restorer, journal: JournalObjects) -> RestoreGate:
        tools, settings = self.tools, self.tools.policy.remediation
        approved = approvals_ms(journal.records)
        shortest_s = min((rule.ttl_s for rule in self.plan.included), default=None)
        return RestoreGate(
            restorer=restorer,
            guards=settings.guards,
            critical_ratio=tools.policy.memory.critical_ratio,
            control=tools.control,
            rate=tools.rate,
            sharers=tools.sharers,
            earliest_ms=min(approved) + shortest_s * 1000 if approved and shortest_s is not None else None,
            log=tools.log,
            clock=tools.clock,
            look_s=_LOOK_S,
        )


def _aborted(plan_id: str, ended: Ended) -> Aborted:
    stopped = ended.outcome is Outcome.STOPPED
    return Aborted(
        "the rollback was stopped" if stopped else "a guard ended the rollback",
        where=f"plan {plan_id}",
        found=ended.reason,
        todo="What was restored stays restored. Clear this task, or trigger the rollback again, to go on.",
    )


def _look_only(options: RestoreOptions) -> RestoreOptions:
    return RestoreOptions(dry_run=True, rules=options.rules, any_lineage=options.any_lineage)


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")


def _nothing() -> None:
    """Nobody is heard: nothing is changed."""


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
