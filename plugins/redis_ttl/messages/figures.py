"""Numbers, sizes, times and key names as people read them. English; knows nothing of what the figures are about."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.ttl_histogram import DAY_S, HOUR_S, TTL_CLASSES

if TYPE_CHECKING:
    from redis_ttl.domain.audit.estimate import Estimate
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics

_KIBI: Final = 1024
_MINUTE_S: Final = 60
_ONE_PERCENT: Final = 0.01
#: Below this a share would be rounded to 0% where whole percents are shown.
_SHOWS_AS_ZERO: Final = 0.005
_BYTE_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
#: Control, format (right-to-left marks, zero-width joiners), surrogate and private characters, and line ends: none may
#: act in a report.
_ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def count(number: int | None) -> str:
    """``2,623,984``."""
    return "unknown" if number is None else f"{number:,}"


def ratio(share: float | None) -> str:
    """A share as a percentage with one decimal; what is there but below 0.1% says so."""
    if share is None:
        return "unknown"
    return "<0.1%" if 0 < share < _SHOWS_AS_ZERO / 10 else f"{share:.1%}"


def size(size_bytes: float | None) -> str:
    """Bytes in binary units, three digits: ``2.10 GiB``."""
    if size_bytes is None:
        return "unknown"
    value, unit = float(size_bytes), 0
    while value >= _KIBI and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / _KIBI, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else 1 if value >= 9.995 else 2  # noqa: PLR2004  # where three digits end
    return f"{value:.{digits}f} {_BYTE_UNITS[unit]}"


def estimated_size(estimate: Estimate | None) -> str:
    """An estimated size with the half width of its 95% interval in percent: ``12.4 MiB ±3%``."""
    if estimate is None:
        return "unknown"
    if estimate.half_width is None:
        return f"{size(estimate.value)} ±?"
    if not estimate.half_width or not estimate.value:
        return size(estimate.value)
    width = estimate.half_width / estimate.value
    return f"{size(estimate.value)} ±{'<1%' if width < _ONE_PERCENT else f'{width:.0%}'}"


def duration(seconds: float) -> str:
    """The largest unit that fits, with the next one: ``364d``, ``2h 5m``, ``8.2s``."""
    if seconds < _MINUTE_S / 6:
        return f"{seconds:.1f}s"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f}s"
    if seconds < HOUR_S:
        return f"{int(seconds) // _MINUTE_S}m {int(seconds) % _MINUTE_S}s"
    if seconds < 2 * DAY_S:
        return f"{int(seconds) // HOUR_S}h {int(seconds) % HOUR_S // _MINUTE_S}m"
    return f"{seconds / DAY_S:.0f}d"


def ttl_spread(pattern: PatternStatistics) -> str:
    """How the TTLs of a pattern are spread: the share of its keys in each class that has any, ``never`` first; then those that
    end with their last field, as hashes do whose every field has a TTL.
    """
    parts = []
    if pattern.lasting_keys:
        parts.append(f"never {_share(pattern.lasting_keys / pattern.keys)}")
    if pattern.ending_keys:
        parts.append(f"by fields ~{_share(pattern.ending_keys / pattern.keys)}")
    for name, keys in zip(TTL_CLASSES, pattern.ttl_histogram, strict=True):
        if keys:
            label = ">1y" if name == "more" else f"≤{name}"
            parts.append(f"{label} {_share(keys / pattern.keys)}")
    return " ".join(parts)


def printable(text: str, width: int | None = None) -> str:
    r"""A name in which nothing acts: control and format characters are written out (``\n``, ``\u202e``); cut to
    ``width`` with an ellipsis.
    """
    shown = "".join(
        character if unicodedata.category(character) not in _ACTING else _escaped(character) for character in text
    )
    return shown if width is None or len(shown) <= width else shown[: max(0, width - 1)] + "…"


def columns_of(text: str) -> int:
    """The columns that a text takes where every letter has the same width: two for a Chinese one (Unicode, UAX #11)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def code_span(text: str) -> str:
    """A name as Markdown code, in which no markup acts, whatever backticks it has itself (CommonMark, section 6.1)."""
    text = text or '""'
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    is_stripped = text.startswith(" ") and text.endswith(" ") and text.strip(" ")
    padding = " " if is_stripped or text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _share(share: float) -> str:
    return "<1%" if share < _SHOWS_AS_ZERO else ">99%" if 1 - _SHOWS_AS_ZERO <= share < 1 else f"{share:.0%}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
