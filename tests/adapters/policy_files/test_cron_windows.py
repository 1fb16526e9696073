from __future__ import annotations

import datetime as dt

import pytest

from redis_ttl.adapters.policy_files.cron_windows import interval_s, jobs_between
from redis_ttl.domain.policy.policy import Job

CAMPAIGN = Job("campaign", "57 21 * * *", 20)


@pytest.mark.parametrize(
    ("since", "until", "ran"),
    [
        ("13:50", "13:56", False),
        ("13:55", "13:57", True),
        ("14:10", "14:15", True),
        ("14:17", "14:20", True),
        ("14:18", "14:25", False),
    ],
)
def test_a_job_ran_if_it_may_have(since: str, until: str, *, ran: bool) -> None:
    """From its start, in the zone of the policy, until its time is over."""
    day = "2026-02-12T{}:00+00:00"
    found = jobs_between(
        [CAMPAIGN],
        "Asia/Shanghai",
        dt.datetime.fromisoformat(day.format(since)),
        dt.datetime.fromisoformat(day.format(until)),
    )
    assert found == (["campaign (declared: 57 21 * * *, last start 2026-02-12 21:57 Asia/Shanghai)"] if ran else [])


@pytest.mark.parametrize(("schedule", "seconds"), [("*/5 * * * *", 300), ("@hourly", 3_600), ("0,10 2 * * *", 600)])
def test_how_far_apart_two_starts_are(schedule: str, seconds: float) -> None:
    """The shortest distance of a day."""
    assert interval_s(schedule) == seconds
