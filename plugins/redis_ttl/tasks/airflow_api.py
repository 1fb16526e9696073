"""Reads Airflow's own records over its stable REST API, with the credentials of a user who may look (role Viewer).

Tasks can't see Airflow's database, and who pressed a marker is nowhere else. The Airflow connection
``redis_ttl_airflow`` says where the API is (host, port, and ``https`` as schema) and who asks (login, password).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from redis_ttl.domain.errors import BadInput, Unreachable
from redis_ttl.tasks.dag_ids import is_ours
from redis_ttl.usecases.plan.gate_records import GateTrace, Mark

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

AIRFLOW_CONNECTION: Final = "redis_ttl_airflow"
_WHERE: Final = f"connection {AIRFLOW_CONNECTION}"
_TIMEOUT_S: Final = 20.0
_NOT_FOUND: Final = 404
_PAGE: Final = 100
_MARKABLE: Final = frozenset({"success", "failed", "skipped"})


def viewer_of(run: Mapping[str, str]) -> AirflowRecords | None:
    """The records of the run (``dag_id``, ``run_id``); None where there is no such connection."""
    try:
        connection = Connection.get(AIRFLOW_CONNECTION)
    except AirflowNotFoundException:
        return None
    scheme = connection.schema or "http"
    port = f":{connection.port}" if connection.port else ""
    url = f"{scheme}://{(connection.host or '').removeprefix(f'{scheme}://').rstrip('/')}{port}"
    return AirflowRecords(url, connection.login or "", connection.password or "", run["dag_id"], run["run_id"])


def runs_between(since: datetime, until: datetime) -> list[str]:
    """The DAG runs of that time that aren't the project's own, as texts; none without the connection. Raises as `AirflowRecords`."""
    records = viewer_of({"dag_id": "~", "run_id": "~"})
    return [] if records is None else records.runs_between(since, until)


class AirflowRecords:
    """Airflow's audit log, task instances and form answers of one DAG run."""

    def __init__(self, url: str, user: str, password: str, dag_id: str, run_id: str) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._dag_id = dag_id
        self._run_id = run_id
        self._token: str | None = None

    def trace(self, gate: str) -> GateTrace:
        """What is known of that task. Raises :class:`Unreachable` (tried again) and :class:`BadInput`."""
        task = self._task(gate)
        answer = self._get(f"{self._run}/taskInstances/{gate}/-1/hitlDetails") or {}
        rows = self._events(gate)
        return GateTrace(
            attempt=task.get("try_number"),
            ended_at=task.get("end_date"),
            marks=tuple(mark for row in rows if (mark := mark_of(row)) is not None),
            answered_by=(answer.get("responded_by_user") or {}).get("name"),
            lost=any(str(row["event"]).startswith("state mismatch") for row in rows),
            instance=task.get("id"),
        )

    def instance(self, gate: str) -> str | None:
        """Airflow's id of that task as it is now, which a clear replaces. Raises as :meth:`trace`."""
        found: str | None = self._task(gate).get("id")
        return found

    def runs_between(self, since: datetime, until: datetime) -> list[str]:
        """The runs of all DAGs, but the project's own, that began before ``until`` and hadn't ended by ``since``."""
        begun = {"start_date_lte": until.isoformat(), "order_by": "-start_date", "limit": _PAGE}
        found: dict[str, str] = {}
        for asked in ({**begun, "state": "running"}, {**begun, "end_date_gte": since.isoformat()}):
            for run in (self._get("/dags/~/dagRuns", asked) or {}).get("dag_runs", []):
                if not is_ours(run["dag_id"]):
                    began = str(run["start_date"])[:16].replace("T", " ")
                    found[f"{run['dag_id']}/{run['dag_run_id']}"] = (
                        f"DAG {run['dag_id']}, run {run['dag_run_id']}, since {began}"
                    )
        return list(found.values())

    @property
    def _run(self) -> str:
        return f"/dags/{quote(self._dag_id, safe='')}/dagRuns/{quote(self._run_id, safe='')}"

    def _task(self, gate: str) -> dict[str, Any]:
        return self._get(f"{self._run}/taskInstances/{gate}") or {}

    def _events(self, gate: str) -> list[dict[str, Any]]:
        """The rows of the audit log about that task, the earliest first."""
        rows: list[dict[str, Any]] = []
        while True:
            asked = {
                "dag_id": self._dag_id,
                "run_id": self._run_id,
                "task_id": gate,
                "order_by": "event_log_id",
                "limit": _PAGE,
                "offset": len(rows),
            }
            page = self._get("/eventLogs", asked) or {}
            rows += page.get("event_logs", [])
            if len(rows) >= page.get("total_entries", 0) or not page.get("event_logs"):
                return rows

    def _get(self, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The JSON answer; None when there is no such thing."""
        try:
            if self._token is None:
                self._token = self._log_in()
            answer = httpx.get(
                f"{self._url}/api/v2{path}",
                params=None if asked is None else dict(asked),
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=_TIMEOUT_S,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"Airflow's API doesn't answer ({str(error) or type(error).__name__})",
                where=f"{_WHERE}, {self._url}",
                todo="Correct host, port and schema of the connection; without the connection only the form counts.",
            ) from error
        if answer.status_code == _NOT_FOUND:
            return None
        if answer.is_error:
            raise self._refused(answer, "the user may look at event logs and task instances (role Viewer)")
        found: dict[str, Any] = answer.json()
        return found

    def _log_in(self) -> str:
        asked = {"username": self._user, "password": self._password}
        answer = httpx.post(f"{self._url}/auth/token", json=asked, timeout=_TIMEOUT_S)
        if answer.is_error:
            raise self._refused(answer, "a user's login and password")
        return str(answer.json()["access_token"])

    def _refused(self, answer: httpx.Response, allowed: str) -> BadInput:
        return BadInput(
            "Airflow's API refuses",
            where=f"{_WHERE}, {answer.request.url.copy_with(query=None)}",
            found=f"{answer.status_code} {answer.text[:200]}",
            allowed=allowed,
            todo="Correct the connection, or delete it: then only the form counts. Then clear confirm_approval.",
        )


def mark_of(row: Mapping[str, Any]) -> Mark | None:
    """The mark that a row of the audit log tells of; None for a row of another kind.

    Whatever was sent is in ``extra``, as JSON; Airflow's page sends the map index as well. A request whose
    ``update_mask`` leaves the state out marks nothing.
    """
    if row["event"] != "patch_task_instance":
        return None
    try:
        sent = json.loads(row["extra"] or "{}")
    except ValueError:
        return None
    if not isinstance(sent, dict) or sent.get("new_state") not in _MARKABLE:
        return None
    if "update_mask" in sent and "new_state" not in str(sent["update_mask"]):
        return None
    note = sent.get("note")
    return Mark(
        at=str(row["when"]).replace("Z", "+00:00"),
        owner=row["owner"],
        new_state=str(sent["new_state"]),
        note=note if isinstance(note, str) else None,
    )
