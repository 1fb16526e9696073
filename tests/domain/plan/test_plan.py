"""A plan's document and its digest."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest

from redis_ttl.domain.document_ids import check_document_id, document_id
from redis_ttl.domain.errors import InvalidOption, NewerDocument
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.actions import Action, Mode
from tests.plans import PLAN


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if value is None:
        return "something"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    raise TypeError(value)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all single values of a document."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves(each, (*path, name))]
    if isinstance(value, list):
        return [leaf for number, each in enumerate(value) for leaf in leaves(each, (*path, number))]
    return [path]


def with_change(document: Any, path: tuple[Any, ...]) -> Any:
    """The document with one value changed."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = changed(place[path[-1]])
    return copy


def test_a_plan_survives_its_document() -> None:
    """A plan that went through JSON text is the same plan, with the same digest."""
    document = json.loads(json.dumps(PLAN.to_json()))
    again = Plan.from_json(document)
    assert again == PLAN
    assert again.digest == PLAN.digest == document["digest"]


def test_the_digest_covers_every_word() -> None:
    """Changing any single value of the document changes the digest, or makes it no plan."""
    document = PLAN.to_json()
    tried = 0
    for path in leaves(document):
        if path in (("schema",), ("digest",)):
            continue
        tried += 1
        try:
            other = Plan.from_json(with_change(document, path))
        except (ValueError, TypeError):
            continue
        assert other.digest != PLAN.digest, path
    assert tried > 100


def test_the_digest_covers_every_field() -> None:
    """A field that a plan, a rule, a forecast or a node gains is part of the document."""
    document = PLAN.to_json()
    assert {field.name for field in dataclasses.fields(Plan)} - {"unsaid"} == set(document) - {"digest"}
    for name in ("rules", "nodes"):
        fields = {field.name for field in dataclasses.fields(getattr(PLAN, name)[0])}
        # How many keys each action gets is a field for each action.
        said = {"changes"} if "set_keys" in document[name][0] else set()
        assert fields - said == {
            name for name in document[name][0] if name not in {"set_keys", "cap_keys", "extend_keys"}
        }
    assert {field.name for field in dataclasses.fields(PLAN.forecast)} == set(document["forecast"])


def test_a_document_of_an_older_version_keeps_its_digest() -> None:
    """What was approved stays approved: fields that a version added don't count in the digest of a document without them."""
    document = _older("limit_keys", "requested_by", "rules.hot_ratio")
    plan = Plan.from_json(document)
    assert plan.digest == document["digest"]
    assert plan.limit_keys is None
    assert dataclasses.replace(plan, keys=1).digest != document["digest"]


def test_what_an_older_version_never_said_counts_once_it_is_said() -> None:
    """Adding a field to an old document changes its digest: it isn't taken for one that was always there."""
    document = _older("requested_by")
    assert Plan.from_json({**document, "requested_by": "mallory"}).digest != document["digest"]


@pytest.mark.parametrize("schema", ["redis_ttl.plan/5", "redis_ttl.plan/10", "redis_ttl.audit/1", "", None, 2])
def test_a_document_of_a_newer_version_is_refused_by_name(schema: object) -> None:
    """What a newer version meant can't be known."""
    with pytest.raises(NewerDocument, match="newer version"):
        Plan.from_json({**PLAN.to_json(), "schema": schema})


def test_a_plan_says_the_first_version_that_has_all_of_it() -> None:
    """Only a plan with a rule that lengthens TTLs is of version 4, and its counts survive the document; another one is as it was before."""
    assert PLAN.to_json()["schema"] == "redis_ttl.plan/3"
    assert all("extend_keys" not in rule for rule in PLAN.to_json()["rules"])
    rule = dataclasses.replace(PLAN.rules[0], mode=Mode.EXTEND, changes={Action.EXTEND: 7})
    plan = dataclasses.replace(PLAN, rules=(rule,))
    document = json.loads(json.dumps(plan.to_json()))
    assert (document["schema"], document["rules"][0]["extend_keys"]) == ("redis_ttl.plan/4", 7)
    again = Plan.from_json(document)
    assert (again, again.digest) == (plan, plan.digest)


def test_a_field_that_no_version_has_is_refused() -> None:
    """A document with a field of its own isn't read as if it hadn't any."""
    with pytest.raises(NewerDocument, match="mode_of_mallory"):
        Plan.from_json({**PLAN.to_json(), "mode_of_mallory": True})


def _older(*unsaid: str) -> dict[str, Any]:
    older = dataclasses.replace(PLAN, schema="redis_ttl.plan/1", unsaid=frozenset(unsaid))
    document: dict[str, Any] = json.loads(json.dumps(older.to_json()))
    return document


def test_a_digest_in_the_document_is_not_believed() -> None:
    """Whoever edits a document can't keep its digest by leaving it in."""
    document = {**PLAN.to_json(), "keys": 1}
    assert Plan.from_json(document).digest != document["digest"]


@pytest.mark.parametrize(
    "text", ["../../etc", "", "20260220T190000Z-0a1b2", "20260220T190000Z-0a1b2c\n", "20260220T190000Z-0A1B2C"]
)
def test_an_id_that_is_none(text: str) -> None:
    """An id from outside that could lead somewhere else is refused."""
    with pytest.raises(InvalidOption):
        check_document_id(text, where="plan")


def test_an_id_of_ours() -> None:
    """What we make passes."""
    made = document_id(dt.datetime(2026, 2, 20, 19, tzinfo=dt.UTC), "0a1b2c")
    assert check_document_id(made, where="plan") == made == "20260220T190000Z-0a1b2c"
