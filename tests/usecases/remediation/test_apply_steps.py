"""Each step of canary, check and shard, over a few keys of a real server: what is asked before, what is counted, what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying
from lab.servers.server import Server
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.errors import Aborted, BadInput, ServerChanged, TooManyMatches
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.remediation import Outcome, PartBegun, PartResult, RuleAccount
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.remediation.canary_watch import start_of
from tests.usecases.few_keys import ATTEMPT, fill, in_two_databases, with_ttl
from tests.usecases.remediation.test_apply_moments import changed_nodes

CHECKED_AT = "2099-11-24T01:01:01+00:00"


@pytest.fixture
def two(valkey: Server, tmp_path: Path) -> Applying:
    """20 keys of one rule in database 0, and 5 of each in database 3."""
    return in_two_databases(valkey, tmp_path)


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
    applying.documents.write_canary_report(replace(report, **more))


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
    assert two.documents.canary_reports() == [report]


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


def test_a_node_is_known_by_its_address(two: Applying) -> None:
    """A shard is written on the primary that holds the data of its own node, whichever node the plan names first."""
    two.pass_canary()
    strange = NodeIdentity("elsewhere:1", "f" * 40, "f" * 40)
    two.plan = replace(two.plan, nodes=(strange, *two.plan.nodes))
    two.documents.write_survey(replace(two.documents.surveys()[-1], digest=two.plan.digest, attempt=ATTEMPT))
    report_of(two)
    assert two.shard(0).outcome is Outcome.DONE
