"""Schedules of the policy as Airflow's timetables."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable


def timetable(schedule: str | None, timezone: str) -> CronTriggerTimetable | None:
    """The timetable of a cron expression or preset; None runs by hand only. The first run is the next one.

    Left to itself, Airflow also runs the one before, when a DAG is unpaused within a tenth of the interval after it: an audit
    in the evening because somebody looked at it at seven.
    """
    if schedule is None:
        return None
    return CronTriggerTimetable(schedule, timezone=timezone, run_immediately=timedelta(0))
