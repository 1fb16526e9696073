"""Tells teams with a real store, a clock that a test moves, and channels that do what a test says."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable
from redis_ttl.domain.messages.delivery import News, Receipt
from redis_ttl.domain.messages.facts.any_facts import AnyFacts
from redis_ttl.domain.messages.kind import MessageKind, Urgency
from redis_ttl.domain.policy.policy import MessageSettings, Owner, Policy
from redis_ttl.messages.formats.as_markdown import as_markdown
from redis_ttl.messages.rendering import documents_of
from redis_ttl.usecases.messages.deliver_messages import Delivery, deliver_due
from redis_ttl.usecases.messages.message_tools import MessageTools
from redis_ttl.usecases.messages.post_message import Post, post_message
from redis_ttl.usecases.ports import RemovableDocuments
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.message_ports import Composed, Envelope
from redis_ttl.usecases.store.messages import MessageDocuments

NOON = dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)

GROWTH = Owner("growth", slack="#growth", email=("growth@example.com",))
SEARCH = Owner("search", slack="#search")
PLATFORM = Owner("platform", slack="#platform", email=("platform@example.com",))
POLICY = Policy(
    "shop",
    "redis",
    GROWTH,
    owners=(SEARCH,),
    messages=MessageSettings(slack_connection="bot", smtp_connection="mail", fallback=PLATFORM),
)


@dataclass(frozen=True)
class Facts:
    """A message that tells these items, as plain as can be."""

    items: tuple[str, ...]
    urgency: Urgency = Urgency.NORMAL
    owner: str = "growth"
    thread: str = "audit"
    cluster: str = "shop"
    kind: MessageKind = MessageKind.DRIFT_FOUND
    serial: int = 0
    """To tell apart messages of the same items."""


def plain(facts: AnyFacts, contact: Owner, news: News | None = None) -> Composed:
    """The items, for that contact."""
    del news
    said = {"items": list(facts.items), "for": contact.team, "serial": getattr(facts, "serial", 0)}
    return Composed([said], "".join(f"* {item}\n" for item in facts.items))


def in_words(facts: AnyFacts, contact: Owner, news: News | None = None) -> Composed:
    """What the tasks send."""
    del news
    documents = documents_of(facts, languages=contact.languages, timezone="UTC")
    return Composed([each.to_json() for each in documents], as_markdown(documents))


class Died(BaseException):
    """The worker's end: nothing catches it."""


@dataclass
class DyingStore:
    """A store whose worker dies just before it changes anything for the ``dies_at``-th time, from 1."""

    store: RemovableDocuments
    dies_at: int
    changes: int = 0

    def _change(self) -> None:
        self.changes += 1
        if self.changes >= self.dies_at:
            raise Died

    def write(self, path: str, data: bytes) -> None:
        """As in the store."""
        self._change()
        self.store.write(path, data)

    def remove(self, path: str) -> None:
        """As in the store."""
        self._change()
        self.store.remove(path)

    def read(self, path: str) -> bytes:
        """As in the store."""
        return self.store.read(path)

    def exists(self, path: str) -> bool:
        """As in the store."""
        return self.store.exists(path)

    def names(self, folder: str) -> list[str]:
        """As in the store."""
        return self.store.names(folder)


@dataclass
class Messaging:
    """The messages of one cluster; ``sent`` is what channels took, with the moment. ``answers`` may raise what a channel raises."""

    root: Path
    policy: Policy = POLICY
    now_at: dt.datetime = NOON
    answers: Callable[[Envelope], None] = lambda _: None
    sent: list[tuple[dt.datetime, Envelope]] = field(default_factory=list)
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> dt.datetime:
        """What the clock shows."""
        return self.now_at

    def monotonic(self) -> float:
        """The same, in seconds."""
        return self.now_at.timestamp()

    def send(self, envelope: Envelope) -> Receipt:
        """What stands for Slack and mail."""
        self.asked += 1
        self.answers(envelope)
        with self._lock:
            self.sent.append((self.now_at, envelope))
            number = str(len(self.sent))
        # As Slack does: what is written below a message has that one's thread.
        below = None if envelope.reply_to is None else envelope.reply_to[0].thread
        return Receipt(self.now_at.isoformat(), "C1", below or number)

    def tools(self, store: RemovableDocuments | None = None) -> MessageTools:
        """Those of one worker, with a store object of its own."""
        return MessageTools(store or Store(self.root), self.policy, plain, self.send, self)

    def post(
        self, *items: str, owner: Owner = GROWTH, urgency: Urgency = Urgency.NORMAL, thread: str = "audit"
    ) -> Post:
        """Tell the owner these items."""
        return post_message(owner, facts(*items, owner=owner, urgency=urgency, thread=thread), self.tools())

    def deliver(self) -> list[Delivery]:
        """Send what is due."""
        return deliver_due(self.tools())

    def pass_by(self, **time: float) -> None:
        """Let so much time go by."""
        self.now_at += dt.timedelta(**time)

    def pending(self) -> list[Pending]:
        """What has yet to be sent."""
        return MessageDocuments(Store(self.root), self.policy.cluster).pending()

    def taken(self) -> Counter[tuple[str, str]]:
        """How often each item went over which route."""
        return Counter((envelope.route.name, item) for _, envelope in self.sent for item in items_of(envelope))

    def routes(self) -> list[str]:
        """The routes over which something went, in order."""
        return [envelope.route.name for _, envelope in self.sent]


def facts(*items: str, owner: Owner = GROWTH, urgency: Urgency = Urgency.NORMAL, thread: str = "audit") -> AnyFacts:
    """Facts of that kind, as far as sending looks at them."""
    return Facts(items, urgency, owner.team, thread)  # type: ignore[return-value]  # a plain one of its own


def items_of(envelope: Envelope) -> Sequence[str]:
    """What is told in it."""
    documents: Sequence[Any] = envelope.documents
    return [item for document in documents for item in document["items"]]


def refuse(*routes: str) -> Callable[[Envelope], None]:
    """Channels of these routes refuse everything."""

    def answers(envelope: Envelope) -> None:
        if envelope.route.name in routes:
            raise ChannelRefused("no such channel", where=envelope.route.name)

    return answers


def silent(*routes: str) -> Callable[[Envelope], None]:
    """Channels of these routes can't be reached."""

    def answers(envelope: Envelope) -> None:
        if envelope.route.name in routes:
            raise ChannelUnavailable("nobody answers", where=envelope.route.name)

    return answers
