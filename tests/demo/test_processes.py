from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.processes import Processes, began
from lab.waiting import wait_for

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_DEAF = [
    sys.executable,
    "-c",
    ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)"),
]
_WITH_CHILD = [
    sys.executable,
    "-c",
    (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    ),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with room for process files and logs."""
    for name in ("processes", "logs"):
        (tmp_path / name).mkdir()
    return tmp_path


def _processes(home: Path) -> Processes:
    return Processes(home / "processes", home / "logs")


def _child_of(home: Path, processes: Processes) -> int:
    process = processes.start("parent", _WITH_CHILD, cwd=home)
    wait_for(lambda: processes.log("parent").read_text().strip() != "", "the child")
    assert process.name == "parent"
    return int(processes.log("parent").read_text())


def test_a_later_run_finds_what_an_earlier_one_started(home: Path) -> None:
    """A process is found by its name from its file alone, by a run that didn't start it."""
    process = _processes(home).start("sleeper", _SLEEP, cwd=home)
    later = _processes(home)

    assert later.running("sleeper") == process
    assert later.names() == ["sleeper"]
    assert later.stop(["sleeper"]) == ["sleeper"]
    assert began(process.pid) is None
    assert later.names() == []


def test_stopping_takes_the_children_too(home: Path) -> None:
    """A process is stopped with the children that it has started."""
    processes = _processes(home)
    child = _child_of(home, processes)
    processes.stop(["parent"])

    assert began(child) is None


def test_children_of_a_killed_process_are_found(home: Path) -> None:
    """When only the leader was killed, what it leaves behind is still stopped."""
    processes = _processes(home)
    child = _child_of(home, processes)
    parent = processes.running("parent")
    assert parent is not None
    subprocess.run(["kill", "-KILL", str(parent.pid)], check=True)
    wait_for(lambda: began(parent.pid) is None, "the parent to end")

    assert began(child) is not None
    _processes(home).stop(["parent"])
    assert began(child) is None


def test_a_process_that_does_not_listen_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the polite signal is ended all the same."""
    monkeypatch.setattr("demo.processes._POLITE_S", 0.2)
    processes = _processes(home)
    process = processes.start("deaf", _DEAF, cwd=home)
    wait_for(lambda: "deaf" in processes.log("deaf").read_text(), "the process to ignore the signal")
    processes.stop(["deaf"])

    assert began(process.pid) is None
    assert processes.exit_code(process) == -signal.SIGKILL


def test_a_recycled_id_is_left_alone(home: Path) -> None:
    """A file that names a running process of somebody else, by an id that was given away again, stops nothing."""
    foreign = subprocess.Popen(_SLEEP, start_new_session=True)
    try:
        (home / "processes" / "old.json").write_text(json.dumps({"pid": foreign.pid, "began": "1"}))
        processes = _processes(home)

        assert processes.running("old") is None
        assert processes.stop(["old"]) == []
        assert foreign.poll() is None
        assert processes.names() == []
    finally:
        foreign.kill()
        foreign.wait()


def test_a_session_of_strangers_is_left_alone(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Members of a session without a leader are only ours when they live in the demo's folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    leader = subprocess.Popen(_WITH_CHILD, start_new_session=True, cwd=elsewhere, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    leader.kill()
    leader.wait()
    leader.stdout.close()
    try:
        (home / "processes" / "old.json").write_text(json.dumps({"pid": leader.pid, "began": "1"}))
        _processes(home).stop(["old"])

        assert began(child) is not None
    finally:
        subprocess.run(["kill", "-KILL", str(child)], check=True)


def test_an_ended_process_has_an_exit_code_and_does_not_run(home: Path) -> None:
    """Whoever started a process learns how it ended; its output is in its log."""
    processes = _processes(home)
    process = processes.start("short", [sys.executable, "-c", "print('words'); raise SystemExit(3)"], cwd=home)
    wait_for(lambda: processes.exit_code(process) is not None, "the process to end")

    assert processes.exit_code(process) == 3
    assert not processes.is_running(process)
    assert processes.log("short").read_text() == "words\n"


def test_half_a_file_stops_nothing(home: Path) -> None:
    """A process file that was cut off by a crash is cleared away."""
    (home / "processes" / "half.json").write_text('{"pid": 1')

    assert _processes(home).stop(["half"]) == []
    assert _processes(home).names() == []


_PROGRAM = """
import sys, time
from pathlib import Path
from demo.interrupts import ignore_signals, interrupt_on_signals
from demo.processes import Processes
from demo.stop import stop_everything

home = Path(sys.argv[1])
processes = Processes(home / "processes", home / "logs")
interrupt_on_signals()
try:
    for name in ("one", "two"):
        processes.start(name, [sys.executable, "-c", "import time; time.sleep(60)"], cwd=home)
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    pass
finally:
    ignore_signals()
    stop_everything(processes)
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_polite_end_stops_all_that_was_started(home: Path, sign: signal.Signals) -> None:
    """Ctrl-C, TERM and HUP, even twice, leave no process of the demo, and a neighbour runs on."""
    neighbour = subprocess.Popen(_SLEEP, cwd=home)
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(home)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == b"up\n"
        started = [json.loads(path.read_text())["pid"] for path in (home / "processes").iterdir()]
        program.send_signal(sign)
        time.sleep(0.05)
        program.send_signal(sign)

        assert program.wait(timeout=30) == 0
        assert len(started) == 2
        assert [began(pid) for pid in started] == [None, None]
        assert neighbour.poll() is None
        assert list((home / "processes").iterdir()) == []
    finally:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()
        neighbour.kill()
        neighbour.wait()
