"""The message that a plan was taken back: which of the reader's keys are as before, and which can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.messages.formats.document import Document, Paragraph, Part, Table, link, name, say, strong
from redis_ttl.messages.message_context import CRITICAL, NEUTRAL

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.rollback_result import RollbackResult
    from redis_ttl.messages.message_context import MessageContext


def rollback_result_document(facts: RollbackResult, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.rollback_result
    header = (
        phrases.column_pattern,
        own.column_journalled,
        own.column_restored,
        own.column_changed,
        own.column_gone,
    )
    rows = tuple(
        (
            (name(rule.pattern),),
            *(say(phrases.count(figure)) for figure in (rule.journalled, rule.restored, rule.changed, rule.gone)),
        )
        for rule in facts.rules
    )
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Paragraph(say(own.intro, plan=name(facts.plan_id))),
        Table(header, rows, right=(1, 2, 3, 4)),
    ]
    if facts.left:
        parts.append(Paragraph(say(own.left, keys=strong(phrases.count(facts.left)))))
    if facts.holes:
        parts.append(Paragraph(say(own.holes, objects=strong(phrases.count(facts.holes)))))
    parts.append(Paragraph(say(own.never)))
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    restored = sum(rule.restored for rule in facts.rules)
    figures = {"cluster": facts.cluster, "keys": phrases.count(restored)}
    if facts.left:
        title = own.title_left.format(**figures, left=phrases.count(facts.left))
    else:
        title = (own.title_holes if facts.holes else own.title).format(**figures)
    level = CRITICAL if facts.left or facts.holes else NEUTRAL
    return Document(context.language, title, level, tuple(parts))
