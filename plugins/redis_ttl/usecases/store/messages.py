"""Where messages lie in the store, which is the outbox as well: ``<cluster>/messages``.

::

    <thread>/<number>/message.json      what is said, to whom, and what it told; written once, and what makes it told
    <thread>/<number>/message.md        the same to read
    <thread>/<number>/<route>-*.json    that it is being sent, was sent, or why not
    pending/<due>~<route>~<thread>~<number>~<attempt>.json      what has yet to go over a channel; removed when it has

What is pending is written before the message: whoever is killed in between leaves a marker of nothing, never a message that nobody sends.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.errors import AlreadyWritten, DamagedDocument, StoreProblem
from redis_ttl.domain.messages.delivery import Failure, Route, Sent, Told
from redis_ttl.domain.schema import check_schema, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis_ttl.usecases.store.message_ports import MessageStore

MESSAGE_SCHEMA: Final = "redis_ttl.message/1"
_Read = TypeVar("_Read")
_STAMP: Final = "%Y%m%dT%H%M%S"
#: Of a thread that are read; an audit's grows by one in a week.
_LATEST: Final = 60


@dataclass(frozen=True, slots=True)
class Pending:
    """A message of a thread that has yet to go over a route; ``attempt`` counts from 1."""

    due: dt.datetime
    route: str
    thread: str
    number: int
    attempt: int

    @property
    def file(self) -> str:
        """Its name among what is pending."""
        return (
            f"{self.due.astimezone(dt.UTC):{_STAMP}}~{self.route}~{self.thread}~{self.number:04d}~{self.attempt}.json"
        )

    @classmethod
    def parse(cls, file: str) -> Pending | None:
        """What a name says; None for a name of another kind."""
        try:
            due, route, thread, number, attempt = file.removesuffix(".json").split("~")
            moment = dt.datetime.strptime(due, _STAMP).replace(tzinfo=dt.UTC)
            return cls(moment, route, thread, int(number), int(attempt))
        except ValueError:
            return None


class MessageDocuments:
    """The messages of one cluster."""

    def __init__(self, documents: MessageStore, cluster: str) -> None:
        self._documents = documents
        self._cluster = path_part(cluster)
        self.path = f"{cluster}/messages"

    def told(self, thread: str, numbers: Sequence[int]) -> list[Told]:
        """What these messages of a thread, in their order, have told; of many the last ones."""
        found = (self.message(thread, number) for number in numbers[-_LATEST:])
        return [Told(dt.datetime.fromisoformat(each["at"]), tuple(each["items"])) for each in found]

    def numbers(self, thread: str) -> list[int]:
        """The messages of a thread, the earliest first."""
        names = (name for name in self._documents.names(f"{self.path}/{thread}") if name.isdecimal())
        return sorted(
            int(name) for name in names if self._documents.exists(f"{self.path}/{thread}/{name}/message.json")
        )

    def message(self, thread: str, number: int) -> Any:
        """One message."""
        return self._read(f"{self.folder(thread, number)}/message.json", _message)

    def has_message(self, thread: str, number: int) -> bool:
        """Whether it was written."""
        return self._documents.exists(f"{self.folder(thread, number)}/message.json")

    def write_message(self, thread: str, number: int, data: Any, markdown: str) -> bool:
        """Write a thread's next message; False when somebody else has written that one."""
        folder = self.folder(thread, number)
        if not self._create(f"{folder}/message.json", {"schema": MESSAGE_SCHEMA, **data}):
            return False
        self._documents.write(f"{folder}/message.md", markdown.encode())
        return True

    def folder(self, thread: str, number: int) -> str:
        """Where one message lies."""
        return f"{self.path}/{thread}/{number:04d}"

    def message_id(self, thread: str, number: int) -> str:
        """A name for it that no other message has, of any cluster."""
        return f"{self._cluster}.{thread}.{number}"

    def pending(self) -> list[Pending]:
        """What has yet to be sent, what is due first."""
        found = filter(None, map(Pending.parse, self._documents.names(f"{self.path}/pending")))
        return sorted(found, key=lambda each: each.due)

    def write_pending(self, pending: Pending, route: Route) -> None:
        """Mark it as yet to be sent; nothing happens when it is marked already."""
        self._create(f"{self.path}/pending/{pending.file}", route.to_json())

    def route_of(self, pending: Pending) -> Route | None:
        """The route that was marked; None when the mark is gone."""
        path = f"{self.path}/pending/{pending.file}"
        try:
            return self._read(path, Route.from_json)
        except DamagedDocument:
            raise
        except StoreProblem:
            if self._documents.exists(path):
                raise
            return None  # somebody else was faster

    def remove_pending(self, pending: Pending) -> None:
        """It was sent, or given up."""
        self._documents.remove(f"{self.path}/pending/{pending.file}")

    def claim(self, pending: Pending, now: dt.datetime) -> dt.datetime | None:
        """Make this attempt one's own; None when it is, otherwise when somebody else did."""
        path = f"{self.folder(pending.thread, pending.number)}/{pending.route}-sending-{pending.attempt}.json"
        if self._create(path, {"at": now.isoformat()}):
            return None
        return self._read(path, lambda data: dt.datetime.fromisoformat(data["at"]))

    def sent(self, thread: str, number: int, route: str) -> Sent | None:
        """How a message went over a channel; None when that hasn't taken it."""
        path = f"{self.folder(thread, number)}/{route}-sent.json"
        return self._read(path, Sent.from_json) if self._documents.exists(path) else None

    def write_sent(self, pending: Pending, sent: Sent) -> None:
        """A channel has taken it."""
        self._create(f"{self.folder(pending.thread, pending.number)}/{pending.route}-sent.json", sent.to_json())

    def failure(self, pending: Pending) -> Failure | None:
        """What came of an attempt that failed; None when it hasn't."""
        path = f"{self.folder(pending.thread, pending.number)}/{pending.route}-failed-{pending.attempt}.json"
        return self._read(path, Failure.from_json) if self._documents.exists(path) else None

    def write_failure(self, pending: Pending, failure: Failure) -> Failure:
        """A channel hasn't taken it; what holds of that attempt, which is what was written first."""
        path = f"{self.folder(pending.thread, pending.number)}/{pending.route}-failed-{pending.attempt}.json"
        return failure if self._create(path, failure.to_json()) else self.failure(pending) or failure

    def is_given_up(self, thread: str, number: int, route: str) -> bool:
        """Whether nobody will try that route again."""
        folder, prefix = self.folder(thread, number), f"{route}-failed-"
        failed = (name for name in self._documents.names(folder) if name.startswith(prefix))
        return any(self._read(f"{folder}/{name}", Failure.from_json).again_at is None for name in failed)

    def _read(self, path: str, read: Callable[[Any], _Read]) -> _Read:
        return read_document(self._documents.read(path), read, where=path)

    def _create(self, path: str, data: Any) -> bool:
        """Write a document; False when somebody else has. The store decides which of two is the first, no look before."""
        try:
            self._documents.write(path, json.dumps(data, ensure_ascii=False, indent=1).encode())
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
