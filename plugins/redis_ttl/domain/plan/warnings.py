"""What a plan warns of: of each rule's keys, and as a whole. Each warning is a sentence for the plan's page and the figures
that messages say it by, in any language.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.plan.fields import field_warnings
from redis_ttl.domain.plan.other_plans import OtherState
from redis_ttl.domain.plan.warned import Warned
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.domain.policy.guards import GUARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.other_plans import OtherPlan
    from redis_ttl.domain.plan.warned import RowChanges
    from redis_ttl.domain.policy.policy import Rule

#: From this share of sampled keys on, something is said of them.
_WORTH_SAYING: Final = 0.01
#: A collection of that size takes the server about 2 ms to free, the longest that goes unnoticed. Measured on Redis 7.0 and
#: Valkey 9.1 with ``lazyfree-lazy-expire no``: hash or set of 1 MB 1 to 2 ms, of 4 to 11 MB 16 to 96 ms, set of a million
#: elements (50 MB) 190 to 813 ms.
BIG_COLLECTION_BYTES: Final = 1 << 20
#: The same of a string, which is one block of memory: 10 MB took 1 ms, 100 MB 5 to 14 ms.
BIG_STRING_BYTES: Final = 16 << 20
_KINDS_SHOWN: Final = 12
_STRINGS: Final = frozenset({"string"})


def rule_warnings(
    rule: Rule,
    changes: Sequence[RowChanges],
    hot_ratio: float | None,
    servers: Sequence[ServerProfile],
    now: dt.datetime,
) -> list[Warned]:
    """What is to be known of one rule's keys."""
    found = [
        _in_place(rule, changes, now),
        _untold_strings(rule, changes),
        _in_use(rule, hot_ratio),
        _big(changes, servers),
        _extended(changes),
    ]
    return [each for each in found if each is not None] + field_warnings(rule, changes)


def plan_warnings(
    audit: Audit, eviction: str | None, others: Sequence[OtherPlan], unguarded: Sequence[str] = ()
) -> list[Warned]:
    """What is to be known of the plan as a whole. ``unguarded`` are the guards that the policy does without, by their keys."""
    found = []
    if unguarded:
        left_out = [guard for guard in GUARDS if guard.key in unguarded]
        without = ", ".join(f"`{guard.key}` ({guard.says})" for guard in left_out)
        text = f"the policy turns these guards off: {without}. If one of these figures goes bad, writing neither pauses nor stops"
        found.append(Warned(text, Caution(CautionKind.UNGUARDED, kinds=tuple(guard.key for guard in left_out))))
    if eviction is not None and "volatile-" in eviction:
        text = (
            f"when memory runs out, the eviction policy {eviction} can evict any key that has a TTL, however long; "
            "that will include these keys"
        )
        found.append(Warned(text, Caution(CautionKind.EVICTABLE, name=eviction)))
    if eviction is not None and "lrm" in eviction:
        text = (
            f"under the eviction policy {eviction}, setting a TTL counts as a write: these keys will be evicted last, "
            "however old they are"
        )
        found.append(Warned(text, Caution(CautionKind.RENEWS, name=eviction)))
    for other in others:
        if other.state is OtherState.WAITING:
            text = (
                f"plan {other.plan_id} is also waiting for approval, and neither plan counts the other's expiries: approve only one of "
                "them, then build the other again"
            )
            found.append(Warned(text, Caution(CautionKind.OTHER_WAITS, name=other.plan_id)))
        if other.unread:
            text = f"the documents of plan {other.plan_id} are damaged: everything it planned or journalled counts as written"
            found.append(Warned(text, Caution(CautionKind.OTHER_UNREAD, name=other.plan_id)))
    told = [warning for warning in audit.warnings if warning not in audit.plan.warnings]
    told += audit.completeness.left_out
    return found + [Warned(text, Caution(CautionKind.TEXT, text=text)) for text in told]


def weighted(shares: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of shares, each of so many keys; None where none is known."""
    known = [(share, keys) for share, keys in shares if share is not None and keys]
    total = sum(keys for _, keys in known)
    return sum(share * keys for share, keys in known) / total if total else None


def _in_place(rule: Rule, changes: Sequence[RowChanges], now: dt.datetime) -> Warned | None:
    kinds = sorted({kind for change in changes for kind in change.row.updated_in_place})
    shares = {
        kind: weighted((change.row.updated_in_place.get(kind, 0.0), change.keys) for change in changes) or 0.0
        for kind in kinds
    }
    # The largest: a server may have modules with any number of types.
    most = sorted(shares, key=lambda kind: (-shares[kind], kind))[:_KINDS_SHOWN]
    shown = tuple(f"{kind} {shares[kind]:.0%}" for kind in sorted(most) if shares[kind] >= _WORTH_SAYING)
    if not shown:
        return None
    first_day = (now + dt.timedelta(seconds=rule.ttl_s)).date().isoformat()
    text = (
        f"values are updated in place ({', '.join(shown)}), which doesn't renew the TTL: these keys are deleted "
        f"as early as {format_duration(rule.ttl_s)} after approval ({first_day} if approved today), "
        "however often they are written"
    )
    return Warned(text, Caution(CautionKind.IN_PLACE, ttl_s=rule.ttl_s, kinds=shown))


def _untold_strings(rule: Rule, changes: Sequence[RowChanges]) -> Warned | None:
    """Strings that SET replaces, or that something changes in place: which of the two, no server tells of most of them."""
    share = weighted((change.row.untold_strings_ratio, change.keys) for change in changes) or 0.0
    if share < _WORTH_SAYING:
        return None
    text = (
        f"{share:.0%} are strings, and the server doesn't report how they are written: APPEND, SETRANGE, SETBIT, PFADD (HyperLogLogs) and "
        f"INCRBYFLOAT don't renew the TTL, so keys written that way are deleted as early as {format_duration(rule.ttl_s)} after "
        "approval, however often they are written; SET removes the TTL"
    )
    return Warned(text, Caution(CautionKind.STRINGS, ratio=round(share, 4), ttl_s=rule.ttl_s))


def _in_use(rule: Rule, hot_ratio: float | None) -> Warned | None:
    if hot_ratio is None or hot_ratio < _WORTH_SAYING:
        return None
    if rule.cold:
        cold, kind = "the rule takes cold keys only and skips them", CautionKind.IN_USE_LEFT
    else:
        cold, kind = "`cold` in the rule would skip them", CautionKind.IN_USE
    return Warned(f"about {hot_ratio:.0%} of the keys are in use; {cold}", Caution(kind, ratio=round(hot_ratio, 4)))


def _extended(changes: Sequence[RowChanges]) -> Warned | None:
    keys, total = (
        sum(change.by_action.get(Action.EXTEND, 0) for change in changes),
        sum(change.keys for change in changes),
    )
    if not keys:
        return None
    text = (
        f"{keys:,} keys live longer than their applications asked for, and keep their memory until then; a rollback gives each its old TTL "
        "back only as long as that hasn't run out"
    )
    return Warned(text, Caution(CautionKind.EXTENDED, ratio=round(keys / total, 4)))


def _big(changes: Sequence[RowChanges], servers: Sequence[ServerProfile]) -> Warned | None:
    largest = max((_big_bytes(change.row) for change in changes if change.keys), default=0)
    blocking = [server for server in servers if server.frees_expired_lazily is False]
    unknown = [server for server in servers if server.frees_expired_lazily is None]
    if not largest or not (blocking or unknown):
        return None
    server = (blocking or unknown)[0]
    shown = f"the largest sampled key is {largest / (1 << 20):,.1f} MiB"
    if blocking:
        text = (
            f"{shown}, and {server.address} blocks while it frees an expired key (lazyfree-lazy-expire no): some "
            "milliseconds per MiB of a hash, set, list, sorted set or stream. To free them in the background: CONFIG SET "
            "lazyfree-lazy-expire yes"
        )
        return Warned(text, Caution(CautionKind.BIG, name=server.address, size_bytes=largest))
    text = (
        f"{shown}, and {server.address} doesn't let us check whether it blocks while it frees an expired key (ACL rule "
        "+config|get, lazyfree-lazy-expire): by default Redis blocks, and Valkey from 8.0 on frees in the background"
    )
    return Warned(text, Caution(CautionKind.BIG_UNKNOWN, name=server.address, size_bytes=largest))


def _big_bytes(row: PatternStatistics) -> int:
    """The largest sampled size where it is one that blocks; 0 where it isn't, or where sizes weren't asked."""
    only_strings = bool(row.types) and row.types.keys() <= _STRINGS
    largest = round(row.sizes.largest)
    return largest if largest >= (BIG_STRING_BYTES if only_strings else BIG_COLLECTION_BYTES) else 0
