"""What a second look at the keyspace says about a plan: what became of each rule's keys, and why some still have no TTL.

Every key that we journalled is in exactly one of ``kept``, ``changed``, ``wiped``, ``unfinished``, ``expired`` and
``gone``. Every key without a TTL that is governed by a rule of the plan which gives TTLs is in exactly one of ``wiped``, ``unfinished``,
``new``, ``rewritten``, ``in_use``, ``left``, ``untold`` and ``missed``. The last one is our fault, and must be 0. So must ``unjournalled``.

Version 2 added ``unjournalled`` and ``untold`` to the rules, ``unreadable``, ``moving_slots``, ``strangers``. Version 3: ``shorter``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from redis_ttl.domain.codec import document, document_part

VERIFICATION_SCHEMA: Final = "redis_ttl.verification/3"


@document_part
@dataclass(frozen=True, slots=True)
class VerifiedRule:
    """What became of one rule's keys. ``number`` and ``refusal`` are the plan's; keys are counted once, in the first figure that fits.

    Keys in our journal: ``kept`` expire at an instant that we set. ``changed`` expire at another one, which the
    application set since. ``wiped`` have lost their TTL (the application wrote them again, as SET does).
    ``unfinished`` don't have our instant, and were journalled only by a part of the run that never came to its end:
    perhaps they were never written. ``expired`` are gone, and their time had come; ``gone`` went before (deleted,
    or evicted).

    Keys outside our journal without a TTL: ``new`` were not among the audit's. ``rewritten`` were, and our writer didn't
    meet them; they were used or written since it began, so they were away meanwhile, as far as can be told. ``in_use``
    are too much in use for a rule that takes cold keys only. ``left`` were not reached, because the run ended before.
    ``missed`` were there all along, as they are now. ``untold`` were, and weren't written since: under an LRM eviction policy a server
    says no more, and who was away meanwhile isn't known.

    ``unjournalled`` are outside our journal too, and have an instant of this plan all the same: their row is lost, so a rollback
    that goes by the journal alone leaves them as they are.

    ``longer`` (mode ``cap``) have a TTL beyond what the rule allows, and not by us; ``shorter`` (mode ``extend``) one with less left than
    the rule's. ``met`` are all keys governed by the
    rule. What the writers themselves left alone, from their accounts: ``had_ttl``, ``raced``, ``vanished``, ``hot``.
    """

    number: int
    pattern: str
    mode: str
    planned: int
    refusal: str | None = None
    met: int = 0
    kept: int = 0
    changed: int = 0
    wiped: int = 0
    unfinished: int = 0
    expired: int = 0
    gone: int = 0
    new: int = 0
    rewritten: int = 0
    in_use: int = 0
    left: int = 0
    missed: int = 0
    unjournalled: int = 0
    longer: int = 0
    no_ttl_keys: int = 0
    had_ttl: int = 0
    raced: int = 0
    vanished: int = 0
    hot: int = 0
    untold: int = 0
    shorter: int = 0

    @property
    def journalled(self) -> int:
        """How many different keys of the rule are in our journal."""
        return self.kept + self.changed + self.wiped + self.unfinished + self.expired + self.gone


@document(VERIFICATION_SCHEMA)
@dataclass(frozen=True, slots=True)
class Verification:
    """What one second look at all databases of a plan came to.

    ``scanned`` counts all keys met, ``no_ttl_keys`` those of them without a TTL, governed or not. ``complete`` says
    whether every shard of the plan was written to its end. ``used_bytes`` is the memory in use on all nodes together.
    ``unreadable`` names objects of the journal that are damaged or missing. ``moving_slots`` of a cluster were on their way to
    another node while we looked, or went there: what is said of their keys isn't certain. ``strangers`` are servers that don't
    continue the data set of the plan by what they say of themselves.
    """

    plan_id: str
    digest: str
    began_at: str
    ended_at: str
    scanned: int
    no_ttl_keys: int
    used_bytes: int | None
    complete: bool
    rules: tuple[VerifiedRule, ...]
    notes: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    moving_slots: int = 0
    strangers: tuple[str, ...] = ()

    @property
    def mostly_gone(self) -> bool:
        """Whether most of what the journal has is gone before its time: deleted, evicted, or not of this data set at all."""
        return 2 * sum(rule.gone for rule in self.rules) > sum(rule.journalled for rule in self.rules)

    @property
    def unjournalled(self) -> int:
        """Keys that have an instant of ours and no row in the journal, over all rules."""
        return sum(rule.unjournalled for rule in self.rules)

    @property
    def missed(self) -> int:
        """Keys that we should have changed and didn't, over all rules."""
        return sum(rule.missed for rule in self.rules)

    @property
    def kept(self) -> int:
        """Keys that expire as we set it, over all rules."""
        return sum(rule.kept for rule in self.rules)

    def summary(self) -> dict[str, Any]:
        """The few figures that travel between tasks."""
        figures = ("kept", "changed", "wiped", "expired", "gone", "missed", "unjournalled")
        included = [rule for rule in self.rules if rule.refusal is None]
        return {
            "plan_id": self.plan_id,
            "complete": self.complete,
            "scanned": self.scanned,
            "no_ttl_keys": self.no_ttl_keys,
            "planned": sum(rule.planned for rule in included),
            **{name: sum(getattr(rule, name) for rule in included) for name in figures},
        }
