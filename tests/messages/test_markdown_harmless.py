"""No name, comment or server's text makes markup: tried with a real renderer of GitHub's Markdown, links found by themselves included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from redis_ttl.domain.remediation.approval import Channel, Decision
from redis_ttl.domain.remediation.approval import Verdict as Approved
from redis_ttl.messages.formats.as_email import as_html
from redis_ttl.messages.formats.as_markdown import as_markdown
from redis_ttl.messages.formats.as_slack import as_blocks
from redis_ttl.messages.formats.document import Bullets, Code, Document, Paragraph, Span, Table, name
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_name, markdown_text
from redis_ttl.messages.pages.plan_page import plan_page
from tests.plans import PLAN, POLICY

EVIL = [
    r"cart:a\| ![x](//evil.example/p.png) [The digest has changed: approve](//evil.example) \|",
    r"a\\| ![x](//evil.example) \\\| [y](//evil.example)",
    "`` ` ![x](//evil.example) ` ``",
    "```\n# gone\n```",
    "http://evil.example/x www.evil.example mailto:a@evil.example a@evil.example xmpp:a@evil.example ftp://evil.example",
    "HTTPS://evil.example:80/?a=b&c#d",
    "&#x5b;x&#x5d;(//evil.example) &lt;b&gt; &#124; &copy;",
    "[x]: //evil.example 'y' [x] [^1] [^1]: note",
    "<img src=//evil.example onerror=alert(1)><script>alert(1)</script><a href=//evil.example>x</a><!-- -->",
    "- [ ] task",
    "1. one",
    "1) one",
    "# heading",
    "+ x",
    "> quote",
    "---",
    "===",
    "    code",
    "a|b|c|---|:-:|",
    "@here @channel <!channel> <@U123> :smile: #1 GH-1",
    "**bold** __bold__ ~~gone~~ _a_ *b* ***c***",
    "\\",
    "`",
    "|",
    "\\|",
    "",
    " ",
    "\u202e\u200bhttp://evil.example\u2028# x\r\n\r\n# y\x1b]8;;http://evil.example\x07x\x1b]8;;\x07",
    "evil.com/x evil.example.co.uk",
]
PIECES = [*"\\|`[]()<>!#*_~&@:;/\"'-+=.^{}$ \t\n\r1a", "\\|", "\\\\|", "![x](//evil.example)", "[x](//evil.example)"]
PIECES += [
    "http://evil.example",
    "www.evil.example",
    "a@evil.example",
    "<b>",
    "&#x5b;",
    "&#124;",
    "```",
    "---",
    "- [ ] ",
]
texts = st.one_of(st.sampled_from(EVIL), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))

RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": True})
#: What a page may be made of besides text.
STRUCTURE = {"paragraph", "text", "code_inline", "softbreak", "inline"}


def _inner(tokens: list[Any]) -> list[str]:
    kinds = []
    for token in tokens:
        kinds.append(token.type.removesuffix("_open").removesuffix("_close"))
        kinds += _inner(token.children or [])
    return kinds


def kinds_of(markdown: str) -> list[str]:
    """What the page is made of, in its order."""
    return _inner(RENDERER.parse(markdown))


def shape_of(page: str) -> list[str]:
    """What a page is made of without its inline texts: the same for harmless and for evil words."""
    return [kind for kind in kinds_of(page) if kind not in {"text", "code_inline"}]


@settings(max_examples=500, deadline=None)
@given(texts)
@example(r"a\| ![x](//evil.example)")
def test_words_from_outside_stay_words(text: str) -> None:
    """Alone, in the middle of a line, in an item of a list and in a table's cell, a name or a sentence is text and code."""
    for said in (markdown_name(text), markdown_text(text), markdown_name(text, 20)):
        assert set(kinds_of(said)) <= STRUCTURE
        assert set(kinds_of(f"Before {said} behind.")) <= STRUCTURE
        assert set(kinds_of(f"- {said}\n- {said}")) <= STRUCTURE | {"bullet_list", "list_item"}
        table = markdown_table(("A", "B"), [(said, "x"), ("y", said)])
        plain = markdown_table(("A", "B"), [("z", "x"), ("y", "z")])
        assert shape_of(table) == shape_of(plain), table


@settings(max_examples=200, deadline=None)
@given(texts)
def test_a_name_is_shown_as_it_is(text: str) -> None:
    """As code, a name is shown letter by letter, but for what `printable` writes out."""
    tokens = RENDERER.parse(markdown_name(text))[1].children or []
    from redis_ttl.messages.figures import printable  # what the name is compared with

    assert [token.content for token in tokens] == [printable(text) or '""']


@settings(max_examples=100, deadline=None)
@given(texts, texts)
def test_the_approval_page_keeps_its_shape(one: str, two: str) -> None:
    """Patterns, examples, owners and warnings of any text leave a plan's page as it is with harmless ones."""

    def page(pattern: str, words: str) -> str:
        rules = (replace(PLAN.rules[0], examples=(words, pattern)), *PLAN.rules[1:])
        plan = replace(PLAN, rules=rules, run=words, warnings=(words, f"`{pattern}` {words}"))
        return plan_page(plan, POLICY)

    assert shape_of(page(one, two)) == shape_of(page("a", "b"))
    assert not {"link", "image", "html_inline", "html_block"} & set(kinds_of(page(one, two)))


@settings(max_examples=200, deadline=None)
@given(texts)
def test_a_message_keeps_its_shape(text: str) -> None:
    """In the stored Markdown of a message, in its mail and in its blocks nothing comes of a name, an owner or a command but text."""

    def document(words: str) -> Document:
        spans = (Span(words), Span(words, strong=True), name(words))
        parts = (Paragraph(spans), Bullets((spans,)), Table(("A", "B"), ((spans, spans),)), Code((words, "SET")))
        return Document("en", "title", "#ffffff", parts)

    markdown = as_markdown([document(text)])
    assert not {"link", "image", "html_inline", "html_block"} & set(kinds_of(markdown))
    assert kinds_of(markdown).count("fence") == 1
    assert kinds_of(markdown).count("table") == kinds_of(as_markdown([document("a")])).count("table")
    html = as_html([document(text)])
    for tag in ("<a ", "<img", "<script", "<b>", "<!--"):
        assert tag not in html
    assert {each["type"] for each in _elements(as_blocks([document(text)]))} <= {
        *("header", "plain_text", "rich_text", "rich_text_section", "rich_text_list", "rich_text_preformatted", "text"),
    }


def _elements(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [each for item in value for each in _elements(item)]
    if isinstance(value, dict):
        return [*([value] if "type" in value else []), *(each for item in value.values() for each in _elements(item))]
    return []


@pytest.mark.parametrize("text", EVIL)
def test_a_decision_is_told_in_its_own_words(text: str) -> None:
    """Who decided, and why, is shown on the pages of a journal as text."""
    from redis_ttl.messages.pages.journal_page import journal_page  # only here

    decision = Decision("r", "p", "d", "g", Approved.APPROVED, Channel.FORM, text, "2026-02-20T19:04:00+00:00", text)
    page = journal_page(PLAN, [decision], rules=[], objects=0, key=None)
    assert not {"link", "image", "html_inline", "html_block"} & set(kinds_of(page))
