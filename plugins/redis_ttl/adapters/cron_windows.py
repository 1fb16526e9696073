"""Which declared jobs may have run at some time. The only module that reads cron expressions to compute with them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from croniter import croniter  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.policy import Job


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
