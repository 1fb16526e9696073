"""The tally counts what a plain loop would, however its keys are cut into batches and increments."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.counting import tally as tallying
from redis_ttl.adapters.counting.pattern_merger import PatternMerger
from redis_ttl.adapters.counting.tally import Tally
from redis_ttl.domain.audit.key_facts import KeyFacts
from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
from redis_ttl.domain.audit.ttl_histogram import DAY_S, TTL_BOUNDS_S, TTL_CLASSES
from redis_ttl.domain.keys.folding import fold_shapes
from redis_ttl.domain.keys.name import key_text

Rows = list[tuple[bytes, int | None]]
edges_ms = [bound_s * 1000 + off for bound_s in TTL_BOUNDS_S for off in (-1, 0, 1)]
rows = st.lists(
    st.tuples(
        st.sampled_from([b"user:%d", b"sess:\xff%d", b"plain", "用户:%d".encode()]).flatmap(
            lambda template: st.integers(0, 9_999).map(
                lambda number: template % number if b"%" in template else template
            )
        ),
        st.none() | st.integers(0, 2 * 365 * DAY_S * 1000) | st.sampled_from(edges_ms),
    ),
    max_size=60,
)


def frame(part: Rows) -> pl.DataFrame:
    """A batch as the reader hands it out."""
    columns = {"key": [key for key, _ in part], "ttl_ms": [ttl for _, ttl in part]}
    return pl.DataFrame(columns, schema={"key": pl.Binary, "ttl_ms": pl.Int64})


def tallied(increments: list[list[Rows]]) -> list[PatternStatistics]:
    """The report's rows after these increments of batches."""
    merger = PatternMerger()
    with Tally(0, None, 0.5) as tally:
        for batches in increments:
            for batch in batches:
                tally.add(frame(batch))
            merger.add(tally.drain().patterns)
    return merger.result()[0]


def ttl_class(ttl_ms: int) -> str:
    """The class of a TTL, by the book: whole seconds, rounded up, against inclusive bounds."""
    seconds = -(-ttl_ms // 1000)
    return next((name for name, bound in zip(TTL_CLASSES, TTL_BOUNDS_S, strict=False) if seconds <= bound), "more")


@settings(max_examples=60, deadline=None)
@given(rows, st.data())
def test_counts_are_those_of_a_plain_loop(made: Rows, data: st.DataObject) -> None:
    """Keys, no-TTL keys and the TTL histogram of each pattern don't depend on where batches and increments end."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(made)), max_size=4)))
    batches = [made[start:end] for start, end in pairwise([0, *cuts, len(made)])]
    middle = len(batches) // 2
    counted = {row.pattern: row for row in tallied([batches[:middle], batches[middle:]])}
    keys = Counter(fold_shapes(key_text(key)) for key, _ in made)
    no_ttl = Counter(fold_shapes(key_text(key)) for key, ttl in made if ttl is None)
    classes = Counter((fold_shapes(key_text(key)), ttl_class(ttl)) for key, ttl in made if ttl is not None)
    assert {name: row.keys for name, row in counted.items()} == dict(keys)
    assert {name: row.no_ttl_keys for name, row in counted.items()} == {name: no_ttl[name] for name in keys}
    for name, row in counted.items():
        assert row.ttl_histogram == tuple(classes[name, each] for each in TTL_CLASSES)


def test_a_sample_asks_about_rare_patterns_too() -> None:
    """One key among ten thousand of other patterns is asked about, and so are names that are all different."""
    made: Rows = [(b"user:%d" % number, None) for number in range(10_000)]
    made += [(b"nick:%b" % bytes([97 + number % 26, 97 + number // 26 % 26, 98]), None) for number in range(600)]
    made += [(b"config", None), (b"bull:mail:meta", 1)]
    with Tally(0, None, 0.01) as tally:
        tally.add(frame(made))
        tally.finish_batches()
        sample = tally.take_sample()
        assert tally.take_sample() == [], "what was handed out isn't offered again"
    assert {b"config", b"bull:mail:meta"} <= set(sample)
    assert len(sample) == tallying.LEAST_SAMPLED


@pytest.mark.parametrize(("keys", "ratio", "asked"), [(1, 0.01, 1), (50, 0.01, 50), (300, 1.0, 300), (50, 0.0, 0)])
def test_a_small_keyspace_is_asked_whole(keys: int, ratio: float, asked: int) -> None:
    """The first keys of a shard are all asked, 100% means every key, and 0% none."""
    made: Rows = [(b"parent%d:%d" % (number % 40, number), None) for number in range(keys)]
    with Tally(0, None, ratio) as tally:
        tally.add(frame(made))
        tally.finish_batches()
        assert len(tally.take_sample()) == asked


def test_the_longest_ttls_add_up() -> None:
    """A thousand keys with the longest TTL that a server takes have that TTL on average."""
    longest_ms = 2**63 - 10_000_000_000_000
    (row,) = tallied([[[(b"user:%d" % number, longest_ms) for number in range(1_100)]]])
    assert row.ttl_mean_s == pytest.approx(longest_ms / 1000)


def test_facts_reach_the_pattern_of_their_key() -> None:
    """Sizes, types and use of sampled keys add up in their pattern's row; a type nobody has heard of counts as other."""
    merger = PatternMerger()
    with Tally(0, None, 1.0) as tally:
        tally.add(frame([(b"user:1", None), (b"user:2", None), (b"doc:1", 5)]))
        tally.finish_batches()
        assert sorted(tally.take_sample()) == [b"doc:1", b"user:1", b"user:2"]
        tally.add_facts(
            [
                KeyFacts(b"user:1", "hash", 100, 7, None),
                KeyFacts(b"user:2", "hash", 300, 9, None),
                KeyFacts(b"doc:1", "ReJSON-RL", None, None, 60),
                KeyFacts(b"stranger", "string", 1, 1, 1),
            ]
        )
        merger.add(tally.drain().patterns)
    by_pattern = {row.pattern: row for row in merger.result()[0]}
    user, doc = by_pattern["user:{n}"], by_pattern["doc:{n}"]
    assert (user.sizes.count, user.sizes.total, user.sizes.largest, user.types) == (2, 400.0, 300.0, {"hash": 2})
    assert user.freqs.mean == 8.0
    assert (doc.sizes.count, doc.types, doc.idles_s.mean) == (0, {"other": 1}, 60.0)


def test_the_table_stays_small_when_every_name_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts beyond any bound are folded while the scan goes on, and no key gets lost by it."""
    monkeypatch.setattr(tallying, "PATTERNS_HELD", 1_000)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"nick:{a}{b}{c}x" for a in letters for b in letters for c in letters[:8]]
    largest = 0
    with Tally(0, None, 0.01) as tally:
        for start in range(0, len(names), 500):
            tally.add(frame([(name.encode(), None) for name in names[start : start + 500]]))
            tally.finish_batches()
            largest = max(largest, sum(table.height for table in tally._increments[0].tables))
        counted = tally.drain()
    assert counted.keys == len(names)
    assert largest < 2_000


def test_a_sampled_key_follows_its_pattern_when_that_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server says of a key, asked before its pattern was folded into a wider one, counts for the wider one: no row of the
    report has sizes and no keys.
    """
    monkeypatch.setattr(tallying, "PATTERNS_HELD", 50)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"nick:{a}{b}x".encode() for a in letters for b in letters]
    merger = PatternMerger()
    with Tally(0, None, 1.0) as tally:
        for start in range(0, len(names), 100):
            tally.add(frame([(name, None) for name in names[start : start + 100]]))
        tally.finish_batches()
        asked = tally.take_sample()
        tally.add_facts([KeyFacts(name, "string", 100, None, None) for name in asked])
        table = tally.drain()
    merger.add(table.patterns)
    rows = merger.result()[0]
    assert sum(row.keys for row in rows) == sum(row.sizes.count for row in rows) == len(names)
    import io

    rows_of_shard = pl.read_parquet(io.BytesIO(table.patterns))
    assert rows_of_shard.filter((pl.col("keys") == 0) & (pl.col("size_n") > 0)).is_empty()
