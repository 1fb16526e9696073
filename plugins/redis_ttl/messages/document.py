"""A message before it has a format: headings, paragraphs, tables, in one language's words.

Words are :class:`Span`s, so that a name stays apart from the sentence around it: each format escapes once, in one place, and no
name can act in any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redis_ttl.messages.figures import printable

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
#: Names are cut beyond this, with an ellipsis.
_NAME_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Span:
    """Some words: plain, ``strong``, or a ``name`` (of a key, a pattern, a command), which is shown as code."""

    text: str
    strong: bool = False
    name: bool = False


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The beginning of a part."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One line of words."""

    line: Line


@dataclass(frozen=True, slots=True)
class Bullets:
    """Lines that belong together; ``numbered`` when their order means something."""

    lines: tuple[Line, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the first column is the row's name, those in ``right`` are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be copied."""

    lines: tuple[str, ...]


Part = Heading | Paragraph | Bullets | Table | Code


@dataclass(frozen=True, slots=True)
class Document:
    """A whole message in one language: ``title`` is its first line, ``accent`` how grave it is as a colour (``#rrggbb``)."""

    language: str
    title: str
    accent: str
    parts: tuple[Part, ...]


def name(text: str) -> Span:
    """A name in which nothing acts, cut when it is too long."""
    return Span(printable(text, _NAME_WIDTH), name=True)


def strong(text: str) -> Span:
    """Words that a hurried reader must see."""
    return Span(text, strong=True)


def say(template: str, **values: Span | str) -> Line:
    """A sentence with its placeholders filled. Raises KeyError for one that has no value."""
    spans: list[Span] = []
    at = 0
    for found in _PLACEHOLDER.finditer(template):
        if found.start() > at:
            spans.append(Span(template[at : found.start()]))
        value = values[found[1]]
        spans.append(value if isinstance(value, Span) else Span(value))
        at = found.end()
    if at < len(template):
        spans.append(Span(template[at:]))
    return tuple(spans)


def plain(line: Line) -> str:
    """The words alone."""
    return "".join(span.text for span in line)
