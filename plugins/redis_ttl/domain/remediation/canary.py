"""The first few keys of each rule, and what the server had to say while they were watched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.schema import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

CANARY_SCHEMA: Final = "redis_ttl.canary/1"


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """What the watch over the canary's keys came to. ``reasons`` say why it wasn't passed; ``figures`` are per server."""

    plan_id: str
    digest: str
    passed: bool
    began_at: str
    ended_at: str
    watched_s: float
    reasons: tuple[str, ...]
    figures: Mapping[str, Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {"schema": CANARY_SCHEMA, **asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CanaryReport:
        """The report that :meth:`to_json` wrote."""
        return cls(**{**fields_of(cls, data, CANARY_SCHEMA), "reasons": tuple(data["reasons"])})
