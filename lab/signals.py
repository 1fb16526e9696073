"""Signals that whoever started this program ignores, such as SIGHUP under ``nohup``: they stay ignored here, and are nothing to what
this program starts.

A signal that is ignored is ignored by every child, too; one that is caught isn't. Programs that are started to see what a signal does
to them must not depend on how their starter was started.
"""

from __future__ import annotations

import os
import signal

#: Names the signals to the processes that share the work, which can't see any more what was ignored.
_IGNORED = "LAB_IGNORED_SIGNALS"
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def ignore_alone() -> None:
    """Catch what is ignored, and do nothing about it: children begin as from a terminal. In the main thread only."""
    told = os.environ.get(_IGNORED, "").split()
    ignored = [sign for sign in _SIGNALS if signal.getsignal(sign) is signal.SIG_IGN or sign.name in told]
    for sign in ignored:
        signal.signal(sign, _nothing)
    if ignored:
        os.environ[_IGNORED] = " ".join(sign.name for sign in ignored)


def _nothing(_number: int, _frame: object) -> None:
    """It was ignored when this program began."""
