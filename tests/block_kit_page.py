"""Shows Slack blocks as a page that looks like Slack, for looking at messages without a workspace. Knows the blocks that messages have."""

from __future__ import annotations

from html import escape
from typing import Any, Final

_STYLE: Final = """
body { margin: 0; padding: 16px; background: #fff; color: #1d1c1d; font: 15px/1.46668 Lato, 'Noto Sans', 'Noto Sans CJK SC', sans-serif }
article { display: flex; gap: 10px; max-width: 760px }
.avatar { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #175cd3; color: #fff; font-weight: 900; text-align: center;
  line-height: 36px }
.body { min-width: 0; flex: 1 }
.who { font-weight: 900 } .who small { font: 10px sans-serif; background: #e8e8e8; padding: 1px 3px; border-radius: 2px; margin: 0 4px }
.who time { font-weight: 400; font-size: 12px; color: #616061 }
h1 { font-size: 18px; line-height: 1.3; font-weight: 900; margin: 8px 0 4px }
.text { overflow-wrap: anywhere; margin: 8px 0 }
.text ul { margin: 0; padding-left: 26px }
code { font: 12px Monaco, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace; color: #c01343; background: #f8f8f8; border: 1px solid #ddd;
  border-radius: 3px; padding: 2px 3px 1px; overflow-wrap: anywhere }
pre { font: 12px/1.5 Monaco, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace; background: #f8f8f8; border: 1px solid #ddd;
  border-radius: 4px; padding: 8px; margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere }
hr { border: 0; border-top: 1px solid #ddd; margin: 16px 0 }
a { color: #1264a3 }
.button { display: inline-block; background: #007a5a; color: #fff; border-radius: 4px; padding: 7px 12px; font-weight: 900; font-size: 13px;
  text-decoration: none; margin: 4px 0 }
"""


def block_kit_page(blocks: list[dict[str, Any]], language: str) -> str:
    """One message by a bot, as Slack shows it."""
    inside = "".join(_block(block) for block in blocks)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><article><div class=avatar>r</div><div class=body><div class=who>redis_ttl<small>APP"
        f"</small><time>14:00</time></div>{inside}</div></article></body></html>"
    )


def _block(block: dict[str, Any]) -> str:
    match block["type"]:
        case "header":
            return f"<h1>{escape(block['text']['text'])}</h1>"
        case "divider":
            return "<hr>"
        case "actions":
            return "".join(
                f'<a class=button href="{escape(each["url"], quote=True)}">{escape(each["text"]["text"])}</a>'
                for each in block["elements"]
            )
        case "rich_text":
            return f"<div class=text>{''.join(_element(each) for each in block['elements'])}</div>"
        case other:
            raise ValueError(other)


def _element(element: dict[str, Any]) -> str:
    match element["type"]:
        case "rich_text_section":
            return f"<div>{_lines(element)}</div>"
        case "rich_text_list":
            return f"<ul>{''.join(f'<li>{_lines(each)}</li>' for each in element['elements'])}</ul>"
        case "rich_text_preformatted":
            return f"<pre>{_pieces(element)}</pre>"
        case other:
            raise ValueError(other)


def _lines(section: dict[str, Any]) -> str:
    return _pieces(section).replace("\n", "<br>")


def _pieces(section: dict[str, Any]) -> str:
    return "".join(_piece(piece) for piece in section["elements"])


def _piece(piece: dict[str, Any]) -> str:
    text = escape(piece["text"])
    if piece["type"] == "link":
        return f'<a href="{escape(piece["url"], quote=True)}">{text}</a>'
    style = piece.get("style", {})
    if style.get("code"):
        text = f"<code>{text}</code>"
    return f"<b>{text}</b>" if style.get("bold") else text
