"""A model check of the write path: hypothesis plays application, operator, cluster, store and bad luck in any order, and after each step
the invariants of the design are looked at, key by key, on a real cluster.

``MODEL_STEPS`` is the number of steps (10,000 unless told), ``MODEL_SEED`` chooses them; both are printed. ``make torture`` does 200,000.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lab.remediation.policies import DAY_S
from lab.remediation.restoring import restore_tools
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import VALKEY
from redis_ttl.adapters.connection import key_routes
from redis_ttl.domain.errors import BadInput, RedisTtlError, StoreProblem
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.rollback.rollback import add_results, refuse_unfinished
from redis_ttl.usecases.remediation import part_work, write_gate
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.rollback.journal_parts import load_journal
from redis_ttl.usecases.rollback.restore_journal import look_again, refuse_out_of_turn, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.conftest import require
from tests.model.faulty_store import Faults, Killed, refuse
from tests.model.world import FAMILIES, LIMIT_KEYS, SET_TTL_S, ModelRun, World

STEPS = int(os.environ.get("MODEL_STEPS", "10000"))
STEPS_A_WORLD = 50
SEED = int(os.environ.get("MODEL_SEED", "20261128"))
MOST_PLANS = 5
TTLS = st.sampled_from([None, None, None, 5 * DAY_S, 45 * DAY_S, 400 * DAY_S])
KEYS = st.integers(0, 39)
FEW = st.integers(1, 3)

pytestmark = pytest.mark.timeout(36_000 if STEPS > 10_000 else 1_800)
tally: dict[str, int] = {}


class WritePath(RuleBasedStateMachine):
    """One world, from empty to wherever the steps lead."""

    cluster: ClassVar[Cluster]
    owner: ClassVar[dict[str, int]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.cluster.flush()
        self.root = Path(tempfile.mkdtemp(prefix="redis-ttl-model-"))
        self.world = World(self.cluster, self.root, self.owner)
        self.world.put_slots_back()
        self.began_ms = time.time_ns() // 1_000_000
        self.random = random.Random(0)
        self.seen: dict[bytes, int | None] = {}

    def teardown(self) -> None:
        """Leave the cluster as it was found."""
        self.world.finish_move()
        self.world.close()
        shutil.rmtree(self.root, ignore_errors=True)

    # --- the application ---

    @rule(family=st.sampled_from(FAMILIES), first=KEYS, count=st.integers(1, 8), ttl_s=TTLS)
    def application_writes(self, family: str, first: int, count: int, ttl_s: int | None) -> None:
        """Keys are written, anew or again."""
        for number in range(first, first + count):
            self.world.write(self.world.key(family, number), ttl_s)

    @rule(number=KEYS, family=st.sampled_from(["a", "c"]), ttl_s=TTLS)
    def application_changes_a_ttl(self, number: int, family: str, ttl_s: int | None) -> None:
        """One key gets another TTL, or none."""
        self._change(self.world.key(family, number), ttl_s)

    @rule(number=KEYS, family=st.sampled_from(FAMILIES))
    def application_deletes(self, number: int, family: str) -> None:
        """One key goes."""
        self.world.delete(self.world.key(family, number))

    def _change(self, key: bytes, ttl_s: int | None) -> None:
        if key in self.world.expiries():
            self.world.expire(key, ttl_s)

    # --- the cluster ---

    @rule(tag=st.integers(0, 4), to=st.integers(0, 2))
    def a_slot_begins_to_move(self, tag: int, to: int) -> None:
        """A slot is opened."""
        self.world.begin_move(f"{{t{tag}}}", to)

    @rule(most=st.integers(1, 6))
    def keys_move(self, most: int) -> None:
        """Some of its keys move."""
        self._moving(lambda: self.world.move_keys(most))

    @rule()
    def a_slot_has_moved(self) -> None:
        """The rest of it moves, and the slot is closed."""
        self._moving(self.world.finish_move)

    def _moving(self, move: Callable[[], None]) -> None:
        before = self.world.expiries()
        move()
        for key, expires_ms in self.world.expiries().items():
            if expires_ms is not None and before[key] == self.world.base.get(key) != expires_ms:
                assert abs(expires_ms - (before[key] or 0)) < 1_000
                self.world.base[key] = expires_ms

    # --- plans ---

    @rule(hours=st.sampled_from([0, 0, 1, 23]), second=st.booleans())
    def a_plan_is_approved(self, *, hours: int, second: bool) -> None:
        """A plan is made and approved, perhaps a while ago."""
        if len(self.world.runs) < MOST_PLANS:
            self._make_plan(hours=hours, second=second)

    def _make_plan(self, *, hours: int, second: bool) -> None:
        number = len(self.world.runs)
        run = ModelRun(
            self.cluster.url,
            self.root,
            self.world.policies[1 if second else 0],
            limit_keys=LIMIT_KEYS,
            faults=Faults(),
        )
        run.plan = replace(run.plan, plan_id=f"20261124T01010{number}Z-abcdef", limit_keys=LIMIT_KEYS + 5)
        run.approved_at_ms -= hours * 3_600_000
        run.approved = True
        run.documents.write_plan(run.plan)
        self.world.runs.append(run)

    @rule(which=st.integers(0, 4), really=st.integers(0, 4))
    def an_approval_is_withdrawn(self, which: int, really: int) -> None:
        """Nothing may be written by it any more."""
        if not really:
            self._run(which).approved = False

    @rule(which=st.integers(0, 4), trouble=st.integers(0, 11), at=st.integers(0, 4), key=KEYS, ttl_s=TTLS)
    def a_canary(self, *, which: int, trouble: int, at: int, key: int, ttl_s: int | None) -> None:
        """The canary is written, or tried."""
        run = self._run(which)
        with self._trouble(run, trouble, at, key, ttl_s):
            run.canary()

    @rule(which=st.integers(0, 4))
    def a_canary_is_checked(self, which: int) -> None:
        """The canary's watch, which takes no time here."""
        run = self._run(which)
        with self._trouble(run):
            check_canary(run.plan, run.tools())

    @rule(
        which=st.integers(0, 4),
        number=st.integers(0, 2),
        trouble=st.integers(0, 11),
        at=st.integers(0, 4),
        key=KEYS,
        ttl_s=TTLS,
    )
    def a_shard(self, *, which: int, number: int, trouble: int, at: int, key: int, ttl_s: int | None) -> None:
        """A shard is written, or tried, for the first time or again."""
        run = self._run(which)
        with self._trouble(run, trouble, at, key, ttl_s):
            run.shard(number % len(run.plan.shards))

    @rule(which=st.integers(0, 4), all_of_it=st.booleans())
    def a_whole_run(self, *, which: int, all_of_it: bool) -> None:
        """Everything that is left to do, without trouble."""
        run = self._run(which)
        with self._trouble(run):
            run.canary()
            check_canary(run.plan, run.tools())
            for number in range(len(run.plan.shards) if all_of_it else 1):
                run.shard(number)

    @rule(which=st.integers(0, 4), lose=st.booleans(), place=st.integers(0, 50))
    def a_journal_object_is_lost_or_spoilt(self, *, which: int, lose: bool, place: int) -> None:
        """Somebody empties the wrong folder, or a disk fails."""
        run = self._run(which)
        files = sorted((self.root / "test" / "journals" / run.plan.plan_id).glob("*_*"))
        if not files or place > 10:
            return
        file = files[place % len(files)]
        if lose:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:7])
        run.lost_objects += 1

    @rule(
        which=st.integers(0, 4),
        dry=st.booleans(),
        trouble=st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4]),
        at=st.integers(0, 2),
    )
    def a_rollback(self, *, which: int, dry: bool, trouble: int, at: int) -> None:
        """The plan is taken back, or would be, as the tasks of a rollback do it."""
        self._run(0)
        run = self.world.runs[which % len(self.world.runs)]
        run.approved = run.approved and dry
        calm = trouble == 0 and self.world.open is None and not any(each.lost_objects for each in self.world.runs)
        with self._trouble(run, trouble, at) as ended:
            tools, options = restore_tools(run), RestoreOptions(dry_run=dry)
            parts = load_journal(run.documents, parts=2)
            refuse_out_of_turn(run.plan, options, tools)
            done = add_results([restore_part(run.plan, part, options, tools) for part in parts])
            found, moving = (done, False) if dry else look_again(run.plan, options, tools)
            refuse_unfinished(done, found, moving=moving)
            if not dry:
                self._is_rolled_back(run)
        # An attempt that was killed before its first object leaves it open whether a journal has been lost.
        is_in_doubt = isinstance(ended.error, StoreProblem) and not run.documents.journal_names()
        if calm and not is_in_doubt and not isinstance(ended.error, BadInput | None):
            raise AssertionError("a rollback in calm waters came to nothing") from ended.error

    def _is_rolled_back(self, run: ModelRun) -> None:
        _count("rollbacks that said that all is as it was")
        for key, expires_ms in self.world.expiries().items():
            number = self._rule_of(key)
            if expires_ms is not None and number is not None and not self._is_as_said(key, expires_ms):
                assert not run.can_be_instant(key, expires_ms, number), f"{key!r} still has the plan's expiry"

    # --- what holds always ---

    @invariant()
    def no_key_has_an_expiry_that_is_neither_the_application_s_nor_an_approved_plan_s(self) -> None:
        """Default deny, only what the rule means, nothing lost, nothing too short."""
        found = self.world.expiries()
        now_ms = time.time_ns() // 1_000_000
        held: dict[str, int] = {}
        assert found.keys() == self.world.base.keys(), "a key was deleted, or came back"
        for key, expires_ms in found.items():
            base = self.world.base[key]
            if self._is_as_said(key, expires_ms):
                continue
            number = self._rule_of(key)
            assert number is not None, f"{key!r} is governed by no rule that was agreed, and was changed"
            assert expires_ms is not None, f"{key!r} lost the application's TTL"
            by = [run for run in self.world.runs if run.can_be_instant(key, expires_ms, number)]
            assert by, f"{key!r} has an expiry that nobody set"
            if number == 0:
                assert base is None, f"{key!r} had a TTL of its own"
            else:
                assert base is None or base > expires_ms - 1_000, f"{key!r} was lengthened"
            self._is_journalled(key, expires_ms, base)
            if self.seen.get(key) != expires_ms:
                ttl_s = SET_TTL_S if number == 0 else min(each.plan.rules[1].ttl_s for each in by)
                assert expires_ms >= self.began_ms + ttl_s * 1000 - 1_000, f"{key!r} got less than its TTL"
                assert any(run.approved or run.was_approved for run in by), f"{key!r} was changed without an approval"
            for run in by:
                held[run.plan.plan_id] = held.get(run.plan.plan_id, 0) + (len(by) == 1)
        assert all(keys <= LIMIT_KEYS + 5 for keys in held.values()), f"more keys than a run may change: {held}"
        for run in self.world.runs:
            run.was_approved = run.approved
        self.seen = found
        self.began_ms = now_ms

    def _is_as_said(self, key: bytes, expires_ms: int | None) -> bool:
        """Whether a key expires when the application said; put back after a move it may be a moment off."""
        base = self.world.base[key]
        return expires_ms == base or (expires_ms is not None and base is not None and abs(expires_ms - base) < 1_000)

    def _is_journalled(self, key: bytes, expires_ms: int, base: int | None) -> None:
        """From the key's expiry a chain of journal rows leads to what the application said."""
        if any(run.lost_objects for run in self.world.runs):
            return
        rows = [(was, ours) for run in self.world.runs for name, was, ours in self.world.journal(run) if name == key]
        reached: set[int | None] = {expires_ms}
        for _ in range(4):
            reached |= {
                was
                for was, ours in rows
                for each in reached
                if ours is not None and each is not None and abs(ours - each) < 1_000
            }
        assert any(
            each == base or (each is not None and base is not None and abs(each - base) < 1_000) for each in reached
        ), f"what {key!r} had before is in no journal object: {base}, rows {rows}"

    def _rule_of(self, key: bytes) -> int | None:
        if key.startswith(b"a:keep-"):
            return None
        return {b"a": 0, b"c": 1}.get(key[:1]) if key[1:2] == b":" else None

    def _run(self, which: int) -> ModelRun:
        """One of the plans, mostly one that may write; the first is made where there is none. What is drawn never depends on what
        became of a step, so that a run can be repeated.
        """
        if not self.world.runs:
            self._make_plan(hours=0, second=False)
        approved = [run for run in self.world.runs if run.approved]
        return (approved or self.world.runs)[which % len(approved or self.world.runs)] if which else self.world.runs[-1]

    # --- trouble ---

    def _trouble(self, run: ModelRun, kind: int = 0, at: int = 0, key: int = 0, ttl_s: int | None = None) -> Trouble:
        name = self.world.key("c" if key % 2 else "a", key)
        return Trouble(run, kind, at, lambda: self._change(name, ttl_s))


class Trouble:
    """A block in which something goes wrong at the ``at``th write to the store or look of the operator, or nothing; an error of ours
    ends it, as it ends a task. ``error`` is that error.
    """

    def __init__(self, run: ModelRun, kind: int, at: int, change: Callable[[], None]) -> None:
        self.run = run
        self.error: BaseException | None = None
        calm: list[Callable[[str], None] | None] = [None] * at
        happens = {
            1: (kill_of(run), None),
            2: (None, kill_of(run)),
            3: (refuse, None),
            4: (None, refuse),
            5: (None, lambda _path: change()),
            6: (lambda _path: change(), None),
            7: (None, lambda _path: setattr(run, "approved", False)),
            8: (None, lambda _path: wait(run)),
        }
        before, after = happens.get(kind, (None, None))
        self.before, self.after = [*calm, before], [*calm, after]
        pause = OperatorCommand(CommandState.PAUSE)
        quiet: list[tuple[OperatorCommand, Callable[[], None] | None]] = [(OperatorCommand(), None)] * at
        commands: dict[int, list[tuple[OperatorCommand, Callable[[], None] | None]]] = {
            9: [*quiet, (pause, change), (pause, lambda: wait(run))],
            10: [*quiet, (OperatorCommand(CommandState.STOP), None)],
        }
        self.commands = commands.get(kind, [])

    def __enter__(self) -> Self:
        self.run.faults.clear()
        self.run.faults.before, self.run.faults.after = self.before, self.after
        self.run.operator.planned = self.commands
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self.run.faults.clear()
        self.run.operator.planned.clear()
        self.error = error
        _count("no error" if error is None else type(error).__name__)
        return error is None or isinstance(error, RedisTtlError | Killed)


def kill_of(run: ModelRun) -> Callable[[str], None]:
    """What kills the program that writes for this plan."""

    def kill(_path: str) -> None:
        run.faults.dead = True
        raise Killed

    return kill


def wait(run: ModelRun) -> None:
    """A minute passes, by the program's clock."""
    run.clock.ahead_s += 60.0


def _count(what: str) -> None:
    tally[what] = tally.get(what, 0) + 1


@pytest.fixture(scope="module")
def small_moments() -> Iterator[None]:
    """Looks as often as possible, so that few keys have many moments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_work, "HEALTH_S", 0.001)
        patch.setattr(write_gate, "CONTROL_S", 0.0)
        patch.setattr(write_gate, "APPROVAL_S", 0.0)
        patch.setattr(write_gate, "_STEP_S", 0.001)
        patch.setattr(write_gate, "_FAST_CHUNK", 2)
        patch.setattr(key_routes, "PATIENCE_S", 0.2)
        yield


@pytest.mark.usefixtures("small_moments")
def test_the_invariants_hold_whatever_happens() -> None:
    """Writers, guards, pauses, kills, retries, slot moves, several plans and rollbacks in any order break no invariant."""
    print(f"MODEL_STEPS={STEPS} MODEL_SEED={SEED}")  # noqa: T201  # what repeats a run that failed
    with run_cluster(require(VALKEY)) as cluster:
        WritePath.cluster = cluster
        WritePath.owner.clear()
        run_state_machine_as_test(
            seed(SEED)(WritePath),
            settings=settings(
                max_examples=max(1, STEPS // STEPS_A_WORLD),
                stateful_step_count=STEPS_A_WORLD,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, *([Phase.shrink] if os.environ.get("MODEL_SHRINK") else [])],
                print_blob=True,
                report_multiple_bugs=False,
            ),
        )
    print(tally)  # noqa: T201  # how often a step came to what
