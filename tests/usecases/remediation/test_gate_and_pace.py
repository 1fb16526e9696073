"""The gate before every write, and the pace of writing, by themselves: a server and a clock that a test sets.

What the gate does in a whole run, with a real server, is in ``test_apply_refusals``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.remediation.applying import Commands
from lab.remediation.policies import policy_of, rule
from redis_ttl.domain.errors import BadInput, ServerChanged, StoreProblem
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.policy.policy import GuardSettings
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.remediation.approval import Approval
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation import write_gate
from redis_ttl.usecases.remediation.write_gate import ApprovalWatch, Ended, WriteGate, WritePace, replicas_at_start

GOOD = Reading(
    at_s=0.0,
    run_id="a",
    is_primary=True,
    round_trip_s=0.0001,
    used_bytes=50,
    limit_bytes=100,
    evicted_keys=0,
    expire_cap_hits=0,
    lag_bytes=0,
    lag_s=0,
    misses=0,
    errors=0,
)
BEGAN = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
BEGAN_MS = int(BEGAN.timestamp() * 1000)


@dataclass
class Scene:
    """A gate, and everything that it looks at. Waiting moves the clock, and calls ``meanwhile``."""

    reading: Reading = GOOD
    commands: Commands = field(default_factory=Commands)
    at_s: float = 50.0
    valid_s: float = 3_600.0
    refusal: Exception | None = None
    meanwhile: Callable[[], None] = lambda: None
    log: list[str] = field(default_factory=list)
    looks: int = 0
    asked_at_s: list[float] = field(default_factory=list)
    patience_s: int = 30
    address: str = "10.0.0.1:6379"

    def gate(self, *, rate: str = "1000/s", sharers: int = 1) -> WriteGate:
        """The gate."""
        return WriteGate(
            node=self,  # type: ignore[arg-type]  # the gate needs health and address only
            run_id="a",
            policy=policy_of(rule("a:{n}"), guards=GuardSettings(memory_ratio=0.8, patience_s=self.patience_s)),
            rate=parse_rate(rate),
            sharers=sharers,
            control=self.commands,
            clock=self,
            log=self.log.append,
            progress=lambda: "half of it",
            approval=ApprovalWatch(self.approve, self, self.patience_s, BEGAN_MS + int(self.valid_s * 1000)),
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

    def health(self) -> Reading:
        """The reading of this moment."""
        self.looks += 1
        return replace(self.reading, at_s=self.at_s)

    def approve(self) -> Approval:
        """The approval, or why there is none."""
        self.asked_at_s.append(self.at_s)
        if self.refusal is not None:
            raise self.refusal
        return Approval("p", "d", ("wang",), BEGAN_MS, BEGAN_MS + int(self.valid_s * 1000), ())


@pytest.fixture
def scene() -> Scene:
    """A quiet server, an approved plan, no command."""
    return Scene()


def pass_by(scene: Scene, gate: WriteGate, seconds: float) -> None:
    """Check every tenth of a second for so long."""
    for _ in range(round(seconds * 10)):
        scene.at_s += 0.1
        gate.check()


def test_a_writer_has_its_share_of_the_servers_rate(scene: Scene) -> None:
    """Several that write to one server share its rate, the plan's as well as the one that an operator asks for instead."""
    gate = scene.gate(rate="1000/s", sharers=4)
    assert gate.allowed == Rate(250)
    scene.commands.command = OperatorCommand(rate=parse_rate("100/s"))
    gate.check()
    assert gate.allowed == Rate(25)
    assert "rate: 100 keys/s for each server" in scene.log
    scene.commands.command = OperatorCommand()
    pass_by(scene, gate, 3)
    assert gate.allowed == Rate(250)
    assert scene.log.count("rate: 1,000 keys/s for each server") == 1
    scene.commands.command = OperatorCommand(rate=Rate(None))
    pass_by(scene, gate, 3)
    assert gate.allowed == Rate(None)


def test_an_approval_that_cannot_be_read_pauses(scene: Scene) -> None:
    """While the store can't say whether the plan is approved still, nothing is written; when it can again, it goes on."""
    gate = scene.gate()
    gate.check()
    scene.refusal = StoreProblem("no answer", where="s3://ttl")
    scene.at_s += write_gate.APPROVAL_S
    waited = []

    def mend() -> None:
        waited.append(scene.at_s)
        if len(waited) > 30:
            scene.refusal = None

    scene.meanwhile = mend
    gate.check()
    assert len(waited) > 30
    (pause,) = gate.interruptions
    assert "the approval can't be read" in pause.reason
    assert not pause.ended
    assert pause.lasted_s >= 3


def test_an_approval_is_looked_for_all_the_time(scene: Scene) -> None:
    """The store is asked at the first check, and every twenty seconds from then on."""
    gate = scene.gate()
    pass_by(scene, gate, 60)
    assert 3 <= len(scene.asked_at_s) <= 4
    assert max(b - a for a, b in zip(scene.asked_at_s, scene.asked_at_s[1:], strict=False)) < 22


def test_an_approval_that_was_taken_back_ends_the_work(scene: Scene) -> None:
    """A store that says no is an answer: the part is aborted with its words."""
    gate = scene.gate()
    gate.check()
    scene.refusal = BadInput("the approval was withdrawn")
    began_s = scene.at_s
    with pytest.raises(Ended, match=r"^the approval was withdrawn$") as ended:
        pass_by(scene, gate, 30)
    assert ended.value.outcome is Outcome.ABORTED
    assert scene.at_s - began_s < 22
    assert gate.interruptions[-1].ended


@pytest.mark.parametrize("error", [StoreProblem("no answer"), OSError("no route"), ValueError("no JSON")])
def test_an_approval_that_stays_unreadable_ends_the_work(scene: Scene, error: Exception) -> None:
    """Whatever keeps it from being read is a pause at first, asked about every two seconds, and the end after the patience."""
    gate = scene.gate()
    gate.check()
    scene.refusal = error
    scene.at_s += write_gate.APPROVAL_S
    began_s, asked = scene.at_s, len(scene.asked_at_s)
    with pytest.raises(Ended, match=rf"the approval couldn't be read for 30 s \(.*{error}") as ended:
        gate.check()
    assert ended.value.outcome is Outcome.ABORTED
    assert 30 <= scene.at_s - began_s < 31
    assert 14 <= len(scene.asked_at_s) - asked <= 16
    assert any(line.startswith("paused: the approval can't be read") for line in scene.log)


def test_an_approval_that_is_readable_again_has_its_whole_patience(scene: Scene) -> None:
    """Short failures don't add up, and a later end of the approval is heard."""
    gate = scene.gate()
    for _ in range(3):
        gate.check()
        scene.refusal = StoreProblem("no answer")
        scene.at_s += write_gate.APPROVAL_S
        until_s = scene.at_s + 20
        scene.meanwhile = lambda until_s=until_s: setattr(  # type: ignore[misc]  # mypy sees no default here
            scene, "refusal", scene.refusal if scene.at_s < until_s else None
        )
        gate.check()
    assert len(gate.interruptions) == 3
    scene.valid_s = scene.at_s + 1
    with pytest.raises(Ended, match="the approval's time is over"):
        pass_by(scene, gate, 25)


def test_latency_is_compared_with_the_middle_of_three_round_trips(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was slow by chance at the start makes no bound that nothing passes."""
    trips_s = iter([0.0001, 5.0, 0.0002])
    health = scene.health
    monkeypatch.setattr(scene, "health", lambda: replace(health(), round_trip_s=next(trips_s, 0.01)))
    gate = scene.gate()
    assert scene.looks == 3
    with pytest.raises(Ended, match=r"a round trip takes 10\.0 ms"):
        pass_by(scene, gate, 2)


def test_the_replicas_of_the_start_are_those_of_the_same_process() -> None:
    """As many must be online as when the run began; after a failover, or where that isn't known, as many as were first seen."""
    first = replace(GOOD, replicas_online=1)
    assert replicas_at_start(replace(GOOD, replicas_online=2), first) == 2
    assert replicas_at_start(replace(GOOD, replicas_online=2, run_id="b"), first) == 1
    assert replicas_at_start(GOOD, first) == 1
    assert replicas_at_start(None, first) == 1


def test_an_approvals_time_ends_the_work(scene: Scene) -> None:
    """An approval whose time is over between two looks at the store ends the work at the next health reading."""
    scene.valid_s = scene.at_s + 5
    gate = scene.gate()
    pass_by(scene, gate, 4)
    with pytest.raises(Ended, match="the approval's time is over") as ended:
        pass_by(scene, gate, 3)
    assert ended.value.outcome is Outcome.ABORTED
    assert scene.valid_s <= scene.at_s < scene.valid_s + 2


@pytest.mark.parametrize("change", [{"is_primary": False}, {"run_id": "b"}])
def test_another_server_than_the_one_begun_with_takes_nothing(scene: Scene, change: dict[str, Any]) -> None:
    """A server that became a replica, or another process, ends the attempt within a second; it is tried again."""
    gate = scene.gate()
    gate.check()
    scene.reading = replace(GOOD, **change)
    with pytest.raises(ServerChanged, match=scene.address):
        pass_by(scene, gate, 2)
    with pytest.raises(ServerChanged):
        scene.gate()


def test_the_figures_are_read_every_second(scene: Scene) -> None:
    """A gate that is asked all the time reads the server's figures once a second."""
    gate = scene.gate()
    looks = scene.looks
    pass_by(scene, gate, 10)
    assert 9 <= scene.looks - looks <= 11


def test_a_command_is_read_every_two_seconds(scene: Scene) -> None:
    """An operator is asked every two seconds or so."""
    gate = scene.gate()
    pass_by(scene, gate, 20)
    assert 9 <= scene.commands.asked <= 11


def test_a_pause_is_told_and_counted(scene: Scene) -> None:
    """A pause says why at once and at least every five seconds, says when it is over, and is in the result with its length."""
    gate = scene.gate()
    gate.check()
    scene.reading = replace(GOOD, used_bytes=90)
    scene.at_s += 1
    began_s = scene.at_s

    def relieve() -> None:
        if scene.at_s > began_s + 20:
            scene.reading = GOOD

    scene.meanwhile = relieve
    gate.check()
    told = [line for line in scene.log if line.startswith("paused: memory is at 90.0%")]
    assert 5 <= len(told) <= 7
    assert scene.log[-1].startswith("going on after 2")
    assert "half of it" in scene.log[-1]
    (pause,) = gate.interruptions
    assert pause.at == (BEGAN + dt.timedelta(seconds=began_s)).isoformat()
    assert 20 < pause.lasted_s < 24
    assert (pause.reason.startswith("memory"), pause.ended) == (True, False)


def test_a_pause_beyond_the_patience_ends(scene: Scene) -> None:
    """A guard that stays over its bound for longer than the policy's patience aborts; the interruption ended it."""
    gate = scene.gate()
    gate.check()
    began_s = scene.at_s
    scene.reading = replace(GOOD, used_bytes=90)
    scene.at_s += 1
    with pytest.raises(Ended, match=r"memory.*for 30 s") as ended:
        gate.check()
    assert ended.value.outcome is Outcome.ABORTED
    assert 30 <= scene.at_s - began_s < 34
    (end,) = gate.interruptions
    assert end.ended
    assert end.lasted_s >= 29


def test_stop_goes_before_everything_else(scene: Scene) -> None:
    """An operator's stop ends a part in the middle of a guard's pause, with the operator's word, or with ours without one."""
    gate = scene.gate()
    scene.reading = replace(GOOD, used_bytes=90)
    scene.meanwhile = lambda: setattr(scene.commands, "command", OperatorCommand(CommandState.STOP, why="wang: enough"))
    with pytest.raises(Ended, match="wang: enough") as ended:
        gate.check()
    assert ended.value.outcome is Outcome.STOPPED
    scene.commands.command = OperatorCommand(CommandState.STOP)
    with pytest.raises(Ended, match="the operator stopped it"):
        scene.gate().check()


def test_an_operators_pause_holds_as_long_as_it_stands(scene: Scene) -> None:
    """No patience ends an operator's pause."""
    gate = scene.gate()
    scene.commands.command = OperatorCommand(CommandState.PAUSE, why="li: wait")

    def go_on() -> None:
        if scene.at_s > 50 + 10 * scene.patience_s:
            scene.commands.command = OperatorCommand()

    scene.meanwhile = go_on
    gate.check()
    assert gate.interruptions[0].reason == "li: wait"
    assert gate.interruptions[0].lasted_s > 10 * scene.patience_s


def test_trouble_with_the_store_pauses_and_its_failure_ends(scene: Scene) -> None:
    """What the journal's writer says of the store is a pause; what it gives up for is raised as it is."""
    gate = scene.gate()
    gate.trouble = "the store takes no journal"

    def mend() -> None:
        gate.trouble = None

    scene.meanwhile = mend
    gate.check()
    assert gate.interruptions[0].reason == "the store takes no journal"
    gate.failure = StoreProblem("no room")
    with pytest.raises(StoreProblem, match="no room"):
        gate.check()


def test_progress_is_told_every_four_seconds(scene: Scene) -> None:
    """While nothing holds it, a gate tells how far the work is, at least every five seconds and no more than is read."""
    gate = scene.gate()
    pass_by(scene, gate, 20)
    assert scene.log.count("half of it") in {4, 5}
    assert gate.interruptions == []


def paced(rate: str, seconds: float, *, stalls: dict[int, float] | None = None) -> list[tuple[float, int]]:
    """What a writer sends, and when, at that rate: after the given chunks it is held up for so many seconds."""
    pace, now_s, sent = WritePace(), 0.0, []
    for number in range(1_000_000):
        chunk = pace.chunk(parse_rate(rate))
        sent.append((now_s, chunk))
        now_s += pace.wait_s(parse_rate(rate), chunk, now_s)
        now_s += (stalls or {}).get(number, 0.0)
        if now_s >= seconds:
            return sent
    raise AssertionError("time doesn't pass")


@pytest.mark.parametrize("rate", [1, 3, 50, 200, 1_000, 20_000, 100_000])
def test_a_rate_is_kept(rate: int) -> None:
    """Over ten seconds as many keys are sent as the rate says, to a chunk."""
    sent = paced(f"{rate}/s", 10.0)
    assert sum(keys for _, keys in sent[:-1]) <= rate * 10
    assert sum(keys for _, keys in sent) >= rate * 10
    largest = max(keys for _, keys in sent)
    assert largest <= max(1, rate / 4, 20)


def test_lost_time_is_not_made_up_for() -> None:
    """After a pause of five seconds a writer goes on at its rate: no second gets more than the rate and two hundredths of it."""
    sent = paced("10000/s", 12.0, stalls={500: 5.0})
    for at_s, _ in sent:
        assert sum(keys for other_s, keys in sent if at_s <= other_s < at_s + 1) <= 10_000 * 1.02 + 20
    assert sum(keys for _, keys in sent) == pytest.approx(7 * 10_000, rel=0.01)


def test_a_moment_that_was_lost_is_made_up_for() -> None:
    """Small delays, as every round trip has, don't lower the rate."""
    sent = paced("1000/s", 10.0, stalls=dict.fromkeys(range(2_000), 0.001))
    assert sum(keys for _, keys in sent) == pytest.approx(10_000, rel=0.01)


def test_an_unlimited_rate_waits_for_nothing_and_remembers_nothing() -> None:
    """Without a limit large chunks follow one another at once; a limit that comes later begins then."""
    pace = WritePace()
    assert pace.chunk(Rate(None)) == 1_000
    assert pace.wait_s(parse_rate("10/s"), 5, 0.0) == pytest.approx(0.5)
    assert pace.wait_s(Rate(None), 1_000, 0.1) == 0.0
    assert pace.wait_s(parse_rate("10/s"), 5, 0.1) == pytest.approx(0.5), "what was owed before is forgotten"


@pytest.mark.parametrize(
    ("rate", "chunk"),
    [(1, 1), (3, 1), (8, 2), (40, 10), (80, 20), (400, 20), (39_999, 20), (100_000, 50), (3_998_000, 1_999)],
)
def test_chunks_are_small(rate: int, chunk: int) -> None:
    """A quarter of a second's keys, and no more than twenty; at high rates a two-thousandth of a second's."""
    assert WritePace().chunk(parse_rate(f"{rate}/s")) == chunk
