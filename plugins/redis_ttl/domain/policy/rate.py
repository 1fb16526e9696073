"""How fast keys are changed. The rate is one server's; those who write to it at the same time share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.written import KEYS_PER_S, MOST_KEYS_PER_S, number_of, quoted, whole, word

UNLIMITED: Final = "unlimited"
RATE_EXPECTED: Final = f"keys changed per second as in 20000/s, at most {MOST_KEYS_PER_S:,}/s; or unlimited"
#: What :func:`parse_rate` reads, all of it.
RATE_PATTERN: Final = whole(rf"{word(UNLIMITED)}|({KEYS_PER_S})[ \t]*(?:{word('keys')})?/{word('s')}")
_RATE: Final = re.compile(RATE_PATTERN)


@dataclass(frozen=True, slots=True)
class Rate:
    """Keys changed per second; ``None`` is as fast as the server takes them."""

    keys_per_s: float | None

    def share(self, sharers: int) -> Rate:
        """The part of each of so many writers."""
        return self if self.keys_per_s is None else Rate(self.keys_per_s / max(1, sharers))

    def __str__(self) -> str:
        return UNLIMITED if self.keys_per_s is None else f"{self.keys_per_s:,.0f} keys/s"


def parse_rate(text: str) -> Rate:
    """The rate that a person wrote: ``20000/s``, ``20,000 keys/s`` or ``unlimited``. Raises `InvalidOption`."""
    match = _RATE.match(text)
    if match is None:
        raise InvalidOption(
            "this rate can't be used",
            where="rate",
            found=quoted(text),
            allowed=RATE_EXPECTED,
        )
    return Rate(None if match[1] is None else float(number_of(match[1])))
