"""Triggers the audit in Airflow as a person would, follows it, and holds its report against what was loaded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.failure import DemoFailed
from demo.home import Home, read_json, read_text
from demo.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.airflow_rest import AirflowRest
    from demo.display import Display

CLUSTER = "luckyus-isales-market"
DAG_ID = f"redis_ttl.{CLUSTER}.audit"
POLICY = f"include/policies/{CLUSTER}.yaml"
LOAD = "fast"
"""The demo's server has no neighbours to be gentle with."""

USER = "alice"
"""Who triggers it: an operator, so that Airflow's audit log names one."""

_PARSED_WITHIN_S = 90.0
_DONE_WITHIN_S = 900.0
_TASKS = ("inspect_server", "plan_shards", "scan_shard", "merge_audit", "report")


@dataclass(frozen=True, slots=True)
class Finished:
    """An audit that succeeded: its run, its report, and how its counts compare with what was loaded."""

    run_id: str
    report: str
    comparison: str
    folder: Path


class FirstAudit:
    """One run of the audit DAG."""

    def __init__(self, home: Home, rest: AirflowRest, display: Display) -> None:
        self._home = home
        self._rest = rest
        self._display = display
        self._earlier: set[Path] = set()

    def trigger(self) -> str:
        """Wait until Airflow knows the DAG, unpause it and start a run; returns the run's id."""
        try:
            wait_until(lambda: self._rest.has_dag(DAG_ID), f"Airflow to read {DAG_ID}", timeout_s=_PARSED_WITHIN_S)
        except DemoFailed as error:
            raise DemoFailed("\n".join([str(error), *self._rest.import_errors()])) from error
        self._rest.unpause(DAG_ID)
        self._earlier = self._audits()
        return self._rest.trigger(DAG_ID, {"load": LOAD})

    def follow(self, run_id: str, check: Callable[[], None]) -> None:
        """Return when the run has succeeded; raises DemoFailed with the failed tasks' last words when it hasn't.

        ``check`` is called all the time, and may raise what makes waiting pointless.
        """
        state = "queued"

        def ended() -> bool:
            nonlocal state
            check()
            state = self._rest.run_state(DAG_ID, run_id)
            states = _progress(self._rest.task_instances(DAG_ID, run_id))
            self._display.moving(f"audit: {states}  {self._keys_scanned():,} keys")
            return state in ("success", "failed")

        wait_until(ended, "the audit to end", timeout_s=_DONE_WITHIN_S, every_s=0.5)
        if state != "success":
            raise DemoFailed("\n".join(["the audit failed", *self._last_words(run_id)]))

    def finished(self, run_id: str, loaded: dict[str, Any] | None) -> Finished:
        """The report of a run that succeeded."""
        audit_id = self._rest.result(DAG_ID, run_id, "report")["audit_id"]
        folder = self._home.store / CLUSTER / "audits" / audit_id
        audit = read_json(folder / "audit.json")
        if not isinstance(audit, dict):
            raise DemoFailed(f"the audit succeeded, and left no document in {folder}")
        return Finished(run_id, read_text(folder / "report.md"), compared(audit, loaded), folder)

    def _keys_scanned(self) -> int:
        """How many keys the shards of this audit have counted and saved."""
        saved = [
            read_json(path) for folder in self._audits() - self._earlier for path in folder.glob("shards/*/*.json")
        ]
        return sum(int(checkpoint["keys"]) for checkpoint in saved if isinstance(checkpoint, dict))

    def _audits(self) -> set[Path]:
        return set((self._home.store / CLUSTER / "audits").glob("*"))

    def _last_words(self, run_id: str) -> list[str]:
        failed = [task for task in self._rest.task_instances(DAG_ID, run_id) if task["state"] == "failed"]
        return [f"  {task['task_id']}: {line}" for task in failed for line in self._rest.log(DAG_ID, run_id, task)[-5:]]


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


def _progress(tasks: list[dict[str, Any]]) -> str:
    """Each task with its state, the shards as a number: ``inspect_server ✓  plan_shards ✓  scan_shard 3/8  merge_audit ·``."""
    shown = []
    for name in _TASKS:
        states = [str(task["state"]) for task in tasks if task["task_id"] == name]
        done = states.count("success")
        if len(states) > 1:
            shown.append(f"{name} {done}/{len(states)}")
        elif done:
            shown.append(f"{name} ✓")
        elif states and states[0] not in ("None", "scheduled", "queued"):
            shown.append(f"{name} {states[0]}")
    return "  ".join(shown) or "queued"
