"""The message about keys that must get a TTL: what is seen, which keys, who does what, by when, and what it costs not to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.messages.facts.action_required import ValueKind
from redis_ttl.messages.figures import ratio, size
from redis_ttl.messages.formats.document import (
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Part,
    Span,
    Table,
    link,
    name,
    say,
    strong,
)
from redis_ttl.messages.idioms import field_idiom, idiom
from redis_ttl.messages.message_context import CRITICAL, WARNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.messages.facts.action_required import ActionRequired, BurstFacts, RuleFacts
    from redis_ttl.messages.message_context import MessageContext

#: Of one kind of value; of more it is said how many.
_PATTERNS_SHOWN: Final = 4


def action_required_document(facts: ActionRequired, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.action_required
    deadline = phrases.date(facts.deadline)
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Heading(own.see_heading),
        *(Paragraph(line) for line in _seen(facts, context)),
    ]
    if facts.rules:
        parts += [Heading(own.rules_heading), _rules(facts, context)]
        if facts.freed_bytes is not None:
            parts.append(Paragraph(say(own.freed, size=size(facts.freed_bytes))))
        parts += [
            Paragraph(line) for line in context.examples(rule.examples[0] for rule in facts.rules if rule.examples)
        ]
    if facts.unknown:
        parts += [Heading(own.unknown_heading), Paragraph(say(own.unknown_intro)), _unknown(facts, context)]
        if facts.other_unknown_patterns:
            others = phrases.count(facts.other_unknown_patterns), phrases.count(facts.other_unknown_keys)
            parts.append(Paragraph(say(own.others, patterns=others[0], keys=others[1])))
    warn = f"{100 * facts.memory_warn_ratio:.3g}%"
    parts += [
        Heading(own.we_heading),
        Bullets((say(own.we_apply_agreed if _is_agreed(facts) else own.we_apply), say(own.we_watch, warn=warn))),
        Heading(phrases.you_heading),
        *_asked(facts, context),
    ]
    parts += [Heading(own.by_when.format(deadline=deadline)), Paragraph(say(own.otherwise))]
    if facts.cost is not None:
        parts.append(Paragraph(context.cost(facts.cost)))
    parts.append(Paragraph(say(own.source, audit=name(facts.audit_id), moment=context.moment(facts.audited_at))))
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    full = facts.memory.worst_ratio
    critical = full is not None and full >= facts.memory_critical_ratio
    lacks_ttl = bool(facts.unknown) or any(rule.no_ttl_keys for rule in facts.rules)
    template = own.title if lacks_ttl else own.title_longer
    title = template.format(priority=facts.priority, cluster=facts.cluster, deadline=deadline)
    return Document(context.language, title, CRITICAL if critical else WARNING, tuple(parts))


def _seen(facts: ActionRequired, context: MessageContext) -> list[Line]:
    own = context.phrases.action_required
    lines = [context.memory(facts.cluster, facts.memory, facts.audited_at)]
    if facts.no_ttl_keys:
        lines.append(context.no_ttl(facts.no_ttl_keys - facts.ending_keys, facts.keys))
        if facts.ending_keys:
            lines.append(say(own.ending, keys=context.phrases.count(facts.ending_keys)))
        lines += [context.eviction(facts.eviction_policy), say(own.grows)]
    if facts.growth_bytes_per_day is not None and facts.growth_bytes_per_day > 0:
        lines.append(say(own.growth, size=size(facts.growth_bytes_per_day)))
    return lines


def _rules(facts: ActionRequired, context: MessageContext) -> Table:
    phrases, own = context.phrases, context.phrases.action_required
    header = (
        phrases.column_pattern,
        phrases.column_keys,
        own.column_now,
        own.column_proposed,
        phrases.column_size,
        phrases.column_priority,
    )
    rows = tuple(
        (
            (name(rule.pattern),),
            say(phrases.count(rule.concerned_keys)),
            _now(rule, context),
            _proposed(rule, context),
            say(context.size(rule.size_bytes)),
            say(rule.priority),
        )
        for rule in facts.rules
    )
    return Table(header, rows, right=(1, 4))


def _is_agreed(facts: ActionRequired) -> bool:
    """Whether nothing is left to be agreed: what is there can be changed, and the code must be."""
    return bool(facts.rules) and all(rule.signed_off for rule in facts.rules)


def _proposed(rule: RuleFacts, context: MessageContext) -> Line:
    duration = strong(context.phrases.duration(rule.ttl_s))
    return say(context.phrases.action_required.agreed, duration=duration) if rule.signed_off else (duration,)


def _now(rule: RuleFacts, context: MessageContext) -> Line:
    own = context.phrases.action_required
    if not rule.longer_keys or rule.no_ttl_keys == rule.concerned_keys:
        return (strong(own.never),)
    if rule.current_ttl_s is None:
        longer = say(own.longer, duration=context.phrases.duration(rule.ttl_s))
        if not rule.no_ttl_keys:
            return longer
        return say(own.mixed_longer, share=ratio(rule.no_ttl_keys / rule.concerned_keys), longer=longer)
    about = context.phrases.about(rule.current_ttl_s)
    if not rule.no_ttl_keys:
        return say(own.about, duration=about)
    return say(own.mixed, share=ratio(rule.no_ttl_keys / rule.concerned_keys), duration=about)


def _unknown(facts: ActionRequired, context: MessageContext) -> Table:
    phrases = context.phrases
    rows = tuple(
        (
            (name(row.pattern),),
            say(phrases.count(row.no_ttl_keys)),
            say("" if row.size_bytes is None else size(row.size_bytes)),
        )
        for row in facts.unknown
    )
    return Table((phrases.column_pattern, phrases.column_no_ttl, phrases.column_size), rows, right=(1, 2))


def _asked(facts: ActionRequired, context: MessageContext) -> list[Part]:
    own = context.phrases.action_required
    parts: list[Part] = []
    if facts.rules:
        if not _is_agreed(facts):
            parts.append(Bullets((say(own.you_review),)))
        parts += [Bullets((say(own.you_change),)), *_advice(facts, context)]
    asked: list[Line] = []
    if facts.burst is not None:
        asked.append(_burst(facts.burst, context))
    if facts.unknown:
        asked.append(say(own.you_own))
    if asked:
        parts.append(Bullets(tuple(asked)))
    return parts


def _burst(burst: BurstFacts, context: MessageContext) -> Line:
    own = context.phrases.action_required
    line = say(
        own.you_burst,
        keys=strong(context.rounded(burst.keys)),
        pattern=name(burst.pattern or "?"),
        since=context.moment(burst.began_at),
        until=context.moment(burst.ended_at),
    )
    if burst.clients:
        line += (*say(context.phrases.between_sentences), *say(own.burst_clients, names=context.names(burst.clients)))
    return line


def _advice(facts: ActionRequired, context: MessageContext) -> list[Part]:
    """For each kind of value that was sampled the way to give it a TTL; the seconds are those of the kind's first pattern."""
    parts: list[Part] = []
    own = context.phrases.advice
    for kind in ValueKind:
        rules = [(rule, each.share) for rule in facts.rules for each in rule.kinds if each.kind is kind]
        if rules:
            parts += _way(getattr(own, kind.value), kind, rules, facts, context)
    unknown = [(rule, 1.0) for rule in facts.rules if not rule.kinds]
    if unknown:
        parts += _way(own.unknown, ValueKind.OTHER, unknown, facts, context)
    return parts


def _way(
    sentence: str,
    kind: ValueKind,
    rules: Sequence[tuple[RuleFacts, float]],
    facts: ActionRequired,
    context: MessageContext,
) -> list[Part]:
    ttl_s = rules[0][0].ttl_s
    patterns: Line = ()
    for rule, share in rules[:_PATTERNS_SHOWN]:
        shown: Line = (name(rule.pattern),)
        if share < 1:
            shown = say(context.phrases.advice.share, pattern=shown, share=ratio(share))
        patterns += (*((Span(context.phrases.between),) if patterns else ()), *shown)
    if left := max(0, len(rules) - _PATTERNS_SHOWN):
        patterns += say(context.phrases.and_more, number=context.phrases.count(left))
    line = say(sentence, patterns=patterns, duration=context.phrases.duration(ttl_s), seconds=f"{ttl_s}")
    parts: list[Part] = [Bullets((line,)), Code(idiom(kind, ttl_s, knows_expire_nx=facts.knows_expire_nx))]
    if kind is ValueKind.HASH and facts.knows_field_ttls:
        parts += [Bullets((say(context.phrases.advice.field),)), Code(field_idiom(ttl_s))]
    return parts
