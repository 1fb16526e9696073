"""The gate before what is restored, by itself: servers and a clock that a test sets.

What the gate does in a whole rollback, with a real server, is in ``test_restore_guards``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.remediation.applying import Commands
from redis_ttl.domain.policy.policy import GuardSettings
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.rollback import WatchedNode
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.rollback.restore_gate import RestoreGate
from tests.usecases.remediation.test_gate_and_pace import BEGAN, BEGAN_MS, GOOD

NODE, OTHER = "10.0.0.1:6379", "10.0.0.2:6379"
BEHIND = 10**12


@dataclass
class Scene:
    """A gate, and everything that it looks at. Waiting moves the clock, and calls ``meanwhile``."""

    nodes: list[WatchedNode] = field(default_factory=lambda: [WatchedNode(NODE, GOOD, evicts_keys_with_ttl=False)])
    commands: Commands = field(default_factory=Commands)
    at_s: float = 50.0
    look_takes_s: float = 0.0
    meanwhile: Callable[[], None] = lambda: None
    log: list[str] = field(default_factory=list)
    looks: int = 0
    limits: list[Rate] = field(default_factory=list)
    earliest_ms: int | None = None

    def gate(self, *, sharers: int = 1) -> RestoreGate:
        """The gate."""
        return RestoreGate(
            restorer=self,  # type: ignore[arg-type]  # the gate needs health and limit only
            guards=GuardSettings(patience_s=30),
            critical_ratio=0.9,
            control=self.commands,
            rate=parse_rate("1000/s"),
            sharers=sharers,
            earliest_ms=self.earliest_ms,
            log=self.log.append,
            clock=self,
            look_s=1.0,
        )

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.at_s += seconds
        self.meanwhile()

    def now(self) -> dt.datetime:
        """The moment."""
        return BEGAN + dt.timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        """The seconds."""
        return self.at_s

    def health(self) -> list[WatchedNode]:
        """The readings of this moment."""
        self.looks += 1
        self.at_s += self.look_takes_s
        return [
            replace(node, reading=None if node.reading is None else replace(node.reading, at_s=self.at_s))
            for node in self.nodes
        ]

    def limit(self, rate: Rate) -> None:
        """The rate from now on."""
        self.limits.append(rate)

    def shows(self, address: str = NODE, *, evicts: bool = False, **figures: Any) -> None:
        """What that server says from now on."""
        shown = WatchedNode(address, replace(GOOD, **figures), evicts_keys_with_ttl=evicts)
        self.nodes = [shown if node.address == address else node for node in self.nodes]


@pytest.fixture
def scene() -> Scene:
    """A quiet server, and no command."""
    return Scene()


def pass_by(scene: Scene, gate: RestoreGate, seconds: float) -> None:
    """Check every tenth of a second for so long."""
    for _ in range(round(seconds * 10)):
        scene.at_s += 0.1
        gate.check()


def test_those_who_restore_share_an_operators_rate(scene: Scene) -> None:
    """The part's own rate is its share already; the one that an operator asks for is of the server."""
    gate = scene.gate(sharers=4)
    gate.check()
    assert scene.limits == [parse_rate("1000/s")]
    scene.commands.command = OperatorCommand(rate=parse_rate("100/s"))
    gate.begin()
    assert scene.limits[-1] == Rate(25)


def test_operator_and_guards_are_heard_now_and_then(scene: Scene) -> None:
    """The operator every two seconds and before each journal object, the servers every second, however often the gate is asked."""
    gate = scene.gate()
    pass_by(scene, gate, 20)
    assert 9 <= scene.commands.asked <= 11
    assert 18 <= scene.looks <= 21
    asked, looks = scene.commands.asked, scene.looks
    for _ in range(3):
        gate.begin()
    assert (scene.commands.asked, scene.looks) == (asked + 3, looks)
    assert (scene.log, gate.interruptions) == ([], [])


def test_looks_that_take_long_leave_time_for_work(scene: Scene) -> None:
    """A second passes between the end of a look and the next one."""
    scene.look_takes_s = 5.0
    gate = scene.gate()
    gate.check()
    for _ in range(9):
        scene.at_s += 0.1
        gate.check()
    assert scene.looks == 1


def test_a_pause_is_told_and_counted(scene: Scene) -> None:
    """It says why at once and every four seconds or so, that it is over, and is in the result with its length."""
    gate = scene.gate()
    gate.check()
    scene.shows(lag_bytes=BEHIND)
    scene.at_s += 1
    began_s = scene.at_s

    def relieve() -> None:
        if scene.at_s >= began_s + 20:
            scene.shows()

    scene.meanwhile = relieve
    gate.check()
    told = [line for line in scene.log if line.startswith("paused: replication lag in bytes")]
    assert 5 <= len(told) <= 7
    assert scene.log[-1] == "going on"
    (pause,) = gate.interruptions
    assert pause.at == (BEGAN + dt.timedelta(seconds=began_s)).isoformat()
    assert 20 <= pause.lasted_s <= 25
    assert (pause.reason.startswith("replication lag in bytes"), pause.ended) == (True, False)


def test_a_guard_beyond_the_patience_ends_the_rollback(scene: Scene) -> None:
    """With the server's address and the figure; the interruption ended it."""
    gate = scene.gate()
    scene.shows(lag_bytes=BEHIND)
    with pytest.raises(Ended, match=f"{NODE}: replication lag in bytes.*for 30 s") as ended:
        gate.check()
    assert ended.value.outcome is Outcome.ABORTED
    (end,) = gate.interruptions
    assert end.ended
    assert 30 <= end.lasted_s <= 33


@pytest.mark.parametrize("why", ["wang: enough", None])
def test_an_operators_stop_ends_it_in_a_pause_too(scene: Scene, why: str | None) -> None:
    """With the operator's word, or with ours without one, and before any guard."""
    gate = scene.gate()
    scene.shows(lag_bytes=BEHIND)
    scene.meanwhile = lambda: setattr(scene.commands, "command", OperatorCommand(CommandState.STOP, why=why))
    with pytest.raises(Ended, match=why or "the operator stopped it") as ended:
        gate.check()
    assert ended.value.outcome is Outcome.STOPPED
    assert gate.interruptions[-1].lasted_s == 1


def test_an_operators_pause_holds_as_long_as_it_stands(scene: Scene) -> None:
    """No patience ends it; it keeps the rate of before, and is told before a guard's reason."""
    gate = scene.gate()
    gate.check()
    scene.commands.command = OperatorCommand(CommandState.PAUSE, rate=Rate(1), why="li: wait")

    def go_on() -> None:
        if scene.at_s > 500:
            scene.commands.command = OperatorCommand()

    scene.meanwhile = go_on
    gate.begin()
    assert (gate.interruptions[0].reason, gate.interruptions[0].ended) == ("li: wait", False)
    assert scene.at_s > 500
    assert set(scene.limits) == {parse_rate("1000/s")}
    scene.commands.command = OperatorCommand(CommandState.PAUSE)
    scene.meanwhile = lambda: setattr(scene.commands, "command", OperatorCommand())
    gate.begin()
    assert gate.interruptions[1].reason == "the operator paused it"


def test_of_several_servers_the_one_in_trouble_is_named(scene: Scene) -> None:
    """Each server has guards of its own; a pause is for all of them."""
    scene.nodes = [WatchedNode(each, GOOD, evicts_keys_with_ttl=False) for each in (NODE, OTHER)]
    gate = scene.gate()
    gate.check()
    scene.shows(OTHER, lag_bytes=BEHIND)
    scene.meanwhile = lambda: scene.shows(OTHER)
    scene.at_s += 1
    gate.check()
    assert gate.interruptions[0].reason.startswith(f"{OTHER}: replication lag in bytes")
    assert NODE not in gate.interruptions[0].reason


@pytest.mark.parametrize("reading", [None, replace(GOOD, is_primary=False, lag_bytes=BEHIND)])
def test_a_server_that_takes_nothing_is_no_reason_to_wait(scene: Scene, reading: Any) -> None:
    """Nothing is sent to one that doesn't answer, or to a replica."""
    scene.nodes = [WatchedNode(NODE, reading, evicts_keys_with_ttl=False)]
    gate = scene.gate()
    pass_by(scene, gate, 3)
    assert gate.interruptions == []


def test_another_process_is_judged_by_what_it_was_like_at_first(scene: Scene) -> None:
    """After a failover the round trip to the new server is what latency is compared with; the same process keeps its own."""
    gate = scene.gate()
    gate.check()
    scene.shows(round_trip_s=0.1, run_id="b")
    pass_by(scene, gate, 3)
    assert gate.interruptions == []
    scene.nodes = [WatchedNode(NODE, None, evicts_keys_with_ttl=False)]
    pass_by(scene, gate, 2)
    scene.shows(round_trip_s=0.6, run_id="b")
    scene.meanwhile = lambda: scene.shows(round_trip_s=0.1, run_id="b")
    pass_by(scene, gate, 2)
    assert "a round trip takes 600.0 ms (bound 500.0 ms)" in gate.interruptions[0].reason


@pytest.mark.parametrize(("earliest_ms", "waits"), [(None, True), (1, True), (0, False), (-1, False)])
def test_an_expiry_storm_counts_until_the_plans_first_instant(
    scene: Scene, earliest_ms: int | None, *, waits: bool
) -> None:
    """From then on it may be the plan's own, and waiting would let it go on."""
    gate = scene.gate()
    gate.check()
    scene.at_s += 1
    if earliest_ms is not None:
        gate.earliest_ms = BEGAN_MS + int(scene.at_s * 1000) + earliest_ms
    scene.shows(expire_cap_hits=10**6)
    scene.meanwhile = lambda: scene.shows(expire_cap_hits=10**6)
    gate.check()
    assert bool(gate.interruptions) == waits


def test_evictions_of_our_own_keys_are_no_reason_to_wait(scene: Scene) -> None:
    """Where keys with a TTL go first, waiting would lose those that are to be saved; elsewhere evictions pause."""
    for evicts in (True, False):
        gate = scene.gate()
        scene.shows(evicts=evicts)
        gate.check()
        scene.at_s += 1
        scene.shows(evicts=evicts, evicted_keys=10**6, used_bytes=100)
        gate.check()
        assert bool(gate.interruptions) != evicts
