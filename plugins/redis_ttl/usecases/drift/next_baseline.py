"""The baseline that holds after a check: what is left of the one before, or what somebody has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.drift.drift import Baseline, BaselineKind, ComparisonScope
from redis_ttl.usecases.drift.drift_scope import both
from redis_ttl.usecases.store.drift import DriftDocuments

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.usecases.drift.drift_ports import Comparison
    from redis_ttl.usecases.drift.drift_request import DriftRequest, DriftTools


def next_baseline(
    base: Baseline | None,
    *,
    audit: Audit,
    scope: ComparisonScope,
    comparison: Comparison,
    request: DriftRequest,
    tools: DriftTools,
) -> Baseline:
    """The baseline that holds from now on; written where it is another one than before."""
    accept = request.accept
    documents = DriftDocuments(tools.documents, tools.policy.cluster)
    newest = next(documents.baselines(), None)
    if accept is not None and newest is not None and newest.run == request.run:
        return newest
    if base is not None and accept is None:
        if newest is not None and newest != base and newest.audit_id >= audit.plan.audit_id:
            return newest  # an earlier attempt has written it, or a later audit was checked before this one
        if not comparison.left_keys and not comparison.joined_keys:
            return base
    number = 1 if newest is None else newest.number + 1
    ranges = documents.write_ranges(number, comparison.ranges())
    kind = BaselineKind.FIRST if base is None else BaselineKind.STANDING
    kind = kind if accept is None else BaselineKind.ACCEPTED
    stands = base is not None and accept is None
    made = Baseline(
        number=number,
        cluster=tools.policy.cluster,
        kind=kind,
        audit_id=audit.plan.audit_id,
        at=tools.now().isoformat(),
        keys=sum(each.keys for each in ranges),
        databases=both(scope.covered, scope.scanned),
        ranges=ranges,
        accepted=base.accepted if base is not None and stands else number,
        accepted_at=base.accepted_at if base is not None and stands else audit.plan.started_at,
        previous=None if base is None else base.number,
        by=base.by if base is not None and stands else None if accept is None else accept.by,
        why=base.why if base is not None and stands else None if accept is None else accept.why.strip(),
        run=None if accept is None else request.run,
        seed=scope.seed if scope.next_seed is None else scope.next_seed,
    )
    documents.write_baseline(made)
    return made
