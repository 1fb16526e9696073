"""What a rule may do to a key, and all that follows from it: which keys an action means, on which condition the server does it, what
it counts as, and what a rollback may put back.

A rule's mode is a choice of actions. How a key's expiry stands to its rule decides which of them it gets, and one that is in the
place of none is left alone. Whoever plans, decides, writes, counts or tells asks here; a new action is a member of `Action` with its
`ActionSpec`, and mypy names every other place that must know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never


class Standing(StrEnum):
    """How a key's expiry stands to its rule. Each key is in exactly one of these."""

    NO_TTL = "no_ttl"
    LONGER = "longer"
    """It has a TTL that is longer than the rule's with its jitter."""
    SHORTER = "shorter"
    """What is left of its TTL is shorter than the rule's, as it is of every key that got the rule's TTL a while ago."""
    KEPT = "kept"
    """It has a TTL between the two."""


class Condition(StrEnum):
    """On which condition the server sets an expiry, as PEXPIREAT says it from Redis 7.0 on; below that a script means the same."""

    IF_NONE = "NX"
    IF_EARLIER = "XX LT"
    """Only if the new instant is earlier than the key's."""
    IF_LATER = "XX GT"
    """Only if the new instant is later than the key's. A key without a TTL counts as one that never ends, and stays."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command."""
        return tuple(self.value.split())


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """Everything that tells one action from the others.

    ``means`` are the keys that it is for. ``account`` is the figure of `RuleAccount` that counts them when they are changed, ``unmet``
    the one of `VerifiedRule` that counts those which a look afterwards still meets and that aren't ours; None where verification
    tells them one by one. ``frees`` says that keys which would stay go by it.
    """

    means: Standing
    condition: Condition
    account: str
    unmet: str | None
    frees: bool

    @property
    def replaces_expiry(self) -> bool:
        """Whether its keys have an expiry already, which may be another plan's. Otherwise each takes the memory of a new TTL."""
        return self.means is not Standing.NO_TTL


_SET: Final = ActionSpec(Standing.NO_TTL, Condition.IF_NONE, account="set", unmet=None, frees=True)
_CAP: Final = ActionSpec(Standing.LONGER, Condition.IF_EARLIER, account="capped", unmet="longer", frees=True)
_EXTEND: Final = ActionSpec(Standing.SHORTER, Condition.IF_LATER, account="extended", unmet="shorter", frees=False)


class Action(StrEnum):
    """What is done to one key. The values are in plans and journals."""

    SET = "set"
    """It had no TTL and gets one."""
    CAP = "cap"
    """It had a longer TTL and gets a shorter one."""
    EXTEND = "extend"
    """It had a shorter TTL and gets a longer one."""

    @property
    def spec(self) -> ActionSpec:
        """What it is."""
        match self:
            case Action.SET:
                return _SET
            case Action.CAP:
                return _CAP
            case Action.EXTEND:
                return _EXTEND
            case _:
                assert_never(self)


class Mode(StrEnum):
    """What a rule does to the keys of its pattern, as policies say it."""

    SET = "set"
    """Keys without a TTL get one; nothing else."""
    CAP = "cap"
    """Keys without a TTL get one, and a longer TTL is shortened."""
    EXTEND = "extend"
    """A shorter TTL is lengthened; a key without one is left alone."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What it may do, in the order in which it is told. No two of them mean the same keys."""
        match self:
            case Mode.SET:
                return (Action.SET,)
            case Mode.CAP:
                return (Action.SET, Action.CAP)
            case Mode.EXTEND:
                return (Action.EXTEND,)
            case _:
                assert_never(self)

    def action_on(self, standing: Standing) -> Action | None:
        """What it does to a key that stands so to the rule; None where it is left alone."""
        return next((action for action in self.actions if action.spec.means is standing), None)


DEFAULT_MODE: Final = Mode.SET
