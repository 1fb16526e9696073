"""The remediation of the demo: planned in Airflow, shown, and, where it was asked for, approved and followed to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from demo.dag_run import DagRun
from demo.failure import DemoFailed
from demo.first_audit import CLUSTER
from demo.home import Home, read_text
from demo.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.airflow_rest import AirflowRest
    from demo.display import Display

DAG_ID = f"redis_ttl.{CLUSTER}.remediate"
GATE = "approve_plan"
APPROVER = "bob"
"""Who approves: somebody else than whoever triggered it."""

#: As fast as it goes: the demo's server has no neighbours to be gentle with, and nobody wants to wait ten minutes.
SETTINGS: dict[str, Any] = {"rate": "unlimited", "load": "fast", "canary_watch": "5s"}

_PUT_TO_REST_WITHIN_S = 60.0


class FirstRemediation:
    """One run of the remediation DAG, triggered as ``rest``'s user."""

    def __init__(self, home: Home, rest: AirflowRest, display: Display) -> None:
        self._home = home
        self._rest = rest
        self._run = DagRun.started(rest, DAG_ID, SETTINGS, title="remediation", display=display)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.run_id

    @property
    def approval_path(self) -> str:
        """The page with the form, below Airflow's address."""
        return f"/dags/{DAG_ID}/runs/{quote(self.run_id)}/tasks/{GATE}/required_actions"

    def wait_for_plan(self, check: Callable[[], None]) -> str:
        """Return the plan, as the form shows it, when it waits for its approval."""
        self._run.reach(GATE, "awaiting_input", check)
        return str(self._rest.waiting_form(DAG_ID, self.run_id, GATE)["body"])

    def approve(self, approver: AirflowRest) -> None:
        """Approve as somebody else, through the form's own call."""
        wait_until(self._is_put_to_rest, f"Airflow to put {GATE} to rest", timeout_s=_PUT_TO_REST_WITHIN_S)
        form = self._rest.waiting_form(DAG_ID, self.run_id, GATE)
        digest = form["params"]["plan_digest"]
        echoed = digest["value"] if isinstance(digest, dict) else digest
        approver.answer_form(DAG_ID, self.run_id, GATE, "Approve", {"plan_digest": echoed, "comment": "make demo"})

    def _is_put_to_rest(self) -> bool:
        """Whether the scheduler has heard that the process of the gate has ended; an answer before that may be lost."""
        heard = (
            "Received executor event with state success for task instance "
            f"TaskInstanceKey(dag_id='{DAG_ID}', task_id='{GATE}', run_id='{self.run_id}'"
        )
        return heard in read_text(self._home.logs / "scheduler.log")

    def finish(self, check: Callable[[], None]) -> str:
        """Return the report when the run has succeeded."""
        self._run.succeed(check)
        plan_id = self._run.result("report")["plan_id"]
        pages = sorted((self._home.store / CLUSTER / "results" / plan_id).glob("report-*.md"))
        if not pages:
            raise DemoFailed(f"the remediation succeeded, and left no report for plan {plan_id}")
        return read_text(pages[-1])
