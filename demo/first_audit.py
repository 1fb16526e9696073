"""The audit of the demo: triggered as a person would, and its report held against what was loaded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.dag_run import DagRun
from demo.failure import DemoFailed
from demo.home import Home, read_json, read_text

if TYPE_CHECKING:
    from demo.airflow_rest import AirflowRest
    from demo.display import Display

CLUSTER = "luckyus-isales-market"
DAG_ID = f"redis_ttl.{CLUSTER}.audit"
POLICY = f"include/policies/{CLUSTER}.yaml"
LOAD = "fast"
"""The demo's server has no neighbours to be gentle with."""

USER = "alice"
"""Who triggers it: an operator, so that Airflow's audit log names one."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An audit that succeeded: its run, its report, and how its counts compare with what was loaded."""

    run_id: str
    report: str
    comparison: str
    folder: Path
    message: Path | None
    """What the owner would be told, if there was a connection to tell it over; None where it was told before."""


class FirstAudit:
    """One run of the audit DAG."""

    def __init__(self, home: Home, rest: AirflowRest, display: Display) -> None:
        self._home = home
        self._rest = rest
        self._display = display
        self._earlier: set[Path] = set()

    def start(self) -> DagRun:
        """Trigger it."""
        self._earlier = self._audits()
        return DagRun.started(self._rest, DAG_ID, {"load": LOAD}, title="audit", display=self._display)

    def keys_scanned(self) -> str:
        """How many keys the shards of this audit have counted and saved."""
        saved = [
            read_json(path) for folder in self._audits() - self._earlier for path in folder.glob("shards/*/*.json")
        ]
        return f"{sum(int(checkpoint['keys']) for checkpoint in saved if isinstance(checkpoint, dict)):,} keys"

    def finished(self, run_id: str, loaded: dict[str, Any] | None) -> Finished:
        """The report of a run that succeeded."""
        audit_id = self._rest.result(DAG_ID, run_id, "report")["audit_id"]
        folder = self._home.store / CLUSTER / "audits" / audit_id
        audit = read_json(folder / "audit.json")
        if not isinstance(audit, dict):
            raise DemoFailed(f"the audit succeeded, and left no document in {folder}")
        return Finished(
            run_id, read_text(folder / "report.md"), compared(audit, loaded), folder, self._message(audit_id)
        )

    def _message(self, audit_id: str) -> Path | None:
        outbox = (self._home.store / CLUSTER / "messages").glob("*/*/message.md")
        return next((path for path in outbox if audit_id in read_text(path)), None)

    def _audits(self) -> set[Path]:
        return set((self._home.store / CLUSTER / "audits").glob("*"))


def compared(audit: dict[str, Any], loaded: dict[str, Any] | None) -> str:
    """One sentence on whether the audit found what was loaded, with every pattern for which it didn't."""
    if loaded is None:
        return "What was loaded isn't known, so the counts can't be compared."
    wanted, found = _counts(loaded), _counts(audit)
    wrong = sorted(pattern for pattern in wanted.keys() | found.keys() if wanted.get(pattern) != found.get(pattern))
    if not wrong:
        return f"The counts equal what was loaded, in all {len(wanted)} patterns."
    lines = [f"The counts differ from what was loaded in {len(wrong)} patterns (keys, of them without TTL):"]
    lines += [
        f"  {pattern!r}: loaded {wanted.get(pattern, (0, 0))}, found {found.get(pattern, (0, 0))}" for pattern in wrong
    ]
    return "\n".join(lines)


def _counts(document: dict[str, Any]) -> dict[str, tuple[int, int]]:
    counts: Counter[str] = Counter()
    without_ttl: Counter[str] = Counter()
    for row in document["patterns"]:
        counts[row["pattern"]] += row["keys"]
        without_ttl[row["pattern"]] += row["no_ttl_keys"]
    return {pattern: (keys, without_ttl[pattern]) for pattern, keys in counts.items()}
