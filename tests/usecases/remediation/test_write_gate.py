"""Whatever keeps a part of a remediation waiting, its approval's end and the guards' patience end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying, Commands
from lab.remediation.policies import CALM, policy_of, rule
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import Aborted, NotApproved, StoreProblem
from redis_ttl.domain.policy import guards
from redis_ttl.domain.policy.policy import MemoryThresholds
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.approval import Approval
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation import write_gate
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import set_keys
from tests.conftest import require


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The approval is asked for each time, the operator often."""
    monkeypatch.setattr(write_gate, "APPROVAL_S", 0.0)
    monkeypatch.setattr(write_gate, "CONTROL_S", 0.1)


def remediation(server: Server, folder: Path, *, keys: int = 2_000, patience_s: int = 300, **more: Any) -> Applying:
    """A remediation whose canary is passed."""
    set_keys(server, [b"a:%d" % number for number in range(keys)])
    policy = policy_of(rule("a:{n}"), guards=replace(CALM, patience_s=patience_s))
    applying = Applying(server.url, folder, policy, commands=Commands(OperatorCommand(rate=Rate(None))), **more)
    applying.pass_canary()
    return applying


def ending_in(applying: Applying, seconds: float) -> Callable[[], Approval]:
    """The approval, whose time is over in so many seconds."""
    over = replace(applying.approval, valid_until_ms=int((time.time() + seconds) * 1000))
    return lambda: over


def until_surveyed(applying: Applying, answer: Callable[[], Approval]) -> Callable[[], Approval]:
    """That answer until a canary has counted its keys and may write; the store doesn't answer from then on."""
    counted = len(applying.documents.surveys())
    return lambda: answer() if len(applying.documents.surveys()) == counted else unreadable()


def first_then(*answers: Callable[[], Approval]) -> Callable[[], Approval]:
    """Each answer once, and the last one again and again."""
    waiting = list(answers)

    def answer() -> Approval:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])()

    return answer


def unreadable() -> Approval:
    """A store that doesn't answer."""
    raise StoreProblem("the bucket is gone")


def broken() -> Approval:
    """A store that answers nonsense."""
    raise ValueError("no JSON")


def expires(server: Server) -> int:
    """How many keys have a TTL."""
    with server.client() as client:
        return int(client.info("keyspace").get("db0", {}).get("expires", 0))


@pytest.mark.parametrize("failing", [unreadable, broken])
def test_an_approval_that_stays_unreadable_aborts(
    valkey: Server, tmp_path: Path, failing: Callable[[], Approval]
) -> None:
    """While nobody can say whether the approval still counts, nothing is written; after the patience the part ends."""
    applying = remediation(valkey, tmp_path, patience_s=1)
    before = expires(valkey)
    with pytest.raises(Aborted, match="approval couldn't be read for"):
        applying.shard(approve=first_then(lambda: applying.approval, failing))
    assert expires(valkey) == before
    assert applying.documents.parts()[-1].outcome is Outcome.ABORTED


def test_an_approval_that_can_be_read_again_goes_on(valkey: Server, tmp_path: Path) -> None:
    """A store that answers within the patience ends the pause, and the pause is in the result."""
    applying = remediation(valkey, tmp_path)
    healthy = threading.Event()
    before = expires(valkey)

    def mend(text: str) -> None:
        if "the approval can't be read (the bucket is gone)" in text:
            assert expires(valkey) == before
            healthy.set()

    applying.on_log = mend
    result = applying.shard(
        approve=first_then(lambda: applying.approval, lambda: applying.approval if healthy.is_set() else unreadable())
    )
    assert result.interruptions[0].reason.startswith("the approval can't be read")
    assert expires(valkey) == 2_000


def unreadable_approval(applying: Applying) -> dict[str, Any]:
    """Nothing can be read."""
    return {"approve": first_then(ending_in(applying, 2), unreadable)}


def paused_by_operator(applying: Applying) -> dict[str, Any]:
    """The operator pauses, and goes home."""
    applying.commands.command = OperatorCommand(CommandState.PAUSE)
    return {"approve": ending_in(applying, 2)}


def unreadable_command(applying: Applying) -> dict[str, Any]:
    """The operator's command can't be read, and neither can the approval."""
    applying.commands.fails = True
    return {"approve": first_then(ending_in(applying, 2), unreadable)}


def lost_journal(applying: Applying) -> dict[str, Any]:
    """The store takes no journal."""

    class NoJournals(Store):
        def write(self, path: str, data: bytes) -> None:
            if "/journals/" in path:
                raise StoreProblem("no room")
            super().write(path, data)

    documents = PlanDocuments(NoJournals(applying.store), "test", applying.plan.plan_id)
    return {"approve": ending_in(applying, 2), "documents": documents}


@pytest.mark.parametrize("wait", [unreadable_approval, paused_by_operator, unreadable_command, lost_journal])
@pytest.mark.parametrize("part", ["shard", "canary"])
def test_no_wait_outlasts_the_approval(
    valkey: Server, tmp_path: Path, part: str, wait: Callable[[Applying], dict[str, Any]]
) -> None:
    """Whatever a shard or a canary waits for, for longer than the approval lasts, the approval's end ends it."""
    applying = remediation(valkey, tmp_path)
    if part == "canary":
        applying = Applying(valkey.url, tmp_path / "new", applying.policy, commands=applying.commands)
        set_keys(valkey, [b"a:%d" % number for number in range(2_000)])
    before = expires(valkey)
    tools = wait(applying)
    if part == "canary" and wait in (unreadable_approval, unreadable_command):
        tools["approve"] = until_surveyed(applying, ending_in(applying, 4))
    with pytest.raises(Aborted, match="the approval's time is over"):
        (applying.shard if part == "shard" else applying.canary)(**tools)
    assert expires(valkey) == before
    assert applying.documents.parts()[-1].outcome is Outcome.ABORTED


@pytest.mark.parametrize("patience_s", [1, 300])
def test_the_canarys_watch_ends_with_the_approval(valkey: Server, tmp_path: Path, patience_s: int) -> None:
    """The watch over the canary hears that the approval is over or can't be read, long before its own end."""
    applying = remediation(valkey, tmp_path, patience_s=patience_s)
    applying.plan = replace(applying.plan, canary_watch_s=600)
    applying.canary()
    approve = first_then(ending_in(applying, 60 if patience_s == 1 else 2), unreadable)
    why = "couldn't be read for" if patience_s == 1 else "time is over"
    with pytest.raises(Aborted, match=why):
        check_canary(applying.plan, applying.tools(approve=approve))
    with pytest.raises(Aborted, match="hasn't been passed"):
        applying.shard()


def test_an_approval_that_is_taken_back_in_a_pause_ends_it(valkey: Server, tmp_path: Path) -> None:
    """A withdrawal is heard while the operator has paused the writing."""
    applying = remediation(valkey, tmp_path)
    applying.commands.command = OperatorCommand(CommandState.PAUSE)

    def withdrawn() -> Approval:
        raise NotApproved("not approved: rejected at approve_plan by wang")

    with pytest.raises(Aborted, match="rejected at approve_plan by wang"):
        applying.shard(approve=first_then(lambda: applying.approval, lambda: applying.approval, withdrawn))


def test_a_lost_replica_pauses_until_it_is_back(tmp_path: Path) -> None:
    """A replica that goes away while keys are written pauses the writing; one that is back lets it go on to the end."""
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server) as replica:
        applying = remediation(server, tmp_path)
        applying.commands.command = OperatorCommand(rate=Rate(500.0))
        lost = threading.Event()

        def disturb(text: str) -> None:
            if not lost.is_set() and "keys sent" in text:
                lost.set()
                replica.stop()
            elif "replicas online: 0 (1 when the run began)" in text and replica.process is None:
                replica.start()
                applying.commands.command = OperatorCommand(rate=Rate(None))

        applying.on_log = disturb
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(write_gate, "LOG_S", 0.2)
            result = applying.shard()
        assert any(each.reason.startswith("replicas online: 0") for each in result.interruptions)
        assert expires(server) == 2_000


def test_a_replica_that_was_lost_since_the_canary_aborts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the run's start: a shard that begins without the replica of then writes nothing, and ends."""
    with run_server(require(VALKEY)) as server:
        with run_server(require(VALKEY), replica_of=server):
            applying = remediation(server, tmp_path, patience_s=1)
        monkeypatch.setattr(guards, "FAILOVER_S", 2)
        with server.client() as client:
            wait_for(lambda: client.info("replication")["connected_slaves"] == 0, "the replica to be gone")
        before = expires(server)
        with pytest.raises(Aborted, match=r"replicas online: 0 \(1 when the run began\), for 2 s"):
            applying.shard()
        assert expires(server) == before


def test_a_replica_that_is_added_later_raises_nothing(tmp_path: Path) -> None:
    """One replica more than at the start is no reason to wait, while it is filled or afterwards."""
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server):
        applying = remediation(server, tmp_path)
        with run_server(require(VALKEY), replica_of=server):
            assert applying.shard().interruptions == ()
        assert expires(server) == 2_000


def test_the_policys_memory_limit_counts_without_maxmemory(valkey: Server, tmp_path: Path) -> None:
    """A server without maxmemory that is above ``memory.limit`` is written nothing, and the canary isn't passed."""
    set_keys(valkey, [b"a:%d" % number for number in range(500)])
    with valkey.client() as client:
        used = client.info("memory")["used_memory"]
    full = replace(
        policy_of(rule("a:{n}"), guards=replace(CALM, patience_s=1)),
        memory=MemoryThresholds(0.5, 0.9, limit_bytes=used // 2),
    )
    applying = Applying(valkey.url, tmp_path / "full", full)
    with pytest.raises(Aborted, match=r"of the policy's memory.limit \(bound 90%\), for 1 s"):
        applying.canary()
    assert expires(valkey) == 0
    roomy = replace(full, memory=MemoryThresholds(0.5, 0.9, limit_bytes=used * 100))
    applying = Applying(valkey.url, tmp_path / "roomy", roomy)
    assert sum(part.changed for part in applying.run()) == 500
    [report] = applying.documents.canary_reports()
    assert 0 < (next(iter(report.figures.values()))["memory_ratio"] or 0) < 0.1
