"""What the languages share in writing figures; their own files name the units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.messages.figures import count

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


def in_units(seconds: int, units: Sequence[tuple[int, str]], *, most: int = 2) -> list[tuple[str, str]]:
    """A duration as numbers and units (in seconds, the largest first): at most so many of them, the last one rounded, none of them 0.
    A TTL that is agreed on must not lose its hours.
    """
    for at, (length, _) in enumerate(units):
        if seconds >= length:
            smallest = units[min(at + most, len(units)) - 1][0]
            left = round(seconds / smallest) * smallest
            # Rounding may fill a larger unit: 23 h 59 min 40 s are a day.
            at = at - 1 if at and left >= units[at - 1][0] else at  # noqa: PLW2901  # the same place, seen again
            found = []
            for size, unit in units[at : at + most]:
                number, left = divmod(left, size)
                if number:
                    found.append((count(number), unit))
            return found
    return [("0", units[-1][1])]


def zone_of(moment: dt.datetime) -> str:
    """The zone as its distance from UTC: short names of zones mean different ones to different people (CST is three)."""
    offset = moment.utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"
