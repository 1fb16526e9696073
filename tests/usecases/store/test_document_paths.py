"""Ids, clusters and parts that come from people, XComs and other documents never lead a path elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import RedisTtlError
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.store.audits import AuditFolder, finished_audits
from redis_ttl.usecases.store.catalogue import Pending
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.messages import MessageDocuments
from redis_ttl.usecases.store.plans import PlanDocuments, plan_ids
from tests.usecases.messaging import NOON

_EVIL = ["..", "../..", "a/../../b", "/etc", "a/b", "", ".", "a\x00b", "a\\b"]
_WAYS: dict[str, Callable[[Store, str], Any]] = {
    "cluster of an audit": lambda store, evil: AuditFolder(store, evil, "a").write_report("x"),
    "audit": lambda store, evil: AuditFolder(store, "c", evil).write_report("x"),
    "cluster of a plan": lambda store, evil: PlanDocuments(store, evil, "p").write_report("x"),
    "plan": lambda store, evil: PlanDocuments(store, "c", evil).write_report("x"),
    "cluster of a drift": lambda store, evil: DriftDocuments(store, evil).last_report(),
    "cluster of a message": lambda store, evil: MessageDocuments(store, evil).pending(),
    "route": lambda store, evil: MessageDocuments(store, "c").claim(Pending(NOON, f"{evil}/..", "t", 1, 1), NOON),
    "thread": lambda store, evil: MessageDocuments(store, "c").numbers(f"x/{evil}/"),
    "audits of a cluster": lambda store, evil: finished_audits(store, f"x/{evil}/"),
    "plans of a cluster": lambda store, evil: plan_ids(store, f"x/{evil}/"),
}


@pytest.mark.parametrize("evil", _EVIL)
@pytest.mark.parametrize("way", _WAYS)
def test_no_id_leads_elsewhere(way: str, evil: str, tmp_path: Path) -> None:
    """Each is refused before anything is written or read."""
    with pytest.raises(RedisTtlError):
        _WAYS[way](Store(tmp_path / "store"), evil)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("evil", ["0/../../../../../escaped", "..", "/x", "0\x00"])
def test_a_part_out_of_an_xcom_stays_in_the_store(evil: str, tmp_path: Path) -> None:
    """The journal object that a part of that number would have isn't written, here or elsewhere."""
    documents = PlanDocuments(Store(tmp_path / "deep" / "store"), "c", "p")
    with pytest.raises(RedisTtlError):
        documents.write_journal(JournalName("20260101T000000000Z-abcdef", f"rollback-/{evil}", 0), b"x")
    assert list(tmp_path.rglob("*escaped*")) == []
    assert list(tmp_path.iterdir()) == []
