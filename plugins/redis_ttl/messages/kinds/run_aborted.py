"""The message that a remediation ended before its end: by what, what was written until then, how to go on or back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.messages.facts.run_aborted import AbortCause
from redis_ttl.messages.figures import printable
from redis_ttl.messages.formats.document import Document, Paragraph, Part, Span, link, name, say, strong
from redis_ttl.messages.message_context import CRITICAL, WARNING

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.run_aborted import RunAborted
    from redis_ttl.messages.message_context import MessageContext

_REASON_WIDTH: Final = 500
_PATTERNS: Final = 10


def run_aborted_document(facts: RunAborted, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.run_aborted
    parts: list[Part] = [Paragraph(say(phrases.greeting, owner=strong(facts.owner)))]
    if facts.reason is not None:
        # In the words of a guard or a person: quoted, not translated; as code, in which no address becomes a link.
        reason = Span(printable(facts.reason, _REASON_WIDTH), name=True)
        said = (
            say(own.reason, reason=reason) if facts.by is None else say(own.said_by, by=name(facts.by), reason=reason)
        )
        parts.append(Paragraph(said))
    if facts.changed_keys:
        figures: dict[str, Span | str] = {
            "changed": strong(phrases.count(facts.changed_keys)),
            "planned": phrases.count(facts.planned_keys),
        }
        parts.append(Paragraph(say(own.changed, **figures)))
    else:
        parts.append(Paragraph(say(own.nothing)))
    parts.append(Paragraph(say(own.patterns, names=context.names(facts.patterns, most=_PATTERNS))))
    remediate, rollback = (name(f"redis_ttl.{facts.cluster}.{job}") for job in ("remediate", "rollback"))
    if facts.changed_keys:
        parts += [
            Paragraph(say(own.go_on)),
            Paragraph(say(own.take_back, dag=rollback, plan=name(facts.plan_id))),
        ]
    else:
        parts.append(Paragraph(say(own.new_plan, dag=remediate)))
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    accent = CRITICAL if facts.cause in {AbortCause.GUARD, AbortCause.FAILED} else WARNING
    return Document(context.language, _title(facts.cause, context).format(cluster=facts.cluster), accent, tuple(parts))


def _title(cause: AbortCause, context: MessageContext) -> str:
    own = context.phrases.run_aborted
    match cause:
        case AbortCause.GUARD:
            return own.title_guard
        case AbortCause.OPERATOR:
            return own.title_operator
        case AbortCause.REJECTED:
            return own.title_rejected
        case AbortCause.TIMED_OUT:
            return own.title_timed_out
        case AbortCause.INVALID:
            return own.title_invalid
        case AbortCause.FAILED:
            return own.title_failed
        case _:
            assert_never(cause)
