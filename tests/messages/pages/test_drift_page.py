"""The page of a drift check, whole, against a golden file; ``REWRITE_GOLDEN=1`` writes it anew for a person to read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.drift.drift import DriftFinding, DriftKind, DriftReport, Verdict
from redis_ttl.messages.pages.drift_page import drift_page, failure, headline

GOLDEN = Path(__file__).parents[1] / "golden"

WIPED = DriftFinding(
    kind=DriftKind.TTL_WIPED,
    db=0,
    pattern="MARKETING:COUPON:UNREAD:{n}",
    rule="MARKETING:COUPON:UNREAD:{userId}",
    exemption=None,
    owner="isales-marketing",
    new_keys=1204,
    no_ttl_keys=1204,
    keys=147_111,
    growth_per_day=312.4,
    since="2026-02-23T19:04:11+00:00",
    allowed_keys=0,
    fails=True,
    examples=("MARKETING:COUPON:UNREAD:20931", "MARKETING:COUPON:UNREAD:7|`\u202e\n## gone"),
)
WRITER = replace(
    WIPED,
    kind=DriftKind.NEW_WRITER,
    new_keys=1,
    growth_per_day=1.0,
    since="2026-02-26T19:04:00+00:00",
    examples=("MARKETING:COUPON:UNREAD:999",),
)
MISSING = DriftFinding(
    kind=DriftKind.RULE_MISSING,
    db=3,
    pattern="campaign:{date}:{n}",
    rule=None,
    exemption=None,
    owner="isales-marketing",
    new_keys=60,
    no_ttl_keys=60,
    keys=60,
    growth_per_day=None,
    since="2026-02-26T19:04:00+00:00",
    allowed_keys=100,
    fails=False,
    examples=("campaign:2026-02-26:1",),
)
EXEMPT = replace(
    MISSING, kind=DriftKind.NEW_WRITER, pattern="config:a", exemption="config:{name}", allowed_keys=None, new_keys=1
)
OVERDUE = replace(
    WIPED,
    kind=DriftKind.OVERDUE,
    pattern=WIPED.rule or "",
    new_keys=1205,
    due="2026-02-25",
    examples=(),
    growth_per_day=None,
)
REPORT = DriftReport(
    cluster="luckyus-isales-market",
    audit_id="20260226T190000Z-0a1b2c",
    audited_at="2026-02-26T19:04:00+00:00",
    checked_at="2026-02-26T19:04:09+00:00",
    run="asset_triggered__2026-02-26",
    policy_hash="ab" * 32,
    verdict=Verdict.DRIFT,
    baseline=14,
    accepted=9,
    accepted_at="2026-02-20T19:00:00+00:00",
    accepted_by="lin.wei",
    next_baseline=15,
    no_ttl_keys=2_625_189,
    baseline_keys=2_623_984,
    new_keys=1266,
    left_keys=61,
    findings=(WIPED, WRITER, OVERDUE, MISSING, EXEMPT),
    notes=("the policy was changed after the audit began; keys are judged by today's",),
)


def test_the_page_reads_as_agreed() -> None:
    """The verdict, a table, each finding with examples, what to do, the way out, and what was compared; after it the failed
    task's message.
    """
    what, found = failure(REPORT)
    page = f"{drift_page(REPORT)}\n-----\n{what}; found {found}"
    if os.environ.get("REWRITE_GOLDEN"):
        (GOLDEN / "drift_page.md").write_text(page, encoding="utf-8")
    assert page == (GOLDEN / "drift_page.md").read_text(encoding="utf-8")


def test_every_verdict_has_its_sentence() -> None:
    """The last line of a log says what came of it and what happens next."""
    first = replace(REPORT, verdict=Verdict.FIRST, findings=(), baseline=None)
    assert headline(first).startswith("First check: the 2,625,189 keys without TTL become the baseline")
    assert "none yet" in drift_page(first)
    assert headline(replace(REPORT, verdict=Verdict.CLEAN)).startswith("No new keys")
    assert "within the policy's tolerance" in headline(replace(REPORT, verdict=Verdict.TOLERATED))
    accepted = replace(REPORT, verdict=Verdict.ACCEPTED, by="lin.wei", why="moved to ISALES-500")
    assert "1,266 of them new, are the new baseline" in headline(accepted)
    assert "Accepted by **lin.wei**: moved to ISALES-500" in drift_page(accepted)


def test_a_long_failure_is_cut() -> None:
    """A task's message names ten findings and says how many more there are; an overdue rule alone is told as such."""
    many = tuple(replace(WIPED, pattern=f"p{number}:{{n}}") for number in range(14))
    assert failure(replace(REPORT, findings=many))[1].rstrip().endswith("and 4 more")
    assert failure(replace(REPORT, findings=(OVERDUE,)))[0].startswith("the due date of 1 rule has passed")


def test_a_report_survives_the_store() -> None:
    """What is written is what is read."""
    assert from_plain(DriftReport, to_plain(REPORT)) == REPORT
