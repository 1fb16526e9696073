"""The trigger forms as Airflow holds answers against them: what can't be used doesn't start a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.tasks.audit import form as audit_form
from redis_ttl.tasks.remediate import form as remediate_form
from redis_ttl.tasks.rollback import form as rollback_form
from tests.domain.policy.test_written import PATTERNS, written
from tests.tasks.conftest import policy_text
from tests.tasks.test_dag_files import parse

LONG = "9" * 5_000
#: Answers that no run can use, by DAG and field.
UNUSABLE: dict[str, dict[str, list[Any]]] = {
    "audit": {
        "load": ["fsat", "", "20000 keys", LONG, "٣", "-1", None, 5],
        "shards": [0, 65, 10**400, "auto"],
        "sample_percent": [-1, 101, "1%", 10**400],
        "source": ["master", ""],
        "db": ["db3", "65536", "-1", LONG, "0" * 1_001],
    },
    "remediate": {
        "audit": ["newest", "../x", "٢" * 8 + "T190000Z-0a1b2c", "", LONG],
        "rules": [["nope"], "coupon", [5]],
        "rate": ["20000", "fast", "0/s", LONG + "/s", "10000001/s", "", None],
        "load": ["fsat", LONG, ""],
        "canary_watch": ["soon", "-1s", LONG + "d", "9" * 30 + "d", "1h1d", "", "10"],
    },
    "rollback": {
        "plan": ["latest", "../x", "", LONG],
        "rules": [["x" * 1_025], [""], "x"],
        "dry_run": ["no", 0],
        "rate": ["20000", LONG + "/s"],
    },
    "drift_check": {
        "accept": ["yes"],
        "reason": ["x" * 2_001],
        "audit_id": ["latest", "../x", LONG],
    },
}


PLAN_ID = {"plan": "20260220T190000Z-0a1b2c"}


def triggered(dag: str, policies: Path, conf: dict[str, Any]) -> dict[str, Any]:
    """What the API server does with a trigger: the stored DAG's form, the answers over its defaults, all validated."""
    (policies / "one.yaml").write_text(policy_text("one"))
    stored = DagSerialization.to_dict(parse(f"{dag}.py").dags[f"redis_ttl.one.{dag}"])
    form = DagSerialization.from_dict(json.loads(json.dumps(stored))).params
    required = PLAN_ID if dag == "rollback" else {}
    return dict(form.deep_merge({**required, **conf}).validate())


@pytest.mark.parametrize("dag", UNUSABLE)
def test_a_form_refuses_what_cant_be_used(dag: str, policies: Path) -> None:
    """Each such answer alone is an error of validation, which Airflow gives before there is a run; untouched, the form is fine."""
    untouched = triggered(dag, policies, {})
    assert set(untouched) - {"any_lineage"} == set(UNUSABLE[dag]), "a field without bounds"
    for field, answers in UNUSABLE[dag].items():
        for answer in answers:
            with pytest.raises(ParamValidationError, match=f"Invalid input for param {field}"):
                triggered(dag, policies, {field: answer})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_what_a_form_takes_its_task_can_use(policies: Path, data: st.DataObject) -> None:
    """An answer is refused by the form if and only if the task would refuse it."""
    (policies / "one.yaml").write_text(policy_text("one"))
    policy = load_policy(policies / "one.yaml")
    field, pattern = data.draw(st.sampled_from([("rate", "rate"), ("load", "load"), ("canary_watch", "watch")]))
    answer = data.draw(st.one_of(st.from_regex(PATTERNS[pattern]), written))
    form = ParamsDict(dict(remediate_form.form_of(policy)))
    defaults = form.validate()
    try:
        form[field] = answer
    except ParamValidationError:
        with pytest.raises(InvalidOption):
            remediate_form.wanted_of(defaults | {field: answer})
    else:
        remediate_form.wanted_of(form.validate())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(load=written, db=written)
@example(load="gentle", db="0,3")
def test_what_an_audit_s_form_takes_its_task_can_use(policies: Path, load: str, db: str) -> None:
    """The same of an audit's load and databases."""
    (policies / "one.yaml").write_text(policy_text("one"))
    policy = load_policy(policies / "one.yaml")
    for field, answer in (("load", load), ("db", db)):
        form = ParamsDict(dict(audit_form.form_of(policy)))
        defaults = form.validate()
        try:
            form[field] = answer
        except ParamValidationError:
            with pytest.raises(InvalidOption):
                audit_form.options_of(defaults | {field: answer}, connection_db=0, parallel=1)
        else:
            audit_form.options_of(form.validate(), connection_db=0, parallel=1)


def test_a_rollback_s_rate_is_a_remediation_s(policies: Path) -> None:
    """Both forms refuse by the same pattern."""
    (policies / "one.yaml").write_text(policy_text("one"))
    policy = load_policy(policies / "one.yaml")
    rates = [
        form(policy)["rate"].serialize()["schema"]["pattern"]
        for form in (remediate_form.form_of, rollback_form.form_of)
    ]
    assert rates == [PATTERNS["rate"], PATTERNS["rate"]]
