"""A plan of which a journal says that it was written, as a test says it, and a server with its keys."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.remediation.restoring import restore_tools
from lab.servers.server import Server
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import RestoreResult
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, RestoreTools
from tests.journal_objects import journal_bytes

DAY_MS = DAY_S * 1000
ATTEMPT = "20261124T010101000Z-abcdef"
LATER = "20261125T010101000Z-abcdef"
POLICY = policy_of(rule("a:{n}", ttl_s=30 * DAY_S), rule("b:{n}", ttl_s=20 * DAY_S, mode=Mode.CAP))
WRITE = RestoreOptions(dry_run=False)

Row = tuple[bytes, int | None, int]


@dataclass
class Written:
    """A plan of which a journal says that it was written, and a server with the keys."""

    server: Server
    folder: Path
    run: Applying = field(init=False)
    now_ms: int = field(init=False)
    log: list[str] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.run = Applying(self.server.url, self.folder, POLICY)
        self.now_ms = time.time_ns() // 1_000_000

    def journal(
        self, *rows: Row, part: str = "shard-0", attempt: str = ATTEMPT, number: int = 0, db: int = 0
    ) -> JournalName:
        """An object that says of each key what was and what we set; the rule follows from the key."""
        frame = pl.DataFrame(
            {
                "key": [key for key, _, _ in rows],
                "db": db,
                "rule": [int(key.startswith(b"b")) for key, _, _ in rows],
                "was_ms": [was for _, was, _ in rows],
                "set_ms": [set_ms for _, _, set_ms in rows],
            },
            schema_overrides={"key": pl.Binary, "was_ms": pl.Int64},
        )
        return self.run.documents.write_journal(JournalName(attempt, part, number), journal_bytes(frame))

    def keys(self, **expiries: int | None) -> None:
        """Keys of the server: ``a1`` is ``a:1``; with the instant at which each expires, None without a TTL."""
        with self.server.client() as client:
            for name, expires_ms in expiries.items():
                client.set(f"{name[0]}:{name[1:]}", "x", pxat=expires_ms)

    def expiry(self, key: str) -> int:
        """When it expires: -1 never, -2 it isn't there."""
        with self.server.client() as client:
            return int(client.execute_command("PEXPIRETIME", key))

    def begun(self, part: str = "shard-0", attempt: str = ATTEMPT, approved_at_ms: int = 1) -> None:
        """Say that an attempt was begun."""
        self.run.documents.write_begun(PartBegun(self.run.plan.plan_id, part, attempt, approved_at_ms, "x"))

    def tools(self, **more: Any) -> RestoreTools:
        """What restoring needs."""
        made = restore_tools(self.run, progress=lambda done, of: self.progress.append((done, of)), log=self.log.append)
        return replace(made, token="fedcba", **more)

    def restore(self, options: RestoreOptions = WRITE, **more: Any) -> RestoreResult:
        """Restore the whole journal."""
        return restore_part(self.run.plan, whole_journal(self.run.documents), options, self.tools(**more))
