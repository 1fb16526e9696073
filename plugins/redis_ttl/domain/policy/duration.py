"""Durations as people write them (``60d``, ``1d12h``), and back. Knows no clock and no calendar."""

from __future__ import annotations

import re
from typing import Final

from redis_ttl.domain.errors import InvalidOption

UNIT_SECONDS: Final = {"y": 365 * 86_400, "w": 7 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""What a unit is worth. A month is missing on purpose: it has no fixed length, and ``m`` is a minute."""

EXPECTED: Final = "a duration with a unit: y, w, d, h, m or s, as in 60d, 12h or 1d12h"

#: A hundred years: no TTL, no wait and no age that anybody means is longer, and every clock can still add it to now.
MAX_DURATION_S: Final = 100 * 365 * 86_400

_PART = re.compile(r"([0-9]+)([ywdhms])")
_WHOLE = re.compile(r"(?:[0-9]+[ywdhms])+")
#: Digits of one part, with leading zeros: more are refused before they become a number.
_MOST_DIGITS: Final = 10
_NUMBER = re.compile(r"[+]?[0-9]+(?:\.[0-9]+)?")
_SECONDS = re.compile(r"[1-9][0-9]{0,11}")
_SHOWN: Final = 60
_WORDS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d", "week": "w", "weeks": "w", "year": "y", "years": "y",
}  # fmt: skip
_WORDED = re.compile(r"([0-9]{1,10})\s*([a-z]{1,10})", re.IGNORECASE)


def parse_duration(text: str) -> int:
    """The seconds of a duration, always more than zero; ``InvalidOption`` for anything that could be read in two ways.

    Units go from large to small and each comes once, so that a slip such as ``1h1d`` is noticed. A year is 365 days.
    """
    if not _WHOLE.fullmatch(text):
        raise InvalidOption("not a duration", found=_shown(text), allowed=EXPECTED, todo=_advice(text))
    written = _PART.findall(text)
    units = [unit for _, unit in written]
    if units != [unit for unit in UNIT_SECONDS if unit in units]:
        raise InvalidOption(
            "units out of order",
            found=_shown(text),
            allowed="each unit once, the largest first, as in 1d12h",
            todo=None,
        )
    if any(len(number) > _MOST_DIGITS for number, _ in written):
        raise _too_long(text)
    seconds = sum(int(number) * UNIT_SECONDS[unit] for number, unit in written)
    if seconds > MAX_DURATION_S:
        raise _too_long(text)
    if seconds == 0:
        raise InvalidOption(
            "a duration of zero",
            found=_shown(text),
            allowed="more than zero",
            todo="Zero would delete the keys at once",
        )
    return seconds


def _too_long(text: str) -> InvalidOption:
    return InvalidOption(
        "too long a duration",
        found=_shown(text),
        allowed=f"at most {MAX_DURATION_S // UNIT_SECONDS['y']}y, which is {format_duration(MAX_DURATION_S)}",
    )


def format_duration(seconds: int) -> str:
    """The shortest exact text of a number of seconds in days and smaller units; ``parse_duration`` reads it back.

    Weeks and years are not used: people compare TTLs in days. Zero is ``0s``.
    """
    if seconds < 0:
        return "-" + format_duration(-seconds)
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(seconds, UNIT_SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _shown(text: str) -> str:
    plain = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text[:_SHOWN])[:_SHOWN]
    return f"`{plain}`" if len(text) <= _SHOWN else f"`{plain}...`"


def _advice(text: str) -> str | None:
    if text.startswith("-"):
        return "A negative TTL would delete the keys at once"
    if _NUMBER.fullmatch(text):
        if _SECONDS.fullmatch(text):
            return f"A bare number doesn't say its unit: {text} seconds are written {format_duration(int(text))}"
        return "A bare number doesn't say its unit"
    worded = _WORDED.fullmatch(text.strip())
    if worded:
        unit = worded[2].lower()
        unit = _WORDS.get(unit, unit)
        if unit in UNIT_SECONDS:
            return f"Write {worded[1]}{unit}"
        if unit in ("mo", "month", "months"):
            return f"A month has no fixed length: write the days, as in {int(worded[1]) * 30}d"
        if unit == "ms":
            return "Milliseconds are finer than a policy can say; the smallest unit is s"
    return None
