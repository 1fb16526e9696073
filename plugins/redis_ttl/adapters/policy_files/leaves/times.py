"""Times in a policy file: durations, schedules, dates, hours of the day."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from redis_ttl.adapters.policy_files.leaves.leaf import did_you_mean, leaf, matching, refuse
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.keys.pattern import shown
from redis_ttl.domain.policy.duration import EXPECTED as DURATION
from redis_ttl.domain.policy.duration import format_duration, parse_duration
from redis_ttl.domain.policy.policy import QuietHours

MAX_TTL_S: Final = 3650 * 86_400


def ttl_s(value: str) -> int:
    """A duration that a TTL may have."""
    seconds = parse_duration(value)
    if seconds > MAX_TTL_S:
        advice = "Keys that may stay for longer want an exemption, not a TTL"
        refuse(shown(value), f"at most {format_duration(MAX_TTL_S)}", advice)
    return seconds


_HOUR_S: Final = 3_600


def _an_hour_at_least(value: str) -> int:
    seconds = ttl_s(value)
    if seconds < _HOUR_S:
        refuse(shown(value), "an hour or more", "The same fact told more often is noise")
    return seconds


_clock = matching("([01][0-9]|2[0-3]):[0-5][0-9]")


def _time_of_day(value: str) -> dt.time:
    return dt.time.fromisoformat(_clock(value))


def _quiet_hours(value: str) -> QuietHours:
    begin, dash, end = value.partition("-")
    hours = QuietHours(_time_of_day(begin.strip()), _time_of_day(end.strip()))
    if not dash or hours.begin == hours.end:
        raise ValueError
    return hours


_iso_date = matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date(value: str) -> dt.date:
    return dt.date.fromisoformat(_iso_date(value))


_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_CRON_FIELDS = 5


def _schedule(value: str) -> str | None:
    if value == "none":
        return None
    if value in _PRESETS:
        return value
    if value.startswith("@"):
        refuse(shown(value), None, did_you_mean(value, _PRESETS))
    fields = len(value.split())
    if fields != _CRON_FIELDS:
        refuse(shown(value) if fields == 1 else f"{shown(value)}, which has {fields} fields", None, None)
    # Late: it takes longer to import than a policy to read, and Airflow has it already where there are schedules.
    from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        croniter(value, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).get_next()
    except CroniterBadDateError:
        refuse(shown(value), None, "No day ever matches it")
    except (CroniterError, ValueError):
        refuse(shown(value), None, "A field is misspelt or out of range")
    return value


def _job_schedule(value: str) -> str:
    schedule = _schedule(value)
    if schedule is None:
        raise ValueError
    return schedule


def _timezone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, LookupError):
        refuse(shown(value), None, did_you_mean(value, sorted(available_timezones())))


def _span(value: str) -> int:
    if value in ("none", "0s"):
        return 0
    try:
        return parse_duration(value)
    except BadInput as error:
        refuse(error.found or shown(value), f"{error.allowed}, or none", error.todo)


_A_SCHEDULE = 'five cron fields as in "0 19 * * *", a preset such as @daily, or none'


TimeOfDay = Annotated[dt.time, leaf(_time_of_day, 'a time of day as "HH:MM", as in "09:00"')]
Quiet = Annotated[QuietHours, leaf(_quiet_hours, "from when to when, as in 22:00-08:00")]


Schedule = Annotated[str | None, leaf(_schedule, _A_SCHEDULE)]
JobSchedule = Annotated[str, leaf(_job_schedule, 'five cron fields as in "30 13 * * *", or a preset such as @daily')]


TimeZone = Annotated[str, leaf(_timezone, "an IANA time zone, as in Asia/Shanghai")]


Duration = Annotated[int, leaf(ttl_s, DURATION)]
Interval = Annotated[int, leaf(_an_hour_at_least, DURATION)]
Span = Annotated[int, leaf(_span, f"{DURATION}, or none")]


Ttl = Annotated[int, leaf(ttl_s, DURATION)]


Date = Annotated[dt.date, leaf(_date, "a date of the calendar as YYYY-MM-DD, as in 2026-02-20")]
