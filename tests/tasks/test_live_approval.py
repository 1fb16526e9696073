"""Every way in which somebody may answer, mark, clear or tamper with a remediation that waits for its approval, on a live
Airflow. Whether anything was written is asked of the server.

All cases run at the same time, each in a cluster of its own; what came of them is written to ``build/approval_table.md``.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event

import pytest

from lab.checkout import ROOT
from lab.live_airflow.live_airflow import LiveAirflow
from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from lab.services.object_store import store_of_run
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.document_ids import document_id
from tests.conftest import require
from tests.tasks.approval_case import AGAIN, GATE, KEYS, ApprovalLive, Case, GateLost

pytestmark = pytest.mark.timeout(1800)

TWO = "approvers: [bob, erin], approvals: 2"
ANYBODY = "approvers: []"
_AT_ONCE = 8
NOBODY_KNOWS = "Airflow's audit log doesn't say who marked it"


@dataclass(frozen=True)
class Expected:
    """How a case must end. ``record`` are the decisions in their order; ``words`` are in the log of ``told_by``, or in a record."""

    run: str
    record: tuple[str, ...]
    keys: int
    words: str = ""
    told_by: str = "confirm_approval"


Act = Callable[[Case], None]


@dataclass(frozen=True)
class Tried:
    """What somebody does to a waiting run that ``requester`` triggered, and how that must end. ``viewer``: the connection exists."""

    act: Act
    expected: Expected
    remediation: str
    requester: str
    viewer: bool


CASES: dict[str, Tried] = {}


def case(
    name: str,
    expected: Expected,
    remediation: str = "approvers: [bob, erin]",
    *,
    requester: str = "admin",
    viewer: bool = True,
) -> Callable[[Act], Act]:
    """Register a case."""

    def keep(act: Act) -> Act:
        CASES[name] = Tried(act, expected, remediation, requester, viewer)
        return act

    return keep


def approved(*record: str) -> Expected:
    """The run succeeds, and all keys are written."""
    return Expected("success", record, KEYS)


def refused(*record: str, words: str, told_by: str = "confirm_approval", run: str = "failed") -> Expected:
    """Nothing is written, and the log says why."""
    return Expected(run, record, 0, words, told_by)


FEW = (
    "form, Approve",
    "form, Reject",
    "form, Approve with another digest",
    "mark success",
    "mark failed",
    "mark success by somebody else",
    "mark success in bulk",
    "plan_id in the XCom edited, to a path",
    "two approvers, two people",
    "form, Approve, cleared and at once marked success in bulk",
    "form, Approve, cleared and at once marked success in bulk, no connection redis_ttl_airflow",
    "form, Approve by whoever requested it",
    "an approval that somebody wrote into the store",
)
"""What the suite does each time; all of them take ten minutes of two processors: ``make approvals``."""

# What is done without the viewer's connection comes first: the fixture makes the connection when that is over.


@case(
    "mark success, no connection redis_ttl_airflow",
    refused("invalid by None (nobody)", words="without the Airflow connection redis_ttl_airflow"),
    viewer=False,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success") == 200
    run.wait(lambda: run.state("confirm_approval") == "failed", "confirm_approval")


@case("form, Approve", approved("approved by bob (form)"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200


@case("form, Reject", refused("rejected by bob (form)", words="rejected at approve_plan by bob"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Reject") == 200


@case("form, Approve with another digest", refused("invalid by bob (form)", words="the answer is for the digest 1234"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve", digest="1234") == 200


@case("form, Approve without the digest", refused("invalid by bob (form)", words="didn't say which plan"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve", params={}) == 200


@case(
    "form, nobody answers in time",
    refused("timed out by None (nobody)", words="no answer in time"),
    "approvers: [bob, erin], approval_timeout: 5s",
)
def _(run: Case) -> None:
    run.wait(lambda: bool(run.decisions()), "the timeout")


@case("form, users who aren't assigned, then bob", approved("approved by bob (form)"))
def _(run: Case) -> None:
    run.wait_shown()
    assert [run.answer(user, "Approve") for user in ("dave", "admin", "carol")] == [403, 403, 403]
    assert run.answer("bob", "Approve") == 200


@case("form, a viewer, where anybody may approve", refused("rejected by dave (form)", words="rejected"), ANYBODY)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("carol", "Approve") == 403
    assert run.answer("dave", "Reject") == 200


@case("form, Approve at once", Expected("", (), -1))
def _(run: Case) -> None:
    """The scheduler may lose the gate; either it is approved and written, or neither."""
    run.wait(lambda: run.state(GATE) == "awaiting_input", "the gate")
    run.answer("bob", "Approve")


@case("form, Reject, then mark success and clear confirm_approval", refused("rejected by bob (form)", words="rejected"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Reject") == 200
    assert run.end() == "failed"
    assert run.mark("erin", "success") == 200
    run.clear("erin", "confirm_approval")


@case("mark success", approved("approved by bob (mark)"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success") == 200


@case("mark failed", refused("rejected by bob (mark)", words="approve_plan was marked failed"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "failed") == 200


@case("mark skipped", refused("rejected by bob (mark)", words="approve_plan was marked skipped"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "skipped") == 200


@case("mark success by somebody else", refused("invalid by admin (mark)", words="admin, who may not approve"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("admin", "success") == 200


@case("mark success in bulk", refused("invalid by None (nobody)", words=NOBODY_KNOWS))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark_in_bulk("bob", "success") == 200


@case("mark failed in bulk", refused("invalid by None (nobody)", words="nothing says who did it"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark_in_bulk("bob", "failed") == 200


@case(
    "refused mark of a viewer, then in bulk",
    refused("invalid by carol (mark)", words="another user may have ended it"),
    ANYBODY,
)
def _(run: Case) -> None:
    """Airflow keeps a row of the refused mark, too."""
    run.wait_shown()
    assert run.mark("carol", "success") == 403
    since = time.monotonic()
    run.wait(lambda: time.monotonic() - since > 6, "the refused mark to be past")
    assert run.mark_in_bulk("bob", "success") == 200


@case("mark success with another task", refused("invalid by None (nobody)", words=NOBODY_KNOWS))
def _(run: Case) -> None:
    """An upstream task is marked with its downstream; then confirm_approval is made to look."""
    run.wait_shown()
    assert run.mark("bob", "failed", task="announce", include_downstream=True) == 200
    assert run.mark_in_bulk("bob", "success") == 200
    run.clear("bob", "confirm_approval")


@case(
    "mark success before the plan was shown",
    refused("invalid by bob (mark)", words="before it showed the plan to anybody"),
)
def _(run: Case) -> None:
    run.wait(lambda: run.mark("bob", "success") == 200, "the task")


@case("mark success with downstream", Expected("success", (), 0))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success", include_downstream=True) == 200


@case("mark the run success", Expected("success", (), 0))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark_run("bob", "success") == 200


@case(
    "mark the run success, then clear confirm_approval",
    refused("invalid by None (nobody)", words=NOBODY_KNOWS),
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark_run("bob", "success") == 200
    run.clear("bob", "confirm_approval")


@case(
    "mark confirm_approval success",
    refused(words="no decision yet at approve_plan", told_by="apply_canary"),
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success", task="confirm_approval") == 200
    run.wait(lambda: run.state("apply_canary") == "failed", "apply_canary")
    run.mark_run("bob", "failed")


@case(
    "mark confirm_approval and apply_canary success",
    refused(words="marking it does nothing", told_by="check_canary"),
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success", task="apply_canary") == 200
    assert run.mark("bob", "success", task="confirm_approval") == 200
    run.wait(lambda: run.state("check_canary") == "failed", "check_canary")
    run.mark_run("bob", "failed")


@case("clear after a rejection, then approve", approved("rejected by bob (form)", "approved by erin (form)"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Reject") == 200
    assert run.end() == "failed"
    run.clear("bob")
    run.wait_shown(requests=2)
    assert run.answer("erin", "Approve") == 200


@case("clear after an invalid mark, then mark success", approved("invalid by admin (mark)", "approved by bob (mark)"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("admin", "success") == 200
    assert run.end() == "failed"
    run.clear("admin")
    run.wait_shown(requests=2)
    assert run.mark("bob", "success") == 200


@case(
    "clear after an approval, then no answer",
    refused("approved by bob (form)", words="no decision yet at approve_plan", told_by="apply_canary"),
)
def _(run: Case) -> None:
    """The approval before doesn't count any more; confirm_approval marked by hand doesn't help."""
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    assert run.end() == "success"
    run.persist()
    run.clear("bob")
    run.wait_shown(requests=2)
    assert run.mark("bob", "success", task="confirm_approval") == 200
    run.wait(lambda: run.state("apply_canary") == "failed", "apply_canary")
    run.mark_run("bob", "failed")


@case("late Approve after an invalid mark", refused("invalid by admin (mark)", words="admin, who may not approve"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("admin", "success") == 200
    assert run.answer("bob", "Approve") in {200, 409}


@case("late Approve after mark failed", refused("rejected by erin (mark)", words="was marked failed"))
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("erin", "failed") == 200
    assert run.answer("bob", "Approve") in {200, 409}


@case(
    "plan_id in the XCom edited, to another run's plan", refused("approved by bob (form)", words="made in another run")
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("erin", "Approve") == 200
    assert run.end() == "success"
    (approved_plan,) = run.plans()
    run.persist()
    run.start()
    run.wait_shown()
    run.set_xcom("admin", "build_plan", approved_plan.plan_id)
    assert run.answer("bob", "Approve") == 200


@case("plan_id in the XCom edited, to a path", refused("approved by bob (form)", words="no plan's id"))
def _(run: Case) -> None:
    run.wait_shown()
    run.set_xcom("admin", "build_plan", "../../20260220T100000Z-1f2e3d")
    assert run.answer("bob", "Approve") == 200


@case("policy edited while the plan waits", refused("approved by bob (form)", words="the policy was changed"))
def _(run: Case) -> None:
    run.wait_shown()
    run.write_policy("approvers: [bob, erin], tolerance: 99%")
    assert run.answer("bob", "Approve") == 200


@case("two approvers, two people", approved("approved by bob (form)", "approved by erin (form)"), TWO)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    assert run.answer("erin", "Approve", gate=AGAIN) == 200


@case("two approvers, by form and by mark", approved("approved by bob (form)", "approved by erin (mark)"), TWO)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    assert run.mark("erin", "success", task=AGAIN) == 200


@case(
    "two approvers, the same person by form",
    refused("approved by bob (form)", "invalid by bob (form)", words="two different people"),
    TWO,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    assert run.answer("bob", "Approve", gate=AGAIN) == 200


@case(
    "two approvers, the same person by mark",
    refused("approved by bob (mark)", "approved by bob (mark)", words="the same person approved it twice"),
    TWO,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success") == 200
    run.wait_shown(AGAIN)
    assert run.mark("bob", "success", task=AGAIN) == 200


@case(
    "two approvers, the second rejects",
    refused("approved by bob (form)", "rejected by erin (form)", words="rejected at approve_plan_again by erin"),
    TWO,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    assert run.answer("erin", "Reject", gate=AGAIN) == 200


WITHDRAWN = ("approved by bob (form)", "invalid by None (nobody)")
CLEARED = "cleared, and marked success before it showed the plan again"


def approve_and_end(run: Case) -> None:
    """Bob approves, the keys are written, and the run ends; then the keys are as they were."""
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    assert run.end() == "success"
    run.persist()


def clear_and_mark(run: Case, clear: Callable[[], None], marker: str = "admin") -> None:
    """Clear, and before anything runs again mark the gate as success in bulk, which leaves no name."""
    run.hold(paused=True)
    clear()
    assert run.mark_in_bulk(marker, "success") == 200
    run.hold(paused=False)


@case(
    "form, Approve, cleared and at once marked success in bulk",
    refused(*WITHDRAWN, words=CLEARED),
)
def _(run: Case) -> None:
    """Whoever takes an approval back by clearing is heard, also when somebody else marks the task before it has asked again."""
    approve_and_end(run)
    clear_and_mark(run, lambda: run.clear("bob"))


@case(
    "form, Approve, cleared and at once marked success in bulk, no connection redis_ttl_airflow",
    refused(*WITHDRAWN, words="it is unknown whether approve_plan was among them"),
    viewer=False,
)
def _(run: Case) -> None:
    approve_and_end(run)
    clear_and_mark(run, lambda: run.clear("bob"))


@case("form, Approve, no connection redis_ttl_airflow", approved("approved by bob (form)"), viewer=False)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200


@case(
    "form, Approve, cleared and at once marked success by somebody who isn't an approver",
    refused("approved by bob (form)", "invalid by admin (mark)", words="before it showed the plan again"),
)
def _(run: Case) -> None:
    approve_and_end(run)
    run.hold(paused=True)
    run.clear("bob")
    assert run.mark("admin", "success") == 200
    run.hold(paused=False)


@case(
    "form, Approve, cleared alone and marked success in bulk, then clear apply_canary",
    refused("approved by bob (form)", words="it was cleared since", told_by="apply_canary"),
)
def _(run: Case) -> None:
    """Nobody confirms again; the task that writes looks for itself."""
    approve_and_end(run)

    def clear() -> None:
        run.clear("bob", include_downstream=False)
        run.clear("admin", "apply_canary")

    clear_and_mark(run, clear)


@case(
    "mark success, cleared and at once marked success in bulk",
    refused("approved by bob (mark)", "invalid by None (nobody)", words="before it showed the plan again"),
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success") == 200
    assert run.end() == "success"
    run.persist()
    clear_and_mark(run, lambda: run.clear("bob"))


@case(
    "form, Approve, the run cleared and the task at once marked success in bulk",
    refused("invalid by None (nobody)", words="before it showed the plan to anybody"),
)
def _(run: Case) -> None:
    """The new plan was never shown."""
    approve_and_end(run)
    clear_and_mark(run, lambda: run.clear_run("bob"))


@case(
    "two approvers, the first task cleared while the second asks, and at once marked success in bulk",
    refused("approved by bob (form)", "approved by erin (form)", "invalid by None (nobody)", words=CLEARED),
    TWO,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    clear_and_mark(run, lambda: run.clear("bob", include_downstream=False, reset_dag_runs=False))
    assert run.answer("erin", "Approve", gate=AGAIN) == 200


@case("form, Approve, then clear apply_canary", approved("approved by bob (form)"))
def _(run: Case) -> None:
    """What was approved stays approved when another task is cleared."""
    approve_and_end(run)
    run.clear("bob", "apply_canary")


@case(
    "form, Approve by whoever requested it", refused("invalid by bob (form)", words="requested by bob"), requester="bob"
)
def _(run: Case) -> None:
    run.wait_shown()
    assert "Requested by bob; bob can't approve it." in run.page()
    assert run.answer("bob", "Approve") == 200


@case(
    "mark success by whoever requested it", refused("invalid by bob (mark)", words="requested by bob"), requester="bob"
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.mark("bob", "success") == 200


@case("form, Approve by another than who requested it", approved("approved by erin (form)"), requester="bob")
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("erin", "Approve") == 200


@case(
    "form, Approve by whoever requested it, self_approval: yes",
    approved("approved by bob (form)"),
    "approvers: [bob, erin], self_approval: yes",
    requester="bob",
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200


@case(
    "everything cleared by somebody else, form, Approve by whoever requested it",
    refused("invalid by bob (form)", words="requested by bob"),
    requester="bob",
)
def _(run: Case) -> None:
    """Who runs it again didn't ask for it."""
    run.wait_shown()
    run.clear_run("erin")
    run.wait(lambda: len(run.plans()) == 2, "the second plan")
    run.wait_waiting(attempt=2)
    assert run.answer("bob", "Approve") == 200


@case(
    "two approvers of two, one of them requested it",
    refused(
        "approved by erin (form)", "invalid by bob (form)", words="Nobody can approve this plan", told_by="announce"
    ),
    TWO,
    requester="bob",
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("erin", "Approve") == 200
    run.wait_shown(AGAIN)
    assert run.answer("bob", "Approve", gate=AGAIN) == 200


@case(
    "an approval that somebody wrote into the store",
    refused("approved by erin (form)", words="it isn't signed, though there is a signing key"),
)
def _(run: Case) -> None:
    run.wait_shown()
    run.forge("erin")
    assert run.mark_in_bulk("bob", "success") == 200


@case(
    "an approval that somebody wrote into the store, and one by form",
    approved("approved by erin (form)", "approved by bob (form)"),
)
def _(run: Case) -> None:
    """What is made up counts for nothing, and in nobody's way."""
    run.wait_shown()
    run.forge("erin")
    assert run.answer("bob", "Approve") == 200


@case(
    "keys rotated while the plan waits, two approvers",
    approved("approved by bob (form)", "approved by erin (form)"),
    TWO,
)
def _(run: Case) -> None:
    run.wait_shown()
    assert run.answer("bob", "Approve") == 200
    run.wait_shown(AGAIN)
    run.live.rotate()
    assert run.answer("erin", "Approve", gate=AGAIN) == 200


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    run: str
    record: tuple[str, ...]
    keys: int
    told: str


def play(prepared: Case, act: Act, expected: Expected) -> Outcome:
    """Act on a run until it wasn't the scheduler that decided; how it ended."""
    for _attempt in range(3):
        prepared.start()
        try:
            outcome = play_once(prepared, act, expected)
        except (AssertionError, TimeoutError):
            if not prepared.is_lost():
                raise
        else:
            as_expected = (outcome.run, outcome.record, outcome.keys) == (expected.run, expected.record, expected.keys)
            if as_expected or not expected.run or not prepared.is_lost():
                return outcome
            assert outcome.keys == 0 or "approved" in str(outcome.record)
        prepared.persist()
    raise GateLost(prepared.name)


def play_once(prepared: Case, act: Act, expected: Expected) -> Outcome:
    """Act on a run; how it ended."""
    act(prepared)
    state = prepared.end()
    decisions = prepared.decisions()
    record = tuple(f"{each.verdict} by {each.by} ({each.channel})" for each in decisions)
    told = "\n".join(each.why or "" for each in decisions)
    if expected.words:
        told += prepared.log(expected.told_by)
    return Outcome(state, record, prepared.written(), told)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """The cases that tests were chosen for, at work at the same time, by their names."""
    chosen = [name for name in CASES if any(f"[{name}]" in item.nodeid for item in request.session.items)]
    folder = tmp_path_factory.mktemp("approval")
    policies, dags = folder / "policies", folder / "dags"
    policies.mkdir()
    dags.mkdir()
    shutil.copy(ROOT / "dags" / "remediate.py", dags)  # the other DAGs of so many clusters would only take time
    with run_server(require(VALKEY)) as server, server.client() as client, store_of_run() as storage:
        environment = {
            **({} if storage is None else storage.airflow_environment()),
            "REDIS_TTL_POLICIES": str(policies),
            "AIRFLOW_CONN_REDIS_GATE": server.url,
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        }
        airflow = LiveAirflow(folder / "airflow", environment, dags)
        live = ApprovalLive(airflow, server, policies, {}, client, storage)
        cases = {
            name: Case(live, f"c{number:02}", CASES[name].remediation, CASES[name].requester)
            for number, name in enumerate(chosen)
        }
        client.mset({f"other:{number}": "" for number in range(1000)})  # a case's keys are a small share of all
        for each in cases.values():
            each.prepare()
        for each in cases.values():
            each.audit(document_id(SystemClock().now(), "00000a"))
        with airflow, ExitStack() as opened:
            for user in ("admin", "bob", "erin", "carol", "dave"):
                live.clients[user] = opened.enter_context(airflow.client_of(user))
            live.rotate()
            airflow.wait(lambda: all(each.is_known() for each in cases.values()), "the DAGs")
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                futures = start_all(pool, cases, airflow)
                yield futures
            if len(chosen) == len(CASES):
                write_table(futures)


def start_all(pool: ThreadPoolExecutor, cases: dict[str, Case], airflow: LiveAirflow) -> dict[str, Future[Outcome]]:
    """Let everybody act; those who need the connection when it is there."""
    connected = Event()

    def work(name: str) -> Outcome:
        if CASES[name].viewer:
            connected.wait()
        return play(cases[name], CASES[name].act, CASES[name].expected)

    first = sorted(cases, key=lambda name: CASES[name].viewer)
    futures = {name: pool.submit(work, name) for name in first}
    connection = {
        "connection_id": "redis_ttl_airflow",
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": airflow.port,
        "login": "viewer",
        "password": airflow.password_of("viewer"),
    }
    try:
        for name, future in futures.items():
            if not CASES[name].viewer:
                future.exception()
        airflow.request("POST", "/connections", json=connection)
    finally:
        connected.set()
    return futures


@pytest.mark.parametrize("name", CASES if os.environ.get("APPROVAL_CASES") == "all" else FEW)
def test_only_a_valid_approval_writes(outcomes: dict[str, Future[Outcome]], name: str) -> None:
    """The run ends as it should, the record says who did what, the server has exactly the keys written that were approved,
    and a refusal says why.
    """
    expected = CASES[name].expected
    outcome = outcomes[name].result()
    if not expected.run:
        good = outcome.record == ("approved by bob (form)",) and outcome.run == "success"
        assert outcome.keys == (KEYS if good else 0), outcome
        return
    assert (outcome.run, outcome.record, outcome.keys) == (expected.run, expected.record, expected.keys), outcome.told
    assert expected.words in outcome.told


def write_table(futures: dict[str, Future[Outcome]]) -> None:
    """Write the table of all cases to ``build/approval_table.md``, and print it."""
    lines = ["| what somebody does | run | record left | keys written |", "|---|---|---|---|"]
    for name in CASES:
        future = futures[name]
        if future.exception() is None:
            outcome = future.result()
            record = "; ".join(outcome.record) or "none"
            lines.append(f"| {name} | {outcome.run} | {record} | {outcome.keys} of {KEYS} |")
        else:
            lines.append(f"| {name} | {type(future.exception()).__name__} | | |")
    table = "\n".join(lines) + "\n"
    place = ROOT / "build" / f"approval_table{'_s3' if os.environ.get('STORE') == 's3' else ''}.md"
    place.parent.mkdir(exist_ok=True)
    place.write_text(table)
    print(f"\n{table}")  # noqa: T201 - the table is a result
