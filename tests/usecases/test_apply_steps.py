"""Each step of canary, check and shard, over a few keys of a real server: what is asked before, what is counted, what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.domain.canary import CanaryReport
from redis_ttl.domain.control import Wish, WishedState
from redis_ttl.domain.errors import Aborted, BadInput, ConnectionLost, ServerChanged, StoreProblem, TooManyMatches
from redis_ttl.domain.journal import attempt_of
from redis_ttl.domain.plan import NodeIdentity
from redis_ttl.domain.rate import Rate, parse_rate
from redis_ttl.domain.remediation import Outcome, PartBegun, PartResult, RuleAccount
from redis_ttl.domain.shards import Shard, SplitRule
from redis_ttl.usecases import part_work
from redis_ttl.usecases.apply_plan import check_canary
from redis_ttl.usecases.canary_watch import start_of
from redis_ttl.usecases.part_work import PartWork
from redis_ttl.usecases.write_gate import Ended
from tests.adapters.keyspaces import set_keys
from tests.servers import Server
from tests.usecases.applying import Applying, policy_of, rule
from tests.usecases.test_apply_moments import changed_nodes

POLICY = policy_of(rule("a:{n}"), rule("b:{n}"), canary_keys=3)
ATTEMPT = "20991124T010101000Z-abcdef"
CHECKED_AT = "2099-11-24T01:01:01+00:00"


def fill(server: Server, keys: int = 20, first: int = 0, family: str = "a", db: int = 0) -> None:
    """Keys of a rule without TTL."""
    set_keys(server, [f"{family}:{number}" for number in range(first, first + keys)], db=db)


def with_ttl(server: Server, db: int = 0) -> int:
    """How many keys of a database have a TTL."""
    with server.client() as client:
        return int(client.info("keyspace").get(f"db{db}", {}).get("expires", 0))


@pytest.fixture
def two(valkey: Server, tmp_path: Path) -> Applying:
    """20 keys of one rule in database 0, and 5 of each in database 3."""
    fill(valkey)
    fill(valkey, 5, db=3)
    fill(valkey, 5, family="b", db=3)
    return Applying(valkey.url, tmp_path, POLICY, databases=(0, 3))


def part_of(applying: Applying, part: str, attempt: str = ATTEMPT, **more: Any) -> None:
    """Keep what an attempt came to."""
    values: dict[str, Any] = {"outcome": Outcome.DONE, "run_id": applying.plan.nodes[0].run_id, **more}
    result = PartResult(
        plan_id=applying.plan.plan_id,
        part=part,
        attempt=attempt,
        began_at="x",
        ended_at="x",
        scanned=0,
        accounts={},
        journal_objects=0,
        journal_bytes=0,
        **values,
    )
    applying.documents.write_part(result)


def report_of(applying: Applying, *, passed: bool = True, at: str = CHECKED_AT, **more: Any) -> None:
    """Keep a report of the canary's check."""
    reasons = ("all is well",) if passed else ("it is slow", "and hot")
    report = CanaryReport(applying.plan.plan_id, applying.plan.digest, passed, "x", at, 0.0, reasons, {})
    applying.documents.write_result("check_canary", replace(report, **more).to_json())


def test_the_canary_counts_everything_and_writes_a_few_of_each_rule(two: Applying, valkey: Server) -> None:
    """Its account has every key, three of each rule as set and the others as left; its survey tells them by shard and rule."""
    found = two.canary()
    assert found.accounts == {0: RuleAccount(met=25, set=3, left=22), 1: RuleAccount(met=5, set=3, left=2)}
    assert (found.part, found.outcome, found.scanned, found.whole) == ("canary", Outcome.DONE, 30, False)
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 6
    [kept] = two.documents.parts()
    assert replace(kept, ended_at=found.ended_at) == found
    [survey] = two.documents.surveys()
    assert (survey.plan_id, survey.digest, survey.attempt) == (two.plan.plan_id, two.plan.digest, found.attempt)
    assert survey.shards == {0: {0: 20}, 1: {0: 5, 1: 5}}
    picked = {number: {rule: keys for rule, keys in rules.items() if keys} for number, rules in survey.standing.items()}
    assert sum(rules.get(0, 0) for rules in picked.values()) == 3
    assert picked[1][1] == 3
    assert picked.get(0, {}).get(0, 0) == with_ttl(valkey)
    assert survey.before == ()


def test_a_canary_that_is_begun_again_counts_what_stands(two: Applying, valkey: Server) -> None:
    """Keys that are ours already are in the survey and in what stands, and the attempts before are named, each once."""
    first = two.canary()
    for part in ("shard-0", "shard-1"):
        two.documents.write_begun(PartBegun(two.plan.plan_id, part, ATTEMPT, 1, "x"))
    second = two.canary()
    assert second.accounts[0] == RuleAccount(met=25, already_ours=3, left=22)
    survey = two.documents.surveys()[-1]
    assert survey.shards == {0: {0: 20}, 1: {0: 5, 1: 5}}
    assert sum(rules.get(0, 0) for rules in survey.standing.values()) == 3
    assert survey.standing[1][1] == 3
    assert survey.before == (first.attempt, ATTEMPT)
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 6


def test_the_servers_are_looked_at_before_and_after_the_counting(two: Applying) -> None:
    """Two readings of each server, the first from before its first database is read, are kept before anything is written."""
    events: list[str] = []

    def noting(node: Any) -> dict[str, Any]:
        def health() -> Any:
            events.append("health")
            return replace(node.health(), used_bytes=len(events))

        def batches(*arguments: Any, **more: Any) -> Any:
            events.append("read")
            return node.batches(*arguments, **more)

        return {"health": health, "batches": batches}

    two.canary(redis=changed_nodes(two, noting))
    assert events[:4] == ["health", "read", "read", "health"]
    start = start_of(two.documents, two.plan.nodes[0].address)
    assert start is not None
    assert start.used_bytes == 1
    assert start_of(two.documents, "elsewhere:1") is None


def test_a_database_is_connected_to_once(two: Applying) -> None:
    """However many shards a database has, the canary opens one connection to it."""
    two.plan = replace(two.plan, shards=(*two.plan.shards, two.plan.shards[0]))
    opened: list[int] = []

    def noting(node: Any) -> dict[str, Any]:
        opened.append(1)
        return {"address": node.address}

    found = two.canary(redis=changed_nodes(two, noting))
    assert len(opened) == 2
    assert found.scanned == 50


@pytest.mark.parametrize("limit", [24, 25])
def test_a_rules_limit_holds_over_what_it_would_change_and_has_changed(
    two: Applying, valkey: Server, limit: int
) -> None:
    """One key more than a rule's limit refuses the run before anything is written; as many as that pass."""
    rules = (replace(two.plan.rules[0], limit_keys=limit), two.plan.rules[1])
    two.plan = replace(two.plan, rules=rules)
    if limit == 25:
        assert two.canary().outcome is Outcome.DONE
        assert two.canary().outcome is Outcome.DONE, "what is ours already counts once"
        return
    with pytest.raises(TooManyMatches) as refused:
        two.canary()
    assert re.search(
        r"the rule a:\{n\} matches more keys than were planned.*found 25 keys; expected at most 24 \(planned 1,000,000\)",
        str(refused.value),
    )
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 0
    assert two.documents.surveys() == []


@pytest.mark.parametrize("limit", [29, 30])
def test_a_runs_limit_holds_over_all_rules(two: Applying, valkey: Server, limit: int) -> None:
    """One key more than the run's limit, over all rules together, refuses the run before anything is written."""
    two.plan = replace(two.plan, limit_keys=limit)
    if limit == 30:
        two.canary()
        assert two.canary().outcome is Outcome.DONE, "what is ours already counts once"
        return
    with pytest.raises(TooManyMatches, match=r"rules together .* found 30 keys; expected at most 29"):
        two.canary()
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 0


def test_an_approval_that_is_taken_back_while_the_canary_counts_keeps_it_from_writing(
    two: Applying, valkey: Server
) -> None:
    """The approval is asked for once more between counting and writing."""
    asked: list[int] = []

    def approve() -> Any:
        asked.append(1)
        if len(asked) > 2:  # at the beginning, and while it counts
            raise BadInput("somebody has taken it back")
        return two.approval

    with pytest.raises(BadInput, match="taken it back"):
        two.canary(approve=approve)
    assert with_ttl(valkey) + with_ttl(valkey, 3) == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"policy_hash": "0" * 64}, "the policy was changed after the plan was made"),
        ({"rate": "fast/s"}, "rate"),
        ({"load": "fsat"}, "load"),
    ],
)
def test_no_part_begins_by_a_plan_that_does_not_hold(two: Applying, change: dict[str, str], text: str) -> None:
    """Another policy, a rate or a load that can't be read: refused before anything is begun, by every part."""
    two.plan = replace(two.plan, **change)  # type: ignore[arg-type]
    acts: list[Callable[[], object]] = [lambda: two.canary(redis=None), lambda: two.shard(redis=None)]
    for act in acts:
        with pytest.raises(BadInput, match=text):
            act()
    assert two.documents.begun() == []


@pytest.mark.parametrize("other", [{"plan_id": "20260101T000000Z-ffffff"}, {"digest": "0" * 64}])
def test_the_approval_must_be_this_very_plans(two: Applying, other: dict[str, str]) -> None:
    """An approval of another plan, or of another text of this one, is none."""
    approval = replace(two.approval, **other)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=f"approval is another plan's.*found {approval.plan_id}"):
        two.canary(approve=lambda: approval)


def test_a_shard_waits_for_a_canary_that_is_done(two: Applying) -> None:
    """A canary that was ended before its end, or another part that was done, is no canary that was written."""
    part_of(two, "canary", outcome=Outcome.ABORTED)
    part_of(two, "shard-0")
    for act in (two.shard, lambda: check_canary(two.plan, two.tools())):
        with pytest.raises(Aborted, match="canary of this plan hasn't been written"):
            act()
    part_of(two, "canary", attempt=ATTEMPT.replace("2099", "2098"))
    with pytest.raises(Aborted, match=r"hasn't been passed.*found no check"):
        two.shard()


def test_only_the_last_check_of_this_very_plan_counts(two: Applying) -> None:
    """Whoever checked last, by the moment of its end, lets the shards follow, or doesn't; a check of another text never does."""
    two.canary()
    report_of(two, at="2099-01-01T00:00:00+00:00")
    assert two.shard(0).outcome is Outcome.DONE
    report_of(two, passed=False, at="2099-01-03T00:00:00+00:00")
    report_of(two, at="2099-01-02T00:00:00+00:00")
    with pytest.raises(Aborted, match=r"hasn't been passed.*found it is slow; and hot"):
        two.shard(0)
    report_of(two, at="2099-01-04T00:00:00+00:00")
    assert two.shard(0).outcome is Outcome.DONE
    report_of(two, digest="0" * 64, at="2099-01-05T00:00:00+00:00")
    with pytest.raises(Aborted, match="hasn't been passed"):
        two.shard(0)


def test_a_check_that_is_passed_is_kept(two: Applying) -> None:
    """The report of the watch is kept with the plan, and lets the shards follow."""
    two.canary()
    report = check_canary(two.plan, two.tools())
    assert report.passed
    assert [CanaryReport.from_json(each) for each in two.documents.results("check_canary")] == [report]


def test_shards_without_a_count_are_not_begun(two: Applying) -> None:
    """Where the canary left no count, a shard ends before it says that it has begun."""
    part_of(two, "canary")
    report_of(two)
    with pytest.raises(Aborted, match="left no count"):
        two.shard()
    assert two.documents.begun() == []


def test_a_shard_is_told_in_full(two: Applying, valkey: Server) -> None:
    """What it came to: its part, attempt, server and moments, every key in one figure, and its journal to the byte."""
    two.pass_canary()
    ours = with_ttl(valkey)
    found = two.shard(0)
    assert (found.plan_id, found.part, found.outcome, found.reason) == (two.plan.plan_id, "shard-0", Outcome.DONE, None)
    assert found.accounts == {0: RuleAccount(met=20, set=20 - ours, already_ours=ours)}
    assert (found.scanned, found.run_id, found.whole) == (20, two.plan.nodes[0].run_id, False)
    names = [name for name in two.documents.journal_names() if name.part == "shard-0"]
    assert found.journal_objects == len(names) == 1
    assert found.journal_bytes == sum(len(two.documents.journal(name)) for name in names)
    assert found.interruptions == ()
    assert found.began_at <= found.ended_at
    [begun] = [each for each in two.documents.begun() if each.part == "shard-0"]
    assert begun == PartBegun(
        two.plan.plan_id, "shard-0", found.attempt, two.approved_at_ms, found.began_at, two.plan.nodes[0].run_id
    )
    assert found.attempt.endswith(two.tools().token) is False
    assert with_ttl(valkey) == 20
    again = two.shard(0)
    assert again.accounts == {0: RuleAccount(met=20, already_ours=20)}
    assert (again.journal_objects, again.journal_bytes) == (0, 0)


def test_shards_that_another_process_answered_are_followed_by_the_whole_database(two: Applying, valkey: Server) -> None:
    """Where a shard of the same database was finished over another process, all of the database is read, unless somebody did."""
    two.plan = replace(two.plan, shards=(two.plan.shards[0], two.plan.shards[0], two.plan.shards[1]))
    two.pass_canary()
    part_of(two, "shard-2", run_id="f" * 40)
    assert not two.shard(0).whole, "another database's doesn't matter"
    part_of(two, "shard-1", run_id="f" * 40, outcome=Outcome.ABORTED)
    assert not two.shard(0).whole, "one that didn't end doesn't"
    fill(valkey, 3, first=100)
    part_of(two, "shard-1", attempt=ATTEMPT.replace("2099", "2098"), run_id="f" * 40)
    read: list[Any] = []

    def noting(node: Any) -> dict[str, Any]:
        def batches(shard: Any, **more: Any) -> Any:
            read.append(shard)
            assert len(read) <= 2, "read once more, and never again"
            return node.batches(shard, **more)

        return {"batches": batches}

    found = two.shard(0, redis=changed_nodes(two, noting))
    assert found.whole
    assert found.scanned == 46
    shard = two.plan.shards[0]
    assert read[1] == Shard(0, 1, shard.node, found.run_id, 0, SplitRule.SEQUENTIAL, 0, 0)
    assert any("reading all of it" in text for text in two.log)
    assert with_ttl(valkey) == 23
    assert not two.shard(1).whole, "somebody has read all of it"


@pytest.mark.parametrize("act", ["canary", "shard"])
def test_another_process_at_the_end_ends_the_attempt(two: Applying, act: str) -> None:
    """Where another process answers at the end than at the beginning, no result says that the part is done."""
    if act == "shard":
        two.pass_canary()
    done = len(two.documents.parts())
    asked: list[str] = []

    def restarted(node: Any) -> dict[str, Any]:
        def run_id() -> str:
            asked.append(node.run_id())
            return asked[-1] if len(asked) < 2 else "f" * 40

        return {"run_id": run_id}

    with pytest.raises(ServerChanged, match="restarted or failed over"):
        getattr(two, act)(redis=changed_nodes(two, restarted))
    assert len(two.documents.parts()) == done
    assert len(two.documents.begun()) >= 1


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
    applying.wishes.wish = Wish(rate=Rate(None))
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

    def __init__(self, monkeypatch: pytest.MonkeyPatch, real: Any) -> None:
        self.slept_s = 0.0
        self._real = real
        monkeypatch.setattr(part_work.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept_s += seconds

    def now(self) -> Any:
        """The moment."""
        return self._real.now()

    def monotonic(self) -> float:
        """The seconds."""
        return 1_000.0 + self.slept_s


def test_an_operator_is_heard_while_the_canary_counts(
    two: Applying, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop ends the counting with the operator's words; a pause holds it, is said every few seconds, and ends with the wish."""
    two.wishes.wish = Wish(WishedState.STOP, why="wang: no")
    with pytest.raises(Aborted, match="wang: no"):
        two.canary()
    assert two.documents.parts()[-1].outcome is Outcome.STOPPED
    two.wishes.wish = Wish(WishedState.STOP)
    with pytest.raises(Aborted, match="the operator stopped it"):
        two.canary()
    clock = Patient(monkeypatch, two.tools().clock)
    told: list[tuple[float, str]] = []

    def heard(text: str) -> None:
        told.append((clock.slept_s, text))
        if clock.slept_s >= 8:
            two.wishes.wish = Wish()

    two.wishes.wish = Wish(WishedState.PAUSE)
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
    clock = Patient(monkeypatch, applying.tools().clock)
    work = work_of(applying, "canary", clock=clock)
    with applying.tools().redis.connect(applying.plan.nodes[0].address, 0) as node:
        work.survey(0, applying.plan.shards[0], node, applying.tools().redis.new_canary(0.01, 3))
    assert work.scanned == 3_000
    assert applying.wishes.asked == 1


def test_a_shard_that_is_stopped_reads_nothing(two: Applying) -> None:
    """Operator and guards are heard before the first key is read."""
    two.pass_canary()
    objects = len(two.documents.journal_names())
    two.wishes.wish = Wish(WishedState.STOP)
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


def test_an_approval_that_cannot_be_read_holds_the_counting(two: Applying, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store doesn't say whether the plan is approved, nothing is read; when it does, the counting goes on."""
    clock = Patient(monkeypatch, two.tools().clock)
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


def test_a_node_is_known_by_its_address(two: Applying) -> None:
    """A shard is written on the primary that holds the data of its own node, whichever node the plan names first."""
    two.pass_canary()
    strange = NodeIdentity("elsewhere:1", "f" * 40, "f" * 40)
    two.plan = replace(two.plan, nodes=(strange, *two.plan.nodes))
    two.documents.write_survey(replace(two.documents.surveys()[-1], digest=two.plan.digest, attempt=ATTEMPT))
    report_of(two)
    assert two.shard(0).outcome is Outcome.DONE
