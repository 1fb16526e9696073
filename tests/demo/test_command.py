from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.airflow_settings import USERS, environment, passwords
from demo.display import Display
from demo.home import Home
from demo.stop import clean, held, holder

_ROOT = Path(__file__).parents[2]


def test_cleaning_where_there_is_nothing_needs_nothing_installed(tmp_path: Path) -> None:
    """``make demo-clean`` works with a bare Python, which has no library of the project, where there is no demo."""
    for package in ("demo", "lab"):
        shutil.copytree(_ROOT / package, tmp_path / package)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from demo.__main__ import main; sys.exit(main(['clean']))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True, text=True)

    assert done.returncode == 0
    assert "nothing to clean" in done.stdout


def test_a_number_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """KEYS that isn't a whole number is an error that says what it should look like."""
    with pytest.raises(SystemExit) as caught:
        main(["run", "--keys", "a tenth"])

    assert caught.value.code == 2
    assert "KEYS must be a whole number, as in KEYS=6693836; found 'a tenth'" in capsys.readouterr().err


def test_cleaning_removes_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cleaning removes the demo's folder, and says so; twice does no harm."""
    home = Home(tmp_path)
    home.make()
    clean(home, Display())
    clean(home, Display())

    assert not home.root.exists()
    assert "Stopped and removed" in capsys.readouterr().out


_HOLDER = """
import sys, time
from pathlib import Path
from demo.home import Home
from demo.interrupts import interrupt_on_signals
from demo.stop import held

interrupt_on_signals()
with held(Home(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_cleaning_ends_a_demo_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A demo that runs in another terminal is asked to stop what it started before its folder goes."""
    home = Home(tmp_path)
    home.make()
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        clean(home, Display())

        assert other.wait(timeout=10) != 0
        assert f"process {other.pid}" in capsys.readouterr().out
        assert not home.root.exists()
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def test_only_one_demo_holds_the_folder(tmp_path: Path) -> None:
    """A second demo in the same checkout learns that the first is there, and its process id."""
    home = Home(tmp_path)
    home.make()
    with held(home) as ours, held(home) as twice:
        assert (ours, twice) == (True, False)
        assert holder(home) == os.getpid()
    with held(home) as free:
        assert free


def test_passwords_stay_and_are_for_the_owner_alone(tmp_path: Path) -> None:
    """Every user has a password of its own, the same one in every run, in a file that only its owner can read."""
    home = Home(tmp_path)
    home.make()
    first = passwords(home)

    assert set(first) == set(USERS)
    assert len(set(first.values())) == len(USERS)
    assert passwords(home) == first
    assert home.passwords.stat().st_mode & 0o077 == 0
    assert home.root.stat().st_mode & 0o077 == 0


def test_airflow_gets_none_of_the_callers_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow that the caller has set up elsewhere has no influence on the demo's."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("REDIS_TTL_POLICIES", "/elsewhere")
    home = Home(tmp_path)
    home.make()
    settings = environment(home, port=8080, redis_url="redis://127.0.0.1:1/0")

    assert settings["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert settings["AIRFLOW_HOME"] == str(home.airflow)
    assert settings["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert "REDIS_TTL_POLICIES" not in settings
