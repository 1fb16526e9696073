"""The lines of the watch's log, whole."""

from __future__ import annotations

from dataclasses import replace

from redis_ttl.domain.watch.events import BurstReport, LevelChange, NotKnown, PatternGrowth, WritingClients
from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.domain.watch.sample import NodeSample, Sample
from redis_ttl.domain.watch.trend import Forecast
from redis_ttl.messages.pages.watch_page import burst_lines, change_lines, sample_line

AT = "2026-02-12T14:00:00+00:00"
GIB = 2**30


def test_a_sample_is_one_line() -> None:
    """Keys, share without TTL, memory, clients, evictions."""
    node = NodeSample(
        "a", "b", 6_693_836, 4_069_852, int(2.10 * GIB), int(2.40 * GIB), clients=120, evicted_keys=7, hits=9, misses=1
    )
    node = replace(node, stale_percent=0.31, fragmentation=1.034)
    assert sample_line(Sample(AT, (node,))) == (
        "6,693,836 keys, 2,623,984 (39.2%) without TTL; memory 2.10 GiB of 2.40 GiB (87.5%); 120 clients, 7 keys evicted so far, "
        "hit rate 90.0%, expired but not removed 0.3%, fragmentation 1.03"
    )


def test_a_level_comes_with_its_forecast_and_its_cost() -> None:
    """What it was, what it is, the trend, the dates, the costs."""
    change = LevelChange(
        "c", AT, Measure.MEMORY, Level.CRITICAL, Level.WARN, 0.875, int(2.1 * GIB), int(2.4 * GIB), 6_693_836, 2_623_984,
        "volatile-lfu", Forecast(5e6, 4e6, 6e6, 14, (("maxmemory", "2026-03-30T00:00", "2026-04-15T00:00", None),)), 135.0, "next size",
    )  # fmt: skip
    assert change_lines(change) == [
        "memory is critical, was warn: 87.5%: 2.10 GiB of 2.40 GiB",
        "2,623,984 of 6,693,836 keys have no TTL; eviction policy volatile-lfu",
        "trend over 14 days: +4.77 MiB a day (+3.81 MiB to +5.72 MiB)",
        "the memory limit would be reached about 2026-04-15 (between 2026-03-30 and no date in sight)",
        "a larger cluster would cost 135 US dollars more a month (next size)",
    ]


def test_a_burst_names_what_it_is() -> None:
    """The amount, the patterns with their bounds, the clients, the commands, what ran, what isn't known; nothing acts in names."""
    report = BurstReport(
        "c", AT, "2026-02-12T13:55:00+00:00", 1_290_000, 90 * 2**20, 0, 4_300.0, 4_000,
        (PatternGrowth("{n}", 0.31, 0.296, 0.324, 2_075_089, 1_981_375, 2_168_802, 900, 0.0, 870, ("10\u202e",)),),
        (WritingClients("", "", "10.0.0.9", 3, ("set", "mset")),), (("set", 1_290_100),), ("DAG etl, run r",), "a",
        (NotKnown.CLIENTS,),
    )  # fmt: skip
    assert burst_lines(report) == [
        "burst: 1,290,000 new keys since 2026-02-12 13:55 (4,300/s), 90.0 MiB, 0 of them without TTL",
        (
            "pattern {n}: 31.0% of all keys (29.6% to 32.4%), about 2,075,089 keys (900 in the last audit); TTL about 14m 30s; such as "
            r"10\u202e"
        ),
        "client unnamed, user unknown, 10.0.0.9: 3 connections, last set, mset",
        "commands since the previous sample: set 1,290,100",
        "ran at the time: DAG etl, run r",
        "unknown: CLIENT LIST may not be called",
    ]
