"""Messages: whole texts, the incident's facts, and names that try to act.

``REWRITE_GOLDEN=1`` writes the golden files anew for a person to read.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import MISSING, fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.services.block_kit import problems_of, words_of_blocks
from redis_ttl.domain.incident.messages import ACTION_REQUIRED, EXAMPLES
from redis_ttl.domain.messages.delivery import News, Why
from redis_ttl.domain.messages.facts.action_required import UnknownFacts
from redis_ttl.domain.messages.facts.any_facts import AnyFacts
from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.drift_found import DriftFound
from redis_ttl.domain.messages.facts.memory import Memory
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult
from redis_ttl.domain.messages.facts.run_aborted import RunAborted
from redis_ttl.domain.messages.kind import STATES, MessageKind
from redis_ttl.domain.policy.policy import Language
from redis_ttl.messages import phrases as phrases_package
from redis_ttl.messages.formats.document import Document
from redis_ttl.messages.phrases import Phrases, languages, phrases_of
from redis_ttl.messages.rendering import RenderedMessage, documents_of, render

GOLDEN = Path(__file__).parent / "golden"
INCIDENT = ACTION_REQUIRED
LANGUAGES = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}
FORMS = ("slack.json", "html", "txt", "md")


def rendered(facts: AnyFacts = INCIDENT, wanted: str = "both", *, redact: bool = False) -> RenderedMessage:
    """The message, for a team in Shanghai."""
    return render(documents_of(facts, languages=LANGUAGES[wanted], timezone="Asia/Shanghai", redacts=redact))


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
@pytest.mark.parametrize("kind", MessageKind)
def test_the_whole_text_is_the_golden_one(kind: MessageKind, wanted: str) -> None:
    """Of every kind, in each language and both, as each format."""
    texts = formats(rendered(EXAMPLES[kind], wanted))
    for form in FORMS:
        golden = GOLDEN / kind.value / f"{wanted}.{form}"
        if os.environ.get("REWRITE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(texts[form])
        assert texts[form] == golden.read_text(), golden.name


def test_there_is_an_example_of_every_kind() -> None:
    """And it says so itself."""
    assert {kind: facts.kind for kind, facts in EXAMPLES.items()} == {kind: kind for kind in MessageKind}


@pytest.mark.parametrize("wanted", LANGUAGES)
@pytest.mark.parametrize("kind", MessageKind)
def test_slack_takes_it(kind: MessageKind, wanted: str) -> None:
    """Its blocks keep the limits that Slack documents, and no text of them pings anybody."""
    message = rendered(EXAMPLES[kind], wanted)
    assert problems_of({"text": message.slack_text, "blocks": message.slack_blocks}) == []


@pytest.mark.parametrize("kind", MessageKind)
def test_chinese_is_chinese(kind: MessageKind) -> None:
    """No English sentence is left in a Chinese message: outside of code, three Latin words in a row are a name or a forgotten phrase."""
    text = rendered(EXAMPLES[kind], "zh").markdown
    bare = re.sub(r"```.*?```|`[^`]*`|<[^>]*>|\*\*[^*]*\*\*", "", text, flags=re.DOTALL).replace("next node size", "")
    assert re.findall(r"[A-Za-z]{2,}(?:\s+[A-Za-z]{2,}){2,}", bare) == []


@pytest.mark.parametrize("kind", MessageKind)
def test_documents_survive_the_store(kind: MessageKind) -> None:
    """What is written as JSON and read again says the same."""
    documents = documents_of(EXAMPLES[kind], languages=("en", "zh"), timezone="UTC")
    read = [Document.from_json(json.loads(json.dumps(document.to_json()))) for document in documents]
    assert read == list(documents)


FACTS = {
    "both": [
        "luckyus-isales-market", "87.5%", "2.10 GiB", "2.40 GiB", "2,623,984", "39.2%", "volatile-lfu", "147,111", "177,450",
        "473", "374,639", "P1", "P2", "2592000", "135",
    ],
    "en": [
        "MARKETING:COUPON:UNREAD:{userId}", "contact:userGroupLabel:set:{groupId}", "never expires", "60 days", "30 days", "7 days",
        "90 days", "about 364 days", "26 February 2026", "12 February 2026, 21:57 (UTC+8)", "22:17 (UTC+8)", "5.2 million", "60%",
        "Once you agree", "SET key value EX", "client.expire(key,", "larger cluster",
    ],
    "zh": [
        "exchange:coupon:high:commodity:price:{id}", "contact:last:activity:{contactId}", "永不过期", "60 天", "30 天", "7 天",
        "90 天", "约 364 天", "2026年2月26日", "2026年2月12日 21:57（UTC+8）", "22:17（UTC+8）", "520 万", "60%", "确认后",
        "SET key value EX", "扩容",
    ],
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
    return {
        "slack": words_of_blocks(message.slack_blocks),
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


def with_names(kind: MessageKind, pattern: str, key: str) -> AnyFacts:
    """The example of a kind, whose patterns, keys and other words of strangers are these."""
    facts = EXAMPLES[kind]
    match facts:
        case BurstDetected():
            client = replace(facts.clients[0], name=key or "x", user=pattern, host=key)
            rows = tuple(replace(row, pattern=pattern, examples=(key,)) for row in facts.patterns)
            return replace(facts, clients=(client,), jobs=(pattern,), patterns=rows)
        case RunAborted():
            return replace(facts, reason=key or "x", by=pattern, patterns=(pattern, key))
        case DriftFound():
            rows_ = tuple(replace(row, pattern=pattern, examples=(key,)) for row in facts.findings)
            return replace(facts, findings=rows_, accepted_by=key)
        case _:
            if isinstance(facts, MemoryLevel):
                return facts
            changed: dict[str, Any] = {"pattern": pattern or "x"}
            if hasattr(facts.rules[0], "examples"):
                changed["examples"] = (key,)
            changes: dict[str, Any] = {"rules": tuple(replace(rule, **changed) for rule in facts.rules)}
            if hasattr(facts, "unknown"):
                changes["unknown"] = (UnknownFacts(pattern or "x", 1),)
            return replace(facts, **changes)


def shape_of(message: RenderedMessage) -> list[object]:
    """What blocks and pieces a message has, without their words."""
    shape: list[object] = json.loads(
        re.sub(r'"(text|url)": "(?:[^"\\]|\\.)*"', r'"\1": ""', json.dumps(message.slack_blocks))
    )
    return shape


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(MessageKind), names, names)
def test_no_name_acts_in_any_format(kind: MessageKind, pattern: str, key: str) -> None:
    """Whatever a name is made of: no mention, no tag, no link, no broken table, and within Slack's limits."""
    message, usual = rendered(with_names(kind, pattern, key)), rendered(with_names(kind, "x", "y"))
    assert words_of(message.email_html).tags == words_of(usual.email_html).tags
    assert problems_of({"text": message.slack_text, "blocks": message.slack_blocks}) == []
    assert shape_of(message) == shape_of(usual)
    tables = [line for line in message.markdown.splitlines() if line.startswith("|")]
    assert len(tables) == sum(line.startswith("|") for line in usual.markdown.splitlines())
    assert len(message.markdown.splitlines()) == len(usual.markdown.splitlines())
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\u200b]", message.email_text + message.markdown + message.slack_text
    )


def test_long_tables_are_counted_not_cut() -> None:
    """Two hundred rules fit into Slack, and those that aren't shown are said to be there."""
    many = tuple(replace(INCIDENT.rules[0], pattern=f"{'p' * 100}:{number}:{{id}}") for number in range(200))
    message = rendered(replace(INCIDENT, rules=many), "en")
    text = words_of_blocks(message.slack_blocks)
    shown = len(re.findall(r"p+:\d+:\{id\}\nKeys", text))
    left = [int(found) for found in re.findall(r"… \+(\d+)", text)]
    assert shown + sum(left) == 200
    assert message.email_html.count("<tr>") > 200


@pytest.mark.parametrize("language", languages())
def test_a_language_fills_every_sentence(language: str) -> None:
    """Each phrase has the placeholders that English has, and none is empty; between Chinese sentences there is nothing."""
    english, other = sentences(phrases_of("en")), sentences(phrases_of(language))
    assert english.keys() == other.keys()
    for name, template in english.items():
        assert set(re.findall(r"\{\w+\}", template)) == set(re.findall(r"\{\w+\}", other[name])), name
        assert other[name].strip() or name == "between_sentences", name


def sentences(phrases: object, before: str = "") -> dict[str, str]:
    """All sentences of a language by their names."""
    found: dict[str, str] = {}
    for field in fields(phrases):  # type: ignore[arg-type]
        value = getattr(phrases, field.name)
        if isinstance(value, str):
            found[f"{before}{field.name}"] = value
        elif is_dataclass(value):
            found |= sentences(value, f"{before}{field.name}.")
    return found


@pytest.mark.parametrize("kind", MessageKind)
def test_a_kind_has_phrases(kind: MessageKind) -> None:
    """A language that forgets a kind of message can't be made: its phrases have no default."""
    own = next(field for field in fields(Phrases) if field.name == kind.value)
    assert own.default is MISSING
    assert own.default_factory is MISSING


def test_policies_may_name_every_language() -> None:
    """A file of phrases that no policy could ask for, or a language without phrases, is a mistake."""
    assert set(Language) == set(languages())


def test_a_third_language_is_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a file of phrases beside the others, messages are written in it; nothing else changes."""
    source = Path(str(phrases_package.__file__)).parent / "en.py"
    (tmp_path / "xx.py").write_text(source.read_text().replace("What we found", "Ce que nous voyons"))
    monkeypatch.setattr(phrases_package, "__path__", [*phrases_package.__path__, str(tmp_path)])
    try:
        assert "xx" in languages()
        message = render(documents_of(INCIDENT, languages=["xx"], timezone="UTC"))
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
        cost=None,
        burst=None,
        unknown=(),
    )
    text = rendered(bare, "en").email_text
    assert "the server has no memory limit" in text
    assert "The eviction policy is unknown" in text
    assert "larger cluster" not in text
    assert "None" not in text


@pytest.mark.parametrize(("policy", "words"), [("noeviction", "writes fail"), ("allkeys-lru", "can evict any key")])
def test_what_happens_when_memory_runs_out(policy: str, words: str) -> None:
    """By the server's policy."""
    assert words in rendered(replace(INCIDENT, eviction_policy=policy), "en").email_text


def test_what_is_agreed_is_not_asked_again() -> None:
    """With every rule signed off nobody is asked to say yes; with some of them, those are marked."""
    agreed = tuple(replace(rule, signed_off=True) for rule in INCIDENT.rules)
    everything = rendered(replace(INCIDENT, rules=agreed), "en").email_text
    assert "Once you agree" not in everything
    assert "Reply OK" not in everything
    assert everything.count("days (agreed)") == 4
    some = rendered(replace(INCIDENT, rules=(*agreed[:1], *INCIDENT.rules[1:])), "en").email_text
    assert "Once you agree" in some
    assert some.count("days (agreed)") == 1


def test_without_a_link_it_says_where_to_answer() -> None:
    """An Airflow that doesn't know its own address is found by the DAG and its task."""
    text = rendered(replace(EXAMPLES[MessageKind.APPROVAL_REQUESTED], link=None), "both").email_text
    assert "DAG redis_ttl.luckyus-isales-market.remediate, task approve_plan" in text
    assert "任务 approve_plan" in text


def test_a_long_summary_fits() -> None:
    """Of thirty small things Slack shows ten and the titles of the others."""
    documents = [
        document for kind in MessageKind for document in documents_of(EXAMPLES[kind], languages=("en",), timezone="UTC")
    ] * 4
    message = render(documents, "many")
    assert problems_of({"text": message.slack_text, "blocks": message.slack_blocks}) == []
    assert sum(block["type"] == "header" for block in message.slack_blocks) == 10
    words = words_of_blocks(message.slack_blocks)
    assert all(words.count(document.title) == 4 for document in documents)
    assert message.email_html.count("<h1") == 32


@pytest.mark.parametrize("timezone", ["America/New_York", "Pacific/Kiritimati"])
def test_a_day_is_a_day_everywhere(timezone: str) -> None:
    """The date that a rule names is not moved by the reader's clock."""
    facts = EXAMPLES[MessageKind.DRIFT_FOUND]
    assert "28 February 2026" in render(documents_of(facts, languages=("en",), timezone=timezone)).email_text


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (129_600, "1 day 12 hours", "1 天 12 小时"),
        (60 * 86_400, "60 days", "60 天"),
        (30 * 3_600, "1 day 6 hours", "1 天 6 小时"),
        (90, "1 minute 30 seconds", "1 分钟 30 秒"),
        (86_400 - 20, "1 day", "1 天"),
        (7 * 86_400 + 60_480, "7 days 17 hours", "7 天 17 小时"),
        (1, "1 second", "1 秒"),
        (0, "0 seconds", "0 秒"),
    ],
)
def test_a_ttl_keeps_its_hours(seconds: int, en: str, zh: str) -> None:
    """What is agreed on isn't rounded to days; what was measured is said in one unit."""
    assert (phrases_of("en").duration(seconds), phrases_of("zh").duration(seconds)) == (en, zh)
    assert phrases_of("en").about(int(363.6 * 86_400)) == "364 days"


def test_a_cap_alone_is_not_about_missing_ttls() -> None:
    """Where every key has a TTL and some too long a one, nothing is said of keys that never expire."""
    (rule,) = [rule for rule in INCIDENT.rules if rule.caps]
    facts = replace(INCIDENT, no_ttl_keys=0, rules=(replace(rule, current_ttl_s=None),), unknown=(), burst=None)
    text = rendered(facts, "en").email_text
    assert "Redis keys whose TTL is too long" in text
    assert "over 90 days" in text
    assert "never expire" not in text
    assert "volatile-lfu" not in text


@pytest.mark.parametrize(("why", "prefix"), [(Why.UPDATE, "Update: "), (Why.REMINDER, "Reminder: "), (Why.FIRST, "")])
@pytest.mark.parametrize("kind", MessageKind)
def test_a_state_that_is_told_again_says_so(kind: MessageKind, why: Why, prefix: str) -> None:
    """In its title, an update with what is new; what has happened once doesn't."""
    facts = EXAMPLES[kind]
    news = News(why, frozenset(facts.items[:1]) if why is Why.UPDATE else frozenset())
    message = render(documents_of(facts, languages=("en",), timezone="UTC", news=news))
    usual = render(documents_of(facts, languages=("en",), timezone="UTC"))
    assert message.subject == f"{prefix if kind in STATES else ''}{usual.subject}"
    assert ("New since the last message: " in message.email_text) is (why is Why.UPDATE and kind in STATES)
    assert problems_of({"text": message.slack_text, "blocks": message.slack_blocks}) == []


def test_a_summary_says_what_and_where_of_each() -> None:
    """Five messages in both languages: every title, the first rows, and the way to the whole."""
    kinds = list(MessageKind)[:5]
    documents = [
        each for kind in kinds for each in documents_of(EXAMPLES[kind], languages=("en", "zh"), timezone="UTC")
    ]
    message = render(documents, "5 things")
    assert problems_of({"text": message.slack_text, "blocks": message.slack_blocks}) == []
    words = words_of_blocks(message.slack_blocks)
    assert all(document.title in words for document in documents)
    assert "… +" not in words.replace("… +2", "")  # of the rows alone
    assert words.count("MARKETING:COUPON:UNREAD:{userId}") >= 4
    assert json.dumps(message.slack_blocks).count('"url"') == len(documents)


def test_a_link_in_a_comment_is_no_link() -> None:
    """What somebody wrote stands as code: no format makes an address of it."""
    aborted = EXAMPLES[MessageKind.RUN_ABORTED]
    assert isinstance(aborted, RunAborted)
    facts = replace(aborted, by="mallory", reason="see https://evil.example and www.evil.example")
    message = rendered(facts, "en")
    assert "evil" not in "".join(re.findall(r'href="([^"]*)"', message.email_html))
    assert "`see https://evil.example and www.evil.example`" in message.markdown
    links = [piece for piece in re.findall(r'"url": "([^"]*)"', json.dumps(message.slack_blocks)) if "evil" in piece]
    assert links == []


def test_memory_that_has_fallen_already_is_not_foretold() -> None:
    """A forecast above what is in use now isn't called a fall."""
    result = EXAMPLES[MessageKind.REMEDIATION_RESULT]
    assert isinstance(result, RemediationResult)
    facts = replace(result, memory_expected_bytes=10**12)
    assert "falls to" not in rendered(facts, "en").email_text
