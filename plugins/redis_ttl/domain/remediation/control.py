"""What an operator wishes of a remediation or a rollback that is under way: go on, stand still, or end; and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_ttl.domain.policy.rate import Rate


class WishedState(StrEnum):
    """What the writers shall do."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Wish:
    """An operator's wish as it stands now.

    ``rate`` is keys changed a second on each server; None leaves the plan's. ``why`` says where a wish comes from that nobody uttered:
    one that can't be read is a pause.
    """

    state: WishedState = WishedState.RUN
    rate: Rate | None = None
    why: str | None = None
