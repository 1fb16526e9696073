"""What Airflow makes of ``dags/rollback.py``, and the rollback's work with its own form, without a running Airflow."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.serialization.serialized_objects import DagSerialization

from lab.checkout import ROOT
from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import expiries
from lab.servers.server import Server
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import BadInput, InvalidOption, Unfinished
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.rollback.rollback import RestoreResult
from redis_ttl.tasks.rollback import form as rollback_form
from redis_ttl.tasks.rollback import run as rollback_run
from tests.adapters.keyspaces import set_keys
from tests.tasks.conftest import policy_text

PLAN = "20261124T010101Z-abcdef"


def parse() -> DagBag:
    """What Airflow gets out of the file."""
    return DagBag(str(ROOT / "dags/rollback.py"), safe_mode=True, bundle_path=ROOT / "dags", bundle_name="dags-folder")


def test_the_rollback_dag_has_its_shape(policies: Path) -> None:
    """One DAG a policy, by hand only, dry by default, with its tasks in their order; and Airflow can store it."""
    (policies / "one.yaml").write_text(policy_text("one"))
    bag = parse()
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert dag.dag_id == "redis_ttl.one.rollback"
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "load_journal": ["restore_shard"],
        "restore_shard": ["verify"],
        "verify": ["report"],
        "report": [],
    }
    assert isinstance(dag.get_task("restore_shard"), MappedOperator)
    assert dag.max_active_runs == 1
    assert dag.params["dry_run"] is True
    assert all(task.doc_md for task in dag.tasks)
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == dag.dag_id


def test_the_form_lists_the_latest_journals_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form proposes the plans of a local store that have a journal, newest first, and none while Airflow parses for a task."""
    monkeypatch.setenv("REDIS_TTL_STORE", str(tmp_path))
    for plan in (PLAN, "20261125T010101Z-000000", "no-plan"):
        (tmp_path / "one/journals" / plan).mkdir(parents=True)
    assert rollback_form.recent_plans("one") == ["20261125T010101Z-000000", PLAN]
    assert rollback_form.recent_plans("other") == []
    monkeypatch.setattr(rollback_form, "get_parsing_context", lambda: SimpleNamespace(dag_id="redis_ttl.one.rollback"))
    assert rollback_form.recent_plans("one") == []
    monkeypatch.setenv("REDIS_TTL_STORE", "s3://bucket/redis_ttl")
    assert rollback_form.recent_plans("one") == []


def context(**params: Any) -> Any:
    """What a task of the rollback sees of its run."""
    form = {"plan": PLAN, "rules": [], "dry_run": True, "rate": "unlimited", "any_lineage": False, **params}
    run = SimpleNamespace(dag_id="redis_ttl.test.rollback", run_id="manual", conf={})
    return {"params": form, "dag_run": run}


def test_the_tasks_tell_first_and_then_take_back(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The tasks of a dry run change nothing; those of a real one restore every key, find none left, and print it."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    monkeypatch.setenv("AIRFLOW_CONN_TEST", f"redis://{redis7.host}:{redis7.port}")
    policy = policy_of(rule("cart:{id}"))
    set_keys(redis7, [f"cart:{number}" for number in range(300)])
    before = expiries([redis7])
    run = Applying(redis7.url, tmp_path, policy)
    run.documents.write_plan(run.plan)
    run.run()
    applied = expiries([redis7])
    caplog.set_level(logging.INFO)
    for dry in (True, False):
        seen = context(dry_run=dry)
        restored = [rollback_run.restore_shard(policy, seen, part) for part in rollback_run.load_journal(policy, seen)]
        verified = rollback_run.verify(policy, seen, restored)
        sums = rollback_run.report(policy, seen, verified)
        assert (sums["keys"], sums["removed"], sums["dry_run"]) == (300, 300, dry)
        assert expiries([redis7]) == (applied if dry else before)
    assert "**300 of 300 journalled keys have their previous expiry (or none) back.**" in caplog.text


@pytest.mark.parametrize("plan", ["../../etc", "", "20261124T010101Z-ABCDEF", f"{PLAN}/.."])
def test_a_plan_that_is_no_id_never_becomes_a_path(plan: str) -> None:
    """Whatever somebody writes into the run's configuration, only an id is looked up."""
    with pytest.raises(InvalidOption, match="no id"):
        rollback_run.load_journal(policy_of(), context(plan=plan))


def test_a_rule_that_the_plan_lacks_is_refused(redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that isn't one of the plan's is named, with those that are."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    policy = policy_of(rule("cart:{id}"))
    run = Applying(redis7.url, tmp_path, policy)
    run.documents.write_plan(run.plan)
    with pytest.raises(BadInput, match="no such rule"):
        rollback_run.load_journal(policy, context(rules=["seen:{id}"]))


def test_a_hole_in_the_journal_fails_the_run_after_everything_else_is_restored(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the canary's journal object gone, a dry run and a real one fail with its name; the real one has restored the rest, and
    the page in the log shows the keys that are left.
    """
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    monkeypatch.setenv("AIRFLOW_CONN_TEST", f"redis://{redis7.host}:{redis7.port}")
    policy = policy_of(rule("cart:{id}"), canary_keys=20)
    set_keys(redis7, [f"cart:{number}" for number in range(300)])
    run = Applying(redis7.url, tmp_path, policy)
    run.documents.write_plan(run.plan)
    run.run()
    for name in run.documents.journal_names():
        if all(each.part != name.part for each in run.documents.begun()):
            run.documents.write_begun(PartBegun(PLAN, name.part, name.attempt, run.approved_at_ms, "x"))
    (lost,) = (tmp_path / "test/journals" / PLAN).glob("*_canary_*")
    lost.unlink()
    caplog.set_level(logging.INFO)
    for dry in (True, False):
        seen = context(dry_run=dry)
        restored = [rollback_run.restore_shard(policy, seen, part) for part in rollback_run.load_journal(policy, seen)]
        with pytest.raises(Unfinished, match=f"{lost.name[:26]}.*missing"):
            rollback_run.verify(policy, seen, restored)
    left = sum(at != -1 for at in expiries([redis7]).values())
    assert 0 < left < 300
    assert f"**{left} keys still have the plan's expiry.**" in caplog.text
    (check, *_) = sorted(run.documents.rollbacks(), key=lambda each: each[0].dry_run)
    assert check[1].leftovers == {0: left}


@pytest.mark.parametrize(
    "wrong", [{"number": "0/../../x"}, {"of": None}, {"of": "1"}, {"number": 7}, {"first": "../x"}, {"last": 3}]
)
def test_a_part_from_elsewhere_is_refused(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    """What reaches a task by XCom is looked at before it is used, and nothing is written because of it."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    monkeypatch.setenv("AIRFLOW_CONN_TEST", f"redis://{redis7.host}:{redis7.port}")
    policy = policy_of(rule("cart:{id}"))
    set_keys(redis7, [f"cart:{number}" for number in range(10)])
    run = Applying(redis7.url, tmp_path, policy)
    run.documents.write_plan(run.plan)
    run.run()
    (part,) = rollback_run.load_journal(policy, context())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="no part of a journal"):
        rollback_run.restore_shard(policy, context(), {**part, **wrong})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "wrong", [{}, {"plan_id": "20261124T010101Z-000000"}, {"accounts": 3}, {"accounts": {"x": {}}}]
)
def test_a_result_from_elsewhere_is_refused(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    """A result that is none, or another plan's, isn't told as this one's."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"file://{tmp_path}")
    policy = policy_of(rule("cart:{id}"))
    run = Applying(redis7.url, tmp_path, policy)
    run.documents.write_plan(run.plan)
    good = to_plain(RestoreResult(PLAN, "rollback-0", "a", dry_run=True, began_at="x", ended_at="x", accounts={}))
    with pytest.raises(BadInput, match="result"):
        rollback_run.verify(policy, context(), [{**good, **wrong} if wrong else {}])
