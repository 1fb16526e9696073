"""Documents in a folder or a bucket: each is written once, whole, and never edited.

Works on any path object that behaves like :class:`pathlib.Path` (an Airflow ``ObjectStoragePath`` does), so that it
knows no storage library itself. In a folder a document appears under its name only when all of it is on disk, and
never over another one: a worker that lost its task can't spoil what its successor wrote. Object stores make each write
whole by themselves.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from redis_ttl.domain.errors import StoreProblem

if TYPE_CHECKING:
    from collections.abc import Iterator


#: What file systems without hard links answer.
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})
#: How often a folder that others keep removing is made anew.
_FOLDER_TRIES: Final = 100


class StorePath(Protocol):
    """The part of :class:`pathlib.Path` that a store needs."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def __truediv__(self, other: str, /) -> StorePath: ...

    def exists(self) -> bool:
        """Whether there is something."""

    def iterdir(self) -> Iterator[Any]:
        """What lies in the folder."""

    def read_bytes(self) -> bytes:
        """The whole content."""

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002  # as in the standard library
        """Remove it."""

    def write_bytes(self, data: bytes, /) -> Any:
        """Make this the whole content."""


class Store:
    """The documents below one root. Paths are relative, with ``/`` between their parts."""

    def __init__(self, root: StorePath) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def write(self, path: str, data: bytes) -> None:
        """Write a new document; a document of that name that is there already is a :class:`StoreProblem`."""
        place = self._place(path)
        try:
            if isinstance(place, Path):
                _write_file(place, data)
            else:
                _write_object(place, data)
        except FileExistsError as error:
            raise StoreProblem(
                "a document of that name is there already",
                where=str(place),
                todo="Two tasks may be writing the same audit; let one finish, or start a new run.",
            ) from error
        except _failures_of(place) as error:
            raise StoreProblem(
                f"the document can't be written ({_reason(error)})",
                where=str(place),
                todo="See that it exists, has room, and that we may write there (REDIS_TTL_STORE in Airflow, --store in a terminal).",
            ) from error

    def read(self, path: str) -> bytes:
        """The document, whole; a :class:`StoreProblem` when it isn't there."""
        place = self._place(path)
        try:
            return place.read_bytes()
        except _failures_of(place) as error:
            raise StoreProblem(
                f"the document can't be read ({_reason(error)})",
                where=str(place),
                todo="Every task of a run must see the same store: a folder of one machine doesn't do for workers on several.",
            ) from error

    def exists(self, path: str) -> bool:
        """Whether there is such a document."""
        place = self._place(path)
        try:
            return place.exists()
        except _failures_of(place) as error:
            raise StoreProblem(f"the store can't be asked ({_reason(error)})", where=str(place)) from error

    def remove(self, path: str) -> None:
        """Remove a document; nothing happens when it isn't there. For what can be made again or has served its time, and for
        nothing that says what was done to keys.
        """
        place = self._place(path)
        try:
            place.unlink(missing_ok=True)
            if isinstance(place, Path):
                with suppress(OSError):  # not empty, or somebody else was faster
                    place.parent.rmdir()
        except _failures_of(place) as error:
            raise StoreProblem(f"the document can't be removed ({_reason(error)})", where=str(place)) from error

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none when there is no such folder. The store itself is ``""``."""
        place = self._place(folder)
        try:
            return sorted(each.name for each in place.iterdir() if not each.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except _failures_of(place) as error:
            raise StoreProblem(f"the folder can't be listed ({_reason(error)})", where=str(place)) from error

    def _place(self, path: str) -> StorePath:
        place = self._root
        for part in filter(None, path.split("/")):
            place = place / part
        return place


def _write_file(place: Path, data: bytes) -> None:
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with _open_draft(draft) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, place)
    finally:
        draft.unlink(missing_ok=True)
    try:
        folder = os.open(place.parent, os.O_RDONLY)
    except FileNotFoundError:
        return  # somebody has removed the document since, and its folder with it
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_draft(draft: Path) -> IO[bytes]:
    """The new file, in a folder that may be made for it; whoever empties that one meanwhile may remove it."""
    for _ in range(_FOLDER_TRIES):
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            return draft.open("xb")
        except (FileNotFoundError, FileExistsError):  # the latter when it goes while mkdir looks at what is in its way
            continue
    draft.parent.mkdir(parents=True, exist_ok=True)
    return draft.open("xb")


def _publish(draft: Path, place: Path) -> None:
    try:
        os.link(draft, place)  # unlike a rename, refuses to replace
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if place.exists():
            raise FileExistsError(str(place)) from error
        draft.rename(place)


def _write_object(place: StorePath, data: bytes) -> None:
    if place.exists():
        raise FileExistsError(str(place))
    place.write_bytes(data)


def _failures_of(place: StorePath) -> type[Exception]:
    """What a place raises when it fails: a folder OSError, an object store whatever its library thinks of."""
    return OSError if isinstance(place, Path) else Exception


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
