from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import expiries, restore_tools
from lab.servers.server import Server
from redis_ttl.domain.errors import BadInput, StoreProblem, Unfinished
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import RestoreResult, refuse_unfinished
from redis_ttl.usecases.remediation import part_work
from redis_ttl.usecases.rollback.journal_parts import JournalPart, load_journal, whole_journal
from redis_ttl.usecases.rollback.restore_journal import look_again, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import set_keys

POLICY = policy_of(rule("cart:{id}"), rule("seen:{id}"), canary_keys=10)
REAL = RestoreOptions(dry_run=False)


def say_begun(run: Applying) -> None:
    """What the writer says at the start of each attempt."""
    for name in {(name.attempt, name.part) for name in run.documents.journal_names()}:
        if all((each.attempt, each.part) != name for each in run.documents.begun()):
            run.documents.write_begun(PartBegun(run.plan.plan_id, name[1], name[0], run.approved_at_ms, "x"))


@pytest.fixture
def applied(redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Applying:
    """A remediation of 5,000 keys with several journal objects."""
    monkeypatch.setattr(part_work, "_BATCH_KEYS", 700)
    set_keys(redis7, [f"{family}:{number}" for family in ("cart", "seen") for number in range(2_500)])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    say_begun(run)
    return run


def journal_files(run: Applying) -> list[Path]:
    """The journal's objects in the store, the earliest first."""
    return sorted((run.store / "test/journals" / run.plan.plan_id).iterdir())


def whole(run: Applying, options: RestoreOptions = REAL) -> tuple[RestoreResult, RestoreResult]:
    """What a rollback did, and what a look afterwards found."""
    done = restore_part(run.plan, whole_journal(run.documents), options, restore_tools(run))
    return done, look_again(run.plan, options, restore_tools(run))[0]


def cut(path: Path) -> None:
    """Half of it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_a_bit(path: Path) -> None:
    """One bit in its middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, cut, turn_a_bit], ids=["removed", "cut off", "one bit"])
@pytest.mark.parametrize("which", [0, 3, -1], ids=["the canary's", "one in the middle", "the last"])
def test_one_lost_object_costs_its_own_keys_and_the_green(
    applied: Applying, redis7: Server, which: int, damage: Callable[[Path], None]
) -> None:
    """Everything else is restored; the object is named, its keys are found by their instants, and the run fails with both."""
    victim = journal_files(applied)[which]
    damage(victim)
    done, found = whole(applied)
    (hole,) = done.holes
    assert victim.name.removesuffix(".parquet").rsplit("_", 1)[0] in hole
    with redis7.client() as client:
        left = int(client.info("keyspace")["db0"]["expires"])
    assert 0 < left < 5_000
    assert done.total.restored == 5_000 - left
    assert sum((found.leftovers or {}).values()) == found.all_still_ours == left
    assert len(found.examples) == 5
    with pytest.raises(
        Unfinished, match=rf"(?s){left:,} keys that still have our expiry.*1 holes in the journal.*{victim.name[:26]}"
    ):
        refuse_unfinished(done, found, moving=False)


def test_a_dry_run_names_the_holes_too(applied: Applying, redis7: Server) -> None:
    """A dry run over a journal with a hole fails with its name, and changes nothing."""
    journal_files(applied)[2].unlink()
    before = expiries([redis7])
    done = restore_part(applied.plan, whole_journal(applied.documents), RestoreOptions(), restore_tools(applied))
    assert expiries([redis7]) == before
    with pytest.raises(Unfinished, match=r"(?s)wouldn't take back.*\(missing\).*nothing was changed"):
        refuse_unfinished(done, done, moving=False)


def test_what_put_itself_back_is_restored_after_all(applied: Applying, redis7: Server, tmp_path: Path) -> None:
    """Once the lost object is back from a copy, another rollback takes back the rest, and is the end of it."""
    victim = journal_files(applied)[1]
    shutil.move(victim, tmp_path / "copy")
    whole(applied)
    shutil.move(tmp_path / "copy", victim)
    done, found = whole(applied)
    refuse_unfinished(done, found, moving=False)
    assert done.total.restored + done.total.restored_before == 5_000
    assert set(expiries([redis7]).values()) == {-1}


def test_the_last_object_of_a_killed_attempt_is_missed_by_its_keys(applied: Applying, redis7: Server) -> None:
    """Of an attempt that never told how many objects it wrote, the keys of a lost last object still have our instants, and are
    found by them; with rules chosen, those of the chosen rules alone.
    """
    for path in (applied.store / "test/results" / applied.plan.plan_id).glob("shard-*"):
        path.unlink()
    journal_files(applied)[-1].unlink()
    done, found = whole(applied, replace(REAL, rules=frozenset({0})))
    assert done.holes == ()
    with redis7.client() as client:
        carts = sum(int(client.pttl(f"cart:{number}")) > 0 for number in range(2_500))
    assert carts > 0
    assert found.leftovers == {0: carts}
    with pytest.raises(Unfinished, match=f"{carts:,} keys that still have our expiry"):
        refuse_unfinished(done, found, moving=False)


def test_a_journal_that_is_gone_altogether_is_an_error_of_its_own(applied: Applying) -> None:
    """A plan whose results tell of journal objects never reads as one that nothing was written by."""
    shutil.rmtree(applied.store / "test/journals" / applied.plan.plan_id)
    with pytest.raises(StoreProblem, match="journal of this plan is gone"):
        load_journal(applied.documents, parts=4)


def test_a_journal_of_the_first_version_is_rolled_back(applied: Applying, redis7: Server) -> None:
    """Objects without checksums and with a number left out, and attempts that never said that they began, are as whole as ever."""
    for path in (applied.store / "test/results" / applied.plan.plan_id).glob("begun-*"):
        path.unlink()
    for path in journal_files(applied):
        name = JournalName.parse(path.name)
        assert name is not None
        path.rename(path.with_name(str(JournalName(name.attempt, name.part, name.number + (name.number > 1)))))
    done, found = whole(applied)
    refuse_unfinished(done, found, moving=False)
    assert done.total.removed == 5_000
    assert set(expiries([redis7]).values()) == {-1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "0/../../../escaped"},
        {"number": True},
        {"number": -1},
        {"number": 10**9},
        {"number": 0.0},
        {"number": None},
        {"objects": "4"},
        {"first": "../../etc/passwd"},
        {"first": None},
        {"last": 7},
        {"last": "20261124T010101000Z-abcdef_rollback-0_000000.parquet"},
    ],
)
def test_a_part_that_is_none_is_refused_before_it_becomes_a_path(applied: Applying, wrong: dict[str, object]) -> None:
    """Whatever another task hands over, only a part of a journal is taken for one."""
    part = whole_journal(applied.documents).to_json()
    with pytest.raises(BadInput, match="no part of a journal"):
        JournalPart.from_json({**part, **wrong})


def test_a_part_of_another_journal_is_refused(applied: Applying) -> None:
    """Names that are well formed and not of this journal lead nowhere."""
    name = "20261124T010101000Z-abcdef_shard-0_000000.parquet"
    with pytest.raises(BadInput, match="another journal"):
        restore_part(applied.plan, JournalPart(0, name, name, 1), REAL, restore_tools(applied))
