"""What the program writes into the store today, to the byte; and that it reads all of it back."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lab.servers.server import Server
from redis_ttl.adapters.columns.journal import JOURNAL_TYPES, journal_bytes
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import AuditPlan
from redis_ttl.domain.drift.drift import Baseline, DriftReport
from redis_ttl.domain.messages.delivery import Failure, Route, Sent
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.remediation.approval import ApprovalRequest, Decision
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.quota import Grant, Survey
from redis_ttl.domain.remediation.remediation import PartBegun, PartResult
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.domain.rollback.rollback import RestoreResult
from redis_ttl.domain.watch.events import BurstReport, LevelChange
from redis_ttl.domain.watch.levels import Measure
from redis_ttl.usecases.store.catalogue import EventKind
from redis_ttl.usecases.store.messages import MessageDocuments
from redis_ttl.usecases.store.watch import WatchEvents
from tests.full_examples import full_example, least_example
from tests.usecases.drifting import Nights
from tests.usecases.messaging import GROWTH
from tests.usecases.store.golden_documents import (
    CLUSTER,
    GOLDEN,
    NOW,
    PENDING,
    audit_documents,
    audit_of,
    checkpoint_of,
    documents_in,
    drift_documents,
    look_of,
    plan_documents,
    watch_documents,
    write_documents,
)

EXAMPLES = {"full": full_example, "least": least_example}


@pytest.fixture(params=EXAMPLES)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A store with one document of each kind, and whether they are full."""
    write_documents(tmp_path, EXAMPLES[request.param])
    return request.param, tmp_path


def test_every_document_is_written_as_it_is_kept(written: tuple[str, Path]) -> None:
    """Each document lies at the path at which it was kept, and has its bytes."""
    name, root = written
    found, kept = documents_in(root), documents_in(GOLDEN / name)
    assert found.keys() == kept.keys()
    for path, data in kept.items():
        assert found[path].decode() == data.decode(), path


def test_every_document_is_read_as_it_was_written(written: tuple[str, Path]) -> None:
    """What is read back equals what was written, of every kind."""
    name, root = written
    store, example = Store(root), EXAMPLES[name]
    audit, plan, drift = audit_documents(store), plan_documents(store), drift_documents(store)
    messages, wanted = MessageDocuments(store, CLUSTER), audit_of(example)
    assert audit.plan() == example(AuditPlan)
    assert audit.checkpoints(3) == [checkpoint_of(example)]
    assert replace(audit.audit(wanted.plan), patterns=wanted.patterns) == wanted
    assert (plan.plan(), plan.plan().digest) == (example(Plan), example(Plan).digest)
    assert (plan.requests(), plan.decisions()) == ([example(ApprovalRequest)], [example(Decision)])
    assert (plan.begun(), plan.surveys()) == ([example(PartBegun)], [example(Survey)])
    assert plan.parts() == [example(PartResult, part="canary"), example(PartResult)]
    assert plan.grants(example(Grant).survey) == [plan.grant(example(Grant))] == [example(Grant)]
    assert plan.canary_reports() == [example(CanaryReport)]
    assert plan.verifications() == [example(Verification)]
    assert plan.restored() == [restored := example(RestoreResult, part="rollback-0")]
    assert plan.rollbacks() == [(restored, restored)]
    assert plan.canary_baseline() == {"10.0.0.7:6379": (example(Reading), example(Reading))}
    assert list(drift.baselines()) == [example(Baseline, number=3)]
    assert drift.reports_about(example(DriftReport).audit_id) == [example(DriftReport)] * 2
    assert watch_documents(store).last(NOW) == look_of(example)
    assert watch_documents(store).history(NOW, 14) == list(look_of(full_example).today)
    events = WatchEvents(store, CLUSTER)
    assert [events.burst(name) for name in events.names((EventKind.BURST,))] == [example(BurstReport)]
    assert [events.level(name) for name in events.names((EventKind.NO_TTL, EventKind.MEMORY))] == [
        example(LevelChange, measure=Measure.MEMORY)
    ]
    assert messages.route_of(PENDING) == example(Route)
    assert messages.sent(PENDING.thread, PENDING.number, "email") == example(Sent)
    assert messages.failure(PENDING) == example(Failure)
    assert messages.claim(PENDING, NOW) == NOW
    assert messages.message(PENDING.thread, 1)["to"] == GROWTH.team


def test_every_kind_of_document_is_kept() -> None:
    """Every schema that the documentation lists in today's version is that of a golden document."""
    listed = (GOLDEN.parents[2] / "docs" / "documents.md").read_text()
    rows = {f"redis_ttl.{kind}/{version}" for kind, version in re.findall(r"\| `(\w+)` \| (\d+) \|", listed)}
    kept = "".join(path.read_text() for path in (GOLDEN / "full").rglob("*.json"))
    assert rows == set(re.findall(r'"schema": "([^"]+)"', kept))
    assert len(rows) > 20


def columns(data: bytes) -> dict[str, str]:
    """The columns of a table, with their types."""
    return {name: str(kind) for name, kind in pl.read_parquet_schema(io.BytesIO(data)).items()}


def test_columns_are_what_they_are_kept_as(redis7: Server, tmp_path: Path) -> None:
    """The tables that an audit, a drift check and a writer leave have the columns that were kept."""
    with redis7.client() as client:
        client.set("coupon:1", "x")
    nights = Nights(redis7.url, tmp_path, Policy("test", "redis", GROWTH))
    nights.night()
    nights.audit()
    audit = tmp_path / "test" / "audits" / "audit-001"
    found = {
        "patterns": columns((audit / "patterns.parquet").read_bytes()),
        "shards": columns(next(audit.glob("shards/0/*.parquet")).read_bytes()),
        "no_ttl": columns(next(audit.glob("no_ttl/*.parquet")).read_bytes()),
        "baselines": columns(next(tmp_path.glob("test/baselines/*.parquet")).read_bytes()),
        "journals": columns(journal_bytes(pl.DataFrame(schema=JOURNAL_TYPES))),
    }
    assert found == json.loads((GOLDEN / "columns.json").read_text())
