from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.decisions_columns import CanaryColumns, Decided, DecisionColumns, instants_ms
from redis_ttl.adapters.journal_columns import journal_bytes, journal_rows
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.expiry import Spread
from redis_ttl.domain.policy import Cold, Mode, Policy
from redis_ttl.domain.remediation import RuleAccount
from tests.servers import Server
from tests.usecases.applying import DAY_S, Applying, policy_of, rule

NOW_MS = 1_770_000_000_000
DAY_MS = DAY_S * 1000


class Answers:
    """Says of each key what its name says."""

    def are_cold(self, keys: Sequence[bytes], cold: Cold) -> list[bool | None]:
        """By the key's end."""
        del cold
        return [{b"c": True, b"h": False}.get(key[-1:]) for key in keys]


@pytest.fixture
def plan_of(valkey: Server, tmp_path: Path):  # noqa: ANN201  # a function that makes what the test names
    """Makes decisions of a policy."""

    def make(policy: Policy, tolerance_ms: int = 0) -> DecisionColumns:
        applying = Applying(valkey.url, tmp_path, policy)
        return DecisionColumns(applying.plan, policy, NOW_MS, db=3, tolerance_ms=tolerance_ms, questions=Answers())

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


def test_default_deny(plan_of) -> None:  # noqa: ANN001
    """Keys that no rule governs, that an exemption matches, or whose rule isn't signed off aren't even counted."""
    decisions = plan_of(policy_of(rule("a:{n}"), rule("b:{n}", sign_off=None), exempt=["a:keep:{n}", "a:7"]))
    decided = decide(decisions, dict.fromkeys([b"a:1", b"a:7", b"a:keep:1", b"b:1", b"c", b"", b"\xff\xfe"]))
    assert changed(decided) == {b"a:1": (0, None)}
    assert decided.accounts == {0: RuleAccount(met=1)}
    assert decided.keys == 7


def test_the_first_of_two_rules_governs(plan_of) -> None:  # noqa: ANN001
    """A key that matches two rules gets the first one's instant, even when the first one isn't signed off."""
    decisions = plan_of(policy_of(rule("a:{x}", ttl_s=DAY_S), rule("{y}:1", ttl_s=9 * DAY_S)))
    assert changed(decide(decisions, {b"a:1": None, b"b:1": None})) == {b"a:1": (0, None), b"b:1": (1, None)}
    decisions = plan_of(policy_of(rule("a:{x}", sign_off=None), rule("{y}:1")))
    assert changed(decide(decisions, {b"a:1": None, b"b:1": None})) == {b"b:1": (1, None)}


def test_mode_set_leaves_every_ttl(plan_of) -> None:  # noqa: ANN001
    """Mode set changes keys without TTL only, however long another one's is."""
    decided = decide(
        plan_of(policy_of(rule("a:{n}"))), {b"a:1": NOW_MS + 9_999 * DAY_MS, b"a:2": NOW_MS + 1, b"a:3": None}
    )
    assert changed(decided) == {b"a:3": (0, None)}
    assert decided.accounts == {0: RuleAccount(met=3, had_ttl=2)}


def test_mode_cap_never_lengthens(plan_of) -> None:  # noqa: ANN001
    """Mode cap changes a TTL only if it is longer than the rule's with its jitter, and our instant is earlier."""
    decisions = plan_of(policy_of(rule("a:{n}", ttl_s=60 * DAY_S, mode=Mode.CAP)))
    keys = {b"a:1": NOW_MS + 67 * DAY_MS, b"a:2": NOW_MS + 66 * DAY_MS, b"a:3": NOW_MS + 59 * DAY_MS, b"a:4": None}
    assert set(changed(decide(decisions, dict(keys)))) == {b"a:1", b"a:4"}
    # Half a year after the approval the same remaining time would be another instant: later than ours, yet short.
    later_ms = NOW_MS + 180 * DAY_MS
    assert changed(decide(decisions, {b"a:1": later_ms + 30 * DAY_MS}, later_ms)) == {}


def test_what_is_ours_already_is_left(plan_of) -> None:  # noqa: ANN001
    """A key that expires at our instant exactly is ours; a millisecond off it is the application's."""
    decisions = plan_of(policy_of(rule("a:{n}")))
    ours = decide(decisions, {b"a:1": None}).changes["set_ms"][0]
    decided = decide(decisions, {b"a:1": ours})
    assert decided.accounts == {0: RuleAccount(met=1, already_ours=1)}
    assert decided.change_keys == 0
    assert decide(decisions, {b"a:1": ours + 1}).accounts == {0: RuleAccount(met=1, had_ttl=1)}
    tolerant = plan_of(policy_of(rule("a:{n}")), tolerance_ms=20)
    assert decide(tolerant, {b"a:1": ours + 20}).accounts == {0: RuleAccount(met=1, already_ours=1)}


def test_cold_rules_spare_hot_keys(plan_of) -> None:  # noqa: ANN001
    """A rule for cold keys leaves those alone that are in use; one that vanished meanwhile is counted as such."""
    decisions = plan_of(policy_of(rule("a:{x}", cold=Cold(idle_s=60)), rule("b:{x}")))
    decided = decide(decisions, dict.fromkeys([b"a:1c", b"a:2h", b"a:3?", b"a:4c", b"b:h"]))
    assert set(changed(decided)) == {b"a:1c", b"a:4c", b"b:h"}
    assert decided.accounts == {0: RuleAccount(met=4, hot=1, vanished=1), 1: RuleAccount(met=1)}


def test_a_plan_that_differs_from_its_policy_is_refused(valkey: Server, tmp_path: Path) -> None:
    """A rule of the plan that the policy doesn't have signed off in these very words is never decided by."""
    plan = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"))).plan
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
def test_the_canary_depends_on_names_alone(numbers: set[int], random, keys: int) -> None:  # noqa: ANN001
    """In whatever order keys are met, and whichever of them are ours already, the same ones are picked."""
    names = [b"k:%d" % number for number in numbers]
    hashes = sorted((xxh3_64_intdigest(name), name) for name in names)
    bound = int(0.05 * 2**64)
    expected = {name for at, (value, name) in enumerate(hashes) if value < bound or at < keys}

    def pick() -> CanaryColumns:
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


def _rows(names: list[bytes]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": names,
            "db": [0] * len(names),
            "rule": [0] * len(names),
            "was_ms": [None] * len(names),
            "set_ms": [NOW_MS] * len(names),
        },
        schema={"key": pl.Binary, "db": pl.Int32, "rule": pl.Int32, "was_ms": pl.Int64, "set_ms": pl.Int64},
    )


@given(
    st.lists(
        st.tuples(
            st.binary(),
            st.integers(0, 99),
            st.integers(0, 99),
            st.none() | st.integers(0, 2**50),
            st.none() | st.integers(0, 2**50),
        ),
        max_size=20,
    )
)
def test_a_journal_object_gives_back_what_it_was_given(
    rows: list[tuple[bytes, int, int, int | None, int | None]],
) -> None:
    """The rows of a journal object are those that were written, sorted by key, whatever bytes a key has."""
    frame = pl.DataFrame(
        rows,
        schema={"key": pl.Binary, "db": pl.Int32, "rule": pl.Int32, "was_ms": pl.Int64, "set_ms": pl.Int64},
        orient="row",
    )
    found = journal_rows(journal_bytes(frame))
    assert found["key"].to_list() == sorted(row[0] for row in rows)
    assert sorted(map(repr, found.iter_rows())) == sorted(map(repr, rows))
