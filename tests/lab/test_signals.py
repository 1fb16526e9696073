from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.checkout import ROOT

PROGRAM = """
import os, signal, subprocess, sys
from lab.signals import ignore_alone
for sign in (signal.SIGHUP, signal.SIGINT):
    signal.signal(sign, signal.SIG_IGN)
ignore_alone()
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
else:
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGINT)
print("alive")
"""
CHILD = "import signal; print(*(signal.getsignal(each) is signal.SIG_IGN for each in (signal.SIGHUP, signal.SIGINT)))"
HELPER = "from lab.signals import ignore_alone; import os, signal; ignore_alone(); os.kill(os.getpid(), signal.SIGHUP); print('on')"


@pytest.mark.parametrize(
    ("child", "said"), [((), "alive"), ((CHILD,), "False False\nalive"), ((HELPER,), "on\nalive")], ids=str
)
def test_what_was_ignored_is_nothing_to_children(child: tuple[str, ...], said: str) -> None:
    """The program outlives the signals, its children hear them, and a process that shares the work outlives them as well."""
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *child], env=own, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")
