"""From facts to documents, one for each language; and from documents to every format in which they can be sent or kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, assert_never
from zoneinfo import ZoneInfo

from redis_ttl.domain.messages.delivery import News, Why
from redis_ttl.domain.messages.facts.action_required import ActionRequired
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested
from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.drift_found import DriftFound
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult
from redis_ttl.domain.messages.facts.rollback_result import RollbackResult
from redis_ttl.domain.messages.facts.run_aborted import RunAborted
from redis_ttl.messages.figures import printable
from redis_ttl.messages.formats.as_email import as_html
from redis_ttl.messages.formats.as_markdown import as_markdown, as_text
from redis_ttl.messages.formats.as_slack import as_blocks, as_fallback
from redis_ttl.messages.formats.document import Button, Paragraph, Table, say
from redis_ttl.messages.kinds.action_required import action_required_document
from redis_ttl.messages.kinds.approval_requested import approval_requested_document
from redis_ttl.messages.kinds.burst_detected import burst_detected_document
from redis_ttl.messages.kinds.drift_found import drift_found_document
from redis_ttl.messages.kinds.memory_level import memory_level_document
from redis_ttl.messages.kinds.remediation_result import remediation_result_document
from redis_ttl.messages.kinds.rollback_result import rollback_result_document
from redis_ttl.messages.kinds.run_aborted import run_aborted_document
from redis_ttl.messages.message_context import MessageContext
from redis_ttl.messages.phrases import phrases_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.messages.formats.document import Document

_BRIEF_ROWS: Final = 4
_FIRST: Final = News(Why.FIRST)


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """One message in every form in which it can be sent or kept; all of them say the same.

    ``slack_text`` is what a notification shows and what is read out; ``slack_blocks`` is the message itself (Block Kit).
    """

    subject: str
    slack_text: str
    slack_blocks: list[dict[str, Any]]
    email_html: str
    email_text: str
    markdown: str


def documents_of(
    facts: AnyFacts, *, languages: Sequence[str], timezone: str, redacts: bool = False, news: News = _FIRST
) -> tuple[Document, ...]:
    """The message in each of the languages, in their order; ``redacts`` leaves names of keys out. A state that is told again says so, and
    what of it is new.

    Raises `LookupError` for a language that there are no phrases of.
    """
    zone = ZoneInfo(timezone)
    contexts = (MessageContext(language, phrases_of(language), zone, redacts=redacts) for language in languages)
    documents = (_told_again(_document(facts, context), facts, news, context) for context in contexts)
    # A title becomes a line of a mail's head.
    return tuple(replace(document, title=printable(document.title)) for document in documents)


def _told_again(document: Document, facts: AnyFacts, news: News, context: MessageContext) -> Document:
    """The document of a state with why it comes once more; any other as it is."""
    if not isinstance(facts, ActionRequired | DriftFound) or news.why is Why.FIRST:
        return document
    phrases = context.phrases
    if news.why is Why.REMINDER:
        return replace(document, title=phrases.reminder.format(title=document.title))
    names = list(dict.fromkeys(facts.patterns[item] for item in facts.items if item in news.new))
    greeting, *parts = document.parts
    new = Paragraph(say(phrases.new, names=context.names(names)))
    return replace(document, title=phrases.update.format(title=document.title), parts=(greeting, new, *parts))


def summary_title(count: int, languages: Sequence[str]) -> str:
    """The subject of a message that has several small ones."""
    return " / ".join(phrases_of(language).summary.format(count=count) for language in languages)


def render(documents: Sequence[Document], subject: str | None = None) -> RenderedMessage:
    """All documents as one message with their titles; a daily summary has a subject of its own, and in Slack says less of each."""
    shown = documents if subject is None else [_brief(document) for document in documents]
    subject = subject or " / ".join(document.title for document in documents)
    return RenderedMessage(
        subject=subject,
        slack_text=as_fallback(subject),
        slack_blocks=as_blocks(shown),
        email_html=as_html(documents),
        email_text=as_text(documents),
        markdown=as_markdown(documents),
    )


def _brief(document: Document) -> Document:
    """What somebody needs to know whether to look: the title, the first rows, the way to the whole."""
    table = next((part for part in document.parts if isinstance(part, Table)), None)
    links = [part for part in document.parts if isinstance(part, Button) or _is_link(part)]
    rows = [] if table is None else [replace(table, rows=table.rows[:_BRIEF_ROWS])]
    first = [] if rows else [part for part in document.parts if isinstance(part, Paragraph)][1:2]
    return replace(document, parts=(*rows, *first, *links))


def _is_link(part: object) -> bool:
    return isinstance(part, Paragraph) and any(span.url is not None for span in part.line)


def _document(facts: AnyFacts, context: MessageContext) -> Document:
    match facts:
        case ActionRequired():
            return action_required_document(facts, context)
        case ApprovalRequested():
            return approval_requested_document(facts, context)
        case RemediationResult():
            return remediation_result_document(facts, context)
        case RollbackResult():
            return rollback_result_document(facts, context)
        case DriftFound():
            return drift_found_document(facts, context)
        case MemoryLevel():
            return memory_level_document(facts, context)
        case BurstDetected():
            return burst_detected_document(facts, context)
        case RunAborted():
            return run_aborted_document(facts, context)
        case _:
            assert_never(facts)
