"""Every command that takes a URL, with URLs that can't be used, in a process of its own as people run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

POLICY = Path(__file__).parents[2] / "include/policies/examples/minimal.yaml"
COMMANDS = {"audit": [], "plan": ["--policy", str(POLICY)], "demo load": ["--keys", "1000"]}
SECRET = "S3cr3tOfTheUrl"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "url",
    [
        "redis://:{}",
        "redis://user:{}",
        "redis://:{}@",
        "redis://:{}@:6379/0",
        "redis://:{}@127.0.0.1:1",
        "redis://127.0.0.1:1/{}",
        "redis://127.0.0.1:1?password={}&db=x",
        "redis://127.0.0.1:1?{}",
        "redis://:{}@127.0.0.1:x",
        "redis://:{}#@127.0.0.1:1",
        "redis+sentinel://:{}@127.0.0.1:1/main?sentinel_password={}",
        "redis+sentinel://:{}@/main",
        "unix://:{}@/no.sock",
    ],
)
def test_no_command_shows_a_password(command: str, url: str) -> None:
    """A command fails with one message and a status, on the terminal nothing of the password, and writes nowhere."""
    done = subprocess.run(
        [sys.executable, "-m", "redis_ttl.cli.main", *command.split(), url.replace("{}", SECRET), *COMMANDS[command]],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in {1, 2}, said
    assert said.count("error:") == 1, said
    assert "Traceback" not in said
    assert SECRET not in said
