"""One attempt at one part of a remediation, the canary or a shard, from its first look to its result.

Each batch is read, decided, journalled and written, in this order and never another; while one is written the next ones
are read, decided and journalled. A part that is killed at any moment begins again from its start: what has our instant
already is recognised by it, and everything that was changed is in a journal object that was durable before.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import Aborted, ServerChanged
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.remediation.control import CommandState
from redis_ttl.domain.remediation.remediation import Outcome, PartBegun, PartResult, RuleAccount, add_accounts
from redis_ttl.domain.rollback.journal import attempt_of
from redis_ttl.usecases.remediation.canary_watch import start_of
from redis_ttl.usecases.remediation.change_writing import ChangeWriting
from redis_ttl.usecases.remediation.part_journal import PartJournal
from redis_ttl.usecases.remediation.write_gate import HEALTH_S, LOG_S, ApprovalWatch, Ended, WriteGate, command_of
from redis_ttl.usecases.remediation.write_limits import WriteLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.usecases.ports import Batch
    from redis_ttl.usecases.remediation.apply_tools import ApplyTools
    from redis_ttl.usecases.remediation.write_ports import Canary, Decided, Decisions, WritableNode

#: Keys of one batch. At a limited rate a batch is about a second of it, so that what was read isn't old when written.
_BATCH_KEYS: Final = 50_000
_LEAST_BATCH_KEYS: Final = 2_000
_BATCH_S: Final = 1


@dataclass(slots=True)
class PartWork:
    """One attempt at one part."""

    plan: Plan
    tools: ApplyTools
    approval: Approval
    part: str
    attempt: str = field(init=False)
    began_at: str = field(init=False)
    accounts: dict[int, RuleAccount] = field(default_factory=dict)
    surveyed: dict[int, dict[int, int]] = field(default_factory=dict)
    """The keys of each shard and rule that would change or are ours already; the canary's survey fills it."""
    standing: dict[int, dict[int, int]] = field(default_factory=dict)
    """Those of them that are ours already, or that the canary picked."""
    scanned: int = 0
    sent: int = 0
    run_id: str = ""
    whole: bool = False
    outcome: Outcome = Outcome.DONE
    reason: str | None = None
    ratio: float = 0.0
    gates: list[WriteGate] = field(default_factory=list)
    approval_watch: ApprovalWatch = field(init=False)
    _journal: PartJournal = field(init=False)

    def __post_init__(self) -> None:
        tools, patience_s = self.tools, self.tools.policy.remediation.guards.patience_s
        began = tools.clock.now()
        self.began_at = began.isoformat()
        self.attempt = attempt_of(int(began.timestamp() * 1000), tools.token)
        self._journal = PartJournal(tools.documents, self.attempt, self.part, patience_s, tools.clock, tools.ahead)
        self.approval_watch = ApprovalWatch(tools.approve, tools.clock, patience_s, self.approval.valid_until_ms)

    def recorded(self) -> Recorded:
        """A block that says that the attempt has begun, and whose end writes the part's result, unless it ends by an error
        that is tried again.
        """
        return Recorded(self)

    def result(self) -> PartResult:
        """What it came to."""
        return PartResult(
            plan_id=self.plan.plan_id,
            part=self.part,
            attempt=self.attempt,
            outcome=self.outcome,
            began_at=self.began_at,
            ended_at=self.tools.clock.now().isoformat(),
            scanned=self.scanned,
            accounts=self.accounts,
            journal_objects=self._journal.objects,
            journal_bytes=self._journal.size_bytes,
            interruptions=tuple(each for gate in self.gates for each in gate.interruptions),
            reason=self.reason,
            run_id=self.run_id,
            whole=self.whole,
        )

    def begun(self) -> PartBegun:
        """That it was begun."""
        return PartBegun(
            self.plan.plan_id, self.part, self.attempt, self.approval.approved_at_ms, self.began_at, self.run_id
        )

    def survey(self, number: int, shard: Shard, node: WritableNode, picked: Canary) -> None:
        """Read a shard, count, and pick the canary's keys; write nothing. All that would change is ``left``."""
        decisions = self._decisions(node)
        run_id = node.run_id()
        patience = _Patience(self)
        counted, standing = self.surveyed.setdefault(number, {}), self.standing.setdefault(number, {})
        with self.tools.ahead(self._batches(node, replace(shard, run_id=run_id), 1), 1, idle=patience.check) as batches:
            for batch in batches:
                decided = decisions.decide(batch)
                picked.add(number, decided)
                self.scanned += decided.keys
                for rule, each in decided.accounts.items():
                    counted[rule] = counted.get(rule, 0) + each.undecided + each.already_ours
                    standing[rule] = standing.get(rule, 0) + each.already_ours
                self.add({rule: replace(each, left=each.undecided) for rule, each in decided.accounts.items()})
                part = 1.0 if batch.done else shard.ratio_done(batch.next_cursor)
                self.ratio = (number + part) / len(self.plan.shards)
                patience.check()
        if node.run_id() != run_id:
            raise ServerChanged("the server was restarted or failed over meanwhile", where=node.address)

    def write_picked(self, node: WritableNode, start: Reading, picked: Canary, numbers: Sequence[int]) -> None:
        """Write the canary's keys of these shards of one database. They were counted as ``left`` before; they were read
        minutes ago, so each is read again.
        """
        changes = picked.changes(numbers)
        if not len(changes):
            return
        gate = self._gate(node, node.run_id(), 1, start)
        gate.check()
        self.add({rule: RuleAccount(left=-keys) for rule, keys in picked.counts(numbers).items()})
        self._writing(node, self._decisions(node), gate).write_unjournalled(changes)

    def write_shard(self, shard: Shard, node: WritableNode, numbers: Collection[int]) -> None:
        """Read, decide, journal and write everything that the shard holds, within what these shards of the plan may have."""
        sharers = self._sharers(shard)
        gate = self._gate(node, self.run_id, sharers, start_of(self.tools.documents, shard.node))
        decisions = self._decisions(node)
        limits = WriteLimits(
            self.plan,
            self.tools.documents,
            part=self.part,
            attempt=self.attempt,
            shards=numbers,
            run_id=None if self.whole else self.run_id,
            insist=lambda action: self._journal.insist(action, gate, "the store doesn't say what the limits leave"),
            earlier=decisions.earlier(),
        )
        gate.check()
        writing = self._writing(node, decisions, gate)

        def decided_batches(batches: Iterator[Batch]) -> Iterator[tuple[Decided, float]]:
            for batch in batches:
                decided = decisions.decide(batch)
                limits.reserve(decided)
                if decided.change_keys:
                    self._journal.write(decisions.journal(decided.changes), gate)
                yield decided, 1.0 if batch.done else shard.ratio_done(batch.next_cursor)

        with ExitStack() as threads:
            batches = self._batches(node, replace(shard, run_id=self.run_id), sharers)
            if gate.allowed.keys_per_s is None:
                # At a limited rate so many batches would wait for one another that they are old when it is their turn.
                batches = threads.enter_context(self.tools.ahead(batches, 1))
            ready = threads.enter_context(self.tools.ahead(decided_batches(batches), 1, idle=gate.check))
            try:
                for decided, ratio in ready:
                    self.scanned += decided.keys
                    self.add(decided.accounts)
                    if decided.change_keys:
                        writing.write(decided.changes, decided.read_at_s)
                    self.ratio = ratio
                    gate.check()
            except BaseException:
                self._journal.end()
                raise

    def add(self, accounts: Mapping[int, RuleAccount]) -> None:
        """Count what became of keys."""
        self.accounts = add_accounts([self.accounts, accounts])

    def progress(self) -> str:
        """How far it is, in a few words."""
        return f"{self.part}: {self.sent:,} keys sent, {self.scanned:,} read ({self.ratio:.0%})"

    @property
    def rate(self) -> Rate:
        """The plan's rate, of one server."""
        return parse_rate(self.plan.rate)

    def _writing(self, node: WritableNode, decisions: Decisions, gate: WriteGate) -> ChangeWriting:
        return ChangeWriting(
            decisions=decisions,
            writer=node.writer(),
            gate=gate,
            journal=self._journal,
            clock=self.tools.clock,
            add=self.add,
            sent=self._count_sent,
        )

    def _count_sent(self, keys: int) -> None:
        self.sent += keys

    def _gate(self, node: WritableNode, run_id: str, sharers: int, start: Reading | None) -> WriteGate:
        gate = WriteGate(
            node=node,
            run_id=run_id,
            policy=self.tools.policy,
            rate=self.rate,
            sharers=sharers,
            control=self.tools.control,
            clock=self.tools.clock,
            log=self.tools.log,
            progress=self.progress,
            approval=self.approval_watch,
            start=start,
        )
        self.gates.append(gate)
        return gate

    def _decisions(self, node: WritableNode) -> Decisions:
        return node.decisions(self.plan, self.tools.policy, self.approval.approved_at_ms)

    def _batches(self, node: WritableNode, shard: Shard, sharers: int) -> Iterator[Batch]:
        rate = self.rate.share(sharers).keys_per_s
        size = _BATCH_KEYS if rate is None else int(min(_BATCH_KEYS, max(_LEAST_BATCH_KEYS, rate * _BATCH_S)))
        return node.batches(shard, load_share=sharers, batch_keys=size)

    def _sharers(self, shard: Shard) -> int:
        beside = sum(1 for other in self.plan.shards if other.node == shard.node)
        return max(1, min(self.tools.policy.audit.parallel, beside))


class Recorded:
    """Writes that a part was begun, and its result at its end; turns the end by a guard or an operator into :class:`Aborted`."""

    def __init__(self, work: PartWork) -> None:
        self._work = work

    def __enter__(self) -> None:
        self._work.tools.documents.write_begun(self._work.begun())

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        work = self._work
        if isinstance(error, Ended):
            work.outcome, work.reason = error.outcome, error.reason
            work.tools.documents.write_part(work.result())
            raise Aborted(
                f"{work.part} ended before its end ({error.outcome.value})",
                where=work.plan.plan_id,
                found=error.reason,
                todo=error.todo,
            ) from error
        if error is None:
            work.tools.documents.write_part(work.result())


class _Patience:
    """Hears the operator while nothing is written: a stop ends the reading, a pause holds it, until the approval is over."""

    def __init__(self, work: PartWork) -> None:
        self._work = work
        self._next_control_s = self._next_log_s = 0.0

    def check(self) -> None:
        tools = self._work.tools
        while (now_s := tools.clock.monotonic()) >= self._next_control_s:
            self._next_control_s = now_s + HEALTH_S
            unapproved = self._work.approval_watch.look()
            command = command_of(tools.control)
            if command.state is CommandState.STOP:
                raise Ended(Outcome.STOPPED, command.why or "the operator stopped it")
            why = (command.why or "the operator paused it") if command.state is CommandState.PAUSE else unapproved
            if now_s >= self._next_log_s:
                self._next_log_s = now_s + LOG_S
                tools.log(f"{f'paused: {why}. ' if why else ''}{self._work.progress()}")
            if why is None:
                return
            tools.clock.sleep(HEALTH_S)
