"""The message that keys come in far too fast: which they are, who writes them, what ran at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.watch.events import NotKnown
from redis_ttl.messages.figures import ratio
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
from redis_ttl.messages.message_context import CRITICAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
    from redis_ttl.domain.watch.events import PatternGrowth, WritingClients
    from redis_ttl.messages.message_context import MessageContext

_SHOWN: Final = 8


def burst_detected_document(facts: BurstDetected, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.burst_detected
    is_none = facts.no_ttl_keys is not None and facts.no_ttl_keys <= 0
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Paragraph(
            say(
                own.intro,
                rate=strong(phrases.unknown if facts.keys_per_s is None else f"{facts.keys_per_s:,.0f}"),
                size=context.size(None if facts.used_bytes is None else max(0, facts.used_bytes)),
                no_ttl="0" if is_none else strong(context.count(facts.no_ttl_keys)),
            )
        ),
    ]
    if facts.patterns:
        parts += [Heading(own.patterns_heading), _patterns(facts, context)]
        shown = facts.patterns[:_SHOWN]
        parts += [Paragraph(line) for line in context.examples(row.examples[0] for row in shown if row.examples)]
    if facts.clients:
        clients = [_client(client, context) for client in facts.clients]
        parts += [Heading(own.clients_heading), _bullets(clients, context)]
    if facts.jobs:
        jobs: list[Line] = [(name(job),) for job in facts.jobs]
        parts += [Heading(own.jobs_heading), _bullets(jobs, context)]
    parts += [Paragraph(say(_missing(what, context))) for what in facts.missing]
    parts += [
        Heading(phrases.you_heading),
        Bullets((say(own.do_stop), say(own.do_tell), say(own.do_ttl))),
    ]
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    figures = {"keys": context.rounded(facts.keys), "since": context.moment(facts.since)}
    title = own.title.format(cluster=facts.cluster, **figures)
    return Document(context.language, title, CRITICAL, tuple(parts))


def _bullets(lines: Sequence[Line], context: MessageContext) -> Bullets:
    """As many as are shown, and how many more there are."""
    left = len(lines) - _SHOWN
    more = [say(context.phrases.and_more, number=context.phrases.count(left))] if left > 0 else []
    return Bullets((*lines[:_SHOWN], *more))


def _missing(what: NotKnown, context: MessageContext) -> str:
    own = context.phrases.burst_detected
    match what:
        case NotKnown.AUDIT:
            return own.no_audit
        case NotKnown.KEYS:
            return own.no_randomkey
        case NotKnown.CLIENTS:
            return own.no_client_list
        case NotKnown.KEYSPACE:
            return own.no_keyspace
        case _:
            assert_never(what)


def _patterns(facts: BurstDetected, context: MessageContext) -> Table:
    phrases, own = context.phrases, context.phrases.burst_detected
    header = (phrases.column_pattern, own.column_share, phrases.column_keys, own.column_audited, own.column_ttl)
    rows = tuple(
        (
            (name(row.pattern),),
            say(own.interval, share=ratio(row.share), low=ratio(row.share_low), high=ratio(row.share_high)),
            (strong(phrases.rounded(row.keys)),),
            say(phrases.count(row.audited_keys)),
            _ttl(row, context),
        )
        for row in facts.patterns
    )
    return Table(header, rows, right=(2, 3))


def _ttl(row: PatternGrowth, context: MessageContext) -> Line:
    words = context.phrases.action_required
    if row.ttl_s is None:
        return (strong(words.never),)
    about = context.phrases.about(row.ttl_s)
    if not row.no_ttl_ratio:
        return say(words.about, duration=about)
    return say(words.mixed, share=ratio(row.no_ttl_ratio), duration=about)


def _client(client: WritingClients, context: MessageContext) -> Line:
    own = context.phrases.burst_detected
    return say(
        own.client,
        name=name(client.name) if client.name else own.client_unnamed,
        user=name(client.user or "?"),
        host=name(client.host),
        connections=context.phrases.count(client.connections),
        commands=context.names(client.commands),
    )
