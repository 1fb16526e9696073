"""How fast keys are changed. The rate is one server's; those who write to it at the same time share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redis_ttl.domain.errors import InvalidOption

UNLIMITED: Final = "unlimited"


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
    word = text.strip().lower()
    if word == UNLIMITED:
        return Rate(None)
    match = re.fullmatch(r"([1-9][0-9_,]*)\s*((?:keys)?/s)", word, re.ASCII)
    if match is None:
        raise InvalidOption(
            "this rate can't be used",
            where="rate",
            found=repr(text),
            allowed="keys changed per second as in 20000/s, or unlimited",
        )
    return Rate(float(re.sub("[_,]", "", match[1])))
