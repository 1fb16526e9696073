"""Users who may enter some databases only (Valkey 9.1): what they may read is read, and nothing else is tried."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import roll_back
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import VALKEY
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.domain.audit.audit import AuditPlan
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import ForbiddenDatabase, NoSuchDatabase
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.messages.pages.audit_report import audit_page
from redis_ttl.usecases.plan.build_plan import build_plan
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.usecases.auditing import FAST, Auditing
from tests.usecases.drifting import Nights
from tests.usecases.verifying import Remediation

POLICY = policy_of(rule("user:{id}"))
ALL = replace(FAST, databases="all")
THREE = replace(FAST, databases=(3,))


@pytest.fixture
def shared(valkey: Server) -> Iterator[Server]:
    """A server with 40 keys in database 0, 300 in 3 and 20 in 5."""
    for db, keys in ((0, 40), (3, 300), (5, 20)):
        set_keys(valkey, (f"user:{number}" for number in range(keys)), db)
    yield valkey
    with valkey.client() as client:
        client.execute_command("ACL", "DELUSER", "tenant")


def url_of(server: Server, *databases: int, db: int = 0) -> str:
    """The URL of a user who may enter these databases, and do everything there."""
    with server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
        allowed = "alldbs" if not databases else f"db={','.join(map(str, databases))}"
        client.execute_command("ACL", "SETUSER", "tenant", "reset", "on", ">pw", "~*", "&*", "+@all", allowed)
    return f"redis://tenant:pw@{server.host}:{server.port}/{db}"


def refusals(server: Server) -> list[Any]:
    """What the server has refused since the user was made."""
    with server.client() as client:
        return [(entry["object"], entry["client-info"]["cmd"]) for entry in client.acl_log()]


@pytest.mark.parametrize("db", [0, 5])
def test_a_database_that_may_not_be_read_is_named(shared: Server, tmp_path: Path, db: int) -> None:
    """Asked for such a database, the error says which one, and what allows it; it blames no command."""
    auditing = Auditing(url_of(shared, 3), tmp_path, replace(FAST, databases=(db,)))
    with pytest.raises(ForbiddenDatabase) as caught:
        auditing.run()
    assert f"this user may not read database {db} (allow it with db={db} or alldbs)" in str(caught.value)
    assert "DBSIZE" not in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "met", "left_out"), [((3,), 300, [0, 5]), ((0,), 40, [3, 5]), ((0, 5), 60, [3]), ((), 360, [])]
)
def test_all_means_all_that_may_be_read(
    shared: Server, tmp_path: Path, allowed: tuple[int, ...], met: int, left_out: list[int]
) -> None:
    """``all`` reads what this user may, and says in report, notes and JSON what it left out; such an audit isn't whole."""
    audit = Auditing(url_of(shared, *allowed), tmp_path, ALL).run()
    assert audit.keys == met
    told = [f"database {each} of {shared.host}:{shared.port} is left out" for each in left_out]
    completeness = audit.to_json()["completeness"]
    assert [each.split(",")[0] for each in completeness["left_out"]] == told
    assert completeness["is_whole"] is (not left_out)
    page = audit_page(audit)
    for each in told:
        assert f"Not complete: {each}" in page
        assert each in page.split("## Notes")[1].split("## ")[0]


def test_nobody_may_read_what_there_is(shared: Server, tmp_path: Path) -> None:
    """A user who may enter none of the databases with keys gets no empty report."""
    with pytest.raises(ForbiddenDatabase, match="database 0"):
        Auditing(url_of(shared, 9), tmp_path, ALL).run()


def test_a_policy_for_one_database_touches_no_other(shared: Server, tmp_path: Path) -> None:
    """Audit, plan, watch, write, verify, rollback and drift check of database 3 send nothing to database 0 that the ACL refuses,
    though the connection names 0.
    """
    set_keys(shared, (f"keep:{number}" for number in range(700)), 3)
    url = url_of(shared, 3)
    auditing = Auditing(url, tmp_path / "audit", THREE, POLICY)
    audit = auditing.run()
    redis = RedisDeployment(endpoint_from_url(url), parse_load("fast"))
    plan = build_plan(redis, audit, POLICY, plan_id="p", run="terminal", now=dt.datetime.now(dt.UTC))
    assert plan.rules[0].changes == {Action.SET: 300}
    watched = WatchedDeployment(endpoint_from_url(url), "primary", (3,))
    sample = watched.sample("2026-01-01T00:00:00+00:00", limit_bytes=None)
    patterns = watched.random_patterns(sample, 100, ())
    assert patterns is not None
    assert watched.writing_clients(sample) is not None
    remediation = Remediation(url_of(shared, 3, db=3), tmp_path / "plan", POLICY, databases=(3,))
    remediation.applying.url = url
    remediation.apply()
    remediation.url = url
    assert (remediation.verify().rules[0].kept, remediation.verify().rules[0].missed) == (300, 0)
    assert roll_back(remediation.applying).removed == 300
    nights = Nights(url, tmp_path / "drift", POLICY, options=THREE)
    nights.night()
    assert nights.night().new_keys == 0
    assert refusals(shared) == []
    for db in (0, 5):
        with shared.client(db) as client:
            assert all(client.ttl(key) == -1 for key in client.scan_iter())


def test_a_plan_says_what_its_audit_left_out(shared: Server, tmp_path: Path) -> None:
    """Whoever approves a plan reads which databases it knows nothing of."""
    set_keys(shared, (f"keep:{number}" for number in range(700)), 3)
    url = url_of(shared, 3)
    audit = Auditing(url, tmp_path, ALL, POLICY).run()
    redis = RedisDeployment(endpoint_from_url(url), parse_load("fast"))
    plan = build_plan(redis, audit, POLICY, plan_id="p", run="terminal", now=dt.datetime.now(dt.UTC))
    assert [each.split(" of ")[0] for each in plan.warnings if "left out" in each] == ["database 0", "database 5"]


def test_the_watch_draws_from_what_it_may(shared: Server) -> None:
    """Looking into a burst passes over databases that this user may not enter."""
    watched = WatchedDeployment(endpoint_from_url(url_of(shared, 3)))
    sample = watched.sample("2026-01-01T00:00:00+00:00", limit_bytes=None)
    patterns = watched.random_patterns(sample, 360, ())
    assert patterns is not None
    assert sum(each.keys for each in patterns.values()) == 300


def test_a_database_that_was_left_out_stays_in_the_baseline(shared: Server, tmp_path: Path) -> None:
    """What a user may no longer read leaves no baseline, and what it may read again isn't new."""
    nights = Nights(url_of(shared), tmp_path, POLICY, options=ALL)
    assert nights.night().next_baseline == 1
    url_of(shared, 3)
    report = nights.night()
    assert (report.left_keys, report.new_keys, report.next_baseline) == (0, 0, 1)
    assert "didn't read databases other than 3" in report.notes[0]
    url_of(shared)
    report = nights.night()
    assert (report.left_keys, report.new_keys, report.no_ttl_keys) == (0, 0, 360)


def test_a_database_that_could_not_be_read_joins_the_baseline_later(shared: Server, tmp_path: Path) -> None:
    """The keys of a database that the first baseline left out are no drift when they can be read at last."""
    nights = Nights(url_of(shared, 3), tmp_path, POLICY, options=ALL)
    nights.night()
    url_of(shared)
    report = nights.night()
    assert report.new_keys == 0
    assert "their keys joined the baseline" in report.notes[0]


@pytest.fixture(scope="module")
def wide_cluster() -> Iterator[Cluster]:
    """A Valkey cluster with four databases."""
    with run_cluster(require(VALKEY), "cluster-databases 4", primaries=1) as cluster:
        yield cluster


def test_a_cluster_may_have_several_databases(wide_cluster: Cluster, redis7_cluster: Cluster) -> None:
    """Which databases a cluster has depends on the server, and the hint says so."""
    (node,) = wide_cluster.primaries
    with RedisLink(endpoint_from_url(node.url).on(3)) as link:
        assert link.call("DBSIZE") == 0
    for url, db in ((node.url, 4), (redis7_cluster.url, 1)):
        with pytest.raises(NoSuchDatabase, match=r"INFO keyspace|cluster-databases"):
            RedisLink(endpoint_from_url(url).on(db))


def test_a_plan_keeps_what_was_left_out(shared: Server, tmp_path: Path) -> None:
    """The databases that were left out are part of the audit's plan, so every task of its run knows them."""
    auditing = Auditing(url_of(shared, 3), tmp_path, ALL)
    plan = auditing.plan()
    assert plan.servers[0].forbidden_databases == (0, 5)
    assert from_plain(AuditPlan, to_plain(plan)).servers == plan.servers
    assert [split.db for split in plan.splits] == [3]
