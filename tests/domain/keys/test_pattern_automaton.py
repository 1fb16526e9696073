"""Following all ways at once finds what trying one after the other finds, without its cost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.keys.automaton import PatternAutomaton
from redis_ttl.domain.keys.folding import SHAPES
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.keys.steps import Effort, TooMuchEffort

atoms = st.sampled_from(["a", "b", r"\.", "[ab]", "[^a]", "[a-c0]", ".", "[]a]", r"[\]-]", "\n"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.lists(inner, min_size=1, max_size=3)
    row = groups.map("".join)
    times = st.sampled_from(["?", "+", "*", "{0,2}", "{2}", "{1,}", "{1,3}", "{0}"])
    return st.one_of(row, groups.map("|".join).map("(?:{})".format), st.tuples(inner, times).map(_repeated))


def _repeated(parts: tuple[str, str]) -> str:
    return f"(?:{parts[0]}){parts[1]}"


expressions = st.recursive(atoms, _larger, max_leaves=8)
texts = st.text(alphabet="abc0.]-\n", max_size=7)


@given(expressions, st.lists(texts, min_size=1, max_size=10))
def test_it_matches_what_the_expression_matches(expression: str, names: list[str]) -> None:
    """On every expression and every text, an automaton and Python's ``re`` say the same, also when it has learned."""
    automaton, regex = PatternAutomaton.of(expression), re.compile(expression, re.DOTALL)
    for name in [*names, *names]:
        assert automaton.matches(name) is (regex.fullmatch(name) is not None), (expression, name)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@given(data=st.data())
def test_every_shape_is_read(shape: object, data: st.DataObject) -> None:
    """The expression of each shape matches the same texts, and the same damaged texts."""
    expression = getattr(shape, "regex", "")
    automaton, regex = PatternAutomaton.of(expression), re.compile(expression, re.DOTALL)
    text = data.draw(st.from_regex(regex, fullmatch=True))
    at = data.draw(st.integers(0, len(text)))
    for name in (text, text[:at] + text[at + 1 :], text[:at] + data.draw(texts) + text[at:], text + "\n"):
        assert automaton.matches(name) is (regex.fullmatch(name) is not None)


@pytest.mark.parametrize("shape", [shape.name for shape in SHAPES])
@pytest.mark.parametrize("ending", ["x", "y{n}", ""])
def test_the_cost_of_a_match_is_bounded_by_length_times_size(shape: str, ending: str) -> None:
    """Placeholders that take each other's text cost at most one look at each of their positions for each character."""
    pattern = KeyPattern("a:" + "0".join([f"{{{shape}}}"] * 31) + ending)
    automaton = PatternAutomaton.of(pattern.regex.removeprefix("(?s)^").removesuffix("$"))
    for name in ("a:" + "0" * 1_000, "a:" + "0a" * 500, "a:" + "0" * 1_000 + "x", "a:eyJ0.eyJ0" * 90):
        effort = Effort()
        automaton.matches(name, effort)
        # The longest shape, a date, has 33 positions.
        assert effort.spent <= (len(name) + 1) * (len(pattern.text) + 32 * 40)


def test_a_name_of_any_length_ends() -> None:
    """A name of a megabyte is matched with the same bound."""
    pattern = KeyPattern("a:{n}0{n}0{n}x")
    assert not pattern.matches("a:" + "0" * 1_000_000)
    assert pattern.matches("a:" + "0" * 1_000_000 + "x")


def test_an_effort_ends_where_it_was_told_to() -> None:
    """Matching and comparing stop at the limit that was given, and overlapping is then in doubt."""
    one, two = KeyPattern("a:" + "0".join(["{n}"] * 30)), KeyPattern("a:" + "00".join(["{hex}"] * 30))
    with pytest.raises(TooMuchEffort):
        one.covers(KeyPattern("a:" + "0" * 900), Effort(100))
    assert one.overlaps(two, Effort(10))
    assert not one.overlaps(KeyPattern("b:{n}"), Effort(10))


@pytest.mark.parametrize("expression", [r"\d", r"[\w]", "(a)", "(?:a", "a)", "+", "(?=a)", "^a", "a$", r"\b"])
def test_what_it_cannot_read_it_refuses(expression: str) -> None:
    """Syntax beyond the one that patterns are written in is an error, not another meaning."""
    with pytest.raises(ValueError, match=r"."):
        PatternAutomaton.of(expression)
