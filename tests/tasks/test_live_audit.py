"""The audit on a complete running Airflow, through its public API only."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import expected_patterns, scaled

if TYPE_CHECKING:
    import redis

    from lab.servers.server import Server
    from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(1800)

_SMALL_XCOM_BYTES = 4_000


def test_a_killed_shard_resumes_and_the_audit_equals_what_was_loaded(live: LiveTests, valkey: Server) -> None:
    """A shard that is killed with SIGKILL after a checkpoint goes on there in its next try, and no key is lost or
    counted twice.
    """
    shares = scaled(FAMILIES, 120_000)
    write_keyspace(endpoint_from_url(valkey.url), shares, seed=1, on_progress=lambda _: None)
    live.connect("redis_killed", valkey)
    dag_id = live.add_policy("killed", audit="{schedule: none, parallel: 2}")
    run_id = live.airflow.trigger(dag_id, load="6000", shards=2)

    live.airflow.wait(lambda: bool(list(live.store.glob("killed/audits/*/shards/0/*.json"))), "a checkpoint")
    os.kill(task_of(live, dag_id, run_id, "scan_shard", 0)["pid"], signal.SIGKILL)
    assert live.airflow.wait_run(dag_id, run_id) == "success"

    killed = task_of(live, dag_id, run_id, "scan_shard", 0)
    assert killed["try_number"] == 2
    assert killed["rendered_map_index"].endswith("1/2")
    assert live.airflow.xcom(dag_id, run_id, "scan_shard", map_index=0)["resumed_at"] > 0
    assert "by an earlier attempt" in live.airflow.log(dag_id, run_id, "scan_shard", map_index=0, attempt=2)

    audit = the_audit(live, "killed")
    found = {pattern["pattern"]: (pattern["keys"], pattern["no_ttl_keys"]) for pattern in audit["patterns"]}
    assert found == {name: (each.keys, each.no_ttl_keys) for name, each in expected_patterns(shares).items()}
    headline = live.airflow.xcom(dag_id, run_id, "report")
    assert headline == {**headline, "keys": audit["keys"], "no_ttl_keys": audit["no_ttl_keys"]}
    assert f"{audit['no_ttl_keys']:,} of {audit['keys']:,} keys" in live.airflow.log(dag_id, run_id, "report")
    events = live.airflow.request("GET", "/assets/events", params={"source_dag_id": dag_id})["asset_events"]
    assert [event["extra"]["keys"] for event in events] == [audit["keys"]]
    for task_id in ("inspect_server", "plan_shards", "merge_audit", "report"):
        assert len(json.dumps(live.airflow.xcom(dag_id, run_id, task_id))) < _SMALL_XCOM_BYTES


def test_a_wrong_password_fails_at_the_first_try_in_our_words(live: LiveTests) -> None:
    """Trying again can't help, so nothing is retried, and the log's first error says what is wrong and what to do."""
    with run_server(VALKEY, password="right") as server:
        live.connect("redis_locked", server, password="wrong")
        dag_id = live.add_policy("locked")
        run_id = live.airflow.trigger(dag_id)
        assert live.airflow.wait_run(dag_id, run_id) == "failed"
    task = task_of(live, dag_id, run_id, "inspect_server")
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = live.airflow.log(dag_id, run_id, "inspect_server")
    assert f"{server.host}:{server.port}" in log
    assert "password" in log
    assert "During handling" not in log


def test_a_pool_that_does_not_exist_fails_the_run_until_it_is_made(live: LiveTests, valkey: Server) -> None:
    """The run fails at once and names the pool; with the pool made and the run cleared, it succeeds."""
    live.connect("redis_pooled", valkey)
    dag_id = live.add_policy("pooled", audit="{schedule: none, pool: redis_pooled}")
    run_id = live.airflow.trigger(dag_id)
    assert live.airflow.wait_run(dag_id, run_id) == "failed"
    assert "names an Airflow pool that doesn't exist; found audit.pool 'redis_pooled'" in live.airflow.log(
        dag_id, run_id, "inspect_server"
    )
    live.airflow.request("POST", "/pools", json={"name": "redis_pooled", "slots": 1})
    body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    live.airflow.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
    live.airflow.wait(lambda: run_state(live, dag_id, run_id) != "failed", "the cleared run")
    assert live.airflow.wait_run(dag_id, run_id) == "success"


def test_marking_a_run_failed_ends_its_scan(live: LiveTests, valkey: Server) -> None:
    """An operator who needs the server's time back gets it: the scan's connections close, and no try follows."""
    with valkey.client() as client:
        client.mset({f"key:{number}": "" for number in range(30_000)})
        live.connect("redis_stopped", valkey)
        dag_id = live.add_policy("stopped")
        run_id = live.airflow.trigger(dag_id, load="500")
        live.airflow.wait(lambda: "scan_shard" in running(live, dag_id, run_id) and connections(client) > 0, "a scan")
        live.airflow.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})
        live.airflow.wait(lambda: connections(client) == 0, "the scan to end")
    assert task_of(live, dag_id, run_id, "scan_shard", 0)["try_number"] == 1


def test_a_broken_policy_shows_while_the_others_stay(live: LiveTests, valkey: Server) -> None:
    """Airflow's page lists one import error, which names the file; other DAGs remain; repairing the file removes the
    error.
    """
    live.connect("redis_healthy", valkey)
    healthy = live.add_policy("healthy")
    broken = live.policies / "broken.yaml"
    broken.write_text("cluster: broken\n")
    live.airflow.wait(lambda: "policies.py" in live.airflow.import_errors(), "the import error")
    assert str(broken) in live.airflow.import_errors()["policies.py"]
    assert healthy in live.airflow.dag_ids()
    broken.unlink()
    live.airflow.wait(lambda: not live.airflow.import_errors(), "the import error to go")


def task_of(live: LiveTests, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
    """One task instance of a run."""
    tasks = live.airflow.task_instances(dag_id, run_id)
    return next(task for task in tasks if (task["task_id"], task["map_index"]) == (task_id, map_index))


def running(live: LiveTests, dag_id: str, run_id: str) -> set[str]:
    """The tasks of a run that are at work."""
    return {task["task_id"] for task in live.airflow.task_instances(dag_id, run_id) if task["state"] == "running"}


def connections(client: redis.Redis) -> int:
    """How many connections of audits the server holds."""
    return sum(each["name"] == "redis_ttl" for each in client.client_list())


def run_state(live: LiveTests, dag_id: str, run_id: str) -> str:
    """The state of a run."""
    return str(live.airflow.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])


def the_audit(live: LiveTests, cluster: str) -> dict[str, Any]:
    """The only audit of that cluster in the store."""
    (document,) = live.store.glob(f"{cluster}/audits/*/audit.json")
    audit: dict[str, Any] = json.loads(document.read_text())
    return audit
