"""The sending of changes by itself: a server whose keys a test refuses, and a clock that moves by waiting only.

What becomes of keys on real servers is in ``test_write_freshness``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.remediation import Outcome, RuleAccount, add_accounts
from redis_ttl.usecases.remediation import change_writing
from redis_ttl.usecases.remediation.change_writing import ChangeWriting
from redis_ttl.usecases.remediation.write_gate import Ended

RULES = 2


def keys(count: int) -> pl.DataFrame:
    """Changes of so many keys, of two rules by turns."""
    rows = {"key": list(range(count)), "rule": [number % RULES for number in range(count)]}
    return pl.DataFrame(rows, schema={"key": pl.Int64, "rule": pl.Int64})


@dataclass
class Scene:
    """Gate, decisions, writer, journal and clock in one. ``refuse`` says whether the server refuses a key, ``settle_as`` what
    becomes of a key that is decided about again: None to change it still.
    """

    allowed: Rate = field(default_factory=lambda: Rate(None))
    refuse: Callable[[int], bool] = lambda _key: False
    settle_as: Callable[[int], str | None] = lambda _key: None
    unwritten: Callable[[int], bool] = lambda _key: False
    meanwhile: Callable[[], None] = lambda: None
    at_s: float = 100.0
    read_at_s: dict[int, float] = field(default_factory=dict)
    sent: list[tuple[int, float, float]] = field(default_factory=list)
    """Key, moment, and how long ago it was read."""
    looks: list[tuple[list[int], bool]] = field(default_factory=list)
    journalled: list[int] = field(default_factory=list)
    accounts: dict[int, RuleAccount] = field(default_factory=dict)
    counted: int = 0
    checks: list[float] = field(default_factory=list)
    _waiting: pl.DataFrame = field(default_factory=lambda: keys(0))
    _under_way: list[pl.DataFrame] = field(default_factory=list)

    def writing(self) -> ChangeWriting:
        """The work under test."""
        each: Any = self
        return ChangeWriting(each, each, each, each, each, self.add, self.count_sent)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.at_s += seconds

    def monotonic(self) -> float:
        """The seconds."""
        return self.at_s

    def check(self) -> None:
        """The gate."""
        self.checks.append(self.at_s)
        self.meanwhile()

    def add(self, accounts: Mapping[int, RuleAccount]) -> None:
        """What became of keys."""
        self.accounts = add_accounts([self.accounts, accounts])

    def count_sent(self, count: int) -> None:
        """How many were sent."""
        self.counted += count

    def count(self, changes: pl.DataFrame) -> dict[int, int]:
        """The keys of each rule."""
        return dict(changes.group_by("rule").len().iter_rows())

    def decide_again(self, changes: pl.DataFrame, *, raced: bool) -> Any:
        """Read these now."""
        names = changes["key"].to_list()
        self.looks.append((names, raced))
        self.read_at_s |= dict.fromkeys(names, self.at_s)
        found = {key: self.settle_as(key) for key in names}
        accounts: dict[int, RuleAccount] = {}
        for key, figure in found.items():
            if figure is not None:
                accounts = add_accounts([accounts, {key % RULES: RuleAccount(**{figure: 1})}])
        left = changes.filter(pl.Series([found[key] is None for key in names], dtype=pl.Boolean))
        rows = pl.Series([self.unwritten(key) for key in left["key"].to_list()], dtype=pl.Boolean)
        return SimpleNamespace(accounts=accounts, changes=left, unwritten=left.filter(rows))

    def journal(self, changes: pl.DataFrame) -> bytes:
        """Their rows."""
        return bytes(changes["key"].to_list())

    def write_and_wait(self, data: bytes, gate: Any) -> None:
        """They are durable."""
        assert gate is self
        self.journalled += list(data)

    def take(self, changes: pl.DataFrame) -> None:
        """To be written next."""
        assert self._waiting.is_empty()
        self._waiting = changes

    @property
    def waiting(self) -> int:
        """How many aren't sent."""
        return self._waiting.height

    def write(self, count: int, *, ahead: bool) -> int:
        """Send so many."""
        assert ahead == (self.allowed.keys_per_s is None)
        now, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        self.sent += [(key, self.at_s, self.at_s - self.read_at_s.get(key, 100.0)) for key in now["key"].to_list()]
        self._under_way.append(now)
        return now.height

    def give_back(self) -> pl.DataFrame:
        """What wasn't sent."""
        rest, self._waiting = self._waiting, keys(0)
        return rest

    def settle(self) -> Any:
        """What became of what was sent."""
        rows = pl.concat([keys(0), *self._under_way])
        self._under_way = []
        refused = pl.Series([self.refuse(key) for key in rows["key"].to_list()], dtype=pl.Boolean)
        done = {rule: RuleAccount(set=count) for rule, count in self.count(rows.filter(~refused)).items()}
        return SimpleNamespace(accounts=done, raced=rows.filter(refused))

    def figures(self, name: str) -> int:
        """That figure over both rules."""
        return sum(getattr(account, name) for account in self.accounts.values())


@pytest.fixture
def scene() -> Scene:
    """A server that takes everything at once."""
    return Scene()


def test_what_is_fresh_is_sent_as_it_is(scene: Scene) -> None:
    """Each key once, at the rate, without another look and without another row in the journal."""
    scene.allowed = Rate(50.0)
    scene.writing().write(keys(200), read_at_s=100.0)
    assert [key for key, *_ in scene.sent] == list(range(200))
    assert (scene.looks, scene.journalled, scene.counted) == ([], [], 200)
    assert scene.at_s == pytest.approx(104.0)
    assert scene.accounts == {0: RuleAccount(set=100), 1: RuleAccount(set=100)}


@pytest.mark.parametrize("rate", [0.25, 1.0, 3.0, 12.5])
def test_nothing_is_sent_that_was_read_long_ago(scene: Scene, rate: float) -> None:
    """At a low rate a couple of seconds' keys are read again together, so that none is older than five seconds when it is sent."""
    count = min(250, math.ceil(rate * 20))
    scene.allowed = Rate(rate)
    scene.writing().write(keys(count), read_at_s=100.0)
    assert [key for key, *_ in scene.sent] == list(range(count))
    assert max(age_s for *_, age_s in scene.sent) <= change_writing.FRESH_S
    assert scene.looks
    assert max(len(names) for names, _ in scene.looks) == max(1, int(rate * 2))
    assert not any(raced for _, raced in scene.looks)
    assert scene.figures("set") == scene.counted == count


def test_without_a_rate_old_keys_are_read_again_in_thousands(scene: Scene) -> None:
    """What is older than five seconds is read again at once, five thousand together; what is exactly that old isn't."""
    scene.journal = lambda changes: b""  # type: ignore[method-assign]  # noqa: ARG005  # keys have no byte each here
    scene.writing().write(keys(12_000), read_at_s=94.9)
    assert [len(names) for names, _ in scene.looks] == [5_000, 5_000, 2_000]
    scene.looks.clear()
    scene.writing().write(keys(10), read_at_s=95.0)
    assert scene.looks == []


def test_the_gate_is_asked_while_a_slow_key_is_waited_for(scene: Scene) -> None:
    """At a key in four seconds, a pause or a stop is heard every second."""
    scene.allowed = Rate(0.25)
    scene.writing().write(keys(3), read_at_s=100.0)
    asked = sorted({round(at_s) for at_s in scene.checks})
    assert asked == list(range(100, 112))


def test_what_was_never_journalled_is_read_and_journalled_first(scene: Scene) -> None:
    """All of it, whether anything has changed or not, and only what shall change still."""
    scene.settle_as = lambda key: "hot" if key < 5 else None
    scene.writing().write_unjournalled(keys(20))
    assert scene.looks == [(list(range(20)), False)]
    assert scene.journalled == list(range(5, 20))
    assert [key for key, *_ in scene.sent] == list(range(5, 20))
    assert (scene.figures("hot"), scene.figures("set")) == (5, 15)


def test_only_rows_that_are_not_true_any_more_are_journalled_again(scene: Scene) -> None:
    """What was journalled and hasn't changed has its row already."""
    scene.unwritten = lambda key: key % 4 == 0
    scene.writing().write(keys(20), read_at_s=0.0)
    assert scene.journalled == [0, 4, 8, 12, 16]
    assert len(scene.sent) == 20


def test_a_key_that_is_always_refused_is_given_up(scene: Scene) -> None:
    """It is sent four times in all, looked at before each but the first, and then counted as raced; its neighbours are set."""
    scene.refuse = lambda key: key == 3
    scene.writing().write(keys(10), read_at_s=100.0)
    assert [key for key, *_ in scene.sent].count(3) == 4
    assert scene.looks == [([3], True)] * 3
    assert (scene.figures("raced"), scene.figures("set")) == (1, 9)
    assert scene.accounts[1] == RuleAccount(set=4, raced=1)


def test_a_key_that_was_refused_once_is_set_then(scene: Scene) -> None:
    """Or is whatever the second look says of it; each key is in exactly one figure."""
    refused: set[int] = set()

    def once(key: int) -> bool:
        first = key not in refused
        refused.add(key)
        return first

    scene.refuse = once
    scene.settle_as = {0: "vanished", 1: "raced"}.get
    scene.writing().write(keys(6), read_at_s=100.0)
    assert [scene.figures(name) for name in ("vanished", "raced", "set", "left")] == [1, 1, 4, 0]


def test_what_an_end_leaves_is_counted_as_left(scene: Scene) -> None:
    """What was sent has its own figure, refused keys are raced, all the others are left; nothing is sent afterwards."""
    scene.allowed = Rate(100.0)
    scene.refuse = lambda key: key == 0

    def end() -> None:
        if len(scene.sent) >= 40:
            raise Ended(Outcome.STOPPED, "enough")

    scene.meanwhile = end
    with pytest.raises(Ended, match="enough"):
        scene.writing().write(keys(100), read_at_s=100.0)
    sent = len(scene.sent)
    assert 40 <= sent < 100
    assert [scene.figures(name) for name in ("set", "raced", "left")] == [sent - 1, 1, 100 - sent]
    assert scene.waiting == 0


def test_an_end_in_a_second_look_counts_each_key_once(scene: Scene) -> None:
    """Keys that were settled before aren't left as well, and a rule of which nothing is left isn't mentioned."""
    scene.allowed = Rate(2.0)
    scene.settle_as = lambda key: "hot" if key % 2 else None

    def end() -> None:
        if scene.at_s >= 104:
            raise Ended(Outcome.ABORTED, "a guard")

    scene.meanwhile = end
    with pytest.raises(Ended):
        scene.writing().write(keys(40), read_at_s=0.0)
    assert scene.figures("hot") + scene.figures("set") + scene.figures("left") == 40
    assert scene.figures("hot") == sum(len(names) for names, _ in scene.looks) // 2
    assert scene.figures("set") == len(scene.sent)


def test_nothing_is_read_or_journalled_behind_a_closed_gate(scene: Scene) -> None:
    """What must be read again waits for the gate, too: what is read during a pause is old when it is over."""

    def end() -> None:
        raise Ended(Outcome.STOPPED, "enough")

    scene.meanwhile = end
    with pytest.raises(Ended):
        scene.writing().write_unjournalled(keys(10))
    assert (scene.looks, scene.journalled, scene.sent) == ([], [], [])
    assert scene.figures("left") == 10
