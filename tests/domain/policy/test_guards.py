from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from redis_ttl.domain.policy.guards import Guards, Reading, Ruling, Step, rate_per_s, reasons, watch_reasons
from redis_ttl.domain.policy.policy import GuardSettings

GOOD = Reading(
    at_s=0.0,
    run_id="a",
    is_primary=True,
    round_trip_s=0.0001,
    used_bytes=50,
    limit_bytes=100,
    evicted_keys=0,
    expire_cap_hits=0,
    lag_bytes=0,
    lag_s=0,
    misses=0,
    errors=0,
    replicas_online=2,
    clock_ahead_s=0.0,
)
SETTINGS = GuardSettings(patience_s=10)


def look(guards: Guards, at_s: float, **figures: Any) -> Ruling:
    """What a reading at that second means."""
    return guards.look(replace(GOOD, at_s=at_s, **figures))


def new_guards(**settings: Any) -> Guards:
    """Guards with the default bounds, patient for 10 s."""
    return Guards(replace(SETTINGS, **settings), 0.85, start_round_trip_s=0.0005)


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"used_bytes": 86}, "memory is at 86.0% of maxmemory (bound 85%)"),
        ({"evicted_keys": 5}, "evicted keys: 5.0 a second"),
        ({"round_trip_s": 0.003}, "a round trip takes 3.0 ms (bound 2.5 ms)"),
        ({"expire_cap_hits": 2}, "expired_time_cap_reached_count): 2.0 a second (bound 1)"),
        ({"lag_bytes": 2**27}, "replication lag in bytes: 134,217,728"),
        ({"lag_s": 11}, "replication lag in seconds: 11 (bound 10)"),
    ],
)
def test_each_guard_pauses_with_figure_and_bound(figures: dict[str, Any], says: str) -> None:
    """A figure over its bound pauses, in words that name the figure and the bound; the normal one lets go on."""
    guards = new_guards()
    assert look(guards, 0).step is Step.GO
    ruling = look(guards, 1, **figures)
    assert ruling.step is Step.PAUSE
    assert says in (ruling.reason or "")


@pytest.mark.parametrize("name", ["used_bytes", "limit_bytes", "evicted_keys", "expire_cap_hits", "lag_bytes", "lag_s"])
def test_a_figure_that_cannot_be_read_pauses(name: str) -> None:
    """A guard without its figure pauses."""
    ruling = look(new_guards(), 0, **{name: None})
    assert ruling.step is Step.PAUSE
    assert "can't be read" in (ruling.reason or "")


def test_a_server_without_a_limit_has_no_memory_guard() -> None:
    """A maxmemory of 0 is a figure: there is no share of it to watch."""
    assert look(new_guards(), 0, limit_bytes=0, used_bytes=10**12).step is Step.GO


def test_a_server_without_a_limit_is_held_to_the_policys() -> None:
    """``memory.limit`` counts where the server has no maxmemory, and nowhere else."""
    guards = Guards(SETTINGS, 0.85, start_round_trip_s=0.0005, memory_limit_bytes=100)
    ruling = look(guards, 0, limit_bytes=0, used_bytes=86)
    assert (ruling.step, ruling.reason) == (Step.PAUSE, "memory is at 86.0% of the policy's memory.limit (bound 85%)")
    guards = Guards(SETTINGS, 0.85, start_round_trip_s=0.0005, memory_limit_bytes=100)
    assert look(guards, 0, limit_bytes=200, used_bytes=86).step is Step.GO
    assert look(guards, 1, limit_bytes=None, used_bytes=10).step is Step.PAUSE


def test_a_lost_replica_pauses_until_it_is_back() -> None:
    """Fewer replicas than at the start pause, then abort; a replica that comes back ends the pause, one more raises nothing."""
    guards = Guards(SETTINGS, 0.85, start_round_trip_s=0.0005, start_replicas=2)
    assert look(guards, 0).step is Step.GO
    assert look(guards, 1, replicas_online=3).step is Step.GO
    ruling = look(guards, 2, replicas_online=1)
    assert (ruling.step, ruling.reason) == (Step.PAUSE, "replicas online: 1 (2 when the run began)")
    look(guards, 3)
    assert look(guards, 4).step is Step.GO
    assert look(guards, 5, replicas_online=None).step is Step.PAUSE
    # A failover takes a replica away before its primary learns of it: that has half a minute, whatever the patience.
    assert look(guards, 34, replicas_online=None).step is Step.PAUSE
    assert look(guards, 35, replicas_online=None).step is Step.ABORT


@pytest.mark.parametrize("start", [None, 0])
def test_replicas_that_nobody_knew_of_are_not_missed(start: int | None) -> None:
    """A run that began without replicas, or before their number was kept, isn't paused for want of them."""
    guards = Guards(SETTINGS, 0.85, start_round_trip_s=0.0005, start_replicas=start)
    assert look(guards, 0, replicas_online=0).step is Step.GO
    assert look(guards, 1, replicas_online=None).step is Step.GO


@pytest.mark.parametrize("ahead_s", [-61.0, 61.0, 86_400.0])
def test_a_clock_that_is_far_off_pauses(ahead_s: float) -> None:
    """A server whose clock is over a minute from ours is written nothing, with the difference in the reason."""
    ruling = look(new_guards(), 0, clock_ahead_s=ahead_s)
    assert ruling.step is Step.PAUSE
    assert f"{ahead_s:+,.0f} s" in (ruling.reason or "")
    assert look(new_guards(), 0, clock_ahead_s=ahead_s / abs(ahead_s) * 59).step is Step.GO


def test_a_policys_own_memory_bound_wins() -> None:
    """``memory_ratio`` of the guards replaces the policy's critical threshold."""
    assert look(new_guards(memory_ratio=0.4), 0).step is Step.PAUSE
    assert look(new_guards(memory_ratio=0.9), 0, used_bytes=88).step is Step.GO


def test_round_trips_below_two_milliseconds_never_pause() -> None:
    """However short the round trip was at the start, 2 ms are no reason."""
    guards = Guards(SETTINGS, 0.85, start_round_trip_s=0.00001)
    assert look(guards, 0, round_trip_s=0.00199).step is Step.GO
    assert look(guards, 1, round_trip_s=0.00201).step is Step.PAUSE


def test_a_pause_ends_by_itself_after_a_second_look() -> None:
    """One good reading doesn't end a pause, two in a row do."""
    guards = new_guards()
    assert look(guards, 0, used_bytes=90).step is Step.PAUSE
    assert look(guards, 1).step is Step.PAUSE
    assert look(guards, 2, used_bytes=90).step is Step.PAUSE
    assert look(guards, 3).step is Step.PAUSE
    assert look(guards, 4).step is Step.GO


def test_a_reason_that_stays_aborts() -> None:
    """When the patience is over, the pause becomes the end, with its reason; another reason has its own patience."""
    guards = new_guards()
    assert look(guards, 0, used_bytes=90).step is Step.PAUSE
    assert look(guards, 9, used_bytes=90, lag_s=99).step is Step.PAUSE
    assert look(guards, 9.5, lag_s=99).step is Step.PAUSE
    ruling = look(guards, 10, used_bytes=90, lag_s=99)
    assert ruling.step is Step.ABORT
    assert "memory" in (ruling.reason or "")


def test_a_recovered_server_has_all_patience_again() -> None:
    """Patience counts from the beginning of the pause, not from the first reason of the run."""
    guards = new_guards()
    look(guards, 0, used_bytes=90)
    look(guards, 5)
    look(guards, 6)
    assert look(guards, 11, used_bytes=90).step is Step.PAUSE
    assert look(guards, 20, used_bytes=90).step is Step.PAUSE
    assert look(guards, 21, used_bytes=90).step is Step.ABORT


def test_the_watch_compares_misses_and_errors_with_what_was_normal() -> None:
    """Misses and errors of the watch may be twice the usual, and a few more."""
    normal = (GOOD, replace(GOOD, at_s=10, misses=5_000, errors=0))
    before = replace(GOOD, at_s=100, misses=9_000)

    def found(**figures: Any) -> list[str]:
        after = replace(GOOD, at_s=110, **figures)
        return list(watch_reasons(before, after, normal, SETTINGS, critical_ratio=0.85, start_round_trip_s=0.0005))

    assert found(misses=9_000 + 10_500) == []
    assert found(misses=9_000 + 11_500) == ["misses"]
    assert found(misses=9_000, errors=50) == []
    assert found(misses=9_000, errors=500) == ["errors"]
    assert found(misses=9_000, errors=None) == ["errors"]


def found_between(before: dict[str, Any], now: dict[str, Any], **settings: Any) -> dict[str, str]:
    """Why nothing should be written at the later one of two readings."""
    first, second = replace(GOOD, **before), replace(GOOD, **now)
    bounds = replace(SETTINGS, **settings)
    return reasons(second, first, bounds, critical_ratio=0.85, start_round_trip_s=0.0005)


@pytest.mark.parametrize(
    ("figures", "kind"),
    [
        ({"used_bytes": 85}, "memory"),
        ({"round_trip_s": 0.0025}, "latency"),
        ({"lag_bytes": 64 * 1024 * 1024}, "lag_bytes"),
        ({"lag_s": 10}, "lag_s"),
        ({"expire_cap_hits": 1}, "expiry"),
        ({"evicted_keys": 3}, "evictions"),
    ],
)
def test_a_figure_at_its_bound_is_good(figures: dict[str, Any], kind: str) -> None:
    """A bound is the last good figure; what is beyond it by the least is not."""
    bounds = {"evicted_keys_per_s": 3.0}
    assert found_between({}, {"at_s": 1, **figures}, **bounds) == {}
    more = {name: value + (0.0001 if isinstance(value, float) else 1) for name, value in figures.items()}
    assert list(found_between({}, {"at_s": 1, **more}, **bounds)) == [kind]


def test_counters_are_judged_by_what_they_moved() -> None:
    """What a counter stood at before doesn't matter; how fast it moved since the reading before does."""
    old = {"at_s": 100, "evicted_keys": 1_000, "expire_cap_hits": 500}
    assert found_between(old, {**old, "at_s": 101}) == {}
    bounds = {"evicted_keys_per_s": 5.0}
    assert found_between(old, {**old, "at_s": 104, "evicted_keys": 1_020}, **bounds) == {}
    found = found_between(old, {**old, "at_s": 104, "evicted_keys": 1_021}, **bounds)
    assert found == {"evictions": "evicted keys: 5.2 a second (bound 5)"}


def test_a_counter_without_an_earlier_figure_says_nothing() -> None:
    """The first reading, and one after a reading that lacked the figure, can't tell how fast a counter moves."""
    now: dict[str, Any] = {"at_s": 1, "evicted_keys": 50}
    assert found_between({"evicted_keys": None}, now) == {}
    assert reasons(replace(GOOD, **now), None, SETTINGS, critical_ratio=0.85, start_round_trip_s=0.0005) == {}


def test_two_readings_at_once_make_no_storm() -> None:
    """Readings less than a millisecond apart aren't compared; from a millisecond on they are."""
    assert found_between({}, {"at_s": 0.0009, "evicted_keys": 1}) == {}
    assert found_between({}, {"at_s": 0.0, "evicted_keys": 1}) == {}
    assert list(found_between({}, {"at_s": 0.001, "evicted_keys": 1})) == ["evictions"]


def test_a_slow_start_moves_the_bound_of_round_trips() -> None:
    """The bound is the start's round trip times the factor, and never below 2 ms."""
    slow: dict[str, Any] = {"critical_ratio": 0.85, "start_round_trip_s": 0.01}
    assert reasons(replace(GOOD, round_trip_s=0.05), None, SETTINGS, **slow) == {}
    assert reasons(replace(GOOD, round_trip_s=0.0512), None, SETTINGS, **slow) == {
        "latency": "a round trip takes 51.2 ms (bound 50.0 ms)"
    }


def test_several_reasons_are_told_together_and_the_lasting_one_ends_it() -> None:
    """A pause names every reason; the end names the one that has lasted, and for how long."""
    guards = new_guards()
    ruling = look(guards, 0, used_bytes=90, lag_s=99)
    assert ruling.reason == "memory is at 90.0% of maxmemory (bound 85%); replication lag in seconds: 99 (bound 10)"
    guards = new_guards()
    look(guards, 0, lag_s=99)
    look(guards, 3, used_bytes=90, lag_s=99)
    assert look(guards, 10, used_bytes=90, lag_s=99) == Ruling(
        Step.ABORT, "replication lag in seconds: 99 (bound 10), for 10 s"
    )


def test_of_two_lasting_reasons_the_first_in_the_list_is_told() -> None:
    """When several have lasted, the end names one of them, and always the same one."""
    guards = new_guards()
    look(guards, 0, used_bytes=90, lag_s=99)
    assert look(guards, 10, used_bytes=90, lag_s=99) == Ruling(
        Step.ABORT, "memory is at 90.0% of maxmemory (bound 85%), for 10 s"
    )


def test_a_good_server_goes_on_from_the_first_look() -> None:
    """Nothing pauses a server that was never bad, and a ruling that lets go on has no reason."""
    guards = new_guards()
    assert [look(guards, at_s) for at_s in range(3)] == [Ruling(Step.GO)] * 3


def test_how_fast_a_counter_moves() -> None:
    """The difference by the seconds between; a counter that fell (a restart) has not moved; unknown is unknown."""
    first, last = replace(GOOD, at_s=10, misses=100), replace(GOOD, at_s=14, misses=110)
    assert rate_per_s("misses", first, last) == 2.5
    assert rate_per_s("misses", first, replace(last, misses=100)) == 0.0
    assert rate_per_s("misses", first, replace(last, misses=7)) == 0.0
    assert rate_per_s("misses", replace(first, misses=None), last) is None
    assert rate_per_s("misses", first, replace(last, misses=None)) is None
    assert rate_per_s("misses", first, replace(last, at_s=10)) is None
    assert rate_per_s("misses", first, replace(last, at_s=9)) is None
    assert rate_per_s("misses", first, replace(last, at_s=10.5)) == 20.0


def test_what_the_watch_lets_pass() -> None:
    """A hundred misses and ten errors a second, and twice what was normal; where normal isn't known, no more than that."""
    before = replace(GOOD, at_s=100, misses=0, errors=0)

    def found(seconds: float, normal: tuple[Reading, Reading] | None = None, **figures: Any) -> dict[str, str]:
        after = replace(GOOD, at_s=100 + seconds, **figures)
        return watch_reasons(before, after, normal, SETTINGS, critical_ratio=0.85, start_round_trip_s=0.0005)

    assert found(10, misses=1_000, errors=100) == {}
    assert found(10, misses=1_010) == {"misses": "keyspace misses: 101 a second (bound 100, before the canary 0)"}
    assert found(10, errors=110) == {"errors": "error replies: 11 a second (bound 10, before the canary 0)"}
    usual = (GOOD, replace(GOOD, at_s=10, misses=500, errors=20))
    assert found(10, usual, misses=2_000, errors=140) == {}
    assert found(10, usual, misses=2_010) == {
        "misses": "keyspace misses: 201 a second (bound 200, before the canary 50)"
    }
    unknown = (replace(GOOD, misses=None), usual[1])
    assert list(found(10, unknown, misses=1_010)) == ["misses"]
    assert found(0, misses=10_000) == {}, "no time has passed: nothing can be told"
    assert "can't be read" in found(10, misses=None)["misses"]
    assert list(found(10, used_bytes=90)) == ["memory"], "the guards of the writing hold for the watch, too"
