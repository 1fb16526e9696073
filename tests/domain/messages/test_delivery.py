"""When and where a message goes."""

from __future__ import annotations

import datetime as dt
import itertools
import operator
import re
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.messages.delivery import (
    ChannelKind,
    Failure,
    News,
    Receipt,
    Route,
    Sent,
    Told,
    Why,
    due_at,
    folder_of,
    news_of,
    quiet_until,
    reach,
    retry_at,
    routes_to,
)
from redis_ttl.domain.messages.kind import Urgency
from redis_ttl.domain.policy.policy import AuditSettings, MessageSettings, Owner, Policy, QuietHours

NOW = dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)
BERLIN = "Europe/Berlin"
WEEK_S = 7 * 86_400
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)

SLACK = Owner("growth", slack="#growth")
MAIL = Owner("growth", email=("growth@example.com", "ops@example.com"))
BOTH = Owner("growth", slack="#growth", email=("growth@example.com",))
HOOK = Owner("growth", slack="#growth", slack_webhook="growth_hook")
NOBODY = Owner("growth")
SETTINGS = MessageSettings(slack_connection="bot", smtp_connection="mail")


def policy_of(
    owner: Owner = NOBODY, summary_at: dt.time = dt.time(9), zone: str = BERLIN, fallback: Owner | None = None
) -> Policy:
    """A policy whose audits are meant in that zone."""
    messages = MessageSettings(summary_at=summary_at, fallback=fallback)
    return Policy("shop", "redis", owner, audit=AuditSettings(timezone=zone), messages=messages)


def quiet(hours: str) -> Owner:
    """A team with these quiet hours."""
    begin, _, end = hours.partition("-")
    return Owner("growth", quiet_hours=QuietHours(dt.time.fromisoformat(begin), dt.time.fromisoformat(end)))


def why_news(items: Iterable[str], earlier: list[Told]) -> Why | None:
    """Why it is news, with a week between reminders."""
    news = news_of(items, earlier, NOW, WEEK_S)
    return None if news is None else news.why


def told(days_ago: float, *items: str) -> Told:
    """Items that were told so many days ago."""
    return Told(NOW - days_ago * DAY, items)


@pytest.mark.parametrize(
    ("items", "earlier", "why"),
    [
        ("a", [], Why.FIRST),
        ("a", [told(0, "a")], None),
        ("a", [told(6.9, "a")], None),
        ("a", [told(6.99, "a")], Why.REMINDER),
        ("a", [told(7, "a")], Why.REMINDER),
        ("ab", [told(1, "a")], Why.UPDATE),
        ("a", [told(1, "a", "b")], None),
        ("ab", [told(1, "a"), told(2, "b")], None),
        ("ab", [told(1, "a"), told(8, "b")], Why.REMINDER),
        ("abc", [told(1, "a"), told(8, "b")], Why.UPDATE),
        ("a", [told(8, "a"), told(1, "a")], None),
        ("b", [told(8, "a")], Why.UPDATE),
        ("", [], None),
        # After two weeks of silence it begins anew.
        ("a", [told(14, "a")], Why.REMINDER),
        ("a", [told(14.1, "a")], Why.FIRST),
        ("a", [told(30, "a"), told(20, "a"), told(8, "a")], Why.REMINDER),
        ("a", [told(8, "b"), told(30, "a")], Why.UPDATE),
    ],
)
def test_what_makes_news(items: str, earlier: list[Told], why: Why | None) -> None:
    """What was told within the interval is none, what is older is a reminder, and one new item makes an update of all."""
    assert why_news(items, earlier) is why


#: Without a silence that ends what they are about.
histories = st.lists(st.builds(told, st.floats(0, 14), st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=6)


@given(st.sets(st.sampled_from("abcd")), histories)
def test_news_is_what_was_not_told_lately(items: set[str], earlier: list[Told]) -> None:
    """There is news exactly when an item wasn't told within the interval; its kind depends on whether it ever was."""
    why = why_news(items, earlier)
    stale = {
        item for item in items if all(item not in each.items or NOW - each.at >= 7 * DAY - HOUR for each in earlier)
    }
    assert (why is None) is (not stale)
    if why is Why.FIRST:
        assert earlier == []
    if why is Why.REMINDER:
        assert all(any(item in each.items for each in earlier) for item in items)
    if why is Why.UPDATE:
        assert any(all(item not in each.items for each in earlier) for item in stale)


@given(st.sets(st.sampled_from("abcd"), min_size=1), histories)
def test_telling_it_makes_it_old(items: set[str], earlier: list[Told]) -> None:
    """Once told, the same or a part of it is no news before the interval has passed, and is a reminder then."""
    after = [*earlier, Told(NOW, tuple(sorted(items)))]
    for part in (items, set(sorted(items)[:1])):
        assert news_of(part, after, NOW + 7 * DAY - HOUR - dt.timedelta(seconds=1), WEEK_S) is None
        news = news_of(part, after, NOW + 7 * DAY - HOUR, WEEK_S)
        assert news is not None
        assert news.why is Why.REMINDER
        assert news.since == min(each.at for each in after if part & set(each.items))


@given(st.sets(st.sampled_from("abcd"), min_size=1), histories)
def test_what_has_happened_once_is_told_once(items: set[str], earlier: list[Told]) -> None:
    """Without an interval nothing is a reminder, however long ago it was told."""
    news = news_of(items, earlier, NOW + 400 * DAY, None)
    ever = {item for each in earlier for item in each.items}
    assert (news is None) is (items <= ever)
    assert news is None or news.why is not Why.REMINDER


@pytest.mark.parametrize(
    ("owner", "connections", "routes"),
    [
        (NOBODY, SETTINGS, ()),
        (SLACK, SETTINGS, (Route(ChannelKind.SLACK, "bot", ("#growth",)),)),
        (MAIL, SETTINGS, (Route(ChannelKind.EMAIL, "mail", MAIL.email),)),
        (
            BOTH,
            SETTINGS,
            (Route(ChannelKind.SLACK, "bot", ("#growth",)), Route(ChannelKind.EMAIL, "mail", BOTH.email)),
        ),
        (HOOK, SETTINGS, (Route(ChannelKind.SLACK_WEBHOOK, "growth_hook"),)),
        (HOOK, MessageSettings(), (Route(ChannelKind.SLACK_WEBHOOK, "growth_hook"),)),
        (BOTH, MessageSettings(), ()),
        (BOTH, MessageSettings(smtp_connection="mail"), (Route(ChannelKind.EMAIL, "mail", BOTH.email),)),
    ],
)
def test_ways_need_an_address_and_a_connection(
    owner: Owner, connections: MessageSettings, routes: tuple[Route, ...]
) -> None:
    """A webhook is a connection of its own and is taken before the bot."""
    assert routes_to(owner, connections) == routes


def test_who_cannot_be_reached_is_stood_in_for() -> None:
    """By the fallback contact where there is one; whoever has any way is written to themselves."""
    settings_ = MessageSettings(smtp_connection="mail", fallback=Owner("platform", email=("p@example.com",)))
    assert settings_.fallback is not None
    assert reach(SLACK, settings_) == (
        settings_.fallback,
        (Route(ChannelKind.EMAIL, "mail", ("p@example.com",), is_fallback=True),),
    )
    assert reach(BOTH, settings_)[0] is BOTH
    assert reach(SLACK, MessageSettings(smtp_connection="mail")) == (SLACK, ())


def test_names_of_routes_differ() -> None:
    """Documents about a team's way and about the fallback contact's way of the same kind have different names."""
    routes = (*routes_to(BOTH, SETTINGS), *routes_to(HOOK, SETTINGS))
    every = {route.name for route in (*routes, *(Route(each.kind, "x", is_fallback=True) for each in routes))}
    assert len(every) == 6


@given(
    st.builds(Route, st.sampled_from(ChannelKind), st.text(max_size=5), st.tuples(st.text(max_size=5)), st.booleans()),
    st.builds(Receipt, st.text(max_size=5), st.none() | st.text(max_size=5), st.none() | st.text(max_size=5)),
    st.none() | st.just(NOW),
)
def test_what_became_of_it_survives_the_store(route: Route, receipt: Receipt, again_at: dt.datetime | None) -> None:
    """Routes, what was sent, and failures are read as they were written."""
    sent = Sent(receipt, route, "thread.1", is_reply=route.is_fallback, in_summary=not route.is_fallback)
    failure = Failure(NOW, receipt.at, again_at)
    assert from_plain(Route, to_plain(route)) == route
    assert Sent.from_json(sent.to_json()) == sent
    assert from_plain(Failure, to_plain(failure)) == failure


def test_retries_are_five_fifteen_sixty_and_240_minutes_apart() -> None:
    """After the fifth failure nobody tries again."""
    assert [retry_at(attempt, NOW) for attempt in range(1, 8)] == [
        *(NOW + dt.timedelta(minutes=minutes) for minutes in (5, 15, 60, 240)),
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("urgency", "owner", "now", "due"),
    [
        (Urgency.CRITICAL, quiet("22:00-08:00"), "2026-02-12T23:00", "2026-02-12T23:00"),
        (Urgency.NORMAL, NOBODY, "2026-02-12T23:00", "2026-02-12T23:00"),
        (Urgency.NORMAL, quiet("22:00-08:00"), "2026-02-12T20:59", "2026-02-12T20:59"),
        (Urgency.NORMAL, quiet("22:00-08:00"), "2026-02-12T21:00", "2026-02-13T07:00"),
        (Urgency.NORMAL, quiet("22:00-08:00"), "2026-02-13T07:00", "2026-02-13T07:00"),
        (Urgency.SMALL, NOBODY, "2026-02-12T07:59", "2026-02-12T08:00"),
        (Urgency.SMALL, NOBODY, "2026-02-12T08:00", "2026-02-12T08:00"),
        (Urgency.SMALL, NOBODY, "2026-02-12T08:01", "2026-02-13T08:00"),
        (Urgency.SMALL, quiet("22:00-10:30"), "2026-02-12T07:00", "2026-02-12T09:30"),
        (Urgency.SMALL, quiet("22:00-10:30"), "2026-02-12T08:30", "2026-02-13T09:30"),
        # On 29 March clocks go from 02:00 to 03:00, on 25 October from 03:00 back to 02:00.
        (Urgency.NORMAL, quiet("22:00-08:00"), "2026-03-28T22:00", "2026-03-29T06:00"),
        (Urgency.NORMAL, quiet("22:00-08:00"), "2026-10-24T21:00", "2026-10-25T07:00"),
        (Urgency.SMALL, NOBODY, "2026-03-28T09:00", "2026-03-29T07:00"),
        (Urgency.SMALL, NOBODY, "2026-10-24T09:00", "2026-10-25T08:00"),
        # The quiet hours' end is shown by no clock, and twice.
        (Urgency.NORMAL, quiet("22:00-02:30"), "2026-03-29T00:59", "2026-03-29T01:30"),
        (Urgency.NORMAL, quiet("22:00-02:30"), "2026-10-25T00:10", "2026-10-25T00:30"),
        (Urgency.NORMAL, quiet("22:00-02:30"), "2026-10-25T01:10", "2026-10-25T01:30"),
    ],
)
def test_when_it_is_due_in_berlin(urgency: Urgency, owner: Owner, now: str, due: str) -> None:
    """Critical at once, normal outside of quiet hours, small at nine by the contact's clock, on days when clocks change too."""
    moment, expected = (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in (now, due))
    assert due_at(urgency, owner, policy_of(), moment) == expected


def test_a_contact_has_a_clock_of_its_own() -> None:
    """A team's zone comes before that of the audits."""
    owner = Owner("growth", timezone="Asia/Shanghai")
    assert due_at(Urgency.SMALL, owner, policy_of(), NOW) == dt.datetime(2026, 2, 13, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_summary_within_the_hour_that_changes_comes_once(day: str) -> None:
    """Where the clock shows its time twice, or not at all, there is one summary on that day all the same."""
    start = dt.datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(BERLIN)).astimezone(dt.UTC)
    policy = policy_of(summary_at=dt.time(2, 30))
    minutes = (start + dt.timedelta(minutes=minute) for minute in range(0, 23 * 60, 5))
    due = {due_at(Urgency.SMALL, NOBODY, policy, minute) for minute in minutes}
    assert len([each for each in due if each - start < dt.timedelta(hours=23)]) == 1
    assert len(due) == 2


times = st.builds(dt.time, st.integers(0, 23), st.sampled_from([0, 30, 59]))
zones = st.sampled_from([BERLIN, "UTC", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
change_days = st.sampled_from(
    [dt.datetime(2026, month, day, tzinfo=dt.UTC) for month, day in ((3, 28), (10, 24), (4, 4))]
)
a_while = st.timedeltas(dt.timedelta(), dt.timedelta(days=3))
any_day = st.timedeltas(dt.timedelta(), dt.timedelta(days=365))
moments = st.builds(operator.add, change_days, a_while) | any_day.map(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).__add__)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([Urgency.NORMAL, Urgency.SMALL]), st.builds(QuietHours, times, times), times, zones, moments)
def test_nothing_is_due_in_the_past_or_in_quiet_hours(
    urgency: Urgency, hours: QuietHours, summary_at: dt.time, zone: str, now: dt.datetime
) -> None:
    """Whatever the hours, the zone and the day; and a day and a bit later it is due for sure."""
    owner = Owner("growth", quiet_hours=hours)
    policy = policy_of(owner, summary_at, zone)
    due = due_at(urgency, owner, policy, now)
    assert now <= due <= now + dt.timedelta(hours=50)
    assert quiet_until(owner, policy, due) is None
    assert due_at(Urgency.CRITICAL, owner, policy, now) == now


@settings(max_examples=200, deadline=None)
@given(times, zones, st.lists(moments, min_size=2, max_size=2).map(sorted))
def test_summaries_are_a_day_apart(summary_at: dt.time, zone: str, both: list[dt.datetime]) -> None:
    """Two small things are told together or on different days, the earlier one not later."""
    policy = policy_of(summary_at=summary_at, zone=zone)
    first, second = (due_at(Urgency.SMALL, NOBODY, policy, now) for now in both)
    assert first <= second
    assert first == second or second - first > dt.timedelta(hours=22)


texts = st.text(max_size=60) | st.text(st.sampled_from("a.~\n_/\\ \ud800"), max_size=6)


@given(st.lists(st.tuples(texts, texts), min_size=2, max_size=6, unique=True))
@example([("a\n", "b"), ("a", "\nb")])
@example([("a", "b.c"), ("a.b", "c"), ("A", "b.c"), ("", "a b.c"), ("../..", "/etc"), (".", "~"), ("", "")])
def test_every_thread_has_a_folder(threads: list[tuple[str, str]]) -> None:
    """Different owners and threads have different folders, on disks that don't tell case as well, with harmless names."""
    folders = [folder_of(owner, thread) for owner, thread in threads]
    for one, other in itertools.combinations(folders, 2):
        assert one.casefold() != other.casefold()
    for folder in folders:
        assert re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", folder)
        assert len(folder) <= 92


def test_a_folder_can_be_read_by_people() -> None:
    """It names team and thread, and stays what it is: messages are found by it later."""
    assert folder_of("isales-marketing", "plan 20260220T190500Z-0a1b2c").startswith(
        "isales_marketing.plan_20260220T190500Z_0a1b2c."
    )
    assert folder_of("growth", "audit") == folder_of("growth", "audit")


def test_a_reminder_knows_since_when() -> None:
    """Since it was told first without a silence in between; what is new of an update is named."""
    reminder = news_of("a", [told(40, "a"), told(20, "a"), told(8, "a")], NOW, WEEK_S)
    assert reminder == News(Why.REMINDER, frozenset(), NOW - 20 * DAY)
    update = news_of("ab", [told(3, "a")], NOW, WEEK_S)
    assert update == News(Why.UPDATE, frozenset("b"), NOW - 3 * DAY)
    assert news_of("a", [], NOW, WEEK_S) == News(Why.FIRST, frozenset("a"))
