"""The account of a remediation: what became of each key of each rule, counted. Accounts of shards and attempts add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document, document_part
from redis_ttl.domain.policy.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

#: 2 added ``extended`` to the accounts.
APPLY_SCHEMA: Final = "redis_ttl.apply/2"
BEGUN_SCHEMA: Final = "redis_ttl.begun/1"


@document_part
@dataclass(frozen=True, slots=True)
class RuleAccount:
    """What one part of a run did to one rule's keys.

    ``met`` keys match the rule and no exemption; each of them is in exactly one of the other figures. ``set``,
    ``capped`` and ``extended`` got our instant now. ``already_ours`` had it, from an earlier attempt or the canary. ``had_ttl`` have a
    TTL of their own that the rule leaves alone. ``raced`` were changed by the application between our reading and our
    writing, so the server refused; read again, the rule left them alone, or they were changed again and again. ``vanished``
    were gone by then. ``hot`` are in use, and the rule takes cold keys only. ``left`` would be changed, and weren't: not the
    canary's share, or the run was stopped.
    """

    met: int = 0
    set: int = 0
    capped: int = 0
    already_ours: int = 0
    had_ttl: int = 0
    raced: int = 0
    vanished: int = 0
    hot: int = 0
    left: int = 0
    extended: int = 0

    def __add__(self, other: RuleAccount) -> RuleAccount:
        return RuleAccount(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def changed(self) -> int:
        """How many keys got our instant now."""
        return sum(getattr(self, action.spec.account) for action in Action)

    @property
    def settled(self) -> int:
        """How many keys it is known of what became of them."""
        return sum(getattr(self, field.name) for field in fields(self) if field.name != "met")

    @property
    def undecided(self) -> int:
        """How many keys were met and are in no other figure yet: they shall change."""
        return self.met - self.settled


@document_part
@dataclass(frozen=True, slots=True)
class Interruption:
    """Writing stood still for a while, or ended, by this reason."""

    at: str
    reason: str
    lasted_s: float
    ended: bool = False
    """Whether it ended the part's work."""


class Outcome(StrEnum):
    """How a part's work ended."""

    DONE = "done"
    STOPPED = "stopped"
    """By an operator."""
    ABORTED = "aborted"
    """By a guard."""


@document(BEGUN_SCHEMA)
@dataclass(frozen=True, slots=True)
class PartBegun:
    """An attempt at one part was begun; written before its first journal object, so that a rollback knows of every
    attempt, also of one that was killed. ``approved_at_ms`` (ms since 1970) is what its instants count from; ``run_id`` the
    server process that a shard is read from, empty where that isn't known.
    """

    plan_id: str
    part: str
    attempt: str
    approved_at_ms: int
    began_at: str
    run_id: str = ""


@document(APPLY_SCHEMA)
@dataclass(frozen=True, slots=True)
class PartResult:
    """What one attempt at one part (``canary`` or ``shard-<n>``) of a plan came to.

    ``accounts`` by the rule's number in the plan. ``scanned`` counts all keys met, governed or not. ``run_id`` is the
    server process whose keys were read; ``whole`` says that the part read its whole database instead of one shard of
    it, because shards that different processes answered don't add up to all keys.
    """

    plan_id: str
    part: str
    attempt: str
    outcome: Outcome
    began_at: str
    ended_at: str
    scanned: int
    accounts: Mapping[int, RuleAccount]
    journal_objects: int
    journal_bytes: int
    interruptions: tuple[Interruption, ...] = ()
    reason: str | None = None
    run_id: str = ""
    whole: bool = False

    @property
    def changed(self) -> int:
        """How many keys got our instant."""
        return sum(account.changed for account in self.accounts.values())


def add_accounts(accounts: Iterable[Mapping[int, RuleAccount]]) -> dict[int, RuleAccount]:
    """The sums by rule."""
    sums: dict[int, RuleAccount] = {}
    for each in accounts:
        for rule, account in each.items():
            sums[rule] = sums.get(rule, RuleAccount()) + account
    return sums
