from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.load import GentlePace, Load, LoadKind, RatePace, parse_load


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("gentle", Load(LoadKind.GENTLE)),
        (" Fast ", Load(LoadKind.FAST)),
        ("20000", Load(LoadKind.RATE, 20_000)),
        ("20_000 keys/s", Load(LoadKind.RATE, 20_000)),
        ("20,000keys/s", Load(LoadKind.RATE, 20_000)),
    ],
)
def test_a_load_is_read_as_people_write_it(text: str, load: Load) -> None:
    """A load is gentle, fast or a number of keys per second."""
    assert parse_load(text) == load


@pytest.mark.parametrize("text", ["", "slow", "0", "-5", "1.5", "20000 keys", "١٢"])
def test_any_other_load_is_refused(text: str) -> None:
    """A load that is none of these is refused, with what was found and what is allowed."""
    with pytest.raises(InvalidOption) as caught:
        parse_load(text)
    assert caught.value.found == repr(text)
    assert caught.value.allowed is not None
    assert "gentle, fast" in caught.value.allowed


def test_a_load_says_what_it_is() -> None:
    """The text of a load can be read as a load again."""
    for text in ("gentle", "fast", "20000 keys/s"):
        assert str(parse_load(text)) == text


@given(rate=st.integers(1, 10_000_000), sharers=st.integers(1, 16), pages=st.integers(1, 50))
def test_scans_that_share_a_rate_keep_it_together(rate: int, sharers: int, pages: int) -> None:
    """Each of several scans keeps to its part of the keys per second, whatever a page takes by itself."""
    pace = Load(LoadKind.RATE, rate).share(sharers).pace(round_trip_s=0.001)
    now_s = 100.0
    started_s = now_s
    keys = 0
    for _ in range(pages):
        now_s += 0.0001
        keys += pace.page_keys
        now_s += pace.pause_s(keys=pace.page_keys, elapsed_s=0.0001, now_s=now_s)
    assert keys / (now_s - started_s) <= rate / sharers * 1.001 or keys <= pace.page_keys * 1.001


def test_a_stall_is_not_made_up_for() -> None:
    """After a long stall, a scan goes on at its rate instead of racing to catch up."""
    pace = RatePace(1000)
    pace.pause_s(keys=50, elapsed_s=0.0, now_s=0.0)
    pace.pause_s(keys=50, elapsed_s=60.0, now_s=60.0)
    pauses = [pace.pause_s(keys=50, elapsed_s=0.0, now_s=60.0) for _ in range(40)]
    assert sum(pause > 0 for pause in pauses) >= 20


@given(cost_us=st.floats(0.2, 50), round_trip_us=st.floats(10, 5000), sharers=st.integers(1, 8))
def test_a_gentle_scan_leaves_the_server_four_fifths_of_its_thread(
    cost_us: float, round_trip_us: float, sharers: int
) -> None:
    """Scans that share a server together use at most a fifth of its time, however slow its keys or the way to it."""
    pace = GentlePace(round_trip_us / 1e6, sharers)
    busy_s = passed_s = 0.0
    for page in range(300):
        keys = pace.page_keys
        work_s = keys * cost_us / 1e6
        elapsed_s = round_trip_us / 1e6 + work_s
        pause_s = pace.pause_s(keys=keys, elapsed_s=elapsed_s, now_s=0.0)
        if page >= 200:  # it has learnt what a key costs
            busy_s += work_s
            passed_s += elapsed_s + pause_s
    assert busy_s / passed_s <= 0.2 / sharers


def test_a_gentle_page_takes_the_server_a_fraction_of_a_millisecond() -> None:
    """Pages are sized by what a key costs this server: fewer keys where keys are dear."""
    for cost_s, expected in ((0.5e-6, 50), (1.25e-6, 20), (50e-6, 16), (10e-9, 83)):
        pace = GentlePace(100e-6)
        for _ in range(500):
            pace.pause_s(keys=pace.page_keys, elapsed_s=120e-6 + pace.page_keys * cost_s, now_s=0.0)
        assert pace.page_keys == pytest.approx(expected, rel=0.1)


def test_a_gentle_scan_backs_off_when_the_server_slows_down() -> None:
    """When keys take several times as long as they did, pauses grow by more than the keys' own cost."""
    pace = GentlePace(100e-6)
    for _ in range(200):
        quiet_s = pace.pause_s(keys=50, elapsed_s=150e-6, now_s=0.0)
    for _ in range(50):
        busy_s = pace.pause_s(keys=50, elapsed_s=600e-6, now_s=0.0)
    assert busy_s > 12 * quiet_s


def test_one_slow_round_trip_changes_little() -> None:
    """A single stall, which may be our own machine's, doesn't make a gentle scan crawl."""
    pace = GentlePace(100e-6)
    for _ in range(200):
        before_s = pace.pause_s(keys=50, elapsed_s=150e-6, now_s=0.0)
    after_s = pace.pause_s(keys=50, elapsed_s=0.5, now_s=0.0)
    assert after_s < 1.5 * before_s


def test_a_round_trip_measured_at_a_busy_moment_is_forgotten() -> None:
    """A bare round trip that was measured too long doesn't hide the server's work for long."""
    pace = GentlePace(5e-3)
    for _ in range(200):
        pace.pause_s(keys=pace.page_keys, elapsed_s=100e-6 + pace.page_keys * 2e-6, now_s=0.0)
    assert pace.page_keys * 2e-6 < 150e-6
