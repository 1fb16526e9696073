"""What Airflow makes of the files in ``dags/``: which DAGs, of which shape, and what it shows when a policy is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.serialization.serialized_objects import DagSerialization

from lab.checkout import ROOT
from tests.tasks.conftest import policy_text

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def parse(file: str = "") -> DagBag:
    """What Airflow gets out of the DAG files, or of one of them."""
    return DagBag(str(ROOT / "dags" / file), safe_mode=True, bundle_path=ROOT / "dags", bundle_name="dags-folder")


#: Every file but the one that shows mistakes makes a DAG of each policy, and is named after what it does.
JOBS = sorted(file.stem for file in (ROOT / "dags").glob("*.py") if file.stem != "policies")


def test_each_policy_file_makes_one_dag_of_each_job(policies: Path) -> None:
    """Two policies are two DAGs a job, named after their clusters, and nothing else."""
    (policies / "one.yaml").write_text(policy_text("one"))
    (policies / "two.yml").write_text(policy_text("two.market-cn"))
    bag = parse()
    assert bag.import_errors == {}
    clusters = ("one", "two.market-cn")
    assert sorted(bag.dags) == sorted(f"redis_ttl.{cluster}.{job}" for cluster in clusters for job in JOBS)


def test_the_audit_dag_has_its_shape(policies: Path) -> None:
    """The DAG has the tasks, edges, schedule, limits and labels that operators were promised."""
    audit = "{schedule: '0 19 * * *', timezone: Asia/Shanghai, parallel: 3, pool: redis_one}"
    (policies / "one.yaml").write_text(policy_text("one", audit=audit))
    dag = parse().dags["redis_ttl.one.audit"]
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "inspect_server": ["plan_shards"],
        "plan_shards": ["merge_audit", "scan_shard"],
        "scan_shard": ["merge_audit"],
        "merge_audit": ["report"],
        "report": [],
    }
    assert [task.task_id for task in dag.tasks if isinstance(task, MappedOperator)] == ["scan_shard"]
    assert {task.task_id: task.pool for task in dag.tasks if task.pool != "default_pool"} == {"scan_shard": "redis_one"}
    assert dag.get_task("scan_shard").max_active_tis_per_dag == 3
    assert {task.retries for task in dag.tasks} == {5}
    assert {task.owner for task in dag.tasks} == {"growth"}
    assert all(task.doc_md and "If it fails" in task.doc_md for task in dag.tasks)
    assert [outlet.name for task in dag.tasks for outlet in task.outlets] == ["redis_ttl/one/audit"]
    assert (dag.timetable.expression, str(dag.timetable.timezone)) == ("0 19 * * *", "Asia/Shanghai")  # type: ignore[union-attr]
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.tags == {"redis-ttl", "one", "growth"}
    assert list(dag.params) == ["load", "shards", "sample_percent", "source", "db"]


def test_the_audit_dag_can_be_stored_by_airflow(policies: Path) -> None:
    """The DAG survives Airflow's serialisation, which is what the scheduler and the web page work with."""
    (policies / "one.yaml").write_text(policy_text("one", audit="{schedule: '@daily'}"))
    stored = DagSerialization.to_dict(parse().dags["redis_ttl.one.audit"])
    restored = DagSerialization.from_dict(json.loads(json.dumps(stored)))
    assert restored.task_ids == ["inspect_server", "plan_shards", "merge_audit", "scan_shard", "report"]


def test_the_page_of_the_dag_answers_what_an_operator_asks(policies: Path) -> None:
    """The DAG's page names the owner and the connection, and says what is safe, where the result is and how to stop it."""
    (policies / "one.yaml").write_text(policy_text("one", audit="{schedule: '0 3 * * *', load: fast}"))
    page = parse().dags["redis_ttl.one.audit"].doc_md or ""
    for words in (
        "growth (#growth, `growth@example.com`)",
        "`redis_test`",
        "`0 3 * * *` UTC",
        "`fast`",
        "changes nothing",
        "Is it safe",
        "Stop it",
        "It failed",
    ):
        assert words in page


def test_a_broken_policy_is_an_import_error_and_hides_no_other_cluster(policies: Path) -> None:
    """The import error names file, line, column, what was found and what was expected; the other cluster's DAG is
    there.
    """
    (policies / "good.yaml").write_text(policy_text("good"))
    (policies / "bad.yaml").write_text(policy_text("bad").replace("90d", "54000"))
    bag = parse()
    assert sorted(bag.dags) == [f"redis_ttl.good.{job}" for job in JOBS]
    assert list(bag.import_errors) == ["policies.py"]
    text = bag.import_errors["policies.py"]
    assert f"{policies / 'bad.yaml'}:7:10:" in text
    for words in ("rules[0].ttl", "54000", "expected"):
        assert words in text


def test_every_broken_policy_is_named(policies: Path) -> None:
    """One import error lists all mistakes of all files, and both files that claim the same cluster."""
    (policies / "a.yaml").write_text(policy_text("twice"))
    (policies / "b.yaml").write_text(policy_text("twice"))
    (policies / "c.yaml").write_text("cluster: [")
    bag = parse()
    assert bag.dags == {}
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        assert str(policies / name) in bag.import_errors["policies.py"]


def test_a_missing_policies_folder_is_an_import_error(policies: Path) -> None:
    """When the folder of policies isn't there, Airflow says so instead of showing no DAGs without a word."""
    policies.rmdir()
    bag = parse()
    assert list(bag.import_errors) == ["policies.py"]
    assert str(policies) in bag.import_errors["policies.py"]


def test_a_task_start_reads_one_policy_only(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Airflow parses for one task, only that task's DAG is built, and another cluster's policy isn't even opened
    for its rules.
    """
    (policies / "one.yaml").write_text(policy_text("one"))
    (policies / "two.yaml").write_text(policy_text("two"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "redis_ttl.two.audit")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "report")
    assert list(parse("audit.py").dags) == ["redis_ttl.two.audit"]


def test_the_documented_dag_runs_on_a_finished_audit(policies: Path, tmp_path: Path) -> None:
    """The example of the page for operators is a DAG that Airflow accepts, scheduled on the asset that an audit
    updates.
    """
    page = (ROOT / "docs" / "airflow.md").read_text()
    (tmp_path / "example.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    bag = DagBag(str(tmp_path), bundle_path=tmp_path, bundle_name="example")
    assert bag.import_errors == {}
    (policies / "one.yaml").write_text(policy_text("my-cluster"))
    (outlet,) = parse().dags["redis_ttl.my-cluster.audit"].get_task("merge_audit").outlets
    assert bag.dags["after_the_audit"].timetable.asset_condition.objects == (outlet,)  # type: ignore[union-attr]


def test_a_task_whose_policy_broke_meanwhile_says_so(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is on when its policy breaks gets the mistake in its task's log, not just "Dag not found"."""
    (policies / "one.yaml").write_text(policy_text("one").replace("90d", "54000"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "redis_ttl.one.audit")
    assert "54000" in parse("audit.py").import_errors["audit.py"]


_PARSE_MANY = """
import json, sys, time
begin = time.perf_counter()
import airflow.dag_processing.processor
from airflow.dag_processing.dagbag import DagBag
imported = time.perf_counter()
DagBag(sys.argv[1], bundle_path=sys.argv[1], bundle_name="other")
before = set(sys.modules)
parsing = time.perf_counter()
bag = DagBag(sys.argv[2], bundle_path=sys.argv[2], bundle_name="dags-folder")
parsed = time.perf_counter()
print(json.dumps({
    "dags": len(bag.dags),
    "import_errors": bag.import_errors,
    "before": sorted(before),
    "added": sorted(set(sys.modules) - before),
    "airflow_import_s": imported - begin,
    "parse_s": parsed - parsing,
}))
"""

_SOMEBODY_ELSES_DAG = """
from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param, task
with DAG("other", schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC"), params={"a": Param(1)}):
    @task(outlets=[Asset("other")])
    def one(): ...
    one()
"""


def test_parsing_needs_no_library_that_airflow_does_not_load_itself(policies: Path, tmp_path: Path) -> None:
    """200 policies parse without redis, polars or any other library of the work; YAML and pydantic are loaded before
    the first of our files.
    """
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.py").write_text(_SOMEBODY_ELSES_DAG)
    for number in range(200):
        (policies / f"{number}.yaml").write_text(policy_text(f"cluster-{number}", audit="{schedule: '0 2 * * *'}"))
    command = [sys.executable, "-c", _PARSE_MANY, str(other), str(ROOT / "dags")]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    print(  # noqa: T201 - the figure that operators are promised; time itself proves nothing on a busy machine
        f"airflow imports itself in {seen['airflow_import_s']:.2f} s; 200 policies parse in {seen['parse_s']:.2f} s"
    )
    assert (seen["dags"], seen["import_errors"]) == (200 * len(JOBS), {})
    packages = {name.partition(".")[0] for name in seen["added"] if not name.startswith("unusual_prefix_")}
    # asgiref comes with the module that Airflow's own operator for human answers is in; the gate is one of those.
    assert packages - set(sys.stdlib_module_names) <= {"airflow", "redis_ttl", "asgiref"}
    assert {"yaml", "pydantic"} <= set(seen["before"])
