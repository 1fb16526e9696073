"""What is kept of former samples, and how figures grow from one sample to the next: what bursts and trends are judged by."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final

from redis_ttl.domain.codec import Form
from redis_ttl.domain.watch.oddities import OddityKind, oddities

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis_ttl.domain.watch.sample import Sample

#: Two looks that are closer than this are a retry of one: scaled to an interval, their difference would be noise.
_LEAST_INTERVALS: Final = 0.5
#: Makes a median of absolute deviations a standard deviation, for normal noise.
_MAD_TO_SIGMA: Final = 1.4826
#: So many former samples of that hour make a history.
HISTORY_SAMPLES: Final = 12


@dataclass(frozen=True, slots=True)
class Growth:
    """How a figure grew from one sample to the next, scaled to one interval."""

    at: str
    keys: float | None
    used_bytes: float | None
    no_ttl_keys: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """What is kept of a sample for later ones. ``growth`` is None where it couldn't be compared with the one before."""

    at: str
    keys: int | None
    no_ttl_keys: int | None
    used_bytes: int | None
    limit_bytes: int | None
    growth: Growth | None

    @property
    def moment(self) -> dt.datetime:
        """When it was taken."""
        return dt.datetime.fromisoformat(self.at)

    def to_json(self) -> list[Any]:
        """Plain data, short: a day has three hundred of them."""
        grown = None if self.growth is None else [self.growth.keys, self.growth.used_bytes, self.growth.no_ttl_keys]
        return [self.at, self.keys, self.no_ttl_keys, self.used_bytes, self.limit_bytes, grown]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Point:
        """The point that :meth:`to_json` wrote."""
        at, keys, no_ttl_keys, used_bytes, limit_bytes, grown = data
        return cls(at, keys, no_ttl_keys, used_bytes, limit_bytes, None if grown is None else Growth(at, *grown))

    @classmethod
    def of(cls, sample: Sample, grown: Growth | None) -> Point:
        """What is kept of this sample."""
        return cls(sample.at, sample.keys, sample.no_ttl_keys, sample.used_bytes, sample.limit_bytes, grown)


#: A point as it stands in documents, which is short: a day has three hundred of them.
PlainPoint = Annotated[Point, Form(Point.to_json, Point.from_json)]


def growth(before: Sample | None, now: Sample, interval_s: float) -> Growth | None:
    """How the figures grew, for each interval; None where the two can't be compared. A gap alone only makes it a mean."""
    if before is None:
        return None
    kinds = {oddity.kind for oddity in oddities(before, now, interval_s)}
    if kinds & {OddityKind.RESTART, OddityKind.FAILOVER}:
        return None
    intervals = (now.moment - before.moment).total_seconds() / interval_s
    if intervals < _LEAST_INTERVALS:
        return None
    return Growth(
        now.at,
        _apart(before.keys, now.keys, intervals),
        _apart(before.used_bytes, now.used_bytes, intervals),
        _apart(before.no_ttl_keys, now.no_ttl_keys, intervals),
    )


def deviation(values: Collection[float], usual: float) -> float:
    """How far figures are from their median, as a standard deviation that a few odd ones don't move."""
    return median(abs(value - usual) for value in values) * _MAD_TO_SIGMA


def _apart(before: int | None, now: int | None, intervals: float) -> float | None:
    """By how much a figure grew in an interval."""
    return None if before is None or now is None else (now - before) / intervals
