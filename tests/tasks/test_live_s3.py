"""A live Airflow whose documents are on S3: a plan is approved and written there, and a rollback stops its writers."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import polars as pl
import pytest

from lab.checkout import ROOT
from lab.live_airflow.live_airflow import LiveAirflow
from lab.servers.kinds import VALKEY
from lab.servers.server import run_server
from lab.services.object_store import ObjectStorage
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.document_ids import document_id
from redis_ttl.usecases.remediation.write_gate import APPROVAL_S
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.conftest import require
from tests.tasks.approval_case import ApprovalLive, Case

pytestmark = pytest.mark.timeout(1800)

_RATE_PER_S = 100
_KEYS = 20_000
#: How long a writer may go on after its approval has ended: until it asks the next time, and a little.
_GOES_ON_S = 25


@dataclass
class LargeCase(Case):
    """A cluster whose keys take minutes to write."""

    def prepare(self) -> None:
        """Write the policy, and the keys."""
        self.write_policy(self.remediation)
        self.live.redis.mset({f"{self.cluster}:{number}": "" for number in range(_KEYS)})

    def write_policy(self, remediation: str) -> None:
        """As of any case, but slow."""
        super().write_policy(remediation)
        path = self.live.policies / f"{self.cluster}.yaml"
        path.write_text(path.read_text().replace("rate: unlimited", f"rate: {_RATE_PER_S}/s"))


@pytest.fixture(scope="module")
def case(
    object_storages: Callable[[str], ObjectStorage], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LargeCase]:
    """An Airflow with its store on S3, and one cluster."""
    folder = tmp_path_factory.mktemp("s3")
    policies, dags = folder / "policies", folder / "dags"
    policies.mkdir()
    dags.mkdir()
    for name in ("remediate.py", "rollback.py"):
        shutil.copy(ROOT / "dags" / name, dags)
    storage = object_storages("s3").apart()
    with run_server(require(VALKEY)) as server, server.client() as client:
        environment = {
            "REDIS_TTL_POLICIES": str(policies),
            "AIRFLOW_CONN_REDIS_GATE": server.url,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            **storage.airflow_environment(),
        }
        airflow = LiveAirflow(folder / "airflow", environment, dags)
        live = ApprovalLive(airflow, server, policies, {}, client, storage)
        made = LargeCase(live, "large")
        client.mset({f"other:{number}": "" for number in range(3 * _KEYS)})  # a case's keys are a small share of all
        made.prepare()
        made.audit(document_id(SystemClock().now(), "00000a"))
        with airflow, ExitStack() as opened:
            for user in ("admin", "bob"):
                live.clients[user] = opened.enter_context(airflow.client_of(user))
            airflow.wait(made.is_known, "the DAG")
            yield made


def test_a_rollback_stops_the_writer_whose_store_is_on_s3(case: LargeCase) -> None:
    """The plan is approved and being written when its rollback ends the approval from another process: the writer sees that the
    next time it asks, ends, and writes no key from then on.
    """
    assert _GOES_ON_S > APPROVAL_S
    case.start()
    case.wait_shown()
    assert case.answer("bob", "Approve") == 200
    (documents,) = case.plans()
    case.wait(lambda: _written(documents) > 0, "the first keys of the shard")
    rollback = f"redis_ttl.{case.cluster}.rollback"
    case.live.airflow.trigger(rollback, plan=documents.plan_id, dry_run=False, rate="unlimited")
    case.wait(lambda: len(documents.decisions()) > 1, "the end of the approval")
    at_the_end = _written(documents)
    assert case.end() == "failed"
    stopped_at = _written(documents)
    assert stopped_at < _KEYS // 2, "it was stopped, and not at its end"
    assert stopped_at - at_the_end <= _GOES_ON_S * _RATE_PER_S
    log = case.live.airflow.log(case.dag_id, case.run_id, "apply_shard", map_index=0)
    assert f"the plan is rolled back by {rollback}" in log
    with_expiry = case.live.redis.info("keyspace")["db0"]["expires"]
    (run,) = case.get(f"/dags/{rollback}/dagRuns")["dag_runs"]
    case.live.airflow.wait_run(rollback, run["dag_run_id"])
    assert _written(documents) == stopped_at
    assert case.live.redis.info("keyspace")["db0"]["expires"] <= with_expiry


def _written(documents: PlanDocuments) -> int:
    """Keys that the shard's journal says were written."""
    names = [name for name in documents.journal_names() if name.part.startswith("shard")]
    return sum(pl.read_parquet(io.BytesIO(documents.journal(name))).height for name in names)
