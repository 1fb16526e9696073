"""Whether what answers is the data set that a baseline was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.errors import OtherServer
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.usecases.store.audits import AuditFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.drift.drift import Baseline
    from redis_ttl.usecases.ports import Documents


def refuse_another_data_set(base: Baseline, audit: Audit, left_keys: int, documents: Documents) -> None:
    """Raise `OtherServer` where most of the baseline is gone and the servers aren't those that it was made of: an empty or older copy
    in their place isn't the end of a leak. Somebody may accept it.
    """
    if 2 * left_keys <= base.keys:
        return
    folder = AuditFolder(documents, base.cluster, base.audit_id)
    if not folder.is_planned:
        return
    then = folder.plan()
    # Keys that were given TTLs leave the baseline, too, but they are there until these end.
    if 2 * audit.keys > sum(split.keys for split in then.splits):
        return
    if not (strangers := _strangers(then.servers, audit)):
        return
    raise OtherServer(
        "most keys of the baseline are gone, and another data set answers than the one that it was made of",
        where=AuditFolder(documents, base.cluster, audit.plan.audit_id).path,
        found=f"{left_keys:,} of {base.keys:,} keys gone; {', '.join(strangers)}",
        todo="The server was replaced, restarted without its data, or filled anew. If it stays so, accept it: trigger this with accept "
        "and a reason.",
    )


def _strangers(then: Sequence[ServerProfile], audit: Audit) -> list[str]:
    """The servers of the audit that don't continue any of those before by what they say of themselves; none where they say nothing."""
    identities = [NodeIdentity(each.address, each.run_id, each.lineage) for each in then if each.lineage or each.run_id]
    return [
        f"{now.address} with {now.lineage or now.run_id}"
        for now in audit.plan.servers
        if identities
        and (now.lineage or now.run_id)
        and not any(
            each.is_continued_by(run_id=now.run_id, lineage=now.lineage, former_lineage=now.former_lineage)
            for each in identities
        )
    ]
