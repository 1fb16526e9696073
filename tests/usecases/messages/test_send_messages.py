"""Messages that are told once, whoever dies, fails or works at the same time. The store is a real one; channels are stood in for,
as tests/tasks has real ones.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import StoreProblem
from redis_ttl.domain.incident.messages import EXAMPLES
from redis_ttl.domain.messages.delivery import ChannelKind, Route, Why, folder_of
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.kind import STATES, MessageKind, Urgency
from redis_ttl.domain.policy.policy import MessageSettings, Owner, QuietHours
from redis_ttl.domain.watch.levels import Level
from redis_ttl.messages.formats.document import Document
from redis_ttl.usecases.messages.deliver_messages import deliver_due, has_due_messages
from redis_ttl.usecases.messages.post_message import post_message
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.message_ports import Envelope
from redis_ttl.usecases.store.messages import MessageDocuments
from tests.usecases.messaging import (
    GROWTH,
    NOON,
    PLATFORM,
    POLICY,
    SEARCH,
    Died,
    DyingStore,
    Messaging,
    facts,
    in_words,
    items_of,
    refuse,
    silent,
)

THREAD = folder_of("growth", "audit")
FOLDER = f"shop/messages/{THREAD}/0001"
NIGHT = QuietHours(dt.time(22), dt.time(8))
#: Long enough for every retry and every claim of somebody who died.
FOREVER_H = 48


@pytest.fixture
def messaging(tmp_path: Path) -> Messaging:
    """A cluster whose owner has Slack and mail, with a fallback contact."""
    return Messaging(tmp_path)


def settle(messaging: Messaging, hours: float = FOREVER_H, minutes: float = 7) -> None:
    """Let workers come by every few minutes for so long."""
    end = messaging.now_at + dt.timedelta(hours=hours)
    while messaging.now_at < end and messaging.pending():
        messaging.pass_by(minutes=minutes)
        messaging.deliver()
    messaging.now_at = max(end, messaging.now_at)


# What is told once.


def test_a_message_goes_over_every_route_once(messaging: Messaging) -> None:
    """Slack and mail get it, nothing stays behind, and the store has what was said."""
    post = messaging.post("a", "b")
    assert (post.why, post.to, post.due) == (Why.FIRST, "growth", NOON)
    assert [route.name for route in post.routes] == ["slack", "email"]
    done = messaging.deliver()
    assert sorted(messaging.routes()) == ["email", "slack"]
    assert [(each.paths, each.error) for each in done] == [((FOLDER,), None)] * 2
    assert messaging.pending() == []
    assert messaging.deliver() == []
    store = Store(messaging.root)
    message = json.loads(store.read(f"{post.path}/message.json"))
    assert {name: message[name] for name in ("items", "to", "owner", "urgency", "why", "routes")} == {
        "items": ["a", "b"],
        "to": "growth",
        "owner": "growth",
        "urgency": "normal",
        "why": "first",
        "routes": ["slack", "email"],
    }
    assert store.read(f"{post.path}/message.md") == b"* a\n* b\n"


def test_what_was_told_is_not_sent_again(messaging: Messaging) -> None:
    """A task's retry, the next night, a part of it: nothing is written and nothing is sent."""
    messaging.post("a", "b")
    messaging.deliver()
    for items in (("a", "b"), ("b",)):
        messaging.pass_by(days=3)
        post = messaging.post(*items)
        assert (post.path, post.why, post.routes, post.due) == (None, None, (), None)
        assert messaging.deliver() == []
    assert len(messaging.sent) == 2


def test_what_goes_on_is_told_again_after_the_interval(messaging: Messaging) -> None:
    """A reminder goes below what was told before, once an interval."""
    messaging.post("a")
    messaging.deliver()
    messaging.pass_by(days=7)
    assert messaging.post("a").why is Why.REMINDER
    messaging.deliver()
    assert messaging.post("a").why is None
    assert messaging.taken() == {("slack", "a"): 2, ("email", "a"): 2}


def test_something_new_goes_into_the_same_thread(messaging: Messaging) -> None:
    """An update replies to the first message on each channel, by what the channel said of it and by its id."""
    messaging.post("a")
    messaging.deliver()
    for items in (("a", "b"), ("a", "b", "c")):
        messaging.pass_by(days=1)
        assert messaging.post(*items).why is Why.UPDATE
        messaging.deliver()
    first = {envelope.route.name: str(number + 1) for number, (_, envelope) in enumerate(messaging.sent[:2])}
    for _, envelope in messaging.sent[2:]:
        assert envelope.reply_to is not None
        receipt, message_id = envelope.reply_to
        assert (receipt.thread, message_id) == (first[envelope.route.name], f"shop.{THREAD}.1")
    assert len(messaging.sent) == 6


def test_threads_and_teams_have_nothing_to_do_with_each_other(messaging: Messaging) -> None:
    """The same item of another thread, or for another team, is news, and no reply."""
    messaging.post("a")
    messaging.deliver()
    assert messaging.post("a", thread="plan 1").why is Why.FIRST
    assert messaging.post("a", owner=SEARCH).why is Why.FIRST
    messaging.deliver()
    assert [envelope.reply_to for _, envelope in messaging.sent] == [None] * 5


def test_nothing_to_tell_is_no_message(messaging: Messaging) -> None:
    """Facts without items are told nobody."""
    assert messaging.post().path is None
    assert not (messaging.root / "shop").exists()


# Replies, and how long.


def test_a_thread_ends_after_thirty_days(messaging: Messaging) -> None:
    """What replies to a message of day 20 is below the one of day 0: on day 30 another thread begins, and is gone on with."""
    roots = []
    for day in range(0, 81, 10):
        messaging.now_at = NOON + dt.timedelta(days=day)
        messaging.post(f"item {day}", owner=SEARCH)
        messaging.deliver()
        reply_to = messaging.sent[-1][1].reply_to
        roots.append(None if reply_to is None else reply_to[1].rpartition(".")[2])
    assert roots == [None, "1", "1", None, "4", "4", None, "7", "7"]


def test_a_channel_that_lost_a_thread_begins_another(messaging: Messaging) -> None:
    """Where the first message was deleted, replies go below the one that took its place."""
    messaging.post("a", owner=SEARCH)
    messaging.deliver()
    tools = messaging.tools()
    anew = replace(tools, send=lambda envelope: tools.send(replace(envelope, reply_to=None)))
    post_message(SEARCH, facts("b", owner=SEARCH), anew)
    deliver_due(anew)
    messaging.post("c", owner=SEARCH)
    messaging.deliver()
    reply_to = messaging.sent[-1][1].reply_to
    assert reply_to is not None
    assert (reply_to[0].thread, reply_to[1]) == ("2", f"shop.{folder_of('search', 'audit')}.2")


def test_a_team_that_moves_leaves_its_threads_behind(messaging: Messaging) -> None:
    """In another channel a message begins another thread."""
    messaging.post("a", owner=SEARCH)
    messaging.deliver()
    moved = replace(SEARCH, slack="#search-and-find")
    messaging.policy = replace(POLICY, owners=(moved,))
    messaging.post("b", owner=moved)
    messaging.deliver()
    assert messaging.sent[-1][1].route.to == ("#search-and-find",)
    assert messaging.sent[-1][1].reply_to is None


def test_an_urgent_reply_is_loud(messaging: Messaging) -> None:
    """A reply that must be read at once is shown to everybody in the channel."""
    messaging.post("a")
    messaging.post("b", urgency=Urgency.CRITICAL)
    messaging.deliver()
    assert Counter((items_of(envelope)[0], envelope.is_loud) for _, envelope in messaging.sent) == {
        ("a", False): 2,
        ("b", True): 2,
    }


# Who can't be reached.


def test_who_has_no_way_is_stood_in_for(messaging: Messaging) -> None:
    """The fallback contact hears it in their place."""
    nobody = Owner("carts")
    post = messaging.post("a", owner=nobody)
    assert (post.owner, post.to) == ("carts", "platform")
    messaging.deliver()
    assert sorted(messaging.routes()) == ["email-fallback", "slack-fallback"]
    assert {envelope.route.to for _, envelope in messaging.sent} == {("#platform",), ("platform@example.com",)}
    assert {document["for"] for _, envelope in messaging.sent for document in envelope.documents} == {"platform"}


def test_without_any_way_it_stays_in_the_store(messaging: Messaging) -> None:
    """It is told all the same, once."""
    messaging.policy = replace(POLICY, messages=MessageSettings())
    post = messaging.post("a")
    assert post.routes == ()
    assert Store(messaging.root).exists(f"{post.path}/message.md")
    assert messaging.pending() == []
    assert messaging.post("a").path is None


# Quiet hours.


@pytest.mark.parametrize(("urgency", "is_held"), [(Urgency.NORMAL, True), (Urgency.CRITICAL, False)])
def test_quiet_hours_hold_what_is_not_critical(messaging: Messaging, urgency: Urgency, *, is_held: bool) -> None:
    """Until they end; something critical is sent at once."""
    owner = replace(SEARCH, quiet_hours=NIGHT)
    messaging.policy = replace(POLICY, owners=(owner,))
    messaging.now_at = NOON.replace(hour=23)
    messaging.post("a", owner=owner, urgency=urgency)
    messaging.deliver()
    assert len(messaging.sent) == (0 if is_held else 1)
    messaging.pass_by(hours=8, minutes=59)
    messaging.deliver()
    assert len(messaging.sent) == (0 if is_held else 1)
    messaging.pass_by(minutes=1)
    messaging.deliver()
    assert len(messaging.sent) == 1


def test_what_is_late_waits_for_the_morning(messaging: Messaging) -> None:
    """A retry, or a worker that comes late, doesn't send within quiet hours what was due before them."""
    owner = replace(SEARCH, quiet_hours=NIGHT)
    messaging.policy = replace(POLICY, owners=(owner,))
    messaging.now_at = NOON.replace(hour=21, minute=58)
    messaging.answers = silent("slack")
    messaging.post("a", owner=owner)
    messaging.deliver()
    messaging.post("b", owner=owner)
    messaging.answers = silent()
    settle(messaging)
    assert [at.strftime("%d %H:%M") for at, _ in messaging.sent] == ["13 08:00", "13 08:00"]


def test_the_fallback_contact_has_quiet_hours_too(messaging: Messaging) -> None:
    """What an owner's channels refuse at night reaches the fallback contact in the morning."""
    fallback = replace(PLATFORM, quiet_hours=NIGHT, email=())
    messaging.policy = replace(POLICY, messages=replace(POLICY.messages, fallback=fallback))
    messaging.answers = refuse("slack", "email")
    messaging.now_at = NOON.replace(hour=23)
    messaging.post("a")
    messaging.deliver()
    messaging.deliver()
    assert messaging.sent == []
    messaging.pass_by(hours=9)
    messaging.deliver()
    assert messaging.routes() == ["slack-fallback"]


# Daily summaries.


def test_small_things_are_one_summary_a_day(messaging: Messaging) -> None:
    """At nine, one on each channel of a contact, however many there were; the next day's go the next day."""
    for number in range(3):
        messaging.post("a", urgency=Urgency.SMALL, thread=f"plan {number}")
        messaging.pass_by(hours=1)
    messaging.post("a", owner=SEARCH, urgency=Urgency.SMALL)
    assert messaging.deliver() == []
    messaging.now_at = NOON.replace(day=13, hour=9)
    done = messaging.deliver()
    assert {(each.route.name, each.route.to): len(each.paths) for each in done} == {
        ("slack", ("#growth",)): 3,
        ("email", ("growth@example.com",)): 3,
        ("slack", ("#search",)): 1,
    }
    assert sorted(envelope.count for _, envelope in messaging.sent) == [1, 3, 3]
    messaging.pass_by(minutes=1)
    messaging.post("b", urgency=Urgency.SMALL)
    assert messaging.deliver() == []
    settle(messaging)
    assert len(messaging.sent) == 5


def test_a_summary_is_no_reply_and_no_thread_moves_into_it(messaging: Messaging) -> None:
    """It is about several things; a later message of one of them goes below that thread's first message."""
    messaging.post("a", owner=SEARCH)
    messaging.deliver()
    messaging.post("b", owner=SEARCH, urgency=Urgency.SMALL)
    messaging.post("x", owner=SEARCH, urgency=Urgency.SMALL, thread="plan 1")
    settle(messaging)
    messaging.post("c", owner=SEARCH)
    messaging.post("y", owner=SEARCH, thread="plan 1")
    messaging.deliver()
    replies = {tuple(items_of(envelope)): envelope.reply_to for _, envelope in messaging.sent}
    assert replies["b", "x"] is None
    summary_id = messaging.sent[1][1].message_id
    assert {items[0]: reply[1] for items, reply in replies.items() if reply is not None} == {
        "c": messaging.sent[0][1].message_id,
        "y": summary_id,
    }


def test_a_summary_goes_where_each_of_its_messages_must(messaging: Messaging) -> None:
    """What was told before a team moved goes to its old channel, and not into the other one's summary."""
    messaging.post("a", owner=SEARCH, urgency=Urgency.SMALL)
    moved = replace(SEARCH, slack="#search-and-find")
    messaging.policy = replace(POLICY, owners=(moved,))
    messaging.post("b", owner=moved, urgency=Urgency.SMALL)
    settle(messaging)
    assert {envelope.route.to[0]: items_of(envelope) for _, envelope in messaging.sent} == {
        "#search": ["a"],
        "#search-and-find": ["b"],
    }


def test_the_fallback_contact_has_one_summary(messaging: Messaging) -> None:
    """Small things of several teams that can't be reached go to the fallback contact together."""
    messaging.answers = refuse("slack", "email")
    messaging.post("a", urgency=Urgency.SMALL)
    messaging.post("b", owner=SEARCH, urgency=Urgency.SMALL)
    messaging.post("c", owner=Owner("carts"), urgency=Urgency.SMALL)
    settle(messaging, minutes=11)
    slack = [
        (at.day, at.hour, sorted(items_of(envelope)))
        for at, envelope in messaging.sent
        if envelope.route.name == "slack-fallback"
    ]
    # Their own channels refused a and b just after nine, so they are for the next day's.
    assert slack == [(13, 9, ["c"]), (14, 9, ["a", "b"])]


def test_messages_of_a_summary_are_tried_as_often_each(messaging: Messaging) -> None:
    """One that has failed four times doesn't take another one with it that has failed once."""
    messaging.policy = replace(POLICY, messages=replace(POLICY.messages, fallback=None))
    messaging.answers = silent("slack")
    messaging.now_at = NOON.replace(hour=8, minute=30)
    messaging.post("a", owner=SEARCH, urgency=Urgency.SMALL)
    messaging.pass_by(minutes=30)
    for minutes in (0, 5, 15, 60):
        messaging.pass_by(minutes=minutes)
        messaging.deliver()
    documents = MessageDocuments(Store(messaging.root), "shop")
    (left,) = documents.pending()
    assert left.attempt == 5
    messaging.post("b", owner=SEARCH, urgency=Urgency.SMALL, thread="plan 1")
    messaging.now_at = NOON.replace(day=13, hour=9)
    done = messaging.deliver()
    assert [(len(each.paths), each.is_given_up) for each in done] == [(1, True), (1, False)]
    messaging.answers = silent()
    settle(messaging)
    assert messaging.taken() == {("slack", "b"): 1}


# Channels that fail.


def test_a_failing_channel_is_tried_again_ever_more_rarely(messaging: Messaging) -> None:
    """After 5, 15, 60 and 240 minutes, not before, and then no more; it is said when it is given up."""
    messaging.policy = replace(POLICY, messages=replace(POLICY.messages, fallback=None))
    messaging.answers = silent("slack")
    messaging.post("a", owner=SEARCH)
    tries = []
    begin = messaging.now_at
    for _ in range(24 * 60):
        for delivery in messaging.deliver():
            tries.append(int((messaging.now_at - begin).total_seconds() / 60))
            assert delivery.is_given_up == (len(tries) == 5)
            assert delivery.error is not None
            assert "nobody answers" in delivery.error
        if not messaging.pending():
            break
        messaging.pass_by(minutes=1)
    assert tries == [0, 5, 20, 80, 320]
    assert Store(messaging.root).exists(f"shop/messages/{folder_of('search', 'audit')}/0001/message.json")
    assert messaging.post("a", owner=SEARCH).path is None, "it is told, if in the store only"


def test_a_channel_that_works_again_gets_it(messaging: Messaging) -> None:
    """With the retry that is next."""
    messaging.answers = silent("slack")
    messaging.post("a")
    messaging.deliver()
    assert messaging.routes() == ["email"]
    messaging.answers = silent()
    messaging.pass_by(minutes=4)
    assert messaging.deliver() == []
    messaging.pass_by(minutes=1)
    messaging.deliver()
    assert messaging.routes() == ["email", "slack"]
    assert messaging.pending() == []


def test_where_one_route_took_it_nobody_else_is_asked(messaging: Messaging) -> None:
    """Slack refuses, mail works: the fallback contact hears nothing, whichever of them comes first."""
    for number, name in enumerate(("slack", "email")):
        messaging.answers = refuse(name)
        messaging.post(f"item {number}")
        done = messaging.deliver()
        assert [each.route.name for each in done if each.is_given_up] == [name]
    settle(messaging)
    assert sorted(messaging.routes()) == ["email", "slack"]


def test_what_still_waits_may_yet_take_it(messaging: Messaging) -> None:
    """Slack refuses and mail is down: the fallback contact hears it when mail is given up, and not before."""

    def answers(envelope: Envelope) -> None:
        refuse("slack")(envelope)
        silent("email")(envelope)

    messaging.answers = answers
    messaging.post("a")
    messaging.deliver()
    messaging.pass_by(hours=3)
    messaging.deliver()
    assert messaging.sent == []
    settle(messaging)
    assert sorted(messaging.routes()) == ["email-fallback", "slack-fallback"]


@pytest.mark.parametrize("urgency", [Urgency.NORMAL, Urgency.CRITICAL, Urgency.SMALL])
def test_what_no_route_takes_goes_to_the_fallback_contact(messaging: Messaging, urgency: Urgency) -> None:
    """Both refused: the fallback contact gets it over every way, once."""
    messaging.answers = refuse("slack", "email")
    messaging.post("a", urgency=urgency)
    settle(messaging)
    assert messaging.taken() == {("slack-fallback", "a"): 1, ("email-fallback", "a"): 1}


def test_what_the_fallback_contact_cannot_be_sent_is_in_the_store(messaging: Messaging) -> None:
    """Refused everywhere it is given up, and can be read."""
    messaging.answers = refuse("slack", "email", "slack-fallback", "email-fallback")
    post = messaging.post("a")
    settle(messaging)
    assert (messaging.sent, messaging.pending(), messaging.asked) == ([], [], 4)
    names = Store(messaging.root).names(str(post.path))
    assert {name for name in names if "-failed-" in name} == {
        f"{route}-failed-1.json" for route in ("slack", "email", "slack-fallback", "email-fallback")
    }
    assert "message.md" in names


def test_two_refusals_at_once_are_not_lost_between_two_workers(messaging: Messaging) -> None:
    """While one worker hears that Slack refuses, another hears the same of mail: the fallback contact gets it."""
    both = threading.Barrier(2)

    def answers(envelope: Envelope) -> None:
        if not envelope.route.is_fallback:
            both.wait(10)
            refuse("slack", "email")(envelope)

    for number in range(30):
        messaging.answers = answers
        messaging.post(f"item {number}", thread=f"plan {number}")
        at_once(2, lambda _: messaging.deliver())
        messaging.answers = silent()
        messaging.deliver()
        for name in ("slack-fallback", "email-fallback"):
            assert messaging.taken()[name, f"item {number}"] == 1


# Workers that die.


def lives(messaging: Messaging, work: Callable[[DyingStore], object], dies_at: int) -> bool:
    """Whether the worker came to its end, with a store that fails it at that change."""
    try:
        work(DyingStore(Store(messaging.root), dies_at))
    except Died:
        return False
    return True


def tell(messaging: Messaging, *items: str, urgency: Urgency = Urgency.NORMAL) -> Callable[[DyingStore], object]:
    """What a task does: post, and send what is due."""

    def work(store: DyingStore) -> None:
        tools = messaging.tools(store)
        for item in items:
            post_message(GROWTH, facts(item, urgency=urgency, thread=item), tools)
        deliver_due(tools)

    return work


@pytest.mark.parametrize("channels", ["work", "slack refuses", "both refuse", "slack is silent"])
@pytest.mark.parametrize("urgency", Urgency)
def test_a_worker_may_die_anywhere(tmp_path: Path, urgency: Urgency, channels: str) -> None:
    """Before any change of the store: the task's retry and those who come later send it over each route once. Between a channel's
    answer and our note of it, it is sent twice, under one id.
    """
    answers = {
        "work": silent(),
        "slack refuses": refuse("slack"),
        "both refuse": refuse("slack", "email"),
        "slack is silent": silent("slack"),
    }[channels]
    expected = {
        "work": {"slack", "email"},
        "slack refuses": {"email"},
        "both refuse": {"slack-fallback", "email-fallback"},
        "slack is silent": {"slack", "email"},
    }[channels]
    twice, dies_at, is_done = 0, 0, False
    while not is_done:
        dies_at += 1
        messaging = Messaging(tmp_path / str(dies_at), answers=answers)
        if urgency is Urgency.SMALL:
            messaging.now_at = NOON.replace(hour=9)
        is_done = lives(messaging, tell(messaging, "a", urgency=urgency), dies_at)
        messaging.pass_by(minutes=1)
        tell(messaging, "a", urgency=urgency)(DyingStore(Store(messaging.root), 10**6))
        if channels == "slack is silent":
            messaging.answers = silent()
        settle(messaging, minutes=11)
        assert messaging.pending() == []
        taken = messaging.taken()
        assert {route for route, _ in taken} == expected, dies_at
        assert max(taken.values()) <= 2
        twice += sum(count == 2 for count in taken.values())
        ids = {(envelope.route.name, envelope.message_id) for _, envelope in messaging.sent}
        assert len(ids) == len(expected), "under one id"
    assert twice <= len(expected)
    assert dies_at > 8


def test_who_dies_while_another_died_loses_nothing(tmp_path: Path) -> None:
    """Three workers die one after the other, each at any change of its own: the fourth sends it, at most once more than any death
    within the window between answer and note.
    """
    for first in range(1, 9, 2):
        for second in range(1, 9):
            for third in (1, 2, 3, 5):
                messaging = Messaging(tmp_path / f"{first} {second} {third}")
                for dies_at in (first, second, third):
                    lives(messaging, tell(messaging, "a"), dies_at)
                    messaging.pass_by(minutes=11)
                tell(messaging, "a")(DyingStore(Store(messaging.root), 10**6))
                settle(messaging, minutes=11)
                taken = messaging.taken()
                assert set(taken) == {("slack", "a"), ("email", "a")}
                assert sum(taken.values()) <= 2 + 3
                assert messaging.pending() == []


def test_a_summary_survives_a_death(tmp_path: Path) -> None:
    """Wherever a worker dies over a summary of three, each of the three arrives, and none more than twice."""
    dies_at, is_done = 0, False
    while not is_done:
        dies_at += 1
        messaging = Messaging(tmp_path / str(dies_at), now_at=NOON.replace(hour=8))
        tell(messaging, "a", "b", "c", urgency=Urgency.SMALL)(DyingStore(Store(messaging.root), 10**6))
        messaging.pass_by(hours=1)
        is_done = lives(messaging, tell(messaging), dies_at)
        settle(messaging, minutes=11)
        taken = messaging.taken()
        assert set(taken) == {(route, item) for route in ("slack", "email") for item in "abc"}
        assert max(taken.values()) <= 2
        assert messaging.pending() == []


def test_a_claim_of_the_dead_is_taken_over(messaging: Messaging) -> None:
    """After ten minutes, not before; nobody sends it meanwhile."""
    messaging.post("a", owner=SEARCH)

    def dies(_: Envelope) -> None:
        raise Died

    messaging.answers = dies
    with pytest.raises(Died):
        messaging.deliver()
    messaging.answers = silent()
    messaging.pass_by(minutes=10)
    assert messaging.deliver() == []
    assert messaging.sent == []
    messaging.pass_by(seconds=1)
    (done,) = messaging.deliver()
    assert done.error is None
    assert messaging.taken() == {("slack", "a"): 1}
    assert messaging.pending() == []


def test_what_kills_every_worker_is_given_up(messaging: Messaging) -> None:
    """A message over which five workers died goes to the fallback contact, and isn't sent for ever."""
    messaging.post("a", owner=SEARCH)

    def dies(envelope: Envelope) -> None:
        if not envelope.route.is_fallback:
            messaging.sent.append((messaging.now_at, envelope))
            raise Died

    messaging.answers = dies
    given_up = []
    for _ in range(20):
        with suppress(Died):
            given_up += [each for each in messaging.deliver() if each.is_given_up]
        messaging.pass_by(minutes=11)
    assert messaging.taken() == {("slack", "a"): 5, ("slack-fallback", "a"): 1, ("email-fallback", "a"): 1}
    assert [each.route.name for each in given_up] == ["slack"]
    assert messaging.pending() == []


def test_a_death_does_not_move_the_next_try(messaging: Messaging) -> None:
    """Whoever dies when a failure is noted, and the next try isn't, leaves that to others: it comes five minutes after the failure."""
    messaging.answers = silent("slack")
    messaging.post("a", owner=SEARCH)
    assert not lives(messaging, lambda store: deliver_due(messaging.tools(store)), dies_at=3)
    messaging.answers = silent()
    for minutes in range(8):
        assert len(messaging.sent) == (minutes > 5)
        messaging.deliver()
        messaging.pass_by(minutes=1)
    assert messaging.pending() == []


def test_who_is_slow_and_not_dead_does_no_more_harm_than_the_dead(messaging: Messaging) -> None:
    """A sender that ends after somebody took over leaves one more copy, and nothing behind."""
    messaging.post("a", owner=SEARCH)
    tools = messaging.tools()

    def slow(envelope: Envelope) -> object:
        messaging.pass_by(minutes=11)
        messaging.deliver()
        return messaging.send(envelope)

    deliver_due(replace(tools, send=slow))  # type: ignore[arg-type]  # gives what it is given
    settle(messaging)
    assert messaging.taken() == {("slack", "a"): 2}
    assert messaging.pending() == []


def test_a_round_ends_after_a_minute(messaging: Messaging) -> None:
    """What is left then is another worker's, who finds it unclaimed: nobody is thought dead over what waits for its turn."""
    for number in range(5):
        messaging.post("a", owner=SEARCH, thread=f"plan {number}")

    def slow(envelope: Envelope) -> object:
        messaging.pass_by(minutes=4)
        return messaging.send(envelope)

    tools = replace(messaging.tools(), send=slow)  # type: ignore[arg-type]  # gives what it is given
    for taken in range(1, 6):
        deliver_due(tools)
        assert messaging.taken() == {("slack", "a"): taken}
    assert messaging.pending() == []


# Marks without a message.


def mark(messaging: Messaging, due: dt.datetime, route: Route, number: int = 1, thread: str = THREAD) -> Pending:
    """What somebody leaves behind who dies before the message is written."""
    pending = Pending(due, route.name, thread, number, 1)
    MessageDocuments(Store(messaging.root), "shop").write_pending(pending, route)
    return pending


def test_a_mark_without_a_message_means_nothing(messaging: Messaging) -> None:
    """It stays for a day, for whoever may be about to write the message, and goes."""
    mark(messaging, messaging.now_at, Route(ChannelKind.SLACK, "bot", ("#growth",)))
    assert messaging.deliver() == []
    assert len(messaging.pending()) == 1
    messaging.pass_by(days=1, seconds=1)
    assert messaging.deliver() == []
    assert (messaging.sent, messaging.pending()) == ([], [])


@pytest.mark.parametrize("urgency", [Urgency.NORMAL, Urgency.SMALL])
def test_a_mark_of_another_message_does_not_hurry_this_one(messaging: Messaging, urgency: Urgency) -> None:
    """Somebody who died had marked number 1 as due at once; what became number 1 waits until the morning all the same."""
    owner = replace(SEARCH, quiet_hours=NIGHT)
    messaging.policy = replace(POLICY, owners=(owner,))
    messaging.now_at = NOON.replace(hour=21, minute=59)
    mark(
        messaging,
        messaging.now_at,
        Route(ChannelKind.SLACK, "bot", ("#search",)),
        thread=folder_of("search", "audit"),
    )
    messaging.pass_by(minutes=1)
    post = messaging.post("a", owner=owner, urgency=urgency)
    assert post.due is not None
    settle(messaging)
    ((at, _),) = messaging.sent
    assert post.due <= at < post.due + dt.timedelta(minutes=7)


def test_stray_files_are_no_messages(messaging: Messaging) -> None:
    """What isn't a mark lies where marks lie, and nothing happens."""
    store = Store(messaging.root)
    for name in ("README.txt", "a~b~c.json", "20260212T120000~slack~x~one~1.json", "2026~slack~x~1~1.json"):
        store.write(f"shop/messages/pending/{name}", b"{}")
    assert messaging.deliver() == []
    assert not has_due_messages(store, "shop", messaging.now_at)


def test_whether_anything_is_due_costs_one_listing(messaging: Messaging) -> None:
    """It is known without reading a document."""
    messaging.post("a")
    store = Store(messaging.root)
    assert has_due_messages(store, "shop", messaging.now_at)
    assert not has_due_messages(store, "shop", messaging.now_at - dt.timedelta(seconds=1))
    assert not has_due_messages(store, "other", messaging.now_at)
    messaging.deliver()
    assert not has_due_messages(store, "shop", messaging.now_at)


@pytest.mark.parametrize("number", [1, 9_999, 10_000])
def test_a_mark_says_all_in_its_name(number: int) -> None:
    """What is written is what is read, to the second."""
    pending = Pending(NOON, "slack-fallback", folder_of("a~b", "~"), number, 5)
    assert Pending.parse(pending.file) == pending


def test_a_store_that_fails_is_an_error(messaging: Messaging) -> None:
    """A message that can't be written isn't told, and a claim that can't be written sends nothing."""
    messaging.post("a")
    for folder in sorted(messaging.root.rglob("0001")):
        folder.joinpath("message.md").unlink()
        (folder / "slack-sending-1.json").mkdir()
        (folder / "email-sending-1.json").mkdir()
    with pytest.raises(StoreProblem):
        messaging.deliver()
    assert messaging.sent == []


# Workers at once.


def at_once(workers: int, work: Callable[[int], object]) -> None:
    """Let so many workers begin at the same moment, and wait for them."""
    barrier = threading.Barrier(workers)
    mistakes: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # it is raised below
            mistakes.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if mistakes:
        raise mistakes[0]


def test_two_workers_do_not_tell_the_same_twice(messaging: Messaging) -> None:
    """Both find the same thing, post and deliver it at the same moment: each channel gets it once, one of them wrote it."""
    posts = []

    def work(number: int) -> None:
        tools = messaging.tools()
        for round_ in range(40):
            posts.append(post_message(SEARCH, facts(f"item {round_}", owner=SEARCH, thread=f"plan {round_}"), tools))
            deliver_due(tools)
            if number:
                posts.append(messaging.post("same", owner=SEARCH, thread=f"plan {round_}"))

    at_once(2, work)
    messaging.deliver()
    taken = messaging.taken()
    assert {count for (_, item), count in taken.items() if item != "same"} == {1}
    assert taken["slack", "same"] == 40
    assert sum(post.path is not None for post in posts) == 80
    assert messaging.pending() == []


def test_a_message_that_appears_between_two_looks_is_seen(messaging: Messaging) -> None:
    """Another worker posts the same just after this one has read what was told: it isn't told twice."""

    class Meanwhile(DyingStore):
        """Lets another worker post while a folder is listed, each time anew."""

        def names(self, folder: str) -> list[str]:
            found = super().names(folder)
            messaging.post("a")
            return found

    post = post_message(GROWTH, facts("a"), messaging.tools(Meanwhile(Store(messaging.root), 10**6)))
    assert post.path is None
    messaging.deliver()
    assert messaging.taken() == {("slack", "a"): 1, ("email", "a"): 1}


def test_two_workers_with_different_news_lose_neither(messaging: Messaging) -> None:
    """Both write the next message of one thread at the same moment; both are told, a critical one at once."""
    for round_ in range(25):
        thread = f"plan {round_}"

        def work(number: int, thread: str = thread) -> None:
            messaging.post(
                f"item {number}",
                owner=SEARCH,
                thread=thread,
                urgency=Urgency.SMALL if number else Urgency.CRITICAL,
            )

        at_once(2, work)
    messaging.deliver()
    assert messaging.taken() == {("slack", "item 0"): 25}
    settle(messaging)
    assert messaging.taken() == {("slack", "item 0"): 25, ("slack", "item 1"): 25}


def test_many_workers_share_the_work(messaging: Messaging) -> None:
    """Four deliver at once: each message goes out once, small and large, and nobody trips over another one's removals."""
    for number in range(30):
        urgency = Urgency.SMALL if number % 3 == 0 else Urgency.NORMAL
        messaging.post(f"item {number}", thread=f"plan {number}", urgency=urgency)
    messaging.pass_by(days=1)
    at_once(4, lambda _: messaging.deliver())
    taken = messaging.taken()
    assert len(taken) == 60
    assert set(taken.values()) == {1}
    assert messaging.pending() == []


# Real messages.


@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_of_message_goes_through(messaging: Messaging, kind: MessageKind) -> None:
    """What a channel gets is what the tasks compose, readable again after the store."""
    tools = replace(messaging.tools(), compose=in_words)
    post = post_message(GROWTH, EXAMPLES[kind], tools)
    assert post.why is Why.FIRST
    messaging.pass_by(days=1)
    deliver_due(tools)
    composed = in_words(EXAMPLES[kind], GROWTH)
    for _, envelope in messaging.sent:
        assert list(envelope.documents) == list(composed.documents)
        assert [Document.from_json(each).to_json() for each in envelope.documents] == list(composed.documents)
    assert len(messaging.sent) == 2
    assert Store(messaging.root).read(f"{post.path}/message.md").decode() == composed.markdown


def two_clusters(root: Path) -> tuple[Messaging, Messaging]:
    """Two whose keys belong to the same team."""
    other = replace(POLICY, cluster="till")
    return Messaging(root), Messaging(root, policy=other)


def test_a_team_has_one_summary_of_all_clusters(tmp_path: Path) -> None:
    """Whichever cluster's worker comes first sends it, and the other one finds nothing left."""
    shop, till = two_clusters(tmp_path)
    shop.post("a", urgency=Urgency.SMALL)
    till.post("b", urgency=Urgency.SMALL)
    till.post("c", urgency=Urgency.SMALL, owner=SEARCH)
    for each in (shop, till):
        each.now_at = NOON + dt.timedelta(days=1)
    shop.deliver()
    assert shop.routes() == ["email", "slack"] or shop.routes() == ["slack", "email"]
    assert [sorted(items_of(envelope)) for _, envelope in shop.sent] == [["a", "b"], ["a", "b"]]
    till.deliver()
    assert [items_of(envelope) for _, envelope in till.sent] == [["c"]]
    assert shop.pending() == till.pending() == []


def test_what_is_not_small_is_left_to_its_own_cluster(tmp_path: Path) -> None:
    """Only summaries look into the folders of other clusters; a broken folder there keeps nothing here from being sent."""
    shop, till = two_clusters(tmp_path)
    till.answers = silent("slack", "email")
    till.post("b")
    till.deliver()
    (tmp_path / "zoo" / "messages" / "pending").mkdir(parents=True)
    (tmp_path / "zoo" / "messages" / "pending" / "20260101T000000~slack~x~0001~1.json").write_text("{}")
    shop.post("a", urgency=Urgency.SMALL)
    shop.now_at = NOON + dt.timedelta(days=1)
    shop.deliver()
    assert {item for _, envelope in shop.sent for item in items_of(envelope)} == {"a"}
    assert len(till.pending()) == 2


def test_messages_of_two_clusters_are_two(tmp_path: Path) -> None:
    """The same team, the same thread, the same number: their ids differ, or a mail program would take one for the other."""
    shop, till = two_clusters(tmp_path)
    for each in (shop, till):
        each.post("a")
        each.deliver()
    ids = {envelope.message_id for each in (shop, till) for _, envelope in each.sent}
    assert len(ids) == 2


def test_a_silent_channel_is_waited_for_once_a_round(messaging: Messaging) -> None:
    """What else is due over the same connection is left to the next round, untried; other connections go on."""
    messaging.answers = silent("slack")
    for number in range(5):
        post_message(GROWTH, facts("a", thread=f"plan {number}"), messaging.tools())
    messaging.deliver()
    assert messaging.asked == 1 + 5
    assert messaging.routes() == ["email"] * 5
    messaging.answers = lambda _: None
    messaging.deliver()
    assert messaging.routes().count("slack") == 4
    messaging.pass_by(minutes=5)
    messaging.deliver()
    assert messaging.routes().count("slack") == 5


def test_a_summary_ends_nothing_of_another_cluster(tmp_path: Path) -> None:
    """When a channel refuses it, what is about another cluster is left to that one, which knows whom to turn to."""
    shop, till = two_clusters(tmp_path)
    shop.policy = replace(POLICY, messages=replace(POLICY.messages, fallback=Owner("shop-sre", slack="#shop-sre")))
    till.policy = replace(till.policy, messages=replace(POLICY.messages, fallback=Owner("till-sre", slack="#till-sre")))
    for each, item in ((shop, "a"), (till, "b")):
        each.post(item, urgency=Urgency.SMALL)
        each.answers = refuse("slack", "email")
        each.now_at = NOON + dt.timedelta(days=1)
    shop.deliver()
    for each in (shop, till):
        settle(each)
    assert {(envelope.route.to[0], *items_of(envelope)) for _, envelope in shop.sent} == {("#shop-sre", "a")}
    assert {(envelope.route.to[0], *items_of(envelope)) for _, envelope in till.sent} == {("#till-sre", "b")}


LEVEL = EXAMPLES[MessageKind.MEMORY_LEVEL]


def at_level(at: str, level: Level, before: Level) -> MemoryLevel:
    """Memory at another level, as the watch tells it."""
    assert isinstance(LEVEL, MemoryLevel)
    order = list(Level)
    return replace(LEVEL, at=at, level=level, before=before, is_worse=order.index(level) > order.index(before))


def test_what_has_recovered_and_not_is_not_told_as_recovered(messaging: Messaging) -> None:
    """A warning's end that waits for the daily summary is dropped when the next warning comes before it; and that one is seen by all."""
    for at, level, before in (("1", Level.WARN, Level.OK), ("2", Level.OK, Level.WARN), ("3", Level.WARN, Level.OK)):
        post_message(SEARCH, at_level(at, level, before), messaging.tools())
        messaging.deliver()
        messaging.pass_by(hours=6)
    settle(messaging)
    assert [items_of(envelope) for _, envelope in messaging.sent] == [["warn 1"], ["warn 3"]]
    assert [envelope.is_loud for _, envelope in messaging.sent] == [True, True]
    assert messaging.pending() == []


@pytest.mark.parametrize("kind", sorted(set(MessageKind) - STATES))
def test_what_has_happened_once_is_not_reminded_of(messaging: Messaging, kind: MessageKind) -> None:
    """However often and however much later somebody tells it."""
    tools = replace(messaging.tools(), compose=in_words)
    assert post_message(GROWTH, EXAMPLES[kind], tools).path is not None
    for _ in range(10):
        messaging.pass_by(days=9)
        assert post_message(GROWTH, EXAMPLES[kind], tools).path is None


def test_an_approval_is_asked_for_in_time(messaging: Messaging) -> None:
    """In quiet hours rather than after the end of its time; and not at all when that has passed before anybody could send it."""
    quiet = replace(SEARCH, quiet_hours=QuietHours(dt.time(10), dt.time(18)))
    messaging.policy = replace(POLICY, owners=(quiet,))
    asked = EXAMPLES[MessageKind.APPROVAL_REQUESTED]
    assert isinstance(asked, ApprovalRequested)
    short = replace(asked, answer_by=(NOON + dt.timedelta(hours=4)).isoformat())
    tools = replace(messaging.tools(), compose=in_words)
    assert post_message(quiet, short, tools).due == NOON
    long = replace(asked, request_id="2", answer_by=(NOON + dt.timedelta(hours=24)).isoformat())
    assert post_message(quiet, long, tools).due == NOON + dt.timedelta(hours=6)
    messaging.pass_by(hours=30)
    assert deliver_due(tools) == []
    assert messaging.pending() == []


def test_what_is_critical_goes_first(messaging: Messaging) -> None:
    """A round that ends before its time has sent what is urgent, however late the rest is."""
    messaging.post("late", owner=SEARCH, thread="plan 1")
    messaging.pass_by(minutes=30)
    messaging.post("urgent", owner=SEARCH, urgency=Urgency.CRITICAL, thread="plan 2")

    def slow(envelope: Envelope) -> object:
        messaging.pass_by(minutes=2)
        return messaging.send(envelope)

    deliver_due(replace(messaging.tools(), send=slow))  # type: ignore[arg-type]  # gives what it is given
    assert messaging.taken() == {("slack", "urgent"): 1}
