"""Over how long the expiries of a plan's rules are spread, so that no neighbour ever notices them.

Rule i has k_i keys, which expire evenly between its TTL t_i and t_i + w_i: k_i / w_i of them a second. At any moment the
windows that are open add up, and with them what other plans have made to expire then, which stands. The sum grows only
where a window opens, or something standing begins; so it is enough to look at these moments, from the earliest to the
latest: where the sum is too high, every window that is open there is widened by the same factor. A window grows at its end
only; so nothing changes before that moment except that rates fall, and what it may now reach comes later and is looked at
later. One pass is enough.

When a key's window begins depends on when it is written (:mod:`redis_ttl.domain.plan.expiry`), up to ``late_s`` later than its
rule's first. However the keys of a rule are spread over the time of writing, no second has more than k_i / w_i of them; so
a window that may begin late counts as open until its latest end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.plan.expiry import UNNOTICED_EXPIRIES_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What windows are made for. Keys choose their second by a hash, so seconds differ from their mean by its square root
#: (47 here): the limit lies more than five of those above.
PLANNED_EXPIRIES_PER_S: Final = 0.9 * UNNOTICED_EXPIRIES_PER_S
#: What windows are fitted to where other plans leave less: a window of years would be no TTL any more.
LEAST_ROOM_PER_S: Final = 0.1 * PLANNED_EXPIRIES_PER_S


@dataclass(frozen=True, slots=True)
class Expiring:
    """The keys of one rule, the TTL that they get, and how long their window is at least."""

    keys: int
    ttl_s: int
    least_window_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Keys that expire whatever is decided now: at most ``per_s`` a second, from ``first_s`` to ``last_s`` seconds from now."""

    first_s: int
    last_s: int
    per_s: float


def fit_windows(rules: Sequence[Expiring], *, standing: Sequence[Standing] = (), late_s: int = 0) -> list[int]:
    """The window of each rule in whole seconds: never shorter than asked for, and at least one second.

    Where ``standing`` leaves less than a tenth of what goes unnoticed, windows are fitted to that tenth; whether the sum is
    still bearable then is told by :func:`worst_rate_per_s`.
    """
    windows = [max(1, rule.least_window_s, ceil(rule.keys / PLANNED_EXPIRIES_PER_S)) for rule in rules]
    for instant_s in _moments(rules, standing):
        open_now = _open_at(instant_s, rules, windows, late_s)
        rate = sum(rules[number].keys / windows[number] for number in open_now)
        room = max(LEAST_ROOM_PER_S, PLANNED_EXPIRIES_PER_S - _standing_at(instant_s, standing))
        if rate > room:
            for number in open_now:
                windows[number] = ceil(windows[number] * rate / room)
    return windows


def worst_rate_per_s(
    rules: Sequence[Expiring], windows: Sequence[int], *, standing: Sequence[Standing] = (), late_s: int = 0
) -> float:
    """The most expiries a second that a moment with keys of these rules comes to, together with what stands."""
    rates = []
    for instant_s in _moments(rules, standing):
        open_now = _open_at(instant_s, rules, windows, late_s)
        if open_now:
            own = sum(rules[number].keys / windows[number] for number in open_now)
            rates.append(own + _standing_at(instant_s, standing))
    return max(rates, default=0.0)


def _moments(rules: Sequence[Expiring], standing: Sequence[Standing]) -> list[int]:
    return sorted({rule.ttl_s for rule in rules} | {each.first_s for each in standing})


def _standing_at(instant_s: int, standing: Sequence[Standing]) -> float:
    return sum(each.per_s for each in standing if each.first_s <= instant_s <= each.last_s)


def _open_at(instant_s: int, rules: Sequence[Expiring], windows: Sequence[int], late_s: int) -> list[int]:
    return [
        number
        for number, (rule, window_s) in enumerate(zip(rules, windows, strict=True))
        if rule.ttl_s <= instant_s < rule.ttl_s + window_s + late_s
    ]
