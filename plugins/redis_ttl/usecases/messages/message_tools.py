"""What telling teams needs from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.ports import Clock, RemovableDocuments
    from redis_ttl.usecases.store.message_ports import Composer, Sender


@dataclass(frozen=True, slots=True)
class MessageTools:
    """What telling needs."""

    documents: RemovableDocuments
    policy: Policy
    compose: Composer
    send: Sender
    clock: Clock
