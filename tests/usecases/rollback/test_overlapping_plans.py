from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.remediation.restoring import expiries, restore_tools, roll_back
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.rollback.rollback import RestoreAccount
from redis_ttl.usecases.rollback import restore_journal
from redis_ttl.usecases.rollback.restore_journal import refuse_out_of_turn
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import send, set_keys

KEYS = 300


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with keys of two families: some without a TTL, some with a long one."""
    with run_server(VALKEY) as running:
        set_keys(running, [f"cart:{number}" for number in range(KEYS)])
        send(running, (("SET", f"seen:{number}", "x", "EX", 400 * DAY_S + number) for number in range(KEYS)))
        yield running


def applied(server: Server, store: Path, number: int, *rules: tuple[str, int], mode: Mode = Mode.CAP) -> Applying:
    """A plan that has capped the keys of these patterns to so many days, or done what that mode does; plans are numbered in the order of
    their writing.
    """
    policy = policy_of(*(rule(pattern, ttl_s=days * DAY_S, mode=mode) for pattern, days in rules), canary_keys=5)
    run = Applying(server.url, store, policy)
    run.plan = replace(run.plan, plan_id=f"2026112{number}T010101Z-{number:06x}")
    run.run()
    return run


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_earlier_of_two_plans_is_refused_with_the_order(server: Server, tmp_path: Path, *, dry_run: bool) -> None:
    """While a later plan's expiry is on its keys, a plan isn't taken back, and nothing is changed; in the order told both are."""
    before = expiries([server])
    first = applied(server, tmp_path, 1, ("cart:{n}", 60), ("seen:{n}", 60))
    second = applied(server, tmp_path, 2, ("cart:{n}", 7))
    between = expiries([server])
    order = f"{second.plan.plan_id}, then {first.plan.plan_id}"
    with pytest.raises(BadInput, match=rf"{second.plan.plan_id} changed 300 of these keys.*{order}"):
        roll_back(first, dry_run=dry_run)
    with pytest.raises(BadInput, match=order):
        refuse_out_of_turn(first.plan, RestoreOptions(), restore_tools(first))
    assert expiries([server]) == between
    assert roll_back(second) == RestoreAccount(keys=KEYS, put_back=KEYS)
    assert roll_back(first) == RestoreAccount(keys=2 * KEYS, removed=KEYS, put_back=KEYS)
    assert expiries([server]) == before


def test_a_plan_that_lengthened_what_others_set_is_taken_back_before_them(server: Server, tmp_path: Path) -> None:
    """In a chain of plans that set, lengthen and shorten the same keys, each gives back what it found, and none goes out of turn."""
    before = expiries([server])
    first = applied(server, tmp_path, 1, ("cart:{n}", 20), mode=Mode.SET)
    second = applied(server, tmp_path, 2, ("cart:{n}", 60), mode=Mode.EXTEND)
    third = applied(server, tmp_path, 3, ("cart:{n}", 30))
    for early in (first, second):
        with pytest.raises(BadInput, match="must be rolled back before it"):
            roll_back(early)
    assert roll_back(third) == RestoreAccount(keys=KEYS, put_back=KEYS)
    assert roll_back(second) == RestoreAccount(keys=KEYS, put_back=KEYS)
    assert roll_back(first) == RestoreAccount(keys=KEYS, removed=KEYS)
    assert expiries([server]) == before


def test_rules_that_no_later_plan_touched_can_be_taken_back(server: Server, tmp_path: Path) -> None:
    """With rules chosen only their keys count: those that nobody changed since are taken back at once."""
    before = expiries([server])
    first = applied(server, tmp_path, 1, ("cart:{n}", 60), ("seen:{n}", 60))
    applied(server, tmp_path, 2, ("cart:{n}", 7))
    assert roll_back(first, rules=frozenset({1})).put_back == KEYS
    after = expiries([server])
    assert all(after[place] == was for place, was in before.items() if place[1].startswith(b"seen:"))
    with pytest.raises(BadInput, match="must be rolled back before it"):
        roll_back(first, rules=frozenset({0}))


def test_a_chain_of_three_is_taken_back_from_its_end(server: Server, tmp_path: Path) -> None:
    """Three plans on top of one another are named in the order in which they must go, whichever is asked for."""
    before = expiries([server])
    runs = [applied(server, tmp_path, number, ("cart:{n}", days)) for number, days in ((1, 60), (2, 30), (3, 7))]
    ids = [run.plan.plan_id for run in runs]
    with pytest.raises(BadInput, match=f"order: {ids[2]}, then {ids[1]}, then {ids[0]}"):
        roll_back(runs[0])
    with pytest.raises(BadInput, match=f"order: {ids[2]}, then {ids[1]}"):
        roll_back(runs[1])
    for run in reversed(runs):
        assert roll_back(run).restored == KEYS
    assert expiries([server]) == before


def test_a_later_plan_whose_expiry_is_on_no_key_stands_in_nobodys_way(server: Server, tmp_path: Path) -> None:
    """A later plan that was taken back, or whose keys the application has set anew, doesn't hinder the earlier one."""
    first = applied(server, tmp_path, 1, ("cart:{n}", 60))
    second = applied(server, tmp_path, 2, ("cart:{n}", 7))
    with server.client() as client:
        for number in range(100):
            client.persist(f"cart:{number}")
        assert roll_back(second, rules=frozenset({0})).put_back == KEYS - 100
    total = roll_back(first)
    assert (total.removed, total.as_before) == (KEYS - 100, 100)


def test_plans_over_different_keys_know_nothing_of_each_other(server: Server, tmp_path: Path) -> None:
    """Plans that changed different keys are taken back in any order."""
    before = expiries([server])
    first = applied(server, tmp_path, 1, ("cart:{n}", 60))
    second = applied(server, tmp_path, 2, ("seen:{n}", 7))
    assert roll_back(first).removed == KEYS
    assert roll_back(second).put_back == KEYS
    assert expiries([server]) == before


@pytest.mark.parametrize("plans", [2, 3])
def test_what_an_older_version_did_in_the_wrong_order_is_put_right(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plans: int
) -> None:
    """Where earlier plans were taken back first, the last one gives back what was there before all of them."""
    before = expiries([server])
    runs = [
        applied(server, tmp_path, number, ("cart:{n}", days), ("seen:{n}", days))
        for number, days in ((1, 60), (2, 30), (3, 7))[:plans]
    ]
    with monkeypatch.context() as older:
        older.setattr(restore_journal, "refuse_later_plans", lambda *_: None)
        for run in runs[:-1]:
            assert roll_back(run).restored == 0
    dry = roll_back(runs[-1], dry_run=True)
    assert dry == roll_back(runs[-1]) == RestoreAccount(keys=2 * KEYS, removed=KEYS, put_back=KEYS)
    assert expiries([server]) == before


def test_only_rules_that_were_taken_back_are_looked_beneath(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an earlier plan stands still for a rule, the later one gives back that plan's expiry, as it found it."""
    first = applied(server, tmp_path, 1, ("cart:{n}", 60), ("seen:{n}", 60))
    between = expiries([server])
    second = applied(server, tmp_path, 2, ("cart:{n}", 7), ("seen:{n}", 7))
    with monkeypatch.context() as older:
        older.setattr(restore_journal, "refuse_later_plans", lambda *_: None)
        roll_back(first, rules=frozenset({0}))
    assert roll_back(second) == RestoreAccount(keys=2 * KEYS, removed=KEYS, put_back=KEYS)
    after = expiries([server])
    assert all(at == -1 for (_, key), at in after.items() if key.startswith(b"cart:"))
    assert all(after[place] == at for place, at in between.items() if place[1].startswith(b"seen:"))
