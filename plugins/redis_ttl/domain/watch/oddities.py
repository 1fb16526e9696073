"""What makes a sample not comparable with the one before: a restart, a failover, a gap.

It explains a jump, so that none is taken for a burst.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import exchanges_text, exchanging_calls
from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from redis_ttl.domain.watch.sample import NodeSample, Sample

#: Samples further apart than this many intervals are a gap, and say nothing of the time between.
_GAP_INTERVALS: Final = 2.5


class OddityKind(StrEnum):
    """What makes a sample not comparable with the one before, or the nodes with each other."""

    GAP = "samples are missing"
    RESTART = "a server was restarted"
    FAILOVER = "another server answers"
    LIMIT = "maxmemory has changed"
    EXCHANGE = "a data set may have been exchanged"
    CLOCK = "the clock went back"
    DISAGREE = "nodes have different settings"


@document_part
@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that explains a jump, so that it isn't taken for a burst."""

    kind: OddityKind
    what: str


def oddities(before: Sample | None, now: Sample, interval_s: float) -> tuple[Oddity, ...]:
    """What is out of order between two samples, and among the nodes of the later one."""
    found = [] if before is None else _between(before, now, interval_s)
    for name, told in (
        ("limit", {node.limit_text for node in now.nodes}),
        ("eviction policy", {node.eviction_policy or "unknown" for node in now.nodes}),
    ):
        if len(told) > 1:
            found.append(Oddity(OddityKind.DISAGREE, f"{name}: {', '.join(sorted(told))}"))
    return tuple(found)


def _between(before: Sample, now: Sample, interval_s: float) -> list[Oddity]:
    found = []
    apart_s = (now.moment - before.moment).total_seconds()
    if apart_s > _GAP_INTERVALS * interval_s:
        missing = round(apart_s / interval_s) - 1
        found.append(Oddity(OddityKind.GAP, f"{missing} samples since {before.at}"))
    if apart_s < 0:
        found.append(Oddity(OddityKind.CLOCK, f"the look before was made {-apart_s:,.0f} s from now"))
    earlier = {node.address: node for node in before.nodes}
    for node in now.nodes:
        known = earlier.get(node.address)
        if known is None:
            found.append(Oddity(OddityKind.FAILOVER, f"{node.address} answers, which didn't before"))
        elif known.run_id != node.run_id or _went_back(known, node):
            found.append(Oddity(OddityKind.RESTART, f"{node.address} is another process"))
        elif calls := exchanging_calls(known.calls, node.calls):
            found.append(Oddity(OddityKind.EXCHANGE, f"{node.address}: {exchanges_text(calls)}"))
        if known is not None and known.limit_text != node.limit_text:
            found.append(Oddity(OddityKind.LIMIT, f"{node.address}: {known.limit_text} to {node.limit_text}"))
    gone = sorted(set(earlier) - {node.address for node in now.nodes})
    if gone:
        found.append(Oddity(OddityKind.FAILOVER, f"{', '.join(gone)} doesn't answer as a primary any more"))
    return found


def _went_back(before: NodeSample, now: NodeSample) -> bool:
    """Whether a counter that only rises has fallen: the process was restarted, or its figures were reset."""
    if before.uptime_s is not None and now.uptime_s is not None and now.uptime_s < before.uptime_s:
        return True
    if before.expired_keys is None or now.expired_keys is None:
        return False
    return before.run_id == "" and now.expired_keys < before.expired_keys
