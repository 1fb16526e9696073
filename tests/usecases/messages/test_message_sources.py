"""Messages of every kind are made of the documents that the other tasks leave in the store, and of nothing else."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.adapters.counting.pattern_table import conform, to_parquet
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import BadInput, InvalidOption
from redis_ttl.domain.messages.facts.burst_detected import BurstDetected
from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
from redis_ttl.domain.messages.facts.run_aborted import AbortCause
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.policy import Owner
from redis_ttl.domain.remediation.approval import Verdict
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.rollback import RestoreAccount
from redis_ttl.domain.watch.events import BurstReport, LevelChange
from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.domain.watch.trend import Forecast
from redis_ttl.usecases.messages.message_sources import LATEST, Addressed, MessageSources, has_events
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.plans import PlanDocuments
from redis_ttl.usecases.store.watch import WatchEvents
from tests.domain.messages.test_facts import (
    APPROVED,
    BURST,
    CHANGE,
    COUPONS,
    OWNER,
    PART,
    PLAN,
    POLICY,
    REJECTED,
    REQUEST,
    RESTORED,
    VERIFICATION,
)
from tests.messages.pages.test_audit_report import AUDIT
from tests.messages.pages.test_drift_page import REPORT

OLD, NEW = "20260212T190000Z-ab12cd", "20260219T190000Z-ab12cd"
NEVER = "20200101T000000Z-ffffff"
OLD_PLAN, NEW_PLAN = "20260213T190500Z-0a1b2c", PLAN.plan_id
NOON = dt.datetime(2026, 2, 12, 12, tzinfo=dt.UTC)


class Shelf:
    """A store of one cluster, filled by what fills it in the product."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.sources = MessageSources(self.store, POLICY, read_patterns)

    def audit(self, audit_id: str, keys: int, *, is_finished: bool = True) -> None:
        """One of that id, which met so many keys that don't keep the first rule."""
        folder = AuditFolder(self.store, POLICY.cluster, audit_id)
        folder.write_plan(replace(AUDIT.plan, audit_id=audit_id))
        rows = {"pattern": [COUPONS], "governance": ["rule"], "governed_by": [COUPONS], "keys": [9 * keys]}
        table = conform(pl.DataFrame({"db": [0], **rows, "no_ttl_keys": [keys]}))
        path = folder.write_patterns(to_parquet(table))
        if is_finished:
            finished_at = dt.datetime.strptime(audit_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).isoformat()
            folder.write_audit(replace(AUDIT, finished_at=finished_at, patterns_document=path))

    def plan(self, plan_id: str) -> PlanDocuments:
        """One of that id, of which nothing has become yet."""
        documents = PlanDocuments(self.store, POLICY.cluster, plan_id)
        documents.write_plan(replace(PLAN, plan_id=plan_id))
        return documents

    def event(self, at: dt.datetime, data: LevelChange | BurstReport) -> str:
        """Something that the watch saw; its name."""
        kind = "burst" if isinstance(data, BurstReport) else data.measure.value
        WatchEvents(self.store, POLICY.cluster).write(at, replace(data, at=at.isoformat()))
        return f"{at:%Y%m%dT%H%M%S%fZ}-{kind}"

    def only(self, kind: MessageKind, which: str = LATEST) -> tuple[Owner, Any]:
        """The cluster's owner's message of that kind, whose facts are that kind's."""
        found = self.sources.facts_of(kind, which, "https://x")
        assert all(facts.kind is kind and facts.link == "https://x" for _, facts in found)
        return next(each for each in found if each[0] == OWNER)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one."""
    return Shelf(tmp_path)


def teams(found: Sequence[Addressed]) -> list[str]:
    """Who hears it."""
    return [owner.team for owner, _ in found]


def test_an_audit_asks_for_action(shelf: Shelf) -> None:
    """The newest that came to its end, or the one that is named; what the watch saw last goes with it."""
    shelf.audit(OLD, 10)
    shelf.audit(NEW, 20)
    shelf.audit("20260220T190000Z-ab12cd", 30, is_finished=False)
    for which, audit_id, keys in ((LATEST, NEW, 20), ("latest", NEW, 20), (OLD, OLD, 10)):
        _, facts = shelf.only(MessageKind.ACTION_REQUIRED, which)
        assert (facts.audit_id, facts.rules[0].no_ttl_keys, facts.burst, facts.growth_bytes_per_day) == (
            audit_id,
            keys,
            None,
            None,
        )
    forecast = Forecast(7.0, 6.0, 8.0, 14)
    shelf.event(NOON + dt.timedelta(days=5), replace(CHANGE, forecast=forecast))
    shelf.event(NOON + dt.timedelta(days=5), replace(CHANGE, measure=Measure.NO_TTL))
    shelf.event(NOON + dt.timedelta(days=1), BURST)
    shelf.event(NOON + dt.timedelta(days=6), replace(BURST, keys=77))
    _, facts = shelf.only(MessageKind.ACTION_REQUIRED)
    assert facts.burst is not None
    assert (facts.burst.keys, facts.growth_bytes_per_day) == (BURST.patterns[0].grown_keys, 7.0)


def test_an_audit_of_which_there_is_nothing_to_say(shelf: Shelf) -> None:
    """An audit without a mistake is no error: nobody hears anything."""
    shelf.audit(NEW, 0)
    assert shelf.sources.facts_of(MessageKind.ACTION_REQUIRED) == []


def test_a_plan_asks_for_approval(shelf: Shelf) -> None:
    """The newest that was ever shown, with the request that was made last."""
    shelf.plan(NEW_PLAN)
    old = shelf.plan(OLD_PLAN)
    for number, hour in ((1, 19), (2, 21), (3, 20)):
        at = f"2026-02-13T{hour}:06:00+00:00"
        old.write_request(replace(REQUEST, request_id=f"r{number}", plan_id=OLD_PLAN, requested_at=at))
    for which in (LATEST, OLD_PLAN):
        _, facts = shelf.only(MessageKind.APPROVAL_REQUESTED, which)
        assert (facts.plan_id, facts.request_id) == (OLD_PLAN, "r2")
    with pytest.raises(BadInput, match="no source document for approval_requested"):
        shelf.only(MessageKind.APPROVAL_REQUESTED, NEW_PLAN)
    assert teams(shelf.sources.facts_of(MessageKind.APPROVAL_REQUESTED)) == ["isales-marketing", "search"]


def test_a_plan_that_was_written_has_a_result(shelf: Shelf) -> None:
    """Of the verification that was made last."""
    documents = shelf.plan(NEW_PLAN)
    documents.write_decision(APPROVED)
    documents.write_part(PART)
    for hour, kept in ((19, 1), (23, 3), (21, 2)):
        rules = (replace(VERIFICATION.rules[0], kept=kept), *VERIFICATION.rules[1:])
        ended_at = f"2026-02-20T{hour}:45:00+00:00"
        documents.write_verification(replace(VERIFICATION, ended_at=ended_at, rules=rules))
    for which in (LATEST, NEW_PLAN):
        _, facts = shelf.only(MessageKind.REMEDIATION_RESULT, which)
        assert (facts.plan_id, facts.kept, facts.approved_by) == (NEW_PLAN, 3, ("ann",))
    with pytest.raises(BadInput, match=r"ended otherwise.*found remediation_result; expected run_aborted"):
        shelf.only(MessageKind.RUN_ABORTED, NEW_PLAN)
    with pytest.raises(BadInput, match="no source document for run_aborted"):
        shelf.only(MessageKind.RUN_ABORTED)
    rejected = shelf.plan("20260221T190500Z-0a1b2c")
    rejected.write_decision(replace(REJECTED, plan_id=rejected.plan_id))
    assert shelf.only(MessageKind.REMEDIATION_RESULT)[1].plan_id == NEW_PLAN
    assert shelf.only(MessageKind.RUN_ABORTED)[1].plan_id == rejected.plan_id


@pytest.mark.parametrize("which", [LATEST, NEW_PLAN])
def test_a_plan_that_was_rejected_was_aborted(shelf: Shelf, which: str) -> None:
    """Its last decision says by whom; there is no result."""
    documents = shelf.plan(NEW_PLAN)
    documents.write_decision(APPROVED)
    documents.write_decision(replace(REJECTED, by="maria"))
    _, facts = shelf.only(MessageKind.RUN_ABORTED, which)
    assert (facts.cause, facts.by, facts.reason) == (AbortCause.REJECTED, "maria", "not now")
    with pytest.raises(BadInput, match=r"ended otherwise|no source document for remediation_result"):
        shelf.only(MessageKind.REMEDIATION_RESULT, which)


def test_a_plan_that_was_stopped_was_aborted(shelf: Shelf) -> None:
    """What its parts say counts, verified or not; a canary is a part."""
    documents = shelf.plan(NEW_PLAN)
    documents.write_decision(APPROVED)
    documents.write_part(replace(PART, part="canary", outcome=Outcome.ABORTED, reason="full"))
    documents.write_verification(replace(VERIFICATION, complete=False))
    _, facts = shelf.only(MessageKind.RUN_ABORTED)
    assert (facts.cause, facts.reason, facts.changed_keys) == (AbortCause.GUARD, "full", 8)


def test_a_plan_that_nobody_answered_has_no_end(shelf: Shelf) -> None:
    """A plan without a decision and without a part is passed over; named, there is nothing to say of it."""
    shelf.plan(NEW_PLAN).write_request(REQUEST)
    shelf.plan(OLD_PLAN).write_decision(replace(APPROVED, plan_id=OLD_PLAN, verdict=Verdict.TIMED_OUT, by=None))
    _, facts = shelf.only(MessageKind.RUN_ABORTED)
    assert (facts.plan_id, facts.cause) == (OLD_PLAN, AbortCause.TIMED_OUT)
    with pytest.raises(BadInput, match="no source document for run_aborted"):
        shelf.only(MessageKind.RUN_ABORTED, NEW_PLAN)


def test_a_rollback_has_a_result(shelf: Shelf) -> None:
    """Of the check that was made last: what it found is what was left. A dry run is told nobody."""
    documents = shelf.plan(NEW_PLAN)
    for hour, left in ((9, 5), (11, 3), (10, 4)):
        restored = replace(RESTORED, ended_at=f"2026-02-21T{hour:02}:01:00+00:00")
        found = replace(RESTORED, dry_run=True, accounts={0: RestoreAccount(keys=left, removed=left - 1, put_back=1)})
        documents.write_rollback(restored, found)
    for which in (LATEST, NEW_PLAN):
        _, facts = shelf.only(MessageKind.ROLLBACK_RESULT, which)
        assert (facts.ended_at, facts.left) == ("2026-02-21T11:01:00+00:00", 3)
    dry = replace(RESTORED, dry_run=True, ended_at="2026-02-22T10:01:00+00:00")
    documents.write_rollback(dry, dry)
    assert shelf.sources.facts_of(MessageKind.ROLLBACK_RESULT) == []


def test_drift_is_that_of_the_last_report(shelf: Shelf) -> None:
    """About the newest audit, or the one that is named; of several about one audit the last."""
    documents = DriftDocuments(shelf.store, POLICY.cluster)
    for audit_id, accepted in ((NEW, 1), (OLD, 2), (OLD, 3)):
        documents.write_report(replace(REPORT, audit_id=audit_id, accepted=accepted), "page")
    for which, audit_id, accepted in ((LATEST, NEW, 1), (OLD, OLD, 3)):
        _, facts = shelf.only(MessageKind.DRIFT_FOUND, which)
        assert (facts.audit_id, facts.accepted) == (audit_id, accepted)
    documents.write_report(replace(REPORT, audit_id=NEW, findings=()), "page")
    assert shelf.sources.facts_of(MessageKind.DRIFT_FOUND) == []


def test_events_are_told_by_name_or_the_last(shelf: Shelf) -> None:
    """A level of memory or of keys without a TTL, whichever came last; a burst is no level."""
    names = [
        shelf.event(NOON, CHANGE),
        shelf.event(NOON + dt.timedelta(hours=1), replace(CHANGE, measure=Measure.NO_TTL, level=Level.OK)),
        shelf.event(NOON + dt.timedelta(hours=2), BURST),
    ]
    measures = [shelf.only(MessageKind.MEMORY_LEVEL, which)[1].measure for which in (LATEST, names[0], names[1])]
    assert measures == [Measure.NO_TTL, Measure.MEMORY, Measure.NO_TTL]
    for which in (LATEST, names[2]):
        _, facts = shelf.only(MessageKind.BURST_DETECTED, which)
        assert facts.keys == BURST.keys
    with pytest.raises(BadInput, match="no source document for memory_level"):
        shelf.only(MessageKind.MEMORY_LEVEL, names[2])


def test_events_since_then_are_the_last_of_each_kind(shelf: Shelf) -> None:
    """What the watch saw within a time: one of each kind, and nothing older."""
    assert not has_events(shelf.store, POLICY.cluster, NOON)
    assert shelf.sources.events_since(NOON) == []
    for minutes, event in (
        (-1, replace(CHANGE, measure=Measure.NO_TTL)),
        (0, replace(CHANGE, level=Level.WARN, before=Level.OK)),
        (5, CHANGE),
        (6, BURST),
        (7, replace(BURST, keys=7)),
    ):
        shelf.event(NOON + dt.timedelta(minutes=minutes), event)
    found = shelf.sources.events_since(NOON, "https://x")
    assert [(owner.team, facts.kind) for owner, facts in found] == [
        (OWNER.team, MessageKind.MEMORY_LEVEL),
        (OWNER.team, MessageKind.BURST_DETECTED),
    ]
    (_, level), (_, burst) = found
    assert isinstance(level, MemoryLevel)
    assert isinstance(burst, BurstDetected)
    assert level.at == (NOON + dt.timedelta(minutes=5)).isoformat()
    assert burst.keys == 7
    zone = dt.timezone(dt.timedelta(hours=8))
    for minutes, is_any in ((0, True), (7, True), (8, False)):
        moment = (NOON + dt.timedelta(minutes=minutes)).astimezone(zone)
        assert has_events(shelf.store, POLICY.cluster, moment) is is_any
        assert bool(shelf.sources.events_since(moment)) is is_any
    assert not has_events(shelf.store, "other", NOON)


FIRST = {
    MessageKind.ACTION_REQUIRED: "audit",
    MessageKind.APPROVAL_REQUESTED: "remediate",
    MessageKind.REMEDIATION_RESULT: "remediate",
    MessageKind.ROLLBACK_RESULT: "rollback",
    MessageKind.DRIFT_FOUND: "drift_check",
    MessageKind.MEMORY_LEVEL: "watch",
    MessageKind.BURST_DETECTED: "watch",
    MessageKind.RUN_ABORTED: "remediate",
}


@pytest.mark.parametrize("kind", MessageKind)
@pytest.mark.parametrize("which", [LATEST, NEVER])
def test_an_empty_store_says_what_to_run_first(shelf: Shelf, kind: MessageKind, which: str) -> None:
    """Of every kind, with the id that was asked for."""
    with pytest.raises(BadInput) as caught:
        shelf.only(kind, which)
    text = str(caught.value)
    assert f"no source document for {kind.value}" in text
    assert f"Run redis_ttl.{POLICY.cluster}.{FIRST[kind]} first" in text
    assert (NEVER in text) is (which == NEVER)


def test_an_error_names_what_there_is(shelf: Shelf) -> None:
    """Where the id is wrong, the newest three are offered."""
    for day in range(12, 17):
        shelf.audit(f"202602{day}T190000Z-ab12cd", 1)
    with pytest.raises(BadInput, match="20260216T190000Z-ab12cd, 20260215T190000Z-ab12cd, 20260214T190000Z-ab12cd"):
        shelf.only(MessageKind.ACTION_REQUIRED, NEVER)


@pytest.mark.parametrize("which", ["../../etc/passwd", "", "x"])
@pytest.mark.parametrize("kind", [MessageKind.RUN_ABORTED, MessageKind.ROLLBACK_RESULT, MessageKind.DRIFT_FOUND])
def test_what_is_no_id_is_looked_for_nowhere(shelf: Shelf, kind: MessageKind, which: str) -> None:
    """A text that is no id is refused before it becomes part of a path."""
    with pytest.raises(InvalidOption, match="no id of an audit or a plan"):
        shelf.only(kind, which)


@pytest.mark.parametrize("which", ["../../etc/passwd", "", "x"])
@pytest.mark.parametrize("kind", [MessageKind.ACTION_REQUIRED, MessageKind.MEMORY_LEVEL, MessageKind.BURST_DETECTED])
def test_what_is_in_no_folder_is_never_read(shelf: Shelf, kind: MessageKind, which: str) -> None:
    """Audits and events are taken from what is there only."""
    shelf.audit(NEW, 1)
    shelf.event(NOON, BURST)
    shelf.event(NOON, CHANGE)
    with pytest.raises(BadInput, match="no source document for"):
        shelf.only(kind, which)


def test_a_plan_that_was_tampered_with_is_told_nobody(shelf: Shelf, tmp_path: Path) -> None:
    """A plan whose digest doesn't hold makes no message."""
    shelf.plan(NEW_PLAN).write_request(REQUEST)
    path = tmp_path / POLICY.cluster / "plans" / f"{NEW_PLAN}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rate": "1/s"}))
    with pytest.raises(BadInput, match="changed after it was made"):
        shelf.only(MessageKind.APPROVAL_REQUESTED)
