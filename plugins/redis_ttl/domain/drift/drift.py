"""Keys without TTL that weren't there when somebody last accepted those that were: what a drift check finds, and what of it fails.

A baseline is a set of fingerprints. It doesn't slide: it begins with the first audit and is replaced only by somebody
who accepts what is there. Between the two it can only lose keys, those that have a TTL now or are gone; a key that
comes back without one is new. Knows nothing of columns, of the store, or of Airflow.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.codec import Hex64, document, document_part
from redis_ttl.domain.drift.churn import ChurnLevel

if TYPE_CHECKING:
    from redis_ttl.domain.audit.pattern_statistics import Governance


#: 2 added ``churn``, ``previous``, and of findings ``churn_keys``, ``ending_keys``, ``stayed_keys``, ``seen_keys``, ``gone_keys``.
DRIFT_SCHEMA: Final = "redis_ttl.drift/2"
BASELINE_SCHEMA: Final = "redis_ttl.baseline/2"

#: Names of keys that a finding shows at most.
EXAMPLES_SHOWN: Final = 10


class BaselineKind(StrEnum):
    """How a baseline came to be."""

    FIRST = "first"
    """Of the first audit that was checked: nobody was asked."""
    ACCEPTED = "accepted"
    """Somebody accepted what an audit found."""
    STANDING = "standing"
    """The one before, without the keys that have left it; with the keys of databases that no audit had read before."""


@document_part
@dataclass(frozen=True, slots=True)
class FingerprintRange:
    """One document of a baseline: the fingerprints from ``first`` to ``last``, both included."""

    first: Hex64
    last: Hex64
    keys: int
    path: str


@document(BASELINE_SCHEMA)
@dataclass(frozen=True, slots=True)
class Baseline:
    """The no-TTL keys that are accounted for, as of one audit.

    ``number`` counts the cluster's baselines from 1, ``previous`` is the one that it was made of. ``accepted`` is the
    number of the first or accepted one that it goes back to, whose audit began at ``accepted_at``. ``databases`` are
    those that some audit has read, None for all that there may be.
    ``by``, ``why`` and ``run`` say who accepted it, for which reason, in which run. ``seed`` is what its fingerprints are hashed
    with, as the audit's were; 0 in baselines of version 0.1.
    """

    number: int
    cluster: str
    kind: BaselineKind
    audit_id: str
    at: str
    keys: int
    databases: tuple[int, ...] | None
    ranges: tuple[FingerprintRange, ...]
    accepted: int
    accepted_at: str
    previous: int | None = None
    by: str | None = None
    why: str | None = None
    run: str | None = None
    seed: Hex64 = 0


@dataclass(frozen=True, slots=True)
class ComparisonScope:
    """What a comparison is about.

    ``audit_began_ms`` is when the audit began (ms since 1970). ``scanned`` are the databases that it read, ``covered``
    those that an audit had read before, whose unknown keys are new (None: all); keys of others join the baseline. ``is_first``: there
    is no baseline yet. ``accepts_all``: everything that is there becomes the next one. ``may_leave``: a key that the audit didn't meet is
    gone or has a TTL now. ``seed`` is what the audit's fingerprints are hashed with, and the baseline's; ``next_seed`` is
    what the next baseline's are, where it is another one: only everything that is there can become one, so only if ``accepts_all``.
    """

    audit_began_ms: int
    scanned: tuple[int, ...] | None
    covered: tuple[int, ...] | None
    is_first: bool = False
    accepts_all: bool = False
    may_leave: bool = True
    seed: int = 0
    next_seed: int | None = None


class DriftKind(StrEnum):
    """Why a pattern has keys without TTL that it shouldn't have."""

    NEW_WRITER = "new_writer"
    """Keys that were never seen before, or were away meanwhile."""
    TTL_WIPED = "ttl_wiped"
    """A remediation gave them a TTL that would still hold; they were written again without one."""
    RULE_MISSING = "rule_missing"
    """New keys of a pattern that no rule and no exemption speaks of."""
    OVERDUE = "overdue"
    """The rule's date has passed, and there are still keys without TTL, new or not."""


@dataclass(frozen=True, slots=True)
class NewKeys:
    """How many new keys one pattern of one database has, as the comparison counted them.

    ``stayed`` of them were new in the audit before, too, and ``old`` in the one before that as well. ``asked`` are those that the audit
    asked for TTLs of hashes' fields, if they are hashes, of which ``ending`` end by themselves.
    """

    db: int
    pattern: str
    governance: Governance
    governed_by: str | None
    wiped: bool
    keys: int
    stayed: int = 0
    old: int = 0
    asked: int = 0
    ending: int = 0


@dataclass(frozen=True, slots=True)
class PatternKeys:
    """What the audit counted of one pattern of one database, governed by what today's policy says; about ``ending_keys`` of those
    without a TTL end by themselves.
    """

    db: int
    pattern: str
    governance: Governance
    governed_by: str | None
    keys: int
    no_ttl_keys: int
    ending_keys: int = 0


@document_part
@dataclass(frozen=True, slots=True)
class DriftFinding:
    """New keys of one kind in one pattern of one database; for ``overdue``, all no-TTL keys of one rule.

    ``rule`` is the pattern of the rule that governs them, ``exemption`` that of the exemption. ``owner`` is a team.
    ``new_keys`` are not in the baseline; ``no_ttl_keys`` and ``keys`` are what the audit counted of the pattern (of the
    rule, for ``overdue``). ``growth_per_day`` compares ``new_keys`` with the check before; None where the two audits
    are too close to tell. ``since`` is when the first audit that found it ended. ``allowed_keys`` is what the policy
    tolerates for the whole rule (None: nothing can be too much), ``fails`` whether it was exceeded. ``examples`` are
    names of such keys.

    Of the new keys about ``ending_keys`` end by themselves (hashes whose every field has a TTL), and ``churn_keys`` come and go;
    neither count as drift. ``stayed_keys`` were new in the audit before already; of the ``seen_keys`` that were new then
    ``gone_keys`` are gone. None where there is no audit before that can be compared.
    """

    kind: DriftKind
    db: int
    pattern: str
    rule: str | None
    exemption: str | None
    owner: str
    new_keys: int
    no_ttl_keys: int
    keys: int
    growth_per_day: float | None
    since: str
    allowed_keys: int | None
    fails: bool
    due: str | None = None
    examples: tuple[str, ...] = ()
    ending_keys: int = 0
    churn_keys: int = 0
    stayed_keys: int | None = None
    seen_keys: int | None = None
    gone_keys: int | None = None

    @property
    def counted_keys(self) -> int:
        """The new keys that the policy's tolerance is for: those that stay, or may."""
        return self.new_keys - self.churn_keys - self.ending_keys

    @property
    def is_unheard_of(self) -> bool:
        """Whether none of these keys was there in the audit before, and nothing is known of such keys: tomorrow tells whether they stay."""
        return self.stayed_keys == 0 and not self.seen_keys and not self.churn_keys

    @property
    def identity(self) -> tuple[str, int, str]:
        """What makes it the same finding as one of another night."""
        return (self.kind.value, self.db, self.pattern)

    def with_examples(self, names: tuple[str, ...]) -> DriftFinding:
        """The same, with at most :data:`EXAMPLES_SHOWN` of these names."""
        return dataclasses.replace(self, examples=names[:EXAMPLES_SHOWN])


class Verdict(StrEnum):
    """What a drift check came to."""

    FIRST = "first"
    """There was no baseline; now there is."""
    CLEAN = "clean"
    """Nothing new."""
    TOLERATED = "tolerated"
    """New keys, all within what the policy tolerates, or exempt, or such as end by themselves."""
    CHURN = "churn"
    """New keys that come and go; what doesn't is within what the policy tolerates."""
    DRIFT = "drift"
    """More than the policy tolerates: the task fails."""
    ACCEPTED = "accepted"
    """Somebody accepted what there is; it is the baseline from now on."""


@document(DRIFT_SCHEMA)
@dataclass(frozen=True, slots=True)
class DriftReport:
    """What one drift check found.

    ``audited_at`` is when the audit ended. ``baseline`` is the number of the baseline that it was compared with, None for the
    first check; ``accepted_at`` the beginning of the audit which that one goes back to, ``accepted_by`` who accepted it (None:
    nobody was asked). ``next_baseline`` is the number of the one that holds from now on. ``no_ttl_keys`` are different keys
    without TTL, ``left_keys`` those that left the baseline. ``by`` and ``why`` belong to a check that accepted.
    ``previous`` is the audit before, whose new keys were looked for; None where none can be compared. ``churn`` has the patterns
    that are known for keys that come and go since somebody accepted.
    """

    cluster: str
    audit_id: str
    audited_at: str
    checked_at: str
    run: str
    policy_hash: str
    verdict: Verdict
    baseline: int | None
    accepted: int
    accepted_at: str
    accepted_by: str | None
    next_baseline: int
    no_ttl_keys: int
    baseline_keys: int
    new_keys: int
    left_keys: int
    findings: tuple[DriftFinding, ...] = ()
    notes: tuple[str, ...] = ()
    by: str | None = None
    why: str | None = None
    previous: str | None = None
    churn: tuple[ChurnLevel, ...] = ()

    @property
    def churn_keys(self) -> int:
        """New keys that come and go."""
        return sum(each.churn_keys for each in self.findings)

    @property
    def ending_keys(self) -> int:
        """New keys that end by themselves."""
        return sum(each.ending_keys for each in self.findings)

    @property
    def failing(self) -> tuple[DriftFinding, ...]:
        """What is outside of the policy's tolerance."""
        return tuple(finding for finding in self.findings if finding.fails)

    def headline(self) -> dict[str, Any]:
        """The few figures that a task returns."""
        return {
            "cluster": self.cluster,
            "audit_id": self.audit_id,
            "verdict": self.verdict.value,
            "new_keys": self.new_keys,
            "churn_keys": self.churn_keys,
            "ending_keys": self.ending_keys,
            "no_ttl_keys": self.no_ttl_keys,
            "findings": len(self.findings),
            "failing": len(self.failing),
            "baseline": self.baseline,
            "next_baseline": self.next_baseline,
        }
