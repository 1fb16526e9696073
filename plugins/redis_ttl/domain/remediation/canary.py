"""The first few keys of each rule, and what the server had to say while they were watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis_ttl.domain.codec import document

CANARY_SCHEMA: Final = "redis_ttl.canary/1"


@document(CANARY_SCHEMA)
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
