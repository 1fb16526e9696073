"""The message that a plan was written: what became of the reader's keys, what is left to do, until when it can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.messages.figures import ratio, size
from redis_ttl.messages.formats.document import Document, Heading, Paragraph, Part, Table, link, name, say, strong
from redis_ttl.messages.message_context import CRITICAL, GOOD, WARNING

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.remediation_result import RemediationResult
    from redis_ttl.messages.message_context import MessageContext


def remediation_result_document(facts: RemediationResult, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.remediation_result
    missed, wiped = sum(rule.missed for rule in facts.rules), sum(rule.wiped for rule in facts.rules)
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Paragraph(say(own.intro)),
        _rules(facts, context),
    ]
    if missed:
        parts.append(Paragraph(say(own.missed, keys=strong(phrases.count(missed)))))
    parts.append(
        Paragraph(
            say(
                own.before_after,
                before=phrases.count(facts.no_ttl_before),
                before_ratio=_share(facts.no_ttl_before, facts.keys_before),
                after=strong(phrases.count(facts.no_ttl_after)),
                after_ratio=strong(_share(facts.no_ttl_after, facts.keys_after)),
            )
        )
    )
    used_bytes = facts.memory_after.used_bytes
    used = strong(size(used_bytes))
    if used_bytes is None:
        parts.append(Paragraph(say(own.memory_unknown)))
    elif facts.memory_expected_bytes is None or facts.memory_expected_bytes >= used_bytes:
        parts.append(Paragraph(say(own.memory, used=used)))
    else:
        parts.append(Paragraph(say(own.memory_falls, used=used, expected=size(facts.memory_expected_bytes))))
    if facts.undo_until is not None:
        undo = say(
            own.undo,
            moment=strong(context.moment(facts.undo_until)),
            dag=name(f"redis_ttl.{facts.cluster}.rollback"),
            plan=name(facts.plan_id),
        )
        parts.append(Paragraph(undo))
    if facts.approved_by:
        parts.append(Paragraph(say(own.approved, names=context.names(facts.approved_by))))
    if wiped:
        parts += [
            Heading(phrases.you_heading),
            Paragraph(say(own.wiped, keys=strong(phrases.count(wiped)))),
        ]
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    template = own.title_missed if missed else own.title
    figures = {"cluster": facts.cluster, "keys": phrases.count(facts.kept)}
    title = template.format(**figures, **({"missed": phrases.count(missed)} if missed else {}))
    accent = CRITICAL if missed else WARNING if wiped else GOOD
    return Document(context.language, title, accent, tuple(parts))


def _rules(facts: RemediationResult, context: MessageContext) -> Table:
    """A row a rule; a figure that is 0 in every row has no column."""
    phrases, own = context.phrases, context.phrases.remediation_result
    columns = [
        (own.column_planned, [rule.planned for rule in facts.rules]),
        (own.column_kept, [rule.kept for rule in facts.rules]),
        (own.column_changed, [rule.changed for rule in facts.rules]),
        (own.column_wiped, [rule.wiped for rule in facts.rules]),
        (own.column_gone, [rule.gone for rule in facts.rules]),
        (own.column_left_alone, [rule.left_alone for rule in facts.rules]),
        (own.column_missed, [rule.missed for rule in facts.rules]),
        (phrases.column_no_ttl, [rule.no_ttl_keys for rule in facts.rules]),
    ]
    shown = [column for number, column in enumerate(columns) if number < 2 or any(column[1])]  # noqa: PLR2004  # planned and set
    rows = tuple(
        ((name(rule.pattern),), *(say(phrases.count(figures[number])) for _, figures in shown))
        for number, rule in enumerate(facts.rules)
    )
    header = (phrases.column_pattern, *(title for title, _ in shown))
    return Table(header, rows, right=tuple(range(1, len(header))))


def _share(part: int, whole: int) -> str:
    return ratio(part / whole if whole else 0.0)
