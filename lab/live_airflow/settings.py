"""The environment of an Airflow of one's own, and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.checkout import ROOT


def airflow_environment(home: Path, dags: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of an Airflow process with that home, this project's plugins, and none of the caller's own
    Airflow settings.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "REDIS_TTL"))}
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NO_COLOR": "1",
        **extra,
    }


def run_airflow(arguments: list[str], environment: Mapping[str, str], timeout_s: float = 600.0) -> str:
    """The output of one ``airflow`` command; raises with it when the command fails."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
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
