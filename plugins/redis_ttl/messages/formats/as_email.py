"""A document as an HTML mail: one column, styles inline, nothing from elsewhere, so that mail programs show it as it is.

The sheet in its head is for telephones, where a row of a table becomes a few lines with its titles in them, and for the dark. A
program that ignores it shows the same words in a table that scrolls sideways.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, assert_never

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

if TYPE_CHECKING:
    from collections.abc import Sequence

_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif"
_MONO: Final = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Noto Sans Mono CJK SC',monospace;font-size:13px"
_TEXT: Final = "font-size:15px;line-height:1.55"
_RULE: Final = "#d0d5dd"
_CELL: Final = f"padding:7px 16px 7px 0;border-bottom:1px solid {_RULE};font-size:14px;line-height:1.45"
#: Cells up to this stay in one line.
_SHORT: Final = 14
#: Code within a sentence; a grey that is seen on white and on black.
_SHADED: Final = "padding:1px 4px;border-radius:3px;background:rgba(127,127,127,.13)"
_SHEET: Final = f"""\
:root{{color-scheme:light dark;supported-color-schemes:light dark}}
code{{-webkit-box-decoration-break:clone;box-decoration-break:clone}}
@media (max-width:600px){{
.rows,.rows tbody,.rows tr{{display:block!important}}
.rows thead,.rows .empty{{display:none!important}}
.rows tr{{padding:8px 0!important;border-bottom:1px solid {_RULE}}}
.rows td{{display:inline-block!important;padding:1px 16px 1px 0!important;border:0!important;text-align:left!important;\
white-space:normal!important}}
.rows .name{{display:block!important;padding:0 0 3px!important}}
.rows .name code{{font-weight:600}}
.rows .title{{display:inline!important}}
}}
@media (prefers-color-scheme:dark){{
.rows tr,.rows td,.rows th,pre{{border-color:#475467!important}}
.rows .title{{color:#a3acba!important}}
.link{{color:#84adff!important}}
}}"""


def as_html(documents: Sequence[Document]) -> str:
    """One page with all documents."""
    bodies = "".join(_body(document) for document in documents)
    language = escape(documents[0].language, quote=True)
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(documents[0].title)}</title>\n<style>\n{_SHEET}\n</style></head>\n"
        f'<body style="margin:0;padding:16px;{_FONT}">{bodies}</body></html>\n'
    )


def _body(document: Document) -> str:
    language = escape(document.language, quote=True)
    parts = "\n".join(_part(part) for part in document.parts)
    return (
        f'<div lang="{language}" style="max-width:760px;margin:0 auto 40px;overflow-wrap:break-word">'
        f'<h1 style="margin:0 0 18px;padding:0 0 12px;border-bottom:3px solid {document.accent};font-size:20px;line-height:1.35">'
        f"{escape(document.title)}</h1>\n{parts}</div>\n"
    )


def _part(part: Part) -> str:
    match part:
        case Heading(text):
            return f'<h2 style="margin:26px 0 8px;font-size:16px;line-height:1.4">{escape(text)}</h2>'
        case Paragraph(line):
            return f'<p style="margin:0 0 12px;{_TEXT}">{_line(line)}</p>'
        case Bullets(lines):
            items = "".join(f'<li style="margin:0 0 6px;{_TEXT}">{_line(line)}</li>' for line in lines)
            return f'<ul style="margin:0 0 14px;padding-left:22px">{items}</ul>'
        case Table():
            return _table(part)
        case Code(lines):
            code = "\n".join(escape(line) for line in lines)
            return (
                f'<pre style="margin:0 0 14px;padding:12px;border:1px solid {_RULE};border-radius:6px;white-space:pre-wrap;'
                f'{_MONO};line-height:1.5">{code}</pre>'
            )
        case Button(text, url):
            return (
                f'<p style="margin:4px 0 18px"><a href="{escape(url, quote=True)}" style="display:inline-block;padding:10px 18px;'
                f'border-radius:6px;background:#175cd3;color:#ffffff;text-decoration:none;font-weight:600">{escape(text)}</a></p>'
            )
        case _:
            assert_never(part)


def _table(table: Table) -> str:
    header = "".join(
        f'<th style="{_cell_style(table, column)};font-weight:600;vertical-align:bottom">{escape(title)}</th>'
        for column, title in enumerate(table.header)
    )
    rows = "".join(
        "<tr>" + "".join(_cell(table, column, cell) for column, cell in enumerate(row)) + "</tr>" for row in table.rows
    )
    return (
        '<div style="overflow-x:auto;margin:0 0 14px">'
        '<table class="rows" style="border-collapse:collapse;width:100%">'
        f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(table: Table, column: int, cell: Line) -> str:
    style = f"{_cell_style(table, column)};vertical-align:top"
    if not column:
        return f'<td class="name" style="{style}">{_line(cell, _MONO)}</td>'
    words = _line(cell, _MONO)
    if not words:
        return f'<td class="empty" style="{style}"></td>'
    # A number stays in one piece, and so do two words.
    if column in table.right or len(plain(cell)) <= _SHORT:
        style += ";white-space:nowrap"
    title = escape(table.header[column])
    return f'<td style="{style}"><span class="title" style="display:none;mso-hide:all;color:#5d6575">{title} </span>{words}</td>'


def _cell_style(table: Table, column: int) -> str:
    # Where the sheet is ignored, a table scrolls sideways on a telephone rather than breaking a name into slivers.
    width = "" if column else ";min-width:190px"
    return f"{_CELL};text-align:{'right' if column in table.right else 'left'}{width}"


def _line(line: Line, code_style: str = f"{_SHADED};{_MONO}") -> str:
    return "".join(_span(span, code_style) for span in line)


def _span(span: Span, code_style: str) -> str:
    text = escape(span.text)
    if span.name:
        return f'<code dir="ltr" style="{code_style};word-break:break-word">{text}</code>'
    if span.url is not None:
        href = escape(span.url, quote=True)
        return f'<a class="link" href="{href}" style="color:#175cd3;overflow-wrap:anywhere">{text}</a>'
    return f"<strong>{text}</strong>" if span.strong else text
