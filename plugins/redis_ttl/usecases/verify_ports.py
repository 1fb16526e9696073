"""What verifying needs from the outside beside what reading needs. Adapters fulfil it; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis_ttl.domain.key_facts import KeyFacts


class Ledger(Protocol):
    """Knows the keys of a plan by their hashes: which we journalled, and which had no TTL when the audit met them.

    First everything is added, then :meth:`judge` is called for each batch of the scan, then :meth:`result` once.
    """

    def add_fingerprints(self, document: bytes) -> None:
        """Take in the audit's keys without TTL of one checkpoint."""

    def add_journal(self, document: bytes, *, finished: bool) -> None:
        """Take in a journal object, the earliest first; ``finished``: the part that wrote it came to its end."""

    def judge(self, db: int, frame: Any) -> Judged:
        """Count a batch (columns ``key``, ``ttl_ms``), and say what must be asked about it."""

    def result(self, now_ms: int) -> Mapping[int, Mapping[str, int]]:
        """The figures of each rule by their names in ``VerifiedRule``, at that moment of the server's clock."""


class Judged(Protocol):
    """One batch, half judged: of some keys the exact expiry must be known, of some their use."""

    @property
    def no_ttl_keys(self) -> int:
        """How many of its keys have no TTL, governed or not."""

    @property
    def ours(self) -> Sequence[bytes]:
        """Keys of our journal that have a TTL, which may be ours."""

    @property
    def suspects(self) -> Sequence[bytes]:
        """Keys of the audit without a TTL and outside our journal, which may have been there all along."""

    def expire(self, expiries: Any) -> None:
        """Hear the expiries of :attr:`ours`, in their order, as columns that only adapters look into."""

    def use(self, facts: Iterable[KeyFacts], *, since_s: float) -> None:
        """Hear the use of :attr:`suspects`; our writing began ``since_s`` seconds ago."""

    def settle(self, *, left: bool) -> None:
        """Ask nothing about :attr:`suspects`: the run didn't get to them (``left``), or they are too many to ask about."""
