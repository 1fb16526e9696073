"""A plan as tables that fit the terminal. Knows rich and the finished plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from redis_ttl.messages.figures import count, printable
from redis_ttl.messages.pages.plan_page import (
    RULE_HEADER,
    ground_lines,
    memory_rows,
    rule_row,
    skipped_rows,
    summary,
    warnings_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from redis_ttl.domain.plan.plan import Plan


def plan_tables(plan: Plan) -> RenderableType:
    """Warnings, what would happen, memory, what is left alone and left out, and what it rests on."""
    refused = [(rule.pattern, count(rule.concerned_keys), rule.refusal or "") for rule in plan.rules if rule.refusal]
    parts: list[RenderableType] = [Text(f"warning: {printable(each)}", style="yellow") for each in warnings_of(plan)]
    parts += [Text(summary(plan), style="bold"), Text()]
    parts += [_table(RULE_HEADER, [rule_row(plan, rule) for rule in plan.included], figures=(2,)), Text()]
    parts += [_table(("Memory", "Used", "Of limit", "Why"), memory_rows(plan), figures=(1, 2)), Text()]
    left_alone = [(who, count(keys), why) for who, keys, why in skipped_rows(plan)]
    parts += [_table(("Skipped", "Keys", "Why"), left_alone, figures=(1,)), Text()] if left_alone else []
    parts += [_table(("Rule left out", "Keys", "Why"), refused, figures=(1,)), Text()] if refused else []
    parts += [Text(line, style="dim") for line in (*ground_lines(plan), f"Digest {plan.digest}.")]
    return Group(*parts)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, figures: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(header):
        # Figures keep their digits, texts wrap: in a narrow terminal the table grows longer, and loses nothing.
        is_figure = number in figures
        table.add_column(name, justify="right" if is_figure else "left", no_wrap=is_figure, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
