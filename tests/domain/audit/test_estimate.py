"""The estimator keeps its promises on populations whose totals are known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.audit import estimate as estimating
from redis_ttl.domain.audit.estimate import Estimate, Sample, add_estimates, estimate_total

values = st.lists(st.floats(0, 1e9, allow_nan=False), max_size=30)


def sample_of(numbers: list[float]) -> Sample:
    """The sample that holds exactly these values."""
    return Sample(len(numbers), sum(numbers), sum(number * number for number in numbers), max(numbers, default=0.0))


def test_a_whole_population_is_known_exactly() -> None:
    """When every key was sampled there is nothing left to be unsure about."""
    assert estimate_total(sample_of([10.0, 20.0, 60.0]), 3) == Estimate(90.0, 0.0)


def test_one_value_gives_a_total_but_no_interval() -> None:
    """A single value says nothing about how much values differ."""
    estimate = estimate_total(sample_of([50.0]), 100)
    assert estimate is not None
    assert estimate.value == 5000.0
    assert estimate.half_width is None
    assert estimate.low is None


def test_nothing_sampled_is_unknown() -> None:
    """Without a sample there is no estimate, not one of zero."""
    assert estimate_total(Sample(), 100) is None


def test_the_interval_holds_the_truth_about_nineteen_times_in_twenty() -> None:
    """Over many samples of one skewed population the 95% interval misses its total about one time in twenty."""
    chance = random.Random(7)
    population = [chance.lognormvariate(5, 0.8) for _ in range(5_000)]
    truth = sum(population)
    hits = 0
    for _ in range(400):
        estimate = estimate_total(sample_of(chance.sample(population, 200)), len(population))
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= truth <= estimate.high
    assert 0.90 <= hits / 400 <= 0.98


@given(values, values)
def test_two_samples_are_one_larger_sample(left: list[float], right: list[float]) -> None:
    """Adding samples loses nothing against having taken them together."""
    added, together = sample_of(left) + sample_of(right), sample_of(left + right)
    assert added.count == together.count
    assert added.largest == together.largest
    assert abs(added.total - together.total) <= 1e-6 * max(1.0, together.total)


def test_strata_add_up_with_the_root_of_their_squared_widths() -> None:
    """Independent errors add in squares; a stratum without a width counts its whole value as one."""
    total = add_estimates([Estimate(100.0, 3.0), Estimate(200.0, 4.0)])
    assert total == Estimate(300.0, 5.0)
    assert add_estimates([Estimate(10.0, None)]).half_width == 10.0


def within(quantile: float, degrees: int, steps: int = 4_000) -> float:
    """How much of Student's t distribution lies within that quantile on both sides, by Simpson's rule."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)

    def density(x: float) -> float:
        return float(scale * (1 + x * x / degrees) ** (-(degrees + 1) / 2))

    width = quantile / steps
    inner = sum((4 if number % 2 else 2) * density(number * width) for number in range(1, steps))
    return 2 * (density(0) + inner + density(quantile)) * width / 3


@pytest.mark.parametrize(("degrees", "quantile"), estimating._T_95)
def test_the_quantiles_are_those_of_the_t_distribution(degrees: int, quantile: float) -> None:
    """95% of Student's t distribution lies within each quantile, to the three digits that it is given with."""
    assert within(quantile - 0.0006, degrees) < 0.95 < within(quantile + 0.0006, degrees)


@pytest.mark.parametrize(
    ("values", "degrees"),
    [
        (2, 1),
        (3, 2),
        (7, 6),
        (8, 6),
        (9, 8),
        (10, 8),
        (11, 10),
        (15, 10),
        (16, 15),
        (31, 30),
        (60, 30),
        (61, 60),
        (62, None),
    ],
)
def test_a_width_is_taken_of_the_next_lower_degrees(values: int, degrees: int | None) -> None:
    """Between two rows of the table the more cautious one counts; beyond its end the normal distribution's."""
    numbers = [1.0] * (values - 1) + [2.0]
    quantile = dict(estimating._T_95)[degrees] if degrees is not None else 1.96
    mean = sum(numbers) / values
    variance = sum((number - mean) ** 2 for number in numbers) / (values - 1)
    estimate = estimate_total(sample_of(numbers), 1_000)
    assert estimate is not None
    expected = quantile * 1_000 * math.sqrt(variance / values * (1 - values / 1_000))
    assert estimate.half_width == pytest.approx(expected, rel=1e-9)


def test_an_estimate_by_hand() -> None:
    """Of ten keys three were sampled, with 1, 2 and 3 bytes: twenty in all, with t = 4.303 and seven tenths unknown."""
    estimate = estimate_total(sample_of([1.0, 2.0, 3.0]), 10)
    assert estimate is not None
    assert estimate.value == 20.0
    assert estimate.half_width == pytest.approx(4.303 * 10 * math.sqrt(1 / 3 * 0.7))
    assert estimate.low == 0.0, "no total is below nothing"
    assert estimate.high == pytest.approx(20 + 4.303 * 10 * math.sqrt(1 / 3 * 0.7))
    assert estimate_total(sample_of([2.0, 2.0, 2.0]), 10) == Estimate(20.0, 0.0)


def test_an_estimate_has_two_ends() -> None:
    """The interval reaches as far below the value as above it; without a width there is neither end."""
    assert (Estimate(10.0, 3.0).low, Estimate(10.0, 3.0).high) == (7.0, 13.0)
    assert (Estimate(0.5, 0.2).low, Estimate(0.5, 0.7).low) == (0.3, 0.0)
    assert (Estimate(10.0, None).low, Estimate(10.0, None).high) == (None, None)


def test_edges_of_a_sample() -> None:
    """Nothing of a population of none; a sample that is larger than its population (keys met twice) knows it exactly."""
    assert estimate_total(sample_of([1.0, 2.0]), 0) is None
    assert estimate_total(sample_of([1.0, 2.0, 3.0]), 2) == Estimate(4.0, 0.0)
    assert estimate_total(sample_of([7.0]), 1) == Estimate(7.0, 0.0)
    assert estimate_total(sample_of([1.0, 2.0]), 1) == Estimate(1.5, 0.0)
    assert Sample().mean is None
    assert sample_of([1.0, 4.0]).mean == 2.5
    assert (Sample().count, Sample().total, Sample().squares, Sample().largest) == (0, 0.0, 0.0, 0.0)
    assert sample_of([1.0, 4.0]) + sample_of([2.0]) == Sample(3, 7.0, 21.0, 4.0)
    assert add_estimates([]) == Estimate(0.0, 0.0)
    assert add_estimates([Estimate(10.0, None), Estimate(5.0, 0.0)]) == Estimate(15.0, 10.0)


def test_a_rounding_error_is_no_variance() -> None:
    """Equal values whose squares add up to a little less than their mean says have no width, and are no error."""
    assert estimate_total(Sample(3, 0.3, 0.03 - 1e-12, 0.1), 10) == Estimate(pytest.approx(1.0), 0.0)  # type: ignore[arg-type]  # equal to every float close by
