"""The accounts of writing, undoing and verifying: what they add up to, and that the store gives them back as they were."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import NewerDocument
from redis_ttl.domain.remediation.remediation import (
    Interruption,
    Outcome,
    PartBegun,
    PartResult,
    RuleAccount,
    add_accounts,
)
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.domain.rollback.rollback import RestoreAccount, RestoreResult, add_restored

WRITTEN = RuleAccount(met=100, set=1, capped=2, already_ours=4, had_ttl=8, raced=16, vanished=32, hot=64, left=128)
RESTORED = RestoreAccount(
    keys=100, removed=1, put_back=2, changed=4, as_before=8, restored_before=16, expired=32, gone=64
)
PART = PartResult(
    plan_id="plan-1",
    part="shard-3",
    attempt="20261124T010101000Z-abcdef",
    outcome=Outcome.STOPPED,
    began_at="2026-11-24T01:00:00+00:00",
    ended_at="2026-11-24T02:00:00+00:00",
    scanned=1_000,
    accounts={7: WRITTEN, 2: replace(WRITTEN, met=5)},
    journal_objects=3,
    journal_bytes=4_000,
    interruptions=(
        Interruption("2026-11-24T01:30:00+00:00", "memory", 1.5),
        Interruption("x", "stopped", 0.0, ended=True),
    ),
    reason="the operator stopped it",
    run_id="a" * 40,
    whole=True,
)
FIGURES: dict[str, Any] = {
    field.name: number + 1
    for number, field in enumerate(fields(VerifiedRule))
    if field.name not in {"pattern", "mode", "refusal"}
}
RULE = VerifiedRule(**FIGURES, pattern="a:{n}", mode="set")


def test_every_figure_of_an_account_adds_up() -> None:
    """The sum of two accounts is the sum of each figure."""
    twice = WRITTEN + WRITTEN
    assert all(getattr(twice, each.name) == 2 * getattr(WRITTEN, each.name) for each in fields(RuleAccount))
    undone = RESTORED + RESTORED
    assert all(getattr(undone, each.name) == 2 * getattr(RESTORED, each.name) for each in fields(RestoreAccount))
    assert RuleAccount() + WRITTEN == WRITTEN
    assert set(vars_of(RuleAccount())) == {0}
    assert set(vars_of(RestoreAccount())) == {0}


def vars_of(account: RuleAccount | RestoreAccount) -> list[int]:
    """Its figures."""
    return [getattr(account, each.name) for each in fields(account)]


def test_what_was_changed_or_restored() -> None:
    """Changed are those set and those capped, restored those without a TTL again and those with their old one."""
    assert WRITTEN.changed == 3
    assert RESTORED.restored == 3
    assert PART.changed == 6
    result = RestoreResult("plan-1", "rollback-0", "a", False, "x", "y", {0: RESTORED, 3: RESTORED})  # noqa: FBT003
    assert result.total == RESTORED + RESTORED


def test_a_key_that_is_in_no_figure_shall_change() -> None:
    """What was met less what it is known of what became of it."""
    assert (WRITTEN.settled, WRITTEN.undecided) == (255, -155)
    assert RuleAccount(met=10, set=3, left=2).undecided == 5
    assert RuleAccount(met=10).settled == 0


def test_accounts_of_parts_are_added_rule_by_rule() -> None:
    """A rule that only one part met is in the sum as it was there."""
    one, other = RuleAccount(met=1), RuleAccount(met=10, set=10)
    assert add_accounts([{0: one, 1: other}, {1: other}, {}]) == {0: one, 1: other + other}
    assert add_accounts([]) == {}
    first, second = RestoreAccount(keys=1), RestoreAccount(keys=10, gone=10)
    added = add_restored([{4: first}, {1: second, 4: second}])
    assert added == {1: second, 4: first + second}
    assert list(added) == [1, 4], "in the order of the rules"


def test_the_store_gives_back_what_it_was_given() -> None:
    """Results that went through JSON text are the same results."""
    assert from_plain(PartResult, json.loads(json.dumps(to_plain(PART)))) == PART
    begun = PartBegun("plan-1", "shard-3", "attempt", 1_795_000_000_000, "2026-11-24T01:00:00+00:00")
    assert from_plain(PartBegun, json.loads(json.dumps(to_plain(begun)))) == begun
    result = RestoreResult("plan-1", "rollback-2", "a", True, "x", "y", {3: RESTORED}, journal_objects=4)  # noqa: FBT003
    assert from_plain(RestoreResult, json.loads(json.dumps(to_plain(result)))) == result
    verification = Verification("plan-1", "d", "x", "y", 10, 5, 7, complete=False, rules=(RULE,), notes=("one", "two"))
    assert from_plain(Verification, json.loads(json.dumps(to_plain(verification)))) == verification


def test_what_was_not_told_has_its_default() -> None:
    """A part is not whole and was not interrupted, and an interruption did not end it, unless that is said."""
    plain = PartResult("p", "canary", "a", Outcome.DONE, "x", "y", 0, {}, 0, 0)
    assert (plain.whole, plain.interruptions, plain.reason, plain.run_id, plain.changed) == (False, (), None, "", 0)
    assert not Interruption("x", "memory", 1.0).ended
    assert RestoreResult("p", "r", "a", True, "x", "y", {}).journal_objects == 0  # noqa: FBT003
    assert set(vars_of_rule(VerifiedRule(0, "a", "set", 0))) == {0, None, "a", "set"}


def vars_of_rule(rule: VerifiedRule) -> list[object]:
    """Its figures and texts."""
    return [getattr(rule, each.name) for each in fields(rule)]


def test_a_verification_sums_its_rules() -> None:
    """Missed, kept and unjournalled are sums over all rules; the summary leaves out rules that were refused."""
    refused = replace(RULE, number=9, refusal="no sign-off")
    verification = Verification("plan-1", "d", "x", "y", 10, 5, None, complete=True, rules=(RULE, RULE, refused))
    assert verification.missed == 3 * RULE.missed
    assert verification.kept == 3 * RULE.kept
    assert verification.unjournalled == 3 * RULE.unjournalled
    assert verification.summary() == {
        "plan_id": "plan-1",
        "complete": True,
        "scanned": 10,
        "no_ttl_keys": 5,
        "planned": 2 * RULE.planned,
        "kept": 2 * RULE.kept,
        "changed": 2 * RULE.changed,
        "wiped": 2 * RULE.wiped,
        "expired": 2 * RULE.expired,
        "gone": 2 * RULE.gone,
        "missed": 2 * RULE.missed,
        "unjournalled": 2 * RULE.unjournalled,
    }
    assert RULE.journalled == RULE.kept + RULE.changed + RULE.wiped + RULE.unfinished + RULE.expired + RULE.gone
    assert (verification.notes, verification.unreadable, verification.moving_slots) == ((), (), 0)


def test_a_begin_of_a_newer_version_is_refused() -> None:
    """What a later version has written is refused by name, never read by halves."""
    data = to_plain(PartBegun("plan-1", "shard-3", "attempt", 1, "2026-11-24T01:00:00+00:00"))
    with pytest.raises(NewerDocument):
        from_plain(PartBegun, {**data, "schema": "redis_ttl.begun/2"})
