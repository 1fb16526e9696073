"""The audit DAG run with ``dag.test()``: every task really executes, in one process, without the other components."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.checkout import ROOT
from lab.live_airflow.settings import airflow_environment, run_airflow
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import expected_patterns, scaled
from tests.tasks.conftest import policy_text

if TYPE_CHECKING:
    from pathlib import Path

    from lab.servers.server import Server

_RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.observability import stats
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

gauges = {}

class Recorder(NoStatsLogger):
    @classmethod
    def gauge(cls, stat, value, rate=1, delta=False, *, tags=None):
        gauges[stat] = [value, tags]

stats.initialize(factory=Recorder, export_legacy_names=False)
bag = DagBag(sys.argv[1], bundle_path=sys.argv[1], bundle_name="dags-folder")
run = bag.dags["redis_ttl.market.audit"].test(run_conf={"load": "fast", "shards": 2})
tasks = {f"{each.task_id}{each.map_index}": each.state for each in run.get_task_instances()}
print(json.dumps({"state": run.state, "tasks": tasks, "gauges": gauges}))
"""


def test_the_audit_runs_in_one_process(policies: Path, tmp_path: Path, valkey: Server) -> None:
    """dag.test() audits a real server: every task succeeds, and the documents hold what was loaded, pattern by pattern."""
    shares = scaled(FAMILIES, 60_000)
    with valkey.client() as client:
        client.config_set("maxmemory", "1gb")
    write_keyspace(endpoint_from_url(valkey.url), shares, seed=1, on_progress=lambda _: None)
    (policies / "market.yaml").write_text(policy_text("market"))
    home = tmp_path / "airflow"
    home.mkdir()
    environment = airflow_environment(
        home, ROOT / "dags", {"REDIS_TTL_POLICIES": str(policies), "AIRFLOW_CONN_REDIS_TEST": valkey.url}
    )
    run_airflow(["db", "migrate"], environment)
    command = [sys.executable, "-c", _RUN, str(ROOT / "dags")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["state"], set(seen["tasks"].values())) == ("success", {"success"}), done.stdout
    assert sorted(seen["tasks"]) == [
        "inspect_server-1",
        "merge_audit-1",
        "plan_shards-1",
        "report-1",
        "scan_shard0",
        "scan_shard1",
    ]

    figures = {name: value for name, (value, tags) in seen["gauges"].items() if tags == {"cluster": "market"}}
    names = ("keys", "no_ttl_keys", "no_ttl_ratio", "memory_ratio", "fullest_node_ratio")
    assert set(figures) == {f"redis_ttl.{name}" for name in names}
    assert figures["redis_ttl.keys"] == 60_000
    assert figures["redis_ttl.no_ttl_ratio"] == pytest.approx(0.392, abs=0.001)
    assert 0 < figures["redis_ttl.memory_ratio"] == figures["redis_ttl.fullest_node_ratio"] < 1

    (document,) = (home / "redis_ttl").glob("market/audits/*/audit.json")
    audit = json.loads(document.read_text())
    found: dict[str, tuple[int, int]] = {}
    for pattern in audit["patterns"]:
        keys, no_ttl_keys = found.get(pattern["pattern"], (0, 0))
        found[pattern["pattern"]] = (keys + pattern["keys"], no_ttl_keys + pattern["no_ttl_keys"])
    assert found == {name: (each.keys, each.no_ttl_keys) for name, each in expected_patterns(shares).items()}
    assert {path.name for path in document.parent.iterdir()} >= {"plan.json", "patterns.parquet", "report.md", "no_ttl"}
