"""``redis-ttl plan`` as its user meets it: what is printed, what it refuses, and that it changes nothing."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from redis_ttl.cli.main import main
from redis_ttl.domain.plan.plan import Plan
from tests.hiding_proxy import HidingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from lab.servers.server import Server

POLICY = """\
cluster: shop
connection: redis_shop
owner: {team: shop}
remediation: {rule_max_percent: 90%, max_percent: 90%}
rules:
  - {pattern: "coupon:{id}", ttl: 60d, sign_off: {by: Lin Wei, on: 2026-02-20}}
  - {pattern: "draft:{id}", ttl: 30d}
"""


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of the command with these words, run in this process."""
    monkeypatch.setattr(sys, "argv", ["redis-ttl", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """The path of a policy with one rule that is signed off, and one that isn't."""
    path = tmp_path / "shop.yaml"
    path.write_text(POLICY)
    return str(path)


@pytest.fixture
def filled(valkey: Server) -> Server:
    """A server with keys of both rules, without TTLs."""
    with valkey.client() as client:
        client.mset({f"coupon:{number}": "x" for number in range(500)})
        client.mset({f"draft:{number}": "x" for number in range(100)})
    return valkey


def test_hidden_figures_are_refused_before_anything_is_scanned(
    filled: Server, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that hides what guards need is told about at once, without a plan that nobody could ever apply."""
    with HidingProxy(filled.port, {"used_memory", "maxmemory", "evicted_keys"}) as proxy:
        assert run(monkeypatch, "plan", proxy.url, "--policy", policy) != 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "hides used_memory, maxmemory (guard memory); evicted_keys (guard evicted_keys)" in said
    assert "remediation.guards: {evicted_keys: unguarded, memory: unguarded}" in said
    assert "Audit" not in said
    assert "0 B" not in said


def test_the_plan_is_shown_and_nothing_is_written(
    filled: Server, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables say what would be done and what is left out, the last line where to do it; not one key gets a TTL."""
    assert run(monkeypatch, "plan", filled.url, "--policy", policy, "--load", "fast") == 0
    printed = capsys.readouterr().out
    assert "This will set a TTL on 500 keys that have none, by 1 rule" in printed
    assert "not signed off" in printed
    assert "Nothing was written. To do this, trigger redis_ttl.shop.remediate in Airflow" in printed
    with filled.client() as client:
        assert client.info("keyspace")["db0"]["expires"] == 0


def test_json_is_the_whole_plan(
    filled: Server, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--json`` prints the plan's document, and ``--audit-store`` keeps the audit that it was made of."""
    store = tmp_path / "store"
    words = ["--policy", policy, "--json", "--audit-store", str(store), "--rules", "coupon:{id}"]
    assert run(monkeypatch, "plan", filled.url, *words) == 0
    document = json.loads(capsys.readouterr().out)
    plan = Plan.from_json(document)
    assert plan.digest == document["digest"]
    assert (plan.run, plan.change_keys) == ("terminal", 500)
    assert (store / "shop" / "audits" / plan.audit_id / "audit.json").exists()


def test_a_plan_that_may_not_be(
    filled: Server, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is refused ends with a message that says why, and status 2."""
    assert run(monkeypatch, "plan", filled.url, "--policy", policy, "--rules", "draft:{id}") == 2
    assert "there is nothing to do" in capsys.readouterr().err


def test_a_narrow_terminal_loses_nothing(
    filled: Server, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the table is wider than the terminal its texts wrap, and no figure is cut."""
    monkeypatch.setattr("redis_ttl.cli.audit.run._PAGE_WIDTH", 80)
    assert run(monkeypatch, "plan", filled.url, "--policy", policy) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "…" not in printed
    assert " 500 " in printed
