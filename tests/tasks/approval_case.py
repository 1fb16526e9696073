"""One remediation run on a live Airflow that waits for its approval, and everything that people may do to it."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.plans import PlanDocuments, plan_ids
from tests.usecases.auditing import Auditing

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import redis

    from lab.live_airflow.live_airflow import LiveAirflow
    from lab.servers.server import Server
    from lab.services.object_store import ObjectStorage

KEYS = 20
GATE, AGAIN = "approve_plan", "approve_plan_again"
_ENDED = ("success", "failed")
_POLL_S = 1.0
_LOCKED = 500


class GateLost(Exception):
    """Run after run, the scheduler took the waiting task for a dead one."""


@dataclass
class ApprovalLive:
    """A live Airflow, a server, and clients for the users of both."""

    airflow: LiveAirflow
    server: Server
    policies: Path
    clients: dict[str, httpx.Client]
    redis: redis.Redis
    #: Where the store is, if not in Airflow's home.
    storage: ObjectStorage | None = None
    #: Airflow's SQLite database gives up when many write at once; one request at a time is plenty.
    turn: Lock = field(default_factory=Lock)
    keys: list[str] = field(default_factory=list)

    def call(self, user: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One call of the public REST API as that user; again when Airflow's database was locked."""
        for _attempt in range(5):
            with self.turn:
                answer = self.clients[user].request(method, path, **options)
            if answer.status_code != _LOCKED:
                break
            time.sleep(_POLL_S)
        return answer

    def rotate(self) -> None:
        """Give Airflow a new signing key before the ones that it has, or its first."""
        with self.turn:
            self.keys.insert(0, secrets.token_urlsafe(32))
            body = {"connection_id": "redis_ttl_signing", "conn_type": "generic", "password": ",\n".join(self.keys)}
            client, path = self.clients["admin"], "/connections/redis_ttl_signing"
            answer = client.post("/connections", json=body) if len(self.keys) == 1 else client.patch(path, json=body)
        assert answer.status_code in {200, 201}, answer.text

    @property
    def store(self) -> Store:
        """Where the runs keep their documents."""
        return Store(self.root)

    @property
    def root(self) -> Any:
        """The path object that the store begins with."""
        if self.storage is None:
            return self.airflow.home / "redis_ttl"
        from upath import UPath

        return UPath(self.storage.root, **self.storage.options)


class ClusterAudit(Auditing):
    """An audit of the cluster that its policy names."""

    @property
    def folder(self) -> AuditFolder:
        """The audit's documents."""
        return AuditFolder(Store(self.store), self._policy.cluster, self.audit_id)

    @property
    def _policy(self) -> Any:
        return self.policy


@dataclass
class Case:
    """A cluster with twenty keys of its own on the shared server, and the latest run of its remediation."""

    live: ApprovalLive
    name: str
    remediation: str = "approvers: [bob, erin]"
    requester: str = "admin"
    run_id: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> str:
        """The name of its cluster, which its keys begin with."""
        return self.name.replace(" ", "-").replace(",", "").lower()

    @property
    def dag_id(self) -> str:
        """The remediation's DAG."""
        return f"redis_ttl.{self.cluster}.remediate"

    def prepare(self) -> None:
        """Write the policy, and the keys."""
        self.write_policy(self.remediation)
        self.live.redis.mset({f"{self.cluster}:{number}": "" for number in range(KEYS)})

    def write_policy(self, remediation: str) -> None:
        """Write the policy anew with these words on remediation."""
        text = f"""\
cluster: {self.cluster}
connection: redis_gate
owner: {{team: growth}}
audit: {{schedule: none}}
remediation: {{{remediation}, canary: {{watch: 0s}}, guards: {{latency: 1000x}}, load: fast, rate: unlimited}}
rules:
  - pattern: "{self.cluster}:{{n}}"
    ttl: 60d
    sign_off: {{by: Lin Wei, on: 2026-02-20}}
"""
        draft = self.live.policies / f".{self.cluster}"
        draft.write_text(text)
        draft.rename(self.live.policies / f"{self.cluster}.yaml")

    def audit(self, audit_id: str) -> None:
        """Audit the server by this cluster's policy."""
        policy = load_policy(self.live.policies / f"{self.cluster}.yaml")
        ClusterAudit(self.live.server.url, self.live.root, policy=policy, audit_id=audit_id).run()

    def is_known(self) -> bool:
        """Whether Airflow has read the case's DAG."""
        return self.live.call("admin", "GET", f"/dags/{self.dag_id}").status_code == 200

    def start(self) -> None:
        """Trigger a run, as whoever asks for the plan."""
        answer = self.live.call(self.requester, "POST", f"/dags/{self.dag_id}/dagRuns", json={"logical_date": None})
        assert answer.status_code == 200, answer.text
        self.run_id = answer.json()["dag_run_id"]

    def wait_shown(self, gate: str = GATE, requests: int = 1) -> None:
        """Until the gate has shown the plan so many times in this run, and waits."""

        def waits() -> bool:
            shown = self.state(gate) == "awaiting_input" and len(self.requests(gate)) >= requests
            return shown and self.live.airflow.is_put_to_rest(self.dag_id, self.run_id, gate, attempt=requests)

        self.wait(waits, f"{gate} to wait")

    def wait_waiting(self, attempt: int) -> None:
        """Until the first gate's attempt of that number waits, whatever was shown before."""

        def waits() -> bool:
            rests = self.live.airflow.is_put_to_rest(self.dag_id, self.run_id, GATE, attempt=attempt)
            return rests and self.state(GATE) == "awaiting_input"

        self.wait(waits, f"attempt {attempt} of {GATE} to wait")

    def page(self, gate: str = GATE) -> str:
        """What the waiting task shows."""
        return str(self.get(f"{self.path}/taskInstances/{gate}/-1/hitlDetails")["body"])

    def forge(self, by: str, gate: str = GATE) -> None:
        """Write an approval into the store, as somebody who can write there and knows no key."""
        documents = self.plans()[0]
        asked = [each for each in documents.requests() if each.gate == gate][-1]
        documents.write_decision(
            Decision(
                asked.request_id,
                asked.plan_id,
                asked.digest,
                gate,
                Verdict.APPROVED,
                Channel.FORM,
                by,
                datetime.now(UTC).isoformat(),
                instance=asked.instance,
                clears=0,
            )
        )

    def answer(
        self,
        user: str,
        option: str,
        *,
        gate: str = GATE,
        params: dict[str, Any] | None = None,
        digest: str | None = None,
    ) -> int:
        """Answer the form as its page does, or with other ``params``; the HTTP status."""
        path = f"{self.path}/taskInstances/{gate}/-1/hitlDetails"
        if params is None:
            params = {"plan_digest": digest or self.digest(gate), "comment": f"{option} by {user}"}
        body = {"chosen_options": [option], "params_input": params}
        return self.live.call(user, "PATCH", path, json=body).status_code

    def digest(self, gate: str = GATE) -> str:
        """The digest that the form holds."""
        form = self.get(f"{self.path}/taskInstances/{gate}/-1/hitlDetails")
        found = form["params"]["plan_digest"]
        return str(found["value"] if isinstance(found, dict) else found)

    def mark(self, user: str, state: str, *, task: str = GATE, **options: Any) -> int:
        """Mark one task, as Airflow's page does; the HTTP status."""
        body = {"new_state": state, "note": f"{state} by {user}", **options}
        return self.live.call(user, "PATCH", f"{self.path}/taskInstances/{task}", json=body).status_code

    def mark_in_bulk(self, user: str, state: str, *, task: str = GATE) -> int:
        """Mark a task by the endpoint for many of them; the HTTP status."""
        entity = {"task_id": task, "new_state": state}
        body = {"actions": [{"action": "update", "entities": [entity]}]}
        return self.live.call(user, "PATCH", f"{self.path}/taskInstances", json=body).status_code

    def mark_run(self, user: str, state: str) -> int:
        """Mark the whole run; the HTTP status."""
        return self.live.call(user, "PATCH", self.path, json={"state": state}).status_code

    def clear(self, user: str, task: str = GATE, **options: Any) -> None:
        """Clear a task with its downstream tasks, so that it runs again; ``options`` are the endpoint's."""
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": [task],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
            **options,
        }
        answer = self.live.call(user, "POST", f"/dags/{self.dag_id}/clearTaskInstances", json=body)
        assert answer.status_code == 200, answer.text

    def clear_run(self, user: str) -> None:
        """Clear every task of the run."""
        answer = self.live.call(user, "POST", f"{self.path}/clear", json={"dry_run": False})
        assert answer.status_code == 200, answer.text

    def hold(self, *, paused: bool) -> None:
        """Pause the DAG, so that what is cleared doesn't run yet; or let it go on."""
        answer = self.live.call("admin", "PATCH", f"/dags/{self.dag_id}", json={"is_paused": paused})
        assert answer.status_code == 200, answer.text

    def set_xcom(self, user: str, task: str, value: Any) -> None:
        """Edit what a task returned."""
        path = f"{self.path}/taskInstances/{task}/xcomEntries/return_value"
        answer = self.live.call(user, "PATCH", path, json={"value": value, "map_index": -1})
        assert answer.status_code == 200, answer.text

    def end(self) -> str:
        """The state in which the run ends."""
        self.wait(lambda: self.get(self.path)["state"] in _ENDED, "the run to end")
        return str(self.get(self.path)["state"])

    def is_lost(self) -> bool:
        """Whether Airflow's audit log says that the scheduler took a task of this run for a dead one."""
        asked = {"dag_id": self.dag_id, "run_id": self.run_id, "limit": 100}
        rows = self.get("/eventLogs", params=asked)["event_logs"]
        return any(row["event"].startswith("state mismatch") for row in rows)

    def state(self, task: str) -> str | None:
        """The state of a task; None before it has one."""
        answer = self.live.call("admin", "GET", f"{self.path}/taskInstances/{task}")
        return None if answer.status_code == 404 else answer.json()["state"]

    def log(self, task: str) -> str:
        """What the last try of a task wrote."""
        attempt = self.get(f"{self.path}/taskInstances/{task}")["try_number"]
        with self.live.turn:
            return self.live.airflow.log(self.dag_id, self.run_id, task, attempt=attempt)

    def plans(self) -> list[PlanDocuments]:
        """The documents of this run's plans, the newest first."""
        found = [
            PlanDocuments(self.live.store, self.cluster, plan_id) for plan_id in plan_ids(self.live.store, self.cluster)
        ]
        return [each for each in found if each.plan().run == f"{self.dag_id}/{self.run_id}"]

    def requests(self, gate: str) -> list[Any]:
        """How often the gate has shown this run's plan."""
        return [request for each in self.plans()[:1] for request in each.requests() if request.gate == gate]

    def decisions(self) -> list[Decision]:
        """What is on record of this run's plan, the earliest first."""
        return [decision for each in self.plans()[:1] for decision in each.decisions()]

    def written(self) -> int:
        """How many of the case's keys have an expiry, asked of the server."""
        pipeline = self.live.redis.pipeline(transaction=False)
        for number in range(KEYS):
            pipeline.pttl(f"{self.cluster}:{number}")
        return sum(answer > 0 for answer in pipeline.execute())

    def persist(self) -> None:
        """Take the expiries off again."""
        for number in range(KEYS):
            self.live.redis.persist(f"{self.cluster}:{number}")

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = 1200.0) -> None:
        """Until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                tasks = self.get(f"{self.path}/taskInstances")["task_instances"]
                states = {task["task_id"]: task["state"] for task in tasks}
                raise TimeoutError(f"{self.name}: waited {timeout_s:g} s for {what}; {states}")
            time.sleep(_POLL_S)

    def get(self, path: str, **options: Any) -> Any:
        """The JSON answer to the admin."""
        answer = self.live.call("admin", "GET", path, **options)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return json.loads(answer.content)

    @property
    def path(self) -> str:
        """The run in the API."""
        return f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}"
