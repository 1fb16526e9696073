"""Drift on a complete running Airflow: found, read in a browser, accepted, and over."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from lab.checkout import ROOT
from redis_ttl.adapters.policy_files.policy_file import load_policy
from tests.tasks.conftest import log_in
from tests.usecases.auditing import Auditing

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from lab.servers.server import Server
    from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(1800)

CLUSTER = "leaky"
DRIFT = f"redis_ttl.{CLUSTER}.drift_check"
_DOCUMENTED = ROOT / "docs" / "images" / "drift_log.png"


def test_drift_is_found_read_accepted_and_over(live: LiveTests, valkey: Server, page: Page, tmp_path: Path) -> None:
    """The first audit makes the baseline; new keys turn the next check red, with a message that says it all; who accepts them is
    recorded; the next check is green.
    """
    with valkey.client() as client:
        client.mset({f"contact:last:activity:{number}": "" for number in range(200)})
    live.connect(f"redis_{CLUSTER}", valkey)
    audit = live.add_policy(CLUSTER, audit="{schedule: none, load: fast}")
    live.airflow.unpause(DRIFT)

    policy = load_policy(live.policies / f"{CLUSTER}.yaml")
    Auditing(valkey.url, live.store, policy=policy, audit_id="20260101T000000Z-000000", cluster=CLUSTER).run()
    first = live.airflow.trigger(DRIFT)
    assert live.airflow.wait_run(DRIFT, first) == "success"
    assert "First check: the 200 keys" in live.airflow.log(DRIFT, first, "compare")

    with valkey.client() as client:
        client.mset({f"contact:last:activity:{number}": "" for number in range(1_000, 1_040)})
        client.mset({f"campaign:{number}": "" for number in range(60)})
    assert live.airflow.wait_run(audit, live.airflow.trigger(audit)) == "success"
    red = _triggered_check(live)
    assert red["state"] == "failed"
    run_id = red["dag_run_id"]
    (task,) = live.airflow.task_instances(DRIFT, run_id)
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = live.airflow.log(DRIFT, run_id, "compare")
    for words in (
        "40 keys without TTL that weren't accepted",
        "contact:last:activity:{n}: new writer, 40 new keys (allowed: 0 for its rule)",
        "owner growth, rule contact:last:activity:{contactId}, such as contact:last:activity:10",
        "no rule (tolerated)",
        f"trigger {DRIFT} with accept and a reason",
    ):
        assert words in log
    _photograph(live, page, run_id, tmp_path)

    with live.airflow.client_of("bob") as bob:
        conf = {"accept": True, "reason": "the campaign of November, ISALES-512"}
        answer = bob.post(f"/dags/{DRIFT}/dagRuns", json={"logical_date": None, "conf": conf})
        answer.raise_for_status()
    assert live.airflow.wait_run(DRIFT, answer.json()["dag_run_id"]) == "success"
    newest = max((live.store / CLUSTER / "baselines").glob("*.json"))
    baseline = json.loads(newest.read_text())
    assert (baseline["kind"], baseline["by"], baseline["keys"]) == ("accepted", "bob", 300)
    assert baseline["why"] == conf["reason"]

    again = live.airflow.trigger(DRIFT)
    assert live.airflow.wait_run(DRIFT, again) == "success"
    assert "No new keys without TTL" in live.airflow.log(DRIFT, again, "compare")


def _triggered_check(live: LiveTests) -> dict[str, Any]:
    """The run that the audit triggered, when it has ended."""

    def runs() -> list[dict[str, Any]]:
        found = live.airflow.request("GET", f"/dags/{DRIFT}/dagRuns")["dag_runs"]
        ended = (run for run in found if run["state"] in ("success", "failed"))
        return [run for run in ended if run["run_type"] == "asset_triggered"]

    live.airflow.wait(lambda: bool(runs()), "the check")
    (run,) = runs()
    return run


def _photograph(live: LiveTests, page: Page, run_id: str, folder: Path) -> None:
    page.goto(f"{live.airflow.url}/dags/{DRIFT}/runs/{quote(run_id)}/tasks/compare")
    log_in(page, "bob", live.airflow.password_of("bob"))
    expect(page.get_by_text("40 keys without TTL that weren't accepted").first).to_be_visible()
    page.get_by_text("AirflowFailException").first.click()  # folds the traceback, which names folders of this machine
    page.keyboard.press("w")  # wraps long lines
    expect(page.get_by_text("failures.py").first).not_to_be_visible()
    page.get_by_text("AirflowFailException").first.scroll_into_view_if_needed()
    picture = folder / _DOCUMENTED.name
    page.screenshot(path=picture)
    assert picture.stat().st_size > 50_000
    if os.environ.get("UPDATE_SCREENSHOTS"):
        shutil.copy(picture, _DOCUMENTED)
