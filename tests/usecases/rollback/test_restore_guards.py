from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import expiries, restore_tools, roll_back
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.errors import Aborted
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.policy import GuardSettings, Policy, RemediationSettings
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.remediation import PartBegun
from redis_ttl.domain.rollback.rollback import RestoreResult, WatchedNode
from redis_ttl.usecases.rollback import restore_gate, restore_journal
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import set_keys

POLICY = policy_of(rule("cart:{id}"))
REAL = RestoreOptions(dry_run=False)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time."""
    monkeypatch.setattr(restore_journal, "_LOOK_S", 0.01)
    monkeypatch.setattr(restore_gate, "HEALTH_S", 0.0)


class Ill(KeyRestorer):
    """A server whose figures a test changes: what it really says can't be had on command."""

    change: Callable[[Reading], dict[str, Any]]
    evicts = False

    def health(self) -> list[WatchedNode]:
        """The server's figures, changed."""
        found = []
        for node in super().health():
            assert node.reading is not None
            found.append(WatchedNode(node.address, replace(node.reading, **self.change(node.reading)), self.evicts))
        return found


def restore(
    run: Applying,
    change: Callable[[Reading], dict[str, Any]],
    *,
    said: list[str],
    evicts: bool = False,
    **guards: Any,
) -> RestoreResult:
    """A rollback of a server that says this of itself."""

    def opened() -> Ill:
        restorer = Ill(endpoint_from_url(run.url), parse_load("fast"), parse_rate("unlimited"))
        restorer.change, restorer.evicts = change, evicts
        return restorer

    settings = GuardSettings(**{"latency_factor": 1e9, "expire_cap_hits_per_s": 1e9, "patience_s": 300, **guards})
    policy: Policy = replace(run.policy, remediation=RemediationSettings(guards=settings))
    tools = replace(restore_tools(run, log=said.append), open_restorer=opened, policy=policy)
    return restore_part(run.plan, whole_journal(run.documents), REAL, tools)


@pytest.fixture
def run(redis7: Server, tmp_path: Path) -> Applying:
    """A remediation of 300 keys."""
    set_keys(redis7, [f"cart:{number}" for number in range(300)])
    applying = Applying(redis7.url, tmp_path, POLICY)
    applying.run()
    return applying


def rising(name: str) -> Callable[[Reading], dict[str, Any]]:
    """A counter that moves with each look."""
    looks = iter(range(10**6))
    return lambda _reading: {name: 1_000 * next(looks)}


def slower() -> Callable[[Reading], dict[str, Any]]:
    """Fast at the start, and slow from then on."""
    looks = iter([0.0001])
    return lambda _reading: {"round_trip_s": next(looks, 5.0)}


BAD: dict[str, Callable[[], Callable[[Reading], dict[str, Any]]]] = {
    "evicted keys": lambda: rising("evicted_keys"),
    "expired_time_cap_reached_count": lambda: rising("expire_cap_hits"),
    "replication lag in bytes": lambda: lambda _reading: {"lag_bytes": 10**12},
    "replication lag in seconds": lambda: lambda _reading: {"lag_s": 3_600},
    "a round trip takes": slower,
}


@pytest.mark.parametrize("reason", BAD)
def test_a_guard_that_stays_bad_ends_the_rollback_with_its_reason(run: Applying, redis7: Server, reason: str) -> None:
    """Nothing is restored while a server is in trouble; after the policy's patience the rollback ends, and log, error and result
    say why.
    """
    said: list[str] = []
    before = expiries([redis7])
    with pytest.raises(Aborted, match=f"(?s)a guard ended.*{reason.split(' (', maxsplit=1)[0]}") as caught:
        restore(run, BAD[reason](), said=said, patience_s=0.2, latency_factor=5.0, expire_cap_hits_per_s=1.0)
    assert expiries([redis7]) == before
    assert reason in str(caught.value)
    (result,) = run.documents.restored()
    assert reason in str(result.reason)
    assert result.interruptions[-1].ended
    assert roll_back(run).keys == 300
    assert set(expiries([redis7]).values()) == {-1}


def test_a_guard_that_gets_well_lets_the_rollback_go_on(run: Applying, redis7: Server) -> None:
    """A pause is said with its reason, kept in the result, and over when the server is well again."""
    said: list[str] = []
    lags = iter([0, 10**12, 10**12])
    result = restore(run, lambda _reading: {"lag_bytes": next(lags, 0)}, said=said)
    assert result.total.removed == 300
    assert any("paused: replication lag in bytes" in line for line in said)
    assert said[-1] == "going on"
    assert [each.ended for each in result.interruptions] == [False]
    assert result.reason is None
    assert set(expiries([redis7]).values()) == {-1}


def test_a_full_server_is_no_reason_to_wait(run: Applying) -> None:
    """Taking back needs no memory."""
    result = restore(run, lambda _reading: {"used_bytes": 99, "limit_bytes": 100}, said=[])
    assert (result.total.removed, result.interruptions) == (300, ())


@pytest.mark.parametrize(
    "figure",
    ["used_bytes", "limit_bytes", "evicted_keys", "expire_cap_hits", "lag_bytes", "lag_s", "replicas_online", "run_id"],
)
def test_a_figure_that_is_hidden_is_no_reason_to_wait(run: Applying, figure: str) -> None:
    """What a server never tells can't be waited for; the log says once which guard that leaves out; memory and replicas are none
    here.
    """
    said: list[str] = []
    hidden = "" if figure == "run_id" else None
    result = restore(run, lambda _reading: {figure: hidden}, said=said, patience_s=0)
    assert (result.total.removed, result.interruptions) == (300, ())
    assert len([line for line in said if "restoring without" in line]) == (
        figure not in ("used_bytes", "limit_bytes", "replicas_online")
    )


def test_a_server_that_evicts_our_keys_is_no_reason_to_wait(run: Applying) -> None:
    """Where the eviction policy takes keys with a TTL, waiting would lose the very keys that are to be saved."""
    result = restore(run, rising("evicted_keys"), said=[], evicts=True)
    assert (result.total.removed, result.interruptions) == (300, ())


def test_an_expiry_storm_that_may_be_ours_is_no_reason_to_wait(run: Applying) -> None:
    """Once keys of the plan can expire, an expiry storm may be its own, and waiting would let it go on."""
    shown = replace(run.plan.rules[0], ttl_s=-1)
    object.__setattr__(run.plan, "rules", (shown,))
    run.documents.write_begun(PartBegun(run.plan.plan_id, "shard-0", "x", time.time_ns() // 1_000_000, "x"))
    result = restore(run, rising("expire_cap_hits"), said=[], expire_cap_hits_per_s=1.0)
    assert (result.total.removed, result.interruptions) == (300, ())


def test_the_eviction_policy_is_the_servers_own() -> None:
    """Whether keys with a TTL go first is read from the server."""
    for policy, expected in (("volatile-lru", True), ("allkeys-lru", False), ("noeviction", False)):
        with run_server(VALKEY, f"maxmemory-policy {policy}") as server:
            opened = KeyRestorer(endpoint_from_url(server.url), parse_load("fast"), parse_rate("unlimited"))
            with opened as restorer:
                assert [node.evicts_keys_with_ttl for node in restorer.health()] == [expected]
