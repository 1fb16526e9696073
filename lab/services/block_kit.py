"""What Slack's Block Kit lets a message have: how many blocks, how long each text, which fields.

Sources: https://docs.slack.dev/reference/block-kit and the pages below it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# https://api.slack.com/reference/block-kit/blocks: "You can include up to 50 blocks in each message"; block_id: 255.
MAX_BLOCKS = 50
MAX_BLOCK_ID = 255
# https://api.slack.com/changelog/2018-04-truncating-really-long-messages: longer ones are cut off, with a warning.
MAX_MESSAGE_TEXT = 40_000
# https://docs.slack.dev/reference/block-kit/composition-objects/text-object: 1 to 3000.
MAX_TEXT = 3000
# https://docs.slack.dev/tools/node-slack-sdk/reference/types/interfaces/HeaderBlock
MAX_HEADER = 150
# https://docs.slack.dev/reference/block-kit/blocks/section-block
MAX_FIELDS = 10
MAX_FIELD = 2000
# https://docs.slack.dev/reference/block-kit/blocks/context-block
MAX_CONTEXT_ELEMENTS = 10
# https://api.slack.com/reference/block-kit/blocks#actions
MAX_ACTIONS = 25
# https://docs.slack.dev/reference/block-kit/block-elements/button-element
MAX_BUTTON_TEXT = 75
MAX_ACTION_ID = 255
MAX_URL = 3000
MAX_VALUE = 2000
MAX_LABEL = 75
_STYLES = ("primary", "danger")
# https://docs.slack.dev/reference/block-kit/blocks/rich-text-block, and the models of slack_sdk: sections, lists, preformatted text
# and quotes, made of pieces that say what they are.
_RICH_STYLES = {"bold", "italic", "strike", "code"}


# https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are control characters; `<!...>`, `<@...>`
# and `<#...>` mention, `<http...>` and `<http...|text>` link, and URLs with spaces break.
_LINK = re.compile(r"<https?://[^<>|\s]+(?:\|[^<>\n]+)?>")
_MENTION = re.compile(r"<(?:[!@#]|subteam)")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")
# The text object's page: unless `verbatim` is true, "certain mentions will be automatically parsed".
_PLAIN_MENTION = re.compile(r"@(?:here|channel|everyone)\b")


def words_of_blocks(blocks: list[dict[str, Any]]) -> str:
    """All words of a message's blocks as a reader sees them: lists and preformatted text on lines of their own."""
    lines = []
    for block in blocks:
        match block["type"]:
            case "header" | "section":
                lines.append(block["text"]["text"])
            case "actions":
                lines += [button["text"]["text"] for button in block["elements"]]
            case "rich_text":
                for element in block["elements"]:
                    sections = element["elements"] if element["type"] == "rich_text_list" else [element]
                    lines += ["".join(piece["text"] for piece in section["elements"]) for section in sections]
            case _:
                pass
    return "\n".join(lines)


def problems_of(payload: dict[str, Any]) -> list[str]:
    """Every reason why that message is not one that Slack shows as it is and that mentions nobody; empty for a good one.

    Characters are counted as Python counts them. Blocks and fields that Slack knows and this function doesn't are
    reasons too.
    """
    return [f"{what} [json-pointer:{where}]" for where, what in _message_problems(payload)]


def _message_problems(payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    text = payload.get("text")
    yield from _string_problems("/text", text, MAX_MESSAGE_TEXT)
    if isinstance(text, str):
        yield from _markup_problems("/text", text)
    for name in ("attachments", "markdown_text"):
        if name in payload:
            yield f"/{name}", "is not checked here"
    # https://docs.slack.dev/reference/methods/chat.postMessage: both make mentions of plain names.
    if payload.get("link_names") in (True, "1", "true"):
        yield "/link_names", "makes mentions of names"
    if payload.get("parse", "none") != "none":
        yield "/parse", "makes mentions of names"
    blocks = payload.get("blocks")
    if blocks is None:
        return
    if not isinstance(blocks, list):
        yield "/blocks", "must be an array"
        return
    if len(blocks) > MAX_BLOCKS:
        yield "/blocks", f"no more than {MAX_BLOCKS} items allowed"
    for number, block in enumerate(blocks):
        yield from _block_problems(f"/blocks/{number}", block)
    yield from _repetitions("/blocks", blocks, "block_id")


def _block_problems(where: str, block: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(block, dict):
        yield where, "must be an object"
        return
    kind = block.get("type")
    checks = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if checks is None:
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    required, optional, check = checks
    yield from _field_problems(where, block, {"type", *required}, {"block_id", *optional})
    if "block_id" in block:
        yield from _string_problems(f"{where}/block_id", block["block_id"], MAX_BLOCK_ID)
    yield from check(where, block)


def _divider_problems(_where: str, _block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return iter(())


def _header_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "text" in block:
        yield from _text_problems(f"{where}/text", block["text"], MAX_HEADER, plain_only=True)


def _section_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "text" not in block and "fields" not in block:
        yield where, "needs text or fields"
    if "text" in block:
        yield from _text_problems(f"{where}/text", block["text"], MAX_TEXT)
    if "fields" in block:
        for place, item in _items(f"{where}/fields", block["fields"]):
            yield from _text_problems(place, item, MAX_FIELD)
        yield from _count_problems(f"{where}/fields", block["fields"], MAX_FIELDS)
    if "accessory" in block:
        yield from _button_problems(f"{where}/accessory", block["accessory"])
    if not isinstance(block.get("expand", False), bool):
        yield f"{where}/expand", "must be a boolean"


def _context_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "elements" in block:
        for place, item in _items(f"{where}/elements", block["elements"]):
            yield from _text_problems(place, item, MAX_TEXT)
        yield from _count_problems(f"{where}/elements", block["elements"], MAX_CONTEXT_ELEMENTS)


def _actions_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "elements" not in block:
        return
    elements = block["elements"]
    for place, item in _items(f"{where}/elements", elements):
        yield from _button_problems(place, item)
    yield from _count_problems(f"{where}/elements", elements, MAX_ACTIONS)
    # "Should be unique among all other action_ids in the containing block", says the button's page.
    if isinstance(elements, list):
        yield from _repetitions(f"{where}/elements", elements, "action_id")


def _rich_text_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    width = 0
    for place, element in _items(f"{where}/elements", block.get("elements", [])):
        kind = element.get("type") if isinstance(element, dict) else None
        if kind == "rich_text_list":
            yield from _field_problems(place, element, {"type", "style", "elements"}, {"indent", "offset", "border"})
            if element.get("style") not in ("bullet", "ordered"):
                yield f"{place}/style", "must be bullet or ordered"
            sections = _items(f"{place}/elements", element.get("elements"))
        elif kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            sections = [(place, element)]
        else:
            yield f"{place}/type", f"unsupported type: {kind}"
            continue
        for section_place, section in sections:
            yield from _field_problems(section_place, section, {"type", "elements"}, {"border"})
            pieces = _items(f"{section_place}/elements", section.get("elements"))
            if not pieces:
                yield f"{section_place}/elements", "must have at least one item"
            for piece_place, piece in pieces:
                yield from _piece_problems(piece_place, piece)
                width += len(str(piece.get("text", "")))
    if not block.get("elements"):
        yield f"{where}/elements", "must have at least one item"
    if width > MAX_TEXT:  # no page of Slack says so: it is the limit of its other texts
        yield where, f"must be less than {MAX_TEXT + 1} characters"


def _piece_problems(where: str, piece: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Text and links. Everything else in rich text mentions, shows or dates something."""
    kind = piece.get("type")
    if kind == "link":
        yield from _field_problems(where, piece, {"type", "url"}, {"text", "style", "unsafe"})
        if not _is_web_address(piece.get("url")):
            yield f"{where}/url", "must be a web address"
    elif kind == "text":
        yield from _field_problems(where, piece, {"type", "text"}, {"style"})
    else:
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    if "text" in piece and (not isinstance(piece["text"], str) or not piece["text"]):
        yield f"{where}/text", "must be more than 0 characters"
    style = piece.get("style", {})
    if (
        not isinstance(style, dict)
        or not set(style) <= _RICH_STYLES
        or not all(each is True for each in style.values())
    ):
        yield f"{where}/style", "must be flags of bold, italic, strike, code"


#: The required fields, the optional fields and the check of each kind of block.
_BLOCKS: dict[str, tuple[set[str], set[str], Callable[[str, dict[str, Any]], Iterator[tuple[str, str]]]]] = {
    "header": ({"text"}, set(), _header_problems),
    "section": (set(), {"text", "fields", "accessory", "expand"}, _section_problems),
    "divider": (set(), set(), _divider_problems),
    "context": ({"elements"}, set(), _context_problems),
    "actions": ({"elements"}, set(), _actions_problems),
    "rich_text": ({"elements"}, set(), _rich_text_problems),
}


def _button_problems(where: str, button: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(button, dict):
        yield where, "must be an object"
        return
    if button.get("type") != "button":
        yield f"{where}/type", f"unsupported type: {button.get('type')}"
        return
    lengths = {"action_id": MAX_ACTION_ID, "url": MAX_URL, "value": MAX_VALUE, "accessibility_label": MAX_LABEL}
    yield from _field_problems(where, button, {"type", "text"}, {"style", *lengths})
    if "text" in button:
        yield from _text_problems(f"{where}/text", button["text"], MAX_BUTTON_TEXT, plain_only=True)
    for name, limit in lengths.items():
        if name in button:
            yield from _string_problems(f"{where}/{name}", button[name], limit)
    if "url" in button and not _is_web_address(button["url"]):
        yield f"{where}/url", "must be an http or https URL"
    if "style" in button and button["style"] not in _STYLES:
        yield f"{where}/style", f"must be one of {', '.join(_STYLES)}"


def _text_problems(where: str, item: Any, limit: int, *, plain_only: bool = False) -> Iterator[tuple[str, str]]:
    if not isinstance(item, dict):
        yield where, "must be an object"
        return
    kind = item.get("type")
    if kind != "plain_text" and (plain_only or kind != "mrkdwn"):
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    switch = "emoji" if kind == "plain_text" else "verbatim"
    yield from _field_problems(where, item, {"type", "text"}, {switch})
    if not isinstance(item.get(switch, False), bool):
        yield f"{where}/{switch}", "must be a boolean"
    if "text" not in item:
        return
    text = item["text"]
    yield from _string_problems(f"{where}/text", text, limit)
    if kind == "mrkdwn" and isinstance(text, str):
        yield from _markup_problems(f"{where}/text", text)
        if item.get("verbatim") is not True and _PLAIN_MENTION.search(text):
            yield f"{where}/text", "may mention many, as verbatim is not true"


def _markup_problems(where: str, text: str) -> Iterator[tuple[str, str]]:
    rest = _LINK.sub("", text)
    if _MENTION.search(rest):
        yield where, "mentions somebody"
    elif "<" in rest:
        yield where, "has a < that begins no link"
    if _BARE_AMPERSAND.search(text):
        yield where, "has a & that is not escaped"


def _string_problems(where: str, value: Any, limit: int) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        yield where, "must be a string"
    elif not value.strip():
        yield where, "must be more than 0 characters"
    elif len(value) > limit:
        yield where, f"must be less than {limit + 1} characters"


def _field_problems(
    where: str, item: dict[str, Any], required: set[str], optional: set[str]
) -> Iterator[tuple[str, str]]:
    for name in sorted(required - item.keys()):
        yield where, f"missing required field: {name}"
    for name in sorted(item.keys() - required - optional):
        yield where, f"no field of this name: {name}"


def _count_problems(where: str, items: Any, limit: int) -> Iterator[tuple[str, str]]:
    if not isinstance(items, list):
        yield where, "must be an array"
    elif not items:
        yield where, "must have at least one item"
    elif len(items) > limit:
        yield where, f"no more than {limit} items allowed"


def _repetitions(where: str, items: list[Any], name: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for item in items:
        value = item.get(name) if isinstance(item, dict) else None
        if isinstance(value, str):
            if value in seen:
                yield where, f"{name} {value} is not unique"
            seen.add(value)


def _items(where: str, items: Any) -> list[tuple[str, Any]]:
    return [(f"{where}/{number}", item) for number, item in enumerate(items)] if isinstance(items, list) else []


def _is_web_address(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
