"""How ``store_0_1`` was made: one document of every kind, by the code of version 0.1 (commit 548cecd).

    git worktree add /tmp/redis_ttl_0_1 548cecd
    cd /tmp/redis_ttl_0_1
    PYTHONPATH=plugins:. python .../tests/data/make_store_0_1.py .../tests/data/store_0_1

It runs on that code only, with the imports of then, and never again needs to: what it wrote is kept. ``keyspace.json`` says of
every key of the two databases when it expired before the plan in force was written, and afterwards (ms since 1970, null
without a TTL; the names' bytes as Latin-1).
"""
# ruff: noqa: ARG001, D101, D102, D103, I001, PLR0915, T201  # a record of what was run, and no part of any test

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis_ttl.adapters.journal_reader import NewestRows
from redis_ttl.adapters.key_comparison import KeyComparison
from redis_ttl.adapters.key_restorer import KeyRestorer
from redis_ttl.adapters.pattern_merger import names_in_report, read_patterns
from redis_ttl.adapters.policy_file import load_policy
from redis_ttl.adapters.redis_deployment import RedisDeployment
from redis_ttl.adapters.redis_endpoint import endpoint_from_url
from redis_ttl.adapters.redis_link import RedisLink
from redis_ttl.adapters.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.verify_ledger import VerifyLedger
from redis_ttl.adapters.writable_deployment import WritableDeployment
from redis_ttl.domain.approval import GATES, ApprovalRequest
from redis_ttl.domain.audit import AuditOptions
from redis_ttl.domain.control import Wish
from redis_ttl.domain.delivery import Receipt
from redis_ttl.domain.document_ids import document_id
from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable, NotApproved
from redis_ttl.domain.load import parse_load
from redis_ttl.domain.message import MessageKind
from redis_ttl.domain.rate import parse_rate
from redis_ttl.domain.verification import Verification
from redis_ttl.messages.as_markdown import as_markdown
from redis_ttl.messages.drift_page import drift_page
from redis_ttl.messages.remediation_page import remediation_page
from redis_ttl.messages.rendering import documents_of
from redis_ttl.usecases.apply_plan import ApplyTools, apply_canary, apply_shard, check_canary
from redis_ttl.usecases.build_plan import build_plan
from redis_ttl.usecases.check_drift import Acceptance, DriftRequest, DriftTools, check_drift
from redis_ttl.usecases.confirm_approval import (
    FormAnswer,
    GateTrace,
    Mark,
    confirm_approval,
    decide_answer,
    require_approval,
)
from redis_ttl.usecases.documents import AuditFolder
from redis_ttl.usecases.message_ports import Composed, Envelope
from redis_ttl.usecases.message_sources import MessageSources
from redis_ttl.usecases.plan_documents import PlanDocuments
from redis_ttl.usecases.read_audit import read_audit
from redis_ttl.usecases.restore_journal import (
    RestoreOptions,
    RestoreTools,
    chosen_rules,
    load_journal,
    restore_part,
    whole_journal,
)
from redis_ttl.usecases.send_messages import MessageTools, deliver_due, post_message
from redis_ttl.usecases.verify_plan import VerifyTools, verify_plan
from tests.servers import REDIS_7, run_server
from tests.usecases.auditing import Auditing
from tests.usecases.watching import Watching

YEAR_S = 365 * 86_400
CLUSTER = "shop"


class NoWish:
    def read(self) -> Wish:
        return Wish()


class History:
    def __init__(self, trace: GateTrace) -> None:
        self._trace = trace

    def trace(self, gate: str) -> GateTrace:
        return self._trace if gate == GATES[1] else GateTrace()


class Maker:
    """One cluster, one store."""

    def __init__(self, url: str, root: Path, policy_file: Path) -> None:
        self.url = url
        self.root = root
        self.store = Store(root)
        self.policy = load_policy(policy_file)
        self.endpoint = endpoint_from_url(url)

    def audit(self, policy: Any = None) -> str:
        audit_id = document_id(dt.datetime.now(dt.UTC), secrets.token_hex(3))
        options = AuditOptions(load="fast", databases=(0, 1))
        Auditing(self.url, self.root, options, policy or self.policy, audit_id, CLUSTER).run()
        time.sleep(1.1)  # ids are seconds
        return audit_id

    def check(self, audit_id: str, accept: Acceptance | None = None) -> Any:
        return check_drift(
            DriftRequest(audit_id, f"redis_ttl.shop.drift_check/manual__{secrets.token_hex(3)}", accept),
            DriftTools(
                documents=self.store,
                policy=self.policy,
                new_comparison=KeyComparison,
                read_patterns=read_patterns,
                names_in_report=names_in_report,
                redis=RedisDeployment(self.endpoint, parse_load("fast")),
                now=SystemClock().now,
                warn=print,
                page=drift_page,
            ),
        )

    def plan(self, audit_id: str, rules: list[str] | None = None) -> PlanDocuments:
        now = dt.datetime.now(dt.UTC)
        plan_id = document_id(now, secrets.token_hex(3))
        plan = build_plan(
            RedisDeployment(self.endpoint, parse_load("fast")),
            read_audit(AuditFolder(self.store, CLUSTER, audit_id), read_patterns),
            self.policy,
            plan_id=plan_id,
            run=f"redis_ttl.shop.remediate/manual__{plan_id}",
            now=now,
            rules=rules,
            rate="unlimited",
            load="fast",
        )
        documents = PlanDocuments(self.store, CLUSTER, plan_id)
        documents.write_plan(plan)
        time.sleep(1.1)
        return documents

    def ask(self, documents: PlanDocuments, gate: str, attempt: int = 1) -> ApprovalRequest:
        plan, now = documents.plan(), dt.datetime.now(dt.UTC).isoformat()
        request = ApprovalRequest(secrets.token_hex(8), plan.plan_id, plan.digest, gate, attempt, now)
        documents.write_request(request)
        return request

    def answer(self, documents: PlanDocuments, request: ApprovalRequest, by: str, *, approves: bool) -> None:
        now = dt.datetime.now(dt.UTC).isoformat()
        answer = FormAnswer(approves, by, now, request.digest, "looks right" if approves else "not this week")
        documents.write_decision(decide_answer(documents, self.policy, request, answer))

    def mark(self, documents: PlanDocuments, by: str) -> None:
        plan, now = documents.plan(), dt.datetime.now(dt.UTC)
        trace = GateTrace(1, now.isoformat(), (Mark(now.isoformat(), by, "success", "agreed"),))
        confirm_approval(
            documents, self.policy, plan, plan.run, now, states={GATES[1]: "success"}, history=History(trace)
        )

    def approve(self, documents: PlanDocuments) -> None:
        self.answer(documents, self.ask(documents, GATES[0]), "lin.wei", approves=True)
        self.ask(documents, GATES[1])
        self.mark(documents, "maria")

    def apply_tools(self, documents: PlanDocuments) -> ApplyTools:
        plan = documents.plan()
        return ApplyTools(
            redis=WritableDeployment(self.endpoint, parse_load("fast")),
            documents=documents,
            policy=self.policy,
            approve=lambda: require_approval(documents, self.policy, plan, plan.run, dt.datetime.now(dt.UTC)),
            control=NoWish(),
            clock=SystemClock(),
            log=print,
            token=secrets.token_hex(3),
        )

    def apply(self, documents: PlanDocuments, *, dies_in: int | None = None) -> None:
        plan = documents.plan()
        apply_canary(plan, self.apply_tools(documents))
        check_canary(plan, self.apply_tools(documents))
        for number in range(len(plan.shards)):
            if number == dies_in:
                command = [sys.executable, __file__, "die", self.url, str(self.root), plan.plan_id, str(number)]
                died = subprocess.run(command, check=False)
                if died.returncode != -signal.SIGKILL:
                    raise RuntimeError(f"it didn't die: {died.returncode}")
                time.sleep(0.01)
            apply_shard(plan, number, self.apply_tools(documents))

    def verify(self, documents: PlanDocuments) -> Verification:
        plan = documents.plan()
        redis = RedisDeployment(self.endpoint, parse_load("fast"))
        tools = VerifyTools(redis, self.store, self.policy, VerifyLedger, lambda _m, _o: None, SystemClock())
        verification = verify_plan(plan, tools)
        documents.write_page("report", remediation_page(plan, documents.parts(), documents.decisions(), verification))
        return verification

    def roll_back(self, documents: PlanDocuments, patterns: list[str], *, dry_run: bool) -> None:
        plan = documents.plan()
        options = RestoreOptions(dry_run, chosen_rules(plan, patterns))
        restored = [
            restore_part(plan, part, options, self.restore_tools(documents))
            for part in load_journal(documents, parts=2)
        ]
        found = restore_part(
            plan, whole_journal(documents), replace(options, dry_run=True), self.restore_tools(documents)
        )
        first = restored[0]
        for other in restored[1:]:
            sums = {
                rule: account + other.accounts.get(rule, type(account)()) for rule, account in first.accounts.items()
            }
            first = replace(first, accounts={**other.accounts, **sums}, part="rollback")
        documents.write_result("rollback_check", {"restored": first.to_json(), "found": found.to_json()})

    def restore_tools(self, documents: PlanDocuments) -> RestoreTools:
        return RestoreTools(
            documents=documents,
            open_restorer=lambda: KeyRestorer(self.endpoint, parse_load("fast"), parse_rate("unlimited")),
            new_rows=NewestRows,
            control=NoWish(),
            rate=parse_rate("unlimited"),
            sharers=1,
            progress=lambda _d, _o: None,
            log=print,
            clock=SystemClock(),
            token=secrets.token_hex(3),
        )

    def tell(self, kind: MessageKind, which: str, send: Any) -> None:
        def compose(facts: Any, contact: Any, news: Any) -> Composed:
            documents = documents_of(facts, languages=contact.languages, timezone="UTC", news=news)
            return Composed([each.to_json() for each in documents], as_markdown(documents))

        tools = MessageTools(self.store, self.policy, compose, send, SystemClock())
        for owner, facts in MessageSources(self.store, self.policy, read_patterns).facts_of(kind, which):
            post_message(owner, facts, tools)
        deliver_due(tools)


def fill(server: Any) -> None:
    """Keys of every rule in two databases, and others."""
    for db, keys in ((0, 60), (1, 20)):
        with server.client(db) as client:
            for number in range(keys):
                client.set(f"coupon:{number}", "x")
                client.set(f"seen:{number}", "x", **({"ex": 20 * YEAR_S + number} if number % 3 else {}))
                client.restore(f"cold:{number}", 0, client.dump("coupon:0"), idletime=30 * 86_400)
                client.set(f"former:{number}", "x")
                client.set(f"draft:{number}", "x")
            client.set(b"coupon:\xff\xfe", "x")
            client.set("coupon:优惠券", "x")
            client.set("coupon:own", "x", ex=15 * YEAR_S)
            client.set("seen:short", "x", ex=5 * YEAR_S)
            client.set("cold:hot", "x")
            client.set("coupon:template-1", "x")
            client.set("other:1", "x")


def expiries(server: Any) -> dict[str, dict[str, int | None]]:
    found: dict[str, dict[str, int | None]] = {}
    for db in (0, 1):
        with server.client(db) as client:
            at = {key: int(client.execute_command("PEXPIRETIME", key)) for key in client.scan_iter(count=1000)}
            found[str(db)] = {key.decode("latin-1"): None if ms < 0 else ms for key, ms in sorted(at.items())}
    return found


def sent(envelope: Envelope) -> Receipt:
    return Receipt(dt.datetime.now(dt.UTC).isoformat(), "C1", "1700000000.1")


def unreachable(envelope: Envelope) -> Receipt:
    raise ChannelUnavailable("nobody answers", where=envelope.route.name)


def refused(envelope: Envelope) -> Receipt:
    raise ChannelRefused("no such channel", where=envelope.route.name)


def main(folder: Path) -> None:
    root = folder / "store"
    shutil.rmtree(root, ignore_errors=True)
    with run_server(REDIS_7) as server:
        fill(server)
        maker = Maker(server.url, root, folder / "policy.yaml")
        first = maker.audit()
        maker.check(first)
        maker.tell(MessageKind.ACTION_REQUIRED, first, sent)
        # A plan that was written and taken back: a dry run, then a real one.
        former = maker.plan(first, ["former:{id}"])
        maker.approve(former)
        maker.apply(former)
        maker.verify(former)
        maker.roll_back(former, [], dry_run=True)
        maker.roll_back(former, [], dry_run=False)
        maker.tell(MessageKind.ROLLBACK_RESULT, former.plan_id, unreachable)
        # One that somebody refused.
        rejected = maker.plan(first)
        maker.answer(rejected, maker.ask(rejected, GATES[0]), "chen", approves=False)
        with suppress(NotApproved):
            maker.mark(rejected, "maria")
        maker.tell(MessageKind.RUN_ABORTED, rejected.plan_id, refused)
        # The one in force: set, cap and cold in two databases, a rule without a sign-off, an attempt that was killed.
        before = expiries(server)
        plan = maker.plan(
            first, [rule.pattern.text for rule in maker.policy.rules if rule.pattern.text != "former:{id}"]
        )
        maker.approve(plan)
        maker.tell(MessageKind.APPROVAL_REQUESTED, plan.plan_id, sent)
        maker.apply(plan, dies_in=0)
        print(maker.verify(plan))
        after = expiries(server)
        maker.roll_back(plan, [], dry_run=True)
        maker.tell(MessageKind.REMEDIATION_RESULT, plan.plan_id, sent)
        # Nights after: keys that lost their TTL, new ones, and keys that left; somebody accepts them.
        with server.client() as client:
            client.persist("coupon:3")
            client.set("coupon:brand-new", "x")
            client.set("another:1", "x")
            client.delete("former:1")
        second = maker.audit()
        print(maker.check(second).headline())
        maker.tell(MessageKind.DRIFT_FOUND, second, sent)
        maker.check(second, Acceptance("bob", "agreed in SRE-7"))
        third = maker.audit()
        print(maker.check(third).headline())
        # Two days of looks, with a level and a burst.
        watching = Watching(server.url, root, maker.policy)
        watching.now_at = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
        for _ in range(3):
            watching.look()
            watching.pass_by()
        watching.pass_by(minutes=1440)
        watching.look()
        watching.pass_by()
        with server.client() as client:
            for number in range(1_000):
                client.set(f"burst:{number}", "x")
        print(watching.look().burst)
        with server.client() as client:
            for number in range(1_000):
                client.delete(f"burst:{number}")
        print(watching.told)
    written = {
        "before": before,
        "after": after,
        "plan": plan.plan_id,
        "rolled_back": former.plan_id,
        "rejected": rejected.plan_id,
        "audits": [first, second, third],
    }
    (folder / "keyspace.json").write_text(json.dumps(written, indent=0, sort_keys=True) + "\n")


def die(url: str, root: Path, plan_id: str, number: int) -> None:
    """Write one shard, and die when its first journal object is durable and the first writes are sent."""
    maker = Maker(url, root, root.parent / "policy.yaml")
    send = RedisLink.send

    def sending(self: RedisLink, data: bytes, count: int) -> None:
        send(self, data, count)
        if (b"PEXPIREAT" in data[:40] and b"absent" not in data[:80]) or b"EVALSHA" in data[:40]:
            os.kill(os.getpid(), signal.SIGKILL)

    RedisLink.send = sending  # type: ignore[method-assign]
    documents = PlanDocuments(maker.store, CLUSTER, plan_id)
    apply_shard(documents.plan(), number, maker.apply_tools(documents))


if __name__ == "__main__":
    if sys.argv[1] == "die":
        die(sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        main(Path(sys.argv[1]).resolve())
