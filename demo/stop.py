"""Ends what the demo started, and what an earlier demo that crashed has left behind; nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from demo.failure import DemoFailed
from demo.home import Home, read_json
from demo.processes import Processes, began
from demo.wait import wait_until

if TYPE_CHECKING:
    from demo.display import Display


_END_WITHIN_S = 60.0


def stop_everything(processes: Processes) -> None:
    """Stop every process that was ever started and still runs."""
    processes.stop(processes.names())


def clean(home: Home, display: Display) -> None:
    """Stop everything, a ``make demo`` at work included, and remove the demo's folder.

    Raises DemoFailed when that ``make demo`` doesn't end.
    """
    if not home.root.exists():
        return
    _end_holder(home, display)
    with held(home) as free:
        if not free:
            raise DemoFailed(f"another `make demo` (process {holder(home)}) has just begun here; stop it first")
        stop_everything(Processes(home.processes, home.logs))
        shutil.rmtree(home.root)
    display.line(f"Stopped and removed the demo in {home.root}. `make clean` removes the installed libraries too.")


def _end_holder(home: Home, display: Display) -> None:
    """Let the ``make demo`` that holds the folder stop what it started, as Ctrl-C would, and wait until it has ended."""
    with held(home) as free:
        if free:
            return
    pid = holder(home)
    display.line(f"Stopping the `make demo` that runs here (process {pid or 'unknown'})")
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def ended() -> bool:
        with held(home) as free:
            return free

    wait_until(ended, "it to end", timeout_s=_END_WITHIN_S)


@contextmanager
def held(home: Home) -> Iterator[bool]:
    """Hold the demo's folder while the block runs; yields False when another process holds it.

    The system lets go of it when its holder ends, however it ends.
    """
    path = home.root / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(json.dumps([os.getpid(), began(os.getpid())]))
        file.flush()
        yield True


def holder(home: Home) -> int | None:
    """The id of the process that wrote itself down as the holder of the demo's folder, as long as that process runs."""
    known = read_json(home.root / "lock")
    if not isinstance(known, list) or began(known[0]) != known[1]:
        return None
    return int(known[0])
