"""The sums of an audit: what its shards counted, under the names that the report has for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import polars as pl
import pytest

from redis_ttl.adapters.counting import pattern_merger
from redis_ttl.adapters.counting.pattern_merger import PatternMerger, names_in_report, read_patterns
from redis_ttl.adapters.counting.pattern_table import conform, to_parquet
from redis_ttl.adapters.counting.tally import Tally
from redis_ttl.domain.keys.fold_by_count import AUDIT_LIMITS, SHARD_LIMITS, FoldingLimits, fold_by_count

LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: Each family has more texts than a report shows, and one that is too heavy to be folded.
FAMILIES = [
    [f"{family}:{a}{b}x:{number}" for a in LETTERS[:12] for b in LETTERS[:20] for number in range(2)]
    + [f"{family}:vip:{number}" for number in range(400)]
    for family in ("nick", "cart", "seen")
]


def increments() -> list[bytes]:
    """What a shard counted, an increment for each family."""
    found = []
    with Tally(0, None, 0.0) as tally:
        for keys in FAMILIES:
            frame = pl.DataFrame({"key": [key.encode() for key in keys], "ttl_ms": [None] * len(keys)})
            tally.add(frame.cast({"key": pl.Binary, "ttl_ms": pl.Int64}))
            found.append(tally.drain().patterns)
    return found


@pytest.fixture
def documents() -> list[bytes]:
    """The increments of one shard."""
    return increments()


@pytest.mark.parametrize("held", [40_000, 300])
def test_every_pattern_of_a_shard_is_under_its_name_in_the_report(
    documents: list[bytes], held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the table is folded on the way, the report's rows are the sums of what the shards counted, by these names."""
    monkeypatch.setattr(pattern_merger, "PATTERNS_MERGED", held)
    merger = PatternMerger()
    for document in documents:
        merger.add(document)
    rows, kept = merger.result()
    counted: Counter[str] = Counter()
    for document in documents:
        for row in read_patterns(document):
            counted[merger.names().get(row.pattern, row.pattern)] += row.keys
    assert {row.pattern: row.keys for row in rows} == counted
    assert sum(counted.values()) == sum(len(keys) for keys in FAMILIES)
    assert counted["nick:vip:{n}"] == 400
    assert len(rows) < 100, "light texts are folded"
    assert all(pattern != name for pattern, name in merger.names().items())
    assert read_patterns(kept) == rows
    assert names_in_report(documents) == merger.names()


def test_a_table_that_grows_is_folded_before_it_is_large(
    documents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that wait for the last folding are bounded: with more the table is folded as a shard's is, and not before."""
    bounds: list[tuple[int, FoldingLimits]] = []

    def bounded(keys: Mapping[str, int], limits: FoldingLimits) -> dict[str, str]:
        bounds.append((len(keys), limits))
        return fold_by_count(keys, limits)

    monkeypatch.setattr(pattern_merger, "fold_by_count", bounded)
    rows = len(read_patterns(documents[0]))
    for held, folded in ((rows, 0), (rows - 1, 1)):
        bounds.clear()
        monkeypatch.setattr(pattern_merger, "PATTERNS_MERGED", held)
        merger = PatternMerger()
        merger.add(documents[0])
        assert bounds == [(rows, SHARD_LIMITS)] * folded
    assert AUDIT_LIMITS != SHARD_LIMITS
    merger.result()
    assert bounds[-1][1] == AUDIT_LIMITS


def test_an_audit_of_nothing_has_no_rows() -> None:
    """An empty server is no error."""
    rows, kept = PatternMerger().result()
    assert rows == read_patterns(kept) == []
    assert names_in_report([]) == {}


@pytest.mark.parametrize(("rows", "folds"), [(40_000, 0), (40_001, 1)])
def test_forty_thousand_rows_may_wait(rows: int, folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more, and the table is folded."""
    folded: list[int] = []

    def fold(keys: Mapping[str, int], _: FoldingLimits) -> dict[str, str]:
        folded.append(len(keys))
        return {each: each for each in keys}

    monkeypatch.setattr(pattern_merger, "fold_by_count", fold)
    table = pl.DataFrame(
        {"db": 0, "pattern": [f"p{number}" for number in range(rows)], "governance": "none", "keys": 1}
    )
    merger = PatternMerger()
    merger.add(to_parquet(conform(table)))
    assert folded == [rows] * folds
