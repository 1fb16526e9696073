"""What languages share in saying figures: their files name the units and say where the words go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import count

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

_DAY_S: Final = 86_400


def in_units(seconds: int, units: Sequence[tuple[int, str]]) -> tuple[str, str]:
    """A duration as a number and the largest of the units (in seconds, the largest first) that fits; days are rounded."""
    for length, unit in units:
        if seconds >= length:
            number = seconds / length
            if length == _DAY_S or not seconds % length:
                return count(round(number)), unit
            return f"{number:,.4g}", unit
    return "0", units[-1][1]


def zone_of(moment: dt.datetime) -> str:
    """The zone as its distance from UTC: short names of zones mean different ones to different people (CST is three)."""
    offset = moment.utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"
