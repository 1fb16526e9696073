"""Documents as plain data for JSON, and back, by the fields and type hints of their dataclasses.

A dataclass that is a document says so, with its schema; one that documents hold is a part of documents::

    @document("redis_ttl.grant/1")
    @dataclass(frozen=True, slots=True)
    class Grant: ...

A field stands under its name, in the order of the class: enums as their values, moments as ISO 8601, tuples as lists, tables with
their keys as text. What stands otherwise has a :class:`Form` in its hint, as :data:`Hex64` has. So the fields of such a class are
never renamed; a new one gets a default, which documents of older versions are read with, and its schema a new version
(:mod:`redis_ttl.domain.schema`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from redis_ttl.domain.errors import NewerDocument
from redis_ttl.domain.schema import check_schema

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Form:
    """How a value stands in JSON: ``write`` makes plain data of it, ``read`` does the reverse, and raises `TypeError`, `ValueError` or
    `LookupError` for what it wouldn't have written.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


#: 64 bits as text, because not every reader of JSON has so many for a number.
Hex64 = Annotated[int, Form(lambda number: f"{number:016x}", lambda text: int(text, 16))]


@dataclass(frozen=True, slots=True)
class _Header:
    """What a document begins with, and which of its fields stand in no document."""

    schema: str | None = None
    kind: str | None = None
    without: frozenset[str] = frozenset()

    @property
    def said(self) -> dict[str, str]:
        return {name: said for name in ("schema", "kind") if (said := getattr(self, name)) is not None}


_HEADERS: Final[dict[type, _Header]] = {}


def document(
    schema: str | None, *, kind: str | None = None, without: Collection[str] = ()
) -> Callable[[type[_T]], type[_T]]:
    """Make a dataclass a document of that schema; None where it has one as a field, or only goes from task to task. ``kind`` tells apart
    those that share a schema. The fields in ``without`` aren't kept.
    """

    def marked(record: type[_T]) -> type[_T]:
        _HEADERS[record] = _Header(schema, kind, frozenset(without))
        return record

    return marked


def document_part(record: type[_T]) -> type[_T]:
    """Make a dataclass one that documents hold."""
    _HEADERS[record] = _Header()
    return record


def to_plain(record: Any) -> dict[str, Any]:
    """A document, or a part of one, as plain data."""
    forms = _fields(type(record))  # type: ignore[arg-type]  # classes are hashable
    return _HEADERS[type(record)].said | {name: form.write(getattr(record, name)) for name, form in forms.items()}


def from_plain(kind: type[_T], data: Mapping[str, Any]) -> _T:
    """What :func:`to_plain` made, in this version or an older one: what it lacks has its default.

    Raises :class:`NewerDocument` for another schema and for a field that no version has, as what that means to the rest can't be
    known; `TypeError`, `ValueError` or `LookupError` for what was never written so, which
    :func:`~redis_ttl.domain.schema.read_document` makes an error that names the document.
    """
    forms, header = _fields(kind), _HEADERS[kind]  # type: ignore[arg-type]  # the same
    data = _object(data)
    if header.schema is not None:
        check_schema(data, header.schema)
    if strange := sorted(data.keys() - forms.keys() - header.said.keys()):
        raise NewerDocument(
            "this document has fields that its version doesn't have",
            found=", ".join(strange)[:80],
            todo="Install the version that wrote it, or a newer one, on every machine of this Airflow.",
        )
    return kind(**{name: _read(name, form, data[name]) for name, form in forms.items() if name in data})


def _read(name: str, form: Form, value: Any) -> Any:
    try:
        return form.read(value)
    except (TypeError, ValueError, LookupError) as error:
        raise TypeError(f"{name} is null" if value is None else f"{name}: {error}") from error


@cache
def _fields(kind: type) -> dict[str, Form]:
    """The fields that stand in documents, each with its form."""
    hints = get_type_hints(kind, include_extras=True)
    without = _HEADERS[kind].without
    return {each.name: _form(hints[each.name]) for each in dataclasses.fields(kind) if each.name not in without}


@cache
def _form(hint: Any) -> Form:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next(each for each in inner if isinstance(each, Form))
    if origin in {Union, UnionType}:
        (value,) = (_form(each) for each in inner if each is not NoneType)
        return Form(*(partial(_unless_none, act) for act in (value.write, value.read)))
    if origin is tuple:
        return _tuple_form(inner)
    if origin is Mapping:
        return _table_form(*inner)
    if origin is Literal:
        return Form(_same, partial(_one_of, inner))
    if dataclasses.is_dataclass(hint):
        return Form(to_plain, partial(from_plain, hint))  # type: ignore[arg-type]  # it is a class
    if issubclass(hint, Enum):
        return Form(lambda each: each.value, hint)
    if issubclass(hint, dt.date):  # a datetime, too
        return Form(hint.isoformat, hint.fromisoformat)
    return Form(_same, partial(_of_type, hint))


def _tuple_form(inner: tuple[Any, ...]) -> Form:
    if inner[-1] is Ellipsis:
        each = _form(inner[0])
        return Form(
            lambda values: [each.write(value) for value in values], lambda data: tuple(map(each.read, _list(data)))
        )
    forms = [_form(hint) for hint in inner]

    def read(data: Any) -> tuple[Any, ...]:
        return tuple(form.read(value) for form, value in zip(forms, _list(data), strict=True))

    return Form(lambda values: [form.write(value) for form, value in zip(forms, values, strict=True)], read)


def _table_form(keys: Any, values: Any) -> Form:
    """Numbers as keys are in their order, others as they came."""
    key, value = Form(str, int) if keys is int else _form(keys), _form(values)

    def write(table: Mapping[Any, Any]) -> dict[str, Any]:
        items = sorted(table.items()) if keys is int else table.items()
        return {key.write(name): value.write(each) for name, each in items}

    return Form(write, lambda data: {key.read(name): value.read(each) for name, each in _object(data).items()})


def _same(value: Any) -> Any:
    return value


def _unless_none(act: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else act(value)


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise TypeError(f"{type(data).__name__} instead of an object")
    return data


def _list(data: Any) -> list[Any]:
    return _of_type(list, data)  # type: ignore[no-any-return]  # it is, or an error


def _one_of(allowed: tuple[Any, ...], value: Any) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} instead of one of {', '.join(map(repr, allowed))}")
    return value


_WORDS: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}


def _of_type(kind: type, value: Any) -> Any:
    # True is a number to Python, and to no document; a number without a fraction is one of any kind.
    kinds = (float, int) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r} instead of {_WORDS[kind]}")
    return value
