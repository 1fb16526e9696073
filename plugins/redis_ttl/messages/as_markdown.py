"""A document as GitHub's Markdown; also as plain text, which is the same without markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.messages.document import (
    Bullets,
    Button,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Part,
    Span,
    Table,
    plain,
)
from redis_ttl.messages.figures import code_span, columns_of
from redis_ttl.messages.markdown_table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What could be markup, a link, HTML, or a mention of somebody.
_ACTS: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@])")


def as_markdown(documents: Sequence[Document]) -> str:
    """All documents, one after the other."""
    return "\n---\n\n".join(_whole(each, _marked, heading="## ", title="# ") for each in documents)


def as_text(documents: Sequence[Document]) -> str:
    """The words, for readers without markup."""
    return "\n\n\n".join(_whole(each, plain, heading="", title="") for each in documents)


def _whole(document: Document, words: Callable[[Line], str], *, heading: str, title: str) -> str:
    marked = heading != ""
    first = words((Span(document.title),))
    return (
        "\n\n".join([f"{title}{first}", *(_part(part, words, heading, marked=marked) for part in document.parts)])
        + "\n"
    )


def _part(part: Part, words: Callable[[Line], str], heading: str, *, marked: bool) -> str:
    match part:
        case Heading(text):
            shown = words((Span(text),))
            return f"{heading}{shown}" if marked else f"{shown}\n{'-' * columns_of(shown)}"
        case Paragraph(line):
            return words(line)
        case Bullets(lines):
            return "\n".join(f"- {words(line)}" for line in lines)
        case Table(header, rows, right):
            return markdown_table(header, [[words(cell) for cell in row] for row in rows], right=right)
        case Code(lines):
            return "\n".join(["```", *lines, "```"]) if marked else "\n".join(f"    {line}" for line in lines)
        case Button(text, url):
            return words((Span(text, url=url),))
        case _:
            assert_never(part)


def _marked(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    if span.name:
        return code_span(span.text)
    escaped = _ACTS.sub(r"\\\1", span.text)
    if span.url is not None:
        return f"[{escaped}](<{span.url}>)"
    return f"**{escaped}**" if span.strong and escaped.strip() else escaped
