"""What sending messages needs from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.domain.messages.delivery import News, Receipt, Route
    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.domain.policy.policy import Owner


@dataclass(frozen=True, slots=True)
class Composed:
    """A message in words: one document for each language as plain data, and the whole as Markdown."""

    documents: Sequence[Mapping[str, object]]
    markdown: str


class Composer(Protocol):
    """Puts facts into a contact's words, those of an update or a reminder where they were told before."""

    def __call__(self, facts: AnyFacts, contact: Owner, news: News) -> Composed: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes over a channel at once.

    ``count`` messages are in it: several small ones go as one. ``message_id`` is the same whenever the same is sent. ``reply_to`` is
    the receipt and the id of the message that this one belongs below; ``is_loud`` shows a reply to everybody all the same.
    """

    route: Route
    documents: Sequence[Mapping[str, object]]
    message_id: str
    count: int = 1
    reply_to: tuple[Receipt, str] | None = None
    is_loud: bool = False


class Sender(Protocol):
    """Sends over Slack or mail. Raises `ChannelRefused` and `ChannelUnavailable`."""

    def __call__(self, envelope: Envelope) -> Receipt: ...
