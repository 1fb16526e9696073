from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.policy.policy import WatchSettings
from redis_ttl.domain.watch.bursts import excess
from redis_ttl.domain.watch.events import BurstReport, LevelChange, NotKnown, PatternGrowth, WritingClients
from redis_ttl.domain.watch.history import Growth, Point, growth
from redis_ttl.domain.watch.levels import Level, LevelState, Measure, next_level
from redis_ttl.domain.watch.oddities import OddityKind, oddities
from redis_ttl.domain.watch.sample import NodeSample, Sample
from redis_ttl.domain.watch.trend import Forecast, trend

THRESHOLDS = {Level.WARN: 0.60, Level.CRITICAL: 0.85}
START = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
NODE = NodeSample("10.0.0.7:6379", "a" * 40, 1_000, 600, 500, 1_000, "volatile-lfu", uptime_s=100)


def sample(minutes: float, *nodes: NodeSample) -> Sample:
    """A sample so many minutes after the start."""
    return Sample((START + dt.timedelta(minutes=minutes)).isoformat(), nodes or (NODE,))


def levels(ratios: list[float]) -> list[Level]:
    """The level after each of these."""
    state, found = LevelState(), []
    for number, ratio in enumerate(ratios):
        state = next_level(state, ratio, THRESHOLDS, str(number))
        found.append(state.level)
    return found


def test_a_level_rises_at_once_and_sinks_when_it_is_calm() -> None:
    """Up with the first value above, down after three in a row that are clearly below; past a level that was jumped over."""
    assert levels([0.5, 0.61, 0.9, 0.84, 0.82, 0.82, 0.82]) == [
        "ok",
        "warn",
        "critical",
        "critical",
        "critical",
        "critical",
        "warn",
    ]
    assert levels([0.9, 0.3, 0.3, 0.3]) == ["critical", "critical", "critical", "ok"]


@given(st.lists(st.floats(0.583, 0.617), min_size=2, max_size=60))
def test_dancing_around_a_threshold_is_one_change(ratios: list[float]) -> None:
    """Within two percentage points of a threshold the level changes once at most."""
    found = levels(ratios)
    assert sum(before is not after for before, after in itertools.pairwise(found)) <= 1


def test_an_unknown_figure_changes_nothing() -> None:
    """Where nobody knows the limit there is no level to reach."""
    state = LevelState(Level.WARN, "x", 2)
    assert next_level(state, None, THRESHOLDS, "y") is state


def test_oddities_are_named() -> None:
    """Missing samples, another process, another address, another limit, nodes with different settings."""
    before = sample(0)
    assert oddities(before, sample(5), 300) == ()
    assert [each.kind for each in oddities(before, sample(60), 300)] == [OddityKind.GAP]
    assert oddities(before, sample(60), 300)[0].what.startswith("11 samples")
    restarted = replace(NODE, run_id="b" * 40)
    assert [each.kind for each in oddities(before, sample(5, restarted), 300)] == [OddityKind.RESTART]
    assert [each.kind for each in oddities(before, sample(5, replace(NODE, uptime_s=3)), 300)] == [OddityKind.RESTART]
    moved = replace(NODE, address="10.0.0.8:6379")
    assert {each.kind for each in oddities(before, sample(5, moved), 300)} == {OddityKind.FAILOVER}
    larger = replace(NODE, limit_bytes=2_000)
    assert [each.kind for each in oddities(before, sample(5, larger), 300)] == [OddityKind.LIMIT]
    two = sample(5, NODE, replace(larger, address="10.0.0.9:6379", eviction_policy="noeviction"))
    assert [each.kind for each in oddities(two, two, 300)] == [OddityKind.DISAGREE] * 2


def test_growth_is_of_comparable_samples_only() -> None:
    """Scaled to an interval over a gap; none over a restart or a failover, and none between two looks of one retry."""
    before = sample(0)
    later = replace(NODE, keys=3_000, expires=700, used_bytes=900)
    assert growth(before, sample(10, later), 300) == Growth(sample(10).at, 1_000, 200, 950)
    assert growth(None, before, 300) is None
    assert growth(before, sample(5, replace(later, run_id="b")), 300) is None
    assert growth(before, sample(5, replace(later, address="x")), 300) is None
    assert growth(before, sample(0.1, later), 300) is None


def cyclic(day: float, *, per_day: float, noise: random.Random) -> int:
    """Memory at that day: a million, a cycle of a fifth of it, a trend, and noise."""
    return int(1e6 + 2e5 * math.sin(2 * math.pi * day) + per_day * day + noise.uniform(-5_000, 5_000))


def test_a_daily_cycle_is_no_trend() -> None:
    """At whatever hour it is asked, the trend is that of the days, and its interval holds the true one."""
    noise = random.Random(1)
    for hour in (0, 5, 12, 18):
        for per_day in (0.0, 10_000.0):
            end = 10 + hour / 24
            points = [
                Point(
                    (START + dt.timedelta(days=day)).isoformat(),
                    0,
                    0,
                    cyclic(day, per_day=per_day, noise=noise),
                    None,
                    None,
                )
                for day in (number / 288 for number in range(int(end * 288)))
            ]
            now = sample(end * 1440, replace(NODE, used_bytes=cyclic(end, per_day=per_day, noise=noise)))
            found = trend(points, now, {"critical": 2e6})
            assert found is not None
            assert found.bytes_per_day == pytest.approx(per_day, abs=1_500)
            assert found.low_bytes_per_day - 1_500 <= per_day <= found.high_bytes_per_day + 1_500
            ((name, _, likely, _),) = found.reaches
            assert name == "critical"
            if per_day:
                assert now.used_bytes is not None
                days = (2e6 - now.used_bytes) / per_day
                assert likely is not None
                reached = dt.datetime.fromisoformat(likely) - now.moment
                assert reached.total_seconds() / 86_400 == pytest.approx(days, rel=0.2)


def test_a_day_is_no_history() -> None:
    """With less than two days there is no forecast."""
    points = [
        Point((START + dt.timedelta(minutes=5 * number)).isoformat(), 0, 0, 1, None, None) for number in range(200)
    ]
    assert trend(points, sample(1_000), {}) is None


def test_growth_beyond_that_hours_history_is_excess() -> None:
    """What grows each night at that hour is usual; the same at another hour isn't, and nor is much more at that hour."""
    settings = WatchSettings(burst_keys=100, burst_bytes=10**12, burst_no_ttl_keys=10**9, burst_ratio=0)
    points = []
    for number in range(6 * 288):
        at = (START + dt.timedelta(minutes=5 * number)).isoformat()
        nightly = 5_000.0 if number % 288 < 12 else 10.0
        points.append(Point(at, 0, 0, 0, None, Growth(at, nightly, 0, 0)))
    night, noon = (START + dt.timedelta(days=6, hours=hour) for hour in (0.5, 12))

    def found(at: dt.datetime, keys: float) -> list[Measure]:
        return [each.measure for each in excess(Growth(at.isoformat(), keys, 0, 0), points, settings, sample(0))]

    assert found(night, 5_200) == []
    assert found(noon, 5_200) == [Measure.KEYS]
    assert found(night, 60_000) == [Measure.KEYS]
    assert found(noon, 90) == []


def test_the_first_day_has_absolute_bounds() -> None:
    """Without history only what is twice as large as the least burst counts, and says that it had none."""
    settings = WatchSettings(burst_keys=100, burst_bytes=10**12, burst_no_ttl_keys=10**9, burst_ratio=0)
    assert excess(Growth(START.isoformat(), 199, 0, 0), [], settings, sample(0)) == ()
    (one,) = excess(Growth(START.isoformat(), 201, 0, 0), [], settings, sample(0))
    assert (one.measure, one.by_history) == (Measure.KEYS, False)


def test_documents_come_back_as_they_were() -> None:
    """Samples, points, level changes and bursts survive the store."""
    one = replace(NODE, calls={"set": 3})
    assert from_plain(Sample, json.loads(json.dumps(to_plain(sample(1, one))))) == sample(1, one)
    point = Point.of(sample(1), Growth(sample(1).at, 1, 2, 3))
    assert Point.from_json(json.loads(json.dumps(point.to_json()))) == point
    forecast = Forecast(1.0, 0.5, 2.0, 9, (("critical", "2026-03-01", None, None),))
    change = LevelChange(
        "c",
        START.isoformat(),
        Measure.MEMORY,
        Level.WARN,
        Level.OK,
        0.6,
        6,
        10,
        5,
        2,
        "volatile-lfu",
        forecast,
        135.0,
        "next",
    )
    assert from_plain(LevelChange, json.loads(json.dumps(to_plain(change)))) == change
    assert change.is_worse
    burst = BurstReport(
        "c", START.isoformat(), START.isoformat(), 10, 20, 5, 4_300.0, 100,
        (PatternGrowth("{n}", 0.5, 0.4, 0.6, 50, 40, 60, 1, 0.0, 900, ("1",)),),
        (WritingClients("job", "default", "10.0.0.1", 3, ("set",)),), (("set", 9),), ("dag x",), "a", (NotKnown.CLIENTS,),
    )  # fmt: skip
    assert from_plain(BurstReport, json.loads(json.dumps(to_plain(burst)))) == burst


def test_memory_limit_is_each_server_s_own() -> None:
    """A server without maxmemory may use what the policy says, beside others with their own limits."""
    bare = replace(NODE, limit_bytes=None)
    assert Sample("2026-02-12T14:00:00+00:00", (NODE, bare), 500).limit_bytes == (NODE.limit_bytes or 0) + 500
    assert Sample("2026-02-12T14:00:00+00:00", (NODE, bare)).limit_bytes is None
