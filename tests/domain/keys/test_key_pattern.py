"""A pattern matches what it says and nothing else, and what is said about two patterns is true of every name."""

from __future__ import annotations

import itertools
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.keys.folding import SHAPES
from redis_ttl.domain.keys.pattern import KeyPattern, Placeholder
from redis_ttl.domain.keys.shapes import EXAMPLES, alphabet, pattern_shape
from tests.domain.real_names import REAL_NAMES

ALPHABET = "ab1:/"

literals = st.text(alphabet=ALPHABET + "{}", min_size=1, max_size=3).map(
    lambda text: text.replace("{", "{{").replace("}", "}}")
)
placeholders = st.sampled_from(["{x}", "{userId}", "{n}", "{hex}"])


@st.composite
def patterns(draw: st.DrawFn, names: st.SearchStrategy[str] = placeholders) -> KeyPattern:
    """A small pattern over few characters, so that two of them often have to do with each other."""
    first = draw(st.integers(0, 1))
    parts = [draw(names if index % 2 else literals) for index in range(first, first + draw(st.integers(1, 4)))]
    try:
        return KeyPattern("".join(parts))
    except InvalidOption:
        return KeyPattern("a" + "".join(parts))


plain_patterns = patterns(st.sampled_from(["{x}", "{userId}"]))


@st.composite
def names_of(draw: st.DrawFn, pattern: KeyPattern) -> str:
    """A name that the pattern must match."""
    name = ""
    for part in pattern.parts:
        if isinstance(part, str):
            name += part
        elif part.shape:
            name += draw(st.from_regex(part.shape.regex, fullmatch=True))
        else:
            name += draw(st.text(st.characters(exclude_characters=part.stops_at), min_size=1, max_size=5))
    return name


SHORT_NAMES = ["".join(letters) for size in range(6) for letters in itertools.product(ALPHABET, repeat=size)]


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("user:{token}", "user:42", True),
        ("user:{token}", "user:V1StGXR8_Z5jdHi6B-myT", True),
        ("user:{token}", "user:a b", False),
        ("user:{token}_cart", "user:a_b_cart", True),
        ("user:{id}", "user:a b", True),
        ("user:{id}_cart", "user:a_b_cart", False),
        ("user:{name}", "user:a b", True),
        ("user:{name}", "user:优惠券", True),
        ("user:{name}", "user:line\nbreak", True),
        ("user:{name}", "user:line\n", True),
        ("user:{name}", "user:", False),
        ("user:{name}", "user:42:cart", False),
        ("user:{name}", "user:42/cart|x", True),
        ("user:{name}", "xuser:42", False),
        ("user:{name}", "User:42", False),
        ("user:{id}:cart", "user:42:cart", True),
        ("user:{id}:cart", "user:42:7:cart", False),
        ("user:{id}:cart", "user:42:cart\n", False),
        ("a/b/{file}", "a/b/c", True),
        ("a/b/{file}", "a/b/c/d", False),
        ("a/b/{file}", "a/b/c:d", False),
        ("a|{x}", "a|b|c", False),
        ("{day}-shop{shop}", "mon:tue-shop7", True),
        ("{day}-x{shop}", "mon-tue-x7", False),
        ("cart:{{{userId}}}", "cart:{42}", True),
        ("cart:{{{userId}}}", "cart:42", False),
        ("{{tag}}:{x}", "{tag}:1", True),
        ("{n}", "20931", True),
        ("{n}", "20931a", False),
        ("order:{n}", "order:12x", False),
        ("s:{uuid}", "s:9b2d7a06-8d0f-4c55-9a3e-0a6d1c1f7b11", True),
        ("s:{uuid}", "s:9b2d7a06", False),
        ("a.b+{x}", "a.b+1", True),
        ("a.b+{x}", "aXb+1", False),
        (r"a\d^$[x]({y})?", r"a\d^$[x](7)?", True),
        ("plain", "plain", True),
        ("plain", "plain2", False),
    ],
)
def test_a_pattern_matches_these_names_only(pattern: str, name: str, matches: bool) -> None:  # noqa: FBT001
    """A placeholder takes one or more characters up to its separator; everything else is meant literally."""
    assert KeyPattern(pattern).matches(name) is matches


@pytest.mark.parametrize(("name", "pattern"), [row[1:] for row in REAL_NAMES], ids=[row[2] for row in REAL_NAMES])
def test_a_line_of_the_report_is_a_rule_for_its_names(name: str, pattern: str) -> None:
    """The pattern that folding gives a name of real software matches that name when it is pasted into a policy."""
    assert KeyPattern(pattern).matches(name)


@given(st.data())
def test_a_name_made_from_a_pattern_matches_it(data: st.DataObject) -> None:
    """Whatever is put in the place of the placeholders, the name matches and begins with the literal prefix."""
    pattern = data.draw(patterns())
    name = data.draw(names_of(pattern))
    assert pattern.matches(name)
    assert name.startswith(pattern.literal_prefix)


@given(patterns())
def test_examples_are_examples(pattern: KeyPattern) -> None:
    """A pattern matches its example and doesn't match its counterexample."""
    assert pattern.matches(pattern.example())
    other = pattern.counterexample()
    assert other is not None
    assert not pattern.matches(other)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "an empty pattern"),
        ("{x}", "matches almost everything"),
        ("{x}:{y}", "matches almost everything"),
        (":{x}:", "matches almost everything"),
        ("{token}", "matches almost everything"),
        ("user:{", "never closed"),
        ("user:{id", "never closed"),
        ("user:id}", "without an opening one"),
        ("user:{}", "not the name of a placeholder"),
        ("user:{user id}", "not the name of a placeholder"),
        ("user:{1}", "not the name of a placeholder"),
        ("user:{a}{b}", "side by side"),
        ("user:*", "an asterisk"),
        ("a" * 1025, "too long"),
        ("a" + ":{x}" * 33, "too many placeholders"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, what: str) -> None:
    """A text that can't be read, or would match almost any key, is an error that says which."""
    with pytest.raises(InvalidOption, match=what):
        KeyPattern(text)


@given(st.text(alphabet="a:{}1 ", max_size=10))
def test_any_text_is_a_pattern_or_an_error(text: str) -> None:
    """No text leads to another exception, and what is accepted has an example."""
    try:
        pattern = KeyPattern(text)
    except InvalidOption:
        return
    assert pattern.matches(pattern.example())


def test_names_of_placeholders_make_no_difference() -> None:
    """Two patterns are held against keys alike when only their placeholders' names differ; a shape is more than a name."""
    assert KeyPattern("a:{x}").regex == KeyPattern("a:{user}").regex
    assert KeyPattern("a:{x}").regex != KeyPattern("a:{n}").regex


def test_a_pattern_can_be_sent_to_another_process() -> None:
    """Pickling keeps it."""
    pattern = KeyPattern("a:{x}")
    assert pickle.loads(pickle.dumps(pattern)) == pattern


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ("a:{x}", "a:{y}", True),
        ("a:{x}", "b:{x}", False),
        ("a:{x}", "a:{x}:b", False),
        ("a:{x}:c", "a:b:{y}", True),
        ("a:{x}", "a:{n}", True),
        ("a:b{x}", "a:{x}c", True),
        ("a:{x}", "{x}:b", True),
        ("a:1{x}", "a:2{x}", False),
        ("{x}-a", "{x}:b", False),
        ("{x}-a", "{x}:b-a", True),
        ("{n}", "{uuid}", True),  # in doubt: digits might all be a uuid's, if it had no hyphens
        ("a:{n}", "a:x{y}", False),
        ("plain", "plain", True),
        ("plain", "plai{x}", True),
        ("plain", "plain{x}", False),
    ],
)
def test_overlap(one: str, two: str, overlap: bool) -> None:  # noqa: FBT001
    """Two patterns overlap when some name matches both."""
    assert KeyPattern(one).overlaps(KeyPattern(two)) is overlap
    assert KeyPattern(two).overlaps(KeyPattern(one)) is overlap


@given(patterns(), patterns())
def test_overlap_misses_no_name(one: KeyPattern, two: KeyPattern) -> None:
    """Patterns that don't overlap have no name in common, and the order of asking makes no difference."""
    assert one.overlaps(two) == two.overlaps(one)
    if not one.overlaps(two):
        assert not any(one.matches(name) and two.matches(name) for name in SHORT_NAMES)


@given(st.data())
def test_a_pattern_overlaps_with_whoever_matches_its_names(data: st.DataObject) -> None:
    """A name that both match is proof of an overlap."""
    one, two = data.draw(patterns()), data.draw(patterns())
    if two.matches(data.draw(names_of(one))):
        assert one.overlaps(two)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("a:{x}", "a:{y}", True),
        ("a:{x}", "a:{n}", True),
        ("a:{n}", "a:{x}", False),
        ("a:{x}", "a:b", True),
        ("a:{x}", "a:b{y}", True),
        ("a:b{y}", "a:{x}", False),
        ("a:{x}", "a:{x}:b", False),
        ("a:{x}:{y}", "a:{x}:b", True),
        ("a:{x}-{y}", "a:{n}-{n}", True),
        ("a{x}", "a1", True),
        ("{x}:b", "a:b", True),
        ("a:{uuid}", "a:{uuid}", True),
        ("a:{uuid}:{x}", "a:{uuid}:b", True),
        ("a:{n}", "a:{uuid}", False),
        ("a:{uuid}", "a:9b2d7a06-8d0f-4c55-9a3e-0a6d1c1f7b11", False),  # in doubt: shapes are compared by name
        ("user:{name}", "user:{email}", True),
        ("user:{name}", "user:{date}", False),  # a date may have colons
    ],
)
def test_cover(wide: str, narrow: str, covers: bool) -> None:  # noqa: FBT001
    """One pattern covers another when it matches all of its names."""
    assert KeyPattern(wide).covers(KeyPattern(narrow)) is covers


@given(st.data())
def test_what_is_covered_never_gets_through(data: st.DataObject) -> None:
    """Every name of a covered pattern matches the one that covers it."""
    wide, narrow = data.draw(patterns()), data.draw(patterns())
    if wide.covers(narrow):
        assert wide.matches(data.draw(names_of(narrow)))
        assert all(wide.matches(name) for name in SHORT_NAMES if narrow.matches(name))


@given(plain_patterns, plain_patterns)
def test_cover_is_exact_where_there_are_no_shapes(wide: KeyPattern, narrow: KeyPattern) -> None:
    """A pattern without shapes that isn't covered has a name that shows it."""
    if not wide.covers(narrow):
        stops = "".join(part.stops_at for part in wide.parts if isinstance(part, Placeholder))
        choices = [
            [part] if isinstance(part, str) else ["b", "bb", *(c for c in f"1{stops}:" if c not in part.stops_at)]
            for part in narrow.parts
        ]
        longer = [[*texts, *(a + b for a in texts for b in texts)] if len(texts) > 1 else texts for texts in choices]
        names = ("".join(texts) for texts in itertools.product(*longer))
        assert any(not wide.matches(name) for name in names)


@given(patterns())
def test_every_pattern_covers_itself(pattern: KeyPattern) -> None:
    """A rule written twice is noticed, whatever its pattern."""
    assert pattern.covers(KeyPattern(pattern.text))
    assert pattern.overlaps(pattern)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_shape_can_stand_in_a_rule(shape: object) -> None:
    """A shape that folding writes is read as that shape, and has an example."""
    name = getattr(shape, "name", "")
    known = pattern_shape(name)
    assert known is not None
    assert re.fullmatch(known.regex, EXAMPLES[name], re.DOTALL)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@given(data=st.data())
def test_the_alphabet_of_a_shape_leaves_nothing_out(shape: object, data: st.DataObject) -> None:
    """Every text of a shape is made of the characters that comparing patterns thinks it is made of."""
    regex = getattr(shape, "regex", "")
    text = data.draw(st.from_regex(re.compile(regex, re.DOTALL), fullmatch=True))
    characters = alphabet(regex)
    assert all((character in characters.characters) is not characters.negated for character in text)
