"""``make proof``: the incident's keyspace, an Airflow, an application that goes on writing; every step asked of the server, key by key.

It starts a server and an Airflow of its own on free loopback ports, and stops them at the end. KEYS sets the size; without it, the whole
incident, 6,693,836 keys. It prints a table, writes it to ``build/proof.md``, and exits with 1 unless everything holds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, assert_never
from urllib.parse import quote

import polars as pl
from upath import UPath

from lab.live_airflow.live_airflow import LiveAirflow
from lab.servers.kinds import REDIS_7, VALKEY
from lab.servers.server import Server, run_server
from lab.services.object_store import ObjectStorage, run_s3
from proof.application import application, keys_touched
from proof.snapshot import Snapshot, differences, take_snapshot
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.counting.folding_columns import key_texts
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import FULL_KEYS, scaled
from redis_ttl.domain.plan.expiry import anchor_ms
from redis_ttl.domain.policy.actions import Action
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Rule

_ROOT: Final = Path(__file__).resolve().parent.parent
_CLUSTER: Final = "luckyus-isales-market"
_POLICY: Final = _ROOT / "include" / "policies" / f"{_CLUSTER}.yaml"
_AUDIT, _REMEDIATE, _ROLLBACK = (f"redis_ttl.{_CLUSTER}.{job}" for job in ("audit", "remediate", "rollback"))
_GATE: Final = "approve_plan"
_APPROVER: Final = "bob"
_RUN_WITHIN_S: Final = 1_800.0
#: By how much a key's own expiry must lie ahead for its fate to be ours alone.
_SPARE_MS: Final = 3_600_000
_EXIT_BY_SIGNAL: Final = 128


@dataclass(slots=True)
class Proof:
    """What was found, line by line."""

    lines: list[tuple[str, str, bool]] = field(default_factory=list)

    def say(self, what: str, found: str, *, holds: bool = True) -> None:
        """One line: what was asked, what was found, whether that is as it must be."""
        self.lines.append((what, found, holds))
        print(f"  {'ok ' if holds else 'NO '} {what}: {found}", flush=True)

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        return all(holds for _, _, holds in self.lines)

    def table(self) -> str:
        """All lines as Markdown."""
        rows = [f"| {what} | {found} | {'yes' if holds else 'NO'} |" for what, found, holds in self.lines]
        return "\n".join(["| asked | found | holds |", "|---|---|---|", *rows]) + "\n"


def main() -> int:
    """Run it; 0 when everything holds."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(_EXIT_BY_SIGNAL + signal.SIGTERM)
    )  # what was started is stopped then
    parser = argparse.ArgumentParser(prog="make proof", description=__doc__)
    parser.add_argument("--keys", type=int, default=FULL_KEYS)
    parser.add_argument("--store", choices=["folder", "s3"], default="folder")
    asked = parser.parse_args()
    proof = Proof()
    with (
        TemporaryDirectory(prefix="redis-ttl-proof-") as folder,
        run_server(REDIS_7 if REDIS_7.find() else VALKEY) as server,
        run_s3() if asked.store == "s3" else nullcontext() as storage,
    ):
        _prove(Path(folder), server, asked.keys, storage, proof)
    place = _ROOT / "build" / ("proof.md" if storage is None else "proof_s3.md")
    place.parent.mkdir(exist_ok=True)
    place.write_text(proof.table())
    print(f"{'Everything holds.' if proof.holds else 'NOT everything holds.'} The table: {place}")
    return 0 if proof.holds else 1


def _prove(folder: Path, server: Server, keys: int, storage: ObjectStorage | None, proof: Proof) -> None:
    endpoint = endpoint_from_url(server.url)
    write_keyspace(endpoint, scaled(FAMILIES, keys), seed=1, on_progress=lambda _: None)
    before = take_snapshot(endpoint)
    proof.say("before", f"{before.keys:,} keys, {before.no_ttl_keys:,} of them without TTL")
    proof.say("documents in", "a folder" if storage is None else f"{storage.protocol}://, in another process")
    touched = folder / "touched"
    store = Store(folder / "store" if storage is None else UPath(storage.root, **storage.options))
    with _airflow(folder, server, storage) as airflow, application(server.url, touched):
        _, took_s = _run(airflow, _AUDIT, load="fast")
        proof.say("audit in Airflow", f"success in {took_s:.0f} s")
        plan_id, approved_ms, verified = _remediate(airflow, store, proof)
        after = take_snapshot(endpoint)
        _check_remediated(before, after, touched, approved_ms, proof)
        proof.say("keys missed, as the verification has it", f"{verified['missed']:,}", holds=verified["missed"] == 0)
        rolled, took_s = _run(airflow, _ROLLBACK, plan=plan_id, dry_run=False, rate="unlimited")
        figures = airflow.xcom(_ROLLBACK, rolled, "report")
        proof.say("rollback", f"{figures['restored']:,} keys restored in {took_s:.0f} s, as its report has it")
    _check_restored(before, take_snapshot(endpoint), touched, proof)


def _airflow(folder: Path, server: Server, storage: ObjectStorage | None) -> LiveAirflow:
    home = folder / "airflow"
    airflow = LiveAirflow(home)
    airflow.env = {
        f"AIRFLOW_CONN_REDIS_{_CLUSTER.upper().replace('-', '_')}": server.url,
        "REDIS_TTL_POLICIES": str(_POLICY.parent),
        **({"REDIS_TTL_STORE": f"file://{folder / 'store'}"} if storage is None else storage.airflow_environment()),
    }
    return airflow


def _remediate(airflow: LiveAirflow, store: Store, proof: Proof) -> tuple[str, int, dict[str, Any]]:
    """The plan's id, the moment of its approval (ms since 1970), and what the verification found."""
    airflow.unpause(_REMEDIATE)
    run_id = airflow.trigger(_REMEDIATE, rate="unlimited", load="fast", canary_watch="10s")
    form = f"/dags/{_REMEDIATE}/dagRuns/{quote(run_id)}/taskInstances/{_GATE}/-1/hitlDetails"

    def waits() -> bool:
        tasks = airflow.task_instances(_REMEDIATE, run_id)
        if any(task["state"] == "failed" for task in tasks):
            raise RuntimeError(_failures(airflow, _REMEDIATE, run_id))
        waiting = any(task["task_id"] == _GATE and task["state"] == "awaiting_input" for task in tasks)
        return waiting and airflow.is_put_to_rest(_REMEDIATE, run_id, _GATE)

    airflow.wait(waits, "the plan", 300)
    digest = airflow.request("GET", form)["params"]["plan_digest"]
    with airflow.client_of(_APPROVER) as approver:
        answer = approver.patch(
            form,
            json={
                "chosen_options": ["Approve"],
                "params_input": {
                    "plan_digest": digest["value"] if isinstance(digest, dict) else digest,
                    "comment": "proof",
                },
            },
        )
        answer.raise_for_status()
    began_s = time.monotonic()
    _require_success(airflow, _REMEDIATE, run_id)
    took_s = time.monotonic() - began_s
    verified = airflow.xcom(_REMEDIATE, run_id, "report")
    decision = PlanDocuments(store, _CLUSTER, verified["plan_id"]).decisions()[0]
    proof.say(
        "approved over the REST API",
        f"{decision.verdict} by {decision.by}",
        holds=(decision.verdict, decision.by) == ("approved", _APPROVER),
    )
    proof.say(
        "remediation",
        f"{verified['kept']:,} of {verified['planned']:,} planned keys have our expiry, {took_s:.0f} s after the approval",
    )
    return verified["plan_id"], _ms(decision.at), verified


def _is_meant(action: Action, rule: Rule, approved_ms: int) -> pl.Expr:
    """Whether the action is for a key with that expiry, ``expires_ms``, when the rule's plan is approved."""
    expires_ms = pl.col("expires_ms")
    match action:
        case Action.SET:
            return expires_ms.is_null()
        case Action.CAP:
            return (expires_ms > approved_ms + rule.longest_ttl_s * 1000).fill_null(value=False)
        case Action.EXTEND:
            return (expires_ms < approved_ms + rule.ttl_s * 1000).fill_null(value=False)
        case _:
            assert_never(action)


def _check_remediated(before: Snapshot, after: Snapshot, touched: Path, approved_ms: int, proof: Proof) -> None:
    """Keys that only we touched: those of a rule expire within its window, all others as they did before."""
    policy = load_policy(_POLICY)
    left = before.without(keys_touched(touched), until_ms=_now_ms() + _SPARE_MS)
    for rule in policy.rules:
        governed = left.filter(key_texts(left["key"]).str.contains(rule.pattern.regex))
        left = left.join(governed, on="key", how="anti")
        # TTLs count from an anchor that follows the writing in steps (ADR 17): the first that there is, or that of now.
        first_ms = anchor_ms(approved_ms, approved_ms) + rule.ttl_s * 1000
        last_ms = anchor_ms(approved_ms, _now_ms()) + rule.longest_ttl_s * 1000
        meant = pl.any_horizontal(_is_meant(action, rule, approved_ms) for action in rule.mode.actions)
        now = governed.filter(meant).join(after.frame.rename({"expires_ms": "now_ms"}), on="key", how="left")
        right = now["now_ms"].is_between(first_ms, last_ms).fill_null(value=False).sum()
        proof.say(f"{rule.pattern.text}: set as agreed", f"{right:,} of {now.height:,}", holds=right == now.height)
        spared = differences(governed.filter(~meant), after).height
        proof.say(f"{rule.pattern.text}: others of the pattern, changed", f"{spared:,}", holds=not spared)
    changed = differences(left, after).height
    proof.say("keys of no rule, changed or gone", f"{changed:,} of {left.height:,}", holds=not changed)


def _check_restored(before: Snapshot, after: Snapshot, touched: Path, proof: Proof) -> None:
    theirs = keys_touched(touched)
    rows = before.without(theirs, until_ms=_now_ms() + _SPARE_MS)
    proof.say("keys that the application touched meanwhile", f"{theirs.len():,}")
    changed = differences(rows, after).height
    proof.say(
        "after the rollback, keys that don't expire as before", f"{changed:,} of {rows.height:,}", holds=not changed
    )


def _run(airflow: LiveAirflow, dag_id: str, **conf: Any) -> tuple[str, float]:
    airflow.unpause(dag_id)
    began_s = time.monotonic()
    run_id = airflow.trigger(dag_id, **conf)
    _require_success(airflow, dag_id, run_id)
    return run_id, time.monotonic() - began_s


def _require_success(airflow: LiveAirflow, dag_id: str, run_id: str) -> None:
    if airflow.wait_run(dag_id, run_id, _RUN_WITHIN_S) != "success":
        raise RuntimeError(_failures(airflow, dag_id, run_id))


def _failures(airflow: LiveAirflow, dag_id: str, run_id: str) -> str:
    failed = [task for task in airflow.task_instances(dag_id, run_id) if task["state"] == "failed"]
    logs = [
        airflow.log(dag_id, run_id, task["task_id"], map_index=task["map_index"], attempt=task["try_number"])
        for task in failed
    ]
    return "\n".join([f"{dag_id} failed", *logs])


def _ms(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp() * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
