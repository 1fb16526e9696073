"""The lock fits what people run Airflow with, not only what the tests install."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_frame import ROOT, requirements

#: What deployments add to it, all at once: what resolves together resolves in any choice.
ADDED = (
    "apache-airflow[statsd,otel]",
    "apache-airflow-providers-amazon[s3fs]",
    "apache-airflow-providers-celery",
    "apache-airflow-providers-cncf-kubernetes",
    "apache-airflow-providers-edge3",
    "apache-airflow-providers-fab",
    "apache-airflow-providers-google",
    "apache-airflow-providers-microsoft-azure",
    "apache-airflow-providers-mysql",
    "apache-airflow-providers-postgres",
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_deployments_can_install_it(tmp_path: Path, python: str) -> None:
    """The runtime, every executor, database, cloud and login that Airflow is run with, by the lock, on each Python."""
    wanted = tmp_path / "wanted.in"
    wanted.write_text("\n".join([*(str(each) for each in requirements("requirements.txt")), *ADDED]))
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--python-version",
        python,
        "--python-platform",
        "linux",
    ]
    done = subprocess.run(
        [*command, "--constraint", ROOT / "constraints.txt", wanted], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "apache-airflow-providers-fab==" in done.stdout
