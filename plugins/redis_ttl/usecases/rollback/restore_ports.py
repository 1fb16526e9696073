"""What rolling back needs from the outside. Adapters fulfil it; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from redis_ttl.domain.plan.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy.rate import Rate
    from redis_ttl.domain.rollback.rollback import Leftovers, RestoreAccount, WatchedNode


class JournalRows(Protocol):
    """Finds, among many journal objects, the newest row about each key, and its older ones. Damaged objects raise
    `DamagedDocument`.
    """

    def add(self, number: int, document: bytes) -> None:
        """Take in which keys an object is about; the earliest object has the lowest number."""

    def add_undone(self, document: bytes) -> None:
        """Take in which keys an object of an earlier rollback is about."""

    def settle(self, read: Callable[[int], bytes]) -> None:
        """Find the keys with several rows, once every object was added; ``read`` gives an added object again."""

    def of(self, number: int, document: bytes, rules: Collection[int] | None) -> Any:
        """Of the object that was added as that number: the rows of these rules that no later object overtakes."""


class LaterRows(Protocol):
    """Rows of plans that replaced an expiry which another plan had set. Plans are told apart by their place in a list that the
    caller keeps. Damaged objects raise `DamagedDocument`.
    """

    def note(self, document: bytes) -> None:
        """Take note of which instants a plan sets; every object of every plan, before anything else."""

    def add(self, plan: int, document: bytes) -> None:
        """Take in the rows of a later plan."""

    def __len__(self) -> int:
        """How many rows may stand on another plan's."""

    def standing_on(self, document: bytes, rules: Collection[int] | None) -> Any:
        """The rows, in chains, that stand on the rows of these rules in an object; to be looked for on the server."""

    def plans(self, standing: Any, looked: Any) -> Mapping[int, tuple[int, int]]:
        """By plan: how many keys have its instant, or that of a plan which stands on it; and how high it stands at most."""


class EndedRows(Protocol):
    """What plans that were taken back found before them, of keys that a later plan then took over. Damaged objects raise
    `DamagedDocument`.
    """

    def note(self, document: bytes) -> None:
        """Take note of which instants an ended plan had set; every object, before anything else."""

    def want(self, document: bytes) -> None:
        """Take in rows of the plan that is taken back."""

    def __len__(self) -> int:
        """How many instants aren't traced back yet."""

    def trace(self, document: bytes, rules: Collection[int]) -> None:
        """Trace them back through an object of an ended plan."""

    def turn(self) -> bool:
        """Go on to what those found; whether that may be an ended plan's instant again."""

    def beneath(self, rows: Any) -> Any:
        """The rows with what was there before every ended plan."""


class Looked(Protocol):
    """What became of the keys of some journal rows. ``ours`` have exactly our expiry, and are counted nowhere yet."""

    @property
    def accounts(self) -> Mapping[int, RestoreAccount]: ...
    @property
    def ours(self) -> Any: ...
    @property
    def ours_accounts(self) -> Mapping[int, RestoreAccount]:
        """What :attr:`ours` would become."""


class Restorer(Protocol):
    """Speaks to the primaries of one deployment. What takes long calls ``check`` on its way, which may wait, or raise."""

    @property
    def in_cluster(self) -> bool:
        """Whether keys may have moved from node to node, and their expiries shifted with that."""

    def strangers(self, nodes: Sequence[NodeIdentity]) -> list[str]:
        """The primaries of now that don't continue the data set of any of these nodes."""

    def health(self) -> list[WatchedNode]:
        """The figures of every primary of this moment."""

    def look(self, rows: Any, check: Callable[[], None]) -> Looked:
        """Ask for the expiries of the rows' keys."""

    def journal(self, ours: Any) -> bytes:
        """The journal object that says what we found and what we put back."""

    def limit(self, rate: Rate) -> None:
        """Restore no faster than this from now on."""

    def restore(self, ours: Any, check: Callable[[], None]) -> Mapping[int, RestoreAccount]:
        """Restore each key that has our expiry still, in one step on the server; what became of them."""

    def leftovers(
        self, plan: Plan, approvals_ms: Collection[int], rules: Collection[int] | None, check: Callable[[], None]
    ) -> Leftovers:
        """Look through the keyspace for keys with an instant of the plan."""


class OpenRestorer(Protocol):
    """Opens the way to the deployment."""

    def __call__(self) -> AbstractContextManager[Restorer]: ...
