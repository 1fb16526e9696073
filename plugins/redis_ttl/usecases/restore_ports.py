"""What rolling back needs from the outside. Adapters fulfil it; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from redis_ttl.domain.plan import NodeIdentity
    from redis_ttl.domain.rate import Rate
    from redis_ttl.domain.rollback import RestoreAccount


class JournalRows(Protocol):
    """Finds, among many journal objects, the newest row about each key."""

    def add(self, document: bytes) -> None:
        """Take in which keys an object is about; the earliest object first."""

    def add_undone(self, document: bytes) -> None:
        """Take in which keys an object of an earlier rollback is about."""

    def of(self, number: int, document: bytes, rules: Collection[int] | None) -> Any:
        """Of the object that was added as that number: the rows of these rules that no later object overtakes."""


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
    """Speaks to the primaries of one deployment."""

    def strangers(self, nodes: Sequence[NodeIdentity]) -> list[str]:
        """The primaries of now that don't continue the data set of any of these nodes."""

    def look(self, rows: Any) -> Looked:
        """Ask for the expiries of the rows' keys."""

    def journal(self, ours: Any) -> bytes:
        """The journal object that says what we found and what we put back."""

    def limit(self, rate: Rate) -> None:
        """Restore no faster than this from now on."""

    def restore(self, ours: Any) -> Mapping[int, RestoreAccount]:
        """Restore each key that has our expiry still, in one step on the server; what became of them."""


class OpenRestorer(Protocol):
    """Opens the way to the deployment."""

    def __call__(self) -> AbstractContextManager[Restorer]: ...
