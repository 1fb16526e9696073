"""What a store says of each failure, whichever kind of store it is: one that does as a test says."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import AlreadyWritten, InvalidOption, StoreProblem


class Shelf:
    """A kind of store that does as a test says, and remembers what is in it."""

    failures: type[Exception] = OSError

    def __init__(self, error: Exception | None = None, *, replaces: bool = False) -> None:
        self.error = error
        self.replaces = replaces
        self.kept: dict[tuple[str, ...], bytes] = {}
        self.done: list[tuple[str, ...]] = []

    def place(self, parts: Sequence[str]) -> str:
        """Where it lies."""
        return f"shelf:{'/'.join(parts)}"

    def create(self, parts: Sequence[str], data: bytes) -> None:
        """Create it, or replace it."""
        self._act("create", parts)
        if tuple(parts) in self.kept and not self.replaces:
            raise FileExistsError
        self.kept[tuple(parts)] = data

    def read(self, parts: Sequence[str]) -> bytes:
        """Fail, or not."""
        self._act("read", parts)
        return b""

    def exists(self, parts: Sequence[str]) -> bool:
        """Fail, or not."""
        self._act("exists", parts)
        return False

    def remove(self, parts: Sequence[str]) -> None:
        """Remove it."""
        self._act("remove", parts)
        self.kept.pop(tuple(parts), None)

    def names(self, parts: Sequence[str]) -> set[str]:
        """In no order."""
        self._act("names", parts)
        return {"b", "a", "c"}

    def _act(self, what: str, parts: Sequence[str]) -> None:
        if self.error is not None:
            raise self.error
        self.done.append((what, *parts))


def store_on(shelf: Shelf) -> Store:
    """A store of that kind."""
    store = Store(Path("/nowhere"))
    store._shelf = shelf
    return store


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda store: store.write("a", b""), "the document can't be written"),
        (lambda store: store.read("a"), "the document can't be read"),
        (lambda store: store.exists("a"), "the store can't be asked"),
        (lambda store: store.remove("a"), "the document can't be removed"),
        (lambda store: store.names("a"), "the folder can't be listed"),
        (lambda store: store.try_out(), "the store can't be written"),
    ],
)
def test_whatever_fails_is_told_with_its_place_and_reason(act: Callable[[Store], object], text: str) -> None:
    """In one line: what couldn't be done, why by the system's or the library's own words, and where."""
    reasons: list[tuple[Exception, str]] = [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("\n  the first line  \nand an answer\n"), "the first line"),
        (OSError(""), "OSError"),
    ]
    for error, reason in reasons:
        with pytest.raises(StoreProblem) as told:
            act(store_on(Shelf(error)))
        assert f"{text} ({reason})" in str(told.value)
        assert "shelf:" in str(told.value)
    with pytest.raises(KeyError):
        act(store_on(Shelf(KeyError("a mistake of ours"))))


def test_names_are_sorted_and_the_root_is_a_folder() -> None:
    """Whatever order a store lists in."""
    shelf = Shelf()
    assert store_on(shelf).names("") == ["a", "b", "c"]
    store_on(shelf).names("x/y")
    assert shelf.done == [("names",), ("names", "x", "y")]


def test_a_store_is_tried_out_by_a_document_that_is_created_twice() -> None:
    """One that refuses the second is a store; one that replaces is refused; the trial's document is removed, and is hidden."""
    shelf = Shelf()
    store_on(shelf).try_out()
    assert [what for what, *_ in shelf.done] == ["create", "create", "remove"]
    assert len({tuple(parts) for _, *parts in shelf.done}) == 1
    assert shelf.done[0][1] == ".probes"
    assert shelf.kept == {}
    shelf = Shelf(replaces=True)
    with pytest.raises(InvalidOption, match="replaces a document though it was told to create it"):
        store_on(shelf).try_out()
    assert shelf.kept == {}


def test_only_a_folder_or_known_storage_is_a_store(tmp_path: Path) -> None:
    """A folder's URL is one; another scheme is refused by its name before anything is asked of it."""

    class Root:
        protocol = "file"
        path = str(tmp_path)

        def __str__(self) -> str:
            return "x://root"

    Store(Root()).write("one", b"x")  # type: ignore[arg-type]
    assert (tmp_path / "one").read_bytes() == b"x"
    Root.protocol = "sftp"
    with pytest.raises(InvalidOption, match="sftp:// can't be the store"):
        Store(Root())  # type: ignore[arg-type]


def test_a_path_that_is_none_is_told_with_the_store() -> None:
    """The refusal says in which store."""
    with pytest.raises(StoreProblem, match="in /nowhere"):
        Store(Path("/nowhere")).read("../x")


def test_a_document_that_is_there_is_another_error() -> None:
    """Whoever is second is told so, and where; what was first stays."""
    shelf = Shelf()
    store = store_on(shelf)
    store.write("a/b", b"first")
    with pytest.raises(AlreadyWritten, match="shelf:a/b"):
        store.write("a/b", b"second")
    assert shelf.kept == {("a", "b"): b"first"}
    assert str(store) == "/nowhere"
