"""Documents are written and read by their fields and hints, and nothing else is read for one."""

from __future__ import annotations

import datetime as dt
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pytest

import redis_ttl.domain
import redis_ttl.usecases.store
from redis_ttl.domain.codec import _HEADERS, Form, Hex64, document, document_part, from_plain, to_plain
from redis_ttl.domain.errors import NewerDocument
from tests.full_examples import full_example, least_example

for _package in (redis_ttl.domain, redis_ttl.usecases.store):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        import_module(_module.name)
KINDS = sorted(
    (kind for kind in _HEADERS if kind.__module__.startswith("redis_ttl.")), key=lambda kind: kind.__qualname__
)


class Colour(StrEnum):
    """What a thing may have."""

    RED = "red"
    BLUE = "blue"


@document_part
@dataclass(frozen=True, slots=True)
class Leaf:
    """A part."""

    size: int
    ratio: float | None = None


@document("redis_ttl.tree/2", kind="tree", without={"unsaid"})
@dataclass(frozen=True, slots=True)
class Tree:
    """A document with one field of each form."""

    name: str
    when: dt.datetime
    day: dt.date
    colour: Colour
    mode: Literal["set", "cap"]
    seed: Hex64
    chosen: Annotated[Leaf, Form(lambda leaf: leaf.size, Leaf)]
    is_tall: bool = False
    next_seed: Hex64 | None = None
    leaves: tuple[Leaf, ...] = ()
    span: tuple[str, int] = ("", 0)
    by_number: Mapping[int, Leaf] = field(default_factory=dict)
    by_colour: Mapping[Colour, Mapping[str, int]] = field(default_factory=dict)
    unsaid: int = 0


WHEN = dt.datetime(2026, 2, 20, 19, 5, tzinfo=dt.UTC)
LEAST = Tree("a", WHEN, WHEN.date(), Colour.RED, "set", 255, Leaf(7))
FULL = Tree(
    "a",
    WHEN,
    WHEN.date(),
    Colour.BLUE,
    "cap",
    2**64 - 1,
    Leaf(7),
    is_tall=True,
    next_seed=1,
    leaves=(Leaf(1, 0.5), Leaf(2)),
    span=("x", 3),
    by_number={10: Leaf(1), 2: Leaf(2)},
    by_colour={Colour.RED: {"b": 1, "a": 2}},
    unsaid=5,
)


def test_every_form_of_a_field() -> None:
    """The header comes first, then the fields in the order of the class: this is what lies in the store."""
    assert json.dumps(to_plain(FULL)) == (
        '{"schema": "redis_ttl.tree/2", "kind": "tree", "name": "a", "when": "2026-02-20T19:05:00+00:00", "day": "2026-02-20", '
        '"colour": "blue", "mode": "cap", "seed": "ffffffffffffffff", "chosen": 7, "is_tall": true, "next_seed": "0000000000000001", '
        '"leaves": [{"size": 1, "ratio": 0.5}, {"size": 2, "ratio": null}], "span": ["x", 3], '
        '"by_number": {"2": {"size": 2, "ratio": null}, "10": {"size": 1, "ratio": null}}, "by_colour": {"red": {"b": 1, "a": 2}}}'
    )


@pytest.mark.parametrize("tree", [FULL, LEAST], ids=["full", "least"])
def test_what_is_written_is_read(tree: Tree) -> None:
    """All but what stands in no document."""
    read = from_plain(Tree, json.loads(json.dumps(to_plain(tree))))
    assert to_plain(read) == to_plain(tree)
    assert read.unsaid == 0
    assert read.by_number == tree.by_number


def test_what_a_document_lacks_has_its_default() -> None:
    """What an older version didn't have; a field without a default must be there."""
    data = to_plain(LEAST)
    old = {name: data[name] for name in ("name", "when", "day", "colour", "mode", "seed", "chosen")}
    assert from_plain(Tree, old) == LEAST
    with pytest.raises(TypeError, match="seed"):
        from_plain(Tree, {name: value for name, value in old.items() if name != "seed"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": 7}, "name: 7 instead of text"),
        ({"name": None}, "name is null"),
        ({"is_tall": 1}, "is_tall: 1 instead of true or false"),
        ({"when": "yesterday"}, "when: "),
        ({"when": 7}, "when: "),
        ({"colour": "green"}, "colour: 'green' is not a valid Colour"),
        ({"mode": "extend"}, "mode: 'extend' instead of one of 'set', 'cap'"),
        ({"seed": 7}, "seed: "),
        ({"seed": "xyz"}, "seed: "),
        ({"leaves": "ab"}, "leaves: 'ab' instead of a list"),
        ({"leaves": [7]}, "leaves: int instead of an object"),
        ({"leaves": [{"size": True}]}, "leaves: size: True instead of a whole number"),
        ({"leaves": [{"size": 1.5}]}, "leaves: size: 1.5 instead of a whole number"),
        ({"leaves": [{"size": None}]}, "leaves: size is null"),
        ({"leaves": [{"size": 1, "ratio": "x"}]}, "leaves: ratio: 'x' instead of a number"),
        ({"leaves": [{}]}, "leaves: .*size"),
        ({"span": ["x"]}, "span: "),
        ({"span": ["x", "y"]}, "span: 'y' instead of a whole number"),
        ({"by_number": {"x": {"size": 1}}}, "by_number: "),
        ({"by_number": []}, "by_number: list instead of an object"),
        ({"by_colour": {"green": {}}}, "by_colour: 'green'"),
    ],
)
def test_what_was_never_written_so_is_an_error_that_names_the_field(wrong: dict[str, Any], says: str) -> None:
    """A value of another type, a null, an unknown word: the field is named, wherever in the document it stands."""
    with pytest.raises((TypeError, ValueError), match=says):
        from_plain(Tree, to_plain(FULL) | wrong)


@pytest.mark.parametrize(
    "newer", [{"height": 3}, {"unsaid": 5}, {"leaves": [{"size": 1, "height": 3}]}, {"schema": "redis_ttl.tree/3"}]
)
def test_what_only_a_newer_version_can_have_is_refused(newer: dict[str, Any]) -> None:
    """A field that this version doesn't have, at any depth; and its schema."""
    with pytest.raises(NewerDocument):
        from_plain(Tree, to_plain(FULL) | newer)


def test_documents_are_enough_to_test() -> None:
    """The search for them finds what there is."""
    assert len(KINDS) > 35


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
@pytest.mark.parametrize("example", [full_example, least_example])
def test_every_document_and_part_goes_there_and_back(kind: type, example: Any) -> None:
    """With every field, and with as few as can be, as JSON."""
    made = example(kind)
    assert from_plain(kind, json.loads(json.dumps(to_plain(made)))) == made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
def test_what_documents_hold_says_so(kind: type) -> None:
    """Every dataclass within a document is marked as a part: who would rename a field there is warned."""

    def held(hint: Any) -> set[type]:
        inner = set().union(*map(held, get_args(hint))) if get_args(hint) else set()
        return inner | ({hint} if isinstance(hint, type) and is_dataclass(hint) else set())

    hints = get_type_hints(kind, include_extras=True).values()
    plain = {each for hint in hints for each in held(hint)} - {Form}
    assert {each.__qualname__ for each in plain - _HEADERS.keys()} <= {"Point"}, "which has a form of its own"
