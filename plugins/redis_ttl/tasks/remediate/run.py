"""The work of the tasks that plan, write and verify: wires adapters to use cases, and tells Airflow and its log what came of it.

Imports everything that the work needs, so only a task that has begun may import it.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars

# isort: split
from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.adapters.journal.coming_expiries import ComingExpiries
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.threads import ahead
from redis_ttl.adapters.writing.verify_ledger import VerifyLedger
from redis_ttl.adapters.writing.writable_deployment import WritableDeployment
from redis_ttl.domain.document_ids import document_id
from redis_ttl.domain.errors import BadInput, RedisTtlError
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.messages.figures import count
from redis_ttl.messages.pages.remediation_page import remediation_page
from redis_ttl.tasks.connection import endpoint_of
from redis_ttl.tasks.notify.notifying import notify, run_link
from redis_ttl.tasks.pools import refuse_missing_pools
from redis_ttl.tasks.remediate.approval_evidence import refuse_if_withdrawn, refuse_own_approval, requester_of
from redis_ttl.tasks.remediate.control import VariableControl
from redis_ttl.tasks.remediate.form import wanted_of
from redis_ttl.tasks.remediate.planned import plan_of_task, run_name
from redis_ttl.tasks.store import open_store, open_store_for_writing
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.plan import build_plan as planning
from redis_ttl.usecases.plan import confirm_approval as approving
from redis_ttl.usecases.plan.other_plans import other_plans
from redis_ttl.usecases.remediation import apply_plan as applying
from redis_ttl.usecases.remediation import verify_plan as verifying
from redis_ttl.usecases.store.audits import AuditFolder, finished_audits
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.domain.remediation.remediation import PartResult

_log = logging.getLogger(__name__)


def build_plan(policy: Policy, context: Context) -> str:
    """Make a new plan for this run and keep it; returns its id."""
    refuse_missing_pools(context["dag_run"].conf, policy.cluster)
    wanted = wanted_of(context["params"])
    store = open_store_for_writing()
    audits = finished_audits(store, policy.cluster)
    audit_id = wanted.audit_id or (audits[0] if audits else None)
    if audit_id is None or audit_id not in audits:
        raise BadInput(
            "there is no finished audit to plan from",
            where=f"store {store}",
            found=audit_id,
            todo=f"Trigger redis_ttl.{policy.cluster}.audit, and when it has succeeded this DAG again.",
        )
    audit = read_audit(AuditFolder(store, policy.cluster, audit_id), read_patterns)
    now = SystemClock().now()
    plan = planning.build_plan(
        RedisDeployment(endpoint_of(policy.connection), parse_load(wanted.load)),
        audit,
        policy,
        plan_id=document_id(now, secrets.token_hex(3)),
        run=run_name(context),
        now=now,
        rules=wanted.rules,
        rate=wanted.rate,
        load=wanted.load,
        canary_watch_s=wanted.canary_watch_s,
        others=other_plans(store, policy, run=run_name(context), now=now, new_expiries=ComingExpiries),
    )
    plan = replace(plan, requested_by=requester_of(context))
    documents = PlanDocuments(store, policy.cluster, plan.plan_id)
    documents.write_plan(plan)
    _log.info("plan %s for %s keys, digest %s: %s", plan.plan_id, count(plan.change_keys), plan.digest, documents.path)
    return plan.plan_id


def apply_canary(policy: Policy, context: Context, plan_id: object) -> dict[str, Any]:
    """Count, refuse what is too much, write the first few keys; returns the figures."""
    documents, plan = plan_of_task(policy, context, plan_id)
    return _told(applying.apply_canary(plan, _tools(policy, context, documents, plan)))


def check_canary(policy: Policy, context: Context, plan_id: object) -> list[dict[str, Any]]:
    """Watch the servers; returns what each mapped task needs to find its shard."""
    documents, plan = plan_of_task(policy, context, plan_id)
    report = applying.check_canary(plan, _tools(policy, context, documents, plan))
    _log.info("the canary is passed, after %.0f s", report.watched_s)
    return [
        {"plan_id": plan.plan_id, "number": number, "label": shard.label} for number, shard in enumerate(plan.shards)
    ]


def apply_shard(policy: Policy, context: Context, shard: object) -> dict[str, Any]:
    """Write one shard, as `check_canary` named it; returns the figures. An XCom may say anything, and is believed nothing."""
    named = shard if isinstance(shard, dict) else {}
    documents, plan = plan_of_task(policy, context, named.get("plan_id"))
    number = named.get("number")
    if type(number) is not int or not 0 <= number < len(plan.shards):
        raise BadInput(
            "the plan has no such shard",
            where=f"plan {plan.plan_id}",
            found=repr(number)[:80],
            allowed=f"a number from 0 to {len(plan.shards) - 1}",
            todo="Clear check_canary with its downstream tasks.",
        )
    return _told(applying.apply_shard(plan, number, _tools(policy, context, documents, plan)))


def verify(policy: Policy, context: Context, plan_id: object) -> dict[str, Any]:
    """Look at every key once more; raises when one was missed. Returns the summary."""
    _, plan = plan_of_task(policy, context, plan_id)
    verification = verifying.verify_plan(
        plan,
        verifying.VerifyTools(
            redis=RedisDeployment(_writing_endpoint(policy), parse_load(plan.load)),
            documents=open_store(),
            policy=policy,
            new_ledger=VerifyLedger,
            progress=_log_progress,
            clock=SystemClock(),
        ),
    )
    summary = verification.summary()
    stats.gauge("redis_ttl.keys_with_our_expiry", verification.kept, tags={"cluster": policy.cluster})
    verifying.refuse_unverified(verification)
    return summary


def report(policy: Policy, context: Context, plan_id: object) -> dict[str, Any]:
    """Log the report and keep it; raises when the run didn't come to its end, so that it isn't green."""
    documents, plan = plan_of_task(policy, context, plan_id)
    parts = documents.parts()
    verification = next(reversed(documents.verifications()), None)
    page = remediation_page(plan, parts, documents.decisions(), verification)
    documents.write_report(page)
    for line in page.splitlines():
        _log.info("%s", line)
    states = context["ti"].get_task_states(
        dag_id=context["dag_run"].dag_id, run_ids=[context["dag_run"].run_id], task_ids=["verify"]
    )
    state = states.get(context["dag_run"].run_id, {}).get("verify")
    if parts or documents.decisions():  # a plan that nobody was asked about is an operator's affair
        ended = MessageKind.REMEDIATION_RESULT if verification and verification.complete else MessageKind.RUN_ABORTED
        notify(policy, ended, plan.plan_id, run_link(context))
    if state != "success" or verification is None or not verification.complete:
        raise RedisTtlError(
            "the remediation didn't come to its end",
            where=f"plan {plan.plan_id}",
            found=f"verify is {state}",
            todo="The first red task's log says why. What was written stands in this report, and the rollback takes it back.",
        )
    return verification.summary()


def _tools(policy: Policy, context: Context, documents: PlanDocuments, plan: Plan) -> applying.ApplyTools:
    run = run_name(context)

    def approve() -> Approval:
        approval = approving.require_approval(documents, policy, plan, run, SystemClock().now())
        refuse_own_approval(policy, context, approval)
        refuse_if_withdrawn(policy, context, approval)
        return approval

    return applying.ApplyTools(
        redis=WritableDeployment(_writing_endpoint(policy), parse_load(plan.load)),
        documents=documents,
        policy=policy,
        approve=approve,
        control=VariableControl(policy.cluster, "remediate"),
        clock=SystemClock(),
        ahead=ahead,
        log=lambda text: _log.info("%s", text),
        token=secrets.token_hex(3),
    )


def _writing_endpoint(policy: Policy) -> Endpoint:
    return endpoint_of(policy.write_connection or policy.connection)


def _told(result: PartResult) -> dict[str, Any]:
    _log.info(
        "%s: %s keys changed of %s met, %s journal objects",
        result.part,
        count(result.changed),
        count(result.scanned),
        count(result.journal_objects),
    )
    return {"part": result.part, "changed": result.changed, "scanned": result.scanned}


def _log_progress(done: int, of: int) -> None:
    _log.info("looked at %s of about %s keys", count(done), count(of))
