"""A pattern's one regex means the same to Python, which the terminal matches with, and to Rust, which audits match with."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.keys.folding import SHAPES
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.keys.shapes import EXAMPLES

SIGNS = "ab1:/|-._ \n\\$^*+?()[]&~#é优" + "{}"
words = st.text(alphabet=SIGNS.replace("*", ""), min_size=1, max_size=6).map(
    lambda text: text.replace("{", "{{").replace("}", "}}")
)
placeholders = st.sampled_from(["{x}", "{userId}", *(f"{{{shape.name}}}" for shape in SHAPES)])
names = st.lists(st.one_of(st.text(alphabet=SIGNS, max_size=8), st.sampled_from(sorted(EXAMPLES.values()))), max_size=4)


@st.composite
def patterns(draw: st.DrawFn) -> KeyPattern:
    """A pattern of two to four parts with every character that a regex could stumble over."""
    parts = [draw(placeholders if index % 2 else words) for index in range(draw(st.integers(2, 4)))]
    try:
        return KeyPattern("".join(parts))
    except InvalidOption:
        return KeyPattern("a" + "".join(parts))


@settings(max_examples=300)
@given(patterns(), st.lists(names.map("".join), max_size=10))
def test_python_and_rust_agree_on_every_name(pattern: KeyPattern, texts: list[str]) -> None:
    """Both say yes to the same names, line ends and signs included."""
    texts = [pattern.example(), f"{pattern.example()}\n", *texts]
    assert pl.Series(texts).str.contains(pattern.regex).to_list() == [pattern.matches(text) for text in texts]
