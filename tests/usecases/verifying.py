"""Audits, applies and verifies in this process, against servers that a test started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from lab.remediation.applying import Applying
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.writing.verify_ledger import VerifyLedger
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.remediation.verify_plan import VerifyTools, verify_plan
from tests.journal_objects import journal_bytes
from tests.usecases.auditing import Auditing


@dataclass
class Remediation:
    """An audit, and then a plan of the same databases."""

    url: str
    store: Path
    policy: Policy
    databases: tuple[int, ...] = (0,)
    shards: int = 1

    def __post_init__(self) -> None:
        options = AuditOptions(load="fast", databases=self.databases)
        Auditing(self.url, self.store, options, self.policy).run()
        self.applying = Applying(self.url, self.store, self.policy, self.shards, self.databases)

    def apply(self) -> None:
        """Write everything that the plan says."""
        self.applying.run()

    def journal(self, rows: Mapping[bytes, int], number: int = 0) -> None:
        """Journal that these keys, which had no TTL, were given these instants."""
        frame = pl.DataFrame(
            {"key": list(rows), "db": 0, "rule": 0, "was_ms": None, "set_ms": list(rows.values())},
            schema_overrides={"key": pl.Binary},
        )
        name = JournalName("20261124T010101000Z-abcdef", "shard-0", number)
        self.applying.documents.write_journal(name, journal_bytes(frame))

    def verify(self, progress: Callable[[int, int], None] = lambda _met, _of: None) -> Verification:
        """Look at everything once more."""
        return verify_plan(self.applying.plan, self.tools(progress))

    def tools(self, progress: Callable[[int, int], None] = lambda _met, _of: None) -> VerifyTools:
        """What verifying needs."""
        redis = RedisDeployment(endpoint_from_url(self.url), parse_load("fast"))
        return VerifyTools(redis, Store(self.store), self.policy, VerifyLedger, progress, SystemClock())

    def with_plan(self, **changes: object) -> None:
        """Change the plan, as if it had been made so."""
        self.applying.plan = replace(self.applying.plan, **changes)  # type: ignore[arg-type]


def figures(rule: VerifiedRule) -> dict[str, int]:
    """The figures of a rule that aren't 0."""
    names = (
        "met", "kept", "changed", "wiped", "unfinished", "expired", "gone", "new", "rewritten", "in_use", "left",
        "missed", "longer", "no_ttl_keys", "had_ttl", "raced", "vanished", "hot",
    )  # fmt: skip
    return {name: value for name in names if (value := getattr(rule, name))}
