"""What an operator has asked of a remediation or a rollback that is under way: go on, stand still, or end; and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_ttl.domain.policy.rate import Rate


class CommandState(StrEnum):
    """What the writers shall do."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """An operator's command as it stands now.

    ``rate`` is keys changed a second on each server; None leaves the plan's. ``why`` says where a command comes from that nobody uttered:
    one that can't be read is a pause.
    """

    state: CommandState = CommandState.RUN
    rate: Rate | None = None
    why: str | None = None
