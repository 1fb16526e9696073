"""At which instant a key shall expire: the same whoever computes it, how often, and in which order.

    instant = approval + TTL + jitter(key, plan)

Jitter only lengthens, so nobody's key goes earlier than was agreed; it depends on the key and the plan alone, so a
retry sets the same instant, and a rollback can tell our expiry from anyone else's. Instants are milliseconds since 1970
(what PEXPIREAT takes); jitter is whole seconds, which is fine enough to spread and short enough to journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Expiries a second that no neighbour notices (p99.9 of a GET at 1.3 ms; at 10,000 there are rare stalls of 25 ms).
UNNOTICED_EXPIRIES_PER_S: Final = 2_500
_HASH_BITS: Final = 64


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
