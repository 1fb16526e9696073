"""Says in a task's log how far its shard has come."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import count

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import AuditPlan
    from redis_ttl.usecases.ports import Clock

_log = logging.getLogger(__name__)

# A batch takes two seconds at most, so no two lines are more than five seconds apart.
_EVERY_S: Final = 3.0


class LoggedProgress:
    """Logs a line for the first batch and then at least every five seconds: keys, keys per second, share of the shard."""

    def __init__(self, plan: AuditPlan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._logged: dict[int, tuple[float, int]] = {}

    def __call__(self, number: int, *, keys: int, ratio: float) -> None:
        """Hear that shard ``number`` of the plan has counted so many keys, which is that share of it."""
        now_s = self._clock.monotonic()
        before = self._logged.get(number)
        if before is not None and now_s - before[0] < _EVERY_S:
            return
        label = self._plan.shards[number].label
        rate = "" if before is None else f", {count(round((keys - before[1]) / (now_s - before[0])))} keys/s"
        _log.info("%s: %s keys%s, %.0f%% of the shard", label, count(keys), rate, 100 * ratio)
        self._logged[number] = (now_s, keys)
