"""What Airflow makes of ``dags/watch.py``, without a running Airflow."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from lab.checkout import ROOT
from tests.tasks.conftest import policy_text


def test_the_watch_has_its_shape(policies: Path) -> None:
    """One DAG a policy, one task, never tried again; and Airflow can store it."""
    (policies / "one.yaml").write_text(policy_text("one"))
    bag = DagBag(str(ROOT / "dags/watch.py"), safe_mode=True, bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert dag.dag_id == "redis_ttl.one.watch"
    (task,) = dag.tasks
    assert (task.task_id, task.retries) == ("sample", 0)
    assert "*/5 * * * *" in str(DagSerialization.to_dict(dag)["dag"]["timetable"])
    assert dag.max_active_runs == 1
    assert task.doc_md
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == dag.dag_id
