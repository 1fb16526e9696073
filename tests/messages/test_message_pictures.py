"""Messages as a reader's program shows them, measured in a real browser.

``UPDATE_SCREENSHOTS=1`` takes the pictures in docs/images anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from redis_ttl.domain.incident.messages import EXAMPLES
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.messages.formats.document import Bullets, Button, Document, Heading, Paragraph, Part, Span, Table
from redis_ttl.messages.rendering import documents_of, render
from tests.block_kit_page import block_kit_page
from tests.small_png import small_png

if TYPE_CHECKING:
    from playwright.sync_api import Page

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_MOST_BYTES = 250_000
WIDE, NARROW = 1000, 380
#: The form, kind, language and width of each picture in the documents.
_PICTURES = {
    "message_mail_en.png": ("mail", MessageKind.ACTION_REQUIRED, "en", WIDE),
    "message_mail_zh.png": ("mail", MessageKind.ACTION_REQUIRED, "zh", WIDE),
    "message_mail_narrow.png": ("mail", MessageKind.ACTION_REQUIRED, "zh", NARROW),
    "message_slack_en.png": ("slack", MessageKind.ACTION_REQUIRED, "en", WIDE),
    "message_slack_zh.png": ("slack", MessageKind.ACTION_REQUIRED, "zh", WIDE),
    "message_slack_narrow.png": ("slack", MessageKind.ACTION_REQUIRED, "zh", NARROW),
    "message_approval.png": ("slack", MessageKind.APPROVAL_REQUESTED, "en", WIDE),
    "message_burst.png": ("slack", MessageKind.BURST_DETECTED, "zh", WIDE),
}
#: Families that have Chinese characters.
_CJK = re.compile("CJK|Source Han|PingFang|YaHei|Hei|Song|WenQuanYi|Droid Sans Fallback")

#: What is cut off or sticks out. What may scroll sideways is named; its own box must fit all the same.
_OVERFLOWS = """scrollers => {
  const found = [];
  const root = document.documentElement;
  if (Math.max(root.scrollWidth, document.body.scrollWidth) > root.clientWidth) found.push('the page scrolls sideways');
  const may_scroll = new Set(document.querySelectorAll(scrollers || 'none'));
  const boxed = element => element && getComputedStyle(element).display === 'inline' ? boxed(element.parentElement) : element;
  const fits = (what, rect, start) => {
    for (let box = boxed(start); box && box !== document.body; box = boxed(box.parentElement)) {
      if (may_scroll.has(box)) return;
      const outer = box.getBoundingClientRect();
      if (rect.left < outer.left - 1 || rect.right > outer.right + 1) { found.push(`${what} sticks out of ${box.tagName}`); return; }
    }
    if (rect.left < 0 || rect.right > root.clientWidth + 1) found.push(`${what} is off the page`);
  };
  for (const element of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(element);
    if (style.display === 'inline' || !element.getClientRects().length) continue;
    fits(element.tagName, element.getBoundingClientRect(), element.parentElement);
    const is_cut = (size, room, overflow) => size > room + 1 && overflow !== 'visible';
    if (is_cut(element.scrollHeight, element.clientHeight, style.overflowY)) found.push(`${element.tagName} cuts lines`);
    if (!may_scroll.has(element) && is_cut(element.scrollWidth, element.clientWidth, style.overflowX))
      found.push(`${element.tagName} cuts words`);
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const rect of range.getClientRects())
      // Blanks hang over the end of a line where lines keep them.
      if (walker.currentNode.data.trim() && rect.width && !walker.currentNode.parentElement.closest('pre'))
        fits(JSON.stringify(walker.currentNode.data.slice(0, 40)), rect, walker.currentNode.parentElement);
  }
  return found;
}"""

#: The least contrast (WCAG 2) of text that is seen, with the text.
_LEAST_CONTRAST = """() => {
  const brush = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const canvas = document.createElement('p');
  canvas.style.background = 'Canvas';
  document.body.append(canvas);
  const colour = text => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = text;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => [0, 1, 2].map(at => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const base = colour(getComputedStyle(canvas).backgroundColor);
  canvas.remove();
  const background = element => element ? over(colour(getComputedStyle(element).backgroundColor), background(element.parentElement)) : base;
  const light = ([red, green, blue]) => [red, green, blue]
    .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  let least = [99, 'nothing'];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
    if (!own.length || !element.getClientRects().length) continue;
    const behind = background(element);
    const [dark, bright] = [light(over(colour(getComputedStyle(element).color), behind)), light(behind)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < least[0]) least = [contrast, `${element.tagName}: ${own[0].data.trim().slice(0, 40)}`];
  }
  return [base.slice(0, 3), ...least];
}"""

#: Marks what has Chinese words of its own; says how many characters of them are seen, and which of them are drawn as the box
#: that a character without a glyph is drawn as (U+0378 is none and has none).
_MARK_CHINESE = """() => {
  const brush = new OffscreenCanvas(40, 40).getContext('2d', {willReadFrequently: true});
  const drawn = (character, font) => {
    brush.clearRect(0, 0, 40, 40);
    brush.font = font;
    brush.fillText(character, 2, 30);
    return brush.getImageData(0, 0, 40, 40).data.join();
  };
  let count = 0;
  const boxes = new Set();
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.getClientRects().length) continue;
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join('');
    const characters = (own.match(/\\p{Script=Han}/gu) || []);
    if (!characters.length) continue;
    element.dataset.chinese = '';
    count += characters.length;
    const style = getComputedStyle(element);
    const font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const none = [drawn('\\u0378', font), drawn(' ', font)];
    for (const character of new Set(characters)) if (none.includes(drawn(character, font))) boxes.add(character);
  }
  return [count, [...boxes]];
}"""


def document_of(kind: MessageKind, language: str) -> Document:
    """The example of a kind, for a team in Shanghai."""
    [document] = documents_of(EXAMPLES[kind], languages=[language], timezone="Asia/Shanghai")
    return document


def show(page: Page, form: str, kind: MessageKind, language: str, width: int, *, is_dark: bool = False) -> None:
    """Open the example as a mail or in Slack."""
    message = render([document_of(kind, language)])
    page.emulate_media(color_scheme="dark" if is_dark else "light")
    page.set_viewport_size({"width": width, "height": 600})
    page.set_content(message.email_html if form == "mail" else block_kit_page(message.slack_blocks, language))


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", ["mail", "slack"])
@pytest.mark.parametrize("kind", MessageKind)
def test_nothing_is_cut_off(page: Page, kind: MessageKind, form: str, language: str, width: int) -> None:
    """On a telephone and on a desk no words are cut, none stick out of their box, and nothing scrolls sideways."""
    show(page, form, kind, language, width)
    assert page.evaluate(_OVERFLOWS, "") == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", MessageKind)
def test_without_its_sheet_only_tables_scroll(page: Page, kind: MessageKind, language: str) -> None:
    """In a mail program that ignores the sheet a table scrolls in its own box on a telephone, and all else fits."""
    show(page, "mail", kind, language, NARROW)
    page.evaluate("() => document.querySelector('style').remove()")
    assert page.evaluate(_OVERFLOWS, "div:has(> table)") == []
    assert not page.locator(".title:visible").count()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", MessageKind)
def test_rows_are_told_apart_on_a_telephone(page: Page, kind: MessageKind, language: str) -> None:
    """There every figure of a table has its column's title beside it, and the header isn't seen."""
    show(page, "mail", kind, language, NARROW)
    figures = page.locator("td:not(.name):not(.empty)").count()
    assert page.locator("td .title:visible").count() == figures
    assert not page.locator("th:visible").count()


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("kind", MessageKind)
def test_a_mail_is_readable_by_day_and_night(page: Page, kind: MessageKind, width: int, *, is_dark: bool) -> None:
    """All text of a mail has a contrast of at least 4.5 with what is behind it, on a light and on a dark page."""
    show(page, "mail", kind, "en", width, is_dark=is_dark)
    behind, least, text = page.evaluate(_LEAST_CONTRAST)
    assert max(behind) < 60 if is_dark else min(behind) > 200
    assert least >= 4.5, text


@pytest.mark.parametrize("form", ["mail", "slack"])
@pytest.mark.parametrize("kind", MessageKind)
def test_chinese_is_drawn_by_chinese_fonts(page: Page, kind: MessageKind, form: str) -> None:
    """Every Chinese character comes out of a font that has it, so that none is an empty box."""
    show(page, form, kind, "zh", WIDE)
    _need_chinese_fonts()
    characters, boxes = page.evaluate(_MARK_CHINESE)
    drawn = _glyphs(page, "[data-chinese]")
    assert characters > 20
    assert boxes == []
    assert sum(glyphs for family, glyphs in drawn.items() if _CJK.search(family)) >= characters, drawn


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", ["mail", "slack"])
@pytest.mark.parametrize("kind", MessageKind)
def test_links_lead_where_the_message_says(page: Page, kind: MessageKind, form: str, language: str) -> None:
    """The links of a page are the document's buttons and addresses, in their order, and no others."""
    document = document_of(kind, language)
    show(page, form, kind, language, WIDE)
    assert page.evaluate("() => [...document.links].map(link => link.getAttribute('href'))") == _addresses(document)
    for button in (part for part in document.parts if isinstance(part, Button)):
        assert page.get_by_role("link", name=button.text, exact=True).get_attribute("href") == button.url


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", MessageKind)
def test_slack_shows_what_is_strong(page: Page, kind: MessageKind, language: str) -> None:
    """What is strong is bold, what is a name is code, and no asterisk or backtick is seen elsewhere."""
    document = document_of(kind, language)
    show(page, "slack", kind, language, WIDE)
    spans = [span for part in document.parts for span in _spans(part)]
    headings = sum(isinstance(part, Heading) for part in document.parts)
    assert page.locator("b").count() == sum(span.strong for span in spans) + headings
    assert page.locator("code").count() == sum(span.name for span in spans)
    page.evaluate("() => document.querySelectorAll('code, pre').forEach(element => element.remove())")
    assert not set(page.inner_text("body")) & set("*`")


@pytest.mark.parametrize("name", _PICTURES)
def test_pictures_of_the_documents_are_small(page: Page, name: str) -> None:
    """Each picture that the documents show can be taken, and is no larger than a reader would wait for."""
    form, kind, language, width = _PICTURES[name]
    show(page, form, kind, language, width)
    _need_chinese_fonts()
    # A message's own width, not the empty page beside it.
    if width == WIDE:
        page.set_viewport_size({"width": 800, "height": 300})
    picture = small_png(page)
    assert len(picture) < _MOST_BYTES
    if os.environ.get("UPDATE_SCREENSHOTS"):
        (_IMAGES / name).write_bytes(picture)


def _spans(part: Part) -> list[Span]:
    match part:
        case Paragraph(line):
            return list(line)
        case Bullets(lines):
            return [span for line in lines for span in line]
        case Table(_, rows):
            return [span for row in rows for cell in row for span in cell]
        case _:
            return []


def _addresses(document: Document) -> list[str]:
    found: list[str] = []
    for part in document.parts:
        found += [part.url] if isinstance(part, Button) else [span.url for span in _spans(part) if span.url is not None]
    return found


def _need_chinese_fonts() -> None:
    """Skip the test where there is no Chinese font, and fail it in CI; without fontconfig the system brings its own."""
    fc_list = shutil.which("fc-list")
    if fc_list is None or subprocess.run([fc_list, ":lang=zh-cn"], check=True, capture_output=True).stdout:
        return
    if os.environ.get("CI"):
        pytest.fail("no Chinese font; .ci/run installs one")
    pytest.skip("no Chinese font (apt-get install fonts-noto-cjk)")


def _glyphs(page: Page, selector: str) -> dict[str, int]:
    """How many glyphs of what is selected each family of fonts has drawn."""
    session = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    drawn: dict[str, int] = {}
    for node in session.send("DOM.querySelectorAll", {"nodeId": root, "selector": selector})["nodeIds"]:
        for font in session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]:
            drawn[font["familyName"]] = drawn.get(font["familyName"], 0) + int(font["glyphCount"])
    session.detach()
    return drawn
