"""What cron expressions come to: how far apart two starts are, and which declared jobs may have run at some time."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from croniter import croniter  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.policy.policy import Job

#: A day's, of a schedule of every five minutes.
_STARTS: Final = 289


def interval_s(schedule: str) -> float:
    """Seconds between one start and the next; of an uneven schedule the shortest of a day's."""
    starts = croniter(schedule, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    moments: list[float] = [starts.get_next(float) for _ in range(_STARTS)]
    return min(later - earlier for earlier, later in pairwise(moments))


def jobs_between(jobs: Iterable[Job], timezone: str, since: dt.datetime, until: dt.datetime) -> list[str]:
    """The jobs that began before ``until`` and may not have ended before ``since``, with the time of their last start."""
    zone = ZoneInfo(timezone)
    found = []
    for job in jobs:
        # A moment later, so that a start at this very moment counts.
        last = croniter(job.schedule, until.astimezone(zone) + dt.timedelta(seconds=1)).get_prev(dt.datetime)
        if last + dt.timedelta(minutes=job.minutes) >= since:
            found.append(f"{job.name} (declared: {job.schedule}, last start {last:%Y-%m-%d %H:%M} {timezone})")
    return found
