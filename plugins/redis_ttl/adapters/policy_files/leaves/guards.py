"""Bounds of guards in a policy file, which may also be done without."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

from redis_ttl.adapters.policy_files.leaves.amounts import A_PERCENTAGE, NUMBER, ratio_above_zero, size_bytes
from redis_ttl.adapters.policy_files.leaves.leaf import leaf, refuse
from redis_ttl.adapters.policy_files.leaves.times import ttl_s
from redis_ttl.domain.keys.pattern import shown
from redis_ttl.domain.policy.duration import EXPECTED as DURATION

_PER_SECOND = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)/s")


def _per_second(value: str) -> float:
    match = _PER_SECOND.fullmatch(value)
    if not match:
        advice = f"Write {value}/s" if NUMBER.fullmatch(value) else None
        refuse(shown(value), None, advice)
    return float(match[1])


#: Says that there is no such guard, because the server hides what it needs.
UNGUARDED: Final = "unguarded"
Unguarded = Literal["unguarded"]


def _or_unguarded(read: Callable[[str], object]) -> Callable[[str], object]:
    """The same reader, which lets a policy do without the guard."""
    return lambda value: UNGUARDED if value == UNGUARDED else read(value)


def _no_guard(value: str) -> str:
    if value != UNGUARDED:
        raise ValueError(value)
    return value


GuardRatio = Annotated[float | Unguarded, leaf(_or_unguarded(ratio_above_zero), f"{A_PERCENTAGE}, or {UNGUARDED}")]
GuardPerSecond = Annotated[
    float | Unguarded, leaf(_or_unguarded(_per_second), f"how many a second, as in 0/s or 1.5/s, or {UNGUARDED}")
]
GuardSizeBytes = Annotated[
    int | Unguarded, leaf(_or_unguarded(size_bytes), f"a size with a unit: B, KB, MB or GB, as in 64MB, or {UNGUARDED}")
]
GuardDuration = Annotated[int | Unguarded, leaf(_or_unguarded(ttl_s), f"{DURATION}, or {UNGUARDED}")]
NoGuard = Annotated[Unguarded, leaf(_no_guard, f"{UNGUARDED}; this guard has no bound to set")]
