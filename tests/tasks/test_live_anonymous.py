"""A live Airflow in which nobody logs in (simple auth manager, all admins): whatever is pressed, nothing is written.

``make approvals`` runs it; the suite doesn't, because it needs an Airflow of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import httpx
import pytest

from lab.checkout import ROOT
from lab.live_airflow.live_airflow import LiveAirflow
from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from lab.services.object_store import store_of_run
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.document_ids import document_id
from tests.conftest import require
from tests.tasks.approval_case import ApprovalLive, Case

pytestmark = pytest.mark.timeout(1800)

Act = Callable[[Case], int]

ACTS: dict[str, Act] = {
    "form": lambda run: run.answer("admin", "Approve"),
    "mark": lambda run: run.mark("admin", "success"),
    "bulk": lambda run: run.mark_in_bulk("admin", "success"),
}


class OpenAirflow(LiveAirflow):
    """An Airflow that takes everybody for an administrator without a name."""

    def client_of(self, user: str) -> httpx.Client:  # noqa: ARG002  # nobody has a name here
        """The public REST API without a password."""
        answer = httpx.get(f"{self.url}/auth/token", timeout=30)
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    """A run for each act."""
    folder = tmp_path_factory.mktemp("anonymous")
    policies, dags = folder / "policies", folder / "dags"
    policies.mkdir()
    dags.mkdir()
    shutil.copy(ROOT / "dags" / "remediate.py", dags)
    with run_server(require(VALKEY)) as server, server.client() as client, store_of_run() as storage:
        environment = {
            **({} if storage is None else storage.airflow_environment()),
            "REDIS_TTL_POLICIES": str(policies),
            "AIRFLOW_CONN_REDIS_GATE": server.url,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        }
        airflow = OpenAirflow(folder / "airflow", environment, dags)
        live = ApprovalLive(airflow, server, policies, {}, client, storage)
        made = {name: Case(live, f"nobody-{name}", "approvals: 1") for name in ACTS}
        client.mset({f"other:{number}": "" for number in range(1000)})
        for each in made.values():
            each.prepare()
        for each in made.values():
            each.audit(document_id(SystemClock().now(), "00000a"))
        with airflow, airflow.client_of("admin") as admin:
            live.clients["admin"] = admin
            connection = {"connection_id": "redis_ttl_airflow", "conn_type": "http", "host": "127.0.0.1"}
            airflow.request("POST", "/connections", json={**connection, "port": airflow.port})
            airflow.wait(lambda: all(each.is_known() for each in made.values()), "the DAGs")
            yield made


@pytest.mark.parametrize("act", ACTS)
def test_nobody_without_a_name_approves(cases: dict[str, Case], act: str) -> None:
    """A form, a mark and a bulk mark of somebody whom Airflow doesn't know by name are no approvals, and the log says so."""
    run = cases[act]
    run.start()
    run.wait_shown()
    assert ACTS[act](run) == 200
    assert run.end() == "failed"
    assert run.written() == 0
    (decision,) = run.decisions()
    assert decision.verdict == "invalid"
    assert "not approved" in run.log("confirm_approval")
