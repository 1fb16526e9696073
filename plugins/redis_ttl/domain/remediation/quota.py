"""How many keys each part of a remediation may change, so that the limits of its plan hold over all of them together.

Before the canary writes, it counts for each shard and rule the keys that would change and those that are changed already
(:class:`Survey`). A shard may have that many. What a limit leaves beyond all surveys is its *reserve*, for keys that appear
later: it is cut into numbered shares, and a shard that meets more keys than were counted takes shares of it
(:class:`Grant`), each by creating a document that only one can create. So no part needs to know what the others do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document

if TYPE_CHECKING:
    from collections.abc import Collection

    from redis_ttl.domain.plan.plan import Plan

SURVEY_SCHEMA: Final = "redis_ttl.survey/1"
GRANT_SCHEMA: Final = "redis_ttl.grant/1"

#: The limit over all rules, beside those of single rules (:func:`pot_of_rule`).
RUN_POT: Final = "run"

#: A reserve has so many shares for each shard, and so many at least: what a shard leaves of its last share is lost to others.
_SHARES_A_SHARD: Final = 16
_LEAST_SHARES: Final = 64


def pot_of_rule(number: int) -> str:
    """The name of a rule's limit."""
    return f"rule-{number}"


@document(SURVEY_SCHEMA)
@dataclass(frozen=True, slots=True)
class Survey:
    """The keys that each shard held when the canary's attempt counted them, by the rule's number: those to change, and those
    that had an expiry of ours already.

    ``standing`` are those of them that have an expiry of ours before the shards begin: they had it, or the canary gives it to
    them. ``before`` are the attempts at shards that had begun by then: what these have written is counted.
    """

    plan_id: str
    digest: str
    attempt: str
    shards: Mapping[int, Mapping[int, int]]
    standing: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    def keys(self, pot: str, shards: Collection[int] | None = None) -> int:
        """The keys that count for a limit, of these shards; of all for None."""
        return _keys(self.shards, pot, shards)

    def standing_keys(self, pot: str, shards: Collection[int]) -> int:
        """Those of them that are ours before the shards begin."""
        return _keys(self.standing, pot, shards)


@document(GRANT_SCHEMA)
@dataclass(frozen=True, slots=True)
class Grant:
    """The share ``number`` of a limit's reserve, taken by an attempt at a part; a later attempt at the part has it, too.

    ``survey`` is the attempt whose survey the reserve is beyond of.
    """

    plan_id: str
    survey: str
    pot: str
    number: int
    part: str
    attempt: str

    @property
    def name(self) -> str:
        """What makes it the same share, whoever takes it."""
        return f"{self.survey}-{self.pot}-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Reserve:
    """What a limit leaves beyond all surveys, cut into shares for so many shards.

    >>> [Reserve(130, 1).keys(number) for number in (0, 1, 2, 63)], Reserve(3, 1).shares
    ([3, 3, 2, 2], 3)
    """

    slack: int
    shards: int

    @property
    def shares(self) -> int:
        """How many shares there are, each of one key at least."""
        return min(max(0, self.slack), max(_LEAST_SHARES, _SHARES_A_SHARD * self.shards))

    def keys(self, number: int) -> int:
        """The keys of one share."""
        least, more = divmod(self.slack, self.shares)
        return least + (number < more)


def limit_of(plan: Plan, pot: str) -> int | None:
    """The plan's limit of that name; None where it has none."""
    if pot == RUN_POT:
        return plan.limit_keys
    return next(rule.limit_keys for rule in plan.rules if pot_of_rule(rule.number) == pot)


def _keys(table: Mapping[int, Mapping[int, int]], pot: str, shards: Collection[int] | None) -> int:
    return sum(
        keys
        for number, rules in table.items()
        if shards is None or number in shards
        for rule, keys in rules.items()
        if pot in (RUN_POT, pot_of_rule(rule))
    )
