"""A message that is due over one route, and whether it still has to be sent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis_ttl.domain.messages.delivery import Route, Why
from redis_ttl.domain.messages.kind import MessageKind, Urgency

if TYPE_CHECKING:
    from redis_ttl.usecases.store.catalogue import Pending
    from redis_ttl.usecases.store.messages import MessageDocuments


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that is due over one route."""

    documents: MessageDocuments
    """Of the cluster that it is about."""
    pending: Pending
    route: Route
    message: Any

    @property
    def path(self) -> str:
        """Where it lies in the store."""
        return self.documents.folder(self.pending.thread, self.pending.number)

    @property
    def message_id(self) -> str:
        """The same whenever it is sent."""
        return self.documents.message_id(self.pending.thread, self.pending.number)

    @property
    def urgency(self) -> Urgency:
        """How soon it must be read."""
        return Urgency(self.message["urgency"])

    @property
    def is_loud(self) -> bool:
        """Whether it must be seen though it goes below a message that lies further back."""
        is_level = self.message["kind"] == MessageKind.MEMORY_LEVEL.value
        return self.urgency is Urgency.CRITICAL or is_level or self.message["why"] == Why.REMINDER.value

    @property
    def summary(self) -> tuple[str | None, Route]:
        """What it shares with the small messages that go together with it: the contact, and the way to it."""
        return (None if self.route.is_fallback else self.message["to"], self.route)


def is_over(parcel: Parcel, now: dt.datetime) -> bool:
    """Whether nobody needs to hear of it any more: its time has passed, or the level that has recovered is another one again."""
    pending, until = parcel.pending, parcel.message["until"]
    if until is not None and now >= dt.datetime.fromisoformat(until):
        return True
    is_level = parcel.message["kind"] == MessageKind.MEMORY_LEVEL.value and parcel.urgency is Urgency.SMALL
    return is_level and parcel.documents.has_message(pending.thread, pending.number + 1)


def is_stray(parcel: Parcel) -> bool:
    """Whether it was marked by somebody who never wrote that message: another one got its number, which may be due at another time."""
    pending, message = parcel.pending, parcel.message
    due = dt.datetime.fromisoformat(message["due"]).replace(microsecond=0)
    return pending.attempt == 1 and pending.route in message["routes"] and pending.due != due
