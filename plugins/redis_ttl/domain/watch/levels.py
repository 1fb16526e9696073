"""Levels of memory and of keys without a TTL: when one is reached, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.policy.policy import Policy

#: How far below its threshold a figure must be, and how often in a row, before its level sinks: a share of the limit.
_CALM_RATIO: Final = 0.02
_CALM_SAMPLES: Final = 3


class Measure(StrEnum):
    """What has levels, and what can burst."""

    MEMORY = "memory"
    NO_TTL = "no_ttl"
    KEYS = "keys"


class Level(StrEnum):
    """How bad it is; in the order of their badness."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"

    def is_above(self, other: Level) -> bool:
        """Whether it is worse."""
        return _LEVELS.index(self) > _LEVELS.index(other)


_LEVELS: Final = tuple(Level)


@document_part
@dataclass(frozen=True, slots=True)
class LevelState:
    """The level that was told last, since when, and for how many samples in a row the figure has been well below it."""

    level: Level = Level.OK
    since: str | None = None
    calm: int = 0

    def is_above(self, other: LevelState) -> bool:
        """Whether it is a worse level."""
        return self.level.is_above(other.level)


def next_level(state: LevelState, ratio: float | None, thresholds: Mapping[Level, float], at: str) -> LevelState:
    """The level after one more sample. It rises at once and sinks only when the figure has stayed clearly below its threshold:
    a value that dances around it is one message. A figure that nobody knows changes nothing.
    """
    if ratio is None:
        return state
    reached = max((level for level, bound in thresholds.items() if ratio >= bound), key=_LEVELS.index, default=Level.OK)
    if reached.is_above(state.level):
        return LevelState(reached, at)
    if reached is state.level or ratio >= thresholds.get(state.level, 0.0) - _CALM_RATIO:
        return replace(state, calm=0)
    if state.calm + 1 < _CALM_SAMPLES:
        return replace(state, calm=state.calm + 1)
    return LevelState(reached, at)


def thresholds_of(policy: Policy, measure: Measure) -> Mapping[Level, float]:
    """At which shares a measure reaches its levels."""
    if measure is Measure.MEMORY:
        return {Level.WARN: policy.memory.warn_ratio, Level.CRITICAL: policy.memory.critical_ratio}
    return {Level.WARN: policy.no_ttl.warn_ratio}
