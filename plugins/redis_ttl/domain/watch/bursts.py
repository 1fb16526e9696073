"""What is a burst: growth far beyond that of the same hour on earlier days.

It is robust against a few odd samples: medians, and deviations from them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.watch.history import HISTORY_SAMPLES, Growth, Point, deviation
from redis_ttl.domain.watch.levels import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.policy.policy import WatchSettings
    from redis_ttl.domain.watch.sample import Sample

#: Growth is a burst beyond the median of that hour's former growth by so many robust standard deviations.
_DEVIATIONS: Final = 8.0
_HOUR_AROUND: Final = dt.timedelta(hours=1)
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Excess:
    """A figure that grows as it never did at this hour: by ``grown`` in an interval, where ``usual`` is the median and
    ``bound`` what would still pass. ``by_history`` is False where there was none, and fixed bounds were taken.
    """

    measure: Measure
    grown: float
    usual: float
    bound: float
    by_history: bool


def excess(now: Growth, history: Iterable[Point], settings: WatchSettings, sample: Sample) -> tuple[Excess, ...]:
    """What grows far beyond this hour's history; by absolute bounds while there is less than a day of it."""
    moment = dt.datetime.fromisoformat(now.at)
    same_hour = [each.growth for each in history if each.growth is not None and _is_same_hour(each.moment, moment)]
    least = {
        Measure.KEYS: max(settings.burst_keys, settings.burst_ratio * (sample.keys or 0)),
        Measure.MEMORY: max(
            settings.burst_bytes, settings.burst_ratio * (sample.limit_bytes or sample.used_bytes or 0)
        ),
        Measure.NO_TTL: max(settings.burst_no_ttl_keys, settings.burst_ratio * (sample.no_ttl_keys or 0)),
    }
    found = []
    for measure, name in _GROWS.items():
        grown = getattr(now, name)
        if grown is None:
            continue
        former = [value for each in same_hour if (value := getattr(each, name)) is not None]
        by_history = len(former) >= HISTORY_SAMPLES
        usual = median(former) if by_history else 0.0
        # Without history, the usual growth isn't known, so only what is large in itself counts.
        bound = (
            usual + max(_DEVIATIONS * deviation(former, usual), least[measure]) if by_history else 2 * least[measure]
        )
        if grown > bound:
            found.append(Excess(measure, grown, usual, bound, by_history))
    return tuple(found)


_GROWS: Final = {Measure.KEYS: "keys", Measure.MEMORY: "used_bytes", Measure.NO_TTL: "no_ttl_keys"}


def _is_same_hour(former: dt.datetime, now: dt.datetime) -> bool:
    """Whether it was an earlier day, within an hour of this time of day."""
    apart = now - former
    if apart < _DAY - _HOUR_AROUND:
        return False
    rest = apart % _DAY
    return min(rest, _DAY - rest) <= _HOUR_AROUND
