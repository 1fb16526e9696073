"""An Airflow of the tests' own. Its settings are made before anything imports ``airflow``, which reads them once, at
import.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.checkout import ROOT
from lab.live_airflow.live_airflow import LiveAirflow
from lab.live_airflow.settings import airflow_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from lab.servers.server import Server

_HOME = Path(tempfile.mkdtemp(prefix="redis-ttl-airflow-"))
os.environ.update(airflow_environment(_HOME, ROOT / "dags", {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}))


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the DAG files read policies from, empty."""
    folder = tmp_path / "policies"
    folder.mkdir()
    monkeypatch.setenv("REDIS_TTL_POLICIES", str(folder))
    return folder


def policy_text(cluster: str, *, connection: str = "redis_test", audit: str = "{schedule: none}") -> str:
    """A small policy of that cluster."""
    return f"""\
cluster: {cluster}
connection: {connection}
owner: {{team: growth, slack: "#growth", email: [growth@example.com]}}
audit: {audit}
rules:
  - pattern: "contact:last:activity:{{contactId}}"
    ttl: 90d
    mode: cap
exempt:
  - pattern: "config:{{name}}"
    reason: read at start-up, never rewritten
"""


@dataclass(frozen=True)
class LiveTests:
    """A running Airflow with a policies folder of its own, and what tests do with it."""

    airflow: LiveAirflow
    policies: Path
    own_dags: Path
    """DAG files beside the project's, as a user would have them."""

    @property
    def store(self) -> Path:
        """The folder that audits are written to."""
        return self.airflow.home / "redis_ttl"

    def connect(self, connection_id: str, server: Server, **fields: object) -> None:
        """Create the Airflow connection that leads to this server."""
        body = {"connection_id": connection_id, "conn_type": "redis", "host": server.host, "port": server.port}
        self.airflow.request("POST", "/connections", json={**body, **fields})

    def add_policy(self, cluster: str, **options: str) -> str:
        """Write a policy and wait until its DAG can run; the id of the DAG."""
        (self.policies / f"{cluster}.yaml").write_text(policy_text(cluster, connection=f"redis_{cluster}", **options))
        dag_id = f"redis_ttl.{cluster}.audit"
        self.airflow.unpause(dag_id)
        return dag_id


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveTests]:
    """One running Airflow for all live tests."""
    folder = tmp_path_factory.mktemp("live")
    policies, own_dags = folder / "policies", folder / "dags"
    policies.mkdir()
    own_dags.mkdir()
    bundles = [
        {
            "name": path.parent.name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path), "refresh_interval": 3},
        }
        for path in (ROOT / "dags", own_dags)
    ]
    env = {
        "REDIS_TTL_POLICIES": str(policies),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    with LiveAirflow(folder / "airflow", env) as airflow:
        yield LiveTests(airflow, policies, own_dags)


def log_in(page: Page, user: str, password: str) -> None:
    """Log in where Airflow asks for it."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


# It needs an Airflow of its own, for one answer: `make approvals` gives it one.
collect_ignore = [] if os.environ.get("APPROVAL_CASES") == "all" else ["test_live_anonymous.py"]
