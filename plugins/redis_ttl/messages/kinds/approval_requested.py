"""The message that a plan waits for its approval: what it would do to the reader's keys, what it costs, where to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.messages.figures import ratio, size
from redis_ttl.messages.formats.document import (
    Button,
    Document,
    Heading,
    Paragraph,
    Part,
    Span,
    Table,
    address,
    name,
    say,
    strong,
)
from redis_ttl.messages.message_context import WARNING
from redis_ttl.messages.pages.cautions import caution_parts

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested
    from redis_ttl.messages.message_context import MessageContext

_DIGEST_SHOWN = 12


def approval_requested_document(facts: ApprovalRequested, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.approval_requested
    parts: list[Part] = [Paragraph(say(phrases.greeting, owner=strong(facts.owner))), Paragraph(say(own.intro))]
    parts += caution_parts(
        [
            *((rule.pattern, caution) for rule in facts.rules for caution in rule.cautions),
            *((None, caution) for caution in facts.cautions),
        ],
        context,
    )
    followed = None if facts.link is None else address(facts.link)
    if followed is None:
        where = {"dag": name(f"redis_ttl.{facts.cluster}.remediate"), "gate": name(facts.gate)}
        parts.append(Paragraph(say(own.where, **where)))
    else:
        parts.append(Button(own.button, followed))
    parts.append(Paragraph(say(own.until, moment=strong(context.moment(facts.answer_by)))))
    if facts.approvers:
        parts.append(Paragraph(say(own.approvers, names=context.names(facts.approvers))))
    parts += [Heading(own.rules_heading), _rules(facts, context)]
    parts.append(
        Paragraph(
            say(own.whole_plan, keys=strong(phrases.count(facts.plan_keys)), all=phrases.count(facts.keys)),
        )
    )
    peak = facts.peak
    if peak.used_bytes is None or not peak.limit_is_told:
        parts.append(Paragraph((*say(own.peak_unknown), *context.fullest(peak))))
    elif peak.ratio is not None:
        figures: dict[str, Span | str] = {
            "peak": size(peak.used_bytes),
            "limit": size(peak.limit_bytes),
            "ratio": strong(ratio(peak.ratio)),
        }
        parts.append(Paragraph((*say(own.peak, **figures), *context.fullest(peak))))
    parts += [
        Paragraph(
            say(own.expiries, rate=f"{facts.expiries_per_s:,.0f}")
            if facts.expiries_per_s >= 1
            else say(own.expiries_few)
        ),
        Paragraph(say(own.undo, duration=strong(phrases.duration(facts.undo_s)))),
        Paragraph(say(own.plan, plan=name(facts.plan_id), digest=name(facts.digest[:_DIGEST_SHOWN]))),
    ]
    title = own.title.format(
        priority=facts.priority,
        cluster=facts.cluster,
        keys=phrases.count(sum(rule.keys for rule in facts.rules)),
        deadline=context.moment(facts.answer_by),
    )
    return Document(context.language, title, WARNING, tuple(parts))


def _rules(facts: ApprovalRequested, context: MessageContext) -> Table:
    phrases, own = context.phrases, context.phrases.approval_requested
    header = (
        phrases.column_pattern,
        phrases.column_keys,
        own.column_ttl,
        own.column_expire,
        phrases.column_size,
        phrases.column_priority,
    )
    rows = tuple(
        (
            (name(rule.pattern),),
            say(phrases.count(rule.keys)),
            (strong(phrases.duration(rule.ttl_s)),),
            say(
                own.between,
                first=phrases.duration(rule.ttl_s),
                last=phrases.duration(rule.ttl_s + rule.window_s),
            ),
            say(context.size(rule.size_bytes)),
            say(rule.priority),
        )
        for rule in facts.rules
    )
    return Table(header, rows, right=(1, 4))
