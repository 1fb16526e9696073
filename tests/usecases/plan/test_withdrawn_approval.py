"""An approval that was taken back by clearing its gate counts no more, whatever anybody makes of the task meanwhile.

A live Airflow keeps a cleared task's try number, end and XCom until it starts again; only the id of its instance changes at once,
and how often the run was cleared.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import NotApproved
from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict
from redis_ttl.usecases.plan.confirm_approval import confirm_approval, require_approval
from redis_ttl.usecases.plan.gate_records import GateTrace, Mark, RunNow, refuse_withdrawn, why_withdrawn
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.usecases.plan.test_confirm_approval import (
    GATE,
    MARKED,
    NOW,
    PLAN,
    POLICY,
    REQUEST,
    History,
    confirm,
    form_approval,
)

ASKED = dataclasses.replace(REQUEST, instance="i1")
FORM = form_approval(instance="i1", clears=0)
MARK = dataclasses.replace(FORM, channel=Channel.MARK, at=MARKED.at)
ANSWERED = GateTrace(attempt=1, ended_at="2026-02-20T10:01:32+00:00", answered_by="bob", instance="i1")
RETURNED = {GATE: to_plain(FORM)}
LATE = "2026-02-20T10:02:30+00:00"


def kept(tmp_path: Path, decision: Decision) -> PlanDocuments:
    """The documents of a plan that was shown once, and approved."""
    documents = PlanDocuments(Store(tmp_path), PLAN.cluster, PLAN.plan_id)
    documents.write_plan(PLAN)
    documents.write_request(dataclasses.replace(ASKED, instance=decision.instance))
    documents.write_decision(decision)
    return documents


def seen(**changed: Any) -> GateTrace:
    """What Airflow shows of a gate whose form was answered, but for these."""
    return dataclasses.replace(ANSWERED, **changed)


GOOD: dict[str, tuple[Decision, GateTrace | None, dict[str, Any]]] = {
    "by form": (FORM, ANSWERED, {"clears": 0, "returned": RETURNED}),
    "by form, another task cleared since": (FORM, ANSWERED, {"clears": 3, "returned": RETURNED}),
    "by form, without the connection": (FORM, None, {"clears": 0, "returned": RETURNED}),
    "by form, the task marked as success again": (
        FORM,
        seen(marks=(Mark(LATE, "dave", "success"),)),
        {"returned": RETURNED},
    ),
    "by form, of version 0.1": (form_approval(), seen(instance=None), {}),
    "by mark": (MARK, seen(marks=(MARKED,), ended_at="2026-02-20T10:02:00.140000+00:00"), {"clears": 0}),
    "by mark, the connection lost since": (MARK, None, {"clears": 0}),
}


@pytest.mark.parametrize("case", GOOD)
def test_an_approval_that_nobody_took_back_counts(tmp_path: Path, case: str) -> None:
    """Also when it is looked at again, and nothing is written down for it."""
    decision, trace, what = GOOD[case]
    documents = kept(tmp_path, decision)
    assert confirm(documents, trace, **what).by == ("bob",)
    assert len(documents.decisions()) == 1


TAKEN_BACK: dict[str, tuple[Decision, GateTrace | None, dict[str, Any], str]] = {
    "cleared, then marked in bulk": (FORM, seen(instance="i2"), {"returned": RETURNED}, "cleared"),
    "cleared, then marked by bob himself": (
        FORM,
        seen(instance="i2", marks=(Mark(LATE, "bob", "success"),)),
        {"returned": RETURNED},
        "cleared",
    ),
    "cleared, without the connection": (
        FORM,
        None,
        {"clears": 1, "returned": RETURNED},
        "without the Airflow connection",
    ),
    "its answer gone": (FORM, ANSWERED, {"returned": {GATE: None}}, "is gone or says something else"),
    "its answer gone, without the connection": (FORM, None, {"clears": 0, "returned": {}}, "is gone"),
    "its answer of another request": (
        FORM,
        ANSWERED,
        {"returned": {GATE: to_plain(FORM) | {"request_id": "r0"}}},
        "says something else",
    ),
    "its answer of another time": (
        FORM,
        ANSWERED,
        {"returned": {GATE: to_plain(FORM) | {"at": LATE}}},
        "something else",
    ),
    "its answer a rejection": (
        FORM,
        ANSWERED,
        {"returned": {GATE: to_plain(FORM) | {"verdict": "rejected"}}},
        "something else",
    ),
    "nothing to be told by": (form_approval(), None, {}, "nothing tells"),
    "of version 0.1, marked since": (
        form_approval(),
        seen(instance=None, ended_at=LATE, marks=(Mark(LATE, "bob", "success"),)),
        {},
        "marked success by bob after that",
    ),
    "of version 0.1, ended long after": (
        form_approval(),
        seen(instance=None, ended_at="2026-02-20T10:21:00+00:00"),
        {},
        "ended",
    ),
    "by mark of version 0.1, marked since": (
        dataclasses.replace(MARK, instance=None, clears=None),
        seen(instance=None, marks=(MARKED, Mark(LATE, "dave", "success")), ended_at=LATE),
        {},
        "by dave after that",
    ),
    "by mark, cleared, then marked in bulk": (MARK, seen(instance="i2", marks=(MARKED,)), {"clears": 1}, "cleared"),
    "by mark, the connection lost and cleared since": (MARK, None, {"clears": 1}, "without the Airflow connection"),
}


@pytest.mark.parametrize("case", TAKEN_BACK)
def test_an_approval_that_was_taken_back_is_none(tmp_path: Path, case: str) -> None:
    """Though the gate is green and its try number is what it was; that is on record, so that no writer believes it either."""
    decision, trace, what, words = TAKEN_BACK[case]
    documents = kept(tmp_path, decision)
    with pytest.raises(NotApproved, match=words):
        confirm(documents, trace, **what)
    (undone,) = (each for each in documents.decisions() if each.verdict is not Verdict.APPROVED)
    assert (undone.verdict, undone.by) == (Verdict.INVALID, "bob" if "bob himself" in case else None)
    with pytest.raises(NotApproved):
        require_approval(documents, POLICY, PLAN, PLAN.run, NOW)


OLD_FORM, OLD_MARK = form_approval(), dataclasses.replace(MARK, instance=None, clears=None)


@pytest.mark.parametrize(
    ("decision", "later_ms", "counts"),
    [
        (OLD_FORM, -1, False),
        (OLD_FORM, 0, True),
        (OLD_FORM, 300_000, True),
        (OLD_FORM, 300_001, False),
        (OLD_MARK, -1, False),
        (OLD_MARK, 0, True),
        (OLD_MARK, 5_000, True),
        (OLD_MARK, 5_001, False),
        (OLD_FORM, None, False),
    ],
)
def test_a_decision_of_version_0_1_ends_its_gate_soon(
    decision: Decision, later_ms: int | None, *, counts: bool
) -> None:
    """An answer within five minutes, a mark within five seconds; whatever ended the gate before or after that was something else."""
    ended = dt.datetime.fromisoformat(decision.at) + dt.timedelta(milliseconds=later_ms or 0)
    trace = GateTrace(attempt=1, ended_at=None if later_ms is None else ended.isoformat())
    why = why_withdrawn(decision, RunNow({GATE: "success"}), trace)
    assert why is None if counts else why is not None and "something else ended it" in why


def test_a_trace_that_says_nothing_is_not_of_a_lost_task() -> None:
    """Only what Airflow says itself makes a gate one that the scheduler took for dead."""
    assert GateTrace() == GateTrace(attempt=None, ended_at=None, marks=(), answered_by=None, lost=False, instance=None)


def test_a_mark_on_what_was_cleared_is_none(tmp_path: Path) -> None:
    """An approver who marks the cleared task as success hasn't been shown the plan again."""
    documents = PlanDocuments(Store(tmp_path), PLAN.cluster, PLAN.plan_id)
    documents.write_request(ASKED)
    trace = seen(instance="i2", marks=(MARKED,), ended_at=MARKED.at, answered_by=None)
    with pytest.raises(NotApproved, match="cleared, and marked success before it showed the plan again"):
        confirm(documents, trace)


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "awaiting_input", "failed"])
def test_a_writer_ends_when_its_gate_isn_t_green_any_more(tmp_path: Path, state: str | None) -> None:
    """From the clear on, before the gate has asked again."""
    approval = require_approval(kept(tmp_path, FORM), POLICY, PLAN, PLAN.run, NOW)
    refuse_withdrawn(approval, RunNow({GATE: "success"}, 0), History(ANSWERED))
    with pytest.raises(NotApproved, match="not approved any more"):
        refuse_withdrawn(approval, RunNow({GATE: state}, 0), History(ANSWERED))


def test_a_writer_sees_a_clear_behind_a_green_gate(tmp_path: Path) -> None:
    """By the gate's instance; without the connection by any clear of the run."""
    approval = require_approval(kept(tmp_path, FORM), POLICY, PLAN, PLAN.run, NOW)
    refuse_withdrawn(approval, RunNow({GATE: "success"}, 5), History(ANSWERED))
    with pytest.raises(NotApproved, match="it was cleared since"):
        refuse_withdrawn(approval, RunNow({GATE: "success"}, 5), History(seen(instance="i2")))
    refuse_withdrawn(approval, RunNow({GATE: "success"}, 0), None)
    with pytest.raises(NotApproved, match="tasks of this run were cleared since"):
        refuse_withdrawn(approval, RunNow({GATE: "success"}, 1), None)
    with pytest.raises(NotApproved, match="nothing tells whether it was cleared"):
        refuse_withdrawn(approval, RunNow({GATE: "success"}), None)


def test_an_xcom_alone_approves_nothing(tmp_path: Path) -> None:
    """What a gate returned speaks against an approval or not at all: anybody who may edit XComs could have written it."""
    documents = PlanDocuments(Store(tmp_path), PLAN.cluster, PLAN.plan_id)
    documents.write_request(ASKED)
    with pytest.raises(NotApproved):
        confirm_approval(
            documents,
            POLICY,
            PLAN,
            PLAN.run,
            NOW,
            states={GATE: "success"},
            history=History(ANSWERED),
            clears=0,
            returned=RETURNED,
        )
