"""When writing must pause, and when it must end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """A server's figures at one moment (``at_s``, monotonic)."""

    at_s: float
