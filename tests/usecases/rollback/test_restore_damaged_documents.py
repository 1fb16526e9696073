"""Rollbacks while other documents about the plan than its journal are damaged, lost, or unknown to this version."""

from __future__ import annotations

import dataclasses
import fnmatch
import shutil
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import expiries, restore_tools
from lab.servers.server import Server
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.errors import BadInput, StoreProblem, Unfinished
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.rollback.rollback import refuse_unfinished
from redis_ttl.usecases.rollback.end_approval import end_approval
from redis_ttl.usecases.rollback.journal_parts import load_journal, whole_journal
from redis_ttl.usecases.rollback.restore_journal import look_again, refuse_out_of_turn, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import set_keys

POLICY = policy_of(rule("cart:{id}", ttl_s=86_400, mode=Mode.CAP))
REAL = RestoreOptions(dry_run=False)


@pytest.fixture
def applied(redis7: Server, tmp_path: Path) -> Applying:
    """A remediation of 500 keys."""
    set_keys(redis7, [f"cart:{number}" for number in range(500)])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    return run


def hurt(run: Applying, pattern: str, text: bytes) -> list[str]:
    """Replace the content of these documents of the plan; their names."""
    approvals, results = (run.store / "test" / kind / run.plan.plan_id for kind in ("approvals", "results"))
    approvals.mkdir(parents=True, exist_ok=True)
    for name in fnmatch.filter(("request-r1.json", "decision-r1-abcdef.json"), pattern):
        (approvals / name).touch()
    found = [path for folder in (approvals, results) for path in folder.glob(pattern)]
    for path in found:
        path.write_bytes(text)
    return [path.name for path in found]


NEWER = b'{"schema": "redis_ttl.nobody_knows/99"}'


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", NEWER], ids=["empty", "cut", "list", "bytes", "newer"])
@pytest.mark.parametrize("pattern", ["begun-*", "shard-*", "canary-*", "decision-*", "request-*", "*"])
def test_a_damaged_document_beside_the_journal_keeps_no_key_from_being_restored(
    applied: Applying, redis7: Server, pattern: str, text: bytes
) -> None:
    """Every key is restored whatever became of the plan's results and decisions; what it takes to know that all are is named, and
    fails the run.
    """
    names = hurt(applied, pattern, text)
    assert names
    tools = restore_tools(applied)
    refuse_out_of_turn(applied.plan, REAL, tools)
    end_approval(applied.documents, run="a test", clock=SystemClock())
    done = restore_part(applied.plan, whole_journal(applied.documents), REAL, tools)
    assert set(expiries([redis7]).values()) == {-1}
    assert done.total.restored == 500
    found, moving = look_again(applied.plan, REAL, tools)
    telling = [name for name in names if name.startswith(("begun-", "shard-", "canary-", "decision-"))]
    assert set(done.unreadable) == set(telling)
    if telling:
        with pytest.raises(Unfinished, match=telling[0]):
            refuse_unfinished(done, found, moving=moving)
    else:
        refuse_unfinished(done, found, moving=moving)


def test_a_journal_that_is_gone_is_no_plan_without_one_when_its_results_are_damaged(applied: Applying) -> None:
    """Where nothing readable tells whether anything was written, the plan isn't said to have written nothing."""
    hurt(applied, "*", b"{")
    shutil.rmtree(applied.store / "test/journals" / applied.plan.plan_id)
    with pytest.raises(StoreProblem, match=r"(?s)journal of this plan is gone.*begun-"):
        load_journal(applied.documents, parts=2)


def test_attempts_that_nobody_saw_end_are_no_plan_that_wrote_nothing(applied: Applying) -> None:
    """Where journal and results are gone, what says that an attempt began is enough to doubt that nothing was written."""
    results = applied.store / "test/results" / applied.plan.plan_id
    for path in results.iterdir():
        if not path.name.startswith("begun-"):
            path.unlink()
    shutil.rmtree(applied.store / "test/journals" / applied.plan.plan_id)
    with pytest.raises(StoreProblem, match=r"no journal object; canary, shard-0 without a result"):
        load_journal(applied.documents, parts=2)
    shutil.rmtree(results)
    with pytest.raises(BadInput, match="by its documents nothing was written"):
        load_journal(applied.documents, parts=2)


def test_no_key_acts_on_the_terminal_that_shows_the_error(applied: Applying) -> None:
    """A key that ends lines, or steers a terminal, is shown in the error about what is left without doing either."""
    found, _ = look_again(applied.plan, REAL, restore_tools(applied))
    evil = dataclasses.replace(found, dry_run=False, examples=("cart:\n\x1b[2J\u202e[ok](//evil.example)" + "x" * 500,))
    with pytest.raises(Unfinished) as told:
        refuse_unfinished(evil, evil, moving=False)
    assert str(told.value).isprintable()
    assert "x" * 100 not in str(told.value)
