"""Servers that hide figures of INFO, as managed services do: what a guard can't see is said before anybody is asked to approve."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import CALM, policy_of, rule
from lab.remediation.restoring import expiries, restore_tools, roll_back
from lab.servers.kinds import REDIS_7, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from redis_ttl.domain.errors import Aborted, HiddenFigures
from redis_ttl.domain.messages.facts_of_plan import approval_requested
from redis_ttl.domain.plan.caution import CautionKind
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.guards import GUARDS
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.remediation.approval import ApprovalRequest
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.messages.formats.as_markdown import as_markdown
from redis_ttl.messages.pages.plan_page import plan_page
from redis_ttl.messages.rendering import documents_of
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from tests.adapters.keyspaces import set_keys
from tests.hiding_proxy import HidingProxy
from tests.usecases.plan.test_build_plan import plan_of

KEYS = 300
#: What one field of INFO is needed for, by the keys of ``remediation.guards``.
NEEDED_FOR = {
    "used_memory": {"memory"},
    "maxmemory": {"memory"},
    "evicted_keys": {"evicted_keys"},
    "expired_time_cap_reached_count": {"expire_cap_hits"},
    "connected_slaves": {"replica_lag", "replica_lag_bytes", "replicas"},
    "run_id": {"server"},
    "keyspace_misses": {"misses"},
    "total_error_replies": {"errors"},
}
POLICY = policy_of(rule("page:{id}"), canary_keys=20, guards=CALM)


def without(*guards: str, policy: Policy = POLICY) -> Policy:
    """The policy, which does without these guards."""
    settings = replace(policy.remediation.guards, unguarded=tuple(sorted(guards)))
    remediation = replace(
        policy.remediation, guards=settings, rule_caps=replace(policy.remediation.rule_caps, ratio=1.0)
    )
    return replace(policy, remediation=replace(remediation, run_caps=remediation.rule_caps))


@pytest.fixture(params=[VALKEY, REDIS_7], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with a limit and 300 keys."""
    kind: ServerKind = request.param
    if kind.find() is None:
        pytest.skip(f"{kind.name} isn't installed: {kind.install_hint}")
    with run_server(kind, "maxmemory 200mb") as started:
        set_keys(started, [f"page:{number}" for number in range(KEYS)])
        yield started


@pytest.fixture
def proxy(server: Server) -> Iterator[HidingProxy]:
    """What stands before the server; it hides nothing yet."""
    with HidingProxy(server.port) as standing:
        yield standing


def test_a_proxy_that_hides_nothing_changes_nothing(proxy: HidingProxy, tmp_path: Path) -> None:
    """A plan through the proxy is made as without it, so what the other tests see comes from what is hidden."""
    assert plan_of(proxy.url, tmp_path, without()).change_keys == KEYS


@pytest.mark.parametrize("field", NEEDED_FOR)
def test_a_hidden_figure_is_refused_before_anybody_is_asked(proxy: HidingProxy, tmp_path: Path, field: str) -> None:
    """The refusal names the server, the field of INFO, the guards that need it, and the words of the policy that do without."""
    proxy.hides = frozenset({field})
    with pytest.raises(HiddenFigures, match="this plan could never be applied") as caught:
        plan_of(proxy.url, tmp_path, without())
    said = str(caught.value)
    assert f"127.0.0.1:{proxy.port} hides" in said
    assert field in said
    for guard in GUARDS:
        assert (f"guard {guard.key})" in said) is (guard.key in NEEDED_FOR[field]), guard.key
    wanted = ", ".join(f"{key}: unguarded" for key in sorted(NEEDED_FOR[field]))
    assert f"remediation.guards: {{{wanted}}}" in said


def test_all_of_it_at_once_is_one_refusal(proxy: HidingProxy, tmp_path: Path) -> None:
    """A service that hides everything is told about in one sentence, with every guard."""
    proxy.hides = frozenset(NEEDED_FOR)
    with pytest.raises(HiddenFigures) as caught:
        plan_of(proxy.url, tmp_path, without())
    assert all(f"guard {guard.key})" in str(caught.value) for guard in GUARDS)


@pytest.mark.parametrize("fields", [{"role"}, {"run_id", "master_replid"}])
def test_what_no_policy_can_do_without_is_refused_by_name(proxy: HidingProxy, tmp_path: Path, fields: set[str]) -> None:
    """Who a server is can't be left unguarded: such a plan is refused with the fields, whatever the policy says."""
    proxy.hides = frozenset(fields)
    with pytest.raises(HiddenFigures, match="this plan could never be applied") as caught:
        plan_of(proxy.url, tmp_path, without(*(guard.key for guard in GUARDS)))
    assert all(field in str(caught.value) for field in fields)
    assert "unguarded" not in str(caught.value)


def test_the_clock_is_asked_for_where_info_hides_it(proxy: HidingProxy, tmp_path: Path) -> None:
    """TIME tells what INFO hides, so nobody has to do without the clock."""
    proxy.hides = frozenset({"server_time_usec"})
    assert plan_of(proxy.url, tmp_path, without()).change_keys == KEYS


def shown(plan: Plan, policy: Policy) -> dict[str, str]:
    """The plan as an approver reads it: its page, and the message in both languages."""
    asked = dt.datetime.now(dt.UTC).isoformat()
    request = ApprovalRequest("request-1", plan.plan_id, plan.digest, "approve_plan", 1, asked)
    ((_, facts),) = approval_requested(plan, request, policy)
    english, chinese = documents_of(facts, languages=("en", "zh"), timezone="UTC")
    return {"page": plan_page(plan, policy), "en": as_markdown([english]), "zh": as_markdown([chinese])}


def test_the_approver_reads_what_isn_t_guarded(proxy: HidingProxy, tmp_path: Path) -> None:
    """Guards that the policy does without stand among the warnings of the plan, on its page, and in the request in both
    languages; memory that nobody knows is unknown there, never nothing.
    """
    proxy.hides = frozenset(NEEDED_FOR)
    policy = without(*(guard.key for guard in GUARDS))
    plan = plan_of(proxy.url, tmp_path, policy)
    assert any(each.kind is CautionKind.UNGUARDED for each in plan.cautions)
    assert Plan.from_json(plan.to_json()) == plan
    faces = shown(plan, policy)
    for guard in GUARDS:
        assert f"`{guard.key}`" in faces["page"], guard.key
    assert "turns these guards off: memory use, evicted keys" in faces["en"]
    assert "已关闭以下保护：内存使用率、key 淘汰数" in faces["zh"]
    assert "unknown" in faces["en"]
    assert "未知" in faces["zh"]
    assert "| now | unknown | unknown | maxmemory unknown |" in " ".join(faces["page"].split())
    for text in faces.values():
        assert "0 B" not in text
        assert "no limit" not in text
        assert "maxmemory none" not in text


def test_a_policy_that_does_without_a_guard_writes(proxy: HidingProxy, server: Server, tmp_path: Path) -> None:
    """Where the policy says so, canary, watch and shard are written though the figures are hidden; and taken back again."""
    proxy.hides = frozenset(NEEDED_FOR)
    run = Applying(proxy.url, tmp_path, without(*(guard.key for guard in GUARDS)))
    assert [part.outcome for part in run.run()] == [Outcome.DONE, Outcome.DONE]
    assert min(expiries([server]).values()) > 0
    assert roll_back(run).removed == KEYS
    assert set(expiries([server]).values()) == {-1}


@pytest.mark.parametrize("field", NEEDED_FOR)
def test_what_the_plan_refuses_is_what_the_writing_pauses_for(proxy: HidingProxy, tmp_path: Path, field: str) -> None:
    """A figure that is hidden after the approval ends the canary for want of it: plan and writer go by one list."""
    guards = replace(CALM, patience_s=0)
    run = Applying(proxy.url, tmp_path, policy_of(rule("page:{id}"), canary_keys=20, guards=guards))
    proxy.hides = frozenset({field})
    watched_only = NEEDED_FOR[field] & {"misses", "errors"}
    with pytest.raises(Aborted) as caught:
        run.pass_canary()
    assert "can't be read" in str(caught.value)
    assert ("the canary wasn't passed" in str(caught.value)) is bool(watched_only)


def test_an_undo_isn_t_held_up_by_what_is_hidden(proxy: HidingProxy, server: Server, tmp_path: Path) -> None:
    """A rollback restores every key though the server hides every figure since the writing, and its log says what isn't watched."""
    run = Applying(proxy.url, tmp_path, policy_of(rule("page:{id}"), guards=replace(CALM, patience_s=0)))
    run.run()
    proxy.hides = frozenset(NEEDED_FOR) | {"master_repl_offset", "slave0", "maxmemory_policy"}
    said: list[str] = []
    restore_part(
        run.plan, whole_journal(run.documents), RestoreOptions(dry_run=False), restore_tools(run, log=said.append)
    )
    assert set(expiries([server]).values()) == {-1}
    (line,) = (line for line in said if "hides" in line)
    assert "evicted_keys (guard evicted_keys)" in line
    assert "restoring without" in line
