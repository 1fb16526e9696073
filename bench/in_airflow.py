"""The audit in a complete Airflow, from its trigger to its success: the demo, in a folder of its own, stopped afterwards.

In a process of its own, started as ``python -m bench.in_airflow KEYS``, because the demo ends by ignoring signals.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.rows import Row
from demo.display import Display
from demo.first_audit import LOAD
from demo.home import Home
from demo.run import Demo
from demo.stop import clean
from redis_ttl.domain.incident.incident import FULL_KEYS

_CHECKOUT: Final = Path(__file__).resolve().parent.parent
_SIZES: Final = (("a tenth of the incident", FULL_KEYS // 10, 30), ("the whole incident", FULL_KEYS, 90))


def rows_in_airflow(say: Callable[[str], None]) -> list[Row]:
    """How long the audit takes in Airflow, at the demo's size and at the incident's."""
    rows = []
    for title, keys, most_s in _SIZES:
        say(f"an audit in Airflow: {title}, {keys:,} keys")
        answer = subprocess.run(  # noqa: S603  # this very module
            [sys.executable, "-m", "bench.in_airflow", str(keys)], check=True, stdout=subprocess.PIPE
        )
        seconds = json.loads(answer.stdout)
        rows.append(Row.promised(f"audit in Airflow, {title}: trigger to success", seconds, "s", "<=", most_s))
    return rows


class _BenchHome(Home):
    """The demo's folder, apart from the one that a person's demo uses."""

    @property
    def root(self) -> Path:
        return self.checkout / "build" / "bench-airflow"


class _Stopwatch(Display):
    """Remembers what each of the demo's steps took, and leaves out its report."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.durations_s: dict[str, float] = {}

    def done(self, title: str, duration_s: float) -> None:
        self.durations_s[title] = duration_s
        super().line(f"  {title}: {duration_s:.1f} s")

    def line(self, text: str = "") -> None:
        pass


def _audited_in_s(keys: int) -> float:
    home, display = _BenchHome(_CHECKOUT), _Stopwatch()
    home.root.parent.mkdir(exist_ok=True)
    try:
        Demo(home, keys, display).run(once=True)
    finally:
        clean(home, display)
    return display.durations_s[f"Audit, load {LOAD}"]


if __name__ == "__main__":
    print(json.dumps(_audited_in_s(int(sys.argv[1]))))  # noqa: T201  # the answer to the parent
