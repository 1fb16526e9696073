"""Ends what this process has started when this process has ended, in whatever way: tests that are killed leave no server behind.

A small program waits for the end of a pipe that only this process holds. Nothing else survives a ``kill -9`` of this process.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from threading import Lock

_PROGRAM = """
import os, signal, sys, time
watched = set()
for line in sys.stdin:
    (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
for sign in (signal.SIGTERM, signal.SIGKILL) if watched else ():
    for pid in watched:
        try:
            (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, sign)
        except (ProcessLookupError, PermissionError):
            pass
    time.sleep(10)
"""

_lock = Lock()
_watchdog: subprocess.Popen[str] | None = None


def watch(process: subprocess.Popen[bytes]) -> None:
    """Have it ended after this process, unless :func:`let_go` is called before; with its group, where it leads one."""
    _tell(f"+{process.pid}")


def let_go(process: subprocess.Popen[bytes]) -> None:
    """It has ended, or shall live on."""
    _tell(f"-{process.pid}")


def _tell(line: str) -> None:
    global _watchdog  # noqa: PLW0603  # one for each process
    with _lock:
        if _watchdog is None:
            _watchdog = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # whatever ends this process must not end it, too
            )
        if _watchdog.stdin is not None:
            with suppress(BrokenPipeError):  # somebody has ended it
                _watchdog.stdin.write(line + "\n")
                _watchdog.stdin.flush()
