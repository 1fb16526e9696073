"""The documents of an audit, and their way in and out as JSON."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from redis_ttl.domain.audit.audit import Audit, AuditPlan, Checkpoint, fingerprints_of
from redis_ttl.usecases.store.catalogue import ClusterPaths, Increment, increment_of
from redis_ttl.usecases.store.json_documents import read_json, read_record, write_json, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis_ttl.usecases.ports import Documents


def finished_audits(documents: Documents, cluster: str) -> list[str]:
    """The ids of a cluster's audits that came to their end, the newest first."""
    return [each for each in begun_audits(documents, cluster) if AuditFolder(documents, cluster, each).is_finished]


def begun_audits(documents: Documents, cluster: str) -> list[str]:
    """The ids of all of them, the newest first."""
    return sorted(documents.names(ClusterPaths(cluster).audits), reverse=True)


class AuditFolder:
    """The folder ``<cluster>/audits/<audit_id>`` of one audit."""

    def __init__(self, documents: Documents, cluster: str, audit_id: str) -> None:
        self.documents = documents
        self._paths = ClusterPaths(cluster).audit(audit_id)

    @property
    def path(self) -> str:
        """Where the audit lies in the store."""
        return self._paths.folder

    @property
    def is_planned(self) -> bool:
        """Whether it is known what the audit set out to scan."""
        return self.documents.exists(self._paths.plan)

    def write_plan(self, plan: AuditPlan) -> None:
        """Keep what the audit sets out to scan."""
        write_record(self.documents, self._paths.plan, plan)

    def plan(self) -> AuditPlan:
        """What the audit set out to scan."""
        return read_record(self.documents, self._paths.plan, AuditPlan)

    def write_samples(self, drawn: Mapping[tuple[str, int], Sequence[bytes]]) -> None:
        """Keep the keys that were drawn at random before the scan, by node and database."""
        keys = {f"{node} {db}": [key.hex() for key in keys] for (node, db), keys in drawn.items()}
        write_json(self.documents, self._paths.samples, keys)

    def samples(self, node: str, db: int) -> list[bytes]:
        """The keys that were drawn at random from one database before its scan."""
        drawn = read_json(self.documents, self._paths.samples, dict)
        return [bytes.fromhex(key) for key in drawn.get(f"{node} {db}", [])]

    def write_counts(self, increment: Increment, patterns: bytes, fingerprints: bytes) -> tuple[str, str]:
        """Keep what an increment of a shard counted, under names that no other task has; the paths of both."""
        token = secrets.token_hex(3)
        return (
            self._write(self._paths.counts(increment, token), patterns),
            self._write(self._paths.fingerprints(increment, token), fingerprints),
        )

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Make an increment count. Raises `AlreadyWritten` where another task was faster."""
        increment = Increment(checkpoint.shard, checkpoint.generation, checkpoint.number)
        write_record(self.documents, self._paths.checkpoint(increment), checkpoint)

    def checkpoints(self, shard: int) -> list[Checkpoint]:
        """What a shard saved in its latest generation, in order."""
        paths = self._paths.checkpoints_in(shard, self.documents.names(self._paths.shard(shard)))
        saved = [read_record(self.documents, path, Checkpoint) for path in paths]
        latest = max((each.generation for each in saved), default=0)
        return sorted((each for each in saved if each.generation == latest), key=lambda each: each.number)

    def checkpoint_of(self, fingerprints: str) -> tuple[Checkpoint, int | None]:
        """The checkpoint that a document of fingerprints belongs to, and the cursor at which its stretch begins."""
        increment = increment_of(fingerprints)
        saved = [each for each in self.checkpoints(increment.shard) if each.generation == increment.generation]
        at = next(index for index, each in enumerate(saved) if each.number == increment.number)
        return saved[at], saved[at - 1].cursor if at else None

    def write_patterns(self, data: bytes) -> str:
        """Keep the table of all patterns; its path. A merge that was killed leaves its own behind: this one is another then."""
        path = self._paths.patterns()
        return self._write(self._paths.patterns(secrets.token_hex(3)) if self.documents.exists(path) else path, data)

    @property
    def is_finished(self) -> bool:
        """Whether the audit came to its end."""
        return self.documents.exists(self._paths.audit)

    def write_audit(self, audit: Audit) -> None:
        """Keep what came of it: this finishes the audit."""
        write_json(self.documents, self._paths.audit, audit.to_json())

    def audit(self, plan: AuditPlan) -> Audit:
        """What came of its plan, without the rows of its patterns, which are in a table of their own."""
        return read_json(self.documents, self._paths.audit, lambda data: Audit.from_json(data, plan, ()))

    def fingerprints(self) -> tuple[str, ...]:
        """The paths of the documents of its keys without a TTL, for whoever needs no more of it."""
        return read_json(self.documents, self._paths.audit, fingerprints_of)

    def table(self, path: str) -> bytes:
        """A table that one of the audit's documents names by its path."""
        return self.documents.read(self._paths.within(path))

    def counts_beside(self, fingerprints: str) -> bytes:
        """The patterns that were counted together with these fingerprints."""
        return self.documents.read(self._paths.counts_beside(fingerprints))

    @property
    def report_path(self) -> str:
        """Where its report lies."""
        return self._paths.report

    @property
    def has_report(self) -> bool:
        """Whether its report was written."""
        return self.documents.exists(self._paths.report)

    def write_report(self, page: str) -> None:
        """Keep what came of it as a page (Markdown)."""
        self._write(self._paths.report, page.encode())

    def report(self) -> str:
        """That page."""
        return self.documents.read(self._paths.report).decode()

    def _write(self, path: str, data: bytes) -> str:
        self.documents.write(path, data)
        return path
