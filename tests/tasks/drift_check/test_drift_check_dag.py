"""What Airflow makes of ``dags/drift_check.py``, and which audit a run of it is about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from lab.checkout import ROOT
from lab.remediation.policies import policy_of
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import BadInput, DriftFound, InvalidOption
from redis_ttl.tasks.drift_check.run import refuse_drift, request_of
from redis_ttl.usecases.drift.drift_request import Acceptance
from tests.messages.pages.test_drift_page import REPORT
from tests.tasks.conftest import policy_text

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "20261124T010101Z-abcdef", "20261125T010101Z-000000"


def test_the_drift_check_has_its_shape(policies: Path) -> None:
    """One DAG a policy, on the asset of its cluster's audit, with a form that accepts nothing by itself."""
    (policies / "one.yaml").write_text(policy_text("one"))
    bag = DagBag(
        str(ROOT / "dags/drift_check.py"), safe_mode=True, bundle_path=ROOT / "dags", bundle_name="dags-folder"
    )
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert dag.dag_id == "redis_ttl.one.drift_check"
    assert [task.task_id for task in dag.tasks] == ["compare"]
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["redis_ttl/one/audit"]  # type: ignore[union-attr]
    assert (dag.params["accept"], dag.params["reason"], dag.max_active_runs) == (False, "", 1)
    assert all(task.doc_md for task in dag.tasks)
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == dag.dag_id


def context(*, events: tuple[str, ...] = (), user: str | None = "bob", **params: Any) -> Any:
    """What the task sees of its run."""
    triggering = {"asset": [SimpleNamespace(extra={"audit_id": each}) for each in events]}
    run = SimpleNamespace(run_id="run", triggering_user_name=user)
    form = {"accept": False, "reason": "", "audit_id": None, **params}
    return {"params": form, "dag_run": run, "triggering_asset_events": triggering}


def test_a_run_is_about_the_audit_that_triggered_it(tmp_path: Path) -> None:
    """The form's audit comes first, then the newest of those that triggered the run, then the newest in the store."""
    store = Store(tmp_path)
    with pytest.raises(BadInput, match="no finished audit"):
        request_of(store, policy_of(), context())
    for audit in (OLD, NEW):
        store.write(f"test/audits/{audit}/audit.json", b"{}")
    assert request_of(store, policy_of(), context()).audit_id == NEW
    assert request_of(store, policy_of(), context(events=(OLD,))).audit_id == OLD
    assert request_of(store, policy_of(), context(events=(NEW,), audit_id=f" {OLD} ")).audit_id == OLD
    with pytest.raises(InvalidOption, match="no id"):
        request_of(store, policy_of(), context(audit_id="../x"))


def test_an_acceptance_is_the_word_of_whoever_triggered_the_run(tmp_path: Path) -> None:
    """The name comes from Airflow, never from the form."""
    request = request_of(Store(tmp_path), policy_of(), context(events=(OLD,), accept=True, reason="why", by="eve"))
    assert request.accept == Acceptance("bob", "why")


def test_the_message_of_a_failed_check_says_it_all() -> None:
    """Patterns, kinds, owners, figures, an example and the way out."""
    with pytest.raises(DriftFound) as caught:
        refuse_drift(REPORT)
    text = str(caught.value)
    for words in ("1,205 keys", "TTL wiped", "isales-marketing", "20931", "drift_check with accept and a reason"):
        assert words in text
    assert not caught.value.retryable
