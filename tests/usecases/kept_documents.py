"""How each document of a store is read: which code reads what lies at which path."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_comparison import KeyComparison
from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.writing.verify_ledger import VerifyLedger
from redis_ttl.domain.drift.drift import ComparisonScope
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.messages.message_sources import MessageSources
from redis_ttl.usecases.store.audits import AuditFolder
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.json_documents import read_record
from redis_ttl.usecases.store.messages import MessageDocuments
from redis_ttl.usecases.store.plans import PlanDocuments
from redis_ttl.usecases.store.watch import Look, WatchDocuments
from tests.usecases.kept_store import CLUSTER, FOLDER, POLICY, KeptStore

FOLDERS = FOLDER / "store"
Reads = Callable[[Path], Any]

#: Documents that say no schema, in any version: lists of names, what a canary was compared with, claims.
NO_SCHEMA = re.compile(
    r".*/(samples|canary_baseline-\w+|\w+-sending-\d+)\.json|.*/rollback_check-\w+\.json|.*/pending/.*"
)


def _plan(root: Path, plan_id: str) -> PlanDocuments:
    return PlanDocuments(Store(root), CLUSTER, plan_id)


def _audit(root: Path, audit_id: str) -> AuditFolder:
    return AuditFolder(Store(root), CLUSTER, audit_id)


def _drift(root: Path) -> DriftDocuments:
    return DriftDocuments(Store(root), CLUSTER)


def _messages(root: Path) -> MessageDocuments:
    return MessageDocuments(Store(root), CLUSTER)


def _pending(root: Path, name: str) -> Any:
    pending = Pending.parse(name)
    assert pending is not None
    return _messages(root).route_of(pending)


def _fingerprints(root: Path, path: str) -> None:
    document = (root / path).read_bytes()
    VerifyLedger(KeptStore("", root).plan, POLICY).add_fingerprints(document)
    with KeyComparison(ComparisonScope(0, None, None), 10) as comparison:
        comparison.add_today(0, document)


def _baseline_part(root: Path, path: str) -> None:
    with KeyComparison(ComparisonScope(0, None, None), 10) as comparison:
        comparison.add_baseline((root / path).read_bytes())


def _claim(root: Path, thread: str, number: str, route: str, attempt: str) -> None:
    import datetime as dt

    now = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    assert _messages(root).claim(Pending(now, route, thread, int(number), int(attempt)), now)


def _failure(root: Path, thread: str, number: str, route: str, attempt: str) -> None:
    import datetime as dt

    now = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    assert _messages(root).failure(Pending(now, route, thread, int(number), int(attempt)))


def _event(root: Path, name: str, kind: str) -> None:
    sources = MessageSources(Store(root), POLICY, read_patterns)
    assert sources.facts_of(MessageKind.BURST_DETECTED if kind == "burst" else MessageKind.MEMORY_LEVEL, name)


def _sample(root: Path, path: str) -> None:
    # What a look reads of its day is the last sample; each can be that one.
    assert read_record(Store(root), f"{CLUSTER}/{path}", Look).sample is not None


def _days(root: Path, day: str) -> None:
    import datetime as dt

    now = dt.datetime.strptime(day, "%Y%m%d").replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
    assert WatchDocuments(Store(root), CLUSTER).history(now, 14)


def _journal(root: Path, plan_id: str, name: str) -> pl.DataFrame:
    documents = _plan(root, plan_id)
    found = next(each for each in documents.journal_names() if str(each) == name)
    ledger = VerifyLedger(documents.plan(), POLICY)
    if not found.undoes:
        ledger.add_journal(documents.journal(found), finished=True)
    else:
        ledger.add_journal(documents.journal(found), finished=False)
    return journal_rows(documents.journal(found))


def _checks(root: Path, plan_id: str) -> None:
    sources = MessageSources(Store(root), POLICY, read_patterns)
    sources.facts_of(MessageKind.ROLLBACK_RESULT, plan_id)


_READERS: Sequence[tuple[str, Callable[..., Any]]] = (
    (r"audits/([^/]+)/audit\.json", lambda root, audit: read_audit(_audit(root, audit), read_patterns)),
    (r"audits/([^/]+)/plan\.json", lambda root, audit: _audit(root, audit).plan()),
    (r"audits/([^/]+)/samples\.json", lambda root, audit: _audit(root, audit).samples("127.0.0.1:1", 0)),
    (r"audits/([^/]+)/shards/(\d+)/.*\.json", lambda root, audit, shard: _audit(root, audit).checkpoints(int(shard))),
    (
        r"(audits/[^/]+/(?:patterns|shards/\d+/.*)\.parquet)",
        lambda root, path: read_patterns((root / CLUSTER / path).read_bytes()),
    ),
    (r"(audits/[^/]+/no_ttl/.*\.parquet)", lambda root, path: _fingerprints(root, f"{CLUSTER}/{path}")),
    (r"plans/([^/]+)\.json", lambda root, plan: _plan(root, plan).plan()),
    (r"approvals/([^/]+)/request-.*\.json", lambda root, plan: _plan(root, plan).requests()),
    (r"approvals/([^/]+)/decision-.*\.json", lambda root, plan: _plan(root, plan).decisions()),
    (r"journals/([^/]+)/(.*\.parquet)", _journal),
    (r"results/([^/]+)/(?:canary|shard-\d+)-\d{8}T.*\.json", lambda root, plan: _plan(root, plan).parts()),
    (
        r"results/([^/]+)/check_canary-.*\.json",
        lambda root, plan: _plan(root, plan).canary_reports(),
    ),
    (r"results/([^/]+)/canary_baseline-.*\.json", lambda root, plan: _plan(root, plan).canary_baseline()),
    (
        r"results/([^/]+)/verify-.*\.json",
        lambda root, plan: _plan(root, plan).verifications(),
    ),
    (
        r"results/([^/]+)/rollback-[0-9a-f]{8}\.json",
        lambda root, plan: _plan(root, plan).restored(),
    ),
    (r"results/([^/]+)/rollback_check-.*\.json", _checks),
    (r"baselines/(\d+)\.json", lambda root, number: _drift(root).baseline(int(number))),
    (r"(baselines/.*\.parquet)", lambda root, path: _baseline_part(root, f"{CLUSTER}/{path}")),
    (r"drift/(\d{8}T\d{6}Z-\w{6}).*\.json", lambda root, audit: _drift(root).reports_about(audit)),
    (r"watch/events/(.*-(burst|memory|no_ttl))\.json", _event),
    (r"(watch/\d{8}/\d+\.json)", _sample),
    (r"watch/(\d{8})\.jsonl", _days),
    (r"messages/pending/(.*)", _pending),
    (
        r"messages/([^/]+)/(\d{4})/message\.json",
        lambda root, thread, number: _messages(root).message(thread, int(number)),
    ),
    (
        r"messages/([^/]+)/(\d{4})/(\w+)-sent\.json",
        lambda root, thread, number, route: _messages(root).sent(thread, int(number), route),
    ),
    (r"messages/([^/]+)/(\d{4})/(\w+)-sending-(\d+)\.json", _claim),
    (r"messages/([^/]+)/(\d{4})/(\w+)-failed-(\d+)\.json", _failure),
)


KINDS = len(_READERS)


def kind_of(name: str) -> int:
    """The number of its kind."""
    return next(
        number for number, (pattern, _) in enumerate(_READERS) if re.fullmatch(f"{CLUSTER}/{pattern}", name) is not None
    )


def reader_of(name: str) -> Reads:
    """What reads that document of a store, and whatever it is read with."""
    pattern, read = _READERS[kind_of(name)]
    match = re.fullmatch(f"{CLUSTER}/{pattern}", name)
    assert match is not None
    return lambda root: read(root, *match.groups())
