"""Messages in a real browser: mail and Slack, wide and on a telephone, in the light and in the dark.

``UPDATE_SCREENSHOTS=1`` takes the pictures of the documentation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from redis_ttl.domain.incident_messages import EXAMPLES
from redis_ttl.domain.message import MessageKind
from redis_ttl.messages.rendering import RenderedMessage, documents_of, render
from tests.airflow_live import ROOT
from tests.block_kit_page import block_kit_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(300)

_DOCUMENTED = ROOT / "docs" / "images"
_NARROW, _WIDE = 380, 1000
_FORMS = ("mail", "slack")

#: What sticks out of its place: the page itself, or a text in something that neither scrolls nor wraps.
_OVERFLOWS = """() => {
  const wide = document.documentElement.scrollWidth > window.innerWidth ? ['the page'] : [];
  const stuck = [...document.querySelectorAll('h1, h2, p, li, td, th, pre, code, a')].filter(each => {
    let scrolls = false;
    for (let place = each; place; place = place.parentElement) scrolls ||= ['auto', 'scroll'].includes(getComputedStyle(place).overflowX);
    return !scrolls && each.getBoundingClientRect().right > window.innerWidth + 1;
  });
  return [...wide, ...stuck.map(each => each.tagName + ' ' + each.textContent.slice(0, 40))];
}"""

#: Texts whose contrast with what is behind them is less than 4.5 (WCAG 2.1, 1.4.3), with the figure.
_FAINT = """() => {
  const parts = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map(value => value / 255)
    .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const probe = document.body.appendChild(document.createElement('div'));
  probe.style.background = 'Canvas';
  const canvas = parts(getComputedStyle(probe).backgroundColor);
  probe.remove();
  const behind = element => {
    for (let place = element; place; place = place.parentElement) {
      const color = parts(getComputedStyle(place).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return canvas;
  };
  return [...document.querySelectorAll('h1, h2, p, li, td, th, pre, code, a, strong')].map(each => {
    const [one, other] = [light(parts(getComputedStyle(each).color)), light(behind(each))];
    return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), each.tagName + ' ' + each.textContent.slice(0, 40)];
  }).filter(([contrast]) => contrast < 4.5);
}"""


def message(kind: MessageKind, language: str) -> RenderedMessage:
    """The incident's, for a team in Shanghai."""
    return render(documents_of(EXAMPLES[kind], languages=(language,), timezone="Asia/Shanghai"))


def page_of(kind: MessageKind, language: str, form: str) -> str:
    """The mail, or Slack with the message."""
    made = message(kind, language)
    return made.email_html if form == "mail" else block_kit_page(made.slack_blocks, language)


@pytest.mark.parametrize("width", [_NARROW, _WIDE])
@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_sticks_out(page: Page, language: str, form: str, width: int) -> None:
    """Of no kind of message: the page doesn't scroll sideways, and no text leaves its place."""
    page.set_viewport_size({"width": width, "height": 1200})
    for kind in MessageKind:
        page.set_content(page_of(kind, language, form))
        assert page.evaluate(_OVERFLOWS) == [], kind


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_mail_can_be_read_in_the_dark(page: Page, language: str) -> None:
    """Where the reader's screen is dark the mail is, and every text stands out from what is behind it."""
    try:
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for kind in MessageKind:
                page.set_content(page_of(kind, language, "mail"))
                assert page.evaluate(_FAINT) == [], (kind, scheme)
    finally:
        page.emulate_media(color_scheme="light")


def test_links_lead_where_they_say(page: Page) -> None:
    """The button of a plan that waits, in mail and in Slack."""
    for form in _FORMS:
        page.set_content(page_of(MessageKind.APPROVAL_REQUESTED, "en", form))
        button = page.get_by_role("link", name="Approve or reject")
        assert button.get_attribute("href") == EXAMPLES[MessageKind.APPROVAL_REQUESTED].link  # type: ignore[union-attr]


PICTURES = {
    "message_mail_en.png": (MessageKind.ACTION_REQUIRED, "en", "mail", _WIDE),
    "message_mail_zh.png": (MessageKind.ACTION_REQUIRED, "zh", "mail", _WIDE),
    "message_mail_narrow.png": (MessageKind.ACTION_REQUIRED, "zh", "mail", _NARROW),
    "message_slack_en.png": (MessageKind.ACTION_REQUIRED, "en", "slack", _WIDE),
    "message_slack_zh.png": (MessageKind.ACTION_REQUIRED, "zh", "slack", _WIDE),
    "message_slack_narrow.png": (MessageKind.ACTION_REQUIRED, "zh", "slack", _NARROW),
    "message_approval.png": (MessageKind.APPROVAL_REQUESTED, "en", "slack", _WIDE),
    "message_burst.png": (MessageKind.BURST_DETECTED, "zh", "slack", _WIDE),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_can_be_taken(page: Page, tmp_path: Path, name: str) -> None:
    """As they are in the documentation."""
    kind, language, form, width = PICTURES[name]
    page.set_viewport_size({"width": width, "height": 400})
    page.set_content(page_of(kind, language, form))
    picture = (_DOCUMENTED if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / name
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000
    assert (_DOCUMENTED / name).exists()
