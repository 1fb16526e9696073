"""The watch on a complete running Airflow: red once for a burst, green before and after."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from redis_ttl.tasks import airflow_api
from tests.adapters.keyspaces import set_keys

if TYPE_CHECKING:
    from lab.servers.server import Server
    from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(1800)

CLUSTER = "watched"
DAG_ID = f"redis_ttl.{CLUSTER}.watch"


def test_a_worse_level_is_red_once(live: LiveTests, valkey: Server) -> None:
    """The run that finds memory critical fails, without a retry and in words; the next one is green."""
    live.connect(f"redis_{CLUSTER}", valkey)
    set_keys(valkey, (f"cart:{number}" for number in range(100)))
    (live.policies / f"{CLUSTER}.yaml").write_text(f"""\
cluster: {CLUSTER}
connection: redis_{CLUSTER}
owner: {{team: growth}}
audit: {{schedule: none}}
memory: {{limit: 1MB}}
scaling_cost: {{usd_per_month: 135}}
watch: {{schedule: none}}
""")
    airflow = live.airflow
    airflow.unpause(DAG_ID)
    first = airflow.trigger(DAG_ID)
    assert airflow.wait_run(DAG_ID, first) == "failed"
    (task,) = airflow.task_instances(DAG_ID, first)
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = airflow.log(DAG_ID, first, "sample")
    assert "memory is critical, was ok" in log
    assert "100 of 100 keys have no TTL" in log
    assert "a larger cluster would cost 135 US dollars more a month" in log
    second = airflow.trigger(DAG_ID)
    assert airflow.wait_run(DAG_ID, second) == "success"
    levels = airflow.xcom(DAG_ID, second, "sample")["levels"]
    assert levels == {"memory": "critical", "no_ttl": "warn"}


def test_a_burst_names_what_ran(live: LiveTests, valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that finds a burst is red and names the pattern and the declared jobs; and Airflow's own records tell which DAG
    runs overlap.
    """
    airflow = live.airflow
    live.connect("redis_bursting", valkey)
    (live.policies / "bursting.yaml").write_text("""\
cluster: bursting
connection: redis_bursting
owner: {team: growth}
audit: {schedule: none}
watch:
  schedule: none
  burst: {keys: 1000, bytes: 500MB, no_ttl_keys: 100000000, percent: 0%}
  jobs: [{name: campaign, schedule: "* * * * *"}]
""")
    began = dt.datetime.now(dt.UTC)
    dag_id = "redis_ttl.bursting.watch"
    airflow.unpause(dag_id)
    assert airflow.wait_run(dag_id, airflow.trigger(dag_id)) == "success"
    # The next look is five minutes later, as far as it can tell.
    (look,) = (live.store / "bursting" / "watch").glob("2*/*.json")
    data = json.loads(look.read_text())
    data["sample"]["at"] = (began - dt.timedelta(minutes=5)).isoformat()
    look.unlink()
    look.with_name("000000000000.json").write_text(json.dumps(data))
    set_keys(valkey, (str(number) for number in range(5_000)))
    second = airflow.trigger(dag_id)
    assert airflow.wait_run(dag_id, second) == "failed"
    log = airflow.log(dag_id, second, "sample")
    assert "burst: 5,000 new keys" in log
    assert "pattern {n}: 100.0% of all keys" in log
    assert "ran at the time: campaign" in log
    # The project's own DAGs are left out; looking at them all the same shows what Airflow tells of others.
    monkeypatch.setattr(airflow_api, "is_ours", lambda _dag_id: False)
    records = airflow_api.AirflowRecords(airflow.url, "viewer", airflow.password_of("viewer"), "~", "~")
    found = records.runs_between(began, dt.datetime.now(dt.UTC))
    assert any(second in each for each in found)
    assert records.runs_between(began - dt.timedelta(days=9), began - dt.timedelta(days=8)) == []
