"""Starts processes so that they can be found and stopped later, by this run or by another one, and stops nothing else.

Each process leads a session of its own, so that the keyboard's Ctrl-C reaches us alone and its children end with it. What is known of it
is written to a file before a Ctrl-C can take effect: process id and the moment when it began. A process id alone says little, because
the system gives it to somebody else later; the two together name one process for ever.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from demo.home import read_json
from demo.interrupts import interrupted_afterwards

_POLITE_S = 12.0
_FORCED_S = 5.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the demo: its name there, its id, and when it began."""

    name: str
    pid: int
    began: str


class Processes:
    """The demo's processes, as the files in one folder say; what they write goes into another folder."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Process:
        """Start a process in the background, under that name; its output goes to :meth:`log`."""
        with interrupted_afterwards(), self.log(name).open("wb") as log:
            child = subprocess.Popen(  # commands of the demo itself
                command,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children[child.pid] = child
            process = Process(name, child.pid, began(child.pid) or "")
            self._file(name).write_text(json.dumps({"pid": process.pid, "began": process.began}))
        return process

    def log(self, name: str) -> Path:
        """Where the process of that name writes to."""
        return self._logs / f"{name}.log"

    def running(self, name: str) -> Process | None:
        """The process of that name, when it still runs."""
        known = read_json(self._file(name))
        if not isinstance(known, dict):
            return None
        process = Process(name, known["pid"], known["began"])
        return process if self.is_running(process) else None

    def is_running(self, process: Process) -> bool:
        """Whether that very process runs, and not another one under its id."""
        return self.exit_code(process) is None and process.began != "" and began(process.pid) == process.began

    def exit_code(self, process: Process) -> int | None:
        """How a process that this run started ended; None while it runs, and for one of an earlier run."""
        child = self._children.get(process.pid)
        return None if child is None else child.poll()

    def names(self) -> list[str]:
        """Every name that a process was started under."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def stop(self, names: Iterable[str]) -> list[str]:
        """Stop the processes of those names with all of their children, politely first; the names of those that ran."""
        processes = [process for name in names if (process := self._leftover(name)) is not None]
        for sign, patience_s in ((signal.SIGTERM, _POLITE_S), (signal.SIGKILL, _FORCED_S)):
            left = [process for process in processes if self._members(process)]
            for process in left:
                self._signal(process, sign)
            deadline = time.monotonic() + patience_s
            while any(self._members(process) for process in left) and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY_S)
        for process in processes:
            self._file(process.name).unlink(missing_ok=True)
        return [process.name for process in processes]

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _leftover(self, name: str) -> Process | None:
        """The process of that name if it, or a child that it left behind, still runs; its file is removed otherwise."""
        known = read_json(self._file(name))
        process = Process(name, known["pid"], known["began"]) if isinstance(known, dict) else None
        if process is not None and self._members(process):
            return process
        self._file(name).unlink(missing_ok=True)
        return None

    def _members(self, process: Process) -> list[int]:
        """The running processes of the session that ``process`` leads or led.

        While a session has a member, the system gives its id to nobody else. So either its leader is the process that
        we know, or it has no leader any more, and then its members must also live where we started it: below the
        demo's folder.
        """
        child = self._children.get(process.pid)
        if child is not None:
            child.poll()  # an ended child stays in the table of processes until its parent has looked
        leader = began(process.pid)
        if leader is not None and leader != process.began:
            return []
        members = [pid for pid in psutil.pids() if _session(pid) == process.pid and began(pid) is not None]
        if leader is None:
            members = [pid for pid in members if _lives_below(pid, self._folder.parent)]
        return members

    def _signal(self, process: Process, sign: signal.Signals) -> None:
        for pid in self._members(process):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                continue


def began(pid: int) -> str | None:
    """When the process of that id began, in seconds since the system did; None when none runs.

    A process that has ended and was not waited for yet counts as none.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in _ENDED:
            return None
        # Not the time of day, which moves when somebody sets the clock.
        return f"{process.create_time() - psutil.boot_time():.2f}"
    except psutil.Error:
        return None


_ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lives_below(pid: int, folder: Path) -> bool:
    try:
        return Path(psutil.Process(pid).cwd()).is_relative_to(folder.resolve())
    except psutil.Error:
        return False
