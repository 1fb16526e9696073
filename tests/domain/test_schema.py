"""Every document says its version, and whoever reads it looks."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import re
from functools import partial
from pathlib import Path

import pytest

import redis_ttl
from redis_ttl.domain.codec import document, from_plain, to_plain
from redis_ttl.domain.errors import DamagedDocument, NewerDocument
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.schema import check_schema, read_document, read_lines

SOURCE = Path(redis_ttl.__file__).parent
DOCS = SOURCE.parents[1] / "docs" / "documents.md"


def schemas() -> dict[str, str]:
    """Every constant that names a schema, with the module that has it."""
    found = {}
    for ring in ("domain", "usecases"):
        for module in pkgutil.walk_packages([str(SOURCE / ring)], f"redis_ttl.{ring}."):
            loaded = importlib.import_module(module.name)
            source = Path(str(loaded.__file__)).read_text()
            for name in re.findall(r"^([A-Z_]+_SCHEMA): Final", source, re.MULTILINE):
                found[name] = getattr(loaded, name)
    return found


def test_there_are_schemas() -> None:
    """The search below finds what there is."""
    assert len(schemas()) >= 17
    assert all(re.fullmatch(r"redis_ttl\.\w+/\d+", text) for text in schemas().values())


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_schema_is_checked_on_reading(name: str) -> None:
    """Each is written into documents, and looked at where they are read."""
    source = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    by_codec = re.search(rf"@document\({name}\b", source)
    assert by_codec or re.search(rf"""["']schema["']: {name}|schema: str = {name}""", source), "written"
    assert by_codec or re.search(rf"\([^()]*\bdata\b[^()]*\b{name}\b", source), "checked"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_schema_is_documented(name: str) -> None:
    """The table of documents has a row with each schema in the version that is written today."""
    kind, _, version = schemas()[name].rpartition("/")
    row = next(line for line in DOCS.read_text().splitlines() if f"`{kind.removeprefix('redis_ttl.')}`" in line)
    assert f"| {version} |" in row


def test_no_document_is_read_past_the_versions() -> None:
    """What is JSON of the store is read by one function, which names a document that it can't read."""
    offenders = [
        f"{path.relative_to(SOURCE)}"
        for path in (SOURCE / "usecases").rglob("*.py")
        if "json.loads(" in path.read_text()
    ]
    assert offenders == []


@document("redis_ttl.thing/2")
@dataclasses.dataclass(frozen=True)
class Thing:
    """A document of the second version, which added ``colour``."""

    name: str
    size: int | None
    colour: str = "grey"


def read(data: object) -> Thing:
    """A thing of its document."""
    return read_document(json.dumps(data).encode(), partial(from_plain, Thing), where="a/b.json")


def test_what_an_older_version_lacks_has_its_default() -> None:
    """A document of the first version, or of none, is read with the defaults of what came later."""
    old = {"name": "a", "size": None}
    assert read(old) == read({**old, "schema": "redis_ttl.thing/1"}) == Thing("a", None)
    assert read({**old, "schema": "redis_ttl.thing/2", "colour": "red"}) == Thing("a", None, "red")


@pytest.mark.parametrize("schema", ["redis_ttl.thing/3", "redis_ttl.thing/0", "redis_ttl.other/1", "", None, 2, []])
def test_another_schema_is_refused(schema: object) -> None:
    """A later version, another kind and nonsense are refused, with what was found, what is known, where it lies, what to do."""
    with pytest.raises(NewerDocument) as refused:
        read({"name": "a", "size": 1, "schema": schema})
    assert refused.value.where == "a/b.json"
    assert refused.value.allowed == "redis_ttl.thing/1 to redis_ttl.thing/2"
    assert "Install the version" in str(refused.value)


def test_a_field_that_no_version_has_is_refused() -> None:
    """A field that this program doesn't know could change what the others mean."""
    with pytest.raises(NewerDocument, match="weight"):
        read({"name": "a", "size": 1, "weight": 3})


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b'"a"', b"\xff", b'{"size": 1}', b'{"name": null, "size": 1}', b"[" * 100_000]
)
def test_damage_is_named(text: bytes) -> None:
    """Whatever is wrong with a document: one error, which says where it lies."""
    with pytest.raises(DamagedDocument, match=r"a/b\.json"):
        read_document(text, partial(from_plain, Thing), where="a/b.json")


def test_a_damaged_line_is_named() -> None:
    """A document of lines with one that is none is damaged as a whole."""
    assert read_lines(["[1]", "[2]"], tuple, where="a") == [(1,), (2,)]
    with pytest.raises(DamagedDocument, match="a/b"):
        read_lines(["[1]", "[2"], tuple, where="a/b")


def test_an_attempt_that_was_begun_is_read_again() -> None:
    """What a writer says at its beginning is read as it was written, and refused in a later version."""
    begun = PartBegun("p", "shard-0", "a", 1, "2026-11-24T01:01:01+00:00")
    assert from_plain(PartBegun, to_plain(begun)) == begun
    with pytest.raises(NewerDocument):
        from_plain(PartBegun, {**to_plain(begun), "schema": "redis_ttl.begun/2"})
    assert check_schema({}, "redis_ttl.begun/1") == 1
