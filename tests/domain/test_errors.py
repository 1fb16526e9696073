from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import redis_ttl
from redis_ttl.domain import errors
from redis_ttl.domain.errors import BadInput, RedisTtlError, UnsafePlan

KINDS_OF_UNSAFE = {"StaleAudit", "WrongServer", "HiddenFigures", "CapExceeded", "NoRoom", "ExpiryStorm"}


def subclasses(kind: type[RedisTtlError]) -> dict[str, str]:
    """Each error of the module below that one, with the one that it is a kind of."""
    found: dict[str, str] = {}
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            found |= {each.__name__: kind.__name__, **subclasses(each)}
    return found


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    """Each error is drawn below the one that it is a kind of."""
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    above = ["RedisTtlError"]
    for indent, name in re.findall(r"^    ([│ ]*)[├└]── (\w+)", errors.__doc__, re.MULTILINE):
        depth = len(indent) // 4 + 1
        above[depth:] = [name]
        drawn[name] = above[depth - 1]
    assert drawn == subclasses(RedisTtlError)


def test_every_plan_that_is_refused_is_refused_for_one_reason() -> None:
    """Each reason is a type of its own, and all of them are the operator's to mend; nothing raises their common base."""
    assert {each.__name__ for each in UnsafePlan.__subclasses__()} == KINDS_OF_UNSAFE
    assert issubclass(UnsafePlan, BadInput)
    for file in Path(redis_ttl.__path__[0]).rglob("*.py"):
        assert "raise UnsafePlan" not in file.read_text(), file


@pytest.mark.parametrize("kind", UnsafePlan.__subclasses__(), ids=lambda kind: kind.__name__)
def test_a_reason_crosses_processes(kind: type[UnsafePlan]) -> None:
    """With its type, its fields and its text."""
    error = kind("too many", where="plan", found="3", allowed="2", todo="Take fewer.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.__dict__, str(again)) == (kind, error.__dict__, str(error))
    assert not again.retryable
