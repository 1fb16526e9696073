"""How memory grows from day to day, and when it reaches a bound by that."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document_part
from redis_ttl.domain.watch.history import HISTORY_SAMPLES, Point, deviation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.domain.watch.sample import Sample


@document_part
@dataclass(frozen=True, slots=True)
class Forecast:
    """The trend of memory, in bytes a day with an interval, and when a level would be reached by it: at the earliest, most
    likely, and at the latest (None: never by that trend). ``days`` of history stand behind it.
    """

    bytes_per_day: float
    low_bytes_per_day: float
    high_bytes_per_day: float
    days: int
    reaches: tuple[tuple[str, str | None, str | None, str | None], ...] = ()


def trend(history: Sequence[Point], now: Sample, bounds: Mapping[str, float]) -> Forecast | None:
    """How memory grows from day to day, and when the bounds (bytes, by their names) are reached by it.

    Samples are compared with those of the same time of day on each earlier day, so that a daily cycle cancels out. Each pair of
    days gives the median of its differences; the trend is the median of the pairs (Theil and Sen), its interval twice the robust
    standard error of the differences of neighbouring days. None with less than two days of history.
    """
    if now.used_bytes is None:
        return None
    by_day: dict[int, dict[int, int]] = {}
    for point in (*history, Point.of(now, None)):
        if point.used_bytes is None:
            continue
        apart_s = (now.moment - point.moment).total_seconds()
        by_day.setdefault(int(apart_s // 86_400), {})[int(apart_s % 86_400) // 900] = point.used_bytes
    slopes: list[float] = []
    neighbours: list[float] = []
    days = sorted(by_day)
    for number, later in enumerate(days):
        for earlier in days[number + 1 :]:
            slots = by_day[later].keys() & by_day[earlier].keys()
            if len(slots) < HISTORY_SAMPLES // 2:
                continue
            change = median(by_day[later][slot] - by_day[earlier][slot] for slot in slots) / (earlier - later)
            slopes.append(change)
            if earlier - later == 1:
                neighbours.append(change)
    if not neighbours:
        return None
    slope = median(slopes)
    error = 2 * deviation(neighbours, slope) / len(neighbours) ** 0.5
    low, high = slope - error, slope + error
    level = now.used_bytes
    reaches = tuple(
        (name, _when(now, level, bound, high), _when(now, level, bound, slope), _when(now, level, bound, low))
        for name, bound in bounds.items()
        if bound > level
    )
    return Forecast(slope, low, high, len(days), reaches)


#: Further away than this, a date is no forecast.
_FAR: Final = dt.timedelta(days=730)


def _when(now: Sample, level: float, bound: float, bytes_per_day: float) -> str | None:
    if bytes_per_day <= 0:
        return None
    days = (bound - level) / bytes_per_day
    return None if days > _FAR.days else (now.moment + dt.timedelta(days=days)).isoformat()
