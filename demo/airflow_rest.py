"""The few calls of Airflow's public REST API that the demo makes, as one named user."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from demo.failure import DemoFailed

_TIMEOUT_S = 120


class NotThere(DemoFailed):
    """Airflow doesn't know what was asked for (yet)."""


class AirflowRest:
    """Airflow at ``url``, as ``user``."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._token = ""
        self._token = self._call("POST", "/auth/token", {"username": user, "password": password})["access_token"]

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has read that DAG."""
        try:
            self._call("GET", f"/api/v2/dags/{dag_id}")
        except NotThere:
            return False
        return True

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files."""
        found = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace']}" for error in found]

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs start."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run; returns its id."""
        run = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self._call("GET", _run(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's tasks, each mapped one for itself."""
        return list(self._call("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=200")["task_instances"])

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        return self._call("GET", path)["value"]

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """The lines that the last try of a task wrote."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}"
        answer = self._call("GET", f"{path}?full_content=true&map_index={task['map_index']}")
        return [str(entry.get("event", "")) if isinstance(entry, dict) else str(entry) for entry in answer["content"]]

    def waiting_form(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a waiting task asks: its subject, body, options and parameters."""
        return dict(self._call("GET", _form(dag_id, run_id, task_id)))

    def answer_form(self, dag_id: str, run_id: str, task_id: str, option: str, parameters: dict[str, Any]) -> None:
        """Answer a waiting task, as the buttons of its page do."""
        self._call("PATCH", _form(dag_id, run_id, task_id), {"chosen_options": [option], "params_input": parameters})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # always the demo's own http:// address
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"}
            | ({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            kind = NotThere if error.code == HTTPStatus.NOT_FOUND else DemoFailed
            raise kind(
                f"Airflow refuses {method} {path}: {error.code} {error.read()[:500].decode(errors='replace')}"
            ) from error
        except OSError as error:
            raise DemoFailed(f"Airflow doesn't answer {method} {path}: {error}") from error


# A proxy that is set for the world outside must not be asked about this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}"


def _form(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}/-1/hitlDetails"
