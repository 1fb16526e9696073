"""When and where a message goes: over which channels, now or when quiet hours end, alone or with the day's others, and how often it
is tried. Pure: clocks and settings come in.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, assert_never
from zoneinfo import ZoneInfo

from redis_ttl.domain.message import Urgency

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis_ttl.domain.policy import MessageSettings, Owner, Policy

#: After so many minutes a delivery that failed is tried again, and then no more.
_RETRIES_MIN: Final = (5, 15, 60, 240)
#: A thread that is older isn't gone on with: nobody sees what is added to it.
THREAD_LASTS: Final = dt.timedelta(days=30)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_NAME_WIDTH: Final = 40


class ChannelKind(StrEnum):
    """Over what a message goes."""

    SLACK = "slack"
    """A bot that writes into a channel; it can reply in a thread."""
    SLACK_WEBHOOK = "slack_webhook"
    """An address that writes into one channel."""
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a team: the kind of channel, the id of the Airflow connection, and to whom (a channel, or mail addresses).

    ``is_fallback``: it leads to the fallback contact, because no way to the team itself did.
    """

    kind: ChannelKind
    connection: str
    to: tuple[str, ...] = ()
    is_fallback: bool = False

    @property
    def name(self) -> str:
        """A name for documents about it: a team has one route of a kind at most."""
        return f"{self.kind.value}{'-fallback' if self.is_fallback else ''}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "kind": self.kind.value, "to": list(self.to)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Route:
        """The route that :meth:`to_json` wrote."""
        return cls(ChannelKind(data["kind"]), data["connection"], tuple(data["to"]), data["is_fallback"])


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a channel said of a message that it took: ``channel`` and ``thread`` let a later one be added to it."""

    at: str
    channel: str | None = None
    thread: str | None = None


class Why(StrEnum):
    """What makes a message news."""

    FIRST = "first"
    UPDATE = "update"
    """Something about the same thing that wasn't told yet."""
    REMINDER = "reminder"
    """All of it was told before, long ago."""


@dataclass(frozen=True, slots=True)
class Told:
    """When which items were told."""

    at: dt.datetime
    items: tuple[str, ...]


def reach(owner: Owner, settings: MessageSettings) -> tuple[Owner, tuple[Route, ...]]:
    """Who is written to in place of an owner, and how: the owner itself, or the fallback contact where there is no way to it."""
    routes = routes_to(owner, settings)
    if routes or settings.fallback is None:
        return owner, routes
    return settings.fallback, routes_to(settings.fallback, settings, is_fallback=True)


def routes_to(owner: Owner, settings: MessageSettings, *, is_fallback: bool = False) -> tuple[Route, ...]:
    """All ways to a contact; none without connections."""
    routes = []
    if owner.slack_webhook is not None:
        routes.append(Route(ChannelKind.SLACK_WEBHOOK, owner.slack_webhook, (), is_fallback))
    elif owner.slack is not None and settings.slack_connection is not None:
        routes.append(Route(ChannelKind.SLACK, settings.slack_connection, (owner.slack,), is_fallback))
    if owner.email and settings.smtp_connection is not None:
        routes.append(Route(ChannelKind.EMAIL, settings.smtp_connection, owner.email, is_fallback))
    return tuple(routes)


def why_news(items: Iterable[str], told: Iterable[Told], now: dt.datetime, remind_after_s: int) -> Why | None:
    """What makes it worth telling; None when all of it was told not long ago.

    An item that comes back within the reminder's interval is no news either: a pattern that hovers around a threshold is told once.
    """
    earlier = list(told)
    since = now - dt.timedelta(seconds=remind_after_s)
    lately = {item for each in earlier if each.at > since for item in each.items}
    ever = {item for each in earlier for item in each.items}
    news = set(items) - lately
    if not news:
        return None
    if not earlier:
        return Why.FIRST
    return Why.UPDATE if news - ever else Why.REMINDER


def due_at(urgency: Urgency, contact: Owner, policy: Policy, now: dt.datetime) -> dt.datetime:
    """When it may be sent: at once, when the contact's quiet hours end, or with the contact's next digest."""
    local = now.astimezone(ZoneInfo(policy.timezone_of(contact)))
    match urgency:
        case Urgency.CRITICAL:
            return now
        case Urgency.NORMAL:
            ends = None if contact.quiet_hours is None else contact.quiet_hours.ends_after(local)
            return now if ends is None else ends.astimezone(dt.UTC)
        case Urgency.SMALL:
            digest = dt.datetime.combine(local.date(), policy.messages.digest_at, local.tzinfo)
            return (digest if digest >= local else digest + dt.timedelta(days=1)).astimezone(dt.UTC)
        case _:
            assert_never(urgency)


def retry_at(attempt: int, now: dt.datetime) -> dt.datetime | None:
    """When a delivery that has failed for the ``attempt``-th time is tried again; None when it is given up."""
    return now + dt.timedelta(minutes=_RETRIES_MIN[attempt - 1]) if attempt <= len(_RETRIES_MIN) else None


def folder_of(owner: str, thread: str) -> str:
    """The name of a thread's folder: readable, and different for different threads."""
    digest = hashlib.sha256(f"{owner}\n{thread}".encode()).hexdigest()[:10]
    parts = (_NOT_IN_NAMES.sub("_", text).strip("_")[:_NAME_WIDTH] for text in (owner, thread))
    return ".".join([*(part for part in parts if part), digest])
