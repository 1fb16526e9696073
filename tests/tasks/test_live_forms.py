"""What can't be used is refused by a running Airflow when it is asked for, and not by a task some seconds later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.servers.server import Server
    from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(1800)

UNUSABLE: list[tuple[str, dict[str, Any]]] = [
    ("audit", {"load": "fsat"}),
    ("audit", {"load": "9" * 5_000}),
    ("audit", {"db": "db3"}),
    ("remediate", {"rate": "20000"}),
    ("remediate", {"rate": "9" * 400 + "/s"}),
    ("remediate", {"canary_watch": "9" * 30 + "d"}),
    ("remediate", {"rules": ["nope:{n}"]}),
    ("rollback", {"plan": "latest"}),
    ("rollback", {"plan": "20260220T190000Z-0a1b2c", "rate": "fast"}),
    ("drift_check", {"audit_id": "latest"}),
]


def test_a_trigger_that_cant_be_used_starts_no_run(live: LiveTests, valkey: Server) -> None:
    """The API answers 400 and names the field, of each DAG that has a form; and there is no run."""
    live.connect("redis_forms", valkey)
    live.add_policy("forms")
    asked = {f"redis_ttl.forms.{dag}" for dag, _ in UNUSABLE}
    # Each kind of DAG has a file of its own, and the files are parsed one after the other.
    live.airflow.wait(lambda: asked <= live.airflow.dag_ids(), "every DAG of the policy", timeout_s=240)
    for dag, conf in UNUSABLE:
        dag_id = f"redis_ttl.forms.{dag}"
        field = list(conf)[-1]
        with pytest.raises(RuntimeError, match=rf"dagRuns: 4\d\d .*Invalid input for param {field}"):
            live.airflow.trigger(dag_id, **conf)
        assert live.airflow.request("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"] == []


def test_what_only_a_task_can_know_is_one_sentence_in_its_log(live: LiveTests, valkey: Server) -> None:
    """An audit that isn't there is refused with its id and what to do, before Airflow's own words."""
    live.connect("redis_unknown", valkey)
    live.add_policy("unknown")
    dag_id = "redis_ttl.unknown.remediate"
    live.airflow.unpause(dag_id)
    run_id = live.airflow.trigger(dag_id, audit="20260220T190000Z-0a1b2c")
    assert live.airflow.wait_run(dag_id, run_id) == "failed"
    # On a busy machine Airflow may lose the first attempt before it has begun.
    [attempt] = [
        each["try_number"] for each in live.airflow.task_instances(dag_id, run_id) if each["task_id"] == "build_plan"
    ]
    log = live.airflow.log(dag_id, run_id, "build_plan", attempt=attempt)
    (line,) = [line for line in log.splitlines() if "there is no finished audit to plan from" in line][:1]
    assert "20260220T190000Z-0a1b2c" in line
    assert "Trigger redis_ttl.unknown.audit" in line
