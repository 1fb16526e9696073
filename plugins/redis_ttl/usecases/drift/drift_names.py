"""Finds names of new keys: among an audit's examples, then where the audit met the keys, on the server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import BadInput, RedisTtlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.usecases.drift.drift_ports import Comparison
    from redis_ttl.usecases.ports import Redis
    from redis_ttl.usecases.store.audits import AuditFolder

#: Keys that are read again, all together, to find the names of some new ones.
READ_AGAIN: Final = 2_000_000
#: A stretch that is read again has grown by so much at most since the audit; what is beyond it belongs to the next one.
_STRETCH_GROWS: Final = 1.2


@dataclass(frozen=True, slots=True)
class NewKeyNames:
    """Looks for the names that a comparison lacks. ``redis`` None doesn't ask a server; ``warn`` hears why none could be asked."""

    audit: Audit
    folder: AuditFolder
    comparison: Comparison
    redis: Redis | None
    warn: Callable[[str], None]

    def look(self) -> None:
        """Find what can be found."""
        for row in self.audit.patterns:
            self.comparison.add_names(row.examples, row.db)
        if self.redis is None:
            return
        budget = READ_AGAIN
        while budget > 0 and (number := self.comparison.next_document()) is not None:
            path = self.audit.fingerprints[number]
            try:
                budget -= self._read_again(self.redis, path, budget)
            except RedisTtlError as error:
                self.warn(f"names of new keys can't be looked up: {error}")
                return

    def _read_again(self, redis: Redis, path: str, budget: int) -> int:
        """Read the stretch of a shard that a fingerprints document is about; the keys that were read."""
        checkpoint, began_at = self.folder.checkpoint_of(path)
        shards = self.audit.plan.shards
        if checkpoint.shard >= len(shards):
            return 0
        shard = shards[checkpoint.shard]
        most = min(budget, int(checkpoint.keys * _STRETCH_GROWS) + 1)
        read = 0
        with redis.connect(shard.node, shard.db) as node:
            run_id = node.run_id()
            if run_id != checkpoint.run_id:
                raise BadInput(
                    "another server process answers than the one that was audited, and cursors mean nothing to it",
                    where=shard.node,
                )
            with node.reader(replace(shard, run_id=run_id), load_share=1, samples=()) as reader:
                for batch in reader.batches(began_at):
                    self.comparison.add_names(batch.frame, shard.db)
                    read += batch.keys
                    if read >= most or batch.done:
                        break
        return max(read, 1)
