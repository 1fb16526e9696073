"""Windows of expiry: nobody's key goes early, and no second has more expiries than go unnoticed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from redis_ttl.domain.plan.expiry import UNNOTICED_EXPIRIES_PER_S, Spread, jitter_seed
from redis_ttl.domain.plan.expiry_windows import (
    LEAST_ROOM_PER_S,
    PLANNED_EXPIRIES_PER_S,
    Expiring,
    Standing,
    fit_windows,
    worst_rate_per_s,
)

DAY_S = 86_400

a_rule = st.builds(
    Expiring,
    keys=st.integers(0, 10_000_000),
    ttl_s=st.one_of(st.integers(DAY_S, 400 * DAY_S), st.integers(DAY_S, DAY_S + 5_000)),
    least_window_s=st.integers(0, 40 * DAY_S),
)


def rate_at(instant_s: int, rules: list[Expiring], windows: list[int]) -> float:
    """Expiries a second at that moment, by the definition of a window."""
    return sum(
        rule.keys / window
        for rule, window in zip(rules, windows, strict=True)
        if rule.ttl_s <= instant_s < rule.ttl_s + window
    )


@given(st.lists(a_rule, max_size=12))
def test_the_rate_of_all_rules_together_stays_unnoticed(rules: list[Expiring]) -> None:
    """At every moment at which the sum can change, it is at most what windows are made for."""
    windows = fit_windows(rules)
    edges = [edge for rule, window in zip(rules, windows, strict=True) for edge in (rule.ttl_s, rule.ttl_s + window)]
    assert all(rate_at(edge, rules, windows) <= PLANNED_EXPIRIES_PER_S * (1 + 1e-9) for edge in edges)
    assert worst_rate_per_s(rules, windows) <= UNNOTICED_EXPIRIES_PER_S


@given(st.lists(a_rule, max_size=12))
def test_windows_are_only_ever_widened(rules: list[Expiring]) -> None:
    """No window is shorter than its rule's jitter, nor than its own keys need, and all are at least a second."""
    for rule, window in zip(rules, fit_windows(rules), strict=True):
        assert window >= max(1, rule.least_window_s)
        assert window * UNNOTICED_EXPIRIES_PER_S >= rule.keys


@given(st.lists(a_rule, max_size=12))
def test_rules_that_are_far_apart_keep_their_own_windows(rules: list[Expiring]) -> None:
    """Where the jitter alone spreads the keys well enough, nothing is changed."""
    calm = [Expiring(rule.keys // 1_000, rule.ttl_s, 100_000) for rule in rules]
    assert fit_windows(calm) == [100_000] * len(calm)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**41), st.integers(1, 400 * DAY_S))
def test_jitter_only_lengthens(key_hash: int, earliest_ms: int, window_s: int) -> None:
    """Whatever its hash, a key expires within its window, and never before the TTL that was agreed."""
    instant_ms = Spread(earliest_ms, window_s).instant_ms(key_hash)
    assert earliest_ms <= instant_ms < earliest_ms + window_s * 1000


@given(st.binary(max_size=30), st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, DAY_S))
def test_a_retry_sets_the_same_instant(key: bytes, digest: str, window_s: int) -> None:
    """The instant depends on the key and the plan alone."""
    hashed = [xxh3_64_intdigest(key, seed=jitter_seed(digest)) for _ in range(2)]
    assert len({Spread(0, window_s).instant_ms(each) for each in hashed}) == 1


@settings(max_examples=10, deadline=None)
@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_no_single_second_is_a_storm(digest: str) -> None:
    """Two rules at their limit, their keys spread by their hashes: not one second has more than 2,500 expiries."""
    rules = [Expiring(60_000, DAY_S, 0), Expiring(30_000, DAY_S + 5, 0)]
    seed = jitter_seed(digest)
    seconds: Counter[int] = Counter()
    for number, (rule, window) in enumerate(zip(rules, fit_windows(rules), strict=True)):
        spread = Spread(rule.ttl_s * 1000, window)
        for key in range(rule.keys):
            seconds[spread.instant_ms(xxh3_64_intdigest(b"%d:%d" % (number, key), seed=seed))] += 1
    assert max(seconds.values()) <= UNNOTICED_EXPIRIES_PER_S


some_standing = st.lists(
    st.tuples(st.integers(0, 400 * DAY_S), st.integers(0, 40 * DAY_S), st.floats(0, 600)).map(
        lambda each: Standing(each[0], each[0] + each[1], each[2])
    ),
    max_size=3,
)


@given(st.lists(a_rule, max_size=8), some_standing, st.integers(0, 3 * DAY_S), st.data())
def test_what_stands_and_ours_together_stay_unnoticed(
    rules: list[Expiring], standing: list[Standing], late_s: int, data: st.DataObject
) -> None:
    """Whenever within its time of writing each rule begins to expire, it adds up with other plans' keys to no more than is planned."""
    windows = fit_windows(rules, standing=standing, late_s=late_s)
    late = [data.draw(st.integers(0, late_s)) for _ in rules]
    begins = [rule.ttl_s + later for rule, later in zip(rules, late, strict=True)]
    edges = [*begins, *(each.first_s for each in standing)]
    for edge in edges:
        own = sum(
            rule.keys / window
            for rule, window, begin in zip(rules, windows, begins, strict=True)
            if begin <= edge < begin + window
        )
        stands = sum(each.per_s for each in standing if each.first_s <= edge <= each.last_s)
        assert own <= max(LEAST_ROOM_PER_S, PLANNED_EXPIRIES_PER_S - stands) * (1 + 1e-9)
        if own:
            assert own + stands <= worst_rate_per_s(rules, windows, standing=standing, late_s=late_s) * (1 + 1e-9)


def test_other_plans_widen_a_window_only_where_they_meet_it() -> None:
    """Keys that expire before a rule's first, or after its latest last, leave its window as it was."""
    rule = Expiring(2_250_000, DAY_S, 0)
    window = fit_windows([rule])[0]
    assert window == 1_000
    elsewhere = [Standing(0, DAY_S - 1, 2_000.0), Standing(DAY_S + window + 60, 3 * DAY_S, 2_000.0)]
    assert fit_windows([rule], standing=elsewhere, late_s=60) == [1_000]
    assert fit_windows([rule], standing=[Standing(0, DAY_S, 1_125.0)], late_s=60) == [2_000]
    assert fit_windows([rule], standing=[Standing(DAY_S + 1_059, 3 * DAY_S, 1_125.0)], late_s=60) == [2_000]


def test_two_plans_of_which_neither_is_noticed_may_be_together() -> None:
    """A worst second counts what stands, and only where keys of ours expire."""
    rules = [Expiring(2_000_000, DAY_S, 1_000)]
    assert worst_rate_per_s(rules, [1_000], standing=[Standing(DAY_S, DAY_S, 2_000.0)]) == 4_000.0
    assert worst_rate_per_s(rules, [1_000], standing=[Standing(0, DAY_S - 1, 2_000.0)]) == 2_000.0
