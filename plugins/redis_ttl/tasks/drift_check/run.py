"""The work of the drift check's task: wires adapters to the use case, logs the report, and fails where there is drift.

Imports everything that the work needs, so only a task that has begun may import it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars

# isort: split
from redis_ttl.adapters.columns.key_comparison import KeyComparison
from redis_ttl.adapters.counting.pattern_merger import names_in_report, read_patterns
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.drift.drift import Verdict
from redis_ttl.domain.errors import BadInput, DriftFound, RedisTtlError
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.messages.pages.drift_page import drift_page, failure, headline
from redis_ttl.tasks.connection import endpoint_of
from redis_ttl.tasks.notify.notifying import notify, run_link
from redis_ttl.tasks.store import open_store
from redis_ttl.usecases.drift.check_drift import check_drift
from redis_ttl.usecases.drift.drift_request import Acceptance, DriftRequest, DriftTools
from redis_ttl.usecases.store.audits import finished_audits
from redis_ttl.usecases.store.drift import DriftDocuments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redis_ttl.adapters.store.store import Store
    from redis_ttl.domain.drift.drift import DriftReport
    from redis_ttl.domain.policy.policy import Policy

_log = logging.getLogger(__name__)


def compare(policy: Policy, context: Context) -> dict[str, Any]:
    """Check the audit, log the report and send its figure out; the headline. Raises :class:`DriftFound` for drift."""
    store = open_store()
    request = request_of(store, policy, context)
    report = check_drift(
        request,
        DriftTools(
            documents=store,
            policy=policy,
            new_comparison=KeyComparison,
            read_patterns=read_patterns,
            names_in_report=names_in_report,
            redis=_deployment(policy),
            now=SystemClock().now,
            warn=lambda text: _log.warning("%s", text),
            page=drift_page,
        ),
    )
    for line in drift_page(report).splitlines():
        _log.info("%s", line)
    _log.info("the same as a document: %s", DriftDocuments(store, policy.cluster).page_of(report))
    _log.info("%s", headline(report))
    stats.gauge("redis_ttl.drift_new_keys", report.new_keys, tags={"cluster": policy.cluster})
    # Before the task fails, as nothing after that is reached.
    if report.verdict is Verdict.DRIFT:
        notify(policy, MessageKind.DRIFT_FOUND, report.audit_id, run_link(context))
    context["ti"].xcom_push("report", report.headline())
    refuse_drift(report)
    return report.headline()


def request_of(store: Store, policy: Policy, context: Context) -> DriftRequest:
    """What the run asks for: the audit that triggered it, the one that the form names, or the newest one."""
    params, run = context["params"], context["dag_run"]
    named = (params.get("audit_id") or "").strip()
    events = context.get("triggering_asset_events") or {}
    triggering = [event.extra["audit_id"] for of_asset in events.values() for event in of_asset if event.extra]
    if named:
        audit_id = check_document_id(named, where="audit_id")
    elif triggering:
        audit_id = max(triggering)
    else:
        finished = finished_audits(store, policy.cluster)
        if not finished:
            raise BadInput(
                "there is no finished audit to check",
                where=str(store),
                todo=f"Run redis_ttl.{policy.cluster}.audit first; it triggers this check by itself.",
            )
        audit_id = finished[0]
    if not params.get("accept"):
        return DriftRequest(audit_id, run.run_id)
    by = getattr(run, "triggering_user_name", None)
    return DriftRequest(audit_id, run.run_id, Acceptance(by, params.get("reason") or ""))


def refuse_drift(report: DriftReport) -> None:
    """Raise :class:`DriftFound` unless the policy lets pass what was found."""
    if report.verdict is not Verdict.DRIFT:
        return
    what, found = failure(report)
    raise DriftFound(
        what,
        where=report.cluster,
        found=found.rstrip(),
        todo="\nThe log above has the whole report. It fails until the keys are gone or accepted: trigger "
        f"redis_ttl.{report.cluster}.drift_check with accept and a reason.",
    )


def _deployment(policy: Policy) -> RedisDeployment | None:
    """Where new keys are looked up by name; a check does without."""
    try:
        return RedisDeployment(endpoint_of(policy.connection), parse_load(policy.audit.load))
    except RedisTtlError as error:
        _log.warning("names of new keys can't be looked up: %s", error)
        return None
