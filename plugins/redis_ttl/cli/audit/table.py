"""An audit as a table that fits the terminal. Knows rich and the finished audit, nothing of how it came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.messages.figures import count, estimated_size, printable, ratio, ttl_spread
from redis_ttl.messages.pages.audit_report import (
    RULE_HEADER,
    counting_lines,
    examples_text,
    governed_text,
    headline,
    rule_rows,
    ttl_of_all,
    types_text,
    use_text,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics

#: Columns that go first when the terminal is narrow: what is left still names the pattern and the leak.
_BYTES_FROM: Final = 90
_RULE_FROM: Final = 120
_PATTERN_LEAST: Final = 12
_GAP: Final = 2
_BAR_WIDTH: Final = 30


def audit_tables(
    audit: Audit, *, width: int, rows: int, details: bool = False, memory_limit_bytes: int | None = None
) -> RenderableType:
    """The report: headline, patterns (with ``details`` also what they hold), TTL spread, how it was counted."""
    parts: list[RenderableType] = [Text(headline(audit, memory_limit_bytes).replace("**", ""), style="bold"), Text()]
    parts += [Text(f"note: {printable(warning)}", style="yellow") for warning in audit.warnings]
    if audit.patterns:
        parts += [_patterns(audit, width, rows), *_rest(audit.patterns[rows:]), Text()]
        parts += [_details(audit.patterns[:rows]), Text()] if details else []
        parts += [_rules(audit), Text()] if audit.plan.rules else []
        parts.append(_spread(audit))
    parts += [Text(), *(Text(line, style="dim") for line in counting_lines(audit))]
    return Group(*parts)


def _patterns(audit: Audit, width: int, rows: int) -> Table:
    shown = audit.patterns[:rows]
    several = len({pattern.db for pattern in audit.patterns}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")

    def add(header: str, cells: list[str], *, most: int, justify: Literal["left", "right"] = "left") -> None:
        # Every width is given: where there is too little room, Rich takes some from every column, and a figure that
        # lost its last digit is worse than a shorter pattern.
        needed = min(max(map(cell_len, [header, *cells])), most)
        table.add_column(header, justify=justify, no_wrap=True, overflow="ellipsis", width=needed)

    def add_figures(header: str, cells: list[str]) -> None:
        add(header, cells, most=width, justify="right")
        figures.append(cells)

    figures: list[list[str]] = []
    if several:
        add_figures("db", [str(pattern.db) for pattern in shown])
    add("pattern", [printable(pattern.pattern) for pattern in shown], most=width)
    add_figures("keys", [count(pattern.keys) for pattern in shown])
    add_figures("no TTL", [count(pattern.no_ttl_keys) for pattern in shown])
    add_figures("share", [ratio(pattern.no_ttl_ratio) for pattern in shown])
    if width >= _BYTES_FROM:
        add_figures("bytes", [estimated_size(pattern.size_bytes) for pattern in shown])
    add("TTL", [ttl_spread(pattern) for pattern in shown], most=max(14, width // 4))
    if width >= _RULE_FROM:
        add("rule", [governed_text(pattern) for pattern in shown], most=width // 5)
    named = table.columns[several]
    others = sum(column.width or 0 for column in table.columns if column is not named) + _GAP * (len(table.columns) - 1)
    named.width = min(named.width or 0, max(_PATTERN_LEAST, width - others))
    for pattern, *cells in zip(shown, *figures, strict=True):
        row = [Text(cell) for cell in cells]
        row[several + 1].stylize("red" if pattern.no_ttl_keys else "dim")
        row.insert(several, Text(printable(pattern.pattern)))
        row.append(Text(ttl_spread(pattern)))
        if width >= _RULE_FROM:
            row.append(Text(governed_text(pattern), style="dim" if pattern.governance is Governance.NONE else "green"))
        table.add_row(*row)
    return table


def _details(patterns: tuple[PatternStatistics, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("pattern", ratio=2, overflow="ellipsis", no_wrap=True)
    table.add_column("types", no_wrap=True)
    table.add_column("use", no_wrap=True)
    table.add_column("examples", ratio=3, overflow="ellipsis", no_wrap=True)
    for pattern in patterns:
        names = [pattern.pattern, types_text(pattern), use_text(pattern), examples_text(pattern)]
        table.add_row(*(Text(printable(name)) for name in names))
    return table


def _rules(audit: Audit) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in RULE_HEADER:
        is_figure = name in ("Keys", "No TTL", "Longer")
        table.add_column(name, justify="right" if is_figure else "left", no_wrap=True)
    for row in rule_rows(audit):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _rest(patterns: tuple[PatternStatistics, ...]) -> list[Text]:
    if not patterns:
        return []
    keys, no_ttl = sum(pattern.keys for pattern in patterns), sum(pattern.no_ttl_keys for pattern in patterns)
    return [
        Text(
            f"and {count(len(patterns))} more patterns with {count(keys)} keys, {count(no_ttl)} without TTL (--top 0 shows all)",
            style="dim",
        )
    ]


def _spread(audit: Audit) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("TTL distribution")
    table.add_column("keys", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    for label, keys in ttl_of_all(audit.patterns):
        share = keys / audit.keys if audit.keys else 0.0
        table.add_row(
            label,
            count(keys),
            ratio(share),
            Text("█" * round(share * _BAR_WIDTH), style="red" if label == "never" else "blue"),
        )
    return table
