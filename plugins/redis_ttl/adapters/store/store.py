"""Documents in a folder or a bucket: each is created once, whole, and never replaced.

What holds of every store, whichever it is:

- A document is created on the condition that there is none of its name, and the store itself enforces the condition, not a
  look before the write. Of those who write one name at once exactly one succeeds; the others get `AlreadyWritten`, a `StoreProblem`.
- What another process has written, or removed, is seen by the next look: nothing is kept from the look before.
- A document appears under its name only when all of it is there, and is durable when :meth:`Store.write` returns.
- A bucket that isn't there is an error, never a store without documents.

How a folder keeps this is in ``folder_shelf``, how object storage does in ``object_shelf``. A store that can't is refused when
it is opened (:class:`InvalidOption`). The module knows nothing of Airflow: an ``ObjectStoragePath`` is a path object like another.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from redis_ttl.adapters.store.folder_shelf import FolderShelf
from redis_ttl.adapters.store.object_shelf import ObjectShelf, is_folder_url, refuse_protocol
from redis_ttl.domain.document_path import path_parts
from redis_ttl.domain.errors import AlreadyWritten, InvalidOption, StoreProblem

if TYPE_CHECKING:
    from collections.abc import Sequence


class StorePath(Protocol):
    """The part of a ``UPath`` or an ``ObjectStoragePath`` that leads to object storage."""

    @property
    def protocol(self) -> str:
        """The scheme of its URL."""

    @property
    def path(self) -> str:
        """Where the root lies, as the file system calls it; for a bucket its name and the prefix."""

    @property
    def fs(self) -> Any:
        """The file system of fsspec."""


class Shelf(Protocol):
    """What a kind of store does. Failures are ``failures``, but for a document that is there already and one that isn't."""

    failures: type[Exception]

    def place(self, parts: Sequence[str]) -> str:
        """Where a document lies, for people."""

    def create(self, parts: Sequence[str], data: bytes) -> None:
        """Create a document; `FileExistsError` when it is there already."""

    def read(self, parts: Sequence[str]) -> bytes:
        """The document."""

    def exists(self, parts: Sequence[str]) -> bool:
        """Whether it is there."""

    def remove(self, parts: Sequence[str]) -> None:
        """Remove it, if it is there."""

    def names(self, parts: Sequence[str]) -> set[str]:
        """The names in a folder, without what is hidden."""


class Store:
    """The documents below one root. Paths are relative, with ``/`` between their parts (:mod:`redis_ttl.domain.document_path`).

    ``root`` is a folder, or a path object of S3, Google Cloud Storage or Azure Blob Storage. Raises :class:`InvalidOption` for
    any other, which it names.
    """

    def __init__(self, root: Path | StorePath) -> None:
        self._root = root
        self._shelf: Shelf
        if isinstance(root, Path):
            self._shelf = FolderShelf(Path(os.fspath(root)))
        elif is_folder_url(root.protocol):
            self._shelf = FolderShelf(Path(root.path))
        else:
            refuse_protocol(root.protocol, where=str(root))
            self._shelf = ObjectShelf(root.fs, root.path, root.protocol)

    def __str__(self) -> str:
        return str(self._root)

    def write(self, path: str, data: bytes) -> None:
        """Create a document; one of that name that is there already is :class:`AlreadyWritten`, and stays as it is.

        Where an answer is lost, the libraries of object storage ask again, and are told that the document is there: it is our
        own. Each write therefore carries a mark of its own, and a document with our mark was written by us. Two writers of
        the same bytes have different marks, so only one of them succeeds. When this raises for another reason, the document may
        be there all the same: the last answer may be the one that was lost.
        """
        parts = self._parts(path)
        try:
            self._shelf.create(parts, data)
        except FileExistsError as error:
            raise AlreadyWritten(
                "a document of that name is there already",
                where=self._shelf.place(parts),
                todo="Two tasks may be writing the same audit; let one finish, or start a new run.",
            ) from error
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the document can't be written ({_reason(error)})",
                where=self._shelf.place(parts),
                todo="See that it exists, has room, and that we may write there (REDIS_TTL_STORE in Airflow, --store in a terminal).",
            ) from error

    def read(self, path: str) -> bytes:
        """The document, whole; a :class:`StoreProblem` when it isn't there."""
        parts = self._parts(path)
        try:
            return self._shelf.read(parts)
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the document can't be read ({_reason(error)})",
                where=self._shelf.place(parts),
                todo="Every task of a run must see the same store: a folder of one machine doesn't do for workers on several.",
            ) from error

    def exists(self, path: str) -> bool:
        """Whether there is such a document, now."""
        parts = self._parts(path)
        try:
            return self._shelf.exists(parts)
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the store can't be asked ({_reason(error)})", where=self._shelf.place(parts)
            ) from error

    def remove(self, path: str) -> None:
        """Remove a document; nothing happens when it isn't there. For what can be made again or has served its time, and for
        nothing that says what was done to keys.
        """
        parts = self._parts(path)
        try:
            self._shelf.remove(parts)
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the document can't be removed ({_reason(error)})", where=self._shelf.place(parts)
            ) from error

    def names(self, folder: str) -> list[str]:
        """The names in a folder as they are now, sorted; none when there is no such folder. The store itself is ``""``."""
        parts = self._parts(folder) if folder else ()
        try:
            return sorted(self._shelf.names(parts))
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the folder can't be listed ({_reason(error)})", where=self._shelf.place(parts)
            ) from error

    def try_out(self) -> None:
        """Create a hidden document twice, and remove it. Raises :class:`InvalidOption` when the second time succeeds: a server
        that speaks the language of object storage needn't know its conditions. A few requests.
        """
        parts = (".probes", secrets.token_hex(8))
        try:
            self._shelf.create(parts, b"")
            try:
                self._shelf.create(parts, b"")
            except FileExistsError:
                return
            finally:
                self._shelf.remove(parts)
        except self._shelf.failures as error:
            raise StoreProblem(
                f"the store can't be written ({_reason(error)})",
                where=self._shelf.place(parts),
                todo="See that it exists, has room, and that we may write, read and delete there.",
            ) from error
        raise InvalidOption(
            "this store replaces a document though it was told to create it, so that two tasks could replace each other's journals "
            "and approvals",
            where=str(self),
            todo="Take a store that keeps the condition (If-None-Match on S3): docs/audit.md, The store.",
        )

    def _parts(self, path: str) -> tuple[str, ...]:
        try:
            return path_parts(path)
        except StoreProblem as error:
            error.where = f"{error.where} in {self}"
            raise


def _reason(error: Exception) -> str:
    """The first line of what a library says; some add the whole answer of the service."""
    text = getattr(error, "strerror", None) or str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
