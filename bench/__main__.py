"""``python -m bench``: start the server, measure, print the table, write ``build/bench.json``.

``KEYS`` sets the size of the keyspace and ``ROUNDS`` how often the comparison is repeated; ``AIRFLOW=yes`` adds the
audit in a complete Airflow, at the demo's size and at the incident's.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from bench.bench_server import bench_server
from bench.drift import rows_of_drift
from bench.gentle import rows_of_gentle
from bench.in_airflow import rows_in_airflow
from bench.remediation import rows_of_remediation
from bench.rounds import rows_measured_once, rows_of_rounds, run_rounds
from bench.rows import Row, table, write_json
from bench.watch import rows_of_watch

KEYS: Final = 2_000_000
ROUNDS: Final = 3
TURNS: Final = 8
TURN_S: Final = 3.0
RESULT: Final = Path("build/bench.json")


def measure(keys: int, rounds: int, turn_s: float = TURN_S) -> list[Row]:
    """Everything, on a keyspace of that size."""
    _say(f"loading {keys:,} keys")
    with bench_server(keys) as server:
        _say(f"{server.title}; {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
        if server.cli is None:
            _say("no redis-cli for this server: its reports aren't measured")
        rows = rows_of_rounds(run_rounds(server, rounds, _say))
        rows += rows_measured_once(server, _say)
        rows += rows_of_gentle(server, _say, turns=TURNS, turn_s=turn_s)
    rows += rows_of_drift(keys * 3 // 2, rounds, _say)
    rows += rows_of_watch(_say, looks=min(keys // 500, 14 * 288))
    return [*rows, *rows_of_remediation(keys, rounds, _say, turns=TURNS, turn_s=turn_s)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # this is a program


def main() -> None:
    """Measure, print, write."""
    started_s = time.monotonic()
    rows = measure(int(os.environ.get("KEYS", KEYS)), int(os.environ.get("ROUNDS", ROUNDS)))
    if os.environ.get("AIRFLOW") == "yes":
        rows += rows_in_airflow(_say)
    write_json(rows, RESULT)
    print(table(rows))  # noqa: T201
    _say(f"written to {RESULT} after {time.monotonic() - started_s:.0f} s")


if __name__ == "__main__":
    main()
