"""Policies as a test or a benchmark needs them: signed off, and with guards that a busy machine doesn't trip."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import (
    CanarySettings,
    Exemption,
    GuardSettings,
    Owner,
    Policy,
    RemediationSettings,
    Rule,
    SignOff,
)

DAY_S = 86_400
SIGNED = SignOff("Wang Li", dt.date(2026, 2, 20))
# A machine that runs tests is no quiet one.
CALM = GuardSettings(latency_factor=1e9, expire_cap_hits_per_s=1e9)


def rule(pattern: str, ttl_s: int = 60 * DAY_S, mode: Mode = Mode.SET, **more: Any) -> Rule:
    """A signed-off rule."""
    return Rule(KeyPattern(pattern), ttl_s, mode, **{"sign_off": SIGNED, **more})


def policy_of(
    *rules: Rule,
    exempt: Iterable[str] = (),
    watch_s: int = 0,
    canary_keys: int = 100,
    guards: GuardSettings = CALM,
) -> Policy:
    """A policy with these rules, which watches its canary for no time unless told otherwise."""
    return Policy(
        "test",
        connection="test",
        owner=Owner("test"),
        rules=rules,
        exemptions=tuple(Exemption(KeyPattern(each), "must stay") for each in exempt),
        remediation=RemediationSettings(canary=CanarySettings(0.01, canary_keys, watch_s), guards=guards),
    )
