"""Who decides about a key, and what makes two policies the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
import subprocess
import sys

import pytest

from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Exemption, Owner, Policy, QuietHours, RemediationSettings, Rule, SignOff

RULE = Rule(KeyPattern("user:{id}:cart"), 86_400)
WIDER_RULE = Rule(KeyPattern("user:{id}:{what}"), 604_800)
EXEMPTION = Exemption(KeyPattern("user:{id}:profile"), "read at start-up")
POLICY = Policy("shop", "redis_shop", Owner("shop-team"), rules=(RULE, WIDER_RULE), exemptions=(EXEMPTION,))


def test_the_first_matching_rule_wins() -> None:
    """A key that two rules match is governed by the one that is written first."""
    assert POLICY.governs("user:7:cart") is RULE
    assert POLICY.governs("user:7:wishlist") is WIDER_RULE


def test_exemptions_come_before_every_rule() -> None:
    """An exempt key is exempt although a rule matches it too."""
    assert POLICY.governs("user:7:profile") is EXEMPTION


def test_a_key_that_nothing_matches_is_nobodys() -> None:
    """Default deny: no rule, no decision."""
    assert POLICY.governs("order:7") is None


def test_the_hash_is_of_what_the_policy_says() -> None:
    """Any change of content changes the hash; an equal policy built anew has the same."""
    hashes = {
        policy.hash
        for policy in (
            POLICY,
            dataclasses.replace(POLICY, rules=(WIDER_RULE, RULE)),
            dataclasses.replace(POLICY, exemptions=()),
            dataclasses.replace(POLICY, rules=(dataclasses.replace(RULE, ttl_s=86_401), WIDER_RULE)),
            dataclasses.replace(POLICY, rules=(dataclasses.replace(RULE, mode=Mode.CAP), WIDER_RULE)),
            dataclasses.replace(
                POLICY, rules=(dataclasses.replace(RULE, sign_off=SignOff("Ann", dt.date(2026, 2, 20))), WIDER_RULE)
            ),
        )
    }
    assert len(hashes) == 6
    again = dataclasses.replace(POLICY, rules=(Rule(KeyPattern("user:{id}:cart"), 86_400), WIDER_RULE))
    assert again.hash == POLICY.hash


#: Policies with the hashes that version 0.1 (548cecd) computed.
OF_VERSION_0_1 = {
    "b50b6efd2e8d1c448e9f6b456ea8d10f9eeed0644baf5c8598f90e5876297f0b": POLICY,
    "68b6f82c1ccf3c567e1fedf62b85febd70879e741dc8120b18a2ad7cedd6d3ff": Policy(
        "shop",
        "redis_shop",
        Owner("shop-team"),
        remediation=RemediationSettings(approvals=2, approvers=("bob", "erin"), tolerance_ratio=0.25),
        rules=(dataclasses.replace(RULE, mode=Mode.CAP, sign_off=SignOff("Lin Wei", dt.date(2026, 2, 20))),),
    ),
}


@pytest.mark.parametrize("known", OF_VERSION_0_1)
def test_a_policy_that_uses_nothing_new_keeps_its_hash(known: str) -> None:
    """What version 0.1 planned and approved by it stays good; a setting that is used changes the hash."""
    policy = OF_VERSION_0_1[known]
    assert policy.hash == known
    guards = dataclasses.replace(policy.remediation.guards, unguarded=("memory",))
    for used in ({"self_approval": True}, {"guards": guards}):
        remediation = dataclasses.replace(policy.remediation, **used)
        assert dataclasses.replace(policy, remediation=remediation).hash != known


def test_the_hash_is_the_same_in_every_process() -> None:
    """It depends on no order that Python draws anew at each start."""
    code = (
        "from redis_ttl.domain.policy.policy import *; from redis_ttl.domain.keys.pattern import KeyPattern\n"
        "print(Policy('c', 'r', Owner('t'), rules=(Rule(KeyPattern('a:{x}'), 60),)).hash)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "plugins"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("hours", "at", "ends"),
    [
        ("22:00-08:00", "2026-02-12T21:59", None),
        ("22:00-08:00", "2026-02-12T22:00", "2026-02-13T08:00"),
        ("22:00-08:00", "2026-02-13T07:59", "2026-02-13T08:00"),
        ("22:00-08:00", "2026-02-13T08:00", None),
        ("12:00-13:30", "2026-02-13T13:00", "2026-02-13T13:30"),
        ("12:00-13:30", "2026-02-13T13:30", None),
    ],
)
def test_quiet_hours_end_the_same_night(hours: str, at: str, ends: str | None) -> None:
    """Whether they cross midnight or not; their end is not part of them."""
    begin, _, end = hours.partition("-")
    found = QuietHours(dt.time.fromisoformat(begin), dt.time.fromisoformat(end)).ends_after(
        dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
    )
    assert (None if found is None else found.isoformat()[:16]) == ends
