"""How far a scan has come: a bar in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from redis_ttl.messages.figures import count, duration

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from redis_ttl.domain.audit.audit import AuditPlan

#: Where nobody watches a bar move, one line this often shows that the scan is alive.
_LINE_EVERY_S: Final = 10.0


class ScanProgress:
    """Adds up what the shards of a plan report, and shows keys, keys per second and the time that remains."""

    def __init__(self, plan: AuditPlan, console: Console) -> None:
        self._console = console
        self._shards = len(plan.shards)
        self._expected = sum(split.keys for split in plan.splits)
        self._reached: dict[int, tuple[int, float]] = {}
        self._said_at_s = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[keys]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("scanning", total=1.0, keys="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def shard(self, number: int, *, keys: int, ratio: float) -> None:
        """Hear that a shard has counted so many keys, which is that share of it."""
        self._reached[number] = (keys, ratio)
        total = sum(keys for keys, _ in self._reached.values())
        done = sum(ratio for _, ratio in self._reached.values()) / self._shards
        elapsed_s = self._bar.tasks[0].elapsed or 0.0
        rate = f", {count(round(total / elapsed_s))} keys/s" if elapsed_s else ""
        text = f"{count(total)} of about {count(self._expected)} keys{rate}"
        self._bar.update(self._task, completed=done, keys=text)
        if self._bar.disable and elapsed_s - self._said_at_s >= _LINE_EVERY_S:
            self._said_at_s = elapsed_s
            left = f", about {duration(elapsed_s / done - elapsed_s)} left" if done else ""
            self._console.print(f"scanning: {text}{left}", highlight=False)

    def merging(self) -> None:
        """Hear that the shards are done and only adding up is left."""
        self._bar.update(self._task, description="merging", completed=1.0)
