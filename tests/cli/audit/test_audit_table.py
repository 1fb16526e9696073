"""The table of patterns in terminals of different widths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from redis_ttl.cli.audit.table import audit_tables
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from tests.messages.pages.test_audit_report import AUDIT

LONG = PatternStatistics(
    db=0,
    pattern="spring:session:index:org.springframework.session.PRINCIPAL_NAME_INDEX_NAME:用户:{email}:" + "x" * 120,
    governance=Governance.NONE,
    governed_by=None,
    keys=1_234_567,
    no_ttl_keys=1_234_000,
    ttl_histogram=(1, 2, 3, 4, 5, 6, 7, 8, 531),
)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_figures_stay_whole_in_any_width(width: int) -> None:
    """However narrow the terminal and however long a pattern, no line is too wide and no figure of a row is cut."""
    console = Console(width=width)
    audit = replace(AUDIT, patterns=(LONG, *AUDIT.patterns))
    with console.capture() as captured:
        console.print(audit_tables(audit, width=width, rows=10), width=width)
    lines = captured.get().splitlines()
    assert max(map(cell_len, lines)) <= width
    [row] = [line for line in lines if line.startswith("spring:")]
    assert "1,234,567  1,234,000  100.0%" in row
