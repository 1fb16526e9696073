"""The audit's page, whole, against a golden file; ``REWRITE_GOLDEN=1`` writes it anew for a person to read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from redis_ttl.domain.audit.audit import Audit, AuditOptions, AuditPlan, Completeness, KeyspaceCount, RuleInForce, Split
from redis_ttl.domain.audit.estimate import Estimate, Sample
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.audit.server import Access, Command, DatabaseCounts, Flavour, ReplicaState, Role, ServerProfile
from redis_ttl.messages.figures import code_span, count, duration, estimated_size, printable, ratio, size
from redis_ttl.messages.pages.audit_report import audit_page

GOLDEN = Path(__file__).parents[1] / "golden" / "audit_page.md"

SERVER = ServerProfile(
    address="10.0.0.7:6379",
    flavour=Flavour.REDIS,
    version="7.1.0",
    run_id="a" * 40,
    cluster_enabled=False,
    role=Role.PRIMARY,
    used_memory_bytes=2_254_857_830,
    memory_limit_bytes=2_491_081_032,
    eviction_policy="volatile-lfu",
    uptime_s=9_000_000,
    databases=(DatabaseCounts(0, 6_693_836, 4_069_852),),
    replicas=(ReplicaState("10.0.0.8:6379", "online", 1_024),),
    can={
        Command.SCAN: Access.ALLOWED,
        Command.CONFIG_GET: Access.UNKNOWN_COMMAND,
        Command.MEMORY_USAGE: Access.FORBIDDEN,
    },
)
AUDIT = Audit(
    plan=AuditPlan(
        audit_id="20260212T190000Z-ab12cd",
        cluster="luckyus-isales-market",
        started_at="2026-02-12T19:00:00+00:00",
        options=AuditOptions(load="gentle", parallel=4),
        policy_hash="0" * 64,
        servers=(SERVER,),
        splits=(Split("10.0.0.7:6379", 0, 6_693_836, "bits", 8, "redis 7.1.0, standalone, 6,693,836 keys"),),
        shards=(),
        rules=(
            RuleInForce("MARKETING:COUPON:UNREAD:{userId}", 60 * 86_400, "set", "P1", signed_off=True),
            RuleInForce("contact:last:activity:{contactId}", 90 * 86_400, "cap", "P2", signed_off=False),
        ),
    ),
    finished_at="2026-02-12T19:01:02+00:00",
    duration_s=62.0,
    keys=6_693_840,
    no_ttl_keys=2_623_984,
    vanished=12,
    keyspace_before=(KeyspaceCount(0, 6_693_836, 4_069_852),),
    keyspace_after=(KeyspaceCount(0, 6_693_838, 4_069_854),),
    completeness=Completeness(1_000, 1, ("10.0.0.7:6379 db0 3/8",)),
    patterns=(
        PatternStatistics(
            db=0,
            pattern="MARKETING:COUPON:UNREAD:{n}",
            governance=Governance.RULE,
            governed_by="MARKETING:COUPON:UNREAD:{userId}",
            keys=147_111,
            no_ttl_keys=147_111,
            ttl_histogram=(0,) * 9,
            sizes=Sample(1_471, 800_000.0, 500_000_000.0, 4_096.0),
            freqs=Sample(1_471, 7_355.0, 40_000.0, 91.0),
            types={"string": 1_400, "hash": 71},
            examples=(b"MARKETING:COUPON:UNREAD:20931", b"MARKETING:COUPON:UNREAD:7"),
        ),
        PatternStatistics(
            db=0,
            pattern="a|b\n*{text}*",
            governance=Governance.EXEMPT,
            governed_by="a|{x}",
            keys=1_000,
            no_ttl_keys=4,
            ttl_histogram=(0, 0, 0, 496, 0, 0, 0, 500, 0),
            idles_s=Sample(2, 7_200.0, 1e9, 7_000.0),
            types={"zset": 2},
            examples=(b"a|b\n*\xe6\x9d\x8e*",),
        ),
    ),
    warnings=("without bytes: MEMORY USAGE is forbidden to this user (allow it with ACL rule +memory|usage)",),
)


def test_the_page_reads_as_agreed() -> None:
    """Headline, notes, server, patterns, TTL spread and how it was counted, in this order and these words."""
    page = audit_page(AUDIT)
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(page)
    assert page == GOLDEN.read_text()


def test_rows_that_are_not_shown_are_summed_up() -> None:
    """A cut table says how many patterns and keys it leaves out."""
    assert "And 1 more patterns with 1,000 keys, 4 of them without TTL" in audit_page(AUDIT, rows=1)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (count(2_623_984), "2,623,984"),
        (ratio(0.392), "39.2%"),
        (ratio(0.0), "0.0%"),
        (ratio(0.0001), "<0.1%"),
        (ratio(None), "unknown"),
        (size(0), "0 B"),
        (size(1_536), "1.50 KiB"),
        (size(2_491_081_032), "2.32 GiB"),
        (size(1_048_000), "1023 KiB"),
        (size(None), "unknown"),
        (estimated_size(Estimate(1_048_576, 52_428)), "1.00 MiB ±5%"),
        (estimated_size(Estimate(1_048_576, 10)), "1.00 MiB ±<1%"),
        (estimated_size(Estimate(1_048_576, 0.0)), "1.00 MiB"),
        (estimated_size(Estimate(1_048_576, None)), "1.00 MiB ±?"),
        (duration(2.34), "2.3s"),
        (duration(62), "1m 2s"),
        (duration(7_500), "2h 5m"),
        (duration(364 * 86_400), "364d"),
        (printable("a\nb\u202ec\x00"), r"a\nb\u202ec\x00"),
        (printable("abcdef", 4), "abc…"),
        (code_span("a`b"), "``a`b``"),
        (code_span("`"), "`` ` ``"),
        (printable("用户:昵称"), "用户:昵称"),
    ],
)
def test_figures_read_as_people_write_them(made: str, text: str) -> None:
    """Thousands with commas, shares with one decimal, binary units, names in which nothing acts."""
    assert made == text


def test_memory_limit_is_the_limit_of_a_server_without_maxmemory() -> None:
    """What the policy lets such a server use counts in the headline, and maxmemory goes before it."""
    unlimited = tuple(replace(server, memory_limit_bytes=None) for server in AUDIT.plan.servers)
    audit = replace(AUDIT, plan=replace(AUDIT.plan, servers=unlimited))
    used = audit.used_memory_bytes
    assert used is not None
    assert "no limit" in audit_page(audit)
    assert "Memory is at 50.0%" in audit_page(audit, memory_limit_bytes=used * 2 // len(unlimited))
    assert audit_page(AUDIT, memory_limit_bytes=1) == audit_page(AUDIT)
