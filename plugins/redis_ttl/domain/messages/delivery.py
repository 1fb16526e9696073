"""When and where a message goes: over which channels, now or when quiet hours end, alone or with the day's others, and how often it
is tried. Pure: clocks and settings come in.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, assert_never
from zoneinfo import ZoneInfo

from redis_ttl.domain.codec import document, document_part, from_plain, to_plain
from redis_ttl.domain.messages.kind import Urgency
from redis_ttl.domain.schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis_ttl.domain.policy.policy import MessageSettings, Owner, Policy

#: What version 0.1 wrote of these says no schema, which is the same as 1.
ROUTE_SCHEMA: Final = "redis_ttl.route/1"
SENT_SCHEMA: Final = "redis_ttl.sent/1"
FAILURE_SCHEMA: Final = "redis_ttl.failed_delivery/1"

#: After so many minutes a delivery that failed is tried again, and then no more.
_RETRIES_MIN: Final = (5, 15, 60, 240)
#: A thread that is older isn't gone on with: nobody sees what is added to it.
THREAD_LASTS: Final = dt.timedelta(days=30)
#: A reminder may come so much earlier: audits don't end at the same minute every night.
_EARLIER: Final = dt.timedelta(hours=1)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_NAME_WIDTH: Final = 40


class ChannelKind(StrEnum):
    """Over what a message goes."""

    SLACK = "slack"
    """A bot that writes into a channel; it can reply in a thread."""
    SLACK_WEBHOOK = "slack_webhook"
    """An address that writes into one channel."""
    EMAIL = "email"


@document(ROUTE_SCHEMA)
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


@document_part
@dataclass(frozen=True, slots=True)
class Receipt:
    """What a channel said of a message that it took: ``channel`` and ``thread`` let a later one be added to it."""

    at: str
    channel: str | None = None
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """That a message went over a route: alone or with others (``in_summary``), under which id, and whether below an earlier one."""

    receipt: Receipt
    route: Route
    message_id: str
    is_reply: bool = False
    in_summary: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": SENT_SCHEMA,
            **to_plain(self.receipt),
            "route": to_plain(self.route),
            "message_id": self.message_id,
            "is_reply": self.is_reply,
            "in_summary": self.in_summary,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sent:
        """What :meth:`to_json` wrote."""
        check_schema(data, SENT_SCHEMA)
        receipt = Receipt(data["at"], data["channel"], data["thread"])
        route = from_plain(Route, data["route"])
        return cls(receipt, route, data["message_id"], data["is_reply"], data["in_summary"])


@document(FAILURE_SCHEMA)
@dataclass(frozen=True, slots=True)
class Failure:
    """That an attempt failed, and when the next one is; ``again_at`` None gives the route up."""

    at: dt.datetime
    why: str
    again_at: dt.datetime | None


class Why(StrEnum):
    """What makes a message news."""

    FIRST = "first"
    UPDATE = "update"
    """Something about the same thing that wasn't told yet."""
    REMINDER = "reminder"
    """All of it was told before, long ago."""


@dataclass(frozen=True, slots=True)
class News:
    """Why a message is worth telling, which of its items are new, and since when others have been told; None when none has."""

    why: Why
    new: frozenset[str] = frozenset()
    since: dt.datetime | None = None


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


def news_of(items: Iterable[str], told: Iterable[Told], now: dt.datetime, remind_after_s: int | None) -> News | None:
    """What makes it worth telling; None when all of it was told not long ago, or ever, where nothing is told twice (None).

    An item that comes back within the reminder's interval is no news either: a pattern that hovers around a threshold is told once.
    After a silence of twice the interval it is over, and begins anew.
    """
    wanted = set(items)
    if remind_after_s is None:
        earlier = list(told)
        lately = {item for each in earlier for item in each.items}
    else:
        interval = dt.timedelta(seconds=remind_after_s)
        earlier = _going_on(told, now, 2 * interval)
        since = now - interval + min(_EARLIER, interval / 10)
        lately = {item for each in earlier if each.at > since for item in each.items}
    if wanted <= lately:
        return None
    new = frozenset(wanted - {item for each in earlier for item in each.items})
    first = min((each.at for each in earlier if wanted & set(each.items)), default=None)
    if not earlier:
        return News(Why.FIRST, new)
    return News(Why.UPDATE, new, first) if new else News(Why.REMINDER, new, first)


def _going_on(told: Iterable[Told], now: dt.datetime, silence: dt.timedelta) -> list[Told]:
    """What was told without a silence of that length since."""
    found: list[Told] = []
    later = now
    for each in sorted(told, key=lambda each: each.at, reverse=True):
        if later - each.at > silence:
            break
        found.append(each)
        later = each.at
    return found


def due_at(urgency: Urgency, contact: Owner, policy: Policy, now: dt.datetime) -> dt.datetime:
    """When it may be sent: at once, when the contact's quiet hours end, or with the contact's next daily summary."""
    match urgency:
        case Urgency.CRITICAL:
            return now
        case Urgency.NORMAL:
            return quiet_until(contact, policy, now) or now
        case Urgency.SMALL:
            summary = _next_summary(ZoneInfo(policy.timezone_of(contact)), policy.messages.summary_at, now)
            return quiet_until(contact, policy, summary) or summary
        case _:
            assert_never(urgency)


def quiet_until(contact: Owner, policy: Policy, moment: dt.datetime) -> dt.datetime | None:
    """When the contact's quiet hours end that this moment lies in; None outside of them."""
    if contact.quiet_hours is None:
        return None
    ends = contact.quiet_hours.ends_after(moment.astimezone(ZoneInfo(policy.timezone_of(contact))))
    return None if ends is None else ends.astimezone(dt.UTC)


def _next_summary(zone: ZoneInfo, at: dt.time, now: dt.datetime) -> dt.datetime:
    """The next moment at which the zone's clock shows that time: compared as moments, as a clock may show a time twice."""
    today = now.astimezone(zone).date()
    days = (dt.datetime.combine(today + dt.timedelta(days=number), at, zone) for number in range(2))
    first, second = (day.astimezone(dt.UTC) for day in days)
    return first if first >= now else second


def retry_at(attempt: int, now: dt.datetime) -> dt.datetime | None:
    """When a delivery that has failed for the ``attempt``-th time is tried again; None when it is given up."""
    return now + dt.timedelta(minutes=_RETRIES_MIN[attempt - 1]) if attempt <= len(_RETRIES_MIN) else None


def folder_of(owner: str, thread: str) -> str:
    """The name of a thread's folder: readable, and different for different threads."""
    digest = hashlib.sha256(json.dumps([owner, thread]).encode()).hexdigest()[:10]
    parts = (_NOT_IN_NAMES.sub("_", text).strip("_")[:_NAME_WIDTH] for text in (owner, thread))
    return ".".join([*(part for part in parts if part), digest])
