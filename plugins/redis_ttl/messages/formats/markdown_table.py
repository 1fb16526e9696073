"""Tables in GitHub's Markdown that also read well as plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_AFTER_BACKSLASH: Final = re.compile(r"(\\)(\|+)")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """The table, its columns aligned; those numbered ``right`` to the right. A ``|`` in a cell is text, not a border."""
    cells = [[_in_cell(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *(columns_of(row[column]) for row in cells)) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        aligned = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - columns_of(cell))
            aligned.append(padding + cell if column in right else cell + padding)
        return "| " + " | ".join(aligned) + " |"

    rule = ["-" * (width - 1) + ":" if column in right else "-" * width for column, width in enumerate(widths)]
    return "\n".join([line(cells[0]), line(rule), *(line(row) for row in cells[1:])])


def _in_cell(cell: str) -> str:
    """A cell in which a ``|`` is text: escaped; behind a backslash, where programs disagree about what that escapes, written out."""
    return _AFTER_BACKSLASH.sub(lambda found: found[1] + "\\x7c" * len(found[2]), cell).replace("|", "\\|")
