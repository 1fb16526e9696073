from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.expiry import ANCHOR_STEP_MS, anchor_ms

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
