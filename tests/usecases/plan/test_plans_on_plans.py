"""Which of several plans over the same keys must be taken back first, by their journals and by what their keys have now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lab.remediation.policies import policy_of, rule
from redis_ttl.adapters.journal.links import EndedRows, LaterRows
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.writing.key_restorer import Looked
from redis_ttl.domain.errors import BadInput, ConnectionLost
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import RestoreAccount, RestoreResult
from redis_ttl.usecases.rollback.overlapping_plans import refuse_later_plans, trace_ended_plans
from redis_ttl.usecases.store.journals import JournalObjects
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.journal_objects import journal_bytes
from tests.plans import plan_of

CAPS = policy_of(rule("a:{n}", mode=Mode.CAP), rule("b:{n}", mode=Mode.CAP))
SETS = policy_of(rule("a:{n}"), rule("b:{n}", mode=Mode.CAP, sign_off=None))
ATTEMPT = "20261124T010101000Z-abcdef"
IDS = [f"2026112{number}T010101Z-00000{number}" for number in range(5)]

Row = tuple[bytes, int | None, int | None]


@dataclass
class Restorer:
    """A server whose keys have these instants now; some nodes don't answer."""

    now: dict[bytes, int] = field(default_factory=dict)
    unreached: int = 0
    in_cluster: bool = False
    looks: int = 0

    def look(self, rows: pl.DataFrame, check: Callable[[], None]) -> Looked:
        """The rows with the instant that their key has."""
        check()
        self.looks += 1
        has = pl.Series([self.now.get(key) for key in rows["key"].to_list()], dtype=pl.Int64)
        ours = rows.filter((rows["set_ms"] == has).fill_null(value=False))
        return Looked({0: RestoreAccount(keys=self.unreached, unreached=self.unreached)}, ours)


@dataclass
class Plans:
    """Plans of one cluster with their journals."""

    folder: Path
    restorer: Restorer = field(default_factory=Restorer)
    log: list[str] = field(default_factory=list)

    def documents(self, number: int) -> PlanDocuments:
        """Those of a plan."""
        return PlanDocuments(Store(self.folder), "test", IDS[number])

    def plan(self, number: int, *rows: Row, policy: Any = CAPS, of_rule: int = 0, kept: bool = True) -> None:
        """A plan that wrote these rows: the key, what was, what it set."""
        documents = self.documents(number)
        if kept:
            documents.write_plan(replace(plan_of(policy), plan_id=IDS[number], cluster="test"))
        if rows:
            self.journal(number, *rows, of_rule=of_rule)

    def journal(self, number: int, *rows: Row, of_rule: int = 0, part: str = "shard-0") -> JournalName:
        """An object of the plan's journal."""
        types = {"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64}
        frame = pl.DataFrame(list(rows), schema=types, orient="row").with_columns(rule=of_rule, db=0)
        documents = self.documents(number)
        at = len(documents.journal_names())
        return documents.write_journal(JournalName(ATTEMPT, part, at), journal_bytes(frame))

    def taken_back(self, number: int, *rules: int, dry_run: bool = False) -> None:
        """A rollback of these rules of a plan was run."""
        accounts = {each: RestoreAccount(keys=1, removed=1) for each in rules}
        result = RestoreResult(IDS[number], "rollback-0", ATTEMPT, dry_run, "x", "x", accounts)
        self.documents(number).write_restored(result)

    def objects(self, number: int = 0) -> JournalObjects:
        """A plan's journal as a rollback reads it."""
        return JournalObjects(self.documents(number), self.log.append)

    def refuse(self, number: int = 0, rules: frozenset[int] | None = None) -> None:
        """Refuse to take back that plan, where others must go first."""
        journal = self.objects(number)
        refuse_later_plans(journal, journal.written, rules, self.restorer, LaterRows)  # type: ignore[arg-type]

    def beneath(self, number: int, *rows: tuple[bytes, int]) -> list[int | None]:
        """What was there before every ended plan, of rows of that plan: the key, and what it had found."""
        traced = trace_ended_plans(self.objects(number), self.restorer, EndedRows)  # type: ignore[arg-type]
        frame = pl.DataFrame(list(rows), schema={"key": pl.Binary, "was_ms": pl.Int64}, orient="row")
        frame = frame.with_columns(db=pl.lit(0, pl.Int32))
        return (frame if traced is None else traced.beneath(frame))["was_ms"].to_list()


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    """No plan yet."""
    return Plans(tmp_path)


def test_plans_whose_instants_are_on_the_keys_go_first(plans: Plans) -> None:
    """They are named with how many keys each changed after it, and the order to take: who stands highest goes first."""
    plans.plan(0, (b"a:1", None, 5_005), (b"a:2", None, 5_005), (b"a:3", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005), (b"a:2", 5_005, 4_005))
    plans.plan(2, (b"a:1", 4_005, 3_005))
    plans.restorer.now = {b"a:1": 3_005, b"a:2": 4_005}
    with pytest.raises(BadInput) as refused:
        plans.refuse()
    text = str(refused.value)
    assert f"plan {IDS[0]}" in text
    assert (
        f"found plan {IDS[2]} changed 1 of these keys after it; plan {IDS[1]} changed 2 of these keys after it." in text
    )
    assert f"Roll back in this order: {IDS[2]}, then {IDS[1]}, then {IDS[0]}. " in text
    with pytest.raises(BadInput, match=f"order: {IDS[2]}, then {IDS[1]}"):
        plans.refuse(1)
    plans.refuse(2)


def test_plans_of_one_height_go_by_their_names(plans: Plans) -> None:
    """Where two plans stand on different keys, either may go first; the older one does."""
    plans.plan(0, (b"a:1", None, 5_005), (b"a:2", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005))
    plans.plan(2, (b"a:2", 5_005, 3_005))
    plans.restorer.now = {b"a:1": 4_005, b"a:2": 3_005}
    with pytest.raises(BadInput, match=f"order: {IDS[1]}, then {IDS[2]}, then {IDS[0]}"):
        plans.refuse()


def test_keys_of_several_objects_are_added_up(plans: Plans) -> None:
    """A plan's keys are counted over all objects of the journal, and the greatest height counts."""
    plans.plan(0, (b"a:1", None, 5_005))
    plans.journal(0, (b"a:2", None, 5_005), (b"a:3", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005), (b"a:2", 5_005, 4_005), (b"a:3", 5_005, 4_005))
    plans.restorer.now = dict.fromkeys([b"a:1", b"a:2", b"a:3"], 4_005)
    with pytest.raises(BadInput, match=rf"plan {IDS[1]} changed 3 of these keys"):
        plans.refuse()
    assert plans.restorer.looks == 2


def test_a_plan_whose_instant_is_on_no_key_is_in_nobodys_way(plans: Plans) -> None:
    """What counts is what a key has now; and where nobody stands on anything, no server is asked."""
    plans.plan(0, (b"a:1", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005))
    plans.restorer.now = {b"a:1": 5_005}
    plans.refuse()
    assert plans.restorer.looks == 1
    plans.plan(2, (b"a:1", None, 5_005))
    plans.refuse(1)
    assert plans.restorer.looks == 1


def test_only_the_chosen_rules_keys_are_looked_at(plans: Plans) -> None:
    """A plan that stands on another rule's keys doesn't hinder a rollback of this one's."""
    plans.plan(0, (b"b:1", None, 5_005), of_rule=1)
    plans.plan(1, (b"b:1", 5_005, 4_005), of_rule=1)
    plans.restorer.now = {b"b:1": 4_005}
    plans.refuse(0, frozenset({0}))
    with pytest.raises(BadInput):
        plans.refuse(0, frozenset({1}))


def test_a_plan_that_only_sets_stands_on_nothing(plans: Plans) -> None:
    """Its journal isn't even read: only plans with a rule in them that caps may have replaced an expiry."""
    plans.plan(0, (b"a:1", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005), policy=SETS)
    plans.plan(2)
    plans.restorer.now = {b"a:1": 4_005}
    plans.refuse()
    assert plans.restorer.looks == 0


def test_one_rule_that_caps_is_enough(plans: Plans) -> None:
    """A plan with a rule that caps and one that only sets may have replaced expiries, and may have found some."""
    mixed = policy_of(rule("a:{n}", mode=Mode.CAP), rule("b:{n}"))
    plans.plan(0, (b"a:1", 9_005, 5_005), policy=mixed)
    plans.plan(1, (b"a:1", 5_005, 4_005), policy=mixed)
    plans.restorer.now = {b"a:1": 4_005}
    with pytest.raises(BadInput, match=IDS[1]):
        plans.refuse()
    plans.taken_back(0, 0)
    assert plans.beneath(1, (b"a:1", 5_005)) == [9_005]


def test_a_plan_that_cannot_be_read_may_have_capped(plans: Plans) -> None:
    """Of a plan whose document is lost or damaged its journal says what it did."""
    plans.plan(0, (b"a:1", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005), kept=False)
    plans.restorer.now = {b"a:1": 4_005}
    with pytest.raises(BadInput, match=IDS[1]):
        plans.refuse()
    (plans.folder / "test/plans").mkdir(exist_ok=True)
    (plans.folder / "test/plans" / f"{IDS[1]}.json").write_bytes(b"{}")
    with pytest.raises(BadInput, match=IDS[1]):
        plans.refuse()


def test_who_does_not_answer_keeps_the_plan_waiting(plans: Plans) -> None:
    """Whether a later plan's instant is on keys that nobody answers for isn't known, and is told as that."""
    plans.plan(0, (b"a:1", None, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005))
    plans.restorer.unreached = 1_001
    with pytest.raises(ConnectionLost, match=r"found 1,001 keys"):
        plans.refuse()


def test_beneath_an_ended_plan_lies_what_that_had_found(plans: Plans) -> None:
    """Of a key that an ended plan had taken over, what was there before both comes back, by the rules that were taken back."""
    plans.plan(0, (b"a:1", 9_005, 5_005), (b"a:2", None, 5_005))
    plans.journal(0, (b"b:1", 8_005, 5_005), of_rule=1)
    plans.plan(1, (b"a:1", 5_005, 4_005), (b"a:2", 5_005, 4_005), (b"b:1", 5_005, 4_005))
    rows = ((b"a:1", 5_005), (b"a:2", 5_005), (b"b:1", 5_005), (b"a:3", 5_005))
    assert plans.beneath(1, *rows) == [5_005] * 4, "nothing was taken back"
    plans.taken_back(0, 0, 1, dry_run=True)
    assert plans.beneath(1, *rows) == [5_005] * 4, "a dry run takes nothing back"
    plans.taken_back(0, 0)
    assert plans.beneath(1, *rows) == [9_005, None, 5_005, 5_005]
    plans.taken_back(0, 1)
    assert plans.beneath(1, *rows) == [9_005, None, 8_005, 5_005]


def test_plans_beneath_plans_are_traced_to_the_ground(plans: Plans) -> None:
    """A turn for each ended plan, whatever their order: what the lowest of them had found counts."""
    plans.plan(1, (b"a:1", 9_005, 6_005))
    plans.plan(0, (b"a:1", 6_005, 5_005))
    plans.plan(2, (b"a:1", 5_005, 4_005))
    plans.taken_back(0, 0)
    assert plans.beneath(2, (b"a:1", 5_005)) == [6_005]
    plans.taken_back(1, 0)
    assert plans.beneath(2, (b"a:1", 5_005)) == [9_005]


def test_a_plan_that_only_sets_has_nothing_beneath(plans: Plans) -> None:
    """It found no expiry; nor has one whose rows found no ended plan's instant."""
    plans.plan(0, (b"a:1", 9_005, 5_005))
    plans.taken_back(0, 0)
    plans.plan(1, (b"a:1", 5_005, 4_005), policy=SETS)
    assert trace_ended_plans(plans.objects(1), plans.restorer, EndedRows) is None  # type: ignore[arg-type]
    plans.plan(2, (b"a:1", 7_777, 4_005))
    assert trace_ended_plans(plans.objects(2), plans.restorer, EndedRows) is None  # type: ignore[arg-type]


def test_a_rollback_whose_result_cannot_be_read_may_have_been_of_all_rules(plans: Plans) -> None:
    """Where it wrote a journal, all of the plan's rules count as taken back; where it didn't, none."""
    plans.plan(0, (b"a:1", 9_005, 5_005))
    plans.plan(1, (b"a:1", 5_005, 4_005))
    plans.taken_back(0, 0)
    [path] = (plans.folder / "test/results" / IDS[0]).glob("rollback-*")
    path.write_bytes(b"{")
    assert plans.beneath(1, (b"a:1", 5_005)) == [5_005]
    plans.journal(0, (b"a:1", 5_005, None), part="rollback-0")
    assert plans.beneath(1, (b"a:1", 5_005)) == [9_005]
    (plans.folder / "test/plans" / f"{IDS[0]}.json").unlink()
    assert plans.beneath(1, (b"a:1", 5_005)) == [5_005]
