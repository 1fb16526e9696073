"""The estimator keeps its promises on populations whose totals are known."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.estimate import Estimate, Sample, add_estimates, estimate_total

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
