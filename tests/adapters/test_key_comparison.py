"""The comparison of fingerprints against the same thing said with Python's sets."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters import key_comparison
from redis_ttl.adapters.journal_columns import journal_bytes
from redis_ttl.adapters.key_comparison import KeyComparison
from redis_ttl.adapters.key_places import in_database, key_places
from redis_ttl.domain.drift import ComparisonScope

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGAN_MS = 1_000_000

keys = st.sets(st.tuples(st.integers(0, 1), st.integers(0, 40)), max_size=40)


def fingerprints(keys: Iterable[tuple[int, int]]) -> bytes:
    """A document as an audit writes it, each key twice; names of even numbers are governed."""
    rows = [(db, f"key:{number}".encode(), number) for db, number in keys] * 2
    frame = pl.DataFrame(rows, schema={"db": pl.Int32, "key": pl.Binary, "number": pl.Int64}, orient="row")
    even = pl.col("number") % 2 == 0
    buffer = io.BytesIO()
    frame.select(
        key_places(frame["key"], 0).alias("key_hash"),
        pl.lit("key:{n}").cast(pl.Categorical).alias("pattern"),
        "db",
        pl.when(even).then(pl.lit("rule")).otherwise(pl.lit("none")).cast(pl.Categorical).alias("governance"),
        pl.when(even).then(pl.lit("key:{n}")).cast(pl.Categorical).alias("governed_by"),
    ).write_parquet(buffer)
    return buffer.getvalue()


def baseline(keys: Iterable[tuple[int, int]]) -> bytes:
    """A document of a baseline."""
    rows = [(place(db, number), db) for db, number in keys]
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema={"place": pl.UInt64, "db": pl.Int32}, orient="row").sort("place").write_parquet(buffer)
    return buffer.getvalue()


def place(db: int, number: int) -> int:
    """The place of a key."""
    hashed = key_places(pl.Series([f"key:{number}".encode()], dtype=pl.Binary), 0)
    return int(in_database(hashed, db)[0])


@given(before=keys, first=keys, second=keys, bits=st.sampled_from([0, 3]), may_leave=st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_sets(
    before: set[tuple[int, int]],
    first: set[tuple[int, int]],
    second: set[tuple[int, int]],
    bits: int,
    *,
    may_leave: bool,
) -> None:
    """New is what isn't in the baseline, the next baseline is what stays, in one part or in several, whatever repeats."""
    scope = ComparisonScope(BEGAN_MS, scanned=(0, 1), covered=(0, 1), may_leave=may_leave)
    today = first | second
    with KeyComparison(scope, key_comparison.KEYS_AT_ONCE << bits) as comparison:
        comparison.add_today(0, fingerprints(first))
        comparison.add_today(1, fingerprints(second))
        comparison.add_baseline(baseline(before))
        comparison.compare()
        counted = {(each.db, each.governance.value): each.keys for each in comparison.new_keys()}
        kept = [row for _, data in comparison.ranges() for row in pl.read_parquet(io.BytesIO(data)).iter_rows()]
        comparison.add_names([b"key:1", b"key:2", b"key:41"], 0)
        named = {key for names in comparison.examples().values() for key in names}
    expected: dict[tuple[int, str], int] = {}
    for db, number in today - before:
        group = (db, "none" if number % 2 else "rule")
        expected[group] = expected.get(group, 0) + 1
    assert counted == expected
    stays = before & today if may_leave else before
    assert sorted(kept) == sorted((place(*key), key[0]) for key in stays)
    assert comparison.no_ttl_keys == len(today)
    assert comparison.left_keys == (len(before - today) if may_leave else 0)
    assert named == {f"key:{number}".encode() for number in (1, 2) if (0, number) in today - before}


def test_only_a_ttl_that_would_still_hold_was_wiped() -> None:
    """A key whose instant had come by itself is new; so is one that was announced and perhaps never written."""
    scope = ComparisonScope(BEGAN_MS, scanned=(0,), covered=(0,))

    def journal(number: int, set_ms: int | None) -> bytes:
        row = {"key": [f"key:{number}".encode()], "db": [0], "rule": [0], "was_ms": [None], "set_ms": [set_ms]}
        return journal_bytes(
            pl.DataFrame(row, schema_overrides={"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64})
        )

    with KeyComparison(scope, 0) as comparison:
        comparison.add_today(0, fingerprints((0, number) for number in (1, 3, 5, 7)))
        comparison.add_journal(journal(1, BEGAN_MS + 1), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(3, BEGAN_MS), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(5, BEGAN_MS + 1), 0, undoes=False, is_complete=False, is_later=True)
        comparison.add_journal(journal(7, BEGAN_MS + 1), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(7, None), 1, undoes=True, is_complete=True, is_later=True)
        comparison.compare()
        comparison.add_names([f"key:{number}".encode() for number in (1, 3, 5, 7)], 0)
        examples = {wiped: sorted(names) for (_, _, wiped), names in comparison.examples().items()}
    assert examples == {True: [b"key:1"], False: [b"key:3", b"key:5", b"key:7"]}


def test_names_are_looked_for_where_most_new_keys_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are proposed by their number of new keys, each once, and none when every pattern has its examples."""
    monkeypatch.setattr(key_comparison, "EXAMPLES_SHOWN", 2)
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        comparison.add_today(0, fingerprints([(0, 1)]))
        comparison.add_today(1, fingerprints([(0, 3), (0, 5)]))
        comparison.compare()
        assert (comparison.next_document(), comparison.next_document(), comparison.next_document()) == (1, 0, None)
        comparison.add_names([b"key:3", b"key:5"], 0)
        assert comparison.next_document() is None


@pytest.mark.parametrize("bits", [0, 3])
def test_what_is_accepted_under_another_seed_is_cut_by_that_one(bits: int) -> None:
    """The next baseline of everything that is there has the places of its own seed, each part within its bounds and sorted."""
    seed = 12_345
    names = pl.Series([f"key:{number}".encode() for number in range(200)], dtype=pl.Binary)
    buffer = io.BytesIO()
    pl.DataFrame(
        {"key_hash": key_places(names, 0), "key_hash_next": key_places(names, 0, seed), "db": pl.Series([1] * 200)}
    ).with_columns(
        pl.col("db").cast(pl.Int32),
        pattern=pl.lit("key:{n}").cast(pl.Categorical),
        governance=pl.lit("none").cast(pl.Categorical),
        governed_by=pl.lit(None, pl.String).cast(pl.Categorical),
    ).write_parquet(buffer)
    scope = ComparisonScope(BEGAN_MS, (0, 1), (0, 1), accepts_all=True, next_seed=seed)
    with KeyComparison(scope, key_comparison.KEYS_AT_ONCE << bits) as comparison:
        comparison.add_today(0, buffer.getvalue())
        comparison.add_baseline(baseline([(1, 3), (1, 999)]))
        comparison.compare()
        parts = [(each, pl.read_parquet(io.BytesIO(data))) for each, data in comparison.ranges()]
    assert len(parts) == 1 << bits
    for bounds, rows in parts:
        assert rows["place"].is_sorted()
        assert all(bounds.first <= place <= bounds.last for place in rows["place"])
        assert rows.height == bounds.keys
    places = pl.concat([rows for _, rows in parts])["place"].sort().to_list()
    assert places == key_places(names, 1, seed).sort().to_list()
