"""A document as an HTML mail: styles inline, layout in one table, nothing from elsewhere, so that mail programs show it as it is;
readable on a telephone and in the dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.messages.document import Bullets, Button, Code, Document, Heading, Line, Paragraph, Part, Span, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif"
_MONO: Final = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Noto Sans Mono CJK SC',monospace;font-size:13px"
_TEXT: Final = "margin:0 0 12px;font-size:15px;line-height:1.55"
_CELL: Final = "padding:7px 12px 7px 0;border-bottom:1px solid #d0d5dd;font-size:14px;vertical-align:top"


def as_html(documents: Sequence[Document]) -> str:
    """One page with all documents."""
    bodies = "".join(_body(document) for document in documents)
    language = escape(documents[0].language, quote=True)
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(documents[0].title)}</title></head>\n"
        f'<body style="margin:0;padding:16px;{_FONT}">{bodies}</body></html>\n'
    )


def _body(document: Document) -> str:
    language = escape(document.language, quote=True)
    parts = "\n".join(_part(part) for part in document.parts)
    return (
        f'<div lang="{language}" style="max-width:760px;margin:0 auto 40px">'
        f'<h1 style="margin:0 0 18px;padding:0 0 12px;border-bottom:3px solid {document.accent};font-size:20px;line-height:1.35">'
        f"{escape(document.title)}</h1>\n{parts}</div>\n"
    )


def _part(part: Part) -> str:
    match part:
        case Heading(text):
            return f'<h2 style="margin:24px 0 8px;font-size:16px">{escape(text)}</h2>'
        case Paragraph(line):
            return f'<p style="{_TEXT}">{_line(line)}</p>'
        case Bullets(lines):
            items = "".join(
                f'<li style="margin:0 0 6px;font-size:15px;line-height:1.55">{_line(line)}</li>' for line in lines
            )
            return f'<ul style="margin:0 0 10px;padding-left:22px">{items}</ul>'
        case Table():
            return _table(part)
        case Code(lines):
            code = "\n".join(escape(line) for line in lines)
            return (
                f'<pre style="margin:0 0 14px;padding:12px;border:1px solid #d0d5dd;border-radius:6px;overflow-x:auto;{_MONO}">'
                f"{code}</pre>"
            )
        case Button(text, url):
            return (
                f'<p style="margin:0 0 16px"><a href="{escape(url, quote=True)}" style="display:inline-block;padding:10px 18px;'
                f'border-radius:6px;background:#175cd3;color:#ffffff;text-decoration:none;font-weight:600">{escape(text)}</a></p>'
            )
        case _:
            assert_never(part)


def _table(table: Table) -> str:
    def style(column: int) -> str:
        # On a telephone the table scrolls sideways rather than breaking a name into slivers.
        return (
            f"{_CELL};text-align:{'right' if column in table.right else 'left'}{'' if column else ';min-width:190px'}"
        )

    header = "".join(
        f'<th style="{style(column)};font-weight:600;white-space:nowrap">{escape(title)}</th>'
        for column, title in enumerate(table.header)
    )
    rows = "".join(
        "<tr>" + "".join(f'<td style="{style(column)}">{_line(cell)}</td>' for column, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    return (
        '<div style="overflow-x:auto;margin:0 0 14px"><table style="border-collapse:collapse;width:100%">'
        f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    text = escape(span.text)
    if span.name:
        return f'<code dir="ltr" style="{_MONO};word-break:break-word">{text}</code>'
    if span.url is not None:
        return f'<a href="{escape(span.url, quote=True)}" style="word-break:break-all">{text}</a>'
    return f"<strong>{text}</strong>" if span.strong else text
