from __future__ import annotations

import datetime as dt

from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from redis_ttl.tasks.schedule import timetable


def test_the_first_run_is_the_next_one() -> None:
    """Unpaused minutes after a scheduled time, a DAG waits for the next one, as the scheduler reads its timetable."""
    now = dt.datetime.now(dt.UTC)
    missed = now - dt.timedelta(minutes=3)
    made = timetable(f"{missed.minute} {missed.hour} * * *", "UTC")
    assert made is not None
    stored = decode_timetable(encode_timetable(made))
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    first = stored.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first is not None
    assert (
        dt.timedelta(hours=23) < dt.datetime.fromisoformat(first.run_after.isoformat()) - now < dt.timedelta(hours=25)
    )


def test_by_hand_only_is_no_timetable() -> None:
    """A policy whose schedule is none makes DAGs that nothing starts."""
    assert timetable(None, "UTC") is None
