"""Columns fold as the reference does, and a Binary column becomes text as one key does."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.counting import folding_columns
from redis_ttl.domain.keys.folding import fold_shapes
from redis_ttl.domain.keys.name import key_text
from tests.domain.real_names import REAL_NAMES

_TOKENS = st.one_of(
    st.text(max_size=8),
    st.from_regex(r"[0-9]{1,24}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{6,41}", fullmatch=True),
    st.from_regex(r"[0-9A-F]{6,33}", fullmatch=True),
    st.from_regex(r"[0-9A-Za-z]{1,33}", fullmatch=True),
    st.from_regex(r"[0-9A-Za-z_-]{18,44}", fullmatch=True),
    st.from_regex(r"01[0-9A-HJKMNP-TV-Z]{23,25}", fullmatch=True),
    st.from_regex(r"(19|20)[0-9]{2}[-/._]?(0[1-9]|1[0-2])[-/._]?[0-3][0-9](T?[0-9:.]{2,12})?Z?", fullmatch=True),
    st.from_regex(r"[23][0-9a-f]{3}(:[0-9a-f]{0,4}){1,8}", fullmatch=True),
    st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,5}){1,5}", fullmatch=True),
    st.from_regex(r"(\\x[0-9a-f]{2}.?){1,5}", fullmatch=True),
    *(
        st.text(alphabet, max_size=28)
        for alphabet in ("f03:", "fdab:", "0123.:-TZW", "19200-/.2", "aB3-_", "{}\\x8f:/")
    ),
    st.uuids().map(str),
    st.tuples(st.sampled_from(REAL_NAMES), st.integers(0, 60), st.integers(0, 60)).map(
        lambda cut: cut[0][1][cut[1] : cut[2]]
    ),
    st.emails(),
    st.sampled_from(
        ["\n", "\ufdd0", "{", "}", "{n}", "{{", "eyJhbGciOi", ".eyJzdWIi.", "用户", "v1", "sha256", "deadbeef"]
    ),
)
_NAMES = st.lists(st.one_of(_TOKENS, st.sampled_from(":/|._-# @")), max_size=9).map("".join)


@settings(max_examples=250, deadline=None)
@given(st.lists(_NAMES, max_size=30))
def test_columns_fold_as_the_reference_does(names: list[str]) -> None:
    """A column of names folds to exactly what the reference gives for each of them, in their order."""
    column = pl.Series("key", names, dtype=pl.String)

    assert folding_columns.fold_shapes(column).to_list() == [fold_shapes(name) for name in names]
    assert column.to_list() == names


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=20), _NAMES.map(str.encode)), max_size=20))
def test_binary_columns_become_the_text_of_each_key(keys: list[bytes]) -> None:
    """Every key of a Binary column becomes its key text, whether its bytes are UTF-8 or not."""
    assert folding_columns.key_texts(pl.Series("key", keys, dtype=pl.Binary)).to_list() == [
        key_text(key) for key in keys
    ]
