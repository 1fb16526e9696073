"""An Airflow of one's own: its environment, the commands of its components, and whether they are healthy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.checkout import ROOT


def airflow_environment(home: Path, dags: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of an Airflow process with that home, this project's plugins, and none of the caller's own
    Airflow settings.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "REDIS_TTL"))}
    # make tells its children about itself; nothing below Airflow must take that for its own.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        inherited.pop(name, None)
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NO_COLOR": "1",
        **extra,
    }


def loopback_settings(port: int, users: Mapping[str, str]) -> dict[str, str]:
    """What makes it small, and heard on that loopback port alone; ``users`` are names with their roles."""
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # A task waits for the server most of the time; more than two at a time gain nothing on two cores.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
    }


def components(port: int) -> dict[str, list[str]]:
    """The command of each component that is needed, in the order in which they start.

    ``airflow standalone`` would start them all, and open log servers on every interface of the machine; so each is started by itself.
    """
    return {
        "api-server": airflow_command("api-server", "--host", "127.0.0.1", "--port", str(port)),
        "scheduler": airflow_command("scheduler", "--skip-serve-logs"),
        "dag-processor": airflow_command("dag-processor"),
    }


def airflow_command(*arguments: str) -> list[str]:
    """An ``airflow`` command, by this very Python."""
    return [sys.executable, "-m", "airflow", *arguments]


def health(url: str) -> dict[str, str]:
    """The state of each component by its name; nothing while the API server doesn't answer."""
    try:
        with _OPENER.open(f"{url}/api/v2/monitor/health", timeout=5) as answer:
            parts = json.load(answer)
    except (OSError, ValueError):
        return {}
    return {name: str(part.get("status")) for name, part in parts.items() if isinstance(part, dict)}


def not_healthy(url: str) -> set[str]:
    """The parts that must be healthy, and aren't."""
    return NEEDED_PARTS - {name for name, status in health(url).items() if status == "healthy"}


NEEDED_PARTS: Final = {"metadatabase", "scheduler", "dag_processor"}

# A proxy that is set for the world outside must not be asked about this machine.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run_airflow(arguments: list[str], environment: Mapping[str, str], timeout_s: float = 600.0) -> str:
    """The output of one ``airflow`` command; raises with it when the command fails."""
    done = subprocess.run(
        airflow_command(*arguments),
        env=dict(environment),
        cwd=environment["AIRFLOW_HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"airflow {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
