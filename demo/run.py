"""``make demo``: brings up what isn't up yet, runs the audit, shows its report, and stays until it is stopped."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from demo.airflow_components import Airflow
from demo.airflow_rest import AirflowRest
from demo.airflow_settings import USERS, passwords
from demo.failure import DemoFailed
from demo.first_audit import DAG_ID, LOAD, POLICY, USER, Finished, FirstAudit
from demo.first_remediation import APPROVER, GATE, FirstRemediation
from demo.first_remediation import DAG_ID as REMEDIATION
from demo.interrupts import ignore_signals
from demo.keyspace import Keyspace
from demo.processes import Processes
from demo.stop import held, holder, stop_everything
from demo.valkey_server import Valkey, version

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.display import Display
    from demo.home import Home

_UP_WITHIN_S = 300.0
_POLL_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Pending:
    """Something that comes up in the background; ``is_done`` is asked again and again, and helps it along."""

    is_done: Callable[[], bool]
    state: Callable[[], str]
    title: str


class Demo:
    """One run of the demo, with ``keys`` keys."""

    def __init__(self, home: Home, keys: int, display: Display) -> None:
        self._home = home
        self._display = display
        self._processes = Processes(home.processes, home.logs)
        self._valkey = Valkey(home, self._processes)
        self._keyspace = Keyspace(home, self._processes, self._valkey, keys)
        self._airflow = Airflow(home, self._processes)

    def run(self, *, once: bool, approve: bool = False) -> None:
        """Run it: the audit, and a remediation up to its approval; with ``approve``, to its end.

        With ``once`` return then, otherwise stay until Ctrl-C. Whatever was started is stopped in any case. Raises DemoFailed
        when something doesn't work, a DAG run included.
        """
        self._home.make()
        with held(self._home) as ours:
            if not ours:
                self._visit(approve=approve)
                return
            try:
                self._bring_up()
                self._show(self._audit())
                self._remediate(approve=approve)
                if not once:
                    self._airflow.start_later_components()
                    self._show_what_next()
                    with suppress(KeyboardInterrupt):  # from here on that is the way to end it
                        self._stay()
            finally:
                ignore_signals()
                self._display.moving("stopping what was started")
                stop_everything(self._processes)
                self._display.line("Everything that the demo started is stopped.")

    def _visit(self, *, approve: bool) -> None:
        """Audit and plan once more in the demo that another terminal keeps running, and leave it running."""
        if not (
            self._valkey.is_running() and self._keyspace.is_loaded() and self._airflow.is_running(self._valkey.url)
        ):
            raise DemoFailed(
                f"another `make demo` (process {holder(self._home)}) is starting or stopping here, or has another number of keys; "
                "wait for it, or stop it with Ctrl-C"
            )
        self._display.line(f"  The demo of process {holder(self._home)} is used, and goes on afterwards.")
        self._show(self._audit())
        self._remediate(approve=approve)
        self._show_what_next()

    def _bring_up(self) -> None:
        """The server, its keys and Airflow, as far as they aren't there; the keys are loaded while Airflow starts."""
        pending: dict[str, _Pending] = {}
        if self._valkey.is_running() and self._keyspace.is_loaded():
            self._display.line(f"  Valkey holds the {self._keyspace.keys:,} keys already, on {self._valkey.url}")
        else:
            with self._display.step(f"Start Valkey {version()}"):
                self._valkey.start(self._keyspace.room_bytes)
            self._keyspace.start_loading()
            done = f"Load {self._keyspace.keys:,} keys"
            pending["keys"] = _Pending(self._keyspace.finish_loading, self._keyspace.progress, done)
        if self._airflow.is_running(self._valkey.url):
            self._display.line(f"  Airflow runs already, on {self._airflow.url}")
        else:
            self._airflow.start(self._valkey.url)
            done = f"Start Airflow on {self._airflow.url}"
            pending["Airflow"] = _Pending(self._airflow.advance, self._airflow.state, done)
        self._wait_for(pending)

    def _wait_for(self, pending: dict[str, _Pending]) -> None:
        began = time.monotonic()
        while pending:
            for name, each in list(pending.items()):
                if each.is_done():
                    del pending[name]
                    self._display.done(each.title, time.monotonic() - began)
            if time.monotonic() - began > _UP_WITHIN_S:
                waited = f"waited {_UP_WITHIN_S:.0f} s for {' and '.join(pending)}"
                raise DemoFailed(f"{waited}; the logs are in {self._home.logs}")
            self._display.moving("; ".join(f"{name}: {each.state()}" for name, each in pending.items()))
            time.sleep(_POLL_EVERY_S)

    def _audit(self) -> Finished:
        audit = FirstAudit(self._home, self._as(USER), self._display)
        with self._display.step(f"Trigger {DAG_ID} as {USER}"):
            run = audit.start()
        with self._display.step(f"Audit, load {LOAD}"):
            run.succeed(self._check, audit.keys_scanned)
        return audit.finished(run.run_id, self._keyspace.manifest())

    def _remediate(self, *, approve: bool) -> None:
        with self._display.step(f"Trigger {REMEDIATION} as {USER}"):
            remediation = FirstRemediation(self._home, self._as(USER), self._display)
        with self._display.step("Make a plan, and ask for its approval"):
            plan = remediation.wait_for_plan(self._check)
        self._display.line()
        self._display.line(plan.rstrip())
        self._display.line()
        page = f"{self._airflow.url}{remediation.approval_path}"
        if not approve:
            self._display.line(
                f"The plan waits for Approve or Reject, or for a mark on its task {GATE}, by {APPROVER}: {USER}, who asked for it, "
                f"can't approve it. {page}"
            )
            return
        remediation.approve(self._as(APPROVER))
        self._display.line(f"  {APPROVER} approved it, as the buttons of {page} do")
        before = self._valkey.account()
        with self._display.step("Set the TTLs: canary, shards, verify"):
            report = remediation.finish(self._check)
        self._display.line()
        self._display.line(report.rstrip())
        self._display.line()
        self._display.line(f"The server's own account before: {before}")
        self._display.line(f"                           after: {self._valkey.account()}")

    def _as(self, user: str) -> AirflowRest:
        return AirflowRest(self._airflow.url, user, passwords(self._home)[user])

    def _show(self, done: Finished) -> None:
        self._display.line()
        self._display.line(done.report.rstrip())
        self._display.line()
        self._display.line(done.comparison)
        self._display.line(f"The audit's documents: {done.folder}")
        if done.message is not None:
            self._display.line(f"What the owner is told: {done.message} (no Slack, no mail here)")
        self._display.line(f"Its page in Airflow:   {self._airflow.url}/dags/{DAG_ID}/runs/{quote(done.run_id)}")

    def _show_what_next(self) -> None:
        known = passwords(self._home)
        self._display.line()
        self._display.line(f"Open {self._airflow.url}/dags/{DAG_ID} and log in as one of")
        for name, role in USERS.items():
            self._display.line(f"    {name:<6} {known[name]}   ({role})")
        self._display.line(
            "Then click\n"
            "    the run, its task `report`, Logs: the report that you just saw\n"
            "    the run, its task `scan_shard`: the shards, each with its range and its progress\n"
            "    Trigger, at the top right: the form, to audit again with another load or sampling\n"
            "The same audit in a terminal:\n"
            f"    {self._redis_ttl()} audit {self._valkey.url} --policy {POLICY}\n"
            "What its owner is told, in both languages, as Slack blocks or as a mail:\n"
            f"    {self._redis_ttl()} message preview action_required --store {self._home.store} --policy {POLICY} --language both"
        )

    def _redis_ttl(self) -> Path:
        """The command, as short as it can be typed in the checkout."""
        command = Path(sys.executable).with_name("redis-ttl")
        return command.relative_to(self._home.checkout) if command.is_relative_to(self._home.checkout) else command

    def _stay(self) -> None:
        self._display.line()
        self._display.line("Ctrl-C stops all of it; the next `make demo` starts where this one was.")
        while True:
            time.sleep(_LOOK_EVERY_S)
            self._check()

    def _check(self) -> None:
        """Raise DemoFailed when something that must run has ended."""
        self._airflow.check()
        self._valkey.check()
