"""At which instant a key shall expire: the same whoever computes it, how often, and in which order.

    instant = anchor + TTL + jitter(key, plan)
    anchor  = approval + as many whole steps of 15 minutes as it takes to lie after the moment of writing

An approval is good for a day, and a key that is written at the end of it must live for its whole TTL all the same; so
TTLs count from an anchor that follows the writing in steps, and never lies before it. The steps keep instants
recognisable: of one key, all that a plan can ever set differ by whole steps. Jitter only lengthens, so no key goes
earlier than was agreed; it depends on the key and the plan alone. Instants are milliseconds since 1970 (what PEXPIREAT
takes); jitter is whole seconds, which is fine enough to spread and short enough to journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Expiries a second that no neighbour notices (p99.9 of a GET at 1.3 ms; at 10,000 there are rare stalls of 25 ms).
UNNOTICED_EXPIRIES_PER_S: Final = 2_500
#: Between two anchors of one plan. No key lives longer than its TTL and jitter by more than this and `_AHEAD_MS`.
ANCHOR_STEP_MS: Final = 15 * 60_000
#: By how much an anchor lies after the moment of deciding at least: what is decided is written within seconds.
_AHEAD_MS: Final = 30_000
_HASH_BITS: Final = 64
#: By how much an expiry may have shifted, earlier and later, that went with its key from one node of a cluster to another: MIGRATE
#: hands on what is left of a key's life instead of the instant, so it comes later by as long as the way took (1 ms on one machine,
#: up to a second for a large value), and earlier or later by what the nodes' clocks differ. Instants of a plan are hours apart from
#: one another's, so a second more or less tells them as well; an application that sets just this second is one in 100,000s.
MOVES_SHIFT_MS: Final = (100, 1_000)


def anchor_ms(approved_at_ms: int, now_ms: int) -> int:
    """What the TTLs of keys count from that are decided about at ``now_ms``: the approval plus whole steps, half a minute
    after now or later. Both moments are ms since 1970, ``now_ms`` by the clock of the server.

    >>> anchor_ms(0, 0), anchor_ms(0, 870_000), anchor_ms(0, 870_001)
    (900000, 900000, 1800000)
    """
    late_ms = max(0, now_ms + _AHEAD_MS - approved_at_ms)
    return approved_at_ms + max(1, -(-late_ms // ANCHOR_STEP_MS)) * ANCHOR_STEP_MS


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the expiries of one rule's keys lie: ``earliest_ms`` and the ``window_s`` seconds after it."""

    earliest_ms: int
    window_s: int

    def instant_ms(self, key_hash: int) -> int:
        """The instant of the key with that 64-bit hash, which must be seeded by :func:`jitter_seed`.

        >>> Spread(1_000_000, 10).instant_ms(1 << 63)
        1005000
        """
        return self.earliest_ms + (key_hash * self.window_s >> _HASH_BITS) * 1000


def jitter_seed(digest: str) -> int:
    """The seed of the hash (XXH3, 64 bits) that a plan's keys are spread by: the first 64 bits of its digest."""
    return int(digest[:16], 16)
