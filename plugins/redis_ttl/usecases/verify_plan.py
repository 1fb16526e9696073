"""Looks at the keyspace once more after a remediation, and says what became of every key that the plan was about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit import AuditOptions
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.remediation import Outcome, RuleAccount, add_accounts
from redis_ttl.domain.shards import SplitRule, split
from redis_ttl.domain.verification import Verification, VerifiedRule
from redis_ttl.usecases.documents import AuditFolder
from redis_ttl.usecases.plan_documents import PlanDocuments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.plan import Plan
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.remediation import PartResult
    from redis_ttl.usecases.ports import Clock, Documents, Node, Redis
    from redis_ttl.usecases.verify_ports import Ledger

#: Keys whose use is asked for at most; where more are suspect, something is wrong with all of them.
_ASKED_AT_MOST: Final = 20_000
_CANARY: Final = "canary"


@dataclass(frozen=True, slots=True)
class VerifyTools:
    """What verifying needs from the outside.

    ``new_ledger`` makes an empty ledger for a plan (``adapters.verify_ledger.VerifyLedger``). ``progress`` hears, after
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
    complete = all(f"shard-{number}" in finished for number in range(len(plan.shards)))
    ledger = tools.new_ledger(plan, tools.policy)
    _fill(ledger, plan, tools.documents, documents, finished)
    look = _Look(plan, tools, ledger, complete=complete, began_at=_writing_began(parts))
    topology = tools.redis.topology()
    look.at_everything()
    notes = []
    if tools.redis.topology() != topology:
        notes.append("slots moved between nodes during this look: keys on the way may be counted twice or as gone")
    if not complete:
        notes.append(
            "the run ended before every shard was written to its end: keys that it didn't reach are counted as left"
        )
    figures = ledger.result(int(tools.clock.now().timestamp() * 1000))
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
    )
    documents.write_result("verify", verification.to_json())
    return verification


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

    def at_everything(self) -> None:
        databases = sorted({shard.db for shard in self.plan.shards})
        for address in self.tools.redis.nodes(AuditOptions()):
            for place, db in enumerate(databases):
                with self.tools.redis.connect(address, db) as node:
                    if not place:
                        used = node.profile().used_memory_bytes
                        self.used_bytes = None if used is None else (self.used_bytes or 0) + used
                    self._at_database(node, db)

    def _at_database(self, node: Node, db: int) -> None:
        run_id = node.run_id()
        (whole,) = split(node=node.address, run_id=run_id, db=db, rule=SplitRule.SEQUENTIAL, dbsize=0, wanted=1)
        with node.reader(whole, load_share=1, samples=()) as reader:
            for batch in reader.batches(None):
                judged = self.ledger.judge(db, batch.frame)
                self.keys += batch.keys
                self.no_ttl_keys += judged.no_ttl_keys
                if judged.ours:
                    judged.expire(node.expiries(judged.ours))
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


def _fill(ledger: Ledger, plan: Plan, store: Documents, documents: PlanDocuments, finished: set[str]) -> None:
    audit = AuditFolder(store, plan.cluster, plan.audit_id)
    for path in audit.read_json("audit.json")["fingerprints"]:
        ledger.add_fingerprints(store.read(path))
    for name in documents.journal_names():
        if not name.undoes:
            ledger.add_journal(documents.journal(name), finished=name.part in finished)


def _writing_began(parts: Sequence[PartResult]) -> datetime | None:
    """When the first shard began; the canary is as old as its watch, and met only its own keys."""
    began = [datetime.fromisoformat(part.began_at) for part in parts if part.part != _CANARY]
    return min(began, default=None)


def _accounts(parts: Sequence[PartResult]) -> dict[int, RuleAccount]:
    """What the shards' last attempts met and left alone; the canary met all keys too, and would count them twice."""
    last = {part.part: part for part in parts}
    shards = [part.accounts for name, part in last.items() if name != _CANARY]
    return add_accounts(shards or [part.accounts for part in last.values()])


def _left_alone(account: RuleAccount) -> dict[str, int]:
    return {name: getattr(account, name) for name in ("had_ttl", "raced", "vanished", "hot")}
