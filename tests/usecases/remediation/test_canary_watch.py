"""The canary's watch by itself: two servers and a clock that a test sets, what they were like before in a real store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Commands
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.threads import ahead
from redis_ttl.domain.errors import Aborted
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.policy.policy import GuardSettings, MemoryThresholds
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation.apply_tools import ApplyTools
from redis_ttl.usecases.remediation.canary_watch import CanaryWatch, start_of
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.plans import PLAN, POLICY
from tests.usecases.remediation.test_gate_and_pace import BEGAN, GOOD

A, B = "10.0.0.1:6379", "10.0.0.2:6379"


@dataclass
class Scene:
    """Two servers that are watched for twenty seconds. ``bad`` says what a server shows at a look, by its number from 0."""

    folder: Path
    bad: dict[str, Callable[[int], dict[str, Any]]] = field(default_factory=dict)
    commands: Commands = field(default_factory=Commands)
    memory: MemoryThresholds = field(default_factory=MemoryThresholds)
    ends: Ended | None = None
    at_s: float = 100.0
    watch_s: int = 20
    log: list[str] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.documents = PlanDocuments(Store(self.folder), PLAN.cluster, PLAN.plan_id)

    def watch(self) -> CanaryReport:
        """What the watch comes to."""
        guards = replace(POLICY.remediation, guards=GuardSettings())
        policy = replace(POLICY, memory=self.memory, remediation=guards)
        plan = replace(
            PLAN, nodes=tuple(NodeIdentity(each, "a" * 40, "") for each in (A, B)), canary_watch_s=self.watch_s
        )
        tools = ApplyTools(
            redis=self,  # type: ignore[arg-type]  # the watch connects and looks only
            documents=self.documents,
            policy=policy,
            approve=lambda: None,  # type: ignore[arg-type]  # the watch looks at its own
            control=self.commands,
            clock=self,
            ahead=ahead,
            log=self.log.append,
            token="abcdef",  # no secret
        )
        self.looks.clear()
        return CanaryWatch(plan, tools, self).run()  # type: ignore[arg-type]  # it is looked at only

    def look(self) -> str | None:
        """The approval: in force, or over."""
        if self.ends is not None:
            raise self.ends
        return None

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.at_s += seconds

    def now(self) -> dt.datetime:
        """The moment."""
        return BEGAN + dt.timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        """The seconds."""
        return self.at_s

    def primary_of(self, identity: NodeIdentity) -> str:
        """Where a server of the plan is now."""
        return f"now {identity.address}"

    @contextmanager
    def connect(self, address: str, db: int) -> Iterator[Any]:
        """A connection to one of them."""
        assert db == 0
        named = address.removeprefix("now ")

        class Node:
            def health(_) -> Reading:  # noqa: N805  # the scene is self
                number = self.looks.get(named, -1) + 1
                self.looks[named] = number
                shown = self.bad[named](number) if named in self.bad else {}
                return replace(GOOD, **{"at_s": self.at_s, **shown})

        yield Node()

    def before(self, *, seconds: float = 10.0, **rising: Any) -> None:
        """Keep what the servers were like before the canary: fine at the first look, and counters that rise by so many till the second."""
        first = replace(GOOD, at_s=0.0, replicas_online=1)
        last = replace(first, at_s=seconds, round_trip_s=1.0, replicas_online=0, **rising)
        self.documents.write_canary_baseline("2026-11-24T00:00:00+00:00", {A: (first, last), B: (first, last)})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two quiet servers."""
    return Scene(tmp_path)


def rising(name: str, per_s: float) -> Callable[[int], dict[str, Any]]:
    """A counter that rises by so many a second."""
    return lambda number: {name: round(number * per_s)}


def test_a_quiet_watch_is_passed(scene: Scene) -> None:
    """For as long as the plan says, with a look at each server every second, a line at least every five, and figures of both."""
    scene.bad[A] = lambda number: {"used_bytes": 60, "misses": 50 * number, "evicted_keys": 0, "errors": 2 * number}
    report = scene.watch()
    assert (report.passed, report.reasons, report.plan_id) == (True, (), PLAN.plan_id)
    assert report.watched_s == pytest.approx(20)
    assert report.began_at == (BEGAN + dt.timedelta(seconds=100)).isoformat()
    assert report.ended_at == (BEGAN + dt.timedelta(seconds=120)).isoformat()
    assert scene.looks == {A: 20, B: 20}
    assert scene.log == [f"watching the canary, {left} s to go" for left in (20, 16, 12, 8, 4)]
    assert report.figures[A] == {
        "memory_ratio": 0.6,
        "evicted_keys_per_s": 0.0,
        "misses_per_s": 50.0,
        "errors_per_s": 2.0,
        "round_trip_ms": pytest.approx(0.1),
    }
    assert set(report.figures) == {A, B}


def test_the_last_moment_is_watched_too(scene: Scene) -> None:
    """A watch of a length that isn't a whole number of looks ends when it should."""
    scene.watch_s = 1
    scene.at_s = 0.5
    began_s = scene.at_s
    assert scene.watch().watched_s == 1
    assert scene.at_s == began_s + 1


@pytest.mark.parametrize(("server", "figure"), [(A, {"lag_s": 99}), (B, {"lag_bytes": 10**12})])
def test_a_figure_that_stays_bad_ends_the_watch(scene: Scene, server: str, figure: dict[str, int]) -> None:
    """After ten looks in a row, with the server's name; the other server isn't named."""
    scene.bad[server] = lambda number: figure if number else {}
    report = scene.watch()
    assert not report.passed
    assert scene.looks[A] == 10
    (reason,) = report.reasons
    assert reason.startswith(f"{server}: ")
    assert "replication lag" in reason


def test_looks_of_two_servers_or_two_figures_do_not_add_up(scene: Scene) -> None:
    """Five looks in which one is bad and five in which the other is are no ten."""
    scene.bad[A] = lambda number: {"lag_s": 99} if number % 2 else {"lag_bytes": 10**12}
    scene.bad[B] = lambda number: {"lag_s": 99} if number % 2 else {}
    scene.watch_s = 21
    report = scene.watch()
    assert report.watched_s == 21
    assert {reason.partition(": ")[0] for reason in report.reasons} == {A, B}, "what is bad at the end counts"


def test_a_server_that_was_restarted_ends_the_watch(scene: Scene) -> None:
    """At the next look."""
    scene.bad[B] = lambda number: {"run_id": "b"} if number >= 3 else {}
    report = scene.watch()
    assert report.reasons == (f"{B}: the server was restarted or failed over",)
    assert scene.looks[A] == 3


@pytest.mark.parametrize(
    ("before", "per_s", "passed"), [(None, 100, True), (None, 101, False), (50, 200, True), (50, 201, False)]
)
def test_misses_are_compared_with_what_is_normal(
    scene: Scene, before: int | None, per_s: float, *, passed: bool
) -> None:
    """Twice as many as before the canary and a hundred more are fine, over the whole watch."""
    if before is not None:
        scene.before(misses=before * 10)
    scene.bad[A] = rising("misses", per_s)
    if before is not None:
        scene.bad[A] = lambda number: {"misses": round(number * per_s), "replicas_online": 1}
        scene.bad[B] = lambda _number: {"replicas_online": 1}
    report = scene.watch()
    assert report.passed == passed
    assert all(reason.startswith(f"{A}: keyspace misses: ") for reason in report.reasons)
    assert report.watched_s == pytest.approx(20)


def test_a_replica_that_was_lost_since_the_run_began_ends_the_watch(scene: Scene) -> None:
    """What counts is what there was before the canary, not when its watch began."""
    scene.before()
    scene.bad[A] = lambda _number: {"replicas_online": 1}
    scene.bad[B] = lambda _number: {"replicas_online": 0}
    assert scene.watch().reasons == (f"{B}: replicas online: 0 (1 when the run began)",)


def test_latency_is_compared_with_what_it_was_before_the_canary(scene: Scene) -> None:
    """A server that is slow since the canary's keys were written isn't normal because it was slow when the watch began."""
    slow = 0.02
    scene.bad[A] = lambda _number: {"round_trip_s": slow, "replicas_online": 1}
    scene.bad[B] = lambda _number: {"replicas_online": 1}
    assert scene.watch().passed, "nothing tells what it was before"
    scene.before()
    (reason,) = scene.watch().reasons
    assert reason.startswith(f"{A}: a round trip takes 20.0 ms")


def test_memory_limit_counts_where_the_server_has_none(scene: Scene) -> None:
    """The policy's limit and its critical share bound the memory."""
    scene.bad[A] = lambda _number: {"limit_bytes": 0, "used_bytes": 50}
    scene.bad[B] = lambda _number: {"used_bytes": 10}
    assert scene.watch().passed
    scene.memory = MemoryThresholds(0.3, 0.4, limit_bytes=100)
    (reason,) = scene.watch().reasons
    assert "memory is at 50.0% of the policy's memory.limit (bound 40%)" in reason


def test_operator_and_approval_end_the_watch(scene: Scene) -> None:
    """A stop with the operator's word, and the approval's end, before anything else is looked at."""
    scene.commands.command = OperatorCommand(CommandState.STOP, why="li: enough")
    with pytest.raises(Aborted, match=r"the operator stopped it.*li: enough"):
        scene.watch()
    scene.commands.command = OperatorCommand()
    scene.ends = Ended(Outcome.ABORTED, "the approval's time is over")
    with pytest.raises(Aborted, match="the approval's time is over"):
        scene.watch()
    assert scene.looks == {A: 0, B: 0}


def test_what_servers_were_like_comes_back_from_the_store(scene: Scene) -> None:
    """The latest that was kept; what version 0.1 kept is read as well; nothing is known of other servers."""
    assert start_of(scene.documents, A) is None
    old = replace(GOOD, misses=1)
    kept = json.dumps({A: [asdict(old), asdict(old)]}).encode()
    Store(scene.folder).write(f"{PLAN.cluster}/results/{PLAN.plan_id}/canary_baseline-0a1b2c3d.json", kept)
    assert start_of(scene.documents, A) == old
    first, last = replace(GOOD, misses=2), replace(GOOD, misses=3)
    scene.documents.write_canary_baseline("2026-11-25T00:00:00+00:00", {A: (first, last)})
    scene.documents.write_canary_baseline("2026-11-24T00:00:00+00:00", {A: (last, last)})
    assert start_of(scene.documents, A) == first
    assert start_of(scene.documents, B) is None
