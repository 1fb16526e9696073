"""What writing needs from the outside, beside what reading needs. Adapters fulfil these; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.domain.plan.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.domain.remediation.control import OperatorCommand
    from redis_ttl.domain.remediation.remediation import RuleAccount
    from redis_ttl.usecases.ports import Batch


class Control(Protocol):
    """What an operator has asked for, read every two seconds or so."""

    def read(self) -> OperatorCommand:
        """The command as it stands. A command that can't be read is a pause; raising means the same."""


class Changes(Protocol):
    """Keys that shall change, each with its rule and its old and its new instant, as columns that only adapters look into."""

    def __len__(self) -> int: ...
    def slice(self, offset: int, length: int | None = None, /) -> Changes:
        """So many of them from that place on; all that follow where ``length`` is None."""


class Decided(Protocol):
    """What shall become of the keys of one batch."""

    @property
    def keys(self) -> int:
        """How many keys were met, governed or not."""

    @property
    def accounts(self) -> Mapping[int, RuleAccount]:
        """By the rule's number; the keys that shall change are in ``met`` and in no other figure yet."""

    @property
    def changes(self) -> Changes: ...
    @property
    def change_keys(self) -> int: ...
    @property
    def read_at_s(self) -> float:
        """When the first of them was read; monotonic."""


class DecidedAgain(Protocol):
    """What shall become of keys that were to change, after another look at them."""

    @property
    def accounts(self) -> Mapping[int, RuleAccount]:
        """Those that shall not change any more, by the figure that they belong to; ``met`` not again."""

    @property
    def changes(self) -> Changes:
        """Those that shall change still."""

    @property
    def unwritten(self) -> Changes:
        """Those of them whose journal row isn't true any more."""


class Earlier(Protocol):
    """The keys that earlier attempts have journalled."""

    def add(self, journal: bytes) -> None:
        """Take in a journal object. Raises :class:`DamagedDocument`."""

    def keys(self) -> Mapping[int, int]:
        """How many keys of each rule these are."""

    def others(self, decided: Any) -> Mapping[int, tuple[int, int]]:
        """Of a batch's keys those that aren't among them, by rule: how many shall change, and how many have an expiry of ours."""


class Decisions(Protocol):
    """Decides for the keys of one database of one server what the plan means for them. Writes nothing."""

    def decide(self, batch: Any) -> Decided:
        """A batch of the node that the decisions are made for."""

    def decide_again(self, changes: Any, *, raced: bool) -> DecidedAgain:
        """Changes that were decided a while ago, or that the server refused (``raced``), by what the server says now."""

    def earlier(self) -> Earlier:
        """What was journalled before; of nothing yet."""

    def count(self, changes: Any) -> Mapping[int, int]:
        """How many keys of each rule these changes are."""

    def journal(self, changes: Any) -> bytes:
        """The journal object of these changes."""


class Settled(Protocol):
    """What became of keys that were sent."""

    @property
    def accounts(self) -> Mapping[int, RuleAccount]:
        """Those that were changed, by rule."""

    @property
    def raced(self) -> Changes:
        """Those that the server refused, because they aren't any more what the journal says."""


class KeyWriter(Protocol):
    """Sends changes to one server, a few at a time."""

    def take(self, changes: Any) -> None:
        """The changes to write next, when those before are all sent."""

    @property
    def waiting(self) -> int:
        """How many of them haven't been sent."""

    def give_back(self) -> Changes:
        """Those that haven't been sent; they are forgotten."""

    def write(self, keys: int, *, ahead: bool) -> int:
        """Send at most so many; how many. With ``ahead`` their replies may stay under way until the next call."""

    def settle(self) -> Settled:
        """What became of the keys sent since the last call, after waiting for every reply."""


class Canary(Protocol):
    """Picks the canary's keys of each rule while batches go by."""

    def add(self, place: int, decided: Any) -> None:
        """Take note of a batch that was met at ``place``."""

    def changes(self, places: Iterable[int]) -> Changes:
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
