"""What verifying needs from the outside beside what reading needs. Adapters fulfil it; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from redis_ttl.domain.audit.key_facts import KeyFacts


class Ledger(Protocol):
    """Knows the keys of a plan by their hashes: which we journalled, and which had no TTL when the audit met them.

    First everything is added, then :meth:`judge` is called for each batch of the scan, then :meth:`unseen` for each journal
    object where keys may hide, then :meth:`result`. For another look :meth:`begin_again`.
    """

    def add_approvals(self, approved_at_ms: Collection[int]) -> None:
        """Take in since when the plan was approved (ms since 1970), by each approval that it ever was written under."""

    def add_fingerprints(self, document: bytes, *, seed: int = 0) -> None:
        """Take in the audit's keys without TTL of one checkpoint; ``seed`` is that of all of the audit's fingerprints."""

    def add_journal(self, document: bytes, *, finished: bool) -> None:
        """Take in a journal object, the earliest first; ``finished``: the part that wrote it came to its end."""

    def begin_again(self, *, in_cluster: bool = False) -> None:
        """Forget what was met: the keyspace is looked at once more, from its beginning. In a cluster a key's expiry may have shifted
        with the key, without having been changed.
        """

    def judge(self, db: int, frame: Any, *, now_ms: int) -> Judged:
        """Count a batch (columns ``key``, ``ttl_ms``) that was read about now, and say what must be asked about it."""

    def unseen(self, document: bytes) -> Iterator[tuple[int, Judged]]:
        """The keys of a journal object that no batch has had, by their databases."""

    def result(self, now_ms: int) -> Mapping[int, Mapping[str, int]]:
        """The figures of each rule by their names in ``VerifiedRule``, at that moment of the server's clock."""


class Judged(Protocol):
    """One batch, half judged: of some keys the exact expiry must be known, of some their use."""

    @property
    def no_ttl_keys(self) -> int:
        """How many of its keys have no TTL, governed or not."""

    @property
    def asked(self) -> Sequence[bytes]:
        """Keys whose expiry may be ours: those of our journal, and others that expire when one of ours would."""

    @property
    def suspects(self) -> Sequence[bytes]:
        """Keys of the audit without a TTL and outside our journal, which may have been there all along."""

    def expire(self, expiries: Any) -> None:
        """Hear the expiries of :attr:`asked`, in their order, as columns that only adapters look into."""

    def use(self, facts: Iterable[KeyFacts], *, since_s: float) -> None:
        """Hear the use of :attr:`suspects`; our writing began ``since_s`` seconds ago."""

    def settle(self, *, left: bool) -> None:
        """Ask nothing about :attr:`suspects`: the run didn't get to them (``left``), or they are too many to ask about."""
