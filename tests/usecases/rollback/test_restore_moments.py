"""What happens in the middle of a rollback, and how many that restore at the same time share a rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import expiries, restore_tools
from lab.servers.server import Server
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.remediation.control import OperatorCommand
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import set_keys

WRITE = RestoreOptions(dry_run=False)


def applied(server: Server, folder: Path, keys: int = 300) -> Applying:
    """A remediation of keys without TTL, done."""
    set_keys(server, [b"a:%d" % number for number in range(keys)])
    run = Applying(server.url, folder, policy_of(rule("a:{n}"), canary_keys=10))
    run.run()
    return run


@pytest.mark.parametrize(
    ("commands", "rates"), [((), {250.0}), ((OperatorCommand(rate=parse_rate("600/s")),) * 9, {300.0, 250.0})]
)
def test_those_who_restore_at_the_same_time_share_the_rate(
    valkey: Server, tmp_path: Path, commands: Iterable[OperatorCommand], rates: set[float]
) -> None:
    """The rate that an operator asks for is the server's: each of two that restore takes half of it, as of the rate before."""
    run = applied(valkey, tmp_path)
    limits: list[Rate] = []

    class Noting(KeyRestorer):
        """Notes how fast it may restore."""

        def limit(self, rate: Rate) -> None:
            """Note it."""
            limits.append(rate)
            super().limit(rate)

    def open_restorer() -> Any:
        return Noting(endpoint_from_url(run.url), parse_load("fast"), parse_rate("250/s"))

    tools = replace(restore_tools(run, rate="250/s", commands=commands), sharers=2, open_restorer=open_restorer)
    restore_part(run.plan, whole_journal(run.documents), WRITE, tools)
    found = {limit.keys_per_s for limit in limits}
    assert found <= rates
    assert (300.0 in found) is bool(commands)


def test_what_is_restored_was_journalled_before(any_server: Server, tmp_path: Path) -> None:
    """When a rollback's journal object is written, each of its keys still has our expiry: whoever is killed in between has said
    what was to come, and a drift check takes no restored key for one that the application has wiped.
    """
    run = applied(any_server, tmp_path)
    tools = restore_tools(run)
    documents = run.documents
    write = documents.write_journal
    told: list[bytes] = []

    def look(name: Any, data: bytes) -> Any:
        keys = journal_rows(data)["key"].to_list()
        with any_server.client() as client:
            assert all(client.ttl(key) > 0 for key in keys)
        told.extend(keys)
        return write(name, data)

    documents.write_journal = look  # type: ignore[method-assign]
    result = restore_part(run.plan, whole_journal(run.documents), WRITE, replace(tools, documents=documents))
    assert len(told) == result.total.restored == 300


@pytest.mark.parametrize("shift_s", [5, -5])
def test_an_expiry_that_changes_after_the_look_stays(any_server: Server, tmp_path: Path, shift_s: int) -> None:
    """An application that sets another expiry between our look and our restoring, however near to ours, keeps it."""
    run = applied(any_server, tmp_path, keys=20)
    documents = run.documents
    write = documents.write_journal
    touched: set[bytes] = set()

    def late(name: Any, data: bytes) -> Any:
        written = write(name, data)
        key = journal_rows(data)["key"].to_list()[0]
        touched.add(key)
        with any_server.client() as client:
            client.pexpire(key, client.pttl(key) + shift_s * 1_000)
        return written

    documents.write_journal = late  # type: ignore[method-assign]
    restore_part(run.plan, whole_journal(run.documents), WRITE, replace(restore_tools(run), documents=documents))
    after = expiries([any_server])
    assert {key for (_, key), expiry in after.items() if expiry != -1} == touched
    assert touched
