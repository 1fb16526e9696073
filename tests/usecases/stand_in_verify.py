"""A deployment and a ledger that do what a test of a verification tells them, and remember what they are asked.

They mirror ``adapters.server.deployment`` and ``adapters.writing.verify_ledger``; that a verification works with the real ones is what
``test_verify_plan`` and ``test_verify_journal`` show.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.remediation.policies import policy_of, rule
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import AUDIT_SCHEMA, AuditOptions, AuditPlan
from redis_ttl.domain.audit.shards import Shard, SlotClaims, SplitRule
from redis_ttl.domain.errors import DamagedDocument
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.remediation.remediation import Outcome, PartResult, RuleAccount
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.remediation.verify_plan import VerifyTools, verify_plan
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.plans import plan_of

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
ATTEMPT = "20261128T010101000Z-abcdef"
LATER = "20261128T020202000Z-abcdef"
POLICY = policy_of(rule("a:{n}"), rule("b:{n}"), rule("c:{n}", sign_off=None))
#: Two shards of database 0 and one of database 3.
PLAN = replace(
    plan_of(POLICY),
    shards=tuple(Shard(number, 1, "n", "r", number // 2 * 3, SplitRule.BITS, 0, 0) for number in range(3)),
    keys=7,
)


class StoppedClock:
    """It is noon."""

    def now(self) -> dt.datetime:
        """The moment."""
        return NOW

    def monotonic(self) -> float:
        """Nobody asks."""
        raise NotImplementedError


@dataclass
class Judged:
    """A batch of the stand-in ledger, and what it heard."""

    ledger: Ledger
    name: str
    asked: Sequence[bytes] = ()
    suspects: Sequence[bytes] = ()
    no_ttl_keys: int = 0

    def expire(self, expiries: Any) -> None:
        """Hear it."""
        self.ledger.heard.append((self.name, "expire", expiries))

    def use(self, facts: Any, *, since_s: float) -> None:
        """Hear it."""
        self.ledger.heard.append((self.name, "use", (tuple(facts), since_s)))

    def settle(self, *, left: bool) -> None:
        """Hear it."""
        self.ledger.heard.append((self.name, "settle", left))


@dataclass
class Ledger:
    """Remembers what it is told; a batch is what the deployment's batch says it is."""

    filled: list[Any] = field(default_factory=list)
    begun: list[bool] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    judged: list[tuple[int, str, int]] = field(default_factory=list)
    figures: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    hidden: Mapping[bytes, list[tuple[int, bytes]]] = field(default_factory=dict)
    resulted: list[int] = field(default_factory=list)

    def add_approvals(self, approved_at_ms: Any) -> None:
        """Remember."""
        self.filled.append(("approvals", sorted(approved_at_ms)))

    def add_fingerprints(self, document: bytes, *, seed: int = 0) -> None:
        """Remember."""
        self.filled.append(("fingerprints", document, seed))

    def add_journal(self, document: bytes, *, finished: bool) -> None:
        """Remember, or find it damaged."""
        if document == b"no journal":
            raise DamagedDocument("what it isn't")
        self.filled.append(("journal", document, finished))

    def begin_again(self, *, in_cluster: bool = False) -> None:
        """Another look."""
        self.begun.append(in_cluster)

    def judge(self, db: int, frame: Any, *, now_ms: int) -> Judged:
        """As the batch says."""
        self.judged.append((db, frame["name"], now_ms))
        return Judged(self, **frame)

    def unseen(self, document: bytes) -> Iterator[tuple[int, Judged]]:
        """What the test hid in it."""
        for db, key in self.hidden.get(document, ()):
            yield db, Judged(self, f"unseen {document.decode()}", asked=[key])

    def result(self, now_ms: int) -> Mapping[int, Mapping[str, int]]:
        """The test's figures."""
        self.resulted.append(now_ms)
        return self.figures


@dataclass
class Deployment:
    """Batches by node and database, claims of slots look by look, memory by node."""

    batches: Mapping[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)
    addresses: Sequence[str] = ("n1:1",)
    claims: list[Mapping[str, SlotClaims]] = field(default_factory=list)
    used_bytes: Mapping[str, int | None] = field(default_factory=dict)
    lineages: Mapping[str, str] = field(default_factory=dict)
    in_cluster: bool = False
    ahead_s: float | None = None
    aheads_s: Mapping[str, float | None] = field(default_factory=dict)
    """Of some nodes, in place of ``ahead_s``."""
    """By how much the servers' clocks are ahead of ours; None where they don't tell the time."""
    read: list[Any] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    def nodes(self, options: AuditOptions) -> Sequence[str]:
        """The primaries."""
        assert options == AuditOptions()
        return self.addresses

    def slot_claims(self) -> Mapping[str, SlotClaims]:
        """The next ones; none for ever after."""
        return self.claims.pop(0) if self.claims else {}

    @contextmanager
    def expiries(self) -> Iterator[Any]:
        """Answers with what it was asked."""

        def read(db: int, keys: Sequence[bytes], *, at: str | None = None) -> Any:
            return db, tuple(keys), at

        yield SimpleNamespace(read=read)

    @contextmanager
    def connect(self, address: str, db: int) -> Iterator[Any]:
        """One database of one node."""

        @contextmanager
        def reader(shard: Shard, *, load_share: int, samples: Sequence[bytes]) -> Iterator[Any]:
            self.read.append((shard.node, shard.db, shard.rule, shard.of, load_share, tuple(samples)))
            waiting: list[bytes] = []

            def batches(cursor: int | None) -> Iterator[Any]:
                assert cursor is None
                for each in self.batches.get((address, db), ()):
                    yield SimpleNamespace(frame=each, keys=10)

            def all_answers() -> list[bytes]:
                answers, waiting[:] = list(waiting), []
                return answers

            def ask(keys: Sequence[bytes]) -> None:
                waiting.extend(keys)
                self.asked.extend(keys)

            yield SimpleNamespace(batches=batches, ask=ask, all_answers=all_answers)

        ahead_s = self.aheads_s.get(address, self.ahead_s)
        profile = SimpleNamespace(
            address=address,
            run_id="z" * 40,
            lineage=self.lineages.get(address, PLAN.nodes[0].lineage),
            former_lineage="",
            cluster_enabled=self.in_cluster,
            used_memory_bytes=self.used_bytes.get(address, 100),
            time_s=None if ahead_s is None else NOW.timestamp() + ahead_s,
        )
        yield SimpleNamespace(address=address, run_id=lambda: "r", profile=lambda: profile, reader=reader)


@dataclass
class Verifying:
    """One verification of the plan, with a store that holds what the test puts there."""

    folder: Path
    redis: Deployment = field(default_factory=Deployment)
    ledger: Ledger = field(default_factory=Ledger)
    plan: Plan = PLAN
    progress: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)
        self.documents = PlanDocuments(self.store, PLAN.cluster, PLAN.plan_id)
        audit = AuditFolder(self.store, PLAN.cluster, PLAN.audit_id)
        made = AuditPlan(PLAN.audit_id, PLAN.cluster, "x", AuditOptions(), None, (), (), (), seed=77)
        audit.write_plan(made)
        paths = [f"{audit.path}/fingerprints-{number}" for number in range(2)]
        for number, path in enumerate(paths):
            self.store.write(path, b"f%d" % number)
        said = json.dumps({"schema": AUDIT_SCHEMA, "fingerprints": paths})
        self.store.write(f"{audit.path}/audit.json", said.encode())

    def part(
        self,
        part: str,
        attempt: str = ATTEMPT,
        *,
        began: dt.datetime = NOW,
        outcome: Outcome = Outcome.DONE,
        objects: int = 0,
        **account: int,
    ) -> None:
        """What an attempt came to, with an account of rule 0."""
        result = PartResult(
            plan_id=PLAN.plan_id,
            part=part,
            attempt=attempt,
            outcome=outcome,
            began_at=began.isoformat(),
            ended_at=NOW.isoformat(),
            scanned=0,
            accounts={0: RuleAccount(**account)},
            journal_objects=objects,
            journal_bytes=0,
        )
        self.documents.write_part(result)

    def all_done(self) -> None:
        """Every shard was written."""
        for number in range(3):
            self.part(f"shard-{number}")

    def journal(self, part: str, data: bytes, attempt: str = ATTEMPT, number: int = 0) -> str:
        """An object; its name."""
        return str(self.documents.write_journal(JournalName(attempt, part, number), data))

    def run(self) -> Verification:
        """Verify."""
        tools = VerifyTools(
            self.redis,  # type: ignore[arg-type]
            self.store,
            POLICY,
            lambda _plan, _policy: self.ledger,
            lambda met, of: self.progress.append((met, of)),
            StoppedClock(),
        )
        return verify_plan(self.plan, tools)
