"""TTLs of single fields of hashes, audited and planned on the real servers that have them."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.servers.cluster import run_cluster
from lab.servers.kinds import REDIS_82, VALKEY
from lab.servers.server import run_server
from lab.waiting import wait_for
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.keys.field_ttls import FIELDS_LOOKED_AT
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.messages.facts_of_audit import action_required
from redis_ttl.domain.plan.caution import CautionKind
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.policy import Caps, Owner, Policy, RemediationSettings, Rule, SignOff
from redis_ttl.messages.pages.audit_report import audit_page
from redis_ttl.messages.pages.plan_page import plan_page
from tests.conftest import require
from tests.usecases.auditing import FAST, Auditing
from tests.usecases.plan.test_build_plan import plan_of

if TYPE_CHECKING:
    from lab.servers.kinds import ServerKind
    from lab.servers.server import Server
    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
HALVES = ("a", "b")
AGREED = SignOff("Lin Wei", dt.date(2026, 2, 20))
POLICY = Policy(
    cluster="test",
    connection="redis",
    owner=Owner("shop"),
    remediation=RemediationSettings(run_caps=Caps(None, 1.0), rule_caps=Caps(None, 1.0)),
    rules=tuple(Rule(KeyPattern(each), 30 * DAY_S, sign_off=AGREED) for each in ("sess:{id}", "half:{id}")),
)


def put(client: Any, name: str, number: int, expiring: tuple[str, ...] = (), ttl_s: int = HOUR_S) -> None:
    """So many hashes of two fields, of which some expire."""
    for each in range(number):
        key = f"{name}:{each}"
        client.hset(key, mapping=dict.fromkeys(HALVES, "x"))
        if expiring:
            client.execute_command("HEXPIRE", key, ttl_s, "FIELDS", len(expiring), *expiring)


def fill(client: Any) -> None:
    """Of each kind some: all fields, one of two, none; the key's TTL beside it; more fields than are looked at; a string."""
    put(client, "sess", 60, HALVES)
    put(client, "half", 20, ("a",))
    put(client, "prof", 30)
    put(client, "both", 10, HALVES)
    for number in range(10):
        client.expire(f"both:{number}", DAY_S)
    wide = [f"f{number}" for number in range(10 * FIELDS_LOOKED_AT)]
    client.hset("wide:1", mapping=dict.fromkeys(wide, "x"))
    client.execute_command("HEXPIRE", "wide:1", HOUR_S, "FIELDS", len(wide), *wide)
    client.set("plain:1", "x")


def rows_of(audit: Audit) -> dict[str, PatternStatistics]:
    """The rows by the first part of their pattern."""
    return {row.pattern.partition(":")[0]: row for row in audit.patterns}


@pytest.fixture(params=["redis82", "valkey"])
def modern(request: pytest.FixtureRequest) -> Server:
    """Each of the two programs whose hashes have fields with TTLs."""
    server: Server = request.getfixturevalue(request.param)
    return server


def test_hashes_count_as_what_their_fields_are(modern: Server, tmp_path: Path) -> None:
    """A hash whose every field has a TTL ends by itself; one with some such fields stays; of a wide one no more is said than was seen."""
    with modern.client() as client:
        fill(client)
    audit = Auditing(modern.url, tmp_path).run()
    rows = rows_of(audit)
    assert (rows["sess"].no_ttl_keys, rows["sess"].ending_keys, rows["sess"].lasting_keys) == (60, 60, 0)
    assert HOUR_S - 600 < (rows["sess"].fields.last_s or 0) <= HOUR_S
    half, prof, both, wide = (rows[name] for name in ("half", "prof", "both", "wide"))
    assert (half.ending_keys, half.fields.some_fields, half.fields.hashes) == (0, 20, 20)
    assert (prof.ending_keys, prof.fields.with_ttls, prof.fields.hashes) == (0, 0, 30)
    assert (both.no_ttl_keys, both.ending_keys, both.fields.all_fields) == (0, None, 10)
    assert (wide.ending_keys, wide.fields.at_least_some, wide.fields.all_fields) == (0, 1, 0)
    assert rows["plain"].ending_keys == 0
    assert (audit.ending_keys, audit.field_ttl_keys) == (60, 91)
    page = audit_page(audit)
    assert "About 60 of them are self-expiring" in page
    assert "by fields ~100%" in page
    assert "fields with TTL: at least some in 1 of 1" in page
    assert "INFO keyspace reported 91 hashes" in page
    said = {row["pattern"].partition(":")[0]: row["field_ttls"] for row in audit.to_json()["patterns"]}
    assert (said["sess"]["ending_keys"], said["sess"]["all_fields"], said["prof"]["all_fields"]) == (60, 60, 0)
    assert said["plain"]["all_fields"] is None


def test_nothing_is_asked_where_the_server_counts_none(modern: Server, tmp_path: Path) -> None:
    """A database without such hashes costs no look at any hash, and is known to have none."""
    with modern.client() as client:
        put(client, "prof", 50)
        client.config_resetstat()
        audit = Auditing(modern.url, tmp_path).run()
        calls: Any = client.info("commandstats")
    assert calls["cmdstat_httl"]["calls"] <= 10  # the questions whether it may be asked
    assert "cmdstat_hlen" not in calls or calls["cmdstat_hlen"]["calls"] <= 10
    row = rows_of(audit)["prof"]
    assert (row.fields.hashes, row.ending_keys, audit.field_ttl_keys) == (50, 0, 0)
    assert "unknown" not in "".join(line for line in audit_page(audit).splitlines() if "ields" in line)


def test_a_look_is_no_use_of_the_key(modern: Server, tmp_path: Path) -> None:
    """An audit leaves the access counters of the hashes that it looks at as they were."""
    with modern.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        client.config_set("lfu-log-factor", 0)  # then each use counts
        put(client, "sess", 20, HALVES)
        before = [client.object("freq", f"sess:{number}") for number in range(20)]
        audit = Auditing(modern.url, tmp_path).run()
        after = [client.object("freq", f"sess:{number}") for number in range(20)]
        client.config_set("lfu-log-factor", 10)
    assert after == before
    assert audit.ending_keys == 20


def test_a_user_who_may_not_ask_is_told_so_in_one_line(modern: Server, tmp_path: Path) -> None:
    """Without HTTL it is unknown which keys end by themselves, never none of them; the server's own total stands."""
    with modern.client() as client:
        put(client, "sess", 40, HALVES)
        client.execute_command("ACL", "SETUSER", "asks", "on", ">secret", "~*", "+@all", "-httl")
        url = modern.url.replace("redis://", "redis://asks:secret@")
        audit = Auditing(url, tmp_path).run()
        client.acl_deluser("asks")
    assert (audit.ending_keys, audit.field_ttl_keys) == (None, 40)
    assert [each for each in audit.warnings if "HTTL is forbidden to this user" in each and "+httl" in each]
    assert rows_of(audit)["sess"].to_json()["field_ttls"]["ending_keys"] is None
    assert "never 100%" in audit_page(audit)


def test_what_readme_adds_for_the_audit_s_user_is_enough(modern: Server, tmp_path: Path) -> None:
    """With the words that README names for newer servers the user who audits may look at fields."""
    text = (Path(__file__).parents[3] / "README.md").read_text()
    [words] = re.findall(r"^ {4}ACL SETUSER redis_ttl (.+)$", text, flags=re.MULTILINE)
    [more] = re.findall(r"From Redis 7.4 and Valkey 9.0 on add `([^`]+)`", text)
    with modern.client() as client:
        put(client, "sess", 40, HALVES)
        client.execute_command("ACL", "SETUSER", "redis_ttl", *words.split(), *more.split())
        audit = Auditing(modern.url.replace("redis://", "redis://redis_ttl:PASSWORD@"), tmp_path).run()
        client.acl_deluser("redis_ttl")
    assert (audit.ending_keys, audit.warnings) == (40, ())


def test_an_old_server_s_hashes_are_unknown(redis7: Server, tmp_path: Path) -> None:
    """A server without HTTL says nothing of fields, and the report says that it doesn't know."""
    with redis7.client() as client:
        put(client, "prof", 5)
        client.set("plain:1", "x")
    audit = Auditing(redis7.url, tmp_path).run()
    assert (audit.ending_keys, audit.field_ttl_keys) == (None, None)
    assert "Field TTLs are unknown for all sampled hashes: this server has no HTTL." in audit_page(audit)


@pytest.mark.parametrize("kind", [REDIS_82, VALKEY], ids=lambda kind: kind.name)
def test_the_nodes_of_a_cluster_add_up(kind: ServerKind, tmp_path: Path) -> None:
    """The servers' totals are summed over the nodes, and so are the samples."""
    require(kind)
    with run_cluster(kind) as cluster:
        with cluster.client() as client:
            put(client, "sess", 60, HALVES)
            put(client, "prof", 30)
        audit = Auditing(cluster.url, tmp_path).run()
    assert (audit.ending_keys, audit.field_ttl_keys) == (60, 60)


def test_a_replica_and_every_database_are_asked(modern: Server, tmp_path: Path) -> None:
    """A replica knows the same of its hashes, in each database by itself."""
    with run_server(modern.kind, replica_of=modern) as replica:
        for db in (0, 3):
            with modern.client(db) as client:
                put(client, "sess", 20 + db, HALVES)
        with replica.client() as first, replica.client(3) as third:
            wait_for(lambda: (first.dbsize(), third.dbsize()) == (20, 23), "the replica to follow")
        audit = Auditing(modern.url, tmp_path, AuditOptions(load="fast", source="replica", databases="all")).run()
    assert audit.plan.servers[0].address == f"{replica.host}:{replica.port}"
    assert {(row.db, row.ending_keys) for row in audit.patterns} == {(0, 20), (3, 23)}
    assert {each.db: each.field_ttl_keys for each in audit.keyspace_after} == {0: 20, 3: 23}


def test_a_plan_frees_nothing_that_goes_anyway(modern: Server, tmp_path: Path) -> None:
    """Keys that end by themselves are warned of and not counted as freed; fields that a key's TTL would delete are warned of."""
    with modern.client() as client:
        put(client, "sess", 60, HALVES)
        put(client, "half", 20, ("a",))
    plan = plan_of(modern.url, tmp_path, POLICY)
    sess, half = plan.rules
    assert (sess.changes[Action.SET], sess.size_bytes) == (60, 0)
    assert half.size_bytes is not None
    assert half.size_bytes > 0
    assert plan.forecast.used_bytes is not None
    assert plan.forecast.after_bytes == plan.forecast.used_bytes - half.size_bytes
    assert [each.kind for each in sess.cautions if "field" in each.kind] == [CautionKind.FIELDS_END]
    assert [each.kind for each in half.cautions if "field" in each.kind] == [CautionKind.FIELDS_MIXED]
    page = plan_page(plan, POLICY)
    assert "about 60 of these keys end by themselves" in page
    assert "deletes all fields with it" in page


def test_fields_that_would_live_longer_are_warned_of(modern: Server, tmp_path: Path) -> None:
    """A rule whose TTL is shorter than the fields' deletes them early, and the plan says so."""
    with modern.client() as client:
        put(client, "sess", 20, HALVES, ttl_s=300 * DAY_S)
    plan = plan_of(modern.url, tmp_path, POLICY)
    assert [each.kind for each in plan.rules[0].cautions if "field" in each.kind] == [CautionKind.FIELDS_CUT]


def test_owners_aren_t_asked_about_keys_that_end_by_themselves(modern: Server, tmp_path: Path) -> None:
    """What ends by itself is in no row of a message; what stays is, with its own number."""
    with modern.client() as client:
        put(client, "sess", 60, HALVES)
        put(client, "prof", 30)
    audit = Auditing(modern.url, tmp_path, FAST, POLICY).run()
    [(_, facts)] = action_required(audit, POLICY)
    assert facts.rules == ()
    assert [(row.pattern, row.no_ttl_keys) for row in facts.unknown] == [("prof:{n}", 30)]
    assert (facts.no_ttl_keys, facts.ending_keys) == (90, 60)
