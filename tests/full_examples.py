"""An example of any dataclass in which every field has a value of its own, or as few as can be, made from its type hints.

A value follows from its field's name alone: a field that is added changes no other one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar
from zlib import crc32

from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
from redis_ttl.domain.policy.actions import Action

T = TypeVar("T")

#: What becomes part of a path, is parsed somewhere, or isn't stored.
_VALUES: Mapping[str, Any] = {
    "cluster": "shop",
    "plan_id": "20260220T190500Z-0a1b2c",
    "audit_id": "20260220T180000Z-ab12cd",
    "attempt": "20260220T191000123Z-0a1b2c",
    "survey": "20260220T190900123Z-0a1b2c",
    "request_id": "89beefe745662180",
    "part": "shard-3",
    "pot": "rule-1",
    "doubt": None,
    "unsaid": frozenset(),
    # Documents say them as two fields, by whose names they are numbered.
    "changes": {action: crc32(f"{action}_keys".encode()) % 900 + 100 for action in Action},
}
_MOMENT = dt.datetime(2026, 2, 20, 19, 5, tzinfo=dt.UTC)
#: What modules import for their annotations alone.
_NAMES: Mapping[str, Any] = {"Mapping": Mapping, "PatternStatistics": PatternStatistics}


def full_example(kind: type[T], **values: Any) -> T:
    """One with everything that it can have, but for these ``values``."""
    return _example(kind, {**_VALUES, **values}, full=True)


def least_example(kind: type[T], **values: Any) -> T:
    """One with nothing that it needn't have: defaults, None and empty tables."""
    return _example(kind, {**_VALUES, **values}, full=False)


def _example(kind: type[T], values: Mapping[str, Any], *, full: bool) -> T:
    hints = typing.get_type_hints(kind, localns=dict(_NAMES), include_extras=True)
    given = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass, by promise
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if not field.init or (has_default and not full) or field.name == "schema":
            continue
        known = field.name in values and not (hints[field.name] is int and isinstance(values[field.name], str))
        given[field.name] = values[field.name] if known else _value(hints[field.name], field.name, values, full=full)
    return kind(**given)


def _value(hint: Any, name: str, values: Mapping[str, Any], *, full: bool) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    number = crc32(name.encode()) % 900 + 100
    value: Any
    if origin is typing.Annotated:
        value = _value(arguments[0], name, values, full=full)
    elif origin in {types.UnionType, typing.Union}:
        nullable = type(None) in arguments
        value = None if nullable and not full else _value(arguments[-2 if nullable else -1], name, values, full=full)
    elif origin is typing.Literal:
        value = arguments[-1]
    elif origin is tuple and arguments[-1] is Ellipsis:
        value = tuple(_value(arguments[0], f"{name}{each}", values, full=full) for each in ("", "_") if full)
    elif origin is tuple:
        value = tuple(_value(each, f"{name}{place}", values, full=full) for place, each in enumerate(arguments))
    elif origin is Mapping:
        # Not in their order, which shows where they are sorted.
        keys = {int: (10, 2), str: ("b", "a")}.get(arguments[0]) or tuple(arguments[0])[1::-1]
        value = {key: _value(arguments[1], f"{name}{key}", values, full=full) for key in keys if full}
    elif dataclasses.is_dataclass(hint):
        value = _example(hint, values, full=full)  # type: ignore[arg-type]
    elif issubclass(hint, Enum):
        value = tuple(hint)[-1 if full else 0]
    else:
        value = {
            int: number,
            float: number + 0.25,
            bool: True,
            str: _MOMENT.isoformat() if name == "at" or name.endswith("_at") else f"{name} «优惠券» \\{number}",
            bytes: f"{name}:{number}\xff".encode("latin-1"),
            dt.datetime: _MOMENT + dt.timedelta(minutes=number),
            dt.date: _MOMENT.date() + dt.timedelta(days=number),
        }[hint]
    return value
