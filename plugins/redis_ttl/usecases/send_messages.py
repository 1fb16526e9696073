"""Tells teams what they must hear, once, over the channels that they have.

A message is first written into the store, which makes it told, and then sent from there: whoever is killed in between, or meets a
channel that fails, leaves the rest to the next task that sends. A channel gets a message once, but for the moment between its answer
and our writing that down: a worker that dies just then sends it again, under the same message id.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.delivery import (
    THREAD_LASTS,
    Receipt,
    Route,
    due_at,
    folder_of,
    reach,
    retry_at,
    routes_to,
    why_news,
)
from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable
from redis_ttl.domain.message import Urgency
from redis_ttl.usecases.message_documents import MessageDocuments, Pending
from redis_ttl.usecases.message_ports import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.delivery import Why
    from redis_ttl.domain.message import AnyFacts, MessageKind
    from redis_ttl.domain.policy import Owner, Policy
    from redis_ttl.usecases.message_ports import Composer, MessageStore, Sender
    from redis_ttl.usecases.ports import Clock

#: A sender that has said nothing for so long is dead.
_CLAIM_LASTS: Final = dt.timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class MessageTools:
    """What telling needs."""

    documents: MessageStore
    policy: Policy
    compose: Composer
    send: Sender
    clock: Clock


@dataclass(frozen=True, slots=True)
class Post:
    """What became of a message: ``path`` in the store, None when it wasn't news. ``to`` is who is written to, by ``routes``, at ``due``;
    without routes the store is where it stays.
    """

    kind: MessageKind
    owner: str
    to: str
    path: str | None
    why: Why | None
    routes: tuple[Route, ...]
    due: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one attempt went: ``error`` None means that it was taken; ``again_at`` None after an error, that it was given up."""

    route: Route
    paths: tuple[str, ...]
    error: str | None = None
    again_at: dt.datetime | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether nobody will try it again."""
        return self.error is not None and self.again_at is None


def post_message(owner: Owner, facts: AnyFacts, tools: MessageTools) -> Post:
    """Write the message into the store, to be sent when it is due, unless all of it was told not long ago."""
    policy, documents = tools.policy, MessageDocuments(tools.documents, tools.policy.cluster)
    contact, routes = reach(owner, policy.messages)
    thread = folder_of(facts.owner, facts.thread)
    while True:
        now = tools.clock.now()
        why = why_news(facts.items, documents.told(thread), now, policy.messages.remind_after_s)
        if why is None:
            return Post(facts.kind, facts.owner, contact.team, None, None, (), None)
        number = max(documents.numbers(thread), default=0) + 1
        due = due_at(facts.urgency, contact, policy, now)
        composed = tools.compose(facts, contact)
        for route in routes:
            documents.write_pending(Pending(due, route.name, thread, number, 1), route)
        data = {
            "kind": facts.kind.value,
            "cluster": facts.cluster,
            "owner": facts.owner,
            "to": contact.team,
            "urgency": facts.urgency.value,
            "at": now.isoformat(),
            "why": why.value,
            "items": list(facts.items),
            "routes": [route.name for route in routes],
            "subject": composed.subject,
            "documents": list(composed.documents),
        }
        if documents.write_message(thread, number, data, composed.markdown):
            return Post(facts.kind, facts.owner, contact.team, documents.folder(thread, number), why, routes, due)


def has_due_messages(documents: MessageStore, cluster: str, now: dt.datetime) -> bool:
    """Whether there is anything to send; costs the listing of one folder."""
    return any(each.due <= now for each in MessageDocuments(documents, cluster).pending())


def deliver_due(tools: MessageTools) -> list[Delivery]:
    """Send everything that is due. Channels that fail make entries of the result, not errors."""
    documents = MessageDocuments(tools.documents, tools.policy.cluster)
    now = tools.clock.now()
    due = [each for each in documents.pending() if each.due <= now]
    done: list[Delivery] = []
    digests: dict[tuple[str, str], list[_Parcel]] = {}
    for pending in due:
        parcel = _parcel(pending, documents, now)
        if parcel is None:
            continue
        if parcel.urgency is Urgency.SMALL:
            digests.setdefault((parcel.to, pending.route), []).append(parcel)
        else:
            done.append(_send([parcel], documents, tools))
    done += [_send(parcels, documents, tools) for parcels in digests.values()]
    return done


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A pending message that is ours to send."""

    pending: Pending
    route: Route
    to: str
    urgency: Urgency
    documents: Sequence[object]


def _parcel(pending: Pending, documents: MessageDocuments, now: dt.datetime) -> _Parcel | None:
    """Claim it; None when it isn't there, was sent, or is being sent by somebody else."""
    route = documents.route_of(pending)
    if route is None:
        return None
    if not documents.has_message(pending.thread, pending.number):
        # Whoever wrote the mark may be about to write the message.
        if now - pending.due > _CLAIM_LASTS:
            documents.remove_pending(pending)
        return None
    if documents.receipt(pending.thread, pending.number, pending.route) is not None:
        documents.remove_pending(pending)
        return None
    claimed_at = documents.claim(pending, now)
    if claimed_at is not None:
        if now - claimed_at > _CLAIM_LASTS:
            again = Pending(now, pending.route, pending.thread, pending.number, pending.attempt + 1)
            documents.write_pending(again, route)
            documents.remove_pending(pending)
            return _parcel(again, documents, now)
        return None
    message = documents.message(pending.thread, pending.number)
    return _Parcel(pending, route, message["to"], Urgency(message["urgency"]), message["documents"])


def _send(parcels: Sequence[_Parcel], documents: MessageDocuments, tools: MessageTools) -> Delivery:
    """Send one message, or several small ones as one."""
    first = parcels[0]
    paths = tuple(documents.folder(each.pending.thread, each.pending.number) for each in parcels)
    envelope = Envelope(
        route=first.route,
        documents=[document for each in parcels for document in each.documents],
        message_id=_message_id(first.pending.thread, first.pending.number),
        count=len(parcels),
        reply_to=None if len(parcels) > 1 else _reply_to(first, documents, tools.clock.now()),
        is_loud=first.urgency is Urgency.CRITICAL,
    )
    try:
        receipt = tools.send(envelope)
    except (ChannelRefused, ChannelUnavailable) as error:
        return _failed(parcels, paths, error, documents, tools)
    for each in parcels:
        documents.write_receipt(each.pending, receipt)
        documents.remove_pending(each.pending)
    return Delivery(first.route, paths)


def _reply_to(parcel: _Parcel, documents: MessageDocuments, now: dt.datetime) -> tuple[Receipt, str] | None:
    """The first message of the thread that this channel has taken, unless it lies too far back."""
    thread = parcel.pending.thread
    for number in documents.numbers(thread):
        if number >= parcel.pending.number:
            return None
        receipt = documents.receipt(thread, number, parcel.pending.route)
        if receipt is not None and now - dt.datetime.fromisoformat(receipt.at) < THREAD_LASTS:
            return receipt, _message_id(thread, number)
    return None


def _failed(
    parcels: Sequence[_Parcel],
    paths: tuple[str, ...],
    error: ChannelRefused | ChannelUnavailable,
    documents: MessageDocuments,
    tools: MessageTools,
) -> Delivery:
    """Mark it for another attempt, or give it up and turn to the fallback contact."""
    now, route = tools.clock.now(), parcels[0].route
    again_at = retry_at(parcels[0].pending.attempt, now) if error.retryable else None
    for each in parcels:
        pending = each.pending
        documents.write_failure(pending, now, str(error), again_at)
        if again_at is not None:
            again = Pending(again_at, pending.route, pending.thread, pending.number, pending.attempt + 1)
            documents.write_pending(again, route)
        else:
            _fall_back(each, documents, tools, now)
        documents.remove_pending(pending)
    return Delivery(route, paths, str(error), again_at)


def _fall_back(parcel: _Parcel, documents: MessageDocuments, tools: MessageTools, now: dt.datetime) -> None:
    """Mark what no way to a team took for the fallback contact; what that one can't be sent either stays in the store."""
    pending, fallback = parcel.pending, tools.policy.messages.fallback
    if parcel.route.is_fallback or fallback is None:
        return
    others = set(documents.message(pending.thread, pending.number)["routes"]) - {pending.route}
    waiting = {
        each.route for each in documents.pending() if (each.thread, each.number) == (pending.thread, pending.number)
    }
    if others & waiting or any(documents.receipt(pending.thread, pending.number, other) for other in others):
        return
    for route in routes_to(fallback, tools.policy.messages, is_fallback=True):
        documents.write_pending(Pending(now, route.name, pending.thread, pending.number, 1), route)


def _message_id(thread: str, number: int) -> str:
    return f"{thread}.{number}"
