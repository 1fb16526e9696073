"""How many new keys come and go, and that what piles up is never among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.drift.churn import Coming, churn_of, fitting_tolerance

numbers = st.integers(0, 10**6)


@given(st.tuples(*[numbers] * 6), st.none() | numbers)
def test_what_was_there_in_both_audits_before_always_counts(figures: tuple[int, ...], level: int | None) -> None:
    """No history sets a key aside that has stayed for two audits, and nothing is set aside that isn't new."""
    old, one_night, fresh, gone_long, gone_short, left = figures
    coming = Coming(old + one_night + fresh, old + one_night, old)
    churn, _ = churn_of(
        coming,
        seen=coming.stayed + gone_long + gone_short + left,
        gone=gone_long + gone_short,
        gone_stayed=gone_long,
        level=level,
    )
    assert 0 <= churn <= coming.new - old


@given(numbers, numbers, st.none() | numbers)
def test_without_history_everything_counts(new: int, seen: int, level: int | None) -> None:
    """Where none of yesterday's keys has gone, none of tonight's is expected to."""
    assert churn_of(Coming(new, min(new, seen)), seen=seen, gone=0, gone_stayed=0, level=None)[0] == 0
    assert churn_of(Coming(new, min(new, seen)), seen=max(1, seen), gone=0, gone_stayed=0, level=level)[0] == 0


@pytest.mark.parametrize("nights", [[3_000, 3_100, 2_900, 3_300, 3_000], [500, 3_000, 2_900, 3_100, 3_000, 400, 3_000]])
def test_noise_and_weekdays_fail_once_a_level(nights: list[int]) -> None:
    """Numbers that go up and down fail only in a night that is far above any before it."""
    level, counted, highest, before = None, [], 0, 0
    for new in nights:
        churn, level = churn_of(Coming(new), seen=before, gone=before, gone_stayed=0, level=level)
        counted.append(new > churn)
        assert (new > churn) == (new > 1.25 * highest)
        highest, before = max(highest, new), new
    assert counted[-1] is False


def test_keys_that_live_for_thirty_hours_are_churn_from_the_third_night_on() -> None:
    """A quarter of each night's thousand is there one audit longer; a leak of 100 a night among them counts at its second night."""
    level, counted = None, []
    for night in range(1, 9):
        leaks = 100 * max(0, night - 6)  # from the seventh night on, and none of them goes
        stayed_leaks = 100 * max(0, night - 7)
        new = 1_000 + (250 if night > 1 else 0) + leaks
        before = 0 if night == 1 else 1_000 + (250 if night > 2 else 0) + stayed_leaks
        gone_stayed = 250 if night > 2 else 0
        churn, level = churn_of(
            Coming(new, (250 if night > 1 else 0) + stayed_leaks, 0),
            seen=before,
            gone=(750 if night > 1 else 0) + gone_stayed,
            gone_stayed=gone_stayed,
            level=level,
        )
        counted.append(new - churn)
    assert counted == [1_000, 250, 0, 0, 0, 0, 0, 100]


def test_growth_alone_never_raises_the_level() -> None:
    """Keys that are all replaced each night, and are more each time, count from the night on that they are a quarter more."""
    level, before, counted = None, 0, []
    for new in range(1_000, 3_000, 100):
        churn, level = churn_of(Coming(new), seen=before, gone=before, gone_stayed=0, level=level)
        counted.append(new - churn)
        before = new
    assert counted[:4] == [1_000, 0, 0, 50]
    assert counted[4:] == [150 + 100 * night for night in range(16)]


@pytest.mark.parametrize(("keys", "fits"), [(0, 1), (1, 1), (8, 10), (80, 100), (3_000, 3_800), (10**6, 1_300_000)])
def test_a_tolerance_that_fits_is_a_little_more(keys: int, fits: int) -> None:
    """It is at least a quarter more, in two digits."""
    assert fitting_tolerance(keys) == fits
