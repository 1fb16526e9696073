"""What the use cases need from the outside, as small as they need it. Adapters fulfil these; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from redis_ttl.domain.audit.audit import AuditOptions
    from redis_ttl.domain.audit.key_facts import KeyFacts
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.audit.shards import Shard, SlotClaims, SplitRule
    from redis_ttl.domain.policy.guards import Reading

T = TypeVar("T")


class Batch(Protocol):
    """Some tens of thousands of keys with their TTLs, as columns that only adapters look into."""

    @property
    def frame(self) -> Any: ...
    @property
    def keys(self) -> int: ...
    @property
    def vanished(self) -> int: ...
    @property
    def next_cursor(self) -> int: ...
    @property
    def done(self) -> bool: ...


class ShardReader(Protocol):
    """Reads one shard, batch by batch, and asks about sampled keys along the way."""

    def batches(self, cursor: int | None) -> Iterator[Batch]:
        """The shard's keys from ``cursor`` (``None``: from its start) to its end."""

    def ask(self, keys: Sequence[bytes]) -> None:
        """Ask for type, size and FREQ of these keys together with the pages to come."""

    def answers(self) -> list[KeyFacts]:
        """What has been answered since the last call."""

    def all_answers(self) -> list[KeyFacts]:
        """Like :meth:`answers`, after waiting for every question that is still open."""

    def seen_samples(self) -> list[bytes]:
        """The sample keys met since the last call."""


class Node(Protocol):
    """One database of one server process, over one connection."""

    @property
    def address(self) -> str: ...
    def profile(self) -> ServerProfile: ...
    def health(self) -> Reading:
        """The server's figures for the guards of a writing, as they are now."""

    def run_id(self) -> str: ...
    def split_refused(self, rule: SplitRule) -> str | None:
        """Why this server's cursors can't be trusted for ``rule``; ``None`` when the self-check finds nothing."""

    def random_keys(self, count: int) -> list[bytes]: ...
    def existing(self, keys: Sequence[bytes]) -> list[bytes]: ...
    def reader(
        self, shard: Shard, *, load_share: int, samples: Iterable[bytes]
    ) -> AbstractContextManager[ShardReader]: ...


class Expiries(Protocol):
    """Asks for the expiries of keys by name; in a cluster it follows keys that are being moved."""

    def read(self, db: int, keys: Sequence[bytes], *, at: str | None = None) -> Any:
        """The instants at which these keys expire, as columns that only adapters look into; ``at`` is where they were met."""


class Redis(Protocol):
    """One deployment: finds its nodes and opens a connection to one of them."""

    def nodes(self, options: AuditOptions) -> list[str]:
        """The addresses to scan: every primary, or a replica of each where the options ask for replicas."""

    def slots_of(self, address: str) -> Sequence[tuple[int, int]]:
        """The slot ranges that a node owns, both ends included; all of them outside a cluster."""

    def topology(self) -> str | None:
        """A fingerprint of who owns which slots; ``None`` where there is nothing to own."""

    def slot_claims(self) -> Mapping[str, SlotClaims]:
        """What each primary of a cluster says of its own slots, by its address; empty outside a cluster."""

    def connect(self, address: str, db: int) -> AbstractContextManager[Node]: ...
    def expiries(self) -> AbstractContextManager[Expiries]:
        """A way to ask for keys by name, wherever they are."""


class Counted(Protocol):
    """What a tally counted since the last drain, as documents."""

    @property
    def keys(self) -> int: ...
    @property
    def no_ttl_keys(self) -> int: ...
    @property
    def patterns(self) -> bytes: ...
    @property
    def fingerprints(self) -> bytes: ...


class Tally(Protocol):
    """Counts batches as they come."""

    def add(self, frame: Any) -> None: ...
    def take_sample(self) -> list[bytes]: ...
    def add_facts(self, answers: Iterable[KeyFacts]) -> None: ...
    def close(self) -> None:
        """What is added from now on belongs to the next increment."""

    @property
    def is_counted(self) -> bool:
        """Whether all batches of the first closed increment are counted."""

    def finish_batches(self) -> None: ...
    def drain(self) -> Counted:
        """The first closed increment."""


class NewTally(Protocol):
    """Begins to count keys of one database; ``seed`` is that of the audit's fingerprints, which are hashed with ``next_seed`` too
    where there is one.
    """

    def __call__(self, db: int, *, seed: int, next_seed: int | None) -> AbstractContextManager[Tally]: ...


class Merger(Protocol):
    """Adds up the pattern documents of the shards, and folds once more over all of them."""

    def add(self, patterns: bytes) -> None: ...
    def result(self) -> tuple[list[PatternStatistics], bytes]:
        """The rows of the report, and the document of all of them."""


class Documents(Protocol):
    """The store: documents are written once, whole, and never edited."""

    def write(self, path: str, data: bytes) -> None: ...
    def read(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def names(self, folder: str) -> list[str]: ...


class RemovableDocuments(Documents, Protocol):
    """The store, for what removes documents of its own when they have served: what waited to be sent, and looks of days long over."""

    def remove(self, path: str) -> None: ...


class Clock(Protocol):
    """Wall time for documents, monotonic time for durations."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float: ...


class PatientClock(Clock, Protocol):
    """A clock that can be waited by."""

    def sleep(self, seconds: float) -> None:
        """Return when so much time has gone by."""


class Ahead(Protocol):
    """Makes items while the user of the last one is busy, in their order; ``most`` wait at a time.

    What the making raises is raised to the user, after the items before it. While the user waits, ``idle`` is called
    several times a second. At the end of the ``with`` block the making ends with the item that it is at.
    """

    def __call__(
        self, items: Iterable[T], most: int, *, idle: Callable[[], None] | None = None
    ) -> AbstractContextManager[Iterator[T]]: ...


class Progress(Protocol):
    """Hears how far a shard (by its number in the plan) has come, in keys and as a share of it; called after each
    batch.
    """

    def __call__(self, number: int, *, keys: int, ratio: float) -> None: ...
