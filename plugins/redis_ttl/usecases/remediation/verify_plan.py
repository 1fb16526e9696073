"""Looks at the keyspace once more after a remediation, and says what became of every key that the plan was about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.audit.shards import SplitRule, split, unsettled_slots
from redis_ttl.domain.errors import BadInput, NotVerified, OtherServer, RedisTtlError, SlotsMoved
from redis_ttl.domain.policy.guards import CLOCKS_DIFFER_S
from redis_ttl.domain.remediation.parts import CANARY, shard_part
from redis_ttl.domain.remediation.remediation import Outcome, RuleAccount, add_accounts
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.journals import approvals_ms
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.remediation.remediation import PartResult
    from redis_ttl.domain.rollback.journal import JournalName
    from redis_ttl.usecases.ports import Clock, Documents, Expiries, Node, Redis
    from redis_ttl.usecases.remediation.verify_ports import Ledger

#: Keys whose use is asked for at most; where more are suspect, something is wrong with all of them.
_ASKED_AT_MOST: Final = 20_000
#: How often everything is looked at where slots move meanwhile.
_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class VerifyTools:
    """What verifying needs from the outside.

    ``new_ledger`` makes an empty ledger for a plan (``adapters.writing.verify_ledger.VerifyLedger``). ``progress`` hears, after
    each batch, how many keys were met of about how many.
    """

    redis: Redis
    documents: Documents
    policy: Policy
    new_ledger: Callable[[Plan, Policy], Ledger]
    progress: Callable[[int, int], None]
    clock: Clock


def verify_plan(plan: Plan, tools: VerifyTools) -> Verification:
    """Scan every database of the plan on the primaries of now, and write ``results/<plan_id>/verify-*.json``.

    A key of the audit that has no TTL and that we never journalled was either overlooked or away while we wrote, and
    nothing that a server keeps tells the two apart for certain. The time of its last use does as far as it goes: a key
    that wasn't used since before we began was there, and counts as missed. So does, where the server counts uses
    instead, one that shows none. What we overlook isn't chosen by its use: a fault of ours shows among the unused keys.

    In a cluster that moves slots while we look, everything is looked at again, a few times at most, and keys of the journal that
    weren't met are asked for by name wherever they are. An object of the journal that can't be read is named, and what the others
    say is verified all the same: :func:`refuse_unverified` says whether the result is a good one.

    Raises :class:`BadInput` when the policy isn't the plan's any more: its rules would mean other keys.
    """
    if tools.policy.hash != plan.policy_hash:
        raise BadInput(
            "the policy was changed after the plan was made, so its rules mean other keys",
            where=f"policy of {plan.cluster}",
            found=tools.policy.hash[:12],
            allowed=plan.policy_hash[:12],
            todo="Put the policy back as it was and verify again, or run an audit.",
        )
    began = tools.clock.now()
    documents = PlanDocuments(tools.documents, plan.cluster, plan.plan_id)
    parts = documents.parts()
    finished = {part.part for part in parts if part.outcome is Outcome.DONE}
    complete = all(shard_part(number) in finished for number in range(len(plan.shards)))
    ledger = tools.new_ledger(plan, tools.policy)
    names, unreadable = _fill(ledger, plan, tools.documents, documents, finished)
    look = _Look(plan, tools, ledger, complete=complete, began_at=_writing_began(parts))
    moving = look.until_at_rest(lambda: (documents.journal(name) for name in names))
    notes = []
    if moving:
        notes.append(
            f"{moving} slots were moving between nodes during this look: keys in them may be counted twice or not at all"
        )
    if unreadable:
        notes.append(
            "objects of the journal are damaged or missing, and what they said is unknown: " + ", ".join(unreadable)
        )
    if not complete:
        notes.append(
            "the run ended before every shard was written to its end: keys that it didn't reach are counted as left"
        )
    notes += [
        f"the clock of {address} is {ahead_s:+,.0f} s off ours: what has expired is judged by the server's"
        for address, ahead_s in look.clocks.items()
    ]
    figures = ledger.result(look.slowest_now_ms())
    notes += _untold(plan, figures)
    accounts = _accounts(parts)
    verification = Verification(
        plan_id=plan.plan_id,
        digest=plan.digest,
        began_at=began.isoformat(),
        ended_at=tools.clock.now().isoformat(),
        scanned=look.keys,
        no_ttl_keys=look.no_ttl_keys,
        used_bytes=look.used_bytes,
        complete=complete,
        rules=tuple(
            VerifiedRule(
                number=rule.number,
                pattern=rule.pattern,
                mode=rule.mode.value,
                planned=rule.change_keys,
                refusal=rule.refusal,
                **figures.get(rule.number, {}),
                **_left_alone(accounts.get(rule.number, RuleAccount())),
            )
            for rule in plan.rules
        ),
        notes=tuple(notes),
        unreadable=unreadable,
        moving_slots=moving,
        strangers=tuple(look.strangers),
    )
    if verification.mostly_gone:
        verification = replace(verification, notes=(*notes, _gone_note(verification)))
    documents.write_verification(verification)
    return verification


def _gone_note(verification: Verification) -> str:
    gone, journalled = (sum(getattr(rule, name) for rule in verification.rules) for name in ("gone", "journalled"))
    note = f"{gone:,} of {journalled:,} keys that were written are gone before their time: deleted, evicted, or the data set was emptied"
    if verification.strangers:
        note += f"; {', '.join(verification.strangers)} doesn't continue the data set of the plan (replaced, restarted, or filled anew)"
    return note


def refuse_unverified(verification: Verification) -> None:
    """Raise what keeps a verification from being a good one, and nothing if it is: :class:`SlotsMoved` where another look may
    know better, :class:`OtherServer` where another data set answers, :class:`NotVerified` for keys that were missed, keys without
    a row in the journal, and a journal that can't be read whole.
    """
    where = f"plan {verification.plan_id}"
    if verification.moving_slots:
        raise SlotsMoved(
            "slots moved between nodes during every look, so what became of their keys isn't certain",
            where=where,
            found=f"{verification.moving_slots:,} slots",
            allowed="a cluster at rest",
            todo="Clear verify when resharding is over; CLUSTER NODES shows slots that are on their way in brackets.",
        )
    if verification.strangers and verification.mostly_gone:
        raise OtherServer(
            "most of what was written is gone, and what answers isn't the data set of the plan",
            where=where,
            found=", ".join(verification.strangers),
            todo="The server was replaced, restarted without its data, or filled anew. If it was put back since, clear verify.",
        )
    faults = []
    if verification.missed:
        faults.append(f"{verification.missed:,} keys were missed")
    if verification.unjournalled:
        faults.append(f"{verification.unjournalled:,} keys have our expiry and no row in the journal")
    if verification.unreadable:
        faults.append("objects of the journal are damaged or missing: " + ", ".join(verification.unreadable))
    if faults:
        only_missed = not (verification.unjournalled or verification.unreadable)
        raise NotVerified(
            "; ".join(faults),
            where=where,
            allowed="none",
            todo="Clear apply_shard with its downstream tasks while the approval is good."
            if only_missed
            else "Put the journal back from a copy of the store, and clear verify; a rollback restores what the journal still tells.",
        )


@dataclass(slots=True)
class _Look:
    """The scan under way."""

    plan: Plan
    tools: VerifyTools
    ledger: Ledger
    complete: bool
    began_at: datetime | None
    keys: int = 0
    no_ttl_keys: int = 0
    used_bytes: int | None = None
    asked: int = 0
    strangers: list[str] = field(default_factory=list)
    ahead_s: float = 0.0
    aheads_s: list[float] = field(default_factory=list)
    clocks: dict[str, float] = field(default_factory=dict)

    def now_ms(self) -> int:
        """The time by the clock of the server that is looked at: it decides when a key expires, whatever ours says."""
        return int((self.tools.clock.now().timestamp() + self.ahead_s) * 1000)

    def slowest_now_ms(self) -> int:
        """The time by the clock that is furthest behind: whichever node a key was on, none is taken for expired that was deleted."""
        return int((self.tools.clock.now().timestamp() + min(self.aheads_s, default=0.0)) * 1000)

    def _set_clock(self, profile: ServerProfile) -> None:
        self.ahead_s = 0.0 if profile.time_s is None else profile.time_s - self.tools.clock.now().timestamp()
        self.aheads_s.append(self.ahead_s)
        if abs(self.ahead_s) > CLOCKS_DIFFER_S:
            self.clocks[profile.address] = self.ahead_s

    def until_at_rest(self, journal: Callable[[], Iterable[bytes]]) -> int:
        """Look at everything, again while slots move, a few times at most; how many slots moved during the last look.

        In a cluster, keys of the ``journal`` that no look met are asked for by name.
        """
        moving: frozenset[int] = frozenset()
        with self.tools.redis.expiries() as expiries:
            for _ in range(_LOOKS):
                before = self.tools.redis.slot_claims()
                self.ledger.begin_again(in_cluster=bool(before))
                self.at_everything(expiries)
                moving = unsettled_slots(before, self.tools.redis.slot_claims())
                if not moving:
                    break
            if before:
                for document in journal():
                    for db, unseen in self.ledger.unseen(document):
                        unseen.expire(expiries.read(db, unseen.asked))
        return len(moving)

    def at_everything(self, expiries: Expiries) -> None:
        """One look, from the beginning."""
        self.keys = self.no_ttl_keys = self.asked = 0
        self.aheads_s.clear()
        profiles: list[ServerProfile] = []
        databases = sorted({shard.db for shard in self.plan.shards})
        for address in self.tools.redis.nodes(AuditOptions()):
            for place, db in enumerate(databases):
                with self.tools.redis.connect(address, db) as node:
                    if not place:
                        profiles.append(profile := node.profile())
                        self._set_clock(profile)
                    self._at_database(node, db, expiries)
        self.strangers = self._strangers(profiles)
        used = [profile.used_memory_bytes for profile in profiles]
        self.used_bytes = None if None in used else sum(each or 0 for each in used)

    def _strangers(self, profiles: Sequence[ServerProfile]) -> list[str]:
        """The servers that don't continue the plan's. A cluster is one data set: nodes that have joined it since are none."""
        found = [
            profile.address
            for profile in profiles
            if not any(
                node.is_continued_by(
                    run_id=profile.run_id, lineage=profile.lineage, former_lineage=profile.former_lineage
                )
                for node in self.plan.nodes
            )
        ]
        in_cluster = any(profile.cluster_enabled for profile in profiles)
        return found if not in_cluster or len(found) == len(profiles) else []

    def _at_database(self, node: Node, db: int, expiries: Expiries) -> None:
        run_id = node.run_id()
        (whole,) = split(node=node.address, run_id=run_id, db=db, rule=SplitRule.SEQUENTIAL, dbsize=0, wanted=1)
        with node.reader(whole, load_share=1, samples=()) as reader:
            for batch in reader.batches(None):
                judged = self.ledger.judge(db, batch.frame, now_ms=self.now_ms())
                self.keys += batch.keys
                self.no_ttl_keys += judged.no_ttl_keys
                if asked := judged.asked:
                    judged.expire(expiries.read(db, asked, at=node.address))
                if suspects := judged.suspects:
                    if self._may_ask(len(suspects)):
                        reader.ask(suspects)
                        judged.use(reader.all_answers(), since_s=self._since_s())
                    else:
                        judged.settle(left=not self.complete)
                self.tools.progress(self.keys, self.plan.keys)

    def _may_ask(self, keys: int) -> bool:
        if not self.complete or self.asked + keys > _ASKED_AT_MOST:
            return False
        self.asked += keys
        return True

    def _since_s(self) -> float:
        return 0.0 if self.began_at is None else (self.tools.clock.now() - self.began_at).total_seconds()


def _fill(
    ledger: Ledger, plan: Plan, store: Documents, documents: PlanDocuments, finished: set[str]
) -> tuple[list[JournalName], tuple[str, ...]]:
    """Add everything; the journal objects that could be read, and the names of those that couldn't, or aren't there."""
    ledger.add_approvals(approvals_ms(documents))
    audit = AuditFolder(store, plan.cluster, plan.audit_id)
    seed = audit.plan().seed
    for path in audit.fingerprints():
        ledger.add_fingerprints(store.read(path), seed=seed)
    read: list[JournalName] = []
    names = [name for name in documents.journal_names() if not name.undoes]
    unreadable = list(documents.journal_gaps(names).texts())
    for name in names:
        try:
            ledger.add_journal(documents.journal(name), finished=name.part in finished)
        except RedisTtlError:
            unreadable.append(str(name))
        else:
            read.append(name)
    return read, tuple(sorted(unreadable))


def _untold(plan: Plan, figures: Mapping[int, Mapping[str, int]]) -> list[str]:
    """A note on keys that may have been missed, where the server can't tell."""
    found = {rule.pattern: keys for rule in plan.rules if (keys := figures.get(rule.number, {}).get("untold", 0))}
    if not found:
        return []
    shown = ", ".join(f"{keys:,} of {pattern}" for pattern, keys in found.items())
    note = (
        f"keys of the audit still have no TTL and weren't written since ({shown}): under its eviction policy the server tells the last "
        "write and not the last use, so whether they were missed or away meanwhile isn't known; audit again, and plan what is left"
    )
    return [note]


def _writing_began(parts: Sequence[PartResult]) -> datetime | None:
    """When the first shard began; the canary is as old as its watch, and met only its own keys."""
    began = [datetime.fromisoformat(part.began_at) for part in parts if part.part != CANARY]
    return min(began, default=None)


def _accounts(parts: Sequence[PartResult]) -> dict[int, RuleAccount]:
    """What the shards' last attempts met and left alone; the canary met all keys too, and would count them twice."""
    last = {part.part: part for part in parts}
    shards = [part.accounts for name, part in last.items() if name != CANARY]
    return add_accounts(shards or [part.accounts for part in last.values()])


def _left_alone(account: RuleAccount) -> dict[str, int]:
    return {name: getattr(account, name) for name in ("had_ttl", "raced", "vanished", "hot")}
