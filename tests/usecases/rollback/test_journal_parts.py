"""Which part of a journal a task restores, which rules of the plan, and how the plan's approval ends before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.servers.server import Server
from redis_ttl.domain.errors import BadInput, StoreProblem
from redis_ttl.domain.remediation.approval import ApprovalRequest, Channel, Verdict
from redis_ttl.domain.remediation.remediation import Outcome, PartResult
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.rollback.end_approval import end_approval
from redis_ttl.usecases.rollback.journal_parts import JournalPart, load_journal
from redis_ttl.usecases.rollback.restore_tools import chosen_rules
from tests.usecases.written_journal import ATTEMPT, LATER, POLICY, Written


@pytest.fixture
def written(valkey: Server, tmp_path: Path) -> Written:
    """A plan of two rules; nothing is in its journal yet."""
    return Written(valkey, tmp_path)


@pytest.mark.parametrize(
    ("objects", "parts", "sizes"),
    [
        (1, 4, [1]),
        (7, 4, [7]),
        (8, 4, [4, 4]),
        (9, 2, [4, 5]),
        (23, 9, [4, 5, 4, 5, 5]),
        (12, 3, [4, 4, 4]),
        (12, 2, [6, 6]),
        (12, 1, [12]),
        (12, 0, [12]),
    ],
)
def test_a_journal_is_cut_into_parts_of_four_objects_at_least(
    tmp_path: Path, valkey: Server, objects: int, parts: int, sizes: list[int]
) -> None:
    """Into as many parts as asked for at most, the newest objects first, each object in one of them; a rollback's own are none."""
    documents = Applying(valkey.url, tmp_path, POLICY).documents
    names = [str(documents.write_journal(JournalName(ATTEMPT, "shard-0", number), b"x")) for number in range(objects)]
    documents.write_journal(JournalName(LATER, "rollback-0", 0), b"x")
    found = load_journal(documents, parts=parts)
    assert [each.objects for each in found] == sizes
    assert [each.number for each in found] == list(range(len(sizes)))
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    assert [(each.first, each.last) for each in found] == [
        (names[objects - end], names[objects - end + size - 1]) for end, size in zip(ends, sizes, strict=True)
    ]
    assert JournalPart.from_json(found[0].to_json()) == found[0]


def result_of(written: Written, objects: int, part: str = "shard-0") -> None:
    """What an attempt came to that wrote so many objects."""
    plan_id = written.run.plan.plan_id
    written.run.documents.write_part(PartResult(plan_id, part, ATTEMPT, Outcome.DONE, "x", "x", 0, {}, objects, 0))


def test_a_journal_that_is_not_there_is_told_by_what_was_written(written: Written) -> None:
    """Where no result tells of objects, nothing was written; where one does, or can't be read, the journal is gone."""
    with pytest.raises(BadInput, match="nothing was written by it"):
        load_journal(written.run.documents, parts=1)
    result_of(written, 0)
    with pytest.raises(BadInput, match="nothing was written by it"):
        load_journal(written.run.documents, parts=1)
    result_of(written, 1_200, "shard-1")
    with pytest.raises(StoreProblem, match=r"journal of this plan is gone.* expected 1,200 journal objects"):
        load_journal(written.run.documents, parts=1)


def test_a_result_that_cannot_be_read_may_tell_of_a_journal(written: Written) -> None:
    """Without any object, and with a result that is damaged, nobody says that nothing was written."""
    result_of(written, 0)
    [path] = (written.folder / "test/results" / written.run.plan.plan_id).glob("shard-0-*")
    path.write_bytes(b"{")
    with pytest.raises(StoreProblem, match=rf"expected unknown: {path.name} can't be read"):
        load_journal(written.run.documents, parts=1)


NAME = f"{ATTEMPT}_shard-0_000000.parquet"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"number": each} for each in ("0/../..", True, -1, 1_000_000, 0.0, None)),
        *({"objects": each} for each in ("4", False, -1, 1_000_000)),
        *({"first": each} for each in ("../../etc/passwd", None, NAME.replace("shard", "rollback"))),
        *({"last": each} for each in (7, "x", NAME.replace("shard", "rollback"))),
    ],
)
def test_what_is_no_part_is_refused(wrong: dict[str, object]) -> None:
    """A part comes from another task and becomes part of a path: each of its fields is looked at."""
    right = {"number": 0, "first": NAME, "last": NAME, "objects": 999_999}
    assert JournalPart.from_json(right).to_json() == right
    assert JournalPart.from_json({**right, "number": 999_999, "objects": 0}).number == 999_999
    with pytest.raises(BadInput, match="no part of a journal"):
        JournalPart.from_json({**right, **wrong})


@pytest.mark.parametrize("end", ["first", "last"])
def test_a_part_of_another_journal_is_refused(end: str) -> None:
    """Both of a part's bounds must be in the journal that is there."""
    name = JournalName.parse(NAME)
    assert name is not None
    part = JournalPart(0, NAME, NAME, 1)
    assert part.names_of([name]) == [name]
    other = NAME.replace("shard-0", "shard-7")
    with pytest.raises(BadInput, match="of another journal"):
        replace(part, **{end: other}).names_of([name])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="of another journal"):
        part.names_of([])


def test_rules_are_chosen_by_their_patterns(written: Written) -> None:
    """None for all; each pattern must be one of the plan's, and those that aren't are named beside those that are."""
    plan = written.run.plan
    assert chosen_rules(plan, []) is None
    assert chosen_rules(plan, ["b:{n}"]) == frozenset({1})
    assert chosen_rules(plan, ["b:{n}", "a:{n}"]) == frozenset({0, 1})
    with pytest.raises(BadInput, match=r"found x, y; expected a:\{n\}, b:\{n\}\."):
        chosen_rules(plan, ["x", "a:{n}", "y"])


def test_each_gates_latest_request_is_rejected(written: Written) -> None:
    """A rollback ends every approval: one decision for the latest request of each gate, by nobody, with the run's name."""
    plan, documents = written.run.plan, written.run.documents
    for request, gate in (("r1", "approve_plan"), ("r2", "approve_plan"), ("r3", "approve_rest")):
        at = f"2026-11-24T01:0{request[1]}:00+00:00"
        documents.write_request(ApprovalRequest(request, plan.plan_id, plan.digest, gate, 1, at))
    end_approval(documents, run="rollback/manual", clock=written.tools().clock)
    decided = sorted(documents.decisions(), key=lambda each: each.request_id)
    assert [(each.request_id, each.gate) for each in decided] == [("r2", "approve_plan"), ("r3", "approve_rest")]
    for each in decided:
        assert (each.verdict, each.channel, each.by) == (Verdict.REJECTED, Channel.NOBODY, None)
        assert (each.plan_id, each.digest) == (plan.plan_id, plan.digest)
        assert (each.why or "").startswith("the plan is rolled back by rollback/manual.")


def test_the_approval_is_ended_though_a_request_cannot_be_read(written: Written) -> None:
    """Under a request that is damaged nothing is written either: the others are rejected all the same."""
    plan, documents = written.run.plan, written.run.documents
    documents.write_request(
        ApprovalRequest("r1", plan.plan_id, plan.digest, "approve_plan", 1, "2026-11-24T01:01:00+00:00")
    )
    (written.folder / "test/approvals" / plan.plan_id / "request-r2.json").write_bytes(b"{")
    end_approval(documents, run="x", clock=written.tools().clock)
    assert [each.request_id for each in documents.decisions()] == ["r1"]
