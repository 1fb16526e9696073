"""What each look of the watch keeps, tells and removes, over samples that a test makes up."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.policy.policy import MemoryThresholds, Owner, Policy, ScalingCost, WatchSettings
from redis_ttl.domain.watch.events import NotKnown, WritingClients
from redis_ttl.domain.watch.history import Growth, Point
from redis_ttl.domain.watch.levels import Measure
from redis_ttl.domain.watch.sample import NodeSample, Sample
from redis_ttl.usecases.watch.watch_cluster import Seen, WatchTools, watch_cluster

START = dt.datetime(2026, 2, 1, 12, 0, tzinfo=dt.UTC)
NODE = NodeSample("10.0.0.7:6379", "a" * 40, 1_000, 1_000, 500, None, "volatile-lfu", uptime_s=100)
POLICY = Policy(
    "shop",
    connection="shop",
    owner=Owner("growth"),
    watch=WatchSettings(
        burst_keys=100, burst_bytes=10**12, burst_no_ttl_keys=10**12, burst_ratio=0.0, retention_days=3
    ),
)


@dataclass(frozen=True)
class Pattern:
    """What random keys of a pattern looked like."""

    keys: int
    no_ttl_keys: int = 0
    ttls_s: Sequence[int] = ()
    examples: Sequence[str] = ()


@dataclass
class Redis:
    """A deployment whose figures a test sets."""

    nodes: tuple[NodeSample, ...] = (NODE,)
    patterns: Mapping[str, Pattern] | None = field(default_factory=dict)
    clients: Sequence[WritingClients] | None = ()
    writes: frozenset[str] = frozenset({"set", "del"})
    asked: list[Any] = field(default_factory=list)

    def sample(self, at: str, *, limit_bytes: int | None) -> Sample:
        """The figures of now."""
        return Sample(at, self.nodes, limit_bytes)

    def random_patterns(self, sample: Sample, keys: int, known: Any) -> Any:
        """What the test says."""
        self.asked.append((sample.keys, keys, dict(known)))
        return self.patterns

    def writing_clients(self, sample: Sample) -> Any:
        """What the test says."""
        del sample
        return self.clients

    def writing_commands(self, sample: Sample, names: Any) -> Any:
        """Those among them that write."""
        del sample
        return self.writes & set(names)


@dataclass
class Watch:
    """One cluster, looked at when a test says."""

    folder: Path
    policy: Policy = POLICY
    redis: Redis = field(default_factory=Redis)
    at: dt.datetime = START
    audited: tuple[str, Mapping[str, int]] | None = None
    jobs: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)

    def now(self) -> dt.datetime:
        """The moment."""
        return self.at

    def monotonic(self) -> float:
        """Its seconds."""
        return self.at.timestamp()

    def look(self, minutes: float = 5, **figures: Any) -> Seen:
        """Look, so long after the look before, at a server with these figures."""
        if figures:
            self.redis.nodes = (replace(self.redis.nodes[0], **figures), *self.redis.nodes[1:])

        def ran(since: dt.datetime, until: dt.datetime) -> Sequence[str]:
            self.jobs.append((since, until))
            return ("campaign",)

        tools = WatchTools(self.redis, Store(self.folder), self, 300.0, lambda: self.audited, ran)
        seen = watch_cluster(self.policy, tools)
        self.at += dt.timedelta(minutes=minutes)
        return seen

    def files(self, under: str = "") -> list[str]:
        """What is in the watch's folder."""
        root = self.folder / "shop/watch" / under
        return sorted(str(path.relative_to(self.folder / "shop/watch")) for path in root.rglob("*") if path.is_file())

    def events(self) -> list[str]:
        """What was told, by kind."""
        return [name.rpartition("-")[2].removesuffix(".json") for name in self.files("events")]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A quiet server, never looked at."""
    return Watch(tmp_path)


def test_a_look_keeps_what_the_next_one_needs(watch: Watch) -> None:
    """One document a look, under its day and its moment, with the day's points so far."""
    watch.look()
    watch.look(keys=1_010, expires=1_010)
    assert watch.files() == ["20260201/120000000000.json", "20260201/120500000000.json"]
    document = json.loads((watch.folder / "shop/watch/20260201/120500000000.json").read_text())
    assert len(document["today"]) == 2
    assert (document["burst_since"], document["quiet"]) == (None, 0)
    assert document["sample"]["at"] == "2026-02-01T12:05:00+00:00"
    seen = watch.look()
    assert seen.growth is not None
    assert (seen.burst, seen.is_bursting, seen.changes) == (None, False, ())


def test_a_burst_is_told_once_from_its_first_look_to_three_quiet_ones(watch: Watch) -> None:
    """It goes on while one of two looks is too fast, and is over after three that aren't."""
    watch.look()
    first = watch.look(keys=2_000, expires=2_000)
    assert first.burst is not None
    assert first.is_bursting
    assert [watch.look().is_bursting for _ in range(2)] == [True, True]
    again = watch.look(keys=4_000, expires=4_000)
    assert (again.burst, again.is_bursting) == (None, True)
    assert [watch.look().is_bursting for _ in range(4)] == [True, True, False, False]
    assert watch.look(keys=6_000, expires=6_000).burst is not None
    assert watch.events() == ["burst", "burst"]


def test_a_burst_is_reported_with_who_and_what(watch: Watch) -> None:
    """By how much, since when and how fast; which commands were called in between; who writes, and what ran."""
    watch.look(keys=1_000, calls={"set": 10, "get": 5, "del": 7, "hset": 1})
    watch.redis.clients = tuple(WritingClients(f"c{number}", "", "10.0.0.1", 1, ("set",)) for number in range(12))
    watch.audited = ("audit-1", {"{n}": 100})
    seen = watch.look(
        keys=2_500, expires=2_300, used_bytes=900, calls={"set": 1_510, "get": 9_005, "del": 7, "hset": 0}
    )
    report = seen.burst
    assert report is not None
    assert (report.cluster, report.since, report.at) == (
        "shop",
        "2026-02-01T12:00:00+00:00",
        "2026-02-01T12:05:00+00:00",
    )
    assert (report.keys, report.used_bytes, report.no_ttl_keys, report.keys_per_s) == (1_500, 400, 200, 5.0)
    assert report.calls == (("set", 1_500),)
    assert [each.name for each in report.clients] == [f"c{number}" for number in range(10)]
    assert (report.jobs, report.audit_id, report.missing) == (("campaign",), "audit-1", ())
    assert watch.jobs == [(START, START + dt.timedelta(minutes=5))]
    assert watch.redis.asked == [(2_500, 4_000, {"{n}": 100})]
    [name] = watch.files("events")
    assert json.loads((watch.folder / "shop/watch" / name).read_text()) == to_plain(report)


def test_what_could_not_be_asked_is_named(watch: Watch) -> None:
    """Neither an audit, nor random keys, nor clients: the burst is told all the same."""
    watch.look()
    watch.redis.patterns = watch.redis.clients = None
    report = watch.look(keys=2_000, expires=2_000).burst
    assert report is not None
    assert report.missing == (NotKnown.AUDIT, NotKnown.KEYS, NotKnown.CLIENTS)
    assert (report.patterns, report.clients, report.sampled, report.audit_id) == ((), (), 0, None)


def test_the_five_most_frequent_commands_that_write_are_told(watch: Watch) -> None:
    """Over all servers; what was called no more often than before isn't told; names decide between equals."""
    watch.redis.writes = frozenset("abcdefgh")
    other = replace(NODE, address="x:1", run_id="b" * 40, calls={"a": 1})
    watch.redis.nodes = (replace(NODE, calls={"a": 5, "b": 5, "h": 9}), other)
    watch.look()
    calls = {"a": 7, "b": 5, "c": 2, "d": 2, "e": 9, "f": 1, "g": 1, "h": 3}
    watch.redis.nodes = (replace(NODE, keys=3_000, expires=3_000, calls=calls), replace(other, calls={"a": 4}))
    report = watch.look().burst
    assert report is not None
    assert report.calls == (("e", 9), ("a", 5), ("c", 2), ("d", 2), ("f", 1))


def test_patterns_that_have_grown_for_certain_are_told(watch: Watch) -> None:
    """Those that even at the lower end of their interval are more than the audit knew, the most grown first, ten at most."""
    watch.audited = ("audit-1", {"known:{n}": 900, "little:{n}": 1})
    watch.redis.patterns = {
        "known:{n}": Pattern(400),
        "new:{n}": Pattern(500, 250, (10, 30, 50), ("new:1",)),
        "little:{n}": Pattern(100),
        "none:{n}": Pattern(0),
    }
    watch.look()
    report = watch.look(keys=2_000, expires=2_000).burst
    assert report is not None
    assert report.sampled == 1_000
    assert [each.pattern for each in report.patterns] == ["new:{n}", "little:{n}"]
    new = report.patterns[0]
    assert (new.share, new.keys, new.audited_keys, new.no_ttl_ratio, new.ttl_s) == (0.5, 1_000, 0, 0.5, 30)
    assert new.examples == ("new:1",)
    # Wilson's interval for 500 of 1,000.
    assert (round(new.share_low, 4), round(new.share_high, 4)) == (0.4691, 0.5309)
    assert (new.keys_low, new.keys_high) == (938, 1_062)
    little = report.patterns[1]
    assert (little.ttl_s, little.audited_keys, little.grown_keys) == (None, 1, 199)
    assert (round(little.share_low, 4), round(little.share_high, 4)) == (0.0829, 0.1202)


def test_ten_patterns_are_shown(watch: Watch) -> None:
    """Equals by their names."""
    watch.redis.patterns = {f"p{number:02d}": Pattern(100) for number in reversed(range(12))}
    watch.look()
    report = watch.look(keys=2_000, expires=2_000).burst
    assert report is not None
    assert [each.pattern for each in report.patterns] == [f"p{number:02d}" for number in range(10)]


def test_all_of_one_pattern_is_all(watch: Watch) -> None:
    """A share stays between nothing and one."""
    watch.redis.patterns = {"p": Pattern(4)}
    watch.look()
    report = watch.look(keys=2_000, expires=2_000).burst
    assert report is not None
    assert (report.patterns[0].share, report.patterns[0].share_high) == (1.0, 1.0)
    assert 0.5 < report.patterns[0].share_low < 0.52


def test_a_level_that_is_reached_is_told_with_its_forecast_and_cost(tmp_path: Path) -> None:
    """By memory or keys without TTL, once; with limit, bounds and cost where these are known."""
    policy = replace(POLICY, memory=MemoryThresholds(0.6, 0.8), scaling_cost=ScalingCost(135, "next node size"))
    watch = Watch(tmp_path, policy)
    watch.look(limit_bytes=1_000)
    [change] = watch.look(used_bytes=900).changes
    assert (change.cluster, change.at, change.measure) == ("shop", "2026-02-01T12:05:00+00:00", Measure.MEMORY)
    assert (change.level.value, change.before.value, change.ratio) == ("critical", "ok", 0.9)
    assert (change.used_bytes, change.limit_bytes, change.keys, change.no_ttl_keys) == (900, 1_000, 1_000, 0)
    assert (change.eviction_policy, change.scaling_usd_per_month, change.scaling_note) == (
        "volatile-lfu",
        135,
        "next node size",
    )
    assert watch.look().changes == ()
    assert watch.events() == ["memory"]
    [change] = Watch(tmp_path / "other", policy).look(expires=0).changes
    assert (change.measure, change.limit_bytes) == (Measure.NO_TTL, None)
    free = Watch(tmp_path / "free", replace(policy, scaling_cost=None))
    [change] = free.look(limit_bytes=1_000, used_bytes=900).changes
    assert (change.scaling_usd_per_month, change.scaling_note) == (None, None)


def test_a_servers_memory_without_a_limit_has_no_level(watch: Watch) -> None:
    """What isn't known changes nothing, and the level that was there stays."""
    watch.policy = replace(POLICY, memory=MemoryThresholds(0.6, 0.8))
    assert [each.level.value for each in watch.look(limit_bytes=1_000, used_bytes=900).changes] == ["critical"]
    assert watch.look(limit_bytes=None).changes == ()
    assert watch.look(limit_bytes=1_000).changes == ()


def test_a_day_that_is_over_becomes_one_document(watch: Watch) -> None:
    """Its samples go, its points stay, each a line; the next day begins with nothing but what was told."""
    watch.look(6 * 60, limit_bytes=1_000)
    watch.look(6 * 60)
    watch.look(0)
    assert watch.files() == ["20260201.jsonl", "20260202/000000000000.json"]
    lines = (watch.folder / "shop/watch/20260201.jsonl").read_text().splitlines()
    assert len(lines) == 2
    document = json.loads((watch.folder / "shop/watch/20260202/000000000000.json").read_text())
    assert len(document["today"]) == 1


@pytest.mark.parametrize(("days", "kept"), [(3, True), (4, False)])
def test_days_beyond_the_retention_go(watch: Watch, days: int, *, kept: bool) -> None:
    """As many days as the policy keeps stay; nothing but what the watch wrote is removed."""
    watch.look(24 * 60)
    watch.look(0)
    (watch.folder / "shop/watch/notes.txt").write_text("x")
    (watch.folder / "shop/watch/0.json").write_text("x")
    watch.at = START + dt.timedelta(days=days)
    watch.look()
    assert ("20260201.jsonl" in watch.files()) is kept
    assert {"notes.txt", "0.json"} < set(watch.files())


def test_a_day_that_a_killed_look_had_made_a_document_of_is_tidied(watch: Watch) -> None:
    """The document stays as it is, and the samples that are left go."""
    watch.look(24 * 60)
    (watch.folder / "shop/watch/20260201.jsonl").write_text("")
    watch.look(0)
    assert watch.files() == ["20260201.jsonl", "20260202/120000000000.json"]
    assert (watch.folder / "shop/watch/20260201.jsonl").read_text() == ""


def test_the_latest_sample_of_any_day_is_what_the_next_look_compares_with(watch: Watch) -> None:
    """Also over midnight, and not one of a day to come, which a clock that was wrong has left."""
    watch.at = dt.datetime(2026, 2, 1, 23, 58, tzinfo=dt.UTC)
    watch.look()
    later = watch.folder / "shop/watch/20260207"
    later.mkdir()
    (later / "000000000000.json").write_text("{}")
    seen = watch.look(keys=2_000, expires=2_000)
    assert seen.burst is not None
    assert seen.burst.since == "2026-02-01T23:58:00+00:00"


@pytest.mark.parametrize(("first", "is_usual"), [(1, True), (14, True), (15, False), (-9, False)])
def test_fourteen_days_of_such_growth_make_it_ordinary(watch: Watch, first: int, *, is_usual: bool) -> None:
    """What has grown as fast at that hour is no burst; days that are longer ago, or to come, say nothing."""
    watch.policy = replace(POLICY, watch=replace(POLICY.watch, retention_days=99))
    watch.look()
    for day in range(first, first + 3) if first > 0 and first < 14 else (first,):
        moment = START - dt.timedelta(days=day)
        points = [
            Point(at, 1_000, 0, 500, None, Growth(at, 1_000.0, 0.0, 0.0))
            for at in ((moment + dt.timedelta(minutes=5 * step)).isoformat() for step in range(-144, 144))
        ]
        path = watch.folder / "shop/watch" / f"{moment:%Y%m%d}.jsonl"
        path.write_text("".join(json.dumps(each.to_json()) + "\n" for each in points))
    assert (watch.look(keys=1_900, expires=1_900).burst is None) is is_usual
