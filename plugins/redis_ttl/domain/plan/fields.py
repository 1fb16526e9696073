"""What TTLs on fields of hashes mean to a plan: keys that end by themselves free nothing more by a TTL of the key, and a key's TTL
deletes all of its fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.plan.warned import Warned
from redis_ttl.domain.policy.duration import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.warned import RowChanges
    from redis_ttl.domain.policy.policy import Rule

#: From this share of sampled keys on, something is said of them.
_WORTH_SAYING: Final = 0.01


def freed_keys(change: RowChanges) -> int:
    """How many of the keys that get another expiry go by it: those that end by themselves would go anyway."""
    freed = sum(keys for action, keys in change.by_action.items() if action.spec.frees)
    return freed - _ending_keys(change)


def _ending_keys(change: RowChanges) -> int:
    """About how many of the keys that had no TTL end by themselves."""
    return change.row.fields.ending_of(change.first_ttls) or 0


def field_warnings(rule: Rule, changes: Sequence[RowChanges]) -> list[Warned]:
    """What is to be known of a rule's keys that are hashes whose fields have TTLs."""
    return [each for each in (_ending(rule, changes), _mixed(changes)) if each is not None]


def _ending(rule: Rule, changes: Sequence[RowChanges]) -> Warned | None:
    keys = sum(map(_ending_keys, changes))
    total = sum(change.keys for change in changes)
    if not keys or keys < _WORTH_SAYING * total:
        return None
    last_s = max(change.row.fields.last_s or 0 for change in changes if change.first_ttls)
    text = (
        f"about {keys:,} of these keys end by themselves: they are hashes whose every field has a TTL, the last of those sampled "
        f"within {format_duration(max(1, last_s))}; what they hold isn't counted as freed"
    )
    if last_s > rule.ttl_s:
        text += ", and a TTL of the key would delete fields that are to live longer"
        return Warned(text, Caution(CautionKind.FIELDS_CUT, ratio=round(keys / total, 4), ttl_s=last_s))
    return Warned(text, Caution(CautionKind.FIELDS_END, ratio=round(keys / total, 4), ttl_s=last_s))


def _mixed(changes: Sequence[RowChanges]) -> Warned | None:
    rows = [change.row.fields for change in changes if change.keys]
    looked = sum(fields.hashes for fields in rows)
    mixed = sum(fields.some_fields + fields.at_least_some for fields in rows)
    if not mixed or mixed < _WORTH_SAYING * looked:
        return None
    share = mixed / looked
    text = (
        f"about {share:.0%} of the hashes have TTLs on some of their fields, or on more than can be looked at: a TTL of the key "
        "deletes all fields with it, those too that have none or are to live longer"
    )
    return Warned(text, Caution(CautionKind.FIELDS_MIXED, ratio=round(share, 4)))
