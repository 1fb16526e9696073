from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS, Spread, anchor_ms, jitter_seed

APPROVED_MS = 1_770_000_000_000
DAY_MS = 86_400_000


@given(st.integers(-3_600_000, 3 * DAY_MS))
def test_an_anchor_follows_the_writing_in_whole_steps(late_ms: int) -> None:
    """TTLs count from half a minute after the writing at the earliest, and from at most a step later; steps are whole ones."""
    now_ms = APPROVED_MS + late_ms
    anchor = anchor_ms(APPROVED_MS, now_ms)
    assert (anchor - APPROVED_MS) % ANCHOR_STEP_MS == 0
    assert anchor >= APPROVED_MS + ANCHOR_STEP_MS
    assert anchor >= now_ms + 30_000
    assert anchor <= max(now_ms + 30_000, APPROVED_MS) + ANCHOR_STEP_MS


@pytest.mark.parametrize(
    ("late_ms", "steps"),
    [(-86_400_000, 1), (0, 1), (870_000, 1), (870_001, 2), (1_770_000, 2), (1_770_001, 3)],
)
def test_a_step_is_a_quarter_of_an_hour(late_ms: int, steps: int) -> None:
    """What plans have set is recognised by these steps, so they are as long as in every version, and half a minute ahead."""
    assert anchor_ms(APPROVED_MS, APPROVED_MS + late_ms) - APPROVED_MS == steps * 900_000


@given(key_hash=st.integers(0, 2**64 - 1), window_s=st.integers(0, 3_000_000))
def test_jitter_spreads_over_the_window_by_the_hash(key_hash: int, window_s: int) -> None:
    """A key's instant lies in its window, in whole seconds, as far from its beginning as its hash is among all hashes."""
    off_ms = Spread(APPROVED_MS, window_s).instant_ms(key_hash) - APPROVED_MS
    assert off_ms == int(key_hash * window_s // 2**64) * 1_000
    assert 0 <= off_ms <= max(0, window_s - 1) * 1_000


def test_what_instants_are_made_of_never_changes() -> None:
    """A rollback computes the instants that an older version set: seed, step and tolerance are those of that time."""
    assert jitter_seed("0123456789abcdef" + "f" * 48) == 0x0123456789ABCDEF
    assert Spread(0, 10).instant_ms(1 << 63) == 5_000
    assert MOVES_SHIFT_MS == (100, 1_000)
