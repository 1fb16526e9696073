"""One run of a DAG in the demo's Airflow: started as a person would, followed on the screen, its last words if it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.failure import DemoFailed
from demo.wait import wait_until

if TYPE_CHECKING:
    from typing import Any

    from demo.airflow_rest import AirflowRest
    from demo.display import Display

ENDED = ("success", "failed")

_PARSED_WITHIN_S = 90.0
_DONE_WITHIN_S = 900.0
_WAITING = ("None", "scheduled", "queued")


@dataclass(frozen=True, slots=True)
class DagRun:
    """A run that was triggered. ``title`` names it on the screen."""

    rest: AirflowRest
    dag_id: str
    run_id: str
    title: str
    display: Display

    @classmethod
    def started(cls, rest: AirflowRest, dag_id: str, conf: dict[str, Any], *, title: str, display: Display) -> DagRun:
        """Wait until Airflow knows the DAG, unpause it and start a run."""
        try:
            wait_until(lambda: rest.has_dag(dag_id), f"Airflow to read {dag_id}", timeout_s=_PARSED_WITHIN_S)
        except DemoFailed as error:
            raise DemoFailed("\n".join([str(error), *rest.import_errors()])) from error
        rest.unpause(dag_id)
        return cls(rest, dag_id, rest.trigger(dag_id, conf), title, display)

    def succeed(self, check: Callable[[], None], aside: Callable[[], str] = str) -> None:
        """Return when the run has succeeded; raises DemoFailed with the failed tasks' last words when it hasn't.

        ``check`` is called all the time, and may raise what makes waiting pointless; ``aside`` is shown beside the tasks.
        """
        self._follow(lambda: self.rest.run_state(self.dag_id, self.run_id) in ENDED, check, aside)
        self._refuse_failure()

    def reach(self, task_id: str, state: str, check: Callable[[], None]) -> None:
        """Return when that task is in that state; raises DemoFailed like :meth:`succeed` when the run ends without."""

        def reached() -> bool:
            if self.rest.run_state(self.dag_id, self.run_id) == "failed":
                self._refuse_failure()
            return any(task["task_id"] == task_id and task["state"] == state for task in self._tasks())

        self._follow(reached, check, str)

    def result(self, task_id: str) -> Any:
        """What a task returned."""
        return self.rest.result(self.dag_id, self.run_id, task_id)

    def _follow(self, is_over: Callable[[], bool], check: Callable[[], None], aside: Callable[[], str]) -> None:
        def over() -> bool:
            check()
            done = is_over()
            self.display.moving(f"{self.title}: {progress(self._tasks())}  {aside()}".rstrip())
            return done

        wait_until(over, f"the {self.title} to end", timeout_s=_DONE_WITHIN_S, every_s=0.5)

    def _refuse_failure(self) -> None:
        if self.rest.run_state(self.dag_id, self.run_id) != "success":
            raise DemoFailed("\n".join([f"the {self.title} failed", *self._last_words()]))

    def _tasks(self) -> list[dict[str, Any]]:
        return self.rest.task_instances(self.dag_id, self.run_id)

    def _last_words(self) -> list[str]:
        failed = [task for task in self._tasks() if task["state"] == "failed"]
        return [
            f"  {task['task_id']}: {line}"
            for task in failed
            for line in self.rest.log(self.dag_id, self.run_id, task)[-5:]
        ]


def progress(tasks: list[dict[str, Any]]) -> str:
    """Each task that has begun, with its state, mapped ones as a number: ``inspect_server ✓  scan_shard 3/8``."""
    shown = []
    for name in dict.fromkeys(str(task["task_id"]) for task in sorted(tasks, key=_began)):
        states = [str(task["state"]) for task in tasks if task["task_id"] == name]
        done = states.count("success")
        if len(states) > 1:
            shown.append(f"{name} {done}/{len(states)}")
        elif done:
            shown.append(f"{name} ✓")
        elif states[0] not in _WAITING:
            shown.append(f"{name} {states[0].replace('_', ' ')}")
    return "  ".join(shown) or "queued"


def _began(task: dict[str, Any]) -> str:
    return str(task.get("start_date") or "~")
