"""The shape of a policy file: which keys it has, and what they become in ``redis_ttl.domain.policy.policy``.

Sees the document as plain mappings, lists and texts: nothing here knows of lines, nor of how two entries relate. What
a single text may be is in ``leaves``.
"""

from __future__ import annotations

from typing import Final

from redis_ttl.adapters.policy_files.entries.audit import AuditEntry, MemoryEntry, NoTtlEntry, ScalingCostEntry
from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.entries.owners import MessagesEntry, OwnerEntry
from redis_ttl.adapters.policy_files.entries.remediation import CanaryEntry, GuardsEntry, RemediationEntry
from redis_ttl.adapters.policy_files.entries.rules import (
    ColdEntry,
    DriftEntry,
    DriftToleranceEntry,
    ExemptionEntry,
    RuleEntry,
    SignOffEntry,
)
from redis_ttl.adapters.policy_files.entries.watch import BurstEntry, JobEntry, WatchEntry
from redis_ttl.adapters.policy_files.leaves.names import (
    ClusterName,
    ConnectionId,
)
from redis_ttl.domain.policy.policy import (
    Exemption,
    MemoryThresholds,
    NoTtlThreshold,
    Policy,
    ScalingCost,
)


class PolicyEntry(Entry):
    """A whole policy file; the names of the fields are the keys of the file."""

    cluster: ClusterName
    connection: ConnectionId
    write_connection: ConnectionId | None = None
    owner: OwnerEntry
    memory: MemoryEntry = MemoryEntry()
    no_ttl: NoTtlEntry = NoTtlEntry()
    scaling_cost: ScalingCostEntry | None = None
    audit: AuditEntry = AuditEntry()
    remediation: RemediationEntry = RemediationEntry()
    watch: WatchEntry = WatchEntry()
    drift: DriftEntry = DriftEntry()
    messages: MessagesEntry = MessagesEntry()
    owners: tuple[OwnerEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    exempt: tuple[ExemptionEntry, ...] = ()

    def value(self) -> Policy:
        """The policy that the file means."""
        cost = self.scaling_cost
        remediation = self.remediation.value()
        return Policy(
            cluster=self.cluster,
            connection=self.connection,
            write_connection=self.write_connection,
            owner=self.owner.value(),
            memory=MemoryThresholds(self.memory.warn, self.memory.critical, self.memory.limit),
            no_ttl=NoTtlThreshold(self.no_ttl.warn_ratio),
            scaling_cost=None if cost is None else ScalingCost(cost.usd_per_month, cost.note),
            audit=self.audit.value(),
            remediation=remediation,
            watch=self.watch.value(),
            drift=self.drift.value(),
            messages=self.messages.value(),
            owners=tuple(owner.value() for owner in self.owners),
            rules=tuple(rule.value(remediation.rule_caps) for rule in self.rules),
            exemptions=tuple(Exemption(entry.pattern, entry.reason) for entry in self.exempt),
        )


def known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand where the last step of the location does."""
    names = [step for step in location[:-1] if isinstance(step, str)]
    if names == ["rules", "drift"]:  # the same word, and less to say there
        return list(DriftToleranceEntry.model_fields)
    return list((_ENTRIES[names[-1]] if names else PolicyEntry).model_fields)


_ENTRIES: Final[dict[str, type[Entry]]] = {
    "owner": OwnerEntry,
    "owners": OwnerEntry,
    "messages": MessagesEntry,
    "fallback": OwnerEntry,
    "memory": MemoryEntry,
    "no_ttl": NoTtlEntry,
    "scaling_cost": ScalingCostEntry,
    "audit": AuditEntry,
    "remediation": RemediationEntry,
    "canary": CanaryEntry,
    "guards": GuardsEntry,
    "drift": DriftEntry,
    "ungoverned": DriftToleranceEntry,
    "watch": WatchEntry,
    "burst": BurstEntry,
    "jobs": JobEntry,
    "rules": RuleEntry,
    "cold": ColdEntry,
    "sign_off": SignOffEntry,
    "exempt": ExemptionEntry,
}
