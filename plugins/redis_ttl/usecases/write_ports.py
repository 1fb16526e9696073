"""What writing needs from the outside, beside what reading needs. Adapters fulfil these; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sized
    from contextlib import AbstractContextManager

    from redis_ttl.domain.approval import Approval
    from redis_ttl.domain.control import Wish
    from redis_ttl.domain.guards import Reading
    from redis_ttl.domain.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.remediation import RuleAccount
    from redis_ttl.domain.shards import Shard
    from redis_ttl.usecases.ports import Batch


class Control(Protocol):
    """What an operator wishes, asked every two seconds or so."""

    def read(self) -> Wish:
        """The wish as it stands. A wish that can't be read is a pause; raising means the same."""


class Decided(Protocol):
    """What shall become of the keys of one batch. ``changes`` are columns that only adapters look into."""

    @property
    def keys(self) -> int:
        """How many keys were met, governed or not."""

    @property
    def accounts(self) -> Mapping[int, RuleAccount]:
        """By the rule's number; the keys that shall change are in ``met`` and in no other figure yet."""

    @property
    def changes(self) -> Sized: ...
    @property
    def change_keys(self) -> int: ...


class Decisions(Protocol):
    """Decides for the keys of one database of one server what the plan means for them. Writes nothing."""

    def decide(self, batch: Any) -> Decided:
        """A batch of the node that the decisions are made for."""

    def journal(self, changes: Any) -> bytes:
        """The journal object of these changes."""


class KeyWriter(Protocol):
    """Sends changes to one server, a few at a time."""

    def take(self, changes: Any) -> None:
        """The changes to write next, when those before are all sent."""

    @property
    def waiting(self) -> int:
        """How many of them haven't been sent."""

    @property
    def earliest_ms(self) -> int | None:
        """The earliest instant among them."""

    def drop(self) -> Mapping[int, int]:
        """Forget them; how many of each rule."""

    def write(self, keys: int, *, ahead: bool) -> int:
        """Send at most so many; how many. With ``ahead`` their replies may stay under way until the next call."""

    def settle(self) -> Mapping[int, RuleAccount]:
        """What became of the keys sent since the last call, by rule, after waiting for every reply."""

    def corrections(self) -> Any:
        """Changes whose old expiry was another one than we had journalled, because the application changed it in the
        last moment; with the true one.
        """


class Canary(Protocol):
    """Picks the canary's keys of each rule while batches go by."""

    def add(self, place: int, decided: Any) -> None:
        """Take note of a batch that was met at ``place``."""

    def changes(self, places: Iterable[int]) -> Any:
        """The picked changes of these places."""

    def counts(self, places: Iterable[int]) -> Mapping[int, int]:
        """How many keys of each rule these are."""


class WritableNode(Protocol):
    """One database of one primary, to be read and written."""

    @property
    def address(self) -> str: ...
    def run_id(self) -> str: ...
    def batches(self, shard: Shard, *, load_share: int, batch_keys: int) -> Iterator[Batch]:
        """The shard's keys, each with the instant at which it expires."""

    def decisions(self, plan: Plan, policy: Policy, approved_at_ms: int) -> Decisions: ...
    def writer(self) -> KeyWriter: ...
    def health(self) -> Reading:
        """The server's figures as they are now."""

    def now_ms(self) -> int:
        """The server's clock."""


class WritableRedis(Protocol):
    """The deployment that a plan is about."""

    def primary_of(self, node: NodeIdentity) -> str:
        """The address of the primary that holds this data set now.

        Raises :class:`OtherServer` when every primary that answers holds another one.
        """

    def new_canary(self, ratio: float, keys: int) -> Canary:
        """Picks the lowest ``ratio`` of all hashes, and at least ``keys`` keys of each rule."""

    def connect(self, address: str, db: int) -> AbstractContextManager[WritableNode]: ...


class Approve(Protocol):
    """Looks for the plan's approval in the store."""

    def __call__(self) -> Approval:
        """The approval in force; raises when there is none."""
