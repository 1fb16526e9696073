"""What a benchmark came to: one figure a row, with its target where one was promised. Knows nothing of what was measured."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, Self

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: ``target`` in words as in ``>= 3``, ``met`` whether it was reached; None for both without a promise.

    ``noise`` says between what the single measurements lay; it is for readers of the table.
    """

    name: str
    value: float
    unit: str
    target: str | None = None
    met: bool | None = None
    noise: str = ""

    @classmethod
    def promised(cls, name: str, value: float, unit: str, relation: str, bound: float) -> Self:
        """A figure that has to be ``>=`` or ``<=`` a bound."""
        return cls(name, _rounded(value), unit, f"{relation} {bound:g}", _COMPARE[relation](value, bound))

    @classmethod
    def measured(cls, name: str, values: Sequence[float], unit: str) -> Self:
        """The median of several measurements."""
        noise = f"{_shown(min(values))} to {_shown(max(values))} in {len(values)}" if len(values) > 1 else ""
        return cls(name, _rounded(median(values)), unit, noise=noise)


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a list of ``name``, ``value``, ``unit``, ``target`` and ``met``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = ("name", "value", "unit", "target", "met")
    listed = [{field: getattr(row, field) for field in fields} for row in rows]
    path.write_text(json.dumps(listed, ensure_ascii=False, indent=1) + "\n")


def table(rows: Sequence[Row]) -> str:
    """The rows as text, one line each."""
    cells = [
        (
            row.name,
            _shown(row.value),
            row.unit,
            row.target or "",
            {True: "met", False: "MISSED", None: row.noise}[row.met],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {target:<{widths[3]}}  {met}".rstrip()
        for name, value, unit, target, met in cells
    )


def _rounded(value: float) -> float:
    return round(value) if abs(value) >= 1_000 else round(value, 3)  # noqa: PLR2004  # finer than that is noise


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits at least
