"""The shape of the remediation's DAG, its form, and its gates."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.param import ParamsDict
from airflow.serialization.serialized_objects import DagSerialization

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.tasks.remediate.form import Wanted, form_of, wanted_of
from redis_ttl.tasks.remediate.plan_approval import PlanApprovalOperator
from tests.tasks.conftest import policy_text
from tests.tasks.test_dag_files import parse

REMEDIATION = "remediation: {approvals: 2, approvers: [bob, erin], approval_timeout: 6h}\n"


def test_the_remediation_dag_has_its_shape(policies: Path) -> None:
    """One run at a time, by hand only, in the order that operators were promised; gates and reports run whatever came before."""
    (policies / "one.yaml").write_text(policy_text("one", audit="{schedule: none, parallel: 3, pool: redis_one}"))
    dag = parse("remediate.py").dags["redis_ttl.one.remediate"]
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "build_plan": [
            "announce",
            "apply_canary",
            "approve_plan",
            "check_canary",
            "confirm_approval",
            "report",
            "verify",
        ],
        "announce": ["approve_plan"],
        "approve_plan": ["confirm_approval"],
        "confirm_approval": ["apply_canary"],
        "apply_canary": ["check_canary"],
        "check_canary": ["apply_shard"],
        "apply_shard": ["verify"],
        "verify": ["report"],
        "report": [],
    }
    assert [task.task_id for task in dag.tasks if isinstance(task, MappedOperator)] == ["apply_shard"]
    assert {task.task_id for task in dag.tasks if task.trigger_rule == "all_done"} == {"confirm_approval", "report"}
    assert {task.task_id for task in dag.tasks if task.pool == "redis_one"} == {"apply_canary", "apply_shard"}
    assert dag.get_task("apply_shard").max_active_tis_per_dag == 3
    assert {task.task_id for task in dag.tasks if task.retries == 0} == {"approve_plan"}
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert not dag.timetable.can_be_scheduled
    assert all(task.doc_md for task in dag.tasks)
    for words in ("redis_ttl.one.remediate", "pause", "rollback", "approve_plan", "It failed"):
        assert words in (dag.doc_md or "")


def test_two_approvals_are_two_gates_one_after_the_other(policies: Path) -> None:
    """Each waits for as long as the policy says, without a default answer, and refuses whom the policy doesn't name."""
    (policies / "one.yaml").write_text(policy_text("one") + REMEDIATION)
    dag = parse("remediate.py").dags["redis_ttl.one.remediate"]
    first, again = dag.get_task("approve_plan"), dag.get_task("approve_plan_again")
    assert first.downstream_task_ids == {"approve_plan_again"}
    assert again.downstream_task_ids == {"confirm_approval"}
    for gate in (first, again):
        assert isinstance(gate, PlanApprovalOperator)
        assert (gate.options, gate.defaults, gate.multiple) == (["Approve", "Reject"], None, False)
        assert gate.response_timeout == timedelta(hours=6)
        assert gate.retries == 0


def test_the_remediation_dag_can_be_stored_by_airflow(policies: Path) -> None:
    """The DAG survives Airflow's serialisation, gates and all."""
    (policies / "one.yaml").write_text(policy_text("one") + REMEDIATION)
    stored = DagSerialization.to_dict(parse("remediate.py").dags["redis_ttl.one.remediate"])
    restored = DagSerialization.from_dict(json.loads(json.dumps(stored)))
    assert "approve_plan_again" in restored.task_ids


def test_an_untouched_form_means_what_the_policy_says(policies: Path) -> None:
    """The latest audit, every rule, and the policy's own rate, load and watch; rules are offered by their patterns."""
    (policies / "one.yaml").write_text(policy_text("one"))
    form = form_of(load_policy(policies / "one.yaml"))
    answers = ParamsDict(dict(form)).validate()
    assert wanted_of(answers) == Wanted(None, None, "20000/s", "gentle", 600)
    assert form["rules"].serialize()["schema"]["examples"] == ["contact:last:activity:{contactId}"]


def test_the_form_s_answers_are_taken_as_meant(policies: Path) -> None:
    """An audit's id, some rules, no watch; what can't be meant is refused, a path above all."""
    (policies / "one.yaml").write_text(policy_text("one"))
    answers = ParamsDict(dict(form_of(load_policy(policies / "one.yaml")))).validate()
    given = answers | {"audit": "20260220T100000Z-0a1b2c", "rules": ["a:{n}"], "canary_watch": "0", "rate": "unlimited"}
    assert wanted_of(given) == Wanted("20260220T100000Z-0a1b2c", ("a:{n}",), "unlimited", "gentle", 0)
    for wrong in ({"audit": "../other/audits/x"}, {"canary_watch": "soon"}):
        with pytest.raises(InvalidOption):
            wanted_of(answers | wrong)
