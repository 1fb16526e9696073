"""Advice fits the type of the keys, and what a plan warns of stands above the place where it is approved."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.servers.server import Server
from redis_ttl.domain.incident.messages import ACTION_REQUIRED, EXAMPLES
from redis_ttl.domain.messages.facts.action_required import ActionRequired, KindShare, ValueKind
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested, PlannedFacts
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.messages.formats.document import Bullets, Button, Code, Document, Heading, plain
from redis_ttl.messages.idioms import idiom
from redis_ttl.messages.phrases import phrases_of
from redis_ttl.messages.rendering import documents_of

LANGUAGES = ["en", "zh"]
RULE = ACTION_REQUIRED.rules[0]
#: What makes a value of each kind, and what it is called by the server.
MADE = {
    ValueKind.STRING: ("SET", "value", "string"),
    ValueKind.COUNTER: ("INCR", None, "string"),
    ValueKind.HASH: ("HSET", ("field", "value"), "hash"),
    ValueKind.LIST: ("RPUSH", "element", "list"),
    ValueKind.SET: ("SADD", "member", "set"),
    ValueKind.ZSET: ("ZADD", (1, "member"), "zset"),
    ValueKind.STREAM: ("XADD", ("*", "field", "value"), "stream"),
    ValueKind.OTHER: ("PFADD", "element", "string"),
}
#: Commands that put a value in the place of whatever was there.
REPLACING = re.compile(r"\b(SET|SETEX|GETSET|MSET|RESTORE|DEL|RENAME)\b|\.set\(|setex|\.Set\(")


def asked(*kinds: KindShare, language: str = "en", **changed: object) -> Document:
    """The message about one rule whose sampled keys are of these kinds."""
    facts = replace(ACTION_REQUIRED, rules=(replace(RULE, kinds=kinds),), unknown=(), burst=None, **changed)  # type: ignore[arg-type]
    return documents_of(facts, languages=(language,), timezone="UTC")[0]


def code_of(document: Document) -> str:
    """All lines to be copied."""
    return "\n".join(line for part in document.parts if isinstance(part, Code) for line in part.lines)


def words_of(document: Document) -> str:
    """All bullets."""
    return "\n".join(plain(line) for part in document.parts if isinstance(part, Bullets) for line in part.lines)


@pytest.mark.parametrize("language", LANGUAGES)
@given(st.sets(st.sampled_from(list(ValueKind))))
def test_nothing_that_replaces_a_value_is_shown_for_other_types(language: str, kinds: set[ValueKind]) -> None:
    """SET stands in the message only if strings were sampled; every kind that was has its own command."""
    document = asked(*(KindShare(kind, 1 / len(kinds)) for kind in kinds), language=language)
    code = code_of(document)
    assert bool(REPLACING.search(code)) == (ValueKind.STRING in kinds)
    for kind in kinds - {ValueKind.OTHER, ValueKind.COUNTER}:
        assert f"{MADE[kind][0]} key" in code
    assert str(RULE.ttl_s) in code
    assert "EXPIRE" in code or kinds <= {ValueKind.STRING, ValueKind.COUNTER}


@pytest.mark.parametrize("knows_nx", [True, False])
@pytest.mark.parametrize("kind", ValueKind)
def test_an_idiom_does_what_it_promises(any_server: Server, kind: ValueKind, *, knows_nx: bool) -> None:
    """Run on a real server over a key of that kind, the lines leave its type and its elements, and give it the TTL."""
    with any_server.client() as client:
        nx_works = kind is ValueKind.COUNTER and knows_nx and client.info("server")["redis_version"] >= "7"
        command, value, type_name = MADE[kind]
        made = [command, "key", *(value if isinstance(value, tuple) else [] if value is None else [value])]
        client.execute_command(*made)
        for line in idiom(kind, 5_000, knows_expire_nx=nx_works):
            if "//" in line:
                continue
            if line.endswith(("# redis-py", "# redis-py, no MULTI")):
                names = {"client": client, "key": "key", "value": "v", "field": "f", "member": "m", "score": 1.0}
                exec(line.partition("#")[0], {**names, "fields": {"f": "v"}, "element": "e"})
            else:
                client.execute_command(*line.split())
        assert client.type("key") == type_name.encode()
        # A counter that had a value before has had its first INCR: without NX, only a new one gets the TTL.
        if kind is not ValueKind.COUNTER or nx_works:
            assert 4_990 < client.ttl("key") <= 5_000


def test_a_mixed_pattern_says_how_much_of_what() -> None:
    """Each kind has its share; one kind alone has none."""
    mixed = asked(KindShare(ValueKind.STRING, 0.6), KindShare(ValueKind.HASH, 0.4))
    assert f"Strings written by SET ({RULE.pattern} 60.0%)" in words_of(mixed)
    assert f"Hashes ({RULE.pattern} 40.0%)" in words_of(mixed)
    assert f"({RULE.pattern})" in words_of(asked(KindShare(ValueKind.HASH, 1.0)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_unknown_types_get_what_fits_every_type(language: str) -> None:
    """Where types weren't sampled only EXPIRE is shown."""
    document = asked(language=language)
    assert code_of(document).splitlines() == [
        f"EXPIRE key {RULE.ttl_s}",
        f"client.expire(key, {RULE.ttl_s})  # redis-py",
    ]
    assert ("not sampled" if language == "en" else "未抽样") in words_of(document)


def test_field_ttls_are_an_option_where_the_server_has_them() -> None:
    """And for hashes only."""
    hashes, sets = KindShare(ValueKind.HASH, 0.5), KindShare(ValueKind.SET, 0.5)
    assert "HEXPIRE" in code_of(asked(hashes, sets, knows_field_ttls=True))
    assert "HEXPIRE" not in code_of(asked(hashes, sets))
    assert "HEXPIRE" not in code_of(asked(sets, knows_field_ttls=True))
    counters = KindShare(ValueKind.COUNTER, 1.0)
    assert "NX" in code_of(asked(counters, knows_expire_nx=True))
    assert "NX" not in code_of(asked(counters))


def test_advice_on_lost_ttls_is_for_strings_where_it_says_set() -> None:
    """Whoever reads that keys have lost their TTL isn't told to SET what is no string."""
    for language, strings, others in (("en", "Strings:", "Other types:"), ("zh", "String", "其他类型")):
        phrases = phrases_of(language)
        for sentence in (phrases.drift_found.do_ttl_wiped, phrases.remediation_result.wiped):
            assert sentence.index(strings) < sentence.index("SET") < sentence.index(others)


APPROVAL = EXAMPLES[MessageKind.APPROVAL_REQUESTED]
CAUTIONS = {
    CautionKind.UNGUARDED: Caution(CautionKind.UNGUARDED, kinds=("memory", "evicted_keys")),
    CautionKind.RENEWS: Caution(CautionKind.RENEWS, name="volatile-lrm"),
    CautionKind.STRINGS: Caution(CautionKind.STRINGS, ratio=0.31, ttl_s=86_400),
    CautionKind.EVICTABLE: Caution(CautionKind.EVICTABLE, name="volatile-lfu"),
    CautionKind.OTHER_WAITS: Caution(CautionKind.OTHER_WAITS, name="20260220T190500Z-0a1b2c"),
    CautionKind.OTHER_UNREAD: Caution(CautionKind.OTHER_UNREAD, name="20260220T190500Z-0a1b2c"),
    CautionKind.IN_PLACE: Caution(CautionKind.IN_PLACE, ttl_s=86_400, kinds=("hash 33%",)),
    CautionKind.IN_USE: Caution(CautionKind.IN_USE, ratio=0.31),
    CautionKind.IN_USE_LEFT: Caution(CautionKind.IN_USE_LEFT, ratio=0.31),
    CautionKind.BIG: Caution(CautionKind.BIG, name="10.0.0.7:6379", size_bytes=12 << 20),
    CautionKind.BIG_UNKNOWN: Caution(CautionKind.BIG_UNKNOWN, name="10.0.0.7:6379", size_bytes=12 << 20),
    CautionKind.FIELDS_END: Caution(CautionKind.FIELDS_END, ratio=0.31, ttl_s=3_600),
    CautionKind.FIELDS_CUT: Caution(CautionKind.FIELDS_CUT, ratio=0.31, ttl_s=864_000),
    CautionKind.FIELDS_MIXED: Caution(CautionKind.FIELDS_MIXED, ratio=0.31),
    CautionKind.EXTENDED: Caution(CautionKind.EXTENDED, ratio=0.31),
    CautionKind.TEXT: Caution(CautionKind.TEXT, text="see <https://evil.example>"),
}
FIGURES = {
    "memory use",
    "内存使用率",
    "volatile-lfu",
    "volatile-lrm",
    "20260220T190500Z-0a1b2c",
    "hash 33%",
    "31%",
    "10.0.0.7:6379",
    "12.0 MiB",
    "evil",
}


def requested(*cautions: Caution, of_plan: tuple[Caution, ...] = ()) -> ApprovalRequested:
    """A request about one rule and its plan."""
    assert isinstance(APPROVAL, ApprovalRequested)
    rule = PlannedFacts("their:{id}", "P1", 86_400, 8_640, 10, None, cautions)
    return replace(APPROVAL, rules=(rule,), cautions=of_plan)


@pytest.mark.parametrize("link", [APPROVAL.link, None])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", CautionKind)
def test_what_a_plan_warns_of_stands_above_the_button(kind: CautionKind, language: str, link: str | None) -> None:
    """With its figures and its rule, before the button or the way to the form, in either language."""
    facts = replace(requested(CAUTIONS[kind], of_plan=(CAUTIONS[kind],)), link=link)
    (document,) = documents_of(facts, languages=(language,), timezone="UTC")
    heading = next(at for at, part in enumerate(document.parts) if isinstance(part, Heading))
    assert document.parts[heading] == Heading(phrases_of(language).cautions.heading)
    bullets = document.parts[heading + 1]
    assert isinstance(bullets, Bullets)
    assert all(not isinstance(part, Button) for part in document.parts[:heading])
    of_rule, of_plan = (plain(line) for line in bullets.lines)
    assert of_rule.startswith("their:{id}")
    assert any(figure in of_plan for figure in FIGURES)
    assert of_plan in of_rule


def test_without_warnings_there_is_no_heading_for_them() -> None:
    """Nothing to know is nothing said."""
    (document,) = documents_of(requested(), languages=("en",), timezone="UTC")
    assert "Before you approve" not in repr(document)


def test_of_many_warnings_the_rest_is_counted() -> None:
    """Twenty are shown, and how many more there are."""
    (document,) = documents_of(requested(*[CAUTIONS[CautionKind.IN_USE]] * 25), languages=("en",), timezone="UTC")
    lines = next(part.lines for part in document.parts if isinstance(part, Bullets))
    assert len(lines) == 21
    assert plain(lines[-1]) == "and 5 more, on the plan's page"


def test_every_kind_of_caution_is_tried() -> None:
    """A kind that is added is added here."""
    assert set(CAUTIONS) == set(CautionKind)
    assert all(isinstance(facts, ActionRequired | ApprovalRequested) for facts in (ACTION_REQUIRED, APPROVAL))
