"""Waiting for a condition, with a word about what happens meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from demo.failure import DemoFailed


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float, every_s: float = 0.2) -> None:
    """Return as soon as the condition holds; raises DemoFailed naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {timeout_s:.0f} s for {what}, in vain")
        time.sleep(every_s)
