"""What a simple random sample says of a total: the point estimate and its 95% interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Two-sided 95% quantiles of Student's t by degrees of freedom; beyond the last the normal distribution's 1.96 serves.
_T_95: Final[tuple[tuple[int, float], ...]] = (
    (1, 12.706),
    (2, 4.303),
    (3, 3.182),
    (4, 2.776),
    (5, 2.571),
    (6, 2.447),
    (8, 2.306),
    (10, 2.228),
    (15, 2.131),
    (20, 2.086),
    (30, 2.042),
    (60, 2.000),
)
_NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Sample:
    """Sums over sampled values; two samples of one population add up to one."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    largest: float = 0.0

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            max(self.largest, other.largest),
        )

    @property
    def mean(self) -> float | None:
        """The mean of the sampled values; ``None`` without any."""
        return self.total / self.count if self.count else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A total as estimated, with the half width of its 95% interval; ``None`` where one value can't give a width."""

    value: float
    half_width: float | None

    @property
    def low(self) -> float | None:
        """Lower end of the 95% interval, never below zero."""
        return None if self.half_width is None else max(0.0, self.value - self.half_width)

    @property
    def high(self) -> float | None:
        """Upper end of the 95% interval."""
        return None if self.half_width is None else self.value + self.half_width


def estimate_total(sample: Sample, population: int) -> Estimate | None:
    """The population's total from a simple random sample of it; ``None`` without a sample.

    Total = N x mean; half width = t x N x sqrt(s^2/n x (1 - n/N)), the expansion estimator with finite population
    correction (Cochran, *Sampling Techniques*, 3rd ed., sections 2.6 to 2.8). The sample may hold a key twice when a
    scan meets it twice, so n/N is held to one.
    """
    if not sample.count or not population:
        return None
    n = sample.count
    value = population * sample.total / n
    if n >= population:
        return Estimate(value, 0.0)
    if n == 1:
        return Estimate(value, None)
    variance = max(0.0, (sample.squares - sample.total * sample.total / n) / (n - 1))
    return Estimate(value, _t_95(n - 1) * population * sqrt(variance / n * (1 - n / population)))


def add_estimates(estimates: Iterable[Estimate]) -> Estimate:
    """The total over strata: values add up, and so do the squares of the half widths.

    A stratum whose width is unknown is counted with its value as its width, which is cautious for sizes.
    """
    value = squares = 0.0
    for each in estimates:
        value += each.value
        squares += (each.value if each.half_width is None else each.half_width) ** 2
    return Estimate(value, sqrt(squares))


def _t_95(degrees: int) -> float:
    if degrees > _T_95[-1][0]:
        return _NORMAL_95
    return next(quantile for bound, quantile in reversed(_T_95) if bound <= degrees)
