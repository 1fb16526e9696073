"""The demo's Airflow: its database, and its components as processes of their own."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

from demo.airflow_settings import environment
from demo.failure import with_log
from demo.home import Home, read_text
from lab.live_airflow.settings import airflow_command, components, not_healthy

if TYPE_CHECKING:
    from demo.processes import Process, Processes

LATER = ("triggerer",)
"""Nothing in an audit waits for the triggerer; it is started when the audit is done, so that Airflow is complete."""

_MIGRATE = "airflow-db-migrate"
_PORT = "airflow"


class Airflow:
    """Starts Airflow, or finds the one that runs already. Call :meth:`advance` again and again until it says that Airflow is ready."""

    def __init__(self, home: Home, processes: Processes) -> None:
        self._home = home
        self._processes = processes
        self._migration: Process | None = None
        self._components: list[Process] = []
        self._environment: dict[str, str] = {}
        self.port = int(read_text(home.root / f"{_PORT}.port") or 0)

    @property
    def url(self) -> str:
        """The web page, and below it the API."""
        return f"http://127.0.0.1:{self.port}"

    def is_running(self, redis_url: str) -> bool:
        """Whether all needed components run, healthily, and know the server at ``redis_url``."""
        running = [process for name in components(self.port) if (process := self._processes.running(name)) is not None]
        if (
            len(running) < len(components(self.port))
            or read_text(self._redis_url) != redis_url
            or not self._is_healthy()
        ):
            return False
        self._components = running
        self._environment = environment(self._home, port=self.port, redis_url=redis_url)
        return True

    def start(self, redis_url: str) -> None:
        """Begin to start: the database first, where it doesn't exist yet."""
        self._processes.stop([_MIGRATE, *components(self.port), *LATER])
        self.port = self._home.kept_port(_PORT)
        self._redis_url.write_text(redis_url)
        self._environment = environment(self._home, port=self.port, redis_url=redis_url)
        if read_text(self._migrated) == _version():
            self._start_components()
        else:
            self._migration = self._launch(_MIGRATE, airflow_command("db", "migrate"))

    def advance(self) -> bool:
        """Do what can be done next without waiting; True once Airflow is ready. Raises DemoFailed when a component ended."""
        if self._migration is not None:
            code = self._processes.exit_code(self._migration)
            if code is None:
                return False
            if code:
                raise with_log("Airflow's database could not be made", self._processes.log(_MIGRATE))
            self._processes.stop([_MIGRATE])
            self._migrated.write_text(_version())
            self._migration = None
            self._start_components()
        self.check()
        return self._is_healthy()

    def start_later_components(self) -> None:
        """Start what an audit doesn't need."""
        for name in LATER:
            if not self._processes.running(name):
                self._components.append(self._launch(name, airflow_command(name, "--skip-serve-logs")))

    def check(self) -> None:
        """Raise DemoFailed when a component has ended."""
        for process in self._components:
            if not self._processes.is_running(process):
                raise with_log(f"Airflow's {process.name} ended", self._processes.log(process.name))

    def state(self) -> str:
        """What it is waiting for."""
        if self._migration is not None:
            return "making its database"
        missing = not_healthy(self.url)
        return f"waiting for {', '.join(sorted(missing))}" if missing else "ready"

    @property
    def _migrated(self) -> Path:
        """Holds the version that the database was made for."""
        return self._home.root / "airflow.migrated"

    @property
    def _redis_url(self) -> Path:
        """Holds the address that the running components know the server by."""
        return self._home.root / "airflow.redis-url"

    def _is_healthy(self) -> bool:
        return not not_healthy(self.url)

    def _start_components(self) -> None:
        for name, command in components(self.port).items():
            self._components.append(self._launch(name, command))

    def _launch(self, name: str, command: list[str]) -> Process:
        return self._processes.start(name, command, cwd=self._home.airflow, env=self._environment)


def _version() -> str:
    return importlib.metadata.version("apache-airflow")
