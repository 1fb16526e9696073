"""One document of every kind that is written today, through the very code that writes it, kept in ``tests/data/documents``.

After a change that is meant::

    PYTHONPATH=plugins:. python -m tests.usecases.store.golden_documents

writes them anew; the difference belongs into the commit, with the schema's next version.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import Audit, AuditPlan, Checkpoint
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.drift.drift import Baseline, DriftReport
from redis_ttl.domain.messages.delivery import Failure, Route, Sent
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.remediation.approval import ApprovalRequest, Decision
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.quota import Grant, Survey
from redis_ttl.domain.remediation.remediation import PartBegun, PartResult
from redis_ttl.domain.remediation.signing import SigningKeys
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.domain.rollback.rollback import RestoreResult
from redis_ttl.domain.watch.events import BurstReport, LevelChange
from redis_ttl.domain.watch.history import Point
from redis_ttl.domain.watch.levels import LevelState, Measure
from redis_ttl.domain.watch.oddities import Oddity
from redis_ttl.domain.watch.sample import Sample
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.messages import MessageDocuments
from redis_ttl.usecases.store.plans import PlanDocuments
from redis_ttl.usecases.store.watch import Look, WatchDocuments, WatchEvents
from tests.full_examples import full_example, least_example
from tests.usecases.messaging import Messaging

GOLDEN = Path(__file__).parents[2] / "data" / "documents"
CLUSTER = "shop"
PLAN_ID = "20260220T190500Z-0a1b2c"
AUDIT_ID = "20260220T180000Z-ab12cd"
NOW = dt.datetime(2026, 2, 20, 19, 30, 15, 250_000, tzinfo=dt.UTC)
SIGNER = SigningKeys((b"0123456789abcdefghijklmnopqrstuv",))
PENDING = Pending(NOW, "email", "growth.audit.690e9d0116", 1, 2)

_RANDOM = re.compile(r"(decision-\w+|check_canary|canary_baseline|verify|rollback|rollback_check|report)-[0-9a-f]+\.")

#: Makes the examples of one store: ``full_example`` or ``least_example``.
Example = Callable[..., Any]


def audit_documents(store: Store) -> AuditFolder:
    """The audit's."""
    return AuditFolder(store, CLUSTER, AUDIT_ID)


def plan_documents(store: Store) -> PlanDocuments:
    """The plan's, signed."""
    return PlanDocuments(store, CLUSTER, PLAN_ID, SIGNER)


def drift_documents(store: Store) -> DriftDocuments:
    """The baselines and reports."""
    return DriftDocuments(store, CLUSTER)


def watch_documents(store: Store) -> WatchDocuments:
    """The watch's."""
    return WatchDocuments(store, CLUSTER)


def audit_of(example: Example) -> Audit:
    """An audit whose figures fit together as far as its code wants them to."""
    histogram = tuple(range(len(TTL_CLASSES)))
    if example is full_example:
        return full_example(Audit, ttl_histogram=histogram, last_s=5)
    return least_example(Audit, plan=least_example(AuditPlan, servers=full_example(AuditPlan).servers))


def checkpoint_of(example: Example) -> Checkpoint:
    """The first of a shard."""
    checkpoint: Checkpoint = example(Checkpoint, shard=3, generation=0, number=0)
    return checkpoint


def look_of(example: Example) -> Look:
    """What a look of the watch leaves."""
    if example is full_example:
        levels = {measure: full_example(LevelState) for measure in (Measure.NO_TTL, Measure.MEMORY)}
        points, found = (full_example(Point), least_example(Point)), (full_example(Oddity),)
        return Look(full_example(Sample), points, levels, NOW.isoformat(), 2, found)
    return Look(least_example(Sample), oddities=(least_example(Oddity),))


def write_documents(root: Path, example: Example) -> None:
    """Write one document of each kind into a store."""
    store = Store(root)
    audit = audit_documents(store)
    audit.write_samples({("10.0.0.7:6379", 0): [b"a:1"]})
    audit.write_plan(example(AuditPlan))
    audit.write_checkpoint(checkpoint_of(example))
    audit.write_audit(audit_of(example))
    audit.write_report("# Audit\n")

    plan = plan_documents(store)
    plan.write_plan(example(Plan))
    plan.write_request(example(ApprovalRequest))
    plan.write_decision(example(Decision))
    plan.write_begun(example(PartBegun))
    plan.write_part(example(PartResult))
    plan.write_part(example(PartResult, part="canary"))
    plan.write_survey(example(Survey))
    plan.write_grant(example(Grant))
    plan.write_canary_baseline(NOW.isoformat(), {"10.0.0.7:6379": (example(Reading), example(Reading))})
    plan.write_canary_report(example(CanaryReport))
    plan.write_verification(example(Verification))
    restored = example(RestoreResult, part="rollback-0")
    plan.write_restored(restored)
    plan.write_rollback(restored, restored)
    plan.write_report("# Done\n")

    drift = drift_documents(store)
    drift.write_baseline(example(Baseline, number=3))
    drift.write_report(example(DriftReport), "# Drift\n")
    drift.write_report(example(DriftReport), "# Drift, again\n")

    watch = watch_documents(store)
    watch.write(NOW - dt.timedelta(days=1), look_of(full_example))
    watch.tidy(NOW, retention_days=90)
    watch.write(NOW, look_of(example))
    events = WatchEvents(store, CLUSTER)
    events.write(NOW, example(BurstReport))
    events.write(NOW, example(LevelChange, measure=Measure.MEMORY))

    Messaging(root, now_at=NOW).post("a", "b")
    messages = MessageDocuments(store, CLUSTER)
    messages.write_pending(PENDING, example(Route))
    messages.claim(PENDING, NOW)
    messages.write_sent(PENDING, example(Sent))
    messages.write_failure(PENDING, example(Failure))


def documents_in(root: Path) -> Mapping[str, bytes]:
    """The documents below a folder by their paths, in which what is drawn at random is only said to be."""
    return {
        _RANDOM.sub(r"\1-RANDOM.", str(path.relative_to(root))): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def main() -> None:
    """Write them anew."""
    for name, example in (("full", full_example), ("least", least_example)):
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        with TemporaryDirectory() as folder:
            write_documents(Path(folder), example)
            for path, data in documents_in(Path(folder)).items():
                (GOLDEN / name / path).parent.mkdir(parents=True, exist_ok=True)
                (GOLDEN / name / path).write_bytes(data)


if __name__ == "__main__":
    main()
