"""Whether two patterns can match the same name, and whether one matches all that another does.

A pattern is a row of steps; each step takes one character out of a set, or one or more of them. Two such rows are
compared by walking both at once over every pair of positions that some name can reach. Knows nothing of policies, nor
of how a pattern is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final


class TooMuchEffort(Exception):  # no mistake by itself: whoever set the limit says what it means
    """Comparing or matching took as much as was allowed."""


@dataclass(slots=True)
class Effort:
    """Counts the steps of comparing and matching, up to ``limit``; None is no limit."""

    limit: int | None = None
    spent: int = 0

    def spend(self, steps: int) -> None:
        """Count so many; raises ``TooMuchEffort`` beyond the limit."""
        self.spent += steps
        if self.limit is not None and self.spent > self.limit:
            raise TooMuchEffort


_FREE: Final = Effort()


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """Some characters, or all characters but some (``negated``)."""

    characters: frozenset[str]
    negated: bool = False

    def __and__(self, other: CharacterSet) -> CharacterSet:
        if self.negated and other.negated:
            return CharacterSet(self.characters | other.characters, negated=True)
        if self.negated:
            return CharacterSet(other.characters - self.characters)
        if other.negated:
            return CharacterSet(self.characters - other.characters)
        return CharacterSet(self.characters & other.characters)

    def __or__(self, other: CharacterSet) -> CharacterSet:
        return ~(~self & ~other)

    def __contains__(self, character: str) -> bool:
        return (character in self.characters) is not self.negated

    def __invert__(self) -> CharacterSet:
        return CharacterSet(self.characters, not self.negated)

    @property
    def is_empty(self) -> bool:
        """Whether no character is in it. A negated set always has some: patterns leave out a handful of a million."""
        return not self.negated and not self.characters


@dataclass(frozen=True, slots=True)
class Step:
    """One character out of ``characters``; one or more where ``repeats``.

    ``shape`` names a step that takes only some of those texts (a uuid is not any row of hex digits). For such a step
    ``characters`` is an upper bound.
    """

    characters: CharacterSet
    repeats: bool = False
    shape: str | None = None


_Position = tuple[int, bool]
"""How many steps are behind us, and whether the last of them may still take more characters."""

_START: _Position = (0, False)


def can_meet(one: Sequence[Step], two: Sequence[Step], effort: Effort = _FREE) -> bool:
    """Whether some name may match both. Never False when one does; True in doubt, where shapes differ.

    ``effort`` counts the pairs of positions that were looked at.
    """
    seen = {(_START, _START)}
    todo = [(_START, _START)]
    while todo:
        here, there = todo.pop()
        effort.spend(1)
        if here[0] == len(one) and there[0] == len(two):
            return True
        for taken, next_here in _moves(one, here):
            for taken_too, next_there in _moves(two, there):
                pair = (next_here, next_there)
                if pair not in seen and not (taken & taken_too).is_empty:
                    seen.add(pair)
                    todo.append(pair)
    return False


def includes(wide: Sequence[Step], narrow: Sequence[Step], effort: Effort = _FREE) -> bool:
    """Whether ``wide`` matches all of ``narrow``. Never True when it doesn't; False in doubt, where shapes differ.

    Needs ``wide`` to be without choice: a repeating step doesn't take the character that the next step begins with.
    Then each name has one way through it, and following ``narrow`` along that way decides. ``effort`` counts the pairs
    of positions that were looked at.
    """
    seen = {(_START, _START)}
    todo = [(_START, _START)]

    def visit(pair: tuple[_Position, _Position]) -> None:
        if pair not in seen:
            seen.add(pair)
            todo.append(pair)

    while todo:
        here, there = todo.pop()
        effort.spend(1)
        if there[0] == len(narrow) and here[0] != len(wide):
            return False
        shape = wide[here[0]].shape if here[0] < len(wide) else None
        if (
            shape is not None
            and there[0] < len(narrow)
            and narrow[there[0]].shape == shape
            and not (here[1] or there[1])
        ):
            visit(((here[0] + 1, False), (there[0] + 1, False)))
            continue
        moves = [(taken, after) for taken, after in _moves(wide, here) if wide[after[0] - 1].shape is None]
        for taken, next_there in _moves(narrow, there):
            rest = taken
            for taken_too, next_here in moves:
                if not (taken & taken_too).is_empty:
                    visit((next_here, next_there))
                    rest &= ~taken_too
            if not rest.is_empty:
                return False
    return True


def _moves(steps: Sequence[Step], position: _Position) -> Iterator[tuple[CharacterSet, _Position]]:
    """What a position takes next, and where that leads."""
    done, open_ended = position
    if open_ended:
        yield steps[done - 1].characters, position
    if done < len(steps):
        yield steps[done].characters, (done + 1, steps[done].repeats)
