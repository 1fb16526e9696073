"""Who asked for a plan, what whoever is asked is told of that, and what an edited XCom can't reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import BadInput, NotApproved
from redis_ttl.domain.policy.policy import Policy, RemediationSettings
from redis_ttl.domain.remediation.approval import Approval
from redis_ttl.tasks.remediate import approval_evidence, planned
from redis_ttl.tasks.remediate import run as remediate_run
from redis_ttl.tasks.remediate.approval_evidence import (
    lacking_approvers,
    lines_on_approving,
    refuse_other_requester,
    refuse_own_approval,
    requester_of,
)
from redis_ttl.usecases.plan import confirm_approval as approving
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.plans import PLAN, POLICY

OF_MARIA = dataclasses.replace(PLAN, requested_by="maria")


def context_of(user: str | None) -> Context:
    """The context of a task in a run that this user triggered."""
    dag_id, run_id = PLAN.run.split("/", 1)
    run = SimpleNamespace(dag_id=dag_id, run_id=run_id, triggering_user_name=user)
    return cast("Context", {"dag_run": run})


def policy_of(**remediation: Any) -> Policy:
    """The policy with these words on remediation."""
    return dataclasses.replace(POLICY, remediation=RemediationSettings(**remediation))


@pytest.mark.parametrize(("user", "known"), [("alice", "alice"), (None, None), ("Anonymous", None), ("airflow", None)])
def test_airflow_names_who_asked(user: str | None, known: str | None) -> None:
    """What isn't a person's name is nobody known."""
    assert requester_of(context_of(user)) == known


@pytest.mark.parametrize("user", ["alice", None, "Maria"])
def test_a_plan_that_names_another_requester_is_refused(user: str | None) -> None:
    """Whoever can write to the store can't make a plan somebody else's; a plan of version 1 names nobody."""
    refuse_other_requester(OF_MARIA, context_of("maria"))
    with pytest.raises(NotApproved, match="requested by maria"):
        refuse_other_requester(OF_MARIA, context_of(user))
    refuse_other_requester(dataclasses.replace(PLAN, schema="redis_ttl.plan/1"), context_of(user))
    if user is not None:
        with pytest.raises(NotApproved, match="requested by unknown"):
            refuse_other_requester(PLAN, context_of(user))


def test_whoever_triggered_the_run_is_refused_by_airflow_s_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is made to look like one of version 1, which names nobody, can't be approved by whoever asked for it either."""
    approval = Approval(PLAN.plan_id, PLAN.digest, ("chen", "Maria"), 0, 1, ())
    with pytest.raises(NotApproved, match="approved by Maria, requested by maria"):
        refuse_own_approval(policy_of(), context_of("maria"), approval)
    refuse_own_approval(policy_of(self_approval=True), context_of("maria"), approval)
    for other in (None, "airflow", "lin.wei"):
        refuse_own_approval(policy_of(), context_of(other), approval)
    old = dataclasses.replace(PLAN, schema="redis_ttl.plan/1")
    documents = PlanDocuments(cast("Any", None), PLAN.cluster, PLAN.plan_id)
    monkeypatch.setenv("AIRFLOW_CONN_REDIS", "redis://127.0.0.1:1")
    monkeypatch.setattr(approving, "require_approval", lambda *_: approval)
    tools = remediate_run._tools(policy_of(), context_of("maria"), documents, old)
    with pytest.raises(NotApproved, match="who triggered the run can't approve its plan"):
        tools.approve()


@pytest.mark.parametrize(
    ("remediation", "lacks"),
    [
        ({"approvers": ("maria",)}, True),
        ({"approvers": ("Maria",)}, True),
        ({"approvers": ("maria", "chen")}, False),
        ({"approvers": ("maria", "chen"), "approvals": 2}, True),
        ({"approvers": ("maria", "chen", "lin.wei"), "approvals": 2}, False),
        ({"approvers": ("maria",), "self_approval": True}, False),
        ({"approvers": ()}, False),
        ({"approvers": ("chen",)}, False),
    ],
)
def test_a_plan_that_nobody_can_approve_is_warned_of(remediation: dict[str, Any], *, lacks: bool) -> None:
    """When too few approvers are left without whoever asked."""
    found = lacking_approvers(OF_MARIA, policy_of(**remediation))
    assert (found is not None) is lacks
    assert found is None or "Nobody can approve this plan" in found
    assert lacking_approvers(PLAN, policy_of(**remediation)) is None


def test_whoever_is_asked_reads_what_an_approval_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose plan it is, whether marks count, and that without a key whoever writes to the store may approve."""
    monkeypatch.setattr(approval_evidence, "viewer_of", lambda _: None)
    lines = lines_on_approving(OF_MARIA, policy_of(), context_of("maria"), None)
    assert lines[0] == "Requested by maria; maria can't approve it."
    assert "without the Airflow connection `redis_ttl_airflow` a mark" in lines[1]
    assert lines[2].endswith("anyone with write access to the store can approve.")
    allowed = lines_on_approving(OF_MARIA, policy_of(self_approval=True), context_of("maria"), None)
    assert allowed[0] == "Requested by maria."


@pytest.mark.parametrize("name", ["[x](http://evil)", "**a**", "<img src=x>", "www.evil.example", "a`b"])
def test_a_user_s_name_acts_nowhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On the page it stands in a code span, unless it is a plain word."""
    monkeypatch.setattr(approval_evidence, "viewer_of", lambda _: None)
    plan = dataclasses.replace(PLAN, requested_by=name)
    said = lines_on_approving(plan, policy_of(), context_of(name), None)[0]
    assert f"`{name}`" in said or f"`` {name} ``" in said or f"``{name}``" in said


@pytest.mark.parametrize(
    "number", [None, "0", "../../escaped", -1, len(PLAN.shards), True, 0.0, float("nan"), [0], {"number": 0}]
)
def test_a_shard_is_a_number_of_the_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: object) -> None:
    """Whatever an edited XCom says reaches no path, no server and no other part."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    monkeypatch.setattr(planned, "refuse_other_requester", lambda *_: None)
    PlanDocuments(Store(tmp_path), PLAN.cluster, PLAN.plan_id).write_plan(PLAN)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="the plan has no such shard"):
        remediate_run.apply_shard(POLICY, context_of(None), {"plan_id": PLAN.plan_id, "number": number})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "shard", [None, "x", [], {}, {"plan_id": "../../x", "number": 0}, {"plan_id": ["x"], "number": 0}]
)
def test_a_shard_names_its_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shard: object) -> None:
    """An XCom of another form is refused with one sentence."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    with pytest.raises(BadInput, match=r"there is no plan|this is no plan's id"):
        remediate_run.apply_shard(POLICY, context_of(None), shard)
