"""The message that keys without a TTL are back: which, why, since when, and what ends it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, assert_never

from redis_ttl.domain.drift.drift import DriftKind
from redis_ttl.messages.formats.document import (
    Bullets,
    Document,
    Heading,
    Line,
    Paragraph,
    Part,
    Table,
    link,
    name,
    say,
    strong,
)
from redis_ttl.messages.message_context import WARNING

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.drift_found import DriftFacts, DriftFound
    from redis_ttl.messages.message_context import MessageContext


def drift_found_document(facts: DriftFound, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.drift_found
    accepted = context.date(facts.accepted_at)
    compared = (
        say(own.intro, date=accepted)
        if facts.accepted_by is None
        else say(own.intro_accepted, by=name(facts.accepted_by), date=accepted)
    )
    causes = list(dict.fromkeys(row.cause for row in facts.findings))
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Paragraph(compared),
        _findings(facts, context),
        *(Paragraph(line) for line in _aside(facts, context)),
        *(Paragraph(line) for line in context.examples(row.examples[0] for row in facts.findings if row.examples)),
        Heading(phrases.you_heading),
        Bullets(tuple(_asked(cause, facts, context) for cause in causes)),
        Paragraph(say(own.until, dag=name(f"redis_ttl.{facts.cluster}.drift_check"))),
        Paragraph(say(own.source, audit=name(facts.audit_id), moment=context.moment(facts.audited_at))),
    ]
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    if causes == [DriftKind.OVERDUE]:
        title = own.title_overdue.format(cluster=facts.cluster)
    else:
        title = own.title.format(cluster=facts.cluster, keys=phrases.count(facts.new_keys))
    return Document(context.language, title, WARNING, tuple(parts))


def _findings(facts: DriftFound, context: MessageContext) -> Table:
    phrases, own = context.phrases, context.phrases.drift_found
    header = (
        phrases.column_pattern,
        own.column_cause,
        own.column_new,
        phrases.column_no_ttl,
        own.column_growth,
        own.column_since,
    )
    rows = tuple(
        (
            (name(row.pattern),),
            say(_cause(row.cause, context)),
            (strong(phrases.count(row.new_keys)),) if row.new_keys and row.cause is not DriftKind.OVERDUE else (),
            say(phrases.count(row.no_ttl_keys)),
            say(_growth(row)),
            say(context.date(row.since)),
        )
        for row in facts.findings
    )
    return Table(header, rows, right=(2, 3, 4))


def _aside(facts: DriftFound, context: MessageContext) -> list[Line]:
    """What isn't counted, and what tomorrow may tell."""
    own, count = context.phrases.drift_found, context.phrases.count
    rows = [row for row in facts.findings if row.cause is not DriftKind.OVERDUE]
    lines = []
    if churn := sum(row.churn_keys for row in rows):
        lines.append(say(own.churn, keys=count(churn)))
    if ending := sum(row.ending_keys for row in rows):
        lines.append(say(own.ending, keys=count(ending)))
    if any(row.is_unheard_of for row in rows):
        lines.append(say(own.unheard_of))
    return lines


def _cause(cause: DriftKind, context: MessageContext) -> str:
    own = context.phrases.drift_found
    match cause:
        case DriftKind.NEW_WRITER:
            return own.new_writer
        case DriftKind.TTL_WIPED:
            return own.ttl_wiped
        case DriftKind.RULE_MISSING:
            return own.rule_missing
        case DriftKind.OVERDUE:
            return own.overdue
        case _:
            assert_never(cause)


def _asked(cause: DriftKind, facts: DriftFound, context: MessageContext) -> Line:
    own = context.phrases.drift_found
    match cause:
        case DriftKind.NEW_WRITER:
            return say(own.do_new_writer)
        case DriftKind.TTL_WIPED:
            return say(own.do_ttl_wiped)
        case DriftKind.RULE_MISSING:
            return say(own.do_rule_missing)
        case DriftKind.OVERDUE:
            days = sorted({row.due for row in facts.findings if row.cause is cause and row.due is not None})
            # Days of the policy's calendar, and nobody's clock moves them.
            dates = context.phrases.between.join(context.phrases.date(dt.date.fromisoformat(day)) for day in days)
            return say(own.do_overdue, dates=dates)
        case _:
            assert_never(cause)


def _growth(row: DriftFacts) -> str:
    return "" if row.growth_per_day is None else f"{row.growth_per_day:+,.0f}"
