"""The message about keys that must get a TTL: what is seen, which keys, who does what, by when, and what it costs not to."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from redis_ttl.messages.document import (
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Part,
    Span,
    Table,
    name,
    say,
    strong,
)
from redis_ttl.messages.figures import ratio, size

if TYPE_CHECKING:
    from redis_ttl.domain.message import ActionRequired, BurstFacts, RuleFacts
    from redis_ttl.messages.phrases import Phrases

_CRITICAL: Final = "#b42318"
_WARNING: Final = "#b54708"


def action_required_document(
    facts: ActionRequired, phrases: Phrases, *, language: str, timezone: str, redact: bool
) -> Document:
    """The message in one language; ``redact`` leaves the names of keys out."""
    zone = ZoneInfo(timezone)
    full = facts.memory.ratio
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Heading(phrases.what_heading),
        *(Paragraph(line) for line in _seen(facts, phrases, zone)),
    ]
    if facts.rules:
        parts += [Heading(phrases.rules_heading), _rules(facts, phrases)]
        parts += [Paragraph(line) for line in _examples(facts, phrases, redact=redact)]
    if facts.unknown:
        parts += [Heading(phrases.unknown_heading), Paragraph(say(phrases.unknown_intro)), _unknown(facts, phrases)]
        if facts.other_unknown_patterns:
            others = phrases.count(facts.other_unknown_patterns), phrases.count(facts.other_unknown_keys)
            parts.append(Paragraph(say(phrases.others, patterns=others[0], keys=others[1])))
    parts += [
        Heading(phrases.we_heading),
        Bullets((say(phrases.we_apply), say(phrases.we_watch, warn=f"{100 * facts.memory_warn_ratio:.3g}%"))),
        Heading(phrases.you_heading),
        *_asked(facts, phrases, zone),
    ]
    if facts.deadline is not None:
        parts.append(Paragraph(say(phrases.by_when, deadline=strong(phrases.date(facts.deadline)))))
    parts.append(Paragraph(say(phrases.otherwise)))
    if facts.scaling_usd_per_month is not None:
        note = f" ({facts.scaling_note})" if facts.scaling_note else ""
        parts.append(
            Paragraph(say(phrases.otherwise_cost, cost=strong(f"+{facts.scaling_usd_per_month:g}"), note=note))
        )
    parts.append(
        Paragraph(say(phrases.source, audit=name(facts.audit_id), moment=phrases.moment(_at(facts.audited_at, zone))))
    )
    critical = full is not None and full >= facts.memory_critical_ratio
    deadline = "" if facts.deadline is None else phrases.date(facts.deadline)
    title = phrases.subject.format(priority=facts.priority, cluster=facts.cluster, deadline=deadline)
    return Document(language, title, _CRITICAL if critical else _WARNING, tuple(parts))


def _seen(facts: ActionRequired, phrases: Phrases, zone: ZoneInfo) -> list[Line]:
    memory = facts.memory
    figures: dict[str, Span | str] = {
        "cluster": name(facts.cluster),
        "used": strong(size(memory.used_bytes)),
        "moment": phrases.moment(_at(facts.audited_at, zone)),
    }
    lines = [
        say(phrases.what_no_limit, **figures)
        if memory.ratio is None
        else say(
            phrases.what_memory, ratio=strong(ratio(memory.ratio)), limit=strong(size(memory.limit_bytes)), **figures
        ),
        say(
            phrases.what_no_ttl,
            no_ttl=strong(phrases.count(facts.no_ttl_keys)),
            keys=phrases.count(facts.keys),
            ratio=strong(ratio(facts.no_ttl_ratio)),
        ),
    ]
    policy = facts.eviction_policy
    if policy is None:
        lines.append(say(phrases.eviction_unknown))
    else:
        sentence = phrases.eviction_all
        if policy.startswith("volatile-"):
            sentence = phrases.eviction_volatile
        elif policy == "noeviction":
            sentence = phrases.eviction_none
        lines.append(say(sentence, policy=name(policy)))
    return [*lines, say(phrases.grows)]


def _rules(facts: ActionRequired, phrases: Phrases) -> Table:
    header = (
        phrases.column_pattern,
        phrases.column_keys,
        phrases.column_now,
        phrases.column_proposed,
        phrases.column_size,
        phrases.column_priority,
    )
    rows = tuple(
        (
            (name(rule.pattern),),
            say(phrases.count(rule.concerned_keys)),
            _now(rule, phrases),
            (strong(phrases.duration(rule.ttl_s)),),
            say("" if rule.size_bytes is None else size(rule.size_bytes)),
            say(rule.priority),
        )
        for rule in facts.rules
    )
    return Table(header, rows, right=(1, 4))


def _now(rule: RuleFacts, phrases: Phrases) -> Line:
    if rule.current_ttl_s is None or rule.no_ttl_keys == rule.concerned_keys:
        return (strong(phrases.never),)
    about = phrases.duration(rule.current_ttl_s)
    if not rule.no_ttl_keys:
        return say(phrases.about, duration=about)
    return say(phrases.mixed, share=ratio(rule.no_ttl_keys / rule.concerned_keys), duration=about)


def _examples(facts: ActionRequired, phrases: Phrases, *, redact: bool) -> list[Line]:
    found = [rule.examples[0] for rule in facts.rules if rule.examples]
    if redact or not found:
        return []
    spans: list[Line] = [(name(each),) for each in found[:4]]
    before, _, after = phrases.examples.partition("{names}")
    joined: Line = say(before)
    for number, each in enumerate(spans):
        joined += (*(say(", ") if number else ()), *each)
    return [(*joined, *say(after))]


def _unknown(facts: ActionRequired, phrases: Phrases) -> Table:
    rows = tuple(
        (
            (name(row.pattern),),
            say(phrases.count(row.no_ttl_keys)),
            say("" if row.size_bytes is None else size(row.size_bytes)),
        )
        for row in facts.unknown
    )
    return Table((phrases.column_pattern, phrases.column_no_ttl, phrases.column_size), rows, right=(1, 2))


def _asked(facts: ActionRequired, phrases: Phrases, zone: ZoneInfo) -> list[Part]:
    parts: list[Part] = []
    if facts.rules:
        first = facts.rules[0]
        parts.append(Bullets((say(phrases.you_review),)))
        change = say(
            phrases.you_change,
            pattern=name(first.pattern),
            duration=phrases.duration(first.ttl_s),
            seconds=f"{first.ttl_s}",
        )
        parts += [Bullets((change,)), Code(_at_write(first.ttl_s))]
        parts += [Bullets((say(phrases.you_code),)), Code(_after_write(first.ttl_s))]
    asked: list[Line] = []
    if facts.burst is not None:
        asked.append(_burst(facts.burst, phrases, zone))
    if facts.unknown:
        asked.append(say(phrases.you_own))
    if asked:
        parts.append(Bullets(tuple(asked)))
    return parts


def _burst(burst: BurstFacts, phrases: Phrases, zone: ZoneInfo) -> Line:
    return say(
        phrases.you_burst,
        keys=strong(phrases.count(burst.keys)),
        pattern=name(burst.pattern or "?"),
        since=phrases.moment(_at(burst.began_at, zone)),
        until=phrases.moment(_at(burst.ended_at, zone)),
    )


def _at_write(ttl_s: int) -> tuple[str, ...]:
    """One line for each idiom: redis-cli, redis-py, Jedis, Lettuce, go-redis, node-redis."""
    return (
        f"SET key value EX {ttl_s}",
        f"client.set(key, value, ex={ttl_s})                          # redis-py",
        f"jedis.setex(key, {ttl_s}, value);                           // Jedis",
        f"commands.setex(key, {ttl_s}, value);                        // Lettuce",
        f"rdb.Set(ctx, key, value, {ttl_s}*time.Second)               // go-redis",
        f"await client.set(key, value, {{ EX: {ttl_s} }});              // node-redis",
    )


def _after_write(ttl_s: int) -> tuple[str, ...]:
    return (f"EXPIRE key {ttl_s}", f"client.expire(key, {ttl_s})                                 # redis-py")


def _at(moment: str, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.fromisoformat(moment).astimezone(zone)
