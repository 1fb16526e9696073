"""Rolls plans back in this process, against servers that a test started."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lab.servers.kinds import REDIS_62
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.journal.links import EndedRows, LaterRows
from redis_ttl.adapters.journal.reader import NewestRows
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.control import OperatorCommand
from redis_ttl.domain.rollback.rollback import RestoreAccount
from redis_ttl.usecases.rollback.journal_parts import load_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, RestoreTools

if TYPE_CHECKING:
    from lab.remediation.applying import Applying
    from lab.servers.server import Server


@dataclass
class Operator:
    """Gives one command after the other, and nothing when that is over."""

    commands: Iterator[OperatorCommand]

    def read(self) -> OperatorCommand:
        """The next command."""
        return next(self.commands, OperatorCommand())


State = dict[tuple[int, bytes], int]


def restore_tools(
    run: Applying,
    *,
    rate: str = "unlimited",
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    commands: Iterable[OperatorCommand] = (),
    log: Callable[[str], None] = lambda _text: None,
) -> RestoreTools:
    """What rolling back needs; an operator with these commands, one after the other."""
    return RestoreTools(
        documents=run.documents,
        open_restorer=lambda: KeyRestorer(endpoint_from_url(run.url), parse_load("fast"), parse_rate(rate)),
        new_rows=NewestRows,
        new_later_rows=LaterRows,
        new_ended_rows=EndedRows,
        policy=run.policy,
        control=Operator(iter(commands)),
        rate=parse_rate(rate),
        sharers=1,
        progress=progress,
        log=log,
        clock=SystemClock(),
        token=secrets.token_hex(3),
    )


def roll_back(run: Applying, *, parts: int = 1, rules: frozenset[int] | None = None, **options: Any) -> RestoreAccount:
    """Restore all parts; the sums over all rules."""
    chosen = RestoreOptions(**{"dry_run": False, "rules": rules, **options})
    results = [
        restore_part(run.plan, part, chosen, restore_tools(run)) for part in load_journal(run.documents, parts=parts)
    ]
    return sum((result.total for result in results), RestoreAccount())


def expiries(servers: Iterable[Server], databases: Iterable[int] = (0,)) -> State:
    """The expiry of every key in ms since 1970, -1 without a TTL."""
    found: State = {}
    for server in servers:
        for db in databases:
            with server.client(db) as client:
                keys = list(client.scan_iter(count=1000))
                if server.kind is REDIS_62:
                    instants: Any = client.eval(_INSTANTS, len(keys), *keys)
                else:
                    instants = [client.execute_command("PEXPIRETIME", key) for key in keys]
                found |= {(db, key): int(instant) for key, instant in zip(keys, instants, strict=True)}
    return found


def are_same(before: State, after: State, server: Server) -> bool:
    """Whether the same keys expire at the same instants; before 7.0 the product itself knows an instant only nearly."""
    slack_ms = 100 if server.kind is REDIS_62 else 0
    return before.keys() == after.keys() and all(
        (before[key] == -1) == (after[key] == -1) and abs(before[key] - after[key]) <= slack_ms for key in before
    )


# What is left of a key's life, beside a clock that reads the same before and after: on a busy machine one look takes a while.
_INSTANTS: Final = """
local function now() local at = redis.call('TIME') return at[1] * 1000 + math.floor(at[2] / 1000) end
local found = {}
for at, key in ipairs(KEYS) do
  local before, left
  repeat
    before = now()
    left = redis.call('PTTL', key)
  until now() == before
  found[at] = left < 0 and left or before + left
end
return found
"""
