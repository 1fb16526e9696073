"""Over how long the expiries of a plan's rules are spread, so that no neighbour ever notices them.

Rule i has k_i keys, which expire evenly between its TTL t_i and t_i + w_i: k_i / w_i of them a second. At any moment the
windows that are open add up. They add up to more only where another one opens, so it is enough to look at each t_i, from
the earliest to the latest: where the sum is too high, every window that is open there is widened by the same factor. A
window grows at its end only; so nothing changes before t_i except that rates fall, and what it may now reach comes later
and is looked at later. One pass is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.expiry import UNNOTICED_EXPIRIES_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What windows are made for. Keys choose their second by a hash, so seconds differ from their mean by its square root
#: (47 here): the limit lies more than five of those above.
PLANNED_EXPIRIES_PER_S: Final = 0.9 * UNNOTICED_EXPIRIES_PER_S


@dataclass(frozen=True, slots=True)
class Expiring:
    """The keys of one rule, the TTL that they get, and how long their window is at least."""

    keys: int
    ttl_s: int
    least_window_s: int


def fit_windows(rules: Sequence[Expiring]) -> list[int]:
    """The window of each rule in whole seconds: never shorter than asked for, and at least one second."""
    windows = [max(1, rule.least_window_s, ceil(rule.keys / PLANNED_EXPIRIES_PER_S)) for rule in rules]
    for instant_s in sorted({rule.ttl_s for rule in rules}):
        open_now = _open_at(instant_s, rules, windows)
        rate = sum(rules[number].keys / windows[number] for number in open_now)
        if rate > PLANNED_EXPIRIES_PER_S:
            for number in open_now:
                windows[number] = ceil(windows[number] * rate / PLANNED_EXPIRIES_PER_S)
    return windows


def worst_rate_per_s(rules: Sequence[Expiring], windows: Sequence[int]) -> float:
    """The most expiries a second that the windows come to, on average over the stretch where they overlap."""
    rates = (
        sum(rules[number].keys / windows[number] for number in _open_at(rule.ttl_s, rules, windows)) for rule in rules
    )
    return max(rates, default=0.0)


def _open_at(instant_s: int, rules: Sequence[Expiring], windows: Sequence[int]) -> list[int]:
    return [
        number
        for number, (rule, window_s) in enumerate(zip(rules, windows, strict=True))
        if rule.ttl_s <= instant_s < rule.ttl_s + window_s
    ]
