"""The messages in the store, which is the outbox as well.

A message's document is written once, and makes it told. Beside it lies that it is being sent, was sent, or why not; what has yet to
go over a channel is marked as pending, and the mark removed when it has.

What is pending is written before the message: whoever is killed in between leaves a marker of nothing, never a message that nobody sends.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import AlreadyWritten, DamagedDocument, StoreProblem
from redis_ttl.domain.messages.delivery import Failure, Route, Sent, Told
from redis_ttl.domain.schema import check_schema
from redis_ttl.usecases.store.catalogue import ClusterPaths, Pending
from redis_ttl.usecases.store.json_documents import read_json, read_record, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.usecases.ports import RemovableDocuments

MESSAGE_SCHEMA: Final = "redis_ttl.message/1"
#: Of a thread that are read; an audit's grows by one in a week.
_LATEST: Final = 60


class MessageDocuments:
    """The messages of one cluster."""

    def __init__(self, documents: RemovableDocuments, cluster: str) -> None:
        self._documents = documents
        self._cluster = cluster
        self._paths = ClusterPaths(cluster).messages

    def told(self, thread: str, numbers: Sequence[int]) -> list[Told]:
        """What these messages of a thread, in their order, have told; of many the last ones."""
        found = (self.message(thread, number) for number in numbers[-_LATEST:])
        return [Told(dt.datetime.fromisoformat(each["at"]), tuple(each["items"])) for each in found]

    def numbers(self, thread: str) -> list[int]:
        """The messages of a thread, the earliest first."""
        names = self._documents.names(self._paths.thread(thread))
        return sorted(number for name in names if name.isdecimal() and self.has_message(thread, number := int(name)))

    def message(self, thread: str, number: int) -> Any:
        """One message."""
        return read_json(self._documents, self._paths.said(thread, number), _message)

    def has_message(self, thread: str, number: int) -> bool:
        """Whether it was written."""
        return self._documents.exists(self._paths.said(thread, number))

    def write_message(self, thread: str, number: int, data: Any, markdown: str) -> bool:
        """Write a thread's next message; False when somebody else has written that one."""
        if not self._create(self._paths.said(thread, number), {"schema": MESSAGE_SCHEMA, **data}):
            return False
        self._documents.write(self._paths.page(thread, number), markdown.encode())
        return True

    def folder(self, thread: str, number: int) -> str:
        """Where one message lies."""
        return self._paths.message(thread, number)

    def message_id(self, thread: str, number: int) -> str:
        """A name for it that no other message has, of any cluster."""
        return f"{self._cluster}.{thread}.{number}"

    def pending(self) -> list[Pending]:
        """What has yet to be sent, what is due first."""
        found = filter(None, map(Pending.parse, self._documents.names(self._paths.all_pending)))
        return sorted(found, key=lambda each: each.due)

    def write_pending(self, pending: Pending, route: Route) -> None:
        """Mark it as yet to be sent; nothing happens when it is marked already."""
        self._create(self._paths.pending(pending), to_plain(route))

    def route_of(self, pending: Pending) -> Route | None:
        """The route that was marked; None when the mark is gone."""
        path = self._paths.pending(pending)
        try:
            return read_record(self._documents, path, Route)
        except DamagedDocument:
            raise
        except StoreProblem:
            if self._documents.exists(path):
                raise
            return None  # somebody else was faster

    def remove_pending(self, pending: Pending) -> None:
        """It was sent, or given up."""
        self._documents.remove(self._paths.pending(pending))

    def claim(self, pending: Pending, now: dt.datetime) -> dt.datetime | None:
        """Make this attempt one's own; None when it is, otherwise when somebody else did."""
        path = self._paths.claim(pending)
        if self._create(path, {"at": now.isoformat()}):
            return None
        return read_json(self._documents, path, lambda data: dt.datetime.fromisoformat(data["at"]))

    def sent(self, thread: str, number: int, route: str) -> Sent | None:
        """How a message went over a channel; None when that hasn't taken it."""
        path = self._paths.sent(thread, number, route)
        return read_json(self._documents, path, Sent.from_json) if self._documents.exists(path) else None

    def write_sent(self, pending: Pending, sent: Sent) -> None:
        """A channel has taken it."""
        self._create(self._paths.sent(pending.thread, pending.number, pending.route), sent.to_json())

    def failure(self, pending: Pending) -> Failure | None:
        """What came of an attempt that failed; None when it hasn't."""
        path = self._paths.failure(pending)
        return read_record(self._documents, path, Failure) if self._documents.exists(path) else None

    def write_failure(self, pending: Pending, failure: Failure) -> Failure:
        """A channel hasn't taken it; what holds of that attempt, which is what was written first."""
        path = self._paths.failure(pending)
        return failure if self._create(path, to_plain(failure)) else self.failure(pending) or failure

    def is_given_up(self, thread: str, number: int, route: str) -> bool:
        """Whether nobody will try that route again."""
        names = self._documents.names(self._paths.message(thread, number))
        failed = self._paths.failures_in(thread, number, route, names)
        return any(read_record(self._documents, path, Failure).again_at is None for path in failed)

    def _create(self, path: str, data: Any) -> bool:
        """Write a document; False when somebody else has. The store decides which of two is the first, no look before."""
        try:
            write_json(self._documents, path, data)
        except AlreadyWritten:
            return False
        return True


def _message(data: Mapping[str, Any]) -> Mapping[str, Any]:
    check_schema(data, MESSAGE_SCHEMA)
    if missing := [
        name for name in ("kind", "owner", "to", "urgency", "at", "why", "items", "documents") if data.get(name) is None
    ]:
        raise KeyError(missing[0])
    return data
