"""A figure that isn't known says unknown, and a sum over nodes stands beside its worst node: face by face, field by field."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lab.remediation.policies import policy_of, rule
from lab.servers.cluster import Cluster
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.cli.audit.table import audit_tables
from redis_ttl.cli.plan_table import plan_tables
from redis_ttl.domain.audit.audit import Audit, AuditOptions
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.messages.facts.any_facts import AnyFacts
from redis_ttl.domain.messages.facts_of_audit import action_required
from redis_ttl.domain.messages.facts_of_events import memory_level
from redis_ttl.domain.policy.guards import GUARDS
from redis_ttl.domain.watch.events import LevelChange
from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.domain.watch.sample import Sample
from redis_ttl.messages.figures import ratio
from redis_ttl.messages.formats.as_markdown import as_text
from redis_ttl.messages.pages.audit_report import audit_page
from redis_ttl.messages.pages.watch_page import change_lines, sample_line
from redis_ttl.messages.rendering import documents_of
from tests.adapters.keyspaces import set_keys
from tests.hiding_proxy import HidingProxy
from tests.usecases.audit.test_hidden_figures import shown, without
from tests.usecases.auditing import Auditing
from tests.usecases.plan.test_build_plan import plan_from
from tests.usecases.watching import Watching

POLICY = without(*(guard.key for guard in GUARDS), policy=policy_of(rule("page:{id}")))
NOW = "2026-11-28T12:00:00+00:00"

#: By the field of INFO that is hidden, what each face says then.
SAID: dict[str, dict[str, str]] = {
    "used_memory": {
        "report": "Memory in use is unknown; the limit is 200 MiB.",
        "server": "memory   unknown used, maxmemory 200 MiB",
        "terminal": "Memory in use is unknown; the limit is 200 MiB.",
        "plan": "| now | unknown | unknown | maxmemory 200 MiB |",
        "plan in a terminal": "peak while applied unknown unknown",
        "approval en": "The peak is unknown",
        "approval zh": "峰值未知",
        "owner en": "Memory use of test is unknown",
        "owner zh": "test 内存用量未知",
        "watch": "memory unknown of 200 MiB (unknown)",
    },
    "maxmemory": {
        "report": "; the limit is unknown.",
        "server": "used, maxmemory unknown",
        "plan": "maxmemory unknown |",
        "approval en": "The peak is unknown",
        "owner en": "doesn't report its limit",
        "owner zh": "上限未知",
        "watch": ", limit unknown;",
    },
    "maxmemory_policy": {
        "server": "policy unknown",
        "owner en": "The eviction policy is unknown",
        "owner zh": "淘汰策略未知",
    },
    "uptime_in_seconds": {"server": ", uptime unknown"},
    "connected_slaves": {"server": "replica  unknown"},
    "evicted_keys": {"server": "missing from INFO: evicted_keys", "watch": "unknown keys evicted so far"},
    "expired_keys": {"server": "missing from INFO: expired_keys"},
    "run_id": {"server": "missing from INFO: run_id", "plan": "run_id unknown"},
    "db0": {
        "report": "the server doesn't report INFO keyspace",
        "terminal": "the server doesn't report INFO keyspace",
        "server": "keys     unknown",
        "watch": "unknown keys, unknown (unknown) without TTL",
    },
    "keyspace_hits": {"watch": "hit rate unknown"},
    "keyspace_misses": {"watch": "hit rate unknown"},
    "connected_clients": {"watch": "unknown clients"},
    "mem_fragmentation_ratio": {"watch": "fragmentation unknown"},
    "expired_stale_perc": {"watch": "expired but not removed unknown"},
}
#: What no face says of a figure that isn't known.
NEVER = (
    r"\b0 B\b",
    r"\bno limit\b",
    r"maxmemory none",
    r"keys +none",
    r"\bNone\b",
    r"\bnan\b",
    r"\b0 keys, 0 ",
    r"\bis empty\b",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a limit and keys, whose every figure is there and isn't 0."""
    if VALKEY.find() is None:
        pytest.skip(VALKEY.install_hint)
    with run_server(VALKEY, "maxmemory 200mb", "maxmemory-policy volatile-lru") as started:
        set_keys(started, [f"page:{number}" for number in range(50)])
        with started.client() as client:
            client.get("page:1")
            client.get("absent")
        yield started


def printed(tables: object) -> str:
    """As a wide terminal shows it, spaces made one."""
    console = Console(file=io.StringIO(), width=400)
    console.print(tables)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def told(facts: AnyFacts, kind: str) -> dict[str, str]:
    """A message in both languages."""
    documents = documents_of(facts, languages=("en", "zh"), timezone="UTC")
    return {f"{kind} {document.language}": as_text([document]) for document in documents}


def sampled(url: str) -> Sample:
    """A look of the watch."""
    return WatchedDeployment(endpoint_from_url(url)).sample(NOW, limit_bytes=None)


def faces(url: str, folder: Path) -> dict[str, str]:
    """All that is said of a server: report, plan, watch and messages."""
    auditing = Auditing(url, folder, policy=POLICY)
    audit = auditing.run()
    plan = plan_from(auditing, audit, POLICY)
    page = audit_page(audit)
    ((_, owner),) = action_required(audit, POLICY)
    approval = shown(plan, POLICY)
    return {
        "report": page,
        "server": page.split("## Server")[1].split("##")[0],
        "terminal": printed(audit_tables(audit, width=200, rows=10)),
        "plan": " ".join(approval["page"].split()),
        "plan in a terminal": printed(plan_tables(plan)),
        "approval en": approval["en"].replace("\\", ""),
        "approval zh": approval["zh"].replace("\\", ""),
        "watch": sample_line(sampled(url)),
        **told(owner, "owner"),
    }


def test_with_everything_told_nothing_is_unknown(server: Server, tmp_path: Path) -> None:
    """No face says unknown, and none says what the others forbid, where the server hides nothing."""
    with HidingProxy(server.port) as proxy:
        for face, text in faces(proxy.url, tmp_path).items():
            assert "unknown" not in text, face
            assert not [pattern for pattern in NEVER if re.search(pattern, text)], face


@pytest.mark.parametrize("field", SAID)
def test_a_hidden_field_is_unknown_on_every_face(server: Server, tmp_path: Path, field: str) -> None:
    """One field hidden: each face that shows its figure says unknown, and none shows nothing, none or no limit for it."""
    with HidingProxy(server.port, {field}) as proxy:
        found = faces(proxy.url, tmp_path)
    for face, words in SAID[field].items():
        assert words in found[face], face
    for face, text in found.items():
        assert not [pattern for pattern in NEVER if re.search(pattern, text)], face


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("used_memory", ["used_memory_bytes", "memory_ratio"]),
        ("maxmemory", ["maxmemory_bytes", "memory_ratio"]),
        ("db0", ["counted_off"]),
    ],
)
def test_machines_read_null_and_not_0(server: Server, tmp_path: Path, field: str, names: list[str]) -> None:
    """In JSON, what isn't known is null."""
    with HidingProxy(server.port, {field}) as proxy:
        document = json.loads(json.dumps(Auditing(proxy.url, tmp_path).run().to_json()))
        assert [document[name] for name in names] == [None] * len(names)
        sample = sampled(proxy.url)
        assert from_plain(Sample, json.loads(json.dumps(to_plain(sample)))) == sample


def test_all_databases_can_t_be_read_where_none_is_told(server: Server, tmp_path: Path) -> None:
    """``all`` would read one and call that all of them: the databases must be named then."""
    with (
        HidingProxy(server.port, {"db0"}) as proxy,
        pytest.raises(InvalidOption, match="cannot tell which databases have keys"),
    ):
        Auditing(proxy.url, tmp_path, AuditOptions(databases="all")).plan()


def test_levels_and_bursts_conclude_nothing_from_hidden_figures(server: Server, tmp_path: Path) -> None:
    """A figure that is hidden from one look to the next is no fall to 0 and no burst when it comes back; its level stays."""
    with HidingProxy(server.port) as proxy:
        watching = Watching(proxy.url, tmp_path, POLICY)
        watching.look()
        for hidden in ({"used_memory"}, {"db0"}, {"maxmemory"}, {"expired_keys", "run_id", "uptime_in_seconds"}, set()):
            proxy.hides = frozenset(hidden)
            watching.pass_by()
            seen = watching.look()
            assert seen.burst is None
            assert seen.changes == ()
            assert "None" not in " ".join(oddity.what for oddity in seen.oddities)


def test_a_full_node_is_seen_behind_a_sum_that_looks_fine(valkey_cluster: Cluster, tmp_path: Path) -> None:
    """One node that is nearly full beside empty ones: report, watch, level and message name it, and how full it is."""
    full, *others = valkey_cluster.primaries
    with full.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", int(used * 1.02))
        client.config_set("maxmemory-policy", "noeviction")
    for node in others:
        with node.client() as client:
            client.config_set("maxmemory", 10**9)
    try:
        audit: Audit = Auditing(valkey_cluster.url, tmp_path).run()
        assert (audit.memory().ratio or 1) < 0.2
        address = f"127.0.0.1:{full.port}"
        fullest = audit.memory().fullest
        assert fullest is not None
        assert f"The fullest node, {address}, is at {ratio(fullest.ratio)}" in audit_page(audit)
        assert audit.headline()["fullest_node_ratio"] > 0.9
        watching = Watching(valkey_cluster.url, tmp_path / "watch", POLICY)
        seen = watching.look()
        assert f"fullest node {address} at " in sample_line(seen.sample)
        change = next(each for each in seen.changes if each.measure is Measure.MEMORY)
        assert change.level is Level.CRITICAL
        assert f" on {address}; all nodes: " in change_lines(change)[0]
        assert from_plain(LevelChange, json.loads(json.dumps(to_plain(change)))) == change
        ((_, facts),) = memory_level(change, watching.policy)
        messages = told(facts, "level")
        assert f"Its fullest node, {address}, is at " in messages["level en"]
        assert f"使用率最高的节点为 {address}，" in messages["level zh"]
    finally:
        for node in valkey_cluster.primaries:
            with node.client() as client:
                client.config_set("maxmemory", 0)
