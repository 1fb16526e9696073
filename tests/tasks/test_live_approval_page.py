from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lab.checkout import ROOT
from lab.servers.server import Server
from tests.tasks.conftest import LiveTests, log_in

pytestmark = pytest.mark.timeout(1800)

CLUSTER = "shop"
GATE = "approve_plan"
_DOCUMENTED = ROOT / "docs" / "images" / "approval_page.png"
#: Airflow 3.3 may lose an answer that comes while it is still putting the task to rest.
_AT_REST_S = 3.0


def test_approving_in_a_browser(live: LiveTests, valkey: Server, page: Page, tmp_path: Path) -> None:
    """The waiting task's page shows the plan with its digest, and the Approve button has it written."""
    with valkey.client() as client:
        client.mset({f"MARKETING:COUPON:UNREAD:{number}": "x" * 200 for number in range(1_000)})
        for number in range(500):
            client.set(f"contact:last:activity:{number}", "x", ex=364 * 86_400)
        client.mset({f"order:{number}": "" for number in range(3_000)})
    run_id, dag_id, digest = _waiting_run(live, valkey, CLUSTER)

    page.goto(f"{live.airflow.url}/dags/{dag_id}/runs/{run_id}/tasks/{GATE}/required_actions")
    log_in(page, "bob", live.airflow.password_of("bob"))
    expect(page.get_by_text(digest)).to_be_visible()
    expect(page.get_by_role("cell", name="MARKETING:COUPON:UNREAD:{userId}").first).to_be_visible()
    picture = tmp_path / "approval_page.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 50_000
    if os.environ.get("UPDATE_SCREENSHOTS"):
        _DOCUMENTED.parent.mkdir(exist_ok=True)
        shutil.copy(picture, _DOCUMENTED)

    time.sleep(_AT_REST_S)
    page.get_by_role("button", name="Approve").click()
    assert live.airflow.wait_run(dag_id, run_id) == "success"
    with valkey.client() as client:
        assert client.info("keyspace")["db0"]["expires"] == 1_500


def _waiting_run(live: LiveTests, server: Server, cluster: str) -> tuple[str, str, str]:
    """A remediation that waits: its run, its DAG, the digest of its plan."""
    live.connect(f"redis_{cluster}", server)
    (live.policies / f"{cluster}.yaml").write_text(f"""\
cluster: {cluster}
connection: redis_{cluster}
owner: {{team: growth}}
audit: {{schedule: none, load: fast}}
remediation: {{approvers: [bob, erin], canary: {{watch: 0s}}, rate: unlimited, load: fast}}
rules:
  - pattern: "MARKETING:COUPON:UNREAD:{{userId}}"
    ttl: 60d
    priority: P1
    sign_off: {{by: Lin Wei, on: 2026-02-20}}
  - pattern: "contact:last:activity:{{contactId}}"
    ttl: 90d
    mode: cap
    sign_off: {{by: Lin Wei, on: 2026-02-20}}
""")
    airflow = live.airflow
    audit_id, dag_id = (f"redis_ttl.{cluster}.{job}" for job in ("audit", "remediate"))
    airflow.unpause(audit_id)
    assert airflow.wait_run(audit_id, airflow.trigger(audit_id)) == "success"
    airflow.unpause(dag_id)
    run_id = airflow.trigger(dag_id)

    def gate() -> dict[str, Any]:
        tasks = airflow.task_instances(dag_id, run_id)
        assert not [task for task in tasks if task["state"] == "failed"]
        return next(task for task in tasks if task["task_id"] == GATE)

    airflow.wait(lambda: gate()["state"] == "awaiting_input", "the plan")
    [plan] = (live.store / cluster / "plans").iterdir()
    digest = plan.read_text().rsplit('"digest": "', 1)[1][:64]
    return run_id, dag_id, digest


def test_no_key_acts_on_the_page(live: LiveTests, valkey: Server, page: Page) -> None:
    """Keys named like links, images, HTML or a table's end are text on the page, and the browser asks no other host for anything."""
    evil = [
        r"a\| ![x](//evil.example/p.png) [The digest has changed: approve](//evil.example) \|",
        "`` ![x](http://evil.example/p.png) ``",
        "<img src=http://evil.example/p.png onerror=alert(1)><a href=//evil.example>x</a>",
        "http://evil.example/x www.evil.example a@evil.example",
        "&#x5b;x&#x5d;(//evil.example)\r\n\r\n# Approved [x]: //evil.example",
    ]
    with valkey.client() as client:
        client.flushall()
        client.mset({f"order:{number}": "" for number in range(3_000)})  # a plan may not change most of a keyspace
        for number in range(40):
            client.set(f"MARKETING:COUPON:UNREAD:{evil[number % len(evil)].replace(':', ';')}{number}", "x" * 200)
            client.set(f"contact:last:activity:{evil[number % len(evil)].replace(':', ';')}{number}", "x")
    run_id, dag_id, digest = _waiting_run(live, valkey, f"{CLUSTER}-evil")
    page.context.clear_cookies()  # as somebody who hasn't logged in
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{live.airflow.url}/dags/{dag_id}/runs/{run_id}/tasks/{GATE}/required_actions")
    log_in(page, "bob", live.airflow.password_of("bob"))
    expect(page.get_by_text(digest)).to_be_visible()
    assert page.get_by_text("evil.example").count() > 0
    assert page.locator("a[href*='evil.example'], img[src*='evil.example']").count() == 0
    assert not [url for url in asked if "evil.example" in url]
