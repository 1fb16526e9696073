"""What exchanges a data set under an audit, on real servers: each is told, and what leaves it the same is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.policies import policy_of
from lab.servers.kinds import REDIS_62, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.domain.audit.audit import Audit
from redis_ttl.domain.errors import BadInput, IncompleteScan
from redis_ttl.messages.pages.audit_report import audit_page
from tests.adapters.alternating_proxy import AlternatingProxy
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.usecases.auditing import FAST, Auditing
from tests.usecases.drifting import Nights

BOTH = replace(FAST, databases=(0, 1))
KEYS = 2_000


@pytest.fixture(params=[VALKEY, REDIS_62], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this test's own with keys in two databases, whose DEBUG may be used."""
    kind: ServerKind = require(request.param)
    with run_server(kind, *([] if kind is REDIS_62 else ["enable-debug-command yes"])) as one:
        for db in (0, 1):
            set_keys(one, (f"db{db}:{number}" for number in range(KEYS)), db)
        yield one


def audit_around(server: Server, store: Path, happens: Callable[[], object]) -> Audit:
    """An audit of two databases, between which something happens."""
    auditing = Auditing(server.url, store, BOTH)
    plan = auditing.plan()
    assert [shard.db for shard in plan.shards] == [0, 1]
    auditing.scan(0)
    happens()
    auditing.scan(1)
    return auditing.merge()


def flush_all(client: Any, _: Server) -> None:
    """Remove everything."""
    client.flushall()


def flush_and_fill(client: Any, server: Server) -> None:
    """Put other keys in their place."""
    client.flushall()
    set_keys(server, (f"other:{number}" for number in range(KEYS)))


def flush_one(client: Any, _: Server) -> None:
    """Remove one of the two databases."""
    client.execute_command("SELECT", 1)
    client.flushdb()


def swap(client: Any, _: Server) -> None:
    """Exchange the two."""
    client.execute_command("SWAPDB", 0, 1)


def flush_in_a_script(client: Any, _: Server) -> None:
    """Remove everything from within Lua."""
    client.eval("return redis.call('FLUSHALL')", 0)


def reload_older(client: Any, server: Server) -> None:
    """The file that is loaded has none of the keys."""
    client.flushall()
    client.save()
    for db in (0, 1):
        set_keys(server, (f"db{db}:{number}" for number in range(KEYS)), db)
    # What was written since the file is lost: nothing is saved before it is loaded.
    client.execute_command("DEBUG", "RELOAD", "NOSAVE")


def restart_empty(_: Any, server: Server) -> None:
    """A crash of a server that saves nothing."""
    server.stop()
    server.start()


def follow_an_empty_one(client: Any, server: Server) -> None:
    """It is demoted, takes over the other one's data set, and is promoted again: the same process all along."""
    with run_server(server.kind) as other:
        client.replicaof(other.host, str(other.port))
        wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the replica to be in sync")
        client.execute_command("REPLICAOF", "NO", "ONE")


def demote(client: Any, server: Server) -> None:
    """It becomes a replica of an empty server, as after a failover to one, and stays it."""
    with run_server(server.kind) as other:
        client.replicaof(other.host, str(other.port))
        wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the replica to be in sync")


@pytest.mark.parametrize(
    ("happens", "word"),
    [
        (flush_all, "FLUSHALL was called"),
        (flush_and_fill, "FLUSHALL was called"),
        (flush_in_a_script, "FLUSHALL was called"),
        (flush_one, "FLUSHDB was called"),
        (swap, "SWAPDB was called"),
        (reload_older, "DEBUG was called"),
        (restart_empty, "another process"),
        (follow_an_empty_one, "OF was called 2 times"),
        (demote, "it turned from primary to replica"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_exchanged_data_set_is_told(
    server: Server, tmp_path: Path, happens: Callable[[Any, Server], None], word: str
) -> None:
    """Whatever puts other keys in the place of those that were read, the report, its JSON and its notes say it."""
    with server.client() as client:
        audit = audit_around(server, tmp_path, lambda: happens(client, server))
    assert audit.completeness.doubts
    assert not audit.completeness.is_whole
    assert word in audit.completeness.doubts[0]
    assert not audit.to_json()["completeness"]["is_whole"]
    assert set(audit.completeness.doubts) <= set(audit.warnings), "plans and messages show what an audit warns of late"
    assert "Not complete: " in audit_page(audit)


def test_the_database_that_was_flushed_is_named_and_the_other_is_not(server: Server, tmp_path: Path) -> None:
    """FLUSHDB of one database is no doubt about the other."""
    with server.client() as client:
        audit = audit_around(server, tmp_path, lambda: flush_one(client, server))
    assert [" db1: " in each for each in audit.completeness.doubts] == [True]


def flush_another(client: Any, server: Server) -> None:
    """Remove a database that isn't audited."""
    set_keys(server, ["x"], 5)
    client.execute_command("SELECT", 5)
    client.flushdb()


def reload_the_same(client: Any, _: Server) -> None:
    """Save, and load the same."""
    client.execute_command("DEBUG", "RELOAD")


def swap_others(client: Any, _: Server) -> None:
    """Exchange two empty databases."""
    client.execute_command("SWAPDB", 7, 8)


@pytest.mark.parametrize(
    "happens", [flush_another, reload_the_same, swap_others], ids=lambda each: getattr(each, "__name__", "")
)
def test_a_data_set_that_stays_is_not_doubted(
    server: Server, tmp_path: Path, happens: Callable[[Any, Server], None]
) -> None:
    """What leaves the databases of the audit as they were makes no doubt, and the figures are exact."""
    with server.client() as client:
        audit = audit_around(server, tmp_path, lambda: happens(client, server))
    assert audit.completeness.is_whole
    assert (audit.keys, audit.completeness.samples > 100, audit.warnings) == (2 * KEYS, True, ())


def test_a_replica_that_is_filled_anew_is_told(server: Server, tmp_path: Path) -> None:
    """A replica that is read and follows an empty primary from now on has other keys, though its process is the same."""
    with (
        run_server(server.kind, replica_of=server) as replica,
        run_server(server.kind) as empty,
        replica.client() as client,
    ):

        def follow() -> None:
            client.replicaof(empty.host, str(empty.port))
            wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the replica to be in sync")

        auditing = Auditing(replica.url, tmp_path, replace(BOTH, source="replica"))
        auditing.plan()
        auditing.scan(0)
        follow()
        auditing.scan(1)
        audit = auditing.merge()
    assert "it follows another data set than before" in audit.completeness.doubts[0]


def test_a_replica_whose_primary_was_flushed_while_it_was_away_is_told(tmp_path: Path) -> None:
    """After a full resync with the same primary the flush stands in no counter of the replica's; that it loaded anew does."""
    kind = require(VALKEY)
    with run_server(kind, "repl-backlog-size 16kb") as primary:
        set_keys(primary, (f"key:{number}" for number in range(KEYS)))
        with run_server(kind, replica_of=primary) as replica, replica.client() as client, primary.client() as above:
            auditing = Auditing(replica.url, tmp_path, replace(FAST, source="replica"))
            auditing.plan()
            auditing.scan(0)
            # The replica is cut off without a word to it that its counters would have.
            above.execute_command("ACL", "SETUSER", "default", "-psync", "-sync")
            above.client_kill_filter(_type="replica")
            above.flushall()
            set_keys(primary, (f"other:{number}:{'x' * 50}" for number in range(KEYS + 50)))
            above.execute_command("ACL", "SETUSER", "default", "+@all")
            wait_for(lambda: client.dbsize() == KEYS + 50, "the replica to be filled again")
            audit = auditing.merge()
    assert "it loaded its data set anew" in audit.completeness.doubts[0]


@pytest.mark.parametrize("keys", [KEYS, 60_000], ids=["one shard", "several shards"])
def test_two_servers_behind_one_address_are_told(tmp_path: Path, keys: int) -> None:
    """Where each connection leads to the other one of two servers, no audit reads as complete, whichever is asked first."""
    kind = require(VALKEY)
    with run_server(kind) as one, run_server(kind) as other:
        set_keys(one, (f"one:{number}" for number in range(keys)))
        set_keys(other, (f"other:{number}" for number in range(keys)))
        for first in (0, 1):
            order = [one, other] if first == 0 else [one, other, other]
            with AlternatingProxy(order) as proxy:
                auditing = Auditing(proxy.url, tmp_path / str(first), replace(FAST, shards=None if keys == KEYS else 4))
                told = _outcome(auditing)
            assert "several server" in told
            assert "one address" in told


def test_no_baseline_is_made_of_an_exchanged_data_set(server: Server, tmp_path: Path) -> None:
    """The first baseline, and one that somebody accepts, need an audit of one data set; a check against a baseline lets none leave."""
    nights = Nights(server.url, tmp_path, policy_of(), options=BOTH)

    def doubtful_night(check: Callable[[Auditing], Any]) -> Any:
        auditing = Auditing(server.url, tmp_path, BOTH, nights.policy, f"audit-{next(nights._numbers):03d}")
        auditing.plan()
        auditing.scan(0)
        with server.client() as client:
            client.flushall()
        auditing.scan(1)
        auditing.merge()
        for db in (0, 1):
            set_keys(server, (f"db{db}:{number}" for number in range(KEYS)), db)
        return check(auditing)

    with pytest.raises(BadInput, match="more than one data set"):
        doubtful_night(nights.check)
    assert nights.night().next_baseline == 1
    report = doubtful_night(nights.check)
    assert (report.left_keys, report.next_baseline) == (0, 1)
    assert "the data set was exchanged meanwhile" in report.notes[0]


def _outcome(auditing: Auditing) -> str:
    """What an audit fails by, or else doubts."""
    try:
        return " ".join(auditing.run().completeness.doubts)
    except IncompleteScan as error:
        return str(error)
