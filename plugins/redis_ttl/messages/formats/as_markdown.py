"""A document as GitHub's Markdown; also as plain text, which is the same without markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from redis_ttl.messages.figures import code_span, columns_of, printable
from redis_ttl.messages.formats.document import (
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
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import escaped, markdown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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
            return _fenced(lines) if marked else "\n".join(f"    {line}" for line in lines)
        case Button(text, url):
            return words((Span(text, url=url),))
        case _:
            assert_never(part)


def _marked(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    if span.name:
        return code_span(span.text)
    if span.url is not None:
        return f"[{escaped(span.text, is_read=False)}](<{span.url}>)"
    words = _spaced(span.text)
    return f"**{words}**" if span.strong and words.strip() else words


def _spaced(text: str) -> str:
    """Words in which nothing acts, with the spaces around them."""
    kept = text.strip()
    before, _, after = text.partition(kept) if kept else (text, "", "")
    return f"{before}{markdown_text(kept, is_read=False)}{after}"


def _fenced(lines: Sequence[str]) -> str:
    """Lines between fences that none of them can close."""
    shown = [printable(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *shown, fence])
