"""Puts what a team must hear into the store, once: it is told then, and sent from there when it is due.

All of this needs a store that never replaces a document: a folder does not, an object store looks before it writes, and no more.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.messages.delivery import Route, Why, due_at, folder_of, news_of, reach
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested
from redis_ttl.domain.messages.kind import STATES, MessageKind
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.messages import MessageDocuments

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.domain.policy.policy import Owner
    from redis_ttl.usecases.messages.message_tools import MessageTools


@dataclass(frozen=True, slots=True)
class Post:
    """What became of a message: ``path`` in the store, None when it wasn't news. ``to`` is who is written to, by ``routes``, at ``due``;
    without routes the store is where it stays. ``markdown`` is what it says.
    """

    kind: MessageKind
    owner: str
    to: str
    path: str | None
    why: Why | None
    routes: tuple[Route, ...]
    due: dt.datetime | None
    markdown: str


def post_message(owner: Owner, facts: AnyFacts, tools: MessageTools) -> Post:
    """Write the message into the store, to be sent when it is due, unless all of it was told not long ago."""
    policy, documents = tools.policy, MessageDocuments(tools.documents, tools.policy.cluster)
    contact, routes = reach(owner, policy.messages)
    thread = folder_of(facts.owner, facts.thread)
    while True:
        now = tools.clock.now()
        # Listed once: a message that somebody adds after this has the number that we try to write.
        numbers = documents.numbers(thread)
        remind_after_s = policy.messages.remind_after_s if facts.kind in STATES else None
        news = news_of(facts.items, documents.told(thread, numbers), now, remind_after_s)
        if news is None:
            return Post(facts.kind, facts.owner, contact.team, None, None, (), None, "")
        number = max(numbers, default=0) + 1
        until = facts.answer_by if isinstance(facts, ApprovalRequested) else None
        due = due_at(facts.urgency, contact, policy, now)
        if until is not None and due >= dt.datetime.fromisoformat(until):
            due = now  # rather in quiet hours than when it is too late
        composed = tools.compose(facts, contact, news)
        for route in routes:
            documents.write_pending(Pending(due, route.name, thread, number, 1), route)
        data = {
            "kind": facts.kind.value,
            "cluster": facts.cluster,
            "owner": facts.owner,
            "to": contact.team,
            "urgency": facts.urgency.value,
            "at": now.isoformat(),
            "due": due.isoformat(),
            "until": until,
            "why": news.why.value,
            "items": list(facts.items),
            "routes": [route.name for route in routes],
            "documents": list(composed.documents),
        }
        if documents.write_message(thread, number, data, composed.markdown):
            path = documents.folder(thread, number)
            return Post(facts.kind, facts.owner, contact.team, path, news.why, routes, due, composed.markdown)
