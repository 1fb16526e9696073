"""From facts to a message in every format, in one language or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.message import RenderedMessage
from redis_ttl.messages.action_required import action_required_document
from redis_ttl.messages.as_email import as_html
from redis_ttl.messages.as_markdown import as_markdown, as_text
from redis_ttl.messages.as_slack import as_blocks, as_fallback
from redis_ttl.messages.phrases import phrases_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.message import ActionRequired


def render(facts: ActionRequired, *, languages: Sequence[str], timezone: str, redact: bool = False) -> RenderedMessage:
    """The message; of several languages the first comes first, all in one. ``redact`` leaves names of keys out.

    Raises `LookupError` for a language that there are no phrases of.
    """
    documents = [
        action_required_document(facts, phrases_of(language), language=language, timezone=timezone, redact=redact)
        for language in languages
    ]
    return RenderedMessage(
        subject=" / ".join(document.title for document in documents),
        slack_text=as_fallback(documents),
        slack_blocks=as_blocks(documents),
        email_html=as_html(documents),
        email_text=as_text(documents),
        markdown=as_markdown(documents),
    )
