"""The benchmark on a keyspace that is too small to measure anything: what it promises about its own result."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from bench.__main__ import measure
from bench.rows import Row, table, write_json

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_promise_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run gives rows of five fields, a target and a verdict for each promise, as JSON and as a table."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["plugins", "."]))
    write_json(measure(keys=2_000, rounds=1, turn_s=0.1), tmp_path / "build" / "bench.json")
    rows = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert all(list(row) == ["name", "value", "unit", "target", "met"] for row in rows)
    assert all((row["target"] is None) == (row["met"] is None) for row in rows)
    promises = {row["name"] for row in rows if row["target"]}
    assert {
        "1 shard, inspect to merge, against redis-py",
        "server busy while 2 shards are read",
        "server CPU per key against SCAN alone, 1 shard",
        "throughput that 50 rules cost",
        "peak memory of the scanning process",
        "GET p99 beside a gentle audit against idle",
        "server CPU share of a gentle audit",
        "keys changed, journalled, scan included, 1 task",
        "keys changed against the bare pipeline",
        "journal bytes per key, the incident's rules",
        "peak memory of the writing process",
        "GET p99 beside a remediation against idle",
        "drift check: fingerprints compared",
        "peak memory of the comparing process",
    } <= promises


def test_a_missed_promise_is_said() -> None:
    """The table shows for each row with a target whether it was met."""
    rows = [
        Row.promised("fast", 3.2, "times", ">=", 3),
        Row.promised("small", 301.0, "MiB", "<=", 300),
        Row.measured("plain", [1_000_000.0, 3_000_000.0, 2_000_000.0], "keys/s"),
    ]
    assert [line.split()[-1] for line in table(rows).splitlines()] == ["met", "MISSED", "3"]
    assert "2,000,000" in table(rows)
