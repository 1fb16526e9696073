"""Watches the servers after the canary's keys were written, against what they were before."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.errors import Aborted
from redis_ttl.domain.policy.guards import Reading, rate_per_s, reasons, watch_reasons
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.control import CommandState
from redis_ttl.usecases.remediation.write_gate import HEALTH_S, LOG_S, Ended, command_of, replicas_at_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.usecases.remediation.apply_tools import ApplyTools
    from redis_ttl.usecases.remediation.write_gate import ApprovalWatch
    from redis_ttl.usecases.store.plans import PlanDocuments

#: The canary's watch ends early when the same figure is bad so often in a row.
_BAD_LOOKS: Final = 10


def start_of(documents: PlanDocuments, address: str) -> Reading | None:
    """The server at that address of the plan before the run wrote anything; None where that wasn't kept."""
    pair = documents.canary_baseline().get(address)
    return None if pair is None else pair[0]


class CanaryWatch:
    """The canary's watch window over every server of the plan, for as long as the approval lasts."""

    def __init__(self, plan: Plan, tools: ApplyTools, approval: ApprovalWatch) -> None:
        self._plan = plan
        self._tools = tools
        self._approval = approval
        self._settings = tools.policy.remediation.guards
        self._memory = tools.policy.memory
        self._normal = tools.documents.canary_baseline()

    def run(self) -> CanaryReport:
        """Watch; the report isn't written yet. Raises :class:`Aborted` when operator or approval end the watch."""
        tools = self._tools
        began = tools.clock.now()
        began_s = tools.clock.monotonic()
        watch_s = self._plan.canary_watch_s
        with ExitStack() as links:
            nodes = {}
            # Any database of the plan will do to ask for figures; another one may be closed to this user.
            database = self._plan.shards[0].db if self._plan.shards else 0
            for identity in self._plan.nodes:
                address = tools.redis.primary_of(identity)
                nodes[identity.address] = links.enter_context(tools.redis.connect(address, database))
            first = {address: node.health() for address, node in nodes.items()}
            last = dict(first)
            bad: dict[str, int] = {}
            found: list[str] = []
            next_log_s = 0.0
            while not found and (left_s := watch_s - (tools.clock.monotonic() - began_s)) > 0:
                self._hear()
                if tools.clock.monotonic() >= next_log_s:
                    next_log_s = tools.clock.monotonic() + LOG_S
                    tools.log(f"watching the canary, {left_s:.0f} s to go")
                tools.clock.sleep(min(HEALTH_S, left_s))
                for address, node in nodes.items():
                    found += self._look(address, node.health(), first, last, bad)
            watched_s = tools.clock.monotonic() - began_s
            for address in nodes if not found else ():
                found += self._verdict(address, first[address], last[address])
        return CanaryReport(
            plan_id=self._plan.plan_id,
            digest=self._plan.digest,
            passed=not found,
            began_at=began.isoformat(),
            ended_at=tools.clock.now().isoformat(),
            watched_s=watched_s,
            reasons=tuple(found),
            figures={address: self._figures(first[address], last[address]) for address in first},
        )

    def _hear(self) -> None:
        command = command_of(self._tools.control)
        if command.state is CommandState.STOP:
            raise Aborted("the operator stopped it", where=self._plan.plan_id, found=command.why)
        try:
            self._approval.look()
        except Ended as end:
            raise Aborted(
                "the canary's watch ended before its end",
                where=self._plan.plan_id,
                found=end.reason,
                todo="The canary's keys have their TTLs; the rollback takes them off. Nothing else was written.",
            ) from end

    def _look(
        self, address: str, reading: Reading, first: dict[str, Reading], last: dict[str, Reading], bad: dict[str, int]
    ) -> Sequence[str]:
        """Why the watch is over: another process, or a figure that stays bad."""
        if reading.run_id != first[address].run_id:
            return [f"{address}: the server was restarted or failed over"]
        now = reasons(reading, last[address], self._settings, **self._bounds(address, first[address]))
        last[address] = reading
        for kind in [kind for kind in bad if kind.startswith(f"{address} ") and kind.split(" ")[1] not in now]:
            del bad[kind]
        for kind in now:
            bad[f"{address} {kind}"] = bad.get(f"{address} {kind}", 0) + 1
        return [f"{address}: {text}" for kind, text in now.items() if bad[f"{address} {kind}"] >= _BAD_LOOKS]

    def _verdict(self, address: str, first: Reading, last: Reading) -> list[str]:
        normal = self._normal.get(address)
        found = watch_reasons(first, last, normal, self._settings, **self._bounds(address, first))
        return [f"{address}: {text}" for text in found.values()]

    def _bounds(self, address: str, first: Reading) -> dict[str, Any]:
        normal = self._normal.get(address)
        return {
            "critical_ratio": self._memory.critical_ratio,
            "start_round_trip_s": first.round_trip_s if normal is None else normal[0].round_trip_s,
            "memory_limit_bytes": self._memory.limit_bytes,
            "start_replicas": replicas_at_start(None if normal is None else normal[0], first),
        }

    def _figures(self, first: Reading, last: Reading) -> dict[str, float | None]:
        return {
            "memory_ratio": last.memory_ratio(self._memory.limit_bytes),
            "evicted_keys_per_s": rate_per_s("evicted_keys", first, last),
            "misses_per_s": rate_per_s("misses", first, last),
            "errors_per_s": rate_per_s("errors", first, last),
            "round_trip_ms": last.round_trip_s * 1e3,
        }
