"""The pages of a remediation and of a rollback, whole, against golden files; ``REWRITE_GOLDEN=1`` writes them anew."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import pytest

from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.plan.plan import Forecast, NodeIdentity, Plan, PlannedRule
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import SignOff
from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict
from redis_ttl.domain.remediation.remediation import Interruption, Outcome, PartResult, RuleAccount
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.domain.rollback.rollback import RestoreAccount, RestoreResult
from redis_ttl.messages.pages.remediation_page import remediation_page
from redis_ttl.messages.pages.rollback_page import rollback_page

GOLDEN = Path(__file__).parents[1] / "golden"
DAY_S = 86_400

PLAN = Plan(
    plan_id="20260220T100000Z-0a1b2c",
    cluster="luckyus-isales-market",
    run="redis_ttl.luckyus-isales-market.remediate/manual__1",
    created_at="2026-02-20T10:00:00+00:00",
    audit_id="20260220T020000Z-ab12cd",
    audit_finished_at="2026-02-20T02:10:00+00:00",
    policy_hash="0" * 64,
    keys=6_693_836,
    no_ttl_keys=2_623_984,
    nodes=(NodeIdentity("10.0.0.7:6379", "a" * 40, "b" * 40),),
    shards=(Shard(0, 1, "10.0.0.7:6379", "a" * 40, 0, SplitRule.SEQUENTIAL, 0, 0),),
    rules=(
        PlannedRule(
            0, "MARKETING:COUPON:UNREAD:{userId}", Mode.SET, 60 * DAY_S, 6 * DAY_S, "P1", {Action.SET: 147_111}, 161_822,
            sign_off=SignOff("Wang Li", dt.date(2026, 2, 20)),
        ),
        PlannedRule(
            1, "a|b:`{x}`", Mode.SET, 30 * DAY_S, 3 * DAY_S, "P2", {Action.SET: 12_000}, 13_200, refusal="it has no sign-off"
        ),
    ),
    forecast=Forecast(2_254_857_830, 2_491_081_032, 5_884_440, 0, 2_173_000_000, 0.3, 60 * DAY_S, 66 * DAY_S),
    rate="20000/s",
    load="gentle",
)  # fmt: skip
DECISION = Decision(
    "r1", PLAN.plan_id, PLAN.digest, "approve_plan", Verdict.APPROVED, Channel.FORM, "ann", "2026-02-20T10:30:00+00:00",
    "agreed with marketing",
)  # fmt: skip
PART = PartResult(
    plan_id=PLAN.plan_id,
    part="shard-0",
    attempt="20260220T103100000Z-abcdef",
    outcome=Outcome.DONE,
    began_at="2026-02-20T10:31:00+00:00",
    ended_at="2026-02-20T10:33:00+00:00",
    scanned=6_693_900,
    accounts={0: RuleAccount(met=147_130, set=147_100, had_ttl=20, raced=10)},
    journal_objects=3,
    journal_bytes=2_000_000,
    interruptions=(Interruption("2026-02-20T10:32:00+00:00", "memory is at 91.0%\u202e, at most 85.0%", 12.0),),
)
VERIFICATION = Verification(
    plan_id=PLAN.plan_id,
    digest=PLAN.digest,
    began_at="2026-02-20T10:34:00+00:00",
    ended_at="2026-02-20T10:36:00+00:00",
    scanned=6_693_950,
    no_ttl_keys=2_476_900,
    used_bytes=2_260_700_000,
    complete=True,
    rules=(
        VerifiedRule(
            0, "MARKETING:COUPON:UNREAD:{userId}", "set", 147_111, met=147_140, kept=147_080, changed=9, wiped=8, gone=3,
            new=12, rewritten=2, no_ttl_keys=22, had_ttl=20, raced=10,
        ),
        VerifiedRule(1, "a|b:`{x}`", "set", 0, refusal="it has no sign-off", met=12_100, no_ttl_keys=12_001),
    ),
)  # fmt: skip
ABORTED = replace(
    PART,
    outcome=Outcome.ABORTED,
    reason="memory stayed above 85.0% for 300 s",
    interruptions=(Interruption("2026-02-20T10:32:00+00:00", "memory is at 91.0%", 300.0, ended=True),),
)
RESTORED = RestoreResult(
    plan_id=PLAN.plan_id,
    part="rollback",
    attempt="20260221T100000000Z-abcdef",
    dry_run=True,
    began_at="2026-02-21T10:00:00+00:00",
    ended_at="2026-02-21T10:01:00+00:00",
    accounts={0: RestoreAccount(keys=147_100, removed=147_000, changed=60, as_before=20, expired=15, gone=5)},
)

PAGES = {
    "remediation_page.md": remediation_page(PLAN, [PART], [DECISION], VERIFICATION),
    "remediation_page_aborted.md": remediation_page(PLAN, [ABORTED], [DECISION], None),
    "rollback_page_dry.md": rollback_page(PLAN, RESTORED),
    "rollback_page.md": rollback_page(PLAN, replace(RESTORED, dry_run=False)),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_the_golden_one(name: str) -> None:
    """The page is, to the letter, the one that a person has read."""
    if os.environ.get("REWRITE_GOLDEN"):
        (GOLDEN / name).write_text(PAGES[name])
    assert PAGES[name] == (GOLDEN / name).read_text()


def test_missed_keys_stand_at_the_top() -> None:
    """Keys that were missed are in the first sentences, in bold."""
    bad = replace(VERIFICATION, rules=(replace(VERIFICATION.rules[0], missed=3),))
    assert "**3 keys were missed.**" in remediation_page(PLAN, [PART], [DECISION], bad).split("##")[0]


def test_what_keeps_a_verification_from_being_good_stands_at_the_top() -> None:
    """Keys without a row in the journal, objects that can't be read and slots that moved are said in the first lines, with numbers."""
    rules = (replace(VERIFICATION.rules[0], unjournalled=1_447), *VERIFICATION.rules[1:])
    found = replace(VERIFICATION, rules=rules, unreadable=("a.parquet", "b.parquet"), moving_slots=3)
    top = remediation_page(PLAN, [PART], [DECISION], found).split("##")[0]
    assert "**1,447 keys have our expiry but no row in the journal.**" in top
    assert "**2 journal objects are damaged or missing.**" in top
    assert "Slots moved during verification (3)" in top
    assert "**" not in remediation_page(PLAN, [PART], [DECISION], VERIFICATION).split("##")[0].split("got a TTL.**")[1]
