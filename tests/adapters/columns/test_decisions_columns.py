from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from lab.remediation.policies import DAY_S, policy_of, rule
from redis_ttl.adapters.columns import decisions as decisions_columns
from redis_ttl.adapters.columns.decisions import (
    CHANGE_TYPES,
    CanaryColumns,
    Decided,
    DecisionColumns,
    instants_ms,
    refuse_unagreed,
)
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS, Spread
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Cold, Policy
from redis_ttl.domain.remediation.remediation import RuleAccount
from tests.journal_objects import journal_bytes
from tests.plans import plan_of as planned

NOW_MS = 1_770_000_000_000
DAY_MS = DAY_S * 1000
Deciding = Callable[..., DecisionColumns]


class Answers:
    """Says of each key what its name says."""

    def are_cold(self, keys: Sequence[bytes], cold: Cold) -> list[bool | None]:
        """By the key's end."""
        del cold
        return [{b"c": True, b"h": False}.get(key[-1:]) for key in keys]


@pytest.fixture
def plan_of() -> Deciding:
    """Makes decisions of a policy."""

    def make(policy: Policy, tolerance_ms: int = 0) -> DecisionColumns:
        return DecisionColumns(planned(policy), policy, NOW_MS, db=3, tolerance_ms=tolerance_ms, questions=Answers())

    return make


def decide(decisions: DecisionColumns, keys: dict[bytes, int | None], now_ms: int = NOW_MS) -> Decided:
    """What becomes of keys with these instants."""
    frame = pl.DataFrame(
        {"key": list(keys), "expires_ms": list(keys.values())}, schema={"key": pl.Binary, "expires_ms": pl.Int64}
    )
    return decisions.decide(frame, keys=len(keys), now_ms=now_ms)


def changed(decided: Decided) -> dict[bytes, tuple[int, int | None]]:
    """The rule and the old instant of each key that shall change."""
    return {key: (number, was) for key, number, was in decided.changes.select("key", "rule", "was_ms").iter_rows()}


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 2**32 - 1)), min_size=1, max_size=20),
    st.integers(0, 2**64 - 1),
)
def test_instants_are_those_of_the_domain(rows: list[tuple[bytes, int]], seed: int) -> None:
    """The instant of a column's row is what ``Spread`` says of the key, for every hash, window and seed."""
    keys = pl.Series([key for key, _ in rows], dtype=pl.Binary)
    windows = pl.Series([window for _, window in rows], dtype=pl.UInt64)
    earliest = pl.Series([NOW_MS] * len(rows), dtype=pl.Int64)
    expected = [Spread(NOW_MS, window).instant_ms(xxh3_64_intdigest(key, seed=seed)) for key, window in rows]
    assert instants_ms(keys, seed, earliest, windows).to_list() == expected


def test_default_deny(plan_of: Deciding) -> None:
    """Keys that no rule governs, that an exemption matches, or whose rule isn't signed off aren't even counted."""
    decisions = plan_of(policy_of(rule("a:{n}"), rule("b:{n}", sign_off=None), exempt=["a:keep:{n}", "a:7"]))
    decided = decide(decisions, dict.fromkeys([b"a:1", b"a:7", b"a:keep:1", b"b:1", b"c", b"", b"\xff\xfe"]))
    assert changed(decided) == {b"a:1": (0, None)}
    assert decided.accounts == {0: RuleAccount(met=1)}
    assert decided.keys == 7


def test_the_first_of_two_rules_governs(plan_of: Deciding) -> None:
    """A key that matches two rules gets the first one's instant, even when the first one isn't signed off."""
    decisions = plan_of(policy_of(rule("a:{x}", ttl_s=DAY_S), rule("{y}:1", ttl_s=9 * DAY_S)))
    assert changed(decide(decisions, {b"a:1": None, b"b:1": None})) == {b"a:1": (0, None), b"b:1": (1, None)}
    decisions = plan_of(policy_of(rule("a:{x}", sign_off=None), rule("{y}:1")))
    assert changed(decide(decisions, {b"a:1": None, b"b:1": None})) == {b"b:1": (1, None)}


def test_mode_set_leaves_every_ttl(plan_of: Deciding) -> None:
    """Mode set changes keys without TTL only, however long another one's is."""
    decided = decide(
        plan_of(policy_of(rule("a:{n}"))), {b"a:1": NOW_MS + 9_999 * DAY_MS, b"a:2": NOW_MS + 1, b"a:3": None}
    )
    assert changed(decided) == {b"a:3": (0, None)}
    assert decided.accounts == {0: RuleAccount(met=3, had_ttl=2)}


def test_mode_cap_never_lengthens(plan_of: Deciding) -> None:
    """Mode cap changes a TTL only if it is longer than the rule's with its jitter, and our instant is earlier."""
    decisions = plan_of(policy_of(rule("a:{n}", ttl_s=60 * DAY_S, mode=Mode.CAP)))
    keys = {b"a:1": NOW_MS + 67 * DAY_MS, b"a:2": NOW_MS + 66 * DAY_MS, b"a:3": NOW_MS + 59 * DAY_MS, b"a:4": None}
    assert set(changed(decide(decisions, dict(keys)))) == {b"a:1", b"a:4"}
    # Half a year after the approval the same remaining time would be another instant: later than ours, yet short.
    later_ms = NOW_MS + 180 * DAY_MS
    assert changed(decide(decisions, {b"a:1": later_ms + 30 * DAY_MS}, later_ms)) == {}


def test_what_is_ours_already_is_left(plan_of: Deciding) -> None:
    """A key that expires at our instant exactly is ours; a millisecond off it is the application's."""
    decisions = plan_of(policy_of(rule("a:{n}")))
    ours = decide(decisions, {b"a:1": None}).changes["set_ms"][0]
    decided = decide(decisions, {b"a:1": ours})
    assert decided.accounts == {0: RuleAccount(met=1, already_ours=1)}
    assert decided.change_keys == 0
    assert decide(decisions, {b"a:1": ours + 1}).accounts == {0: RuleAccount(met=1, had_ttl=1)}
    assert decide(decisions, {b"a:1": ours - 1}).accounts == {0: RuleAccount(met=1, had_ttl=1)}
    tolerant = plan_of(policy_of(rule("a:{n}")), tolerance_ms=20)
    for off_ms in (-20, 20):
        assert decide(tolerant, {b"a:1": ours + off_ms}).accounts == {0: RuleAccount(met=1, already_ours=1)}
        assert decide(tolerant, {b"a:1": ours + off_ms + off_ms // 20}).accounts == {0: RuleAccount(met=1, had_ttl=1)}


@pytest.mark.parametrize("mode", list(Mode))
def test_every_instant_that_the_plan_may_have_set_is_ours(plan_of: Deciding, mode: Mode) -> None:
    """An instant of an earlier step, or of version 0.1, is ours; one between two steps, or of a later day, isn't."""
    decisions = plan_of(policy_of(rule("a:{n}", ttl_s=60 * DAY_S, mode=mode)))
    before = NOW_MS + DAY_MS if mode is Mode.EXTEND else None
    first = decide(decisions, {b"a:1": before}).changes["set_ms"][0] - ANCHOR_STEP_MS
    later_ms = NOW_MS + 10 * ANCHOR_STEP_MS
    for step in range(12):
        found = decide(decisions, {b"a:1": first + step * ANCHOR_STEP_MS}, later_ms).accounts
        assert found == {0: RuleAccount(met=1, already_ours=1)}, step
    for other in (first - ANCHOR_STEP_MS, first + ANCHOR_STEP_MS // 2, first + 13 * ANCHOR_STEP_MS):
        assert decide(decisions, {b"a:1": other}, later_ms).accounts[0].already_ours == 0


@given(late_ms=st.integers(0, 3 * DAY_MS), number=st.integers(0, 10**9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_no_key_gets_less_than_its_rules_ttl(plan_of: Deciding, late_ms: int, number: int) -> None:
    """However long ago the approval was, a key that is decided about now lives for its rule's TTL from now, and its jitter."""
    ttl_s = 2 * DAY_S
    decisions = plan_of(policy_of(rule("a:{x}", ttl_s=ttl_s)))
    now_ms = NOW_MS + late_ms
    left_ms = decide(decisions, {b"a:%d" % number: None}, now_ms).changes["set_ms"][0] - now_ms
    assert ttl_s * 1000 + 30_000 <= left_ms <= int(ttl_s * 1000 * 1.1) + ANCHOR_STEP_MS + 30_000


def test_a_second_look_finds_what_changed_since(plan_of: Deciding) -> None:
    """Of keys that were to change, those that need no change any more are counted, and those whose row isn't true are told."""
    policy = policy_of(rule("a:{x}", mode=Mode.CAP), rule("b:{x}", cold=Cold(idle_s=60)))
    decisions = plan_of(policy)
    long_ms = NOW_MS + 300 * DAY_MS
    names = [b"a:same", b"a:moved", b"a:short", b"a:ours", b"a:gone", b"a:bare", b"b:c", b"b:h", b"b:?"]
    was = [long_ms, long_ms, long_ms, long_ms, long_ms, long_ms, None, None, None]
    changes = decide(decisions, dict(zip(names[:6], was[:6], strict=True)) | {b"b:xc": None}).changes
    changes = pl.concat([changes.filter(pl.col("rule") == 0), _changes_of(decisions, [b"b:c", b"b:c2h", b"b:?"])])
    ours = changes.filter(pl.col("key") == b"a:ours")["set_ms"][0]
    now = {
        b"a:same": long_ms,
        b"a:moved": long_ms + 1,
        b"a:short": NOW_MS + DAY_MS,
        b"a:ours": ours,
        b"a:gone": -2,
        b"a:bare": None,
        b"b:c": None,
    }
    expires = [now.get(key) for key in changes["key"].to_list()]
    table = pl.DataFrame(
        {
            "expires_ms": [None if each == -2 else each for each in expires],
            "gone": [each == -2 for each in expires],
        },
        schema={"expires_ms": pl.Int64, "gone": pl.Boolean},
    )
    again = decisions.decide_again(changes, table, now_ms=NOW_MS, questions=Answers(), raced=False)
    assert set(again.changes["key"].to_list()) == {b"a:same", b"a:moved", b"a:bare", b"b:c"}
    unwritten = again.unwritten.filter(pl.col("rule") == 0)
    assert dict(unwritten.select("key", "was_ms").iter_rows()) == {b"a:moved": long_ms + 1, b"a:bare": None}
    assert again.accounts == {0: RuleAccount(had_ttl=1, already_ours=1, vanished=1), 1: RuleAccount(hot=1, vanished=1)}
    raced = decisions.decide_again(changes, table, now_ms=NOW_MS, questions=Answers(), raced=True)
    assert raced.accounts[0] == RuleAccount(raced=1, already_ours=1, vanished=1)
    later = decisions.decide_again(changes, table, now_ms=NOW_MS + 2 * ANCHOR_STEP_MS, questions=Answers(), raced=False)
    assert later.unwritten.height == later.changes.height == 4


def _changes_of(decisions: DecisionColumns, names: list[bytes]) -> pl.DataFrame:
    """These keys as changes, as if all of them had been cold."""
    one = decide(decisions, {b"b:xc": None}).changes
    return pl.concat([one.with_columns(key=pl.lit(name, pl.Binary)) for name in names])


def test_cold_rules_spare_hot_keys(plan_of: Deciding) -> None:
    """A rule for cold keys leaves those alone that are in use; one that vanished meanwhile is counted as such."""
    decisions = plan_of(policy_of(rule("a:{x}", cold=Cold(idle_s=60)), rule("b:{x}")))
    decided = decide(decisions, dict.fromkeys([b"a:1c", b"a:2h", b"a:3?", b"a:4c", b"b:h"]))
    assert set(changed(decided)) == {b"a:1c", b"a:4c", b"b:h"}
    assert decided.accounts == {0: RuleAccount(met=4, hot=1, vanished=1), 1: RuleAccount(met=1)}


def test_a_plan_that_differs_from_its_policy_is_refused() -> None:
    """A rule of the plan that the policy doesn't have signed off in these very words is never decided by."""
    plan = planned(policy_of(rule("a:{n}")))
    for other in (
        rule("a:{n}", sign_off=None),
        rule("a:{n}", ttl_s=DAY_S),
        rule("b:{n}"),
        rule("a:{n}", mode=Mode.CAP),
    ):
        with pytest.raises(BadInput, match="isn't a signed-off rule"):
            DecisionColumns(plan, policy_of(other), NOW_MS, db=0, tolerance_ms=0, questions=Answers())
    with pytest.raises(BadInput):
        DecisionColumns(plan, policy_of(), NOW_MS, db=0, tolerance_ms=0, questions=Answers())


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=300), st.randoms(use_true_random=False), st.integers(0, 40))
def test_the_canary_depends_on_names_alone(numbers: set[int], random: Random, keys: int) -> None:
    """In whatever order keys are met, and whichever of them are ours already, the same ones are picked."""
    names = [b"k:%d" % number for number in numbers]
    hashes = sorted((xxh3_64_intdigest(name), name) for name in names)
    bound = int(0.05 * 2**64)
    expected = {name for at, (value, name) in enumerate(hashes) if value < bound or at < keys}

    def pick() -> tuple[CanaryColumns, set[bytes]]:
        canary = CanaryColumns(0.05, keys)
        random.shuffle(names)
        done = {name for name in names if random.random() < 0.3}
        for start in range(0, len(names), 70):
            part = names[start : start + 70]
            canary.add(
                0, Decided(0, {}, _rows([n for n in part if n not in done]), _rows([n for n in part if n in done]))
            )
        return canary, done

    canary, done = pick()
    assert set(canary.changes([0])["key"].to_list()) == expected - done
    assert canary.counts([0]).get(0, 0) == len(expected - done)
    assert canary.changes([1]).is_empty()


@pytest.mark.parametrize(("ratio", "keys"), [(0.05, 0), (0.05, 150), (0.0, 7), (1.0, 0), (0.5, 1)])
def test_the_canary_is_a_share_of_the_hashes_and_so_many_keys_at_least(ratio: float, keys: int) -> None:
    """Of 2,000 keys those with the lowest hashes are picked: all below the share, and where these are too few, so many."""
    names = [b"k:%d" % number for number in range(2_000)]
    hashes = sorted((xxh3_64_intdigest(name), name) for name in names)
    expected = {name for at, (value, name) in enumerate(hashes) if value < ratio * 2**64 or at < keys}
    canary = CanaryColumns(ratio, keys)
    for start in range(0, 2_000, 500):
        canary.add(0, Decided(0, {}, _rows(names[start : start + 500]), _rows([])))
    assert set(canary.changes([0])["key"].to_list()) == expected
    assert canary.counts([0]) == ({0: len(expected)} if expected else {})


def test_the_canary_counts_each_rule_by_itself_and_each_place() -> None:
    """So many keys of each rule, wherever they were met; and those of one place are told apart from another's."""
    canary = CanaryColumns(0.0, 3)
    every = _rows([b"k:%d" % number for number in range(40)])
    canary.add(0, Decided(0, {}, every.head(20), _rows([])))
    canary.add(7, Decided(0, {}, every.tail(20).with_columns(rule=pl.lit(1, pl.Int32)), _rows([])))
    assert (canary.counts([0]), canary.counts([7]), canary.counts([0, 7])) == ({0: 3}, {1: 3}, {0: 3, 1: 3})


def test_the_canary_keeps_few_of_what_it_meets(monkeypatch: pytest.MonkeyPatch) -> None:
    """When more rows wait than may, they are sifted, and no more wait than that from then on."""
    monkeypatch.setattr(decisions_columns, "_MET_HELD", 10)
    canary = CanaryColumns(0.0, 5)
    waiting = []
    for start in range(0, 60, 5):
        canary.add(0, Decided(0, {}, _rows([b"k:%d" % number for number in range(start, start + 5)]), _rows([])))
        waiting.append(sum(part.height for part in canary._met))
    assert waiting == [5, 10, 0] * 4
    hashes = sorted((xxh3_64_intdigest(b"k:%d" % number), b"k:%d" % number) for number in range(60))
    assert set(canary.changes([0])["key"].to_list()) == {name for _, name in hashes[:5]}


@pytest.mark.parametrize("in_cluster", [False, True])
def test_in_a_cluster_an_instant_of_ours_may_have_shifted(in_cluster: bool) -> None:  # noqa: FBT001
    """A move of the key shifts its expiry by so much and no more, and that one is still ours; elsewhere nothing shifts."""
    policy = policy_of(rule("a:{n}"))
    plan = planned(policy)
    decisions = DecisionColumns(plan, policy, NOW_MS, db=3, tolerance_ms=5, questions=Answers(), in_cluster=in_cluster)
    ours = decide(decisions, {b"a:1": None}).changes["set_ms"][0]
    early_ms, late_ms = (100 + 5, 1_000 + 5) if in_cluster else (5, 5)
    assert MOVES_SHIFT_MS == (100, 1_000)
    for off_ms, is_ours in ((-early_ms, True), (late_ms, True), (-early_ms - 1, False), (late_ms + 1, False)):
        [account] = decide(decisions, {b"a:1": ours + off_ms}).accounts.values()
        assert bool(account.already_ours) == is_ours, off_ms


@pytest.mark.parametrize(("steps", "is_ours"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_server_with_a_faster_clock_may_have_set_the_next_instant(
    plan_of: Deciding, steps: int, *, is_ours: bool
) -> None:
    """Ours are the instants from the approval's own to the one after the present one, and none beyond."""
    decisions = plan_of(policy_of(rule("a:{n}")))
    now = decide(decisions, {b"a:1": None}).changes["set_ms"][0]
    [account] = decide(decisions, {b"a:1": now + steps * ANCHOR_STEP_MS}).accounts.values()
    assert bool(account.already_ours) == is_ours


@pytest.mark.parametrize(("off_ms", "changes"), [(0, False), (1, True)])
def test_a_cap_changes_what_is_longer_by_a_millisecond(plan_of: Deciding, off_ms: int, changes: bool) -> None:  # noqa: FBT001
    """A remaining life of exactly the rule's TTL and its jitter stays; one that is longer by a millisecond is shortened."""
    ttl_s = 60 * DAY_S
    decisions = plan_of(policy_of(rule("a:{n}", ttl_s=ttl_s, mode=Mode.CAP)))
    longest_ms = ttl_s * 1000 + int(ttl_s * 0.1) * 1000
    assert decide(decisions, {b"a:1": NOW_MS + longest_ms + off_ms}).change_keys == changes


@pytest.mark.parametrize(("off_ms", "changes"), [(0, False), (1, True)])
def test_a_cap_moves_no_expiry_that_ours_would_not_precede(off_ms: int, *, changes: bool) -> None:
    """In a cluster an expiry later than ours by what a move may shift is as good as ours; later than that it is shortened."""
    policy = policy_of(rule("a:{n}", ttl_s=60, mode=Mode.CAP))
    plan = planned(policy)
    decisions = DecisionColumns(plan, policy, NOW_MS, db=3, tolerance_ms=200, questions=Answers(), in_cluster=True)
    ours = decide(decisions, {b"a:1": None}).changes["set_ms"][0]
    # Between two steps, so that it isn't an instant of ours, and beyond the rule's TTL.
    late_ms = 1_000 + 200
    found = decide(decisions, {b"a:1": ours + late_ms + off_ms})
    assert found.change_keys == changes


def test_a_batch_says_what_was_met_and_since_when(plan_of: Deciding) -> None:
    """How many keys were met and since when they were read is handed on, whether any of them is the plan's or none."""
    frame = pl.DataFrame({"key": [b"a:1"], "expires_ms": [None]}, schema={"key": pl.Binary, "expires_ms": pl.Int64})
    decisions = plan_of(policy_of(rule("a:{n}"), rule("c:{n}", sign_off=None)))
    found = decisions.decide(frame, keys=9, now_ms=NOW_MS, read_at_s=12.5)
    assert (found.keys, found.read_at_s, found.change_keys) == (9, 12.5, 1)
    assert found.changes.columns == ["key", "db", "rule", "was_ms", "set_ms", "action"]
    assert found.changes["db"].to_list() == [3]
    for name in (b"b:1", b"c:1"):
        found = decisions.decide(frame.with_columns(key=pl.lit(name)), keys=9, now_ms=NOW_MS, read_at_s=12.5)
        assert (found.keys, found.read_at_s, found.change_keys, found.accounts) == (9, 12.5, 0, {})
        assert found.ours.is_empty()


def test_a_rule_that_the_policy_does_not_have_is_refused() -> None:
    """A number beyond the policy's rules, or below them, is nobody's rule, though a list of Python would have one there."""
    policy = policy_of(rule("a:{n}"), rule("b:{n}"))
    rules = planned(policy).rules
    for each in rules:
        refuse_unagreed(each, policy)
    for number in (-1, 2):
        with pytest.raises(BadInput, match="isn't a signed-off rule"):
            refuse_unagreed(replace(rules[1], number=number), policy)


def _rows(names: list[bytes]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": names,
            "db": [0] * len(names),
            "rule": [0] * len(names),
            "was_ms": [None] * len(names),
            "set_ms": [NOW_MS] * len(names),
            "action": ["set"] * len(names),
        },
        schema=CHANGE_TYPES,
    )


@given(
    st.lists(
        st.tuples(
            st.binary(),
            st.integers(0, 99),
            st.integers(0, 99),
            st.none() | st.integers(0, 2**50),
            st.none() | st.integers(0, 2**50),
            st.sampled_from(Action),
        ),
        max_size=20,
    )
)
def test_a_journal_object_gives_back_what_it_was_given(
    rows: list[tuple[bytes, int, int, int | None, int | None, Action]],
) -> None:
    """The rows of a journal object are those that were written, sorted by key, whatever bytes a key has."""
    frame = pl.DataFrame(rows, schema=CHANGE_TYPES, orient="row")
    found = journal_rows(journal_bytes(frame))
    assert found["key"].to_list() == sorted(row[0] for row in rows)
    assert sorted(map(repr, found.iter_rows())) == sorted(repr((*row[:5], row[5].value)) for row in rows)


@given(
    st.sampled_from(Mode),
    st.none()
    | st.integers(-2 * ANCHOR_STEP_MS, 2 * ANCHOR_STEP_MS).map(lambda off: 60 * DAY_S * 1000 + off)
    | st.integers(1, 200 * DAY_S * 1000),
    st.integers(0, 500),
)
def test_actions_partition_what_may_happen_to_a_key(mode: Mode, left_ms: int | None, tolerance_ms: int) -> None:
    """A key is changed by one action that its rule's mode has, is ours, or keeps its TTL; and an action does what it says and no more:
    set gives a first TTL, cap shortens, extend lengthens.
    """
    policy = policy_of(rule("a:{n}", ttl_s=60 * DAY_S, mode=mode))
    decisions = DecisionColumns(planned(policy), policy, NOW_MS, db=0, tolerance_ms=tolerance_ms, questions=Answers())
    expires_ms = None if left_ms is None else NOW_MS + left_ms
    found = decide(decisions, {b"a:1": expires_ms})
    account = found.accounts[0]
    assert account.met == 1
    assert found.change_keys + account.already_ours + account.had_ttl == 1
    for was, set_ms, action in found.changes.select("was_ms", "set_ms", "action").iter_rows():
        assert Action(action) in mode.actions
        assert was == expires_ms
        assert set_ms >= NOW_MS + 60 * DAY_S * 1000, "nobody gets less than the rule's TTL"
        ways = {
            Action.SET: was is None,
            Action.CAP: was is not None and set_ms < was,
            Action.EXTEND: was is not None and set_ms > was,
        }
        assert [each for each, is_so in ways.items() if is_so] == [action]
    if not found.change_keys and not account.already_ours:
        assert left_ms is not None or mode is Mode.EXTEND
        assert mode is not Mode.EXTEND or left_ms is None or left_ms >= 60 * DAY_S * 1000 - tolerance_ms
