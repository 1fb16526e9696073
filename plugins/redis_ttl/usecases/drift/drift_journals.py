"""The journals of a cluster's plans, as a comparison with the baseline needs them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.store.plans import PlanDocuments, journalled_plan_ids

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.rollback.journal import JournalName
    from redis_ttl.usecases.drift.drift_request import DriftTools


@dataclass(frozen=True, slots=True)
class DriftJournal:
    """The journal of one plan: its objects, the parts that had come to their end when the audit began, and about how many keys it has."""

    plan: PlanDocuments
    names: tuple[JournalName, ...]
    done: frozenset[str]
    keys: int


def drift_journals(audit: Audit, tools: DriftTools) -> tuple[DriftJournal, ...]:
    """Those of all plans, as they were when the audit began."""
    cluster = tools.policy.cluster
    began = dt.datetime.fromisoformat(audit.plan.started_at)
    journals = []
    for plan_id in reversed(journalled_plan_ids(tools.documents, cluster)):
        plan = PlanDocuments(tools.documents, cluster, plan_id)
        parts = plan.parts()
        done = {
            each.part
            for each in parts
            if each.outcome is Outcome.DONE and dt.datetime.fromisoformat(each.ended_at) <= began
        }
        names = tuple(plan.journal_names())
        journals.append(DriftJournal(plan, names, frozenset(done), sum(each.changed for each in parts)))
    return tuple(journals)
