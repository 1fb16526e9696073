"""Durations say their unit, mean what they say, and survive being written out and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.duration import MAX_DURATION_S, UNIT_SECONDS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("30s", 30),
        ("90m", 5_400),
        ("12h", 43_200),
        ("60d", 5_184_000),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("1d12h", 129_600),
        ("1y2w3d4h5m6s", 31_536_000 + 1_209_600 + 3 * 86_400 + 4 * 3_600 + 5 * 60 + 6),
        ("007d", 604_800),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: int) -> None:
    """Each number counts in its own unit, a year being 365 days."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("54000", "54000 seconds are written 15h"),
        ("5184000", "5184000 seconds are written 60d"),
        ("0", "doesn't say its unit"),
        ("1.5", "doesn't say its unit"),
        ("9" * 40, "doesn't say its unit"),
        ("-5", "negative"),
        ("60 days", "Write 60d"),
        ("60 d", "Write 60d"),
        ("60D", "Write 60d"),
        ("5 minutes", "Write 5m"),
        ("3 months", "write the days, as in 90d"),
        ("2mo", "write the days, as in 60d"),
        ("500ms", "Milliseconds"),
        ("0d", "delete the keys"),
        ("0d0h", "delete the keys"),
    ],
)
def test_a_likely_slip_is_answered_with_what_to_write(text: str, advice: str) -> None:
    """The usual wrong ways to write a duration each get the advice that mends them."""
    with pytest.raises(InvalidOption) as caught:
        parse_duration(text)
    assert advice in (caught.value.todo or "")
    assert caught.value.found == f"`{text}`"


@pytest.mark.parametrize("text", ["", " ", "d", "60d ", "1h1d", "1d1d", "1d-1h", "PT5M", "forever", "１d", "60d\n"])
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    """Nothing is guessed: units out of order, twice or missing are errors."""
    with pytest.raises(InvalidOption):
        parse_duration(text)


@given(st.integers(1, MAX_DURATION_S))
def test_a_written_duration_reads_back_as_itself(seconds: int) -> None:
    """Formatting loses nothing."""
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(alphabet="0123456789ywdhms -.", max_size=12))
def test_any_text_is_a_positive_duration_or_an_error(text: str) -> None:
    """No text gives zero, a negative number or another exception."""
    try:
        seconds = parse_duration(text)
    except InvalidOption:
        return
    assert seconds > 0


def test_zero_and_negative_seconds_can_be_shown() -> None:
    """A difference of two durations may be none, or less."""
    assert format_duration(0) == "0s"
    assert format_duration(-UNIT_SECONDS["d"] - 1) == "-1d1s"
