"""The classes that TTLs are counted in: the bounds people think in, not powers of two."""

from __future__ import annotations

from typing import Final

HOUR_S: Final = 3_600
DAY_S: Final = 86_400

#: Upper bounds in seconds, inclusive: a TTL of exactly one hour counts as ``1h``. Above the last one comes ``more``.
TTL_BOUNDS_S: Final[tuple[int, ...]] = (
    HOUR_S,
    DAY_S,
    7 * DAY_S,
    30 * DAY_S,
    60 * DAY_S,
    90 * DAY_S,
    180 * DAY_S,
    365 * DAY_S,
)

#: One name a class, shortest TTLs first; keys without TTL are no class of the histogram but a figure of their own.
TTL_CLASSES: Final[tuple[str, ...]] = ("1h", "1d", "7d", "30d", "60d", "90d", "180d", "1y", "more")
