"""Pattern tables add up to the same whatever way they are put together."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from redis_ttl.adapters.counting.pattern_table import (
    EXAMPLES_KEPT,
    conform,
    empty_table,
    from_parquet,
    merge_tables,
    rename_patterns,
    to_parquet,
    to_statistics,
)

rows = st.fixed_dictionaries(
    {
        "db": st.integers(0, 1),
        "pattern": st.sampled_from(["a:{n}", "b", "{n}"]),
        "governance": st.just("none"),
        "governed_by": st.none(),
        "keys": st.integers(0, 1000),
        "no_ttl_keys": st.integers(0, 1000),
        "ttl_1d": st.integers(0, 1000),
        "ttl_sum_s": st.integers(0, 10**9),
        "ttl_min_s": st.none() | st.integers(0, 10**6),
        "ttl_max_s": st.none() | st.integers(0, 10**6),
        "size_n": st.integers(0, 50),
        "size_sum": st.integers(0, 10**6).map(float),
        "size_max": st.none() | st.integers(0, 10**6).map(float),
        "type_hash": st.integers(0, 50),
        "examples": st.lists(
            st.integers(0, 40).map(lambda number: {"order": number * 7919 % 41, "key": b"k\xff%d" % number}), max_size=3
        ),
    }
)
SCHEMA: dict[str, Any] = {
    "governed_by": pl.String,
    "ttl_min_s": pl.Int64,
    "ttl_max_s": pl.Int64,
    "size_max": pl.Float64,
    "examples": pl.List(pl.Struct({"order": pl.UInt64, "key": pl.Binary})),
}
tables = st.lists(rows, max_size=6).map(
    lambda made: (
        conform(pl.DataFrame(made, schema_overrides=SCHEMA, infer_schema_length=None)) if made else empty_table()
    )
)


@settings(max_examples=60, deadline=None)
@given(tables, tables, tables)
def test_merging_is_associative_and_commutative(one: pl.DataFrame, two: pl.DataFrame, three: pl.DataFrame) -> None:
    """Shards may arrive in any order and any grouping."""
    together = merge_tables([one, two, three])
    assert_frame_equal(together, merge_tables([merge_tables([three, one]), two]))
    assert_frame_equal(together, merge_tables([two, merge_tables([one, three])]))
    assert_frame_equal(together, merge_tables([together, empty_table()]))


@settings(max_examples=30, deadline=None)
@given(tables)
def test_a_table_survives_its_document(table: pl.DataFrame) -> None:
    """What is stored as parquet is read back row by row."""
    assert_frame_equal(from_parquet(to_parquet(merge_tables([table]))), merge_tables([table]))


@settings(max_examples=30, deadline=None)
@given(tables)
def test_renaming_keeps_every_key(table: pl.DataFrame) -> None:
    """Folding once more moves keys between rows and loses none."""
    renamed = rename_patterns(merge_tables([table]), {"b": "{text}", "{n}": "{text}"})
    assert renamed["keys"].sum() == table["keys"].sum()
    assert renamed["size_n"].sum() == table["size_n"].sum()


def test_a_few_examples_are_kept_and_always_the_same() -> None:
    """Of many examples those with the smallest hash stay, in whatever order tables were merged."""
    parts = [
        conform(
            pl.DataFrame(
                {
                    "db": [0],
                    "pattern": ["a"],
                    "governance": ["none"],
                    "governed_by": [None],
                    "keys": [1],
                    "examples": [[{"order": number, "key": b"%d" % number}]],
                },
                schema_overrides=SCHEMA,
            )
        )
        for number in range(20)
    ]
    forward, backward = merge_tables(parts), merge_tables(reversed(parts))
    assert_frame_equal(forward, backward)
    assert to_statistics(forward)[0].examples == tuple(b"%d" % number for number in range(EXAMPLES_KEPT))
