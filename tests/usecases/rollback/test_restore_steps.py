"""Each step of a rollback, over journals that a test wrote: which objects, which rows, which keys, and what is told of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.restoring import restore_tools
from lab.servers.server import Server
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.domain.errors import Aborted, BadInput, OtherServer
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import Leftovers, RestoreAccount, RestoreResult
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.rollback import restore_gate, restore_journal
from redis_ttl.usecases.rollback.journal_parts import load_journal, whole_journal
from redis_ttl.usecases.rollback.restore_gate import RestoreGate
from redis_ttl.usecases.rollback.restore_journal import look_again, refuse_out_of_turn, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.usecases.written_journal import ATTEMPT, DAY_MS, LATER, POLICY, WRITE, Written


@pytest.fixture
def written(valkey: Server, tmp_path: Path) -> Written:
    """A plan of two rules; nothing is in its journal yet."""
    return Written(valkey, tmp_path)


def test_each_key_is_restored_or_left_by_what_it_has_now(written: Written) -> None:
    """Ours loses its expiry, or has the former, longer one again; another expiry, no key and no time left are told as what they are."""
    ours, longer, past = written.now_ms + DAY_MS, written.now_ms + 9 * DAY_MS, written.now_ms - DAY_MS
    written.journal(
        (b"a:1", None, ours),
        (b"a:2", None, ours),
        (b"a:3", None, ours),
        (b"a:4", None, ours),
        (b"a:5", None, past),
        (b"b:1", longer, ours),
        (b"b:2", longer, ours),
        (b"b:3", longer, ours),
    )
    written.keys(a1=ours, a2=ours + 1, a3=None, b1=ours, b2=longer, b3=longer - 1)
    told = written.restore(RestoreOptions())
    assert [written.expiry(key) for key in ("a:1", "b:1")] == [ours, ours], "a dry run changes nothing"
    assert not any(name.undoes for name in written.run.documents.journal_names())
    done = written.restore()
    assert (
        told.accounts
        == done.accounts
        == {
            0: RestoreAccount(keys=5, removed=1, changed=1, as_before=1, gone=1, expired=1),
            1: RestoreAccount(keys=3, put_back=1, as_before=1, changed=1),
        }
    )
    assert [written.expiry(f"a:{number}") for number in range(1, 6)] == [-1, ours + 1, -1, -2, -2]
    assert [written.expiry(f"b:{number}") for number in range(1, 4)] == [longer, longer, longer - 1]


def test_a_result_says_what_was_done(written: Written) -> None:
    """Part, attempt and moments, the journal objects that were written, and nothing that wasn't; it is kept with the plan."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours))
    written.journal((b"a:2", None, ours), number=1)
    written.journal((b"a:3", None, ours), number=2)
    written.keys(a1=ours, a3=ours)
    done = written.restore()
    attempt = done.attempt
    assert attempt.endswith("Z-fedcba")
    began, ended = (dt.datetime.fromisoformat(each) for each in (done.began_at, done.ended_at))
    assert attempt == f"{began:%Y%m%dT%H%M%S}{began.microsecond // 1000:03d}Z-fedcba"
    assert began <= ended
    assert done == RestoreResult(
        plan_id=written.run.plan.plan_id,
        part="rollback-0",
        attempt=attempt,
        dry_run=False,
        began_at=done.began_at,
        ended_at=done.ended_at,
        accounts={0: RestoreAccount(keys=3, removed=2, gone=1)},
        journal_objects=2,
    )
    assert written.run.documents.restored() == [done]
    assert written.progress == [(1, 3), (2, 3), (3, 3)]
    undoing = [name for name in written.run.documents.journal_names() if name.undoes]
    assert [(each.attempt, each.part, each.number) for each in undoing] == [
        (attempt, "rollback-0", 0),
        (attempt, "rollback-0", 1),
    ]
    rows = [row for name in undoing for row in journal_rows(written.run.documents.journal(name)).iter_rows()]
    assert rows == [(b"a:3", 0, 0, ours, None, "set"), (b"a:1", 0, 0, ours, None, "set")], (
        "the newest first, with what was found"
    )
    again = written.restore()
    assert again.accounts == {0: RestoreAccount(keys=3, restored_before=2, gone=1)}
    assert again.journal_objects == 0


def test_a_dry_run_is_heard_by_nobody(written: Written) -> None:
    """A look that changes nothing waits for no operator, and keeps its result as a dry run's."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours))
    written.keys(a1=ours)

    class Stops:
        def read(self) -> OperatorCommand:
            return OperatorCommand(CommandState.STOP)

    told = written.restore(RestoreOptions(), control=Stops())
    assert told.dry_run
    assert told.accounts == {0: RestoreAccount(keys=1, removed=1)}
    with pytest.raises(Aborted):
        written.restore(control=Stops())


def test_of_several_rows_the_one_that_fits_counts(written: Written) -> None:
    """Whichever attempt's instant a key has, what that attempt found comes back; a key is counted once, in its newest object."""
    first, second, old, older = (written.now_ms + days * DAY_MS for days in (1, 2, 8, 9))
    written.journal((b"a:1", None, first), (b"b:1", old, first), (b"b:2", older, first))
    written.journal((b"a:1", first, second), (b"b:1", old, second), (b"b:2", old, first), attempt=LATER)
    written.keys(a1=first, b1=second, b2=first)
    done = written.restore()
    assert done.accounts == {0: RestoreAccount(keys=1, removed=1), 1: RestoreAccount(keys=2, put_back=2)}
    assert (written.expiry("a:1"), written.expiry("b:1"), written.expiry("b:2")) == (-1, old, old)


def test_only_the_chosen_rules_keys_are_restored(written: Written) -> None:
    """Rows of other rules are neither restored nor counted."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours), (b"b:1", None, ours))
    written.keys(a1=ours, b1=ours)
    done = written.restore(RestoreOptions(dry_run=False, rules=frozenset({1})))
    assert done.accounts == {1: RestoreAccount(keys=1, removed=1)}
    assert (written.expiry("a:1"), written.expiry("b:1")) == (ours, -1)


def test_a_part_restores_its_own_objects_and_knows_the_others(written: Written) -> None:
    """Of a journal that is cut into parts, each restores what lies between its bounds, by the newest row of the whole journal."""
    first, second = written.now_ms + DAY_MS, written.now_ms + 2 * DAY_MS
    for number in range(8):
        written.journal((b"a:%d" % number, None, first), (b"a:9", None, first), number=number)
    written.journal((b"a:9", None, second), attempt=LATER)
    written.keys(a0=first, a5=first, a9=first)
    parts = load_journal(written.run.documents, parts=2)
    assert [(each.number, each.objects) for each in parts] == [(0, 4), (1, 5)]
    done = restore_part(written.run.plan, parts[1], WRITE, written.tools())
    assert (done.part, done.accounts) == ("rollback-1", {0: RestoreAccount(keys=5, removed=1, gone=4)})
    assert [written.expiry(key) for key in ("a:0", "a:5", "a:9")] == [-1, first, first]
    assert written.progress[-1] == (5, 5)
    done = restore_part(written.run.plan, parts[0], WRITE, written.tools())
    assert (done.part, done.accounts) == ("rollback-0", {0: RestoreAccount(keys=4, removed=2, gone=2)})
    assert [written.expiry(key) for key in ("a:5", "a:9")] == [-1, -1]


def test_what_the_journal_lost_is_named_and_the_rest_restored(written: Written) -> None:
    """A damaged object and a missing one are named in the result and in the log, and cost their own keys only."""
    ours = written.now_ms + DAY_MS
    for number in range(4):
        written.journal((b"a:%d" % number, None, ours), number=number)
    written.begun()
    names = written.run.documents.journal_names()
    folder = written.folder / "test/journals" / written.run.plan.plan_id
    (folder / str(names[1])).unlink()
    (folder / str(names[2])).write_bytes(b"x")
    written.keys(a0=ours, a1=ours, a2=ours, a3=ours)
    done = written.restore()
    assert (done.unreadable, done.missing) == ((str(names[2]),), (f"{ATTEMPT}_shard-0_000001",))
    assert done.accounts == {0: RestoreAccount(keys=2, removed=2)}
    assert [written.expiry(f"a:{number}") for number in range(4)] == [-1, ours, ours, -1]
    assert any("000001 is missing" in text for text in written.log)
    assert sum(f"{names[2]} can't be read" in text for text in written.log) == 1, "said once"


def test_strangers_are_refused_unless_the_operator_says_so(written: Written) -> None:
    """A server that doesn't continue the plan's data set is neither looked at nor changed, and told with what the plan knows."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours))
    written.keys(a1=ours)
    address = written.run.plan.nodes[0].address
    for node, known in (
        (NodeIdentity(address, "r" * 40, "0" * 40), "0" * 40),
        (NodeIdentity(address, "r" * 40, ""), "r" * 40),
    ):
        written.run.plan = replace(written.run.plan, nodes=(node,))
        for act in (written.restore, lambda: refuse_out_of_turn(written.run.plan, RestoreOptions(), written.tools())):
            with pytest.raises(OtherServer, match=rf"expected {address} \({known}\)"):
                act()
    assert written.expiry("a:1") == ours
    assert written.restore(RestoreOptions(dry_run=False, any_lineage=True)).total.removed == 1


def test_a_later_plan_is_taken_back_first(written: Written) -> None:
    """While its instant is on a key of this plan, neither the first look nor a part passes, and nothing is changed."""
    ours, theirs = written.now_ms + 2 * DAY_MS, written.now_ms + DAY_MS
    written.journal((b"b:1", None, ours))
    plan = written.run.plan
    later = Written(written.server, written.folder)
    later.run.plan = replace(plan, plan_id="20261125T010101Z-ffffff")
    later.run.documents.write_plan(later.run.plan)
    later.journal((b"b:1", ours, theirs))
    written.keys(b1=theirs)
    for act in (written.restore, lambda: refuse_out_of_turn(plan, RestoreOptions(), written.tools())):
        with pytest.raises(BadInput, match=f"order: {later.run.plan.plan_id}, then {plan.plan_id}"):
            act()
    assert written.expiry("b:1") == theirs
    assert later.restore().total.put_back == 1
    refuse_out_of_turn(plan, RestoreOptions(), written.tools())
    assert written.restore().total.removed == 1


def test_who_stops_a_rollback_is_told_apart(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done until then is kept with the reason; the error says whether an operator or a guard ended it."""
    monkeypatch.setattr(restore_journal, "_LOOK_S", 0.01)
    ours = written.now_ms + DAY_MS
    for number in range(2):
        written.journal((b"a:%d" % number, None, ours), number=number)
    written.keys(a0=ours, a1=ours)

    class OneObject:
        """Lets one object pass, and stops the next."""

        def __init__(self) -> None:
            self.asked = 0

        def read(self) -> OperatorCommand:
            self.asked += 1
            return OperatorCommand() if self.asked == 1 else OperatorCommand(CommandState.STOP, why="enough")

    with pytest.raises(Aborted, match=r"rollback was stopped.*enough"):
        written.restore(control=OneObject())
    [kept] = written.run.documents.restored()
    assert (kept.reason, kept.total.removed, kept.journal_objects) == ("enough", 1, 1)
    assert [each.ended for each in kept.interruptions] == [True]
    assert (written.expiry("a:0"), written.expiry("a:1")) == (ours, -1)

    def full(_: Any) -> None:
        raise Ended(Outcome.ABORTED, "the memory is full")

    monkeypatch.setattr(RestoreGate, "begin", full)
    with pytest.raises(Aborted, match=r"a guard ended the rollback.*the memory is full"):
        written.restore()


def test_an_operator_is_heard_within_an_object(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the pages of one journal object, too: a stop leaves the rest of its keys as they are."""
    monkeypatch.setattr(restore_gate, "CONTROL_S", 0.0)
    ours = written.now_ms + DAY_MS
    written.journal(*((b"a:%d" % number, None, ours) for number in range(25)))
    written.keys(**{f"a{number}": ours for number in range(25)})

    class TwoPages:
        """Lets the first look and two pages pass."""

        def __init__(self) -> None:
            self.asked = 0

        def read(self) -> OperatorCommand:
            self.asked += 1
            return OperatorCommand() if self.asked <= 3 else OperatorCommand(CommandState.STOP, why="enough")

    tools = written.tools(control=TwoPages(), rate=parse_rate("200/s"))
    slow = restore_tools(written.run, rate="200/s").open_restorer
    with pytest.raises(Aborted, match="enough"):
        restore_part(written.run.plan, whole_journal(written.run.documents), WRITE, replace(tools, open_restorer=slow))
    with written.server.client() as client:
        assert 0 < client.info("keyspace")["db0"]["expires"] < 25


def test_the_gate_knows_the_first_instant_and_the_sharers(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the earliest approval and the shortest rule follows when an expiry storm may be our own; without an approval nobody knows."""
    made: list[dict[str, Any]] = []

    def gate(**told: Any) -> Any:
        made.append(told)
        return RestoreGate(**told)

    monkeypatch.setattr(restore_journal, "RestoreGate", gate)
    written.journal((b"a:1", None, written.now_ms + DAY_MS))
    written.restore(sharers=3)
    assert [each["earliest_ms"] for each in made[-1:]] == [None]
    written.begun(approved_at_ms=5_000)
    written.begun(attempt=LATER, approved_at_ms=4_000)
    written.restore(sharers=3)
    assert made[-1]["earliest_ms"] == 4_000 + 20 * DAY_MS
    assert (made[-1]["sharers"], made[-1]["critical_ratio"]) == (3, POLICY.memory.critical_ratio)


def test_a_look_afterwards_goes_through_the_keyspace(written: Written) -> None:
    """Keys with one of the plan's instants are counted, in the journal or not; where no approval is known, that is said."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours))
    written.keys(a1=ours)
    found, moving = look_again(written.run.plan, WRITE, written.tools())
    assert (found.dry_run, found.leftovers, found.examples, moving) == (True, None, (), False)
    assert any("nothing says when the plan was approved" in text for text in written.log)
    written.begun(approved_at_ms=written.run.approved_at_ms)
    written.keys(a7=written.run.instant_ms(b"a:7"), b7=written.run.instant_ms(b"b:7", 1), a8=ours + 1)
    found, moving = look_again(written.run.plan, WRITE, written.tools())
    assert found.leftovers == {0: 1, 1: 1}
    assert sorted(found.examples) == ["a:7", "b:7"]
    assert (found.total.removed, moving) == (1, False)
    assert written.expiry("a:1") == ours, "a look changes nothing"
    found, _ = look_again(written.run.plan, replace(WRITE, rules=frozenset({1})), written.tools())
    assert (found.leftovers, found.total) == ({1: 1}, RestoreAccount())


@pytest.mark.parametrize("moving", [False, True])
def test_a_look_while_slots_move_vouches_for_nothing(
    written: Written, monkeypatch: pytest.MonkeyPatch, *, moving: bool
) -> None:
    """Whether slots moved during the look is handed on with what was found."""
    from redis_ttl.adapters.writing.key_restorer import KeyRestorer

    written.journal((b"a:1", None, written.now_ms + DAY_MS))
    written.begun()
    monkeypatch.setattr(KeyRestorer, "leftovers", lambda *_: Leftovers({0: 2}, (b"\xff",), 9, moving))
    found, said = look_again(written.run.plan, WRITE, written.tools())
    assert said is moving
    assert (found.leftovers, found.examples) == ({0: 2}, ("\\xff",))


def test_a_killed_rollback_said_what_it_would_do(written: Written) -> None:
    """What is restored is durable in a journal before, object by object; whoever dies in between hasn't done what he didn't say."""
    ours = written.now_ms + DAY_MS
    written.journal((b"a:1", None, ours))
    written.keys(a1=ours)
    documents = written.run.documents
    write: Callable[[JournalName, bytes], JournalName] = documents.write_journal

    def dies(name: JournalName, data: bytes) -> JournalName:
        write(name, data)
        raise KeyboardInterrupt

    documents.write_journal = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        written.restore(documents=documents)
    assert written.expiry("a:1") == ours
    assert any(name.undoes for name in written.run.documents.journal_names())
