"""Gives keys their TTLs as an approved plan says: a few of each rule first, then all of them, shard by shard.

Each batch is read, decided, journalled and written, in this order and never another; while one is written the next ones
are read, decided and journalled. A part that is killed at any moment begins again from its start: what has our instant
already is recognised by it, and everything that was changed is in a journal object that was durable before.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.canary import CanaryReport
from redis_ttl.domain.control import WishedState
from redis_ttl.domain.errors import Aborted, BadInput, ServerChanged, StoreProblem, TooManyMatches
from redis_ttl.domain.guards import Reading, rate_per_s, reasons, watch_reasons
from redis_ttl.domain.journal import JournalName, attempt_of
from redis_ttl.domain.load import parse_load
from redis_ttl.domain.rate import Rate, parse_rate
from redis_ttl.domain.remediation import Outcome, PartResult, RuleAccount, add_accounts
from redis_ttl.domain.shards import SplitRule
from redis_ttl.usecases.ahead import ahead
from redis_ttl.usecases.write_gate import HEALTH_S, LOG_S, Ended, WriteGate, WritePace, wish_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence, Sized

    from redis_ttl.domain.approval import Approval
    from redis_ttl.domain.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.shards import Shard
    from redis_ttl.usecases.plan_documents import PlanDocuments
    from redis_ttl.usecases.ports import Batch, Clock
    from redis_ttl.usecases.write_ports import Approve, Canary, Control, Decided, Decisions, WritableNode, WritableRedis

CANARY: Final = "canary"
CHECK: Final = "check_canary"
_BASELINE: Final = "canary_baseline"

#: Keys of one batch. At a limited rate a batch is about two seconds of it, so that what was read isn't old when written.
_BATCH_KEYS: Final = 50_000
_LEAST_BATCH_KEYS: Final = 2_000
_BATCH_S: Final = 2
#: No instant is sent that comes sooner than this: a past one would delete the key.
_MARGIN_MS: Final = 60_000
_RETRY_STORE_S: Final = 2.0
#: The canary's watch ends early when the same figure is bad so often in a row.
_BAD_LOOKS: Final = 10


@dataclass(frozen=True, slots=True)
class ApplyTools:
    """What applying needs from the outside.

    ``approve`` returns the approval in force and raises when there is none; each part calls it before it writes.
    ``log`` hears progress and reasons, at least every five seconds. ``token`` (six hex digits) tells this attempt from
    every other one.
    """

    redis: WritableRedis
    documents: PlanDocuments
    policy: Policy
    approve: Approve
    control: Control
    clock: Clock
    log: Callable[[str], None]
    token: str


def apply_canary(plan: Plan, tools: ApplyTools) -> PartResult:
    """Count what each rule would change, refuse if that is more than planned, and write the canary's keys only.

    Raises :class:`TooManyMatches` before anything is written, :class:`Aborted` when a guard or an operator ended it
    (its result is written then), and what ``approve`` raises.
    """
    approval = _approved(plan, tools)
    settings = tools.policy.remediation.canary
    work = _Work(plan, tools, approval, CANARY)
    picked = tools.redis.new_canary(settings.ratio, settings.keys)
    baseline: dict[str, list[Reading]] = {}
    with work.recorded(), ExitStack() as nodes:
        opened: dict[tuple[str, int], WritableNode] = {}
        for number, shard in enumerate(plan.shards):
            place = (shard.node, shard.db)
            if place not in opened:
                address = tools.redis.primary_of(_identity(plan, shard))
                opened[place] = nodes.enter_context(tools.redis.connect(address, shard.db))
                baseline.setdefault(shard.node, [opened[place].health()])
            work.survey(number, shard, opened[place], picked)
        for (address, _), node in opened.items():
            baseline[address] = [baseline[address][0], node.health()]
        _refuse_too_many(plan, work.accounts)
        work.approval = _approved(plan, tools)
        tools.documents.write_result(
            _BASELINE, {address: [asdict(each) for each in readings] for address, readings in baseline.items()}
        )
        for place, node in opened.items():
            numbers = [number for number, shard in enumerate(plan.shards) if (shard.node, shard.db) == place]
            work.write_picked(node, picked, numbers)
    return work.result()


def check_canary(plan: Plan, tools: ApplyTools) -> CanaryReport:
    """Watch the servers for as long as the policy says, and write down whether the rest may follow.

    Raises :class:`Aborted` when the canary isn't passed.
    """
    _require_canary_written(plan, tools)
    watch = _Watch(plan, tools)
    report = watch.run()
    tools.documents.write_result(CHECK, report.to_json())
    if not report.passed:
        raise Aborted(
            "the canary wasn't passed",
            where=plan.plan_id,
            found="; ".join(report.reasons),
            todo="The canary's keys have their TTLs; the rollback takes them off. Nothing else was written.",
        )
    return report


def apply_shard(plan: Plan, number: int, tools: ApplyTools) -> PartResult:
    """Write one shard of the plan, from its beginning; what has our expiry already is left as it is.

    Raises :class:`Aborted` when the canary hasn't been passed, or a guard or an operator ended the work (its result is
    written then), :class:`ServerChanged` (try again) when another process answers, and what ``approve`` raises.
    """
    approval = _approved(plan, tools)
    _require_canary_passed(plan, tools)
    shard = plan.shards[number]
    work = _Work(plan, tools, approval, f"shard-{number}")
    address = tools.redis.primary_of(_identity(plan, shard))
    with work.recorded(), tools.redis.connect(address, shard.db) as node:
        work.run_id = node.run_id()
        work.write_shard(shard, node)
        while not work.whole and _answered_by_others(plan, shard, tools, work.run_id):
            # Shards are cut by the hash of one process. With another one's some keys are in none of them.
            tools.log("shards of this database were read from another server process: reading all of it")
            work.whole = True
            work.write_shard(replace(shard, rule=SplitRule.SEQUENTIAL, number=0, of=1, first=0, last=0), node)
        if node.run_id() != work.run_id:
            raise ServerChanged("the server was restarted or failed over meanwhile", where=address)
    return work.result()


@dataclass(slots=True)
class _Work:
    """One attempt at one part."""

    plan: Plan
    tools: ApplyTools
    approval: Approval
    part: str
    attempt: str = field(init=False)
    began_at: str = field(init=False)
    accounts: dict[int, RuleAccount] = field(default_factory=dict)
    scanned: int = 0
    changed: int = 0
    objects: int = 0
    journal_bytes: int = 0
    run_id: str = ""
    whole: bool = False
    outcome: Outcome = Outcome.DONE
    reason: str | None = None
    ratio: float = 0.0
    gates: list[WriteGate] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=count, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        began = self.tools.clock.now()
        self.began_at = began.isoformat()
        self.attempt = attempt_of(int(began.timestamp() * 1000), self.tools.token)

    def recorded(self) -> _Recorded:
        """A block whose end writes the part's result, unless it ends by an error that is tried again."""
        return _Recorded(self)

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
            journal_objects=self.objects,
            journal_bytes=self.journal_bytes,
            interruptions=tuple(each for gate in self.gates for each in gate.interruptions),
            reason=self.reason,
            run_id=self.run_id,
            whole=self.whole,
        )

    def survey(self, number: int, shard: Shard, node: WritableNode, picked: Canary) -> None:
        """Read a shard, count, and pick the canary's keys; write nothing. All that would change is ``left``."""
        decisions = self._decisions(node)
        run_id = node.run_id()
        patience = _Patience(self)
        with ahead(self._batches(node, replace(shard, run_id=run_id), 1), 1, idle=patience.check) as batches:
            for batch in batches:
                decided = decisions.decide(batch)
                picked.add(number, decided)
                self.scanned += decided.keys
                self._add({rule: replace(each, left=_open(each)) for rule, each in decided.accounts.items()})
                part = 1.0 if batch.done else shard.ratio_done(batch.next_cursor)
                self.ratio = (number + part) / len(self.plan.shards)
                patience.check()
        if node.run_id() != run_id:
            raise ServerChanged("the server was restarted or failed over meanwhile", where=node.address)

    def write_picked(self, node: WritableNode, picked: Canary, numbers: Sequence[int]) -> None:
        """Journal and write the canary's keys of these shards of one database. They were counted as ``left`` before."""
        changes = picked.changes(numbers)
        if not len(changes):
            return
        gate = self._gate(node, node.run_id(), 1)
        gate.check()
        self._journal(self._decisions(node), changes, gate)
        self._add({rule: RuleAccount(left=-keys) for rule, keys in picked.counts(numbers).items()})
        self._write(node, changes, gate)

    def write_shard(self, shard: Shard, node: WritableNode) -> None:
        """Read, decide, journal and write everything that the shard holds."""
        sharers = self._sharers(shard)
        gate = self._gate(node, self.run_id, sharers)
        gate.check()
        decisions = self._decisions(node)

        def decided_batches(batches: Iterator[Batch]) -> Iterator[tuple[Decided, float]]:
            for batch in batches:
                decided = decisions.decide(batch)
                if decided.change_keys:
                    self._journal(decisions, decided.changes, gate, aloud=False)
                yield decided, 1.0 if batch.done else shard.ratio_done(batch.next_cursor)

        source = self._batches(node, replace(shard, run_id=self.run_id), sharers)
        with ahead(source, 1) as batches, ahead(decided_batches(batches), 1, idle=gate.check) as ready:
            try:
                for decided, ratio in ready:
                    self.scanned += decided.keys
                    self._add(decided.accounts)
                    if decided.change_keys:
                        self._write(node, decided.changes, gate)
                    self.ratio = ratio
                    gate.check()
            except BaseException:
                self._over.set()  # who waits for the store would wait on
                raise

    def _write(self, node: WritableNode, changes: Sized, gate: WriteGate) -> None:
        """Send changes that are in the journal, at the rate of the moment."""
        writer, pace, clock = node.writer(), WritePace(), self.tools.clock
        writer.take(changes)
        # By the server's clock, as it was a moment ago.
        spare_ms = (writer.earliest_ms or 0) - node.now_ms() - _MARGIN_MS
        due_s = clock.monotonic() + spare_ms / 1000
        try:
            while writer.waiting:
                gate.check()
                _refuse_due(clock.monotonic(), due_s)
                rate = gate.allowed
                sent = writer.write(pace.chunk(rate), ahead=rate.keys_per_s is None)
                self.changed += sent
                wait_s = pace.wait_s(rate, sent, clock.monotonic())
                while wait_s > HEALTH_S:  # at a few keys a second, a pause must not wait for the next one
                    time.sleep(HEALTH_S)
                    wait_s -= HEALTH_S
                    gate.check()
                if wait_s > 0:  # even a sleep of nothing hands the interpreter to another thread
                    time.sleep(wait_s)
        except Ended:
            self._add({rule: RuleAccount(left=keys) for rule, keys in writer.drop().items()})
            self._settle(node, writer, gate)
            raise
        self._settle(node, writer, gate)

    def _settle(self, node: WritableNode, writer: Any, gate: WriteGate) -> None:
        self._add(writer.settle())
        corrections = writer.corrections()
        if len(corrections):
            self._journal(self._decisions(node), corrections, gate)

    def _journal(self, decisions: Decisions, changes: Any, gate: WriteGate, *, aloud: bool = True) -> None:
        """Make the journal object of these changes durable, however often it takes.

        Only on a thread beside the gate's own it needn't be ``aloud``: there the gate tells of the trouble.
        """
        data = decisions.journal(changes)
        began_s = self.tools.clock.monotonic()
        while True:
            # A new name each time: an attempt that failed at its very end may have left an object.
            name = JournalName(self.attempt, self.part, next(self._names))
            try:
                self.tools.documents.write_journal(name, data)
            except StoreProblem as error:
                gate.trouble = f"the store takes no journal ({error})"
                patience_s = self.tools.policy.remediation.guards.patience_s
                if self.tools.clock.monotonic() - began_s >= patience_s:
                    gate.failure = error
                    raise
                if aloud:
                    self.tools.log(f"paused: {gate.trouble}")
                if self._over.wait(min(_RETRY_STORE_S, max(0.05, patience_s / 10))):
                    raise
            else:
                gate.trouble = None
                self.objects += 1
                self.journal_bytes += len(data)
                return

    def _gate(self, node: WritableNode, run_id: str, sharers: int) -> WriteGate:
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
            approve=self.tools.approve,
        )
        self.gates.append(gate)
        return gate

    @property
    def rate(self) -> Rate:
        """The plan's rate, of one server."""
        return parse_rate(self.plan.rate)

    def progress(self) -> str:
        """How far it is, in a few words."""
        return f"{self.part}: {self.changed:,} keys sent, {self.scanned:,} read ({self.ratio:.0%})"

    def _decisions(self, node: WritableNode) -> Decisions:
        return node.decisions(self.plan, self.tools.policy, self.approval.approved_at_ms)

    def _batches(self, node: WritableNode, shard: Shard, sharers: int) -> Iterator[Batch]:
        rate = self.rate.share(sharers).keys_per_s
        size = _BATCH_KEYS if rate is None else int(min(_BATCH_KEYS, max(_LEAST_BATCH_KEYS, rate * _BATCH_S)))
        return node.batches(shard, load_share=sharers, batch_keys=size)

    def _sharers(self, shard: Shard) -> int:
        beside = sum(1 for other in self.plan.shards if other.node == shard.node)
        return max(1, min(self.tools.policy.audit.parallel, beside))

    def _add(self, accounts: Mapping[int, RuleAccount]) -> None:
        self.accounts = add_accounts([self.accounts, accounts])


class _Recorded:
    """Writes a part's result at its end; turns the end by a guard or an operator into :class:`Aborted`."""

    def __init__(self, work: _Work) -> None:
        self._work = work

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        work = self._work
        if isinstance(error, Ended):
            work.outcome, work.reason = error.outcome, error.reason
            work.tools.documents.write_part(work.result())
            raise Aborted(
                f"{work.part} ended before its end ({error.outcome.value})",
                where=work.plan.plan_id,
                found=error.reason,
                todo="Clear the task to go on, or roll back what was written.",
            ) from error
        if error is None:
            work.tools.documents.write_part(work.result())


class _Patience:
    """Hears the operator while nothing is written: a stop ends the reading, a pause holds it."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._next_control_s = self._next_log_s = 0.0

    def check(self) -> None:
        tools = self._work.tools
        while (now_s := tools.clock.monotonic()) >= self._next_control_s:
            self._next_control_s = now_s + HEALTH_S
            wish = wish_of(tools.control)
            if wish.state is WishedState.STOP:
                raise Ended(Outcome.STOPPED, wish.why or "the operator stopped it")
            paused = wish.state is WishedState.PAUSE
            if now_s >= self._next_log_s:
                self._next_log_s = now_s + LOG_S
                why = f"paused: {wish.why or 'the operator paused it'}. " if paused else ""
                tools.log(f"{why}{self._work.progress()}")
            if not paused:
                return
            time.sleep(HEALTH_S)


class _Watch:
    """The canary's watch window over every server of the plan."""

    def __init__(self, plan: Plan, tools: ApplyTools) -> None:
        self._plan = plan
        self._tools = tools
        self._settings = tools.policy.remediation.guards
        self._critical = tools.policy.memory.critical_ratio
        self._normal = _baseline(tools.documents)

    def run(self) -> CanaryReport:
        """Watch; the report isn't written yet."""
        tools = self._tools
        began = tools.clock.now()
        began_s = tools.clock.monotonic()
        watch_s = self._plan.canary_watch_s
        with ExitStack() as links:
            nodes = {}
            for identity in self._plan.nodes:
                address = tools.redis.primary_of(identity)
                nodes[identity.address] = links.enter_context(tools.redis.connect(address, 0))
            first = {address: node.health() for address, node in nodes.items()}
            last = dict(first)
            bad: dict[str, int] = {}
            found: list[str] = []
            next_log_s = 0.0
            while not found and (left_s := watch_s - (tools.clock.monotonic() - began_s)) > 0:
                wish = wish_of(tools.control)
                if wish.state is WishedState.STOP:
                    raise Aborted("the operator stopped it", where=self._plan.plan_id, found=wish.why)
                if tools.clock.monotonic() >= next_log_s:
                    next_log_s = tools.clock.monotonic() + LOG_S
                    tools.log(f"watching the canary, {left_s:.0f} s to go")
                time.sleep(min(HEALTH_S, left_s))
                for address, node in nodes.items():
                    found += self._look(address, node.health(), first, last, bad)
            watched_s = tools.clock.monotonic() - began_s
            for address in nodes if not found else ():
                found += self._verdict(address, first[address], last[address])
        return CanaryReport(
            plan_id=self._plan.plan_id,
            digest=self._plan.digest,
            passed=not found,
            began_at=began.isoformat(),
            ended_at=tools.clock.now().isoformat(),
            watched_s=watched_s,
            reasons=tuple(found),
            figures={address: _figures(first[address], last[address]) for address in first},
        )

    def _look(
        self, address: str, reading: Reading, first: dict[str, Reading], last: dict[str, Reading], bad: dict[str, int]
    ) -> Sequence[str]:
        """Why the watch is over: another process, or a figure that stays bad."""
        if reading.run_id != first[address].run_id:
            return [f"{address}: the server was restarted or failed over"]
        now = reasons(
            reading,
            last[address],
            self._settings,
            critical_ratio=self._critical,
            start_round_trip_s=self._start_s(address, first[address]),
        )
        last[address] = reading
        for kind in [kind for kind in bad if kind.startswith(f"{address} ") and kind.split(" ")[1] not in now]:
            del bad[kind]
        for kind in now:
            bad[f"{address} {kind}"] = bad.get(f"{address} {kind}", 0) + 1
        return [f"{address}: {text}" for kind, text in now.items() if bad[f"{address} {kind}"] >= _BAD_LOOKS]

    def _verdict(self, address: str, first: Reading, last: Reading) -> list[str]:
        found = watch_reasons(
            first,
            last,
            self._normal.get(address),
            self._settings,
            critical_ratio=self._critical,
            start_round_trip_s=self._start_s(address, first),
        )
        return [f"{address}: {text}" for text in found.values()]

    def _start_s(self, address: str, first: Reading) -> float:
        normal = self._normal.get(address)
        return first.round_trip_s if normal is None else normal[0].round_trip_s


def _approved(plan: Plan, tools: ApplyTools) -> Approval:
    """The approval of exactly this plan, for exactly this policy."""
    if plan.policy_hash != tools.policy.hash:
        raise BadInput(
            "the policy was changed after the plan was made",
            where=f"policy of {plan.cluster}",
            todo="Trigger the remediation again, for a new plan.",
        )
    approval = tools.approve()
    if (approval.plan_id, approval.digest) != (plan.plan_id, plan.digest):
        raise BadInput("the approval is another plan's", where=plan.plan_id, found=approval.plan_id)
    # Words that can't be read are refused before anything is written, not in the middle.
    parse_rate(plan.rate)
    parse_load(plan.load)
    return approval


def _refuse_too_many(plan: Plan, accounts: Mapping[int, RuleAccount]) -> None:
    for rule in plan.included:
        account = accounts.get(rule.number, RuleAccount())
        found = account.left + account.already_ours
        if found > rule.limit_keys:
            raise TooManyMatches(
                f"the rule {rule.pattern} matches more keys than were planned",
                where=plan.plan_id,
                found=f"{found:,} keys",
                allowed=f"at most {rule.limit_keys:,} (planned {rule.change_keys:,})",
                todo="Nothing was written. Audit again and make a new plan, or correct the rule.",
            )
    found = sum(each.left + each.already_ours for each in accounts.values())
    if plan.limit_keys is not None and found > plan.limit_keys:
        raise TooManyMatches(
            "the rules together match more keys than one run may change",
            where=plan.plan_id,
            found=f"{found:,} keys",
            allowed=f"at most {plan.limit_keys:,} (planned {plan.change_keys:,})",
            todo="Nothing was written. Audit again and make a new plan, take fewer rules at a time, or raise the policy's caps.",
        )


def _refuse_due(now_s: float, due_s: float) -> None:
    """An instant in the past would delete its key."""
    if now_s >= due_s:
        raise Ended(Outcome.ABORTED, "the first of the plan's expiries is due already")


def _require_canary_written(plan: Plan, tools: ApplyTools) -> None:
    done = any(each.part == CANARY and each.outcome is Outcome.DONE for each in tools.documents.parts())
    if not done:
        raise Aborted(
            "the canary of this plan hasn't been written",
            where=plan.plan_id,
            todo="Clear the task apply_canary, and let it run; marking it does nothing.",
        )


def _require_canary_passed(plan: Plan, tools: ApplyTools) -> None:
    _require_canary_written(plan, tools)
    checks = sorted(map(CanaryReport.from_json, tools.documents.results(CHECK)), key=lambda each: each.ended_at)
    if not checks or not checks[-1].passed or checks[-1].digest != plan.digest:
        raise Aborted(
            "the canary of this plan hasn't been passed",
            where=plan.plan_id,
            found="; ".join(checks[-1].reasons) if checks else "no check",
            todo="Clear the task check_canary, and let it run; marking it does nothing.",
        )


def _answered_by_others(plan: Plan, shard: Shard, tools: ApplyTools, run_id: str) -> bool:
    """Whether a shard of the same database was finished over another server process, and none read all of it."""
    numbers = {
        f"shard-{number}" for number, each in enumerate(plan.shards) if (each.node, each.db) == (shard.node, shard.db)
    }
    done = [each for each in tools.documents.parts() if each.part in numbers and each.outcome is Outcome.DONE]
    return any(each.run_id != run_id for each in done) and not any(each.whole for each in done)


def _identity(plan: Plan, shard: Shard) -> NodeIdentity:
    return next(node for node in plan.nodes if node.address == shard.node)


def _open(account: RuleAccount) -> int:
    """The keys of a decided account that shall change."""
    return account.met - account.already_ours - account.had_ttl - account.hot - account.vanished


def _baseline(documents: PlanDocuments) -> dict[str, tuple[Reading, Reading]]:
    found = documents.results(_BASELINE)
    if not found:
        return {}
    return {address: (Reading(**pair[0]), Reading(**pair[1])) for address, pair in found[-1].items()}


def _figures(first: Reading, last: Reading) -> dict[str, float | None]:
    return {
        "memory_ratio": last.memory_ratio,
        "evicted_keys_per_s": rate_per_s("evicted_keys", first, last),
        "misses_per_s": rate_per_s("misses", first, last),
        "errors_per_s": rate_per_s("errors", first, last),
        "round_trip_ms": last.round_trip_s * 1e3,
    }
