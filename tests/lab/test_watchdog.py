from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from lab.checkout import ROOT
from lab.waiting import wait_for

PROGRAM = """
import subprocess, sys, time
from lab import watchdog
sleeps = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
leads = [sys.executable, "-S", "-c", "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)", *sleeps]
started = [subprocess.Popen(sleeps), subprocess.Popen(leads, start_new_session=True), subprocess.Popen(sleeps)]
for each in started:
    watchdog.watch(each)
watchdog.let_go(started[2])
print(*(each.pid for each in started), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL], ids=lambda sign: sign.name)
def test_what_was_started_ends_with_its_starter(sign: signal.Signals) -> None:
    """However that ends: a process, and a group with all that is in it; what was let go lives on."""
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=own, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        alone, leader, spared = (psutil.Process(int(pid)) for pid in program.stdout.readline().split())
        try:
            wait_for(lambda: len(leader.children()) == 1, "the group's second process")
            [member] = leader.children()
            program.send_signal(sign)
            wait_for(lambda: not any(map(is_alive, (alone, leader, member))), "all of them to end")
            assert is_alive(spared)
        finally:
            spared.kill()


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that nobody has waited for doesn't."""
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
