"""A message before it has a format: headings, paragraphs, tables, in one language's words.

Words are :class:`Span`s, so that a name stays apart from the sentence around it: each format escapes once, in one place, and no
name can act in any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never
from urllib.parse import quote

from redis_ttl.messages.figures import printable

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
#: Names are cut beyond this, with an ellipsis.
_NAME_WIDTH: Final = 120


#: What may stand in an address as it is (RFC 3986, without what any of the formats could take for its own).
_IN_ADDRESSES: Final = "/:?#@!$&*+,;=%~-._"


@dataclass(frozen=True, slots=True)
class Span:
    """Some words: plain, ``strong``, a ``name`` (of a key, a pattern, a command), which is shown as code, or a link to ``url``."""

    text: str
    strong: bool = False
    name: bool = False
    url: str | None = None


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
    """Lines that belong together."""

    lines: tuple[Line, ...]


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


@dataclass(frozen=True, slots=True)
class Button:
    """What the reader is to press: opens ``url``."""

    text: str
    url: str


Part = Heading | Paragraph | Bullets | Table | Code | Button


@dataclass(frozen=True, slots=True)
class Document:
    """A whole message in one language: ``title`` is its first line, ``accent`` how grave it is as a colour (``#rrggbb``)."""

    language: str
    title: str
    accent: str
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the store."""
        return {
            "language": self.language,
            "title": self.title,
            "accent": self.accent,
            "parts": [_part_to_json(part) for part in self.parts],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Document:
        """The document that :meth:`to_json` wrote."""
        return cls(
            data["language"], data["title"], data["accent"], tuple(_part_from_json(part) for part in data["parts"])
        )


def _part_to_json(part: Part) -> dict[str, Any]:
    match part:
        case Heading(text):
            return {"heading": text}
        case Paragraph(line):
            return {"paragraph": _line_to_json(line)}
        case Bullets(lines):
            return {"bullets": [_line_to_json(line) for line in lines]}
        case Table(header, rows, right):
            cells = [[_line_to_json(cell) for cell in row] for row in rows]
            return {"table": cells, "header": list(header), "right": list(right)}
        case Code(code):
            return {"code": list(code)}
        case Button(text, url):
            return {"button": text, "url": url}
        case _:
            assert_never(part)


def _part_from_json(data: dict[str, Any]) -> Part:
    if "heading" in data:
        return Heading(data["heading"])
    if "paragraph" in data:
        return Paragraph(_line_from_json(data["paragraph"]))
    if "bullets" in data:
        return Bullets(tuple(_line_from_json(line) for line in data["bullets"]))
    if "table" in data:
        rows = tuple(tuple(_line_from_json(cell) for cell in row) for row in data["table"])
        return Table(tuple(data["header"]), rows, tuple(data["right"]))
    if "code" in data:
        return Code(tuple(data["code"]))
    return Button(data["button"], data["url"])


def _line_to_json(line: Line) -> list[Any]:
    """Plain words as a text, others with what they are."""
    return [
        span.text
        if span == Span(span.text)
        else {"text": span.text, "strong": span.strong, "name": span.name, "url": span.url}
        for span in line
    ]


def _line_from_json(data: list[Any]) -> Line:
    return tuple(Span(each) if isinstance(each, str) else Span(**each) for each in data)


def name(text: str) -> Span:
    """A name in which nothing acts, cut when it is too long; a key's may be empty."""
    return Span(printable(text, _NAME_WIDTH) or '""', name=True)


def strong(text: str) -> Span:
    """Words that a hurried reader must see."""
    return Span(text, strong=True)


def address(url: str) -> str | None:
    """A web address in which nothing acts but the address; None for what is none."""
    if not url.lower().startswith(("https://", "http://")):
        return None
    return quote(url, safe=_IN_ADDRESSES)


def link(url: str, label: str) -> Span:
    """A link that says where it leads, if the address is one; the address as it is otherwise."""
    followed = address(url)
    return name(url) if followed is None else Span(label, url=followed)


def names(texts: Iterable[str], between: str = ", ") -> Line:
    """Several names in a row."""
    line: Line = ()
    for text in texts:
        line += (*((Span(between),) if line else ()), name(text))
    return line


def say(template: str, **values: Line | Span | str) -> Line:
    """A sentence with its placeholders filled. Raises KeyError for one that has no value."""
    spans: list[Span] = []
    at = 0
    for found in _PLACEHOLDER.finditer(template):
        if found.start() > at:
            spans.append(Span(template[at : found.start()]))
        value = values[found[1]]
        spans += value if isinstance(value, tuple) else [value if isinstance(value, Span) else Span(value)]
        at = found.end()
    if at < len(template):
        spans.append(Span(template[at:]))
    return tuple(spans)


def plain(line: Line) -> str:
    """The words alone; after a link's its address, where nothing can be pressed."""
    return "".join(span.text if span.url is None else f"{span.text}: {span.url}" for span in line)
