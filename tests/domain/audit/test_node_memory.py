"""Memory of nodes: sums of what is told, the fullest of several, and plans and messages that name it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redis_ttl.domain.audit.node_memory import Fullest, NodeMemory, NodesMemory
from redis_ttl.domain.messages.facts_of_plan import approval_requested
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.remediation.approval import ApprovalRequest
from redis_ttl.messages.formats.as_markdown import as_text
from redis_ttl.messages.pages.plan_page import plan_page
from redis_ttl.messages.rendering import documents_of
from tests.plans import PLAN, POLICY

FULL, EMPTY = NodeMemory("b:1", 95, 100), NodeMemory("a:1", 5, 900)


def test_a_sum_stands_beside_its_fullest_node() -> None:
    """Ten percent of all, and one node that is nearly full."""
    both = NodesMemory((EMPTY, FULL))
    assert (both.used_bytes, both.limit_bytes, both.ratio, both.worst_ratio) == (100, 1_000, 0.1, 0.95)
    assert both.fullest == Fullest("b:1", 0.95)
    assert (both.is_whole, both.limit_is_told) == (True, True)
    assert NodesMemory((FULL,)).fullest is None


@pytest.mark.parametrize(
    ("other", "used", "limit", "is_told"),
    [
        (NodeMemory("c:1", None, 100), None, 200, True),
        (NodeMemory("c:1", 5, None), 100, None, True),
        (NodeMemory("c:1", 5, None, limit_is_told=False), 100, None, False),
        (NodeMemory("c:1", None, None, limit_is_told=False), None, None, False),
    ],
)
def test_a_part_is_no_sum(other: NodeMemory, used: int | None, limit: int | None, *, is_told: bool) -> None:
    """Where one node doesn't tell, or has no limit, there is no sum and no share of it; the fullest of the others is known."""
    nodes = NodesMemory((FULL, other))
    assert (nodes.used_bytes, nodes.limit_bytes, nodes.ratio, nodes.limit_is_told) == (used, limit, None, is_told)
    assert (nodes.worst_ratio, nodes.is_whole, nodes.fullest) == (0.95, False, Fullest("b:1", 0.95))


def test_of_no_node_nothing_is_known() -> None:
    """No nodes use no known memory, rather than none."""
    assert (NodesMemory(()).used_bytes, NodesMemory(()).limit_bytes, NodesMemory(()).worst_ratio) == (None, None, None)


def approval(plan: Plan, language: str) -> str:
    """The request to approve it."""
    request = ApprovalRequest("r-1", plan.plan_id, plan.digest, "approve_plan", 1, "2026-02-20T19:06:00+00:00")
    ((_, facts),) = approval_requested(plan, request, POLICY)
    return as_text(documents_of(facts, languages=(language,), timezone="UTC"))


def test_a_plan_names_the_fullest_server() -> None:
    """At the peak, on the page and in the request, in both languages; of a single server there is nothing to name."""
    plan = replace(PLAN, forecast=replace(PLAN.forecast, fullest="10.0.0.8:6379"))
    assert Plan.from_json(plan.to_json()) == plan
    assert "the fullest server, 10.0.0.8:6379, reaches 93.4%" in plan_page(plan, POLICY)
    assert "Its fullest node, 10.0.0.8:6379, is at 93.4%." in approval(plan, "en")
    assert "使用率最高的节点为 10.0.0.8:6379，93.4%。" in approval(plan, "zh")
    assert "fullest node" not in approval(PLAN, "en")


def test_an_unknown_peak_is_said() -> None:
    """A plan for a server that tells neither says so, and shows no sum."""
    told = replace(
        PLAN.forecast, used_bytes=None, limit_bytes=None, limit_is_told=False, after_bytes=None, peak_ratio=None
    )
    plan = replace(PLAN, forecast=told)
    assert "the fullest server reaches unknown (95.0% allowed)" in plan_page(plan, POLICY)
    assert "The peak is unknown" in approval(plan, "en")
    assert "峰值未知" in approval(plan, "zh")
