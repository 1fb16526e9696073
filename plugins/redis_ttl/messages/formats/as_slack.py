"""A document as Slack blocks (Block Kit), within Slack's documented limits: 50 blocks a message, 150 characters in a header.

Words go into rich text, whose pieces say what they are, and not into Slack's markup: nothing in them is parsed, so no name can mention
somebody or make a link, and bold words need no spaces around them, which Chinese doesn't have.

Slack's tables scroll sideways on a telephone, so a row becomes an item of a list: the name first, its figures below it. What
doesn't fit is counted and said, never left out in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from redis_ttl.messages.formats.document import (
    Bullets,
    Button,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Span,
    Table,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BLOCKS: Final = 50
HEADER_WIDTH: Final = 150
#: Of one block of rich text. Slack documents no limit for it; this is that of its other texts.
BLOCK_WIDTH: Final = 3_000
_BUTTON_WIDTH: Final = 75
#: Of a table; more are summed up in a last line.
_ROWS_SHOWN: Final = 15
#: Of a daily summary; of more only the titles are shown.
_DOCUMENTS_SHOWN: Final = 10
#: Between a title and its figure, which a line's end mustn't part.
_UNBROKEN: Final = "\u00a0"
#: The fallback text is markup, and is only shown where blocks can't be: a character that looks alike takes the place of what has no escape.
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS: Final = str.maketrans({"*": "\u2217", "_": "\uff3f", "~": "\u223c", "`": "\u02cb"})


def as_blocks(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The blocks of one message that has all documents."""
    shown, titles = documents[:_DOCUMENTS_SHOWN], documents[_DOCUMENTS_SHOWN:]
    # Each with a divider before it, and two blocks for the titles of what isn't shown.
    room = (MOST_BLOCKS - (2 if titles else 0)) // len(shown) - 1
    blocks: list[dict[str, Any]] = []
    for document in shown:
        own = list(_blocks(document))
        if len(own) > room:
            own = [*own[: room - 1], _rich_text([_section([_text(f"… +{len(own) - room + 1}")])])]
        blocks += [*([{"type": "divider"}] if blocks else []), *own]
    if titles:
        listed = [_section([_text(document.title)]) for document in titles]
        blocks += [{"type": "divider"}, _rich_text([_list(listed)])]
    return blocks


def as_fallback(subject: str) -> str:
    """What a notification shows."""
    for character, escape in _ESCAPES.items():
        subject = subject.replace(character, escape)
    return subject.translate(_MARKS)


def _blocks(document: Document) -> Iterator[dict[str, Any]]:
    yield {"type": "header", "text": {"type": "plain_text", "text": _cut(document.title, HEADER_WIDTH), "emoji": False}}
    elements: list[dict[str, Any]] = []
    width = 0
    for part in document.parts:
        # A block of its own is set apart: each heading, and what follows a list or code.
        if elements and (
            isinstance(part, Heading | Button) or (isinstance(part, Paragraph) and not _is_words(elements[-1]))
        ):
            yield _rich_text(elements)
            elements, width = [], 0
        if isinstance(part, Button):
            yield _button(part)
            continue
        for element in _elements(part):
            taken = _width(element)
            if elements and width + taken > BLOCK_WIDTH:
                yield _rich_text(elements)
                elements, width = [], 0
            elements.append(element)
            width += taken
    if elements:
        yield _rich_text(elements)


def _elements(part: Heading | Paragraph | Bullets | Table | Code) -> list[dict[str, Any]]:
    """What a part is made of, as pieces that may not be torn apart."""
    match part:
        case Heading(text):
            return [_section([_text(text, bold=True)])]
        case Paragraph(line):
            return [_section(_line(line))]
        case Bullets(lines):
            return [_list([_section(_line(line))]) for line in lines]
        case Table():
            return _rows(part)
        case Code(lines):
            return [{"type": "rich_text_preformatted", "elements": [_text("\n".join(lines))]}]
        case _:
            assert_never(part)


def _rows(table: Table) -> list[dict[str, Any]]:
    """A piece for each row, as many as are shown, and how many are left."""
    rows = []
    for row in table.rows[:_ROWS_SHOWN]:
        pieces = _line(row[0])
        before = "\n"
        for title, cell in zip(table.header[1:], row[1:], strict=True):
            if plain(cell):
                pieces += [_text(f"{before}{title}{_UNBROKEN}"), *_line(cell)]
                before = " · "
        rows.append(_list([_section(pieces)]))
    left = len(table.rows) - len(rows)
    return [*rows, _list([_section([_text(f"… +{left}")])])] if left else rows


def _is_words(element: dict[str, Any]) -> bool:
    return bool(element["type"] == "rich_text_section")


def _button(button: Button) -> dict[str, Any]:
    text = {"type": "plain_text", "text": _cut(button.text, _BUTTON_WIDTH), "emoji": False}
    return {"type": "actions", "elements": [{"type": "button", "text": text, "url": button.url, "style": "primary"}]}


def _rich_text(elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A block of these; lines after each other are one section, as Slack's own editor makes them, and bullets one list."""
    joined: list[dict[str, Any]] = []
    for element in elements:
        last = joined[-1] if joined else None
        if last is None or last["type"] != element["type"] or element["type"] == "rich_text_preformatted":
            joined.append({**element, "elements": [*element["elements"]]})
            continue
        between = [_text("\n")] if element["type"] == "rich_text_section" else []
        last["elements"] += [*between, *element["elements"]]
    return {"type": "rich_text", "elements": joined}


def _section(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": pieces}


def _list(sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text_list", "style": "bullet", "elements": sections}


def _line(line: Line) -> list[dict[str, Any]]:
    return [_span(span) for span in line if span.text]


def _span(span: Span) -> dict[str, Any]:
    if span.url is not None:
        return {"type": "link", "url": span.url, "text": span.text}
    return _text(span.text, bold=span.strong, code=span.name)


def _text(text: str, *, bold: bool = False, code: bool = False) -> dict[str, Any]:
    style = {name: True for name, has in (("bold", bold), ("code", code)) if has}
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def _width(element: dict[str, Any]) -> int:
    """The characters of an element and of all in it."""
    return len(element.get("text", "")) + sum(_width(each) for each in element.get("elements", ()))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
