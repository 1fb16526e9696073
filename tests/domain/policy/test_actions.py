"""What a rule may do to a key."""

from __future__ import annotations

from dataclasses import fields

import pytest

from redis_ttl.domain.policy.actions import Action, Condition, Mode, Standing
from redis_ttl.domain.remediation.remediation import RuleAccount
from redis_ttl.domain.remediation.verification import VerifiedRule


@pytest.mark.parametrize("mode", Mode)
def test_a_key_gets_one_action_or_none(mode: Mode) -> None:
    """However a key's expiry stands to its rule, at most one of the rule's actions is for it, and each is for some key."""
    found = [mode.action_on(standing) for standing in Standing]
    assert sorted(action for action in found if action is not None) == sorted(mode.actions)
    assert mode.action_on(Standing.KEPT) is None


def test_every_action_is_what_some_mode_does() -> None:
    """An action that no policy can ask for doesn't exist."""
    assert {action for mode in Mode for action in mode.actions} == set(Action)


@pytest.mark.parametrize("action", Action)
def test_an_action_has_figures_of_its_own(action: Action) -> None:
    """What it changed, and what it didn't, is counted by figures that the accounts have and no other action uses."""
    assert action.spec.account in {field.name for field in fields(RuleAccount)}
    assert action.spec.unmet is None or action.spec.unmet in {field.name for field in fields(VerifiedRule)}
    others = {other.spec.account for other in Action if other is not action}
    assert action.spec.account not in others
    assert RuleAccount(**{action.spec.account: 3}).changed == 3


@pytest.mark.parametrize("action", Action)
def test_the_condition_is_about_the_keys_that_are_meant(action: Action) -> None:
    """A key without a TTL is set only if it has none, and one with a TTL only if it has one."""
    assert (action.spec.condition is Condition.IF_NONE) == (action.spec.means is Standing.NO_TTL)
    assert ("XX" in action.spec.condition.words) == action.spec.replaces_expiry
