"""Finds the audits before one whose keys can be compared with it: of the same data, under the same seed, and complete.

A comparison with another server, or with an audit that didn't meet every key, would call keys gone that are there: then it is
better to have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import RedisTtlError
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.store.audits import AuditFolder, begun_audits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.audit.audit import Audit, AuditPlan
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.usecases.ports import Documents

#: Audits before that are looked at, to find two.
_LOOKED_AT: Final = 6
_WANTED: Final = 2


@dataclass(frozen=True, slots=True)
class EarlierAudit:
    """An audit before, with its folder."""

    folder: AuditFolder
    audit: Audit


def earlier_audits(
    audit: Audit, documents: Documents, read_patterns: Callable[[bytes], Sequence[PatternStatistics]]
) -> list[EarlierAudit]:
    """The last audits before this one that can be compared with it, the latest first; two at most, none where this one itself may not
    have met every key. One that is damaged, or partly gone, is left out.
    """
    if not met_every_key(audit):
        return []
    cluster, own = audit.plan.cluster, audit.plan.audit_id
    begun = [each for each in begun_audits(documents, cluster) if each < own]
    found: list[EarlierAudit] = []
    for name in begun[:_LOOKED_AT]:
        folder = AuditFolder(documents, cluster, name)
        try:
            if folder.is_finished and _is_comparable(folder.plan(), audit.plan):
                earlier = read_audit(folder, read_patterns)
                if met_every_key(earlier):
                    found.append(EarlierAudit(folder, earlier))
        except RedisTtlError:
            continue
        if len(found) == _WANTED:
            break
    return found


def met_every_key(audit: Audit) -> bool:
    """Whether a key that the audit didn't meet is gone: no slots moved during its scan, no other data set came, and no key that was
    drawn before it stayed unseen.
    """
    whole = audit.completeness.unseen == 0 and not audit.completeness.doubts
    return whole and len(audit.warnings) == len(audit.plan.warnings)


def _is_comparable(earlier: AuditPlan, audit: AuditPlan) -> bool:
    then, now = earlier.options.databases, audit.options.databases
    read_all = then == "all" or (now != "all" and set(now) <= set(then))
    # Databases that its user might not read.
    lost = {db for server in earlier.servers for db in server.forbidden_databases}
    lost -= {db for server in audit.servers for db in server.forbidden_databases}
    read_all = read_all and not (lost if now == "all" else lost & set(now))
    return earlier.seed == audit.seed and read_all and _is_same_data(earlier, audit)


def _is_same_data(earlier: AuditPlan, audit: AuditPlan) -> bool:
    """Whether a server of one goes on with the data of a server of the other: by the replication ids, which failovers and replicas
    keep, or where none is told by the process.
    """
    then, now = _lineages(earlier), _lineages(audit)
    if then and now:
        return bool(then & now)
    return bool({each.run_id for each in earlier.servers} & {each.run_id for each in audit.servers} - {""})


def _lineages(plan: AuditPlan) -> set[str]:
    return {each for server in plan.servers for each in (server.lineage, server.former_lineage)} - {""}
