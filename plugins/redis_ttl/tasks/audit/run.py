"""The work of the audit's tasks: wires adapters to use cases, and tells Airflow and its log what came of it.

Imports everything that the work needs, so only a task that has begun may import it.
"""

from __future__ import annotations

import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars
from redis_ttl.domain.codec import from_plain, to_plain

# isort: split
from redis_ttl.adapters.counting.pattern_merger import PatternMerger, read_patterns
from redis_ttl.adapters.counting.tally import Tally
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.messages.figures import count
from redis_ttl.messages.pages.audit_report import audit_page, headline
from redis_ttl.messages.server_text import server_lines
from redis_ttl.tasks.audit.form import options_of
from redis_ttl.tasks.connection import endpoint_of
from redis_ttl.tasks.notify.notifying import notify, run_link
from redis_ttl.tasks.pools import refuse_missing_pools
from redis_ttl.tasks.progress import LoggedProgress
from redis_ttl.tasks.store import open_store
from redis_ttl.usecases.audit import inspect_server as inspecting
from redis_ttl.usecases.audit import merge_audit as merging
from redis_ttl.usecases.audit import plan_shards as planning
from redis_ttl.usecases.audit import scan_shard as scanning
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.store.audits import AuditFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from redis_ttl.domain.audit.audit import AuditOptions, AuditPlan
    from redis_ttl.domain.policy.policy import Policy

_log = logging.getLogger(__name__)


def inspect_server(policy: Policy, context: Context) -> dict[str, Any]:
    """Refuse what can't work, profile the nodes, and log their profiles; returns the inspection as plain data."""
    refuse_missing_pools(context["dag_run"].conf, policy.cluster)
    store = open_store()
    options = _options(policy, context)
    inspection = inspecting.inspect_server(_deployment(policy, options), options)
    for server in inspection.servers:
        _log.info("%s", "\n".join(server_lines(server)))
    for warning in inspection.warnings:
        _log.warning("%s", warning)
    _log.info("documents go to %s", store)
    return to_plain(inspection)


def plan_shards(policy: Policy, context: Context, inspection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write a new audit's plan into the store; returns what each mapped task needs to find its shard there.

    Every attempt begins an audit of its own, so that one which was cut off leaves nothing behind that the next one
    trips over.
    """
    options = _options(policy, context)
    started = SystemClock().now()
    audit_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    plan = planning.plan_shards(
        _folder(policy, audit_id),
        _deployment(policy, options),
        from_plain(inspecting.Inspection, inspection),
        options,
        audit_id=audit_id,
        cluster=policy.cluster,
        started_at=started.isoformat(),
        policy=policy,
    )
    for split in plan.splits:
        _log.info(
            "%s db%d: %s keys in %d by %s, %s",
            split.node,
            split.db,
            count(split.keys),
            split.shards,
            split.rule,
            split.why,
        )
    return [{"audit_id": audit_id, "number": number, "label": shard.label} for number, shard in enumerate(plan.shards)]


def scan_shard(policy: Policy, audit_id: str, number: int) -> dict[str, object]:
    """Scan one shard from where it stands, with its progress in the log; returns its totals."""
    folder = _folder(policy, audit_id)
    plan = folder.plan()
    _refuse_other_policy(policy, plan)
    shard = plan.shards[number]
    result = scanning.scan_shard(folder, plan, number, shard, _tools(policy, plan))
    resumed = "" if result.resumed_at is None else f", {count(result.resumed_at)} of them by an earlier attempt"
    _log.info(
        "%s: done, %s keys%s, %s without TTL", shard.label, count(result.keys), resumed, count(result.no_ttl_keys)
    )
    return to_plain(result)


def merge_audit(policy: Policy, audit_id: str) -> dict[str, Any]:
    """Make one audit of the shards, write it and its report, and send its figures out as metrics; returns its headline."""
    folder = _folder(policy, audit_id)
    plan = folder.plan()
    _refuse_other_policy(policy, plan)
    if folder.is_finished:
        _log.info("an earlier attempt has merged this audit already")
        audit = read_audit(folder, read_patterns)
    else:
        audit = merging.merge_audit(folder, PatternMerger(), _tools(policy, plan))
    if not folder.has_report:
        folder.write_report(audit_page(audit, memory_limit_bytes=policy.memory.limit_bytes))
    figures = audit.headline(policy.memory.limit_bytes)
    _log.info(
        "%s keys, %s of them without TTL, in %s patterns",
        count(audit.keys),
        count(audit.no_ttl_keys),
        count(len(audit.patterns)),
    )
    for figure in ("keys", "no_ttl_keys", "no_ttl_ratio", "memory_ratio", "fullest_node_ratio"):
        if figures[figure] is not None:
            stats.gauge(f"redis_ttl.{figure}", figures[figure], tags={"cluster": policy.cluster})
    return figures


def report(policy: Policy, context: Context, audit_id: str) -> None:
    """Log the report, line by line, tell the owners, and log the headline once more at the end, where a log is opened."""
    folder = _folder(policy, audit_id)
    for line in folder.report().splitlines():
        _log.info("%s", line)
    _log.info("the same as a document: %s", folder.report_path)
    notify(policy, MessageKind.ACTION_REQUIRED, audit_id, run_link(context))
    _log.info("%s", headline(read_audit(folder, read_patterns), policy.memory.limit_bytes).replace("**", ""))


def _options(policy: Policy, context: Context) -> AuditOptions:
    return options_of(
        context["params"], connection_db=endpoint_of(policy.connection).db, parallel=policy.audit.parallel
    )


def _deployment(policy: Policy, options: AuditOptions) -> RedisDeployment:
    return RedisDeployment(endpoint_of(policy.connection), parse_load(options.load))


def _folder(policy: Policy, audit_id: str) -> AuditFolder:
    return AuditFolder(open_store(), policy.cluster, audit_id)


def _tools(policy: Policy, plan: AuditPlan) -> scanning.ScanTools:
    return scanning.ScanTools(
        redis=_deployment(policy, plan.options),
        new_tally=partial(Tally, policy=policy, sample_ratio=plan.options.sample_percent / 100),
        progress=LoggedProgress(plan, SystemClock()),
        clock=SystemClock(),
    )


def _refuse_other_policy(policy: Policy, plan: AuditPlan) -> None:
    """Shards that were judged by different rules don't add up to a report that means anything."""
    if plan.policy_hash != policy.hash:
        raise BadInput(
            "the policy was changed while the audit ran",
            where=f"policy of {policy.cluster}",
            todo="Trigger the audit again.",
        )
