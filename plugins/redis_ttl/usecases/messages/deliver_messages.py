"""Sends what is due, over the channels that teams have.

Whoever is killed, or meets a channel that fails, leaves the rest to the next task that sends. A channel gets a message once, but for the
moment between its answer and our writing that down: a worker that dies just then sends it again, under the same message id. What it
hadn't yet written down of a daily summary goes again as one of its own.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable, StoreProblem
from redis_ttl.domain.messages.delivery import (
    THREAD_LASTS,
    Failure,
    Receipt,
    Route,
    Sent,
    due_at,
    quiet_until,
    retry_at,
    routes_to,
)
from redis_ttl.domain.messages.kind import Urgency
from redis_ttl.usecases.messages.parcel import Parcel, is_over, is_stray
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.message_ports import Envelope
from redis_ttl.usecases.store.messages import MessageDocuments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.usecases.messages.message_tools import MessageTools
    from redis_ttl.usecases.ports import RemovableDocuments


#: A sender that has said nothing for so long is dead.
_CLAIM_LASTS: Final = dt.timedelta(minutes=10)
#: A round ends after so long, whatever is left: the task that makes it has work of its own.
_ROUND_LASTS: Final = dt.timedelta(minutes=1)
#: Who has marked a message and not written it within so long never will.
_MARK_LASTS: Final = dt.timedelta(days=1)


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


def has_due_messages(documents: RemovableDocuments, cluster: str, now: dt.datetime) -> bool:
    """Whether there is anything to send; costs the listing of one folder."""
    return any(each.due <= now for each in MessageDocuments(documents, cluster).pending())


def deliver_due(tools: MessageTools) -> list[Delivery]:
    """Send everything that is due. Channels that fail make entries of the result, not errors."""
    return _Round(tools).run()


class _Round:
    """One worker's round through what is due."""

    def __init__(self, tools: MessageTools) -> None:
        self._tools = tools
        self._documents = MessageDocuments(tools.documents, tools.policy.cluster)
        self._done: list[Delivery] = []
        self._began = tools.clock.now()
        self._silent: set[str] = set()
        """Connections that didn't take a message for now: each more would cost its time to wait."""

    def run(self) -> list[Delivery]:
        now = self._tools.clock.now()
        summaries: dict[tuple[str | None, Route], list[Parcel]] = {}
        for parcel in self._due(self._documents, now):
            if parcel.urgency is Urgency.SMALL:
                summaries.setdefault(parcel.summary, []).append(parcel)
            else:
                self._send([parcel])
        if summaries:
            for parcel in self._of_other_clusters(now):
                if parcel.urgency is Urgency.SMALL and parcel.summary in summaries:
                    summaries[parcel.summary].append(parcel)
        for parcels in summaries.values():
            self._send(parcels)
        return self._done

    def _of_other_clusters(self, now: dt.datetime) -> list[Parcel]:
        """What is due about other clusters: a team has one summary a day, and not one for each of them."""
        own, found = self._tools.policy.cluster, []
        for cluster in self._tools.documents.names(""):
            if cluster != own:
                # What is wrong in the folder of another cluster is that one's affair.
                with suppress(StoreProblem, ValueError, LookupError):
                    due = self._due(MessageDocuments(self._tools.documents, cluster), now)
                    # A second try is its own, which knows whom to turn to when it is the last.
                    found += [parcel for parcel in due if parcel.pending.attempt == 1]
        return found

    def _due(self, documents: MessageDocuments, now: dt.datetime) -> list[Parcel]:
        """What of one cluster has to be sent now."""
        due = (pending for pending in documents.pending() if pending.due <= now)
        parcels = [parcel for pending in due if (parcel := self._parcel(documents, pending, now)) is not None]
        # A round may end before its time: what is urgent doesn't wait for what is late.
        return sorted(parcels, key=lambda parcel: parcel.urgency is not Urgency.CRITICAL)

    def _parcel(self, documents: MessageDocuments, pending: Pending, now: dt.datetime) -> Parcel | None:
        """What is marked, if it has to be sent now; marks that mean nothing are removed."""
        route = documents.route_of(pending)
        if route is None:
            return None
        if not documents.has_message(pending.thread, pending.number):
            # Whoever wrote the mark may be about to write the message.
            if now - pending.due > _MARK_LASTS:
                documents.remove_pending(pending)
            return None
        parcel = Parcel(documents, pending, route, documents.message(pending.thread, pending.number))
        if (
            is_stray(parcel)
            or is_over(parcel, now)
            or documents.sent(pending.thread, pending.number, pending.route) is not None
        ):
            documents.remove_pending(pending)
            return None
        return None if self._is_quiet(parcel, now) else parcel

    def _is_quiet(self, parcel: Parcel, now: dt.datetime) -> bool:
        """Whether its contact isn't to be disturbed: what was due before quiet hours may be sent, or tried again, within them."""
        policy = self._tools.policy
        if parcel.route.is_fallback:
            contact = policy.messages.fallback
        else:
            teams = (policy.owner, *policy.owners)
            contact = next((each for each in teams if each.team == parcel.message["to"]), None)
        if contact is None or parcel.urgency is Urgency.CRITICAL:
            return False
        return quiet_until(contact, policy, now) is not None

    def _send(self, parcels: Sequence[Parcel]) -> None:
        """Send one message, or several small ones as one, as far as nobody else does."""
        if parcels[0].route.connection in self._silent or self._tools.clock.now() - self._began > _ROUND_LASTS:
            return
        claimed = [own for parcel in parcels if (own := self._claimed(parcel)) is not None]
        if not claimed:
            return
        first = claimed[0]
        in_summary = len(claimed) > 1
        reply_to = None if in_summary else self._reply_to(first)
        envelope = Envelope(
            route=first.route,
            documents=[document for each in claimed for document in each.message["documents"]],
            message_id=first.message_id,
            count=len(claimed),
            reply_to=reply_to,
            is_loud=first.is_loud,
        )
        try:
            receipt = self._tools.send(envelope)
        except (ChannelRefused, ChannelUnavailable) as error:
            if error.retryable:
                self._silent.add(first.route.connection)
            self._failed(claimed, error)
            return
        # A channel that has lost the thread begins another one.
        is_reply = reply_to is not None and receipt.thread == reply_to[0].thread
        for each in claimed:
            sent = Sent(receipt, first.route, first.message_id, is_reply, in_summary)
            each.documents.write_sent(each.pending, sent)
            each.documents.remove_pending(each.pending)
        self._done.append(Delivery(first.route, _paths(claimed)))

    def _claimed(self, parcel: Parcel) -> Parcel | None:
        """Make its attempt one's own, or the next one where a sender died over it; None when it isn't one's own to send now."""
        while True:
            now, pending = self._tools.clock.now(), parcel.pending
            claimed_at = parcel.documents.claim(pending, now)
            if claimed_at is None:
                return parcel
            failure = parcel.documents.failure(pending)
            if failure is None:
                if now - claimed_at <= _CLAIM_LASTS:
                    return None
                again_at = None if retry_at(pending.attempt, now) is None else now
                died = Failure(now, f"whoever began to send it at {claimed_at.isoformat()} never ended", again_at)
                failure = parcel.documents.write_failure(pending, died)
                if failure.again_at is None:
                    self._done.append(Delivery(parcel.route, _paths([parcel]), failure.why))
            again = self._go_on(parcel, failure)
            if again is None or again.due > now:
                return None
            parcel = replace(parcel, pending=again)

    def _reply_to(self, parcel: Parcel) -> tuple[Receipt, str] | None:
        """The message that began the thread on this way, unless it lies too far back."""
        pending, now = parcel.pending, self._tools.clock.now()
        found: Sent | None = None
        for number in reversed(parcel.documents.numbers(pending.thread)):
            sent = parcel.documents.sent(pending.thread, number, pending.route) if number < pending.number else None
            if sent is None or sent.is_reply or sent.route != parcel.route:
                continue
            if now - dt.datetime.fromisoformat(sent.receipt.at) >= THREAD_LASTS:
                break
            found = sent
            if not sent.in_summary:
                break
        return None if found is None else (found.receipt, found.message_id)

    def _failed(self, parcels: Sequence[Parcel], error: ChannelRefused | ChannelUnavailable) -> None:
        """Mark each for another attempt, or give it up; those of one summary may have been tried more or less often."""
        now = self._tools.clock.now()
        ends: dict[dt.datetime | None, list[Parcel]] = {}
        for each in parcels:
            is_foreign = each.documents is not self._documents
            again_at = retry_at(each.pending.attempt, now) if error.retryable or is_foreign else None
            failure = each.documents.write_failure(each.pending, Failure(now, str(error), again_at))
            self._go_on(each, failure)
            ends.setdefault(failure.again_at, []).append(each)
        self._done += [
            Delivery(parcels[0].route, _paths(each), str(error), again_at) for again_at, each in ends.items()
        ]

    def _go_on(self, parcel: Parcel, failure: Failure) -> Pending | None:
        """After an attempt that failed: mark the next one, or turn to the fallback contact. May be done again, to the same effect."""
        pending = parcel.pending
        again = None
        if failure.again_at is not None:
            again = Pending(failure.again_at, pending.route, pending.thread, pending.number, pending.attempt + 1)
            parcel.documents.write_pending(again, parcel.route)
        else:
            self._fall_back(parcel, failure)
        parcel.documents.remove_pending(pending)
        return again

    def _fall_back(self, parcel: Parcel, failure: Failure) -> None:
        """Mark what no way to a team took for the fallback contact; what that one can't be sent either stays in the store."""
        pending, policy = parcel.pending, self._tools.policy
        fallback = policy.messages.fallback
        if parcel.route.is_fallback or fallback is None:
            return
        # Each route's end is written before this is asked, so of two that end at once the later sees both.
        if not all(
            parcel.documents.is_given_up(pending.thread, pending.number, name) for name in parcel.message["routes"]
        ):
            return
        due = due_at(parcel.urgency, fallback, policy, failure.at)
        for route in routes_to(fallback, policy.messages, is_fallback=True):
            parcel.documents.write_pending(Pending(due, route.name, pending.thread, pending.number, 1), route)


def _paths(parcels: Sequence[Parcel]) -> tuple[str, ...]:
    return tuple(parcel.path for parcel in parcels)
