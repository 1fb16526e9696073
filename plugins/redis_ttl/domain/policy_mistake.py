"""One mistake in a policy file, so exact that an editor could jump to it. Knows nothing of how files are read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyMistake:
    """What is wrong at one place of one file.

    ``line`` and ``column`` count from 1, columns in characters. ``where`` is the place in the document's own words
    (``rules[2].ttl``), empty when the file as a whole is meant. ``source`` is the offending line as it stands in the
    file, None where there is none to show. ``advice`` says what to do where ``expected`` doesn't say it all.
    """

    file: str
    line: int
    column: int
    where: str
    found: str
    expected: str
    advice: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [f"{self.file}:{self.line}:{self.column}: {place}found {self.found}; expected {self.expected}"]
        if self.source:
            lines.extend(self._source_and_caret())
        if self.advice is not None:
            lines.append(f"    {self.advice}" + ("" if self.advice.endswith("?") else "."))
        return "\n".join(lines)

    def _source_and_caret(self) -> list[str]:
        """The line with a caret below the column, cut to a window around it when it is long."""
        # A tab or an invisible character becomes a space, so that the caret stands where the mistake is.
        source = "".join(character if character.isprintable() else " " for character in self.source or "")
        start = max(0, self.column - _WINDOW // 2) if len(source) > _WINDOW else 0
        number = str(self.line)
        shown = source[start : start + _WINDOW]
        return [f"    {number} | {shown}", f"    {' ' * len(number)} | {_blank(source[start : self.column - 1])}^"]


def _blank(text: str) -> str:
    """As many spaces as the text is wide: Chinese characters take two."""
    return "".join("  " if unicodedata.east_asian_width(character) in "WF" else " " for character in text)


_WINDOW = 100
"""Characters of a long line that are shown."""
