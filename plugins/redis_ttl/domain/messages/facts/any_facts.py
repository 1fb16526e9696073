"""The facts of any kind of message."""

from __future__ import annotations

from redis_ttl.domain.messages.facts.action_required import ActionRequired
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested
from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.drift_found import DriftFound
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult
from redis_ttl.domain.messages.facts.rollback_result import RollbackResult
from redis_ttl.domain.messages.facts.run_aborted import RunAborted

AnyFacts = (
    ActionRequired
    | ApprovalRequested
    | RemediationResult
    | RollbackResult
    | DriftFound
    | MemoryLevel
    | BurstDetected
    | RunAborted
)
"""Every kind of message; a ``match`` over it that forgets one doesn't pass the type checker."""
