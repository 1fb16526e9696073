"""What a rollback did, or would do, to each key of a plan's journal, counted. Accounts of parts add up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.schema import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROLLBACK_SCHEMA: Final = "redis_ttl.rollback/1"


@dataclass(frozen=True, slots=True)
class RestoreAccount:
    """What became of one rule's journalled keys; each of ``keys`` is in exactly one of the other figures.

    ``removed`` lost the TTL that we had given them, ``put_back`` have their old, longer one again; in a dry run both
    are what would. ``changed`` have another expiry than ours: the application's word stands. ``as_before`` are as they
    were before us without our doing: never written, or written anew by the application. ``restored_before`` were restored
    by an earlier rollback. ``expired`` are gone, and their time had come: nothing brings them back. ``gone`` went before
    (deleted, or evicted).
    """

    keys: int = 0
    removed: int = 0
    put_back: int = 0
    changed: int = 0
    as_before: int = 0
    restored_before: int = 0
    expired: int = 0
    gone: int = 0

    def __add__(self, other: RestoreAccount) -> RestoreAccount:
        return RestoreAccount(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def restored(self) -> int:
        """Keys that have their former expiry, or none, again by this."""
        return self.removed + self.put_back


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What one attempt at one part (``rollback-<n>``) of a rollback came to; ``accounts`` by the rule's number in the plan."""

    plan_id: str
    part: str
    attempt: str
    dry_run: bool
    began_at: str
    ended_at: str
    accounts: Mapping[int, RestoreAccount]
    journal_objects: int = 0

    @property
    def total(self) -> RestoreAccount:
        """The sums over all rules."""
        return sum(self.accounts.values(), RestoreAccount())

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store, and for other tasks."""
        return {
            "schema": ROLLBACK_SCHEMA,
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "accounts": {str(rule): asdict(account) for rule, account in sorted(self.accounts.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RestoreResult:
        """The result that :meth:`to_json` wrote."""
        kept = fields_of(cls, data, ROLLBACK_SCHEMA)
        accounts = {int(rule): RestoreAccount(**account) for rule, account in data["accounts"].items()}
        return cls(**{**kept, "accounts": accounts})


def add_restored(accounts: Iterable[Mapping[int, RestoreAccount]]) -> dict[int, RestoreAccount]:
    """The sums by rule."""
    sums: dict[int, RestoreAccount] = {}
    for each in accounts:
        for rule, account in each.items():
            sums[rule] = sums.get(rule, RestoreAccount()) + account
    return dict(sorted(sums.items()))
