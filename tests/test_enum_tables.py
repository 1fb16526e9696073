"""A table over the members of an enumeration is whole, or is asked in a way that minds what it lacks.

A type checker sees to ``match``, and not to a dictionary: a message kind without its row would be a `KeyError` on the day when the
first message of that kind is due.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import redis_ttl

PACKAGE = Path(redis_ttl.__path__[0])
#: Tables of some members only, and why nobody asks them for another.
PARTIAL = {
    "reader._COMMANDS": "a reader's questions are chosen from these",
    "incident._ELEMENT_BYTES": "a string has no elements",
    "inspect_server._NARROWS": "its own members are gone through",
}
MODULES = {file: ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def enumerations() -> dict[str, set[str]]:
    """The members of each enumeration of the package."""
    return {
        node.name: {_name(each.targets[0]) for each in node.body if isinstance(each, ast.Assign)}
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(_name(base).endswith("Enum") for base in node.bases)
    }


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def tables() -> Iterator[tuple[Path, str, str, set[str]]]:
    """Each dictionary at the top of a module whose keys are members of one enumeration: its file and name, the enumeration, the keys."""
    known = enumerations()
    for file, tree in MODULES.items():
        for node in tree.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys)):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys)):
                    pass
                case _:
                    continue
            members = [(_name(key.value), key.attr) for key in keys if isinstance(key, ast.Attribute)]
            kinds = {kind for kind, _ in members}
            if len(members) == len(keys) and len(kinds) == 1 and kinds <= known.keys():
                yield file, name, kinds.pop(), {member for _, member in members}


def takes_rows_for_granted(tree: ast.Module, name: str) -> bool:
    """Whether the module reads a row of the table by its key."""
    return any(
        isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name
        for node in ast.walk(tree)
    )


TABLES = {f"{file.stem}.{name}": (file, name, kind, keys) for file, name, kind, keys in tables()}


def test_the_tables_are_found() -> None:
    """Those of the message kinds among them, and each that may be partial."""
    assert {"message_sources._FIRST", "messages.EXAMPLES", *PARTIAL} <= TABLES.keys()


@pytest.mark.parametrize("table", sorted(TABLES.keys() - PARTIAL.keys()))
def test_a_table_has_a_row_for_every_member(table: str) -> None:
    """Wherever a module takes for granted that the row is there."""
    file, name, kind, keys = TABLES[table]
    readers = [MODULES[file]] if name.startswith("_") else list(MODULES.values())
    if any(takes_rows_for_granted(tree, name) for tree in readers):
        assert enumerations()[kind] == keys
