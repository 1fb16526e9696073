"""What happens to a part when something changes in the middle of it: the server's role, its process, its rules, the approval; and
when a canary is begun or watched again. Each of these was once left out of the code without any test noticing.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lab.loopback import free_port
from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.columns.decisions import CHANGE_TYPES, Decided
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.writing.writable_deployment import WritableDeployment
from redis_ttl.domain.errors import Aborted, RedisTtlError, ServerChanged, StoreProblem, TooManyMatches
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation import write_gate
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.journal_objects import with_actions

POLICY = policy_of(rule("a:{n}"), canary_keys=10)


def fill(server: Server, keys: int = 2_000, first: int = 0) -> None:
    """Keys of one rule, all without TTL."""
    set_keys(server, [b"a:%d" % number for number in range(first, first + keys)])


def without_ttl(server: Server) -> int:
    """How many keys of the server have no TTL."""
    with server.client() as client:
        info = client.info("keyspace")["db0"]
    return int(info["keys"] - info["expires"])


def at_the_first_journal(applying: Applying, happens: Callable[[], object]) -> PlanDocuments:
    """Documents that have something happen when the first journal object is durable."""
    documents = applying.documents
    write = documents.write_journal
    seen: list[object] = []

    def late(name: Any, data: bytes) -> Any:
        written = write(name, data)
        if not seen:
            seen.append(name)
            happens()
        return written

    documents.write_journal = late  # type: ignore[method-assign]
    return documents


class Changed:
    """A node, or a deployment, of which a test changes some answers; everything else is the real one's."""

    def __init__(self, real: Any, **changed: Any) -> None:
        self._real = real
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        return self._changed[name] if name in self._changed else getattr(self._real, name)


def changed_nodes(applying: Applying, change: Callable[[Any], dict[str, Any]]) -> Any:
    """The deployment with nodes that answer differently: ``change`` makes the answers of a node."""
    real = WritableDeployment(endpoint_from_url(applying.url), parse_load(applying.load))

    @contextmanager
    def connect(address: str, db: int) -> Iterator[Changed]:
        with real.connect(address, db) as node:
            yield Changed(node, **change(node))

    return Changed(real, connect=connect)


def test_a_server_that_refuses_writes_for_want_of_replicas_ends_the_part(tmp_path: Path) -> None:
    """A write that the server refuses (NOREPLICAS) is no key that somebody else has changed: the part fails, isn't done, and a
    retry writes every key.
    """
    with run_server(require(VALKEY)) as server, server.client() as client:
        fill(server)
        applying = Applying(server.url, tmp_path, POLICY)
        applying.pass_canary()
        left = without_ttl(server)
        documents = at_the_first_journal(applying, lambda: client.config_set("min-replicas-to-write", 1))
        with pytest.raises(RedisTtlError, match=r"too few replicas.*NOREPLICAS") as refused:
            applying.shard(documents=documents)
        assert refused.value.retryable
        assert without_ttl(server) == left
        shards = [part for part in applying.documents.parts() if part.part == "shard-0"]
        assert all(part.outcome is not Outcome.DONE for part in shards)
        client.config_set("min-replicas-to-write", 0)
        account = applying.shard().accounts[0]
        assert (account.set, account.raced) == (left, 0)
        assert without_ttl(server) == 0


def test_a_writable_replica_takes_none_of_our_writes(tmp_path: Path) -> None:
    """A server that is made a replica in the middle of a part, and takes writes all the same, is left within seconds: what it is
    written would be lost with its next resynchronisation.
    """
    with run_server(require(VALKEY), "replica-read-only no") as server, server.client() as client:
        fill(server)
        applying = Applying(server.url, tmp_path, POLICY, rate="500/s")
        applying.pass_canary()
        documents = at_the_first_journal(applying, lambda: client.replicaof("127.0.0.1", free_port()))
        with pytest.raises(ServerChanged):
            applying.shard(documents=documents)
        assert without_ttl(server) > 500


def test_a_restart_after_the_last_batch_is_noticed(valkey: Server, tmp_path: Path) -> None:
    """A server process that isn't the one that was read ends the attempt even when everything has been written by then."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, POLICY)
    applying.pass_canary()

    def restarted(node: Any) -> dict[str, Any]:
        return {"run_id": lambda: node.run_id() if without_ttl(valkey) else "f" * 40}

    with pytest.raises(ServerChanged):
        applying.shard(redis=changed_nodes(applying, restarted))
    assert [part.part for part in applying.documents.parts()] == ["canary"], "the attempt left no result that says done"


def test_an_approval_that_cannot_be_read_pauses_the_writing(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store doesn't answer whether the plan is approved still, no key is written; when it does again, the part goes on."""
    monkeypatch.setattr(write_gate, "APPROVAL_S", 0.0)
    monkeypatch.setattr(write_gate, "CONTROL_S", 0.0)
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, POLICY)
    applying.pass_canary()
    left = without_ttl(valkey)
    asked: list[None] = []
    silent = [True]

    def approve() -> Any:
        asked.append(None)
        if len(asked) > 1 and silent:
            raise StoreProblem("no answer")
        return applying.approval

    def mend(text: str) -> None:
        if text.startswith("paused: the approval can't be read"):
            assert without_ttl(valkey) == left
            silent.clear()

    applying.on_log = mend
    result = applying.shard(approve=approve)
    assert result.interruptions[0].reason.startswith("the approval can't be read")
    assert without_ttl(valkey) == 0


def test_a_canary_that_is_begun_again_counts_what_it_has_written(valkey: Server, tmp_path: Path) -> None:
    """A rule's limit holds over the keys that have our expiry already and those that would get it: one more than planned is
    refused, though each alone is within the limit.
    """
    fill(valkey, 101)
    applying = Applying(valkey.url, tmp_path, POLICY, limit_keys=101)
    applying.canary()
    assert applying.canary().accounts[0].already_ours > 0, "within its limit it may be begun again"
    fill(valkey, 1, first=101)
    left = without_ttl(valkey)
    assert left <= 101
    with pytest.raises(TooManyMatches, match="102 keys; expected at most 101"):
        applying.canary()
    assert without_ttl(valkey) == left


class WaitedFor:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept_s += seconds

    def now(self) -> dt.datetime:
        """The moment."""
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.slept_s)

    def monotonic(self) -> float:
        """The seconds."""
        return 1_000 + self.slept_s


def watched(applying: Applying, clock: WaitedFor, lags_s: Iterable[int]) -> dict[str, Any]:
    """What a check of the canary needs whose server reports these lags of a replica, look by look, and then none."""
    lags = iter(lags_s)

    def lagging(node: Any) -> dict[str, Any]:
        return {"health": lambda: replace(node.health(), lag_s=next(lags, 0), at_s=clock.monotonic())}

    return {"redis": changed_nodes(applying, lagging), "clock": clock}


def test_a_figure_that_flickers_does_not_fail_the_canary(valkey: Server, tmp_path: Path) -> None:
    """Nine bad looks, a good one and nine bad ones are no ten in a row; ten are, and end the watch at once."""
    fill(valkey, 50)
    clock = WaitedFor()
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=10, watch_s=40))
    applying.canary()
    flicker = [0, *[99] * 9, 0, *[99] * 9]
    report = check_canary(applying.plan, applying.tools(**watched(applying, clock, flicker)))
    assert report.passed
    with pytest.raises(Aborted, match="replication lag in seconds: 99"):
        check_canary(applying.plan, applying.tools(**watched(applying, clock, [0, *[99] * 10])))
    assert len(applying.documents.canary_reports()) == 2


def test_the_last_check_of_the_canary_counts(valkey: Server, tmp_path: Path) -> None:
    """A check that failed after one that had passed keeps the shards from being written."""
    fill(valkey, 50)
    clock = WaitedFor()
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=10, watch_s=20))
    applying.canary()
    check_canary(applying.plan, applying.tools(**watched(applying, clock, [])))
    with pytest.raises(Aborted, match="wasn't passed"):
        check_canary(applying.plan, applying.tools(**watched(applying, clock, [0, *[99] * 10])))
    left = without_ttl(valkey)
    with pytest.raises(Aborted, match="hasn't been passed"):
        applying.shard()
    assert without_ttl(valkey) == left
    check_canary(applying.plan, applying.tools(**watched(applying, clock, [])))
    applying.shard()
    assert without_ttl(valkey) == 0


def rows(*changes: tuple[bytes, int | None, int]) -> pl.DataFrame:
    """Changes of keys of one rule: the name, what was, what is to be."""
    columns = {"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64}
    frame = pl.DataFrame(list(changes), schema=columns, orient="row").with_columns(db=0, rule=0)
    return with_actions(frame).select(pl.col(name).cast(kind) for name, kind in CHANGE_TYPES.items())


def test_an_instant_in_the_past_deletes_no_key(redis62: Server) -> None:
    """The writer itself sends no instant that has passed: the server would delete the key. It comes back, unwritten.

    This is the script's own look below Redis 7.0, behind that of the use cases, which hold for every server.
    """
    set_keys(redis62, [b"a:1", b"a:2"])
    deployment = WritableDeployment(endpoint_from_url(redis62.url), parse_load("fast"))
    now_ms = time.time_ns() // 1_000_000
    with deployment.connect(f"{redis62.host}:{redis62.port}", 0) as node, redis62.client() as client:
        client.expire("a:2", 90_000)
        was_ms = now_ms + 90_000_000
        writer = node.writer()
        writer.take(rows((b"a:1", None, now_ms - 1_000), (b"a:2", was_ms, now_ms - 1_000)))
        while writer.waiting:
            writer.write(10, ahead=False)
        writer.settle()
        assert client.dbsize() == 2
        assert client.ttl("a:1") == -1
        assert client.ttl("a:2") > 80_000


def test_a_key_that_was_met_twice_is_one_key_of_the_canary() -> None:
    """A key in two batches (a scan may hand it out twice) is picked, counted and written once."""
    picked = WritableDeployment.new_canary(1.0, 10)
    once = rows((b"a:1", None, 9), (b"a:2", None, 9))
    again = rows((b"a:2", None, 9), (b"a:3", None, 9))
    for changes in (once, again):
        picked.add(0, Decided(changes.height, {}, changes, changes.clear()))
    assert picked.counts([0]) == {0: 3}
    assert sorted(picked.changes([0])["key"].to_list()) == [b"a:1", b"a:2", b"a:3"]
