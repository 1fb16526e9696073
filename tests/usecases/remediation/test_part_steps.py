"""One attempt at one part, over a few keys of a real server: how it is named, paced, heard and ended."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying
from lab.servers.server import Server
from redis_ttl.domain.errors import Aborted, ConnectionLost, StoreProblem
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome, RuleAccount
from redis_ttl.domain.rollback.journal import attempt_of
from redis_ttl.usecases.remediation import part_work
from redis_ttl.usecases.remediation.part_work import PartWork
from redis_ttl.usecases.remediation.write_gate import Ended
from tests.usecases.few_keys import ATTEMPT, POLICY, fill, in_two_databases, with_ttl
from tests.usecases.remediation.test_apply_moments import changed_nodes


@pytest.fixture
def two(valkey: Server, tmp_path: Path) -> Applying:
    """20 keys of one rule in database 0, and 5 of each in database 3."""
    return in_two_databases(valkey, tmp_path)


@pytest.mark.parametrize(
    ("rate", "shards", "size", "sharers"),
    [
        ("unlimited", 1, 50_000, 1),
        ("10000/s", 1, 10_000, 1),
        ("90000/s", 1, 50_000, 1),
        ("100/s", 1, 2_000, 1),
        ("10000/s", 2, 5_000, 2),
        ("unlimited", 2, 50_000, 2),
        ("40000/s", 40, 10_000, 4),
    ],
)
def test_a_batch_is_a_second_of_the_shards_rate(two: Applying, rate: str, shards: int, size: int, sharers: int) -> None:
    """Shards that run at once share rate and load, as many as the policy lets run beside one another; a batch has its bounds."""
    applying = two
    applying.commands.command = OperatorCommand(rate=Rate(None))
    applying.plan = replace(applying.plan, shards=applying.plan.shards[:1])
    elsewhere = replace(applying.plan.shards[0], node="elsewhere:1")
    applying.plan = replace(applying.plan, rate=rate)
    applying.pass_canary()
    applying.plan = replace(applying.plan, shards=(*applying.plan.shards * shards, elsewhere))
    assert applying.policy.audit.parallel == 4
    seen: list[tuple[int, int]] = []

    def noting(node: Any) -> dict[str, Any]:
        def batches(shard: Any, *, load_share: int, batch_keys: int) -> Any:
            seen.append((batch_keys, load_share))
            return node.batches(shard, load_share=load_share, batch_keys=batch_keys)

        return {"batches": batches}

    tools = applying.tools(redis=changed_nodes(applying, noting))
    work = PartWork(applying.plan, tools, applying.approval, "shard-0")
    applying.documents.write_survey(
        replace(applying.documents.surveys()[-1], digest=applying.plan.digest, attempt=ATTEMPT)
    )
    with tools.redis.connect(applying.plan.nodes[0].address, 0) as node:
        work.run_id = node.run_id()
        work.write_shard(applying.plan.shards[0], node, [0])
    assert seen == [(size, sharers)]
    assert work.ratio == 1.0


def work_of(applying: Applying, part: str = "shard-0", **tools: Any) -> PartWork:
    """One attempt at a part, begun by nobody yet."""
    return PartWork(applying.plan, applying.tools(**tools), applying.approval, part)


def test_an_attempt_has_a_name_and_a_rate(two: Applying) -> None:
    """It is named by its moment and the token, and writes at the plan's rate."""
    work = work_of(two, token="0a0b0c")
    assert work.attempt.endswith("Z-0a0b0c")
    assert work.attempt[:15] == re.sub(r"[-:]", "", work.began_at)[:15]
    assert work.attempt == attempt_of(
        int(__import__("datetime").datetime.fromisoformat(work.began_at).timestamp() * 1000), "0a0b0c"
    )
    two.plan = replace(two.plan, rate="70/s")
    assert work_of(two).rate == parse_rate("70/s")


def test_progress_is_told_in_keys_and_as_a_share(two: Applying) -> None:
    """How many keys were sent, how many read, and how far that is."""
    work = work_of(two, "shard-7")
    work.sent, work.scanned, work.ratio = 1_234, 56_789, 0.5
    assert work.progress() == "shard-7: 1,234 keys sent, 56,789 read (50%)"


def test_the_counting_says_how_far_it_is(two: Applying) -> None:
    """Shard by shard, the share of what is read goes from nothing to all."""
    two.plan = replace(two.plan, shards=two.plan.shards * 2)
    work = work_of(two, "canary")
    address = two.plan.nodes[0].address
    picked = two.tools().redis.new_canary(0.01, 3)
    ratios = []
    with two.tools().redis.connect(address, 0) as node:
        for number in range(4):
            work.survey(number, two.plan.shards[number] if number % 2 == 0 else two.plan.shards[0], node, picked)
            ratios.append(work.ratio)
    assert ratios == [0.25, 0.5, 0.75, 1.0]
    assert work.accounts == {0: RuleAccount(met=80, left=80)}


def test_an_end_by_operator_or_guard_is_kept_with_its_reason(two: Applying) -> None:
    """Such an end writes the part's result and becomes an error with what to do; a plain end writes the result."""
    work = work_of(two)
    with pytest.raises(Aborted) as ended, work.recorded():
        raise Ended(Outcome.STOPPED, "wang: enough", "Wait.")
    assert "shard-0 ended before its end (stopped)" in str(ended.value)
    assert "wang: enough" in str(ended.value)
    assert "Wait." in str(ended.value)
    [kept] = two.documents.parts()
    assert (kept.outcome, kept.reason, kept.attempt) == (Outcome.STOPPED, "wang: enough", work.attempt)
    other = work_of(two, "shard-1")
    with other.recorded():
        assert [each.part for each in two.documents.begun()] == ["shard-0", "shard-1"]
        assert len(two.documents.parts()) == 1
    assert [(each.part, each.outcome) for each in two.documents.parts()] == [
        ("shard-0", Outcome.STOPPED),
        ("shard-1", Outcome.DONE),
    ]


def test_an_error_that_is_tried_again_leaves_no_result(two: Applying) -> None:
    """A lost connection is no end of the part: it has begun, and another attempt goes on."""
    with pytest.raises(ConnectionLost), work_of(two).recorded():
        raise ConnectionLost("gone")
    assert two.documents.parts() == []
    assert [each.part for each in two.documents.begun()] == ["shard-0"]


class Patient:
    """A clock that goes on by what is slept."""

    def __init__(self, real: Any) -> None:
        self.slept_s = 0.0
        self._real = real

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept_s += seconds

    def now(self) -> Any:
        """The moment."""
        return self._real.now()

    def monotonic(self) -> float:
        """The seconds."""
        return 1_000.0 + self.slept_s


def test_an_operator_is_heard_while_the_canary_counts(two: Applying, valkey: Server) -> None:
    """A stop ends the counting with the operator's words; a pause holds it, is said every few seconds, and ends with the command."""
    two.commands.command = OperatorCommand(CommandState.STOP, why="wang: no")
    with pytest.raises(Aborted, match="wang: no"):
        two.canary()
    assert two.documents.parts()[-1].outcome is Outcome.STOPPED
    two.commands.command = OperatorCommand(CommandState.STOP)
    with pytest.raises(Aborted, match="the operator stopped it"):
        two.canary()
    clock = Patient(two.tools().clock)
    told: list[tuple[float, str]] = []

    def heard(text: str) -> None:
        told.append((clock.slept_s, text))
        if clock.slept_s >= 8:
            two.commands.command = OperatorCommand()

    two.commands.command = OperatorCommand(CommandState.PAUSE)
    two.canary(clock=clock, log=heard)
    paused = [(at_s, text.partition(". ")[0]) for at_s, text in told if text.startswith("paused")]
    assert paused == [
        (0.0, "paused: the operator paused it"),
        (4.0, "paused: the operator paused it"),
        (8.0, "paused: the operator paused it"),
    ]
    assert re.fullmatch(r"paused: the operator paused it\. canary: 0 keys sent, \d+ read \(\d+%\)", told[0][1])
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 6


def test_an_operator_is_heard_once_a_second_while_the_canary_counts(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many batches go by within it."""
    monkeypatch.setattr(part_work, "_BATCH_KEYS", 500)
    fill(valkey, 3_000)
    applying = Applying(valkey.url, tmp_path, POLICY)
    clock = Patient(applying.tools().clock)
    work = work_of(applying, "canary", clock=clock)
    with applying.tools().redis.connect(applying.plan.nodes[0].address, 0) as node:
        work.survey(0, applying.plan.shards[0], node, applying.tools().redis.new_canary(0.01, 3))
    assert work.scanned == 3_000
    assert applying.commands.asked == 1


def test_a_shard_that_is_stopped_reads_nothing(two: Applying) -> None:
    """Operator and guards are heard before the first key is read."""
    two.pass_canary()
    objects = len(two.documents.journal_names())
    two.commands.command = OperatorCommand(CommandState.STOP)
    with pytest.raises(Aborted, match="the operator stopped it"):
        two.shard(0)
    assert (two.documents.parts()[-1].scanned, len(two.documents.journal_names())) == (0, objects)


def test_a_write_that_fails_is_no_end_of_the_shard(two: Applying, valkey: Server) -> None:
    """An error in the middle of the writing is handed on, and leaves no result that says that the shard is done."""
    two.pass_canary()
    ours = with_ttl(valkey)

    class Breaks:
        """A writer whose connection is lost."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def write(self, keys: int, *, ahead: bool) -> int:
            raise ConnectionLost(f"gone with {keys} keys {ahead}")

    broken = changed_nodes(two, lambda node: {"writer": lambda: Breaks(node.writer())})
    with pytest.raises(ConnectionLost):
        two.shard(0, redis=broken)
    assert [each.part for each in two.documents.parts()] == ["canary"]
    assert with_ttl(valkey) == ours


def test_an_approval_that_cannot_be_read_holds_the_counting(two: Applying) -> None:
    """While the store doesn't say whether the plan is approved, nothing is read; when it does, the counting goes on."""
    clock = Patient(two.tools().clock)
    asked: list[float] = []
    told: list[str] = []

    def approve() -> Any:
        asked.append(clock.slept_s)
        if 2 <= len(asked) <= 3:
            raise StoreProblem("no answer")
        return two.approval

    found = two.canary(clock=clock, log=told.append, approve=approve)
    assert found.outcome is Outcome.DONE
    assert told[0].startswith("paused: the approval can't be read")
    assert clock.slept_s > 0


def test_what_the_canary_picked_is_read_again_before_it_is_written(two: Applying, valkey: Server) -> None:
    """Keys that got a TTL of their own between counting and writing keep it, and count as such instead of as left."""
    with valkey.client() as client:
        written = two.documents.write_survey

        class Documents:
            """The plan's documents, with an application that is faster."""

            def __getattr__(self, name: str) -> Any:
                return getattr(two.documents, name)

            def write_survey(self, survey: Any) -> None:
                written(survey)
                for number in range(20):
                    client.expire(f"a:{number}", 1_000)

        found = two.canary(documents=Documents())
    account = found.accounts[0]
    with_own = 20 - found.accounts[0].left if account.set == 0 else account.had_ttl
    assert account.had_ttl + account.set + account.left == 25
    assert account.had_ttl == with_own
    assert account.had_ttl + account.set == 3
