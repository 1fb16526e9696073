"""Audits that last longer than the token by which Airflow knows their tasks, on a running Airflow of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lab.live_airflow.live_airflow import LiveAirflow
from lab.servers.server import Server
from tests.tasks.conftest import LiveTests
from tests.tasks.test_live_audit import task_of, the_audit

pytestmark = pytest.mark.timeout(420)

KEYS = 24_000
RATE_PER_S = 600
#: Shorter than two checkpoints are apart.
TOKEN_S = 10


def test_a_task_whose_token_has_expired_goes_on_at_its_checkpoint(tmp_path: Path, valkey: Server) -> None:
    """Airflow renews a task's token with each heartbeat, however long the audit takes. Where heartbeats stay away for longer than the
    token lasts, Airflow ends the task; the next try begins at the checkpoint, and the audit is exact.
    """
    with valkey.client() as client:
        client.mset({f"user:{number}": "" for number in range(KEYS)})
    policies = tmp_path / "policies"
    policies.mkdir()
    env = {
        "REDIS_TTL_POLICIES": str(policies),
        "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": str(TOKEN_S),
        "AIRFLOW__API_AUTH__JWT_LEEWAY": "0",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "1",
    }
    with LiveAirflow(tmp_path / "airflow", env) as airflow:
        live = LiveTests(airflow, policies, tmp_path)
        live.connect("redis_long", valkey)
        dag_id = live.add_policy("long", audit=f"{{schedule: none, load: {RATE_PER_S}/s}}")
        run_id = airflow.trigger(dag_id)

        def checkpoints() -> int:
            return len(list(live.store.glob("long/audits/*/shards/0/*.json")))

        # By then the token was renewed, or the task couldn't have come so far.
        airflow.wait(lambda: checkpoints() >= 1, "a checkpoint", 120)
        supervisor = _parent_of(task_of(live, dag_id, run_id, "scan_shard", 0)["pid"])
        seen = checkpoints()
        os.kill(supervisor, signal.SIGSTOP)
        try:
            airflow.wait(lambda: checkpoints() >= seen + 2, "two more checkpoints", 120)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        assert airflow.wait_run(dag_id, run_id, 180) == "success"

        assert task_of(live, dag_id, run_id, "scan_shard", 0)["try_number"] >= 2
        resumed = airflow.xcom(dag_id, run_id, "scan_shard", map_index=0)["resumed_at"]
        assert KEYS // 4 < resumed < KEYS
        audit = the_audit(live, "long")
        assert (audit["keys"], audit["no_ttl_keys"], audit["completeness"]["is_whole"]) == (KEYS, KEYS, True)
        assert audit["completeness"]["scanned_again"] == []


def _parent_of(pid: int) -> int:
    """The process that supervises a task's."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
