"""The documents that version 0.1 wrote (``tests/data/store_0_1``), and servers that hold what they are about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.servers.server import Server
from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.usecases.store.plans import PlanDocuments

FOLDER = Path(__file__).parents[1] / "data" / "store_0_1"
WRITTEN: Mapping[str, Any] = json.loads((FOLDER / "keyspace.json").read_text())
POLICY: Policy = load_policy(FOLDER / "policy.yaml")
CLUSTER = POLICY.cluster

Expiries = dict[tuple[int, bytes], int | None]


@dataclass
class KeptStore:
    """A copy of the kept store, and a server."""

    url: str
    store: Path
    plan_id: str = WRITTEN["plan"]
    policy: Policy = POLICY

    @classmethod
    def copy(cls, folder: Path, url: str = "") -> KeptStore:
        """In that folder."""
        return cls(url, Path(shutil.copytree(FOLDER / "store", folder / "store")))

    @property
    def documents(self) -> PlanDocuments:
        """The documents of its plan."""
        return PlanDocuments(Store(self.store), CLUSTER, self.plan_id)

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return self.documents.plan()


def kept_keys(moment: str) -> Expiries:
    """What the keys of both databases were ``before`` or ``after`` the plan was written."""
    return {
        (int(db), key.encode("latin-1")): expires_ms
        for db, keys in WRITTEN[moment].items()
        for key, expires_ms in keys.items()
    }


def load_keys(server: Server, keys: Expiries) -> None:
    """Fill the server with these, each with its expiry."""
    for (db, key), expires_ms in keys.items():
        with server.client(db) as client:
            client.set(key, "x", pxat=expires_ms)


def keys_of(server: Server) -> Expiries:
    """What is there."""
    found: Expiries = {}
    for db in (0, 1):
        with server.client(db) as client:
            for key in client.scan_iter(count=1000):
                expires_ms = int(client.execute_command("PEXPIRETIME", key))
                found[db, key] = None if expires_ms < 0 else expires_ms
    return found
