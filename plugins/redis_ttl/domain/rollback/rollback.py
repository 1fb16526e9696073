"""What a rollback did, or would do, to each key of a plan's journal, counted. Accounts of parts add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document, document_part
from redis_ttl.domain.errors import Unfinished
from redis_ttl.domain.keys.pattern import shown
from redis_ttl.domain.remediation.parts import ROLLBACK
from redis_ttl.domain.remediation.remediation import Interruption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.policy.guards import Reading

#: 2 added ``unreached``, ``unreadable``, ``missing``, ``interruptions``, ``reason``, ``leftovers`` and ``examples``. 3 added ``outlived``.
ROLLBACK_SCHEMA: Final = "redis_ttl.rollback/3"
_HOLES_SHOWN: Final = 10


@document_part
@dataclass(frozen=True, slots=True)
class RestoreAccount:
    """What became of one rule's journalled keys; each of ``keys`` is in exactly one of the other figures.

    ``removed`` lost the TTL that we had given them, ``put_back`` have their old one again; in a dry run both
    are what would. ``outlived`` have our expiry still and keep it: their old one was earlier and has passed, so that giving it back would
    delete them. ``changed`` have another expiry than ours: the application's word stands. ``as_before`` are as they
    were before us without our doing: never written, or written anew by the application. ``restored_before`` were restored
    by an earlier rollback. ``expired`` are gone, and their time had come: nothing brings them back. ``gone`` went before
    (deleted, or evicted). ``unreached`` are on a node that didn't answer for them in time: nobody knows.
    """

    keys: int = 0
    removed: int = 0
    put_back: int = 0
    changed: int = 0
    as_before: int = 0
    restored_before: int = 0
    expired: int = 0
    gone: int = 0
    unreached: int = 0
    outlived: int = 0

    def __add__(self, other: RestoreAccount) -> RestoreAccount:
        return RestoreAccount(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def restored(self) -> int:
        """Keys that have their former expiry, or none, again by this."""
        return self.removed + self.put_back


@dataclass(frozen=True, slots=True)
class WatchedNode:
    """One primary while keys are restored: its figures, None when it didn't answer; and whether its eviction policy takes keys with a
    TTL before all others.
    """

    address: str
    reading: Reading | None
    evicts_keys_with_ttl: bool


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Keys of the keyspace that have one of a plan's instants: how many of each rule, and some of their names. ``keys`` is how many
    were looked at; ``moving`` says that slots moved during each look, so that keys may have been overlooked.
    """

    counts: Mapping[int, int]
    examples: tuple[bytes, ...]
    keys: int
    moving: bool = False


@document(ROLLBACK_SCHEMA)
@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What one attempt at one part (``rollback-<n>``) of a rollback came to; ``accounts`` by the rule's number in the plan.

    ``unreadable`` are journal objects that are there and can't be read, ``missing`` those that were written and aren't there: what
    they held isn't in the accounts. ``reason`` says why it ended before its end; the journal object that it was at isn't counted
    then. ``leftovers`` counts by rule the keys of the whole keyspace that have one of the plan's instants, journalled or not;
    ``examples`` are some of them. None where nobody looked.
    """

    plan_id: str
    part: str
    attempt: str
    dry_run: bool
    began_at: str
    ended_at: str
    accounts: Mapping[int, RestoreAccount]
    journal_objects: int = 0
    unreadable: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    reason: str | None = None
    leftovers: Mapping[int, int] | None = None
    examples: tuple[str, ...] = ()

    @property
    def total(self) -> RestoreAccount:
        """The sums over all rules."""
        return sum(self.accounts.values(), RestoreAccount())

    @property
    def holes(self) -> tuple[str, ...]:
        """Journal objects that nothing was restored from, by name, with the reason."""
        return (
            *(f"{name} (unreadable)" for name in self.unreadable),
            *(f"{name} (missing)" for name in self.missing),
        )

    def still_ours(self, rule: int) -> int:
        """How many of that rule's keys have our expiry and could lose it, by this look: those of the journal, or all that were found if
        they are more.
        """
        account = self.accounts.get(rule, RestoreAccount())
        return max(account.restored, (self.leftovers or {}).get(rule, 0) - account.outlived)

    @property
    def all_still_ours(self) -> int:
        """The same, over all rules."""
        return sum(self.still_ours(rule) for rule in {*self.accounts, *(self.leftovers or {})})


def add_restored(accounts: Iterable[Mapping[int, RestoreAccount]]) -> dict[int, RestoreAccount]:
    """The sums by rule."""
    sums: dict[int, RestoreAccount] = {}
    for each in accounts:
        for rule, account in each.items():
            sums[rule] = sums.get(rule, RestoreAccount()) + account
    return dict(sorted(sums.items()))


def add_results(results: Sequence[RestoreResult]) -> RestoreResult:
    """The sum of the parts of one rollback, of which there is at least one."""
    first = results[0]
    return RestoreResult(
        plan_id=first.plan_id,
        part=ROLLBACK,
        attempt=first.attempt,
        dry_run=first.dry_run,
        began_at=min(each.began_at for each in results),
        ended_at=max(each.ended_at for each in results),
        accounts=add_restored(each.accounts for each in results),
        journal_objects=sum(each.journal_objects for each in results),
        # Each part reads the whole journal, and names whatever is missing from it.
        unreadable=tuple(dict.fromkeys(name for each in results for name in each.unreadable)),
        missing=tuple(dict.fromkeys(name for each in results for name in each.missing)),
        interruptions=tuple(note for each in results for note in each.interruptions),
    )


def refuse_unfinished(restored: RestoreResult, found: RestoreResult, *, moving: bool) -> None:
    """Raise when a rollback isn't the end of its plan: ``restored`` is what it did, or would do, ``found`` a look afterwards (the same
    for a dry run); ``moving`` says that this look can't vouch for keys which moved meanwhile.
    """
    holes = tuple(dict.fromkeys([*restored.holes, *found.holes]))
    left = 0 if restored.dry_run else found.all_still_ours
    unreached = found.total.unreached
    reasons: list[str] = []
    todo: list[str] = []
    if left:
        by_rule = ", ".join(
            f"rule {rule}: {found.still_ours(rule):,}"
            for rule in sorted({*found.accounts, *(found.leftovers or {})})
            if found.still_ours(rule)
        )
        examples = f", as {', '.join(shown(example) for example in found.examples)}" if found.examples else ""
        reasons.append(f"{left:,} keys that still have our expiry ({by_rule}){examples}")
        todo.append(
            "See that the remediation has stopped, and that the journal is whole; keys that only the scan finds were in a journal object "
            "that is lost, or were set by a writer that still runs. Then clear load_journal with its downstream tasks."
        )
    if unreached:
        reasons.append(f"{unreached:,} keys whose node didn't answer for them")
        todo.append("When the cluster is whole, clear load_journal with its downstream tasks.")
    if moving:
        reasons.append("slots that moved during each look, so that keys may have been overlooked")
        todo.append("When no slots move, clear verify.")
    if holes:
        first = ", ".join(holes[:_HOLES_SHOWN]) + (
            f" and {len(holes) - _HOLES_SHOWN} more" if len(holes) > _HOLES_SHOWN else ""
        )
        reasons.append(f"{len(holes):,} holes in the journal: {first}")
        todo.append(
            "The keys in these objects are unknown and weren't restored. Restore the objects from a backup of the store, and trigger the "
            "rollback again."
        )
    if reasons:
        dry = restored.dry_run
        raise Unfinished(
            "a rollback wouldn't take back all of this plan"
            if dry
            else "the rollback didn't take back all of this plan",
            where=f"plan {restored.plan_id}",
            found="; ".join(reasons),
            todo=" ".join(["This was a dry run: nothing was changed.", *todo] if dry else todo),
        )
