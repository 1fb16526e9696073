"""Whatever is posted, whoever dies, however channels behave, in any order: nothing is lost, nothing comes early, nothing twice."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable
from redis_ttl.domain.messages.delivery import due_at, quiet_until
from redis_ttl.domain.messages.kind import Urgency
from redis_ttl.domain.policy.policy import Owner, QuietHours
from redis_ttl.usecases.messages.deliver_messages import deliver_due
from redis_ttl.usecases.messages.post_message import post_message
from redis_ttl.usecases.store.message_ports import Envelope
from redis_ttl.usecases.store.messages import MessageDocuments
from tests.usecases.messaging import GROWTH, PLATFORM, POLICY, SEARCH, Died, DyingStore, Facts, Messaging

BERLINERS = replace(
    SEARCH, quiet_hours=QuietHours(dt.time(22), dt.time(8)), timezone="Europe/Berlin", email=("s@example.com",)
)
CARTS = Owner("carts")
FALLBACK = replace(PLATFORM, quiet_hours=QuietHours(dt.time(0), dt.time(6)))
RANDOM_POLICY = replace(
    POLICY, owners=(BERLINERS, CARTS), messages=replace(POLICY.messages, fallback=FALLBACK, remind_after_s=3 * 86_400)
)
TEAMS = {owner.team: owner for owner in (GROWTH, BERLINERS, CARTS, FALLBACK)}
REMIND = dt.timedelta(days=3)
MINUTE = dt.timedelta(minutes=1)
NAMES = ("slack", "email", "slack-fallback", "email-fallback")

items = st.sets(st.sampled_from("abc"), min_size=1)
deaths = st.none() | st.integers(1, 9)


class Telling(RuleBasedStateMachine):
    """Workers of one cluster over some days; ``written`` is what the store has, by the serial number of the message."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="redis-ttl-messages-"))
        self.messaging = Messaging(self.folder, RANDOM_POLICY, answers=self.answer)
        self.channels = dict.fromkeys(NAMES, "works")
        self.serial = 0
        self.deaths = 0
        self.written: dict[int, dict[str, Any]] = {}
        self.checked = 0

    @initialize(minutes=st.integers(0, 24 * 60))
    def begin(self, minutes: int) -> None:
        """At any time of day, two days before clocks change."""
        self.messaging.now_at = dt.datetime(2026, 3, 27, tzinfo=dt.UTC) + minutes * MINUTE

    def answer(self, envelope: Envelope) -> None:
        """What a channel says."""
        match self.channels[envelope.route.name]:
            case "refuses":
                raise ChannelRefused("no such channel")
            case "is silent":
                raise ChannelUnavailable("nobody answers")

    def work(self, task: Callable[[Any], object], dies_at: int | None) -> None:
        """Let a worker do it; it may die over it."""
        store = Store(self.folder)
        with suppress(Died):
            task(self.messaging.tools(store if dies_at is None else DyingStore(store, dies_at)))
            return
        self.deaths += 1

    @rule(
        told=items, urgency=st.sampled_from(Urgency), owner=st.sampled_from([GROWTH, BERLINERS, CARTS]), dies_at=deaths
    )
    def post(self, told: set[str], urgency: Urgency, owner: Owner, dies_at: int | None) -> None:
        """Only what wasn't all told within the interval is written, and it says the right moment."""
        self.serial += 1
        facts: Any = Facts(tuple(sorted(told)), urgency, owner.team, serial=self.serial)
        earlier = [each for each in self.written.values() if each["owner"] == owner.team]
        now = self.messaging.now_at
        lately = {
            item
            for each in earlier
            if now - dt.datetime.fromisoformat(each["at"]) < REMIND - dt.timedelta(hours=1)
            for item in each["items"]
        }
        self.work(lambda tools: post_message(owner, facts, tools), dies_at)
        found = self._read().get(self.serial)
        if found is None:
            assert told <= lately or dies_at is not None
            return
        assert not told <= lately
        self.written[self.serial] = found
        assert dt.datetime.fromisoformat(found["due"]) == due_at(urgency, TEAMS[found["to"]], RANDOM_POLICY, now)

    @rule(dies_at=deaths)
    def deliver(self, dies_at: int | None) -> None:
        """Somebody sends what is due."""
        self.work(deliver_due, dies_at)

    @rule(minutes=st.sampled_from([1, 5, 6, 11, 60, 240, 24 * 60]))
    def pass_by(self, minutes: int) -> None:
        """Time goes by."""
        self.messaging.now_at += minutes * MINUTE

    @rule(name=st.sampled_from(NAMES), state=st.sampled_from(["works", "refuses", "is silent"]))
    def change(self, name: str, state: str) -> None:
        """A channel breaks, or works again."""
        self.channels[name] = state

    @invariant()
    def nothing_is_early(self) -> None:
        """What was sent was due, and disturbed nobody who has quiet hours."""
        for at, envelope in self.messaging.sent[self.checked :]:
            documents: Sequence[Any] = envelope.documents
            for document in documents:
                message = self.written[document["serial"]]
                if not envelope.route.is_fallback:
                    assert at >= dt.datetime.fromisoformat(message["due"]).replace(microsecond=0)
                contact = FALLBACK if envelope.route.is_fallback else TEAMS[message["to"]]
                if message["urgency"] != "critical":
                    assert quiet_until(contact, RANDOM_POLICY, at) is None
        self.checked = len(self.messaging.sent)

    @invariant()
    def nothing_comes_twice(self) -> None:
        """A route takes a message once; once more for each worker that died."""
        taken = Counter(
            (envelope.route.name, document["serial"])
            for _, envelope in self.messaging.sent
            for document in envelope.documents
        )
        assert sum(count - 1 for count in taken.values()) <= self.deaths * 3
        if not self.deaths:
            assert all(count == 1 for count in taken.values())

    def teardown(self) -> None:
        """When channels work again, every message arrives that wasn't given up; what the fallback contact must hear as well."""
        try:
            self.channels = dict.fromkeys(NAMES, "works")
            for _ in range(16):
                self.messaging.now_at += dt.timedelta(hours=5)
                self.messaging.deliver()
                self.nothing_is_early()
            documents = MessageDocuments(Store(self.folder), "shop")
            assert documents.pending() == []
            for message in self._read().values():
                thread, number = message["thread"], message["number"]
                sent = {name for name in NAMES if documents.sent(thread, number, name) is not None}
                given_up = {name for name in NAMES if documents.is_given_up(thread, number, name)}
                assert set(message["routes"]) <= sent | given_up
                if not sent & set(message["routes"]):
                    assert {"slack-fallback", "email-fallback"} <= sent | given_up
                if not self.deaths:
                    assert not sent & given_up
        finally:
            shutil.rmtree(self.folder)

    def _read(self) -> dict[int, dict[str, Any]]:
        """All messages that the store has."""
        found = {}
        for path in self.folder.glob("shop/messages/*/*/message.json"):
            message = json.loads(path.read_bytes())
            message |= {"thread": path.parent.parent.name, "number": int(path.parent.name)}
            found[message["documents"][0]["serial"]] = message
        return found


Telling.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTelling = Telling.TestCase
TestTelling.__doc__ = "Nothing is lost, early or sent twice, whatever happens."
