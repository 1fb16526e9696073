"""The machine's clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC, a monotonic clock for durations, and waiting."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that only go forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return when so much time has gone by."""
        time.sleep(seconds)
