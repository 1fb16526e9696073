"""The watch on a complete running Airflow: red once for a burst, green before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.keyspaces import set_keys

if TYPE_CHECKING:
    from tests.servers import Server
    from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(240)

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
    assert "not acting costs 135 US dollars a month more" in log
    second = airflow.trigger(DAG_ID)
    assert airflow.wait_run(DAG_ID, second) == "success"
    levels = airflow.xcom(DAG_ID, second, "sample")["levels"]
    assert levels == {"memory": "critical", "no_ttl": "warn"}
