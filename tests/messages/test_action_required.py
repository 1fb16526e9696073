"""The message about keys that must get a TTL: whole texts, the incident's facts, and names that try to act.

``REWRITE_GOLDEN=1`` writes the golden files anew for a person to read.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.incident import FULL_KEYS
from redis_ttl.domain.message import ActionRequired, BurstFacts, Memory, RenderedMessage, RuleFacts, UnknownFacts
from redis_ttl.messages import phrases as phrases_package
from redis_ttl.messages.as_slack import HEADER_WIDTH, MOST_BLOCKS, SECTION_WIDTH
from redis_ttl.messages.phrases import Phrases, languages, phrases_of
from redis_ttl.messages.rendering import render

GOLDEN = Path(__file__).parent / "golden" / "action_required"
DAY_S = 86_400
GIB = 2**30

INCIDENT = ActionRequired(
    cluster="luckyus-isales-market",
    owner="isales-marketing",
    priority="P1",
    audit_id="20260212T140000Z-0a1b2c",
    audited_at="2026-02-12T14:00:00+00:00",
    keys=FULL_KEYS,
    no_ttl_keys=2_623_984,
    memory=Memory(int(2.10 * GIB), int(2.40 * GIB)),
    memory_warn_ratio=0.60,
    memory_critical_ratio=0.85,
    eviction_policy="volatile-lfu",
    rules=(
        RuleFacts(
            "contact:userGroupLabel:set:{groupId}", "P1", 30 * DAY_S, caps=False, signed_off=False, keys=177_450,
            no_ttl_keys=177_450, size_bytes=60_000_000, examples=("contact:userGroupLabel:set:1001",),
        ),
        RuleFacts(
            "MARKETING:COUPON:UNREAD:{userId}", "P1", 60 * DAY_S, caps=False, signed_off=False, keys=147_111, no_ttl_keys=147_111,
            size_bytes=80_000_000, examples=("MARKETING:COUPON:UNREAD:20931",),
        ),
        RuleFacts(
            "contact:last:activity:{contactId}", "P2", 90 * DAY_S, caps=True, signed_off=False, keys=374_639, no_ttl_keys=0,
            longer_keys=374_639, current_ttl_s=364 * DAY_S, size_bytes=100_000_000,
        ),
        RuleFacts(
            "exchange:coupon:high:commodity:price:{id}", "P2", 7 * DAY_S, caps=False, signed_off=False, keys=473, no_ttl_keys=473
        ),
    ),
    unknown=(UnknownFacts("contact:profile:{n}", 351_520, 351_520, 170_000_000),),
    other_unknown_patterns=45,
    other_unknown_keys=1_947_430,
    deadline=dt.date(2026, 2, 26),
    scaling_usd_per_month=135,
    scaling_note="next node size",
    burst=BurstFacts("{n}", 5_200_000, "2026-02-12T13:57:00+00:00", "2026-02-12T14:17:00+00:00"),
)  # fmt: skip
LANGUAGES = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}


def rendered(facts: ActionRequired = INCIDENT, wanted: str = "both", *, redact: bool = False) -> RenderedMessage:
    """The message, for a team in Shanghai."""
    return render(facts, languages=LANGUAGES[wanted], timezone="Asia/Shanghai", redact=redact)


def formats(message: RenderedMessage) -> dict[str, str]:
    """What each file of a message has."""
    return {
        "slack.json": json.dumps(
            {"text": message.slack_text, "blocks": message.slack_blocks}, ensure_ascii=False, indent=1
        )
        + "\n",
        "html": message.email_html,
        "txt": f"Subject: {message.subject}\n\n{message.email_text}",
        "md": message.markdown,
    }


@pytest.mark.parametrize("wanted", LANGUAGES)
@pytest.mark.parametrize("kind", ["slack.json", "html", "txt", "md"])
def test_the_whole_text_is_the_golden_one(wanted: str, kind: str) -> None:
    """In each language, as each format."""
    golden = GOLDEN / f"{wanted}.{kind}"
    text = formats(rendered(wanted=wanted))[kind]
    if os.environ.get("REWRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


FACTS = {
    "both": ["luckyus-isales-market", "87.5%", "2.10 GiB", "2.40 GiB", "2,623,984", "39.2%", "volatile-lfu", "147,111", "177,450",
             "473", "374,639", "P1", "P2", "2592000", "5,200,000", "+135"],
    "en": ["MARKETING:COUPON:UNREAD:{userId}", "contact:userGroupLabel:set:{groupId}", "never expires", "60 days", "30 days", "7 days",
           "90 days", "about 364 days", "26 February 2026", "12 February 2026, 21:57 CST", "22:17 CST", "60%", "Once you have agreed",
           "SET key value EX", "client.expire(key,", "larger cluster"],
    "zh": ["exchange:coupon:high:commodity:price:{id}", "contact:last:activity:{contactId}", "永不过期", "60 天", "30 天", "7 天", "90 天",
           "约 364 天", "2026年2月26日", "2026年2月12日 21:57 CST", "22:17 CST", "60%", "确认之后", "SET key value EX", "扩容"],
}  # fmt: skip


class _Words(HTMLParser):
    """The words of a page, and what its tags are."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # as in the library
        self.tags.append(tag)


def words_of(page: str) -> _Words:
    """What a browser would read."""
    found = _Words()
    found.feed(page)
    return found


def unmarked(message: RenderedMessage) -> dict[str, str]:
    """The words of each format, as a person sees them."""
    slack = "\n".join(block["text"]["text"] for block in message.slack_blocks if "text" in block)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        slack = slack.replace(entity, character)
    return {
        "slack": slack,
        "html": "".join(words_of(message.email_html).words),
        "text": message.email_text,
        "markdown": re.sub(r"\\([^\w\s])", r"\1", message.markdown),
    }


@pytest.mark.parametrize("form", ["slack", "html", "text", "markdown"])
@pytest.mark.parametrize("wanted", ["en", "zh"])
def test_every_fact_of_the_incident_is_said(wanted: str, form: str) -> None:
    """Figures, patterns, TTLs, priorities, what each side does, the burst with its window, the date, the cost."""
    text = unmarked(rendered(wanted=wanted))[form]
    missing = [fact for fact in FACTS["both"] + FACTS[wanted] if fact not in text]
    assert missing == []


def test_the_subject_has_priority_cluster_and_deadline() -> None:
    """In both languages."""
    assert rendered(wanted="en").subject.startswith("[P1] luckyus-isales-market")
    assert rendered(wanted="en").subject.endswith("26 February 2026")
    assert "2026年2月26日" in rendered(wanted="zh").subject


def test_names_can_be_left_out() -> None:
    """Redacted, no format has the name of a key."""
    for text in formats(rendered(redact=True)).values():
        assert "20931" not in text


NASTY = [
    "<!channel> <@U024BE7LH> <http://x|y>",
    "`*_~>&|\\`",
    "a\u202eb\u200bc\n\n# d\r\n",
    "</code><script>alert(1)</script>",
    "[x](javascript:1) ![i](http://x)",
    "| a | b |\n|---|---|",
    "键\U0001f600" * 60,
    "x" * 300,
    "@channel @here #general",
    "{pattern} %s ${x}",
]
names = st.sampled_from(NASTY) | st.text(max_size=200)


@settings(max_examples=60, deadline=None)
@given(names, names)
def test_no_name_acts_in_any_format(pattern: str, key: str) -> None:
    """Whatever a name is made of: no mention, no tag, no link, no broken table, and within Slack's limits."""
    rule = replace(INCIDENT.rules[0], pattern=pattern or "x", examples=(key,))
    facts = replace(INCIDENT, rules=(rule, *INCIDENT.rules[1:]), unknown=(UnknownFacts(pattern or "x", 1, 1),))
    message, usual = rendered(facts), rendered(replace(facts, rules=(replace(rule, pattern="x", examples=("y",)), *INCIDENT.rules[1:]),
                                                        unknown=(UnknownFacts("x", 1, 1),)))  # fmt: skip
    assert words_of(message.email_html).tags == words_of(usual.email_html).tags
    assert len(message.slack_blocks) <= MOST_BLOCKS
    for block in message.slack_blocks:
        if block["type"] == "divider":
            continue
        text = block["text"]["text"]
        assert 0 < len(text) <= (HEADER_WIDTH if block["type"] == "header" else SECTION_WIDTH)
        if block["type"] == "section":
            assert block["text"]["verbatim"] is True
            assert not re.search(r"<[!@#h]", text)
            assert text.count("`") % 2 == 0
    tables = [line for line in message.markdown.splitlines() if line.startswith("|")]
    assert len(tables) == sum(line.startswith("|") for line in usual.markdown.splitlines())
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\u200b]", message.email_text + message.markdown + message.slack_text
    )


def test_long_tables_are_counted_not_cut() -> None:
    """Two hundred rules fit into Slack, and those that aren't shown are said to be there."""
    many = tuple(replace(INCIDENT.rules[0], pattern=f"{'p' * 100}:{number}:{{id}}") for number in range(200))
    message = rendered(replace(INCIDENT, rules=many), "en")
    texts = [block["text"]["text"] for block in message.slack_blocks if block["type"] == "section"]
    shown = sum(text.count("ppp:") for text in texts if "Keys that need" in text)
    left = [int(found) for text in texts for found in re.findall(r"… \+(\d+)", text)]
    assert shown + sum(left) == 200
    assert message.email_html.count("<tr>") > 200


@pytest.mark.parametrize("language", languages())
def test_a_language_fills_every_sentence(language: str) -> None:
    """Each phrase has the placeholders that English has."""
    english, other = phrases_of("en"), phrases_of(language)
    for field in fields(Phrases):
        template, said = getattr(english, field.name), getattr(other, field.name)
        if isinstance(template, str):
            assert set(re.findall(r"\{\w+\}", template)) == set(re.findall(r"\{\w+\}", said)), field.name
            assert said.strip()


def test_a_third_language_is_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a file of phrases beside the others, messages are written in it; nothing else changes."""
    source = Path(str(phrases_package.__file__)).parent / "en.py"
    (tmp_path / "xx.py").write_text(source.read_text().replace("What we see", "Ce que nous voyons"))
    monkeypatch.setattr(phrases_package, "__path__", [*phrases_package.__path__, str(tmp_path)])
    try:
        assert "xx" in languages()
        message = render(INCIDENT, languages=["xx"], timezone="UTC")
        assert "Ce que nous voyons" in message.markdown
        assert 'lang="xx"' in message.email_html
    finally:
        sys.modules.pop("redis_ttl.messages.phrases.xx", None)
    with pytest.raises(LookupError, match="no phrases for the language 'yy'"):
        phrases_of("yy")
    assert isinstance(phrases_package, ModuleType)


def test_without_a_limit_a_policy_or_a_cost_it_says_less() -> None:
    """What isn't known isn't said, and nothing is left hanging."""
    bare = replace(
        INCIDENT,
        memory=Memory(1_000),
        eviction_policy=None,
        scaling_usd_per_month=None,
        burst=None,
        unknown=(),
        deadline=None,
    )
    text = rendered(bare, "en").email_text
    assert "the server has no limit" in text
    assert "isn't known to us" in text
    assert "larger cluster" not in text
    assert "None" not in text


@pytest.mark.parametrize(("policy", "words"), [("noeviction", "writes fail"), ("allkeys-lru", "keys of any kind")])
def test_what_happens_when_memory_runs_out(policy: str, words: str) -> None:
    """By the server's policy."""
    assert words in rendered(replace(INCIDENT, eviction_policy=policy), "en").email_text
