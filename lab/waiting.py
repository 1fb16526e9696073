"""Waiting for a condition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WaitedInVain(TimeoutError):
    """A condition didn't come to hold in time."""


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20.0, *, every_s: float = 0.02) -> None:
    """Return as soon as the condition holds; raises WaitedInVain naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise WaitedInVain(f"waited {timeout_s:g} s for {what}, in vain")
        time.sleep(every_s)
