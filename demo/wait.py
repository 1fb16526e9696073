"""Waiting for a condition, within the time that the demo gives it."""

from __future__ import annotations

from collections.abc import Callable

from demo.failure import DemoFailed
from lab.waiting import WaitedInVain, wait_for


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float, every_s: float = 0.2) -> None:
    """Return as soon as the condition holds; raises DemoFailed naming what was waited for."""
    try:
        wait_for(condition, what, timeout_s, every_s=every_s)
    except WaitedInVain as error:
        raise DemoFailed(str(error)) from error
