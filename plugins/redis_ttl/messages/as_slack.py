"""A document as Slack blocks (Block Kit), within Slack's documented limits: 50 blocks a message, 150 characters in a header, 3,000
in a section's text.

Slack's tables scroll sideways on a telephone, so a row becomes a line of its own: the name first, its figures below it. What
doesn't fit is counted and said, never left out in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from redis_ttl.messages.document import (
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
SECTION_WIDTH: Final = 3_000
_BUTTON_WIDTH: Final = 75
#: Of a table; more are summed up in a last line.
_ROWS_SHOWN: Final = 15
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
#: What marks up in Slack and has no escape: a character that looks alike takes its place. In names only the backtick is marked up.
_MARKS: Final = str.maketrans({"*": "\u2217", "_": "\uff3f", "~": "\u223c", "`": "\u02cb"})


def as_blocks(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The blocks of one message that has all documents."""
    blocks: list[dict[str, Any]] = []
    room = MOST_BLOCKS // len(documents)
    for number, document in enumerate(documents):
        own = list(_blocks(document))
        if number:
            blocks.append({"type": "divider"})
        if len(own) > room - 1:
            left = len(own) - (room - 2)
            own = [*own[: room - 2], _section(f"… +{left}")]
        blocks += own
    return blocks


def as_fallback(subject: str) -> str:
    """What a notification shows."""
    return _escaped(subject)


def _blocks(document: Document) -> Iterator[dict[str, Any]]:
    yield {"type": "header", "text": {"type": "plain_text", "text": _cut(document.title, HEADER_WIDTH), "emoji": False}}
    text = ""
    for part in document.parts:
        # A heading begins a block of its own, so that Slack sets it apart.
        if text and isinstance(part, Heading | Button):
            yield _section(text)
            text = ""
        if isinstance(part, Button):
            yield _button(part)
            continue
        for piece in _pieces(part):
            if text and len(text) + len(piece) + 1 > SECTION_WIDTH:
                yield _section(text)
                text = ""
            text = f"{text}\n{piece}" if text else piece
    if text:
        yield _section(text)


def _pieces(part: Heading | Paragraph | Bullets | Table | Code) -> list[str]:
    """What may not be torn apart."""
    match part:
        case Heading(text):
            return [f"*{_escaped(text)}*"]
        case Paragraph(line):
            return [_line(line)]
        case Bullets(lines, numbered):
            return [f"{f'{at}.' if numbered else '•'} {_line(line)}" for at, line in enumerate(lines, start=1)]
        case Table():
            return _rows(part)
        case Code(lines):
            code = "\n".join(_escape_entities(line).replace("`", "\u02cb") for line in lines)
            return [f"```{code}```"]
        case _:
            assert_never(part)


def _rows(table: Table) -> list[str]:
    """A piece for each row, as many as are shown, and how many are left."""
    rows = []
    for row in table.rows[:_ROWS_SHOWN]:
        figures = [
            f"{_escaped(title)} {_line(cell)}"
            for title, cell in zip(table.header[1:], row[1:], strict=True)
            if plain(cell)
        ]
        rows.append(f"{_line(row[0])}\n     {' · '.join(figures)}")
    left = len(table.rows) - len(rows)
    return [*rows, f"… +{left}"] if left else rows


def _button(button: Button) -> dict[str, Any]:
    text = {"type": "plain_text", "text": _cut(button.text, _BUTTON_WIDTH), "emoji": False}
    return {"type": "actions", "elements": [{"type": "button", "text": text, "url": button.url, "style": "primary"}]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, SECTION_WIDTH), "verbatim": True}}


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    if span.name:
        # Between backticks nothing is markup but a backtick. A mention is `<!channel>`, which is escaped; plain `@channel` is
        # one only where Slack is told to look for it, which `verbatim` tells it not to.
        return f"`{_escape_entities(span.text).replace('`', chr(0x02CB))}`"
    if span.url is not None:
        return f"<{_escape_entities(span.url)}>"
    escaped = _escaped(span.text)
    return f"*{escaped}*" if span.strong and escaped.strip() else escaped


def _escaped(text: str) -> str:
    return _escape_entities(text).translate(_MARKS)


def _escape_entities(text: str) -> str:
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
