"""Starts a complete Airflow on loopback for tests and experiments, and stops exactly the processes that it started.

It has a home folder, a SQLite database, free ports and users of its own. The components are started one by one, because
``airflow standalone`` also opens log servers on every interface. There is no triggerer: nothing here defers. The module
knows nothing of pytest.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from lab import watchdog
from lab.checkout import ROOT
from lab.live_airflow.settings import airflow_environment, components, loopback_settings, not_healthy, run_airflow
from lab.loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 300.0
#: How long anything may take that Airflow does by itself. A machine whose cores are busy takes minutes for what is done in seconds.
_PATIENCE_S = 600.0
_LAST_LINES = 25
_ENDED = {"success", "failed"}
#: Who there is, with their roles; ``op`` may mark tasks, ``user`` may answer forms only, ``viewer`` may look.
_USERS = {"admin": "admin", "viewer": "viewer", "bob": "op", "erin": "op", "carol": "viewer", "dave": "user"}


class AirflowDidNotStart(RuntimeError):
    """A component ended, or the API didn't report health in time; the text ends with the logs."""


@dataclass
class LiveAirflow:
    """One running Airflow with this project's DAGs and plugins: trigger, wait, read, stop.

    ``env`` is added to the environment of every component: ``AIRFLOW_CONN_*`` makes connections, ``REDIS_TTL_POLICIES``
    names the policies.
    """

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    dags: Path = ROOT / "dags"
    port: int = 0
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _client: httpx.Client | None = None

    @property
    def url(self) -> str:
        """Where the web page and the API answer."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a component; also for running ``airflow`` commands against the same home."""
        return airflow_environment(
            self.home,
            self.dags,
            {
                **loopback_settings(self.port, _USERS),
                "AIRFLOW__API_AUTH__JWT_SECRET": self._secret,
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
                "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
                **self.env,
            },
        )

    def start(self) -> Self:
        """Create the database, start the components and wait until all of them report health."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        run_airflow(["db", "migrate"], self.environment)
        for component, command in components(self.port).items():
            self._launch(component, command)
        self._wait_healthy()
        self._client = self.client_of("admin")
        return self

    def password_of(self, user: str) -> str:
        """That user's password, which Airflow made up."""
        passwords = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return str(passwords[user])

    def client_of(self, user: str) -> httpx.Client:
        """The public REST API as that user; whoever asks for it closes it."""
        login = {"username": user, "password": self.password_of(user)}
        answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
        answer.raise_for_status()
        return httpx.Client(
            base_url=f"{self.url}/api/v2",
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
            timeout=60,
        )

    def stop(self) -> None:
        """End every component with all of its children, politely first."""
        if self._client is not None:
            self._client.close()
            self._client = None
        for sign, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            for process in self._processes.values():
                _signal_group(process, sign)
            deadline = time.monotonic() + patience_s
            while any(process.poll() is None for process in self._processes.values()) and time.monotonic() < deadline:
                time.sleep(0.1)
        for process in self._processes.values():
            watchdog.let_go(process)
        self._processes.clear()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer of one call of the public REST API; raises for an HTTP error."""
        if self._client is None:
            raise RuntimeError("Airflow is not running")
        for _ in range(5):
            answer = self._client.request(method, path, **options)
            if "Database error" not in answer.text:  # SQLite, when too many write at once
                break
            time.sleep(1)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def unpause(self, dag_id: str, timeout_s: float = _PATIENCE_S) -> None:
        """Wait until the DAG was parsed, and let its runs start."""
        self.wait(lambda: dag_id in self.dag_ids(), f"DAG {dag_id}", timeout_s)
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow offers at this moment."""
        return {dag["dag_id"] for dag in self.request("GET", "/dags", params={"limit": 1000})["dags"]}

    def import_errors(self) -> dict[str, str]:
        """The text of each import error by the name of its DAG file."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run by hand with that configuration; returns its run id."""
        run = self.request("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def wait_run(self, dag_id: str, run_id: str, timeout_s: float = _PATIENCE_S) -> str:
        """The state in which the run ended. What its failed tasks wrote last is logged, for whoever looks into a failing test."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}"
        self.wait(lambda: self.request("GET", path)["state"] in _ENDED, f"run {run_id}", timeout_s)
        for task in self.task_instances(dag_id, run_id):
            if task["state"] == "failed":
                number = {"map_index": task["map_index"], "attempt": task["try_number"]}
                lines: list[str] = []
                with contextlib.suppress(RuntimeError):  # Airflow may have no log of an attempt that it lost
                    lines = self.log(dag_id, run_id, task["task_id"], **number).splitlines()
                _log.info("%s of %s failed: %s", task["task_id"], dag_id, "\n".join(lines[-_LAST_LINES:]))
        return str(self.request("GET", path)["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, mapped ones included."""
        answer = self.request("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances", params={"limit": 1000})
        return list(answer["task_instances"])

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1) -> str:
        """What one try of a task wrote: a line per event, an exception's type and text behind its event."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/logs/{attempt}"
        answer = self.request("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(_log_line(entry) for entry in answer["content"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> Any:
        """The return value of a task."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def is_put_to_rest(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> bool:
        """Whether the scheduler has heard that the process of a task which waits for an answer has ended.

        It would take a task that was answered before for a dead one (see docs/approval.md).
        """
        heard = (
            "Received executor event with state success for task instance "
            f"TaskInstanceKey(dag_id='{dag_id}', task_id='{task_id}', run_id='{run_id}', try_number={attempt},"
        )
        return heard in (self.home / "scheduler.log").read_text(errors="replace")

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = _PATIENCE_S) -> None:
        """Return as soon as the condition holds; raise with the components' logs when it doesn't in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}\n{self._logs()}")
            time.sleep(0.3)

    def _launch(self, component: str, command: list[str]) -> None:
        with (self.home / f"{component}.log").open("wb") as log:
            self._processes[component] = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its children are stopped with it, as one process group
            )
            watchdog.watch(self._processes[component])

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise AirflowDidNotStart(f"{name} ended with {process.returncode}\n{self._logs()}")
            if not not_healthy(self.url):
                return
            time.sleep(0.5)
        raise AirflowDidNotStart(f"not healthy after {_START_TIMEOUT_S:g} s\n{self._logs()}")

    def _logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{_tail(path)}" for path in sorted(self.home.glob("*.log")))

    @property
    def _secret(self) -> str:
        path = self.home / "jwt_secret"
        if not path.exists():
            path.write_text(secrets.token_hex(32))
        return path.read_text()


def _log_line(entry: dict[str, Any]) -> str:
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or ()]
    return " ".join([str(entry.get("event", "")), *errors])


def _tail(path: Path, size_bytes: int = 3000) -> str:
    return path.read_bytes()[-size_bytes:].decode(errors="replace")


def _signal_group(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)
