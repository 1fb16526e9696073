"""Where the documents of an audit lie in the store, and their way in and out as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from redis_ttl.domain.audit.audit import AuditPlan, Checkpoint
from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.schema import read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.usecases.ports import Documents

_Read = TypeVar("_Read")


def finished_audits(documents: Documents, cluster: str) -> list[str]:
    """The ids of a cluster's audits that came to their end, the newest first."""
    begun = sorted(documents.names(f"{cluster}/audits"), reverse=True)
    return [audit_id for audit_id in begun if documents.exists(f"{cluster}/audits/{audit_id}/audit.json")]


class AuditFolder:
    """The folder ``<cluster>/audits/<audit_id>`` of one audit."""

    def __init__(self, documents: Documents, cluster: str, audit_id: str) -> None:
        self.documents = documents
        self.path = f"{path_part(cluster)}/audits/{path_part(audit_id)}"

    def write(self, name: str, data: bytes) -> str:
        """Write a document of the audit; its path in the store."""
        path = f"{self.path}/{name}"
        self.documents.write(path, data)
        return path

    def write_json(self, name: str, data: Any) -> str:
        """Write plain data as an indented JSON document; its path in the store."""
        return self.write(name, json.dumps(data, ensure_ascii=False, indent=1).encode())

    def has(self, name: str) -> bool:
        """Whether the audit has that document."""
        return self.documents.exists(f"{self.path}/{name}")

    def read(self, name: str) -> bytes:
        """A document of the audit."""
        return self.documents.read(f"{self.path}/{name}")

    def read_json(self, name: str) -> Any:
        """A JSON document of the audit, as plain data."""
        return self.read_as(name, dict)

    def read_as(self, name: str, read: Callable[[Any], _Read]) -> _Read:
        """What ``read`` makes of a JSON document of the audit."""
        return read_document(self.read(name), read, where=f"{self.path}/{name}")

    def plan(self) -> AuditPlan:
        """What the audit set out to scan."""
        return self.read_as("plan.json", AuditPlan.from_json)

    def samples(self, node: str, db: int) -> list[bytes]:
        """The keys that were drawn at random from one database before its scan."""
        drawn = self.read_json("samples.json")
        return [bytes.fromhex(key) for key in drawn.get(f"{node} {db}", [])]

    def checkpoints(self, shard: int) -> list[Checkpoint]:
        """What a shard saved in its latest generation, in order."""
        names = [name for name in self.documents.names(f"{self.path}/shards/{shard}") if name.endswith(".json")]
        saved = [self.read_as(f"shards/{shard}/{name}", Checkpoint.from_json) for name in names]
        latest = max((each.generation for each in saved), default=0)
        return sorted((each for each in saved if each.generation == latest), key=lambda each: each.number)
