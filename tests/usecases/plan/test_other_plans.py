"""Other plans of a cluster: what their journals leave to expire, and what a new plan makes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lab.servers.server import Server
from redis_ttl.adapters.journal.coming_expiries import ComingExpiries
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import ExpiryStorm
from redis_ttl.domain.plan.expiry import UNNOTICED_EXPIRIES_PER_S
from redis_ttl.domain.plan.other_plans import OtherPlan, OtherRule, OtherState, standing_of
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.remediation.approval import ApprovalRequest, Channel, Decision, Verdict
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.messages.pages.plan_page import plan_page
from redis_ttl.usecases.plan.build_plan import build_plan
from redis_ttl.usecases.plan.other_plans import other_plans
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.journal_objects import journal_bytes
from tests.plans import DAY_S, PLAN, POLICY
from tests.usecases.auditing import Auditing
from tests.usecases.plan.test_build_plan import POLICY as SERVER_POLICY
from tests.usecases.plan.test_build_plan import fill

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
MADE = dt.datetime(2026, 2, 20, 19, 5, tzinfo=dt.UTC)
OTHER = replace(PLAN, others=())
TTL_MS = 60 * DAY_S * 1000


class Other:
    """Another plan in a store, made and approved on 20 February."""

    def __init__(self, folder: Path, plan: Plan = OTHER) -> None:
        self.store = Store(folder)
        self.plan = plan
        self.documents = PlanDocuments(self.store, plan.cluster, plan.plan_id)
        self.documents.write_plan(plan)
        self.objects = 0

    def asked(self, at: dt.datetime = MADE) -> None:
        """The plan was shown."""
        self.documents.write_request(
            ApprovalRequest("r1", self.plan.plan_id, self.plan.digest, "approve_plan", 1, at.isoformat())
        )

    def decided(self, verdict: Verdict = Verdict.APPROVED, at: dt.datetime = MADE) -> None:
        """Somebody answered."""
        self.documents.write_decision(
            Decision(
                "r1", self.plan.plan_id, self.plan.digest, "approve_plan", verdict, Channel.FORM, "ann", at.isoformat()
            )
        )

    def wrote(self, keys: Iterable[str], *, rule: int = 0, set_ms: int = int(MADE.timestamp() * 1000) + TTL_MS) -> None:
        """A journal object: these keys expire one second after the other, from that instant on."""
        self._journal("shard-0", list(keys), rule, set_ms)

    def undid(self, keys: Iterable[str], *, rule: int = 0) -> None:
        """A journal object of a rollback."""
        self._journal("rollback-0", list(keys), rule, None)

    def _journal(self, part: str, keys: list[str], rule: int, set_ms: int | None) -> None:
        rows = pl.DataFrame(
            {
                "key": [key.encode() for key in keys],
                "db": [0] * len(keys),
                "rule": [rule] * len(keys),
                "was_ms": [None] * len(keys),
                "set_ms": [None if set_ms is None else set_ms + 1000 * number for number in range(len(keys))],
            }
        )
        name = JournalName("20260220T190600000Z-aaaaaa", part, self.objects)
        self.objects += 1
        self.documents.write_journal(name, journal_bytes(rows))

    def seen(self, now: dt.datetime = NOW, policy: Policy = POLICY, run: str = "another run") -> tuple[OtherPlan, ...]:
        """What a plan that is made now sees."""
        return other_plans(self.store, policy, run=run, now=now, new_expiries=ComingExpiries)


def names(count: int) -> list[str]:
    """Some keys."""
    return [f"k:{number}" for number in range(count)]


def test_what_was_written_counts_by_its_journal(tmp_path: Path) -> None:
    """Each key once, however often it was journalled, between its first and its last instant; keys that have gone don't count."""
    other = Other(tmp_path)
    other.wrote(names(100))
    other.wrote(names(10))
    other.wrote(["gone:1", "gone:2"], rule=1, set_ms=NOW_MS - 2_000)
    (seen,) = other.seen()
    (rule,) = seen.rules
    first_ms = int(MADE.timestamp() * 1000) + TTL_MS
    assert (seen.plan_id, seen.state, seen.keys) == (OTHER.plan_id, OtherState.WRITTEN, 100)
    assert (rule.pattern, rule.first_ms, rule.last_ms) == (OTHER.rules[0].pattern, first_ms, first_ms + 99_000)
    assert rule.per_s == pytest.approx(100 / 99)


def test_what_was_rolled_back_does_not_count(tmp_path: Path) -> None:
    """In part: what is left. Wholly: nothing."""
    other = Other(tmp_path)
    other.wrote(names(100))
    other.undid(names(30))
    assert [seen.keys for seen in other.seen()] == [70]
    other.undid(names(100))
    assert other.seen() == ()


def test_what_has_expired_does_not_count(tmp_path: Path) -> None:
    """A plan whose last key has gone adds nothing."""
    other = Other(tmp_path)
    other.wrote(names(100))
    assert other.seen(MADE + dt.timedelta(days=59))
    assert other.seen(MADE + dt.timedelta(days=61)) == ()
    assert other.seen(MADE + dt.timedelta(days=600)) == ()


def test_what_is_being_written_counts_as_planned(tmp_path: Path) -> None:
    """While its approval lasts and it isn't verified, all that a plan may write counts, though its journal has less yet."""
    other = Other(tmp_path)
    other.asked()
    other.decided()
    other.wrote(names(5))
    (seen,) = other.seen(MADE + dt.timedelta(hours=23))
    assert seen.state is OtherState.WRITING
    assert [(rule.pattern, rule.keys) for rule in seen.rules] == [
        (rule.pattern, rule.change_keys) for rule in OTHER.included
    ]
    assert seen.rules[0].per_s == OTHER.rules[0].limit_keys / OTHER.rules[0].window_s
    assert seen.rules[0].first_ms == int(MADE.timestamp() * 1000) + TTL_MS
    assert seen.rules[0].last_ms - seen.rules[0].first_ms == (OTHER.rules[0].window_s + DAY_S + 900) * 1000
    (later,) = other.seen(MADE + dt.timedelta(hours=25))
    assert (later.state, later.keys) == (OtherState.WRITTEN, 5)


def test_a_plan_that_waits_is_named_and_not_counted(tmp_path: Path) -> None:
    """Asked and not yet answered it waits; rejected, or past its time, it is nothing."""
    other = Other(tmp_path)
    assert other.seen(MADE) == ()
    other.asked()
    (seen,) = other.seen(MADE + dt.timedelta(hours=1))
    assert (seen.state, seen.rules) == (OtherState.WAITING, ())
    assert standing_of([seen], NOW_MS) == []
    assert other.seen(MADE + dt.timedelta(hours=1), run=OTHER.run) == (), "it is made anew in its own run"
    assert other.seen(MADE + dt.timedelta(hours=25)) == ()
    other.decided(Verdict.REJECTED)
    assert other.seen(MADE + dt.timedelta(hours=1)) == ()


def test_a_journal_that_cant_be_read_counts_in_full(tmp_path: Path) -> None:
    """A damaged object hides nothing: all that was planned counts, and the plan says why."""
    other = Other(tmp_path)
    other.wrote(names(5))
    other.documents.write_journal(JournalName("20260220T190600000Z-bbbbbb", "shard-1", 0), b"no parquet")
    (seen,) = other.seen()
    assert seen.unread
    assert seen.keys == OTHER.change_keys


def test_a_plan_that_was_changed_counts_by_its_journal(tmp_path: Path) -> None:
    """Whoever edits a plan in the store can't hide what was written by it, nor keep others from being planned."""
    other = Other(tmp_path)
    other.wrote(names(5))
    path = tmp_path / OTHER.cluster / "plans" / f"{OTHER.plan_id}.json"
    path.write_text(path.read_text().replace("6693840", "1"))
    (seen,) = other.seen()
    assert (seen.unread, seen.keys, seen.rules[0].pattern) == (True, 5, "rule 0")


def test_what_expires_counts_from_now_in_whole_seconds() -> None:
    """From the second in which the first key goes to that of the last one; what goes already begins now; what has gone is none."""

    def rule(first_ms: int, last_ms: int) -> OtherRule:
        return OtherRule("their:{id}", 10, NOW_MS + first_ms, NOW_MS + last_ms, 3.5)

    rules = (rule(1_999, 5_001), rule(-60_000, 1), rule(-60_000, 0), rule(-2, -1), rule(2_000, 5_000))
    others = [OtherPlan("p", state, rules) for state in (OtherState.WRITTEN, OtherState.WRITING, OtherState.WAITING)]
    expected = [(1, 6, 3.5), (0, 1, 3.5), (2, 5, 3.5)]
    assert [(each.first_s, each.last_s, each.per_s) for each in standing_of(others, NOW_MS)] == expected * 2
    assert others[0].keys == 50
    assert not others[0].unread


def test_damaged_documents_of_a_plan_keep_no_other_from_being_planned(tmp_path: Path) -> None:
    """A plan that is cut off counts by its journal; where what was decided is cut off, all that was planned counts."""
    other = Other(tmp_path)
    other.asked()
    other.decided()
    other.wrote(names(5))
    [decision] = (tmp_path / OTHER.cluster / "approvals" / OTHER.plan_id).glob("decision-*.json")
    decision.write_text(decision.read_text()[:40])
    (seen,) = other.seen()
    assert (seen.unread, seen.keys) == (True, OTHER.change_keys)
    path = tmp_path / OTHER.cluster / "plans" / f"{OTHER.plan_id}.json"
    path.write_text(path.read_text()[:200])
    (seen,) = other.seen()
    assert (seen.unread, seen.keys) == (True, 5)


def storm(first: dt.datetime, per_s: float, state: OtherState = OtherState.WRITTEN) -> OtherPlan:
    """Another plan whose keys expire for ten days."""
    first_ms = int(first.timestamp() * 1000)
    last_ms = first_ms + 10 * DAY_S * 1000
    return OtherPlan(
        "20260220T190500Z-0a1b2c", state, (OtherRule("their:{id}", int(per_s * 10 * DAY_S), first_ms, last_ms, per_s),)
    )


def test_a_plan_s_storm_counts_the_others(valkey: Server, tmp_path: Path) -> None:
    """Windows are fitted to what other plans leave, the worst second has both, the page names them; where nothing is left, no plan."""
    fill(valkey)
    crowded = replace(SERVER_POLICY, rules=tuple(replace(rule, jitter_ratio=0.0) for rule in SERVER_POLICY.rules))
    auditing = Auditing(valkey.url, tmp_path, policy=crowded)
    audit = auditing.run()
    now = dt.datetime.now(dt.UTC)

    def plan(*others: OtherPlan) -> Plan:
        return build_plan(
            auditing.redis, audit, crowded, plan_id="20260220T190000Z-0a1b2c", run="d/r", now=now, others=others
        )

    at = now + dt.timedelta(days=29)
    alone, beside = plan(), plan(storm(at, 2_100.0))
    # 265 keys in a second, before; then as many as 150 a second leave room for, or a tenth of what is planned for at least.
    assert alone.rules[1].window_s == 1
    assert beside.rules[1].window_s == 2
    assert beside.rules[0].window_s == alone.rules[0].window_s
    assert alone.forecast.others_per_s == 0
    assert beside.forecast.others_per_s == 2_100
    assert alone.forecast.expiries_per_s < 2_100 < beside.forecast.expiries_per_s <= UNNOTICED_EXPIRIES_PER_S
    assert "20260220T190500Z-0a1b2c | `their:{id}`" in plan_page(beside, crowded)
    assert "including plan 20260220T190500Z-0a1b2c (up to 2,100/s)" in plan_page(beside, crowded)
    with pytest.raises(ExpiryStorm, match=r"with other plans' keys.*plan 20260220T190500Z-0a1b2c.*2,500"):
        plan(storm(at, 2_499.0))
    waiting = plan(storm(at, 2_499.0, OtherState.WAITING))
    assert waiting.forecast.expiries_per_s == alone.forecast.expiries_per_s
    assert "plan 20260220T190500Z-0a1b2c is also waiting for approval" in waiting.warnings[0]
    assert beside.digest != alone.digest
    assert Plan.from_json(beside.to_json()) == beside
