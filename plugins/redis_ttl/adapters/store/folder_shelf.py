"""Documents in a plain folder: whole, durable, created and never replaced.

A document is first a draft, a hidden file beside its place, and gets its name when all of it is on disk: by a hard link, which
refuses to replace, or, where the file system has none, by claiming the name with ``O_EXCL`` and moving the draft onto the
claim. The folders made on the way are on disk, too, before the write returns. Whoever is killed leaves a draft; the first write
of another process into that folder a day later removes it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

#: What file systems without hard links answer.
_NO_HARD_LINKS: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
#: How often a folder that others keep removing is made anew.
_FOLDER_TRIES: Final = 100
_DRAFT: Final = re.compile(r"\..+\.[0-9a-f]{8}")
#: A document is written in seconds; who has a draft for longer is dead.
_DRAFT_LASTS_S: Final = 86_400.0


class FolderShelf:
    """The documents below a folder."""

    failures: type[Exception] = OSError

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[tuple[int, int]] = set()
        """Folders (device and inode) whose own entries, and those of all above them, are known to be on disk."""
        self._swept: set[Path] = set()

    def place(self, parts: Sequence[str]) -> str:
        """Where a document lies."""
        return str(self._root.joinpath(*parts))

    def create(self, parts: Sequence[str], data: bytes) -> None:
        """Create a document; `FileExistsError` when it is there already."""
        place = self._root.joinpath(*parts)
        draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        try:
            with self._open_draft(draft) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._sweep(place.parent)
            _publish(draft, place)
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                draft.unlink()
        self._make_durable(place.parent)

    def read(self, parts: Sequence[str]) -> bytes:
        """The document."""
        return self._root.joinpath(*parts).read_bytes()

    def exists(self, parts: Sequence[str]) -> bool:
        """Whether it is there."""
        return self._root.joinpath(*parts).is_file()

    def remove(self, parts: Sequence[str]) -> None:
        """Remove it, and a folder that is empty then."""
        place = self._root.joinpath(*parts)
        place.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or somebody else was faster
            place.parent.rmdir()

    def names(self, parts: Sequence[str]) -> set[str]:
        """The names in a folder; drafts, like everything hidden, aren't among them."""
        try:
            return {each.name for each in self._root.joinpath(*parts).iterdir() if not each.name.startswith(".")}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def _open_draft(self, draft: Path) -> IO[bytes]:
        """The new file, in a folder that may be made for it; whoever empties that one meanwhile may remove it."""
        for _ in range(_FOLDER_TRIES):
            try:
                self._make_folder(draft.parent)
                return draft.open("xb")
            except FileNotFoundError:
                continue
        self._make_folder(draft.parent)
        return draft.open("xb")

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it that are missing; each is on disk when this returns."""
        missing = []
        while not _is_folder(folder):
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with suppress(FileExistsError):  # somebody else was faster
                each.mkdir()
            _sync_folder(each.parent)

    def _make_durable(self, folder: Path) -> None:
        """Have the entries of a folder on disk. Somebody else may have made it, or one above it, a moment ago, so the first time
        those are synced, too.
        """
        try:
            found = folder.stat()
            _sync_folder(folder)
            if (found.st_dev, found.st_ino) in self._durable:
                return
            while folder != self._root and self._root in folder.parents:
                folder = folder.parent
                _sync_folder(folder)
            with suppress(PermissionError):  # what lies above the store needn't be ours to read
                _sync_folder(self._root.parent)
        except FileNotFoundError:
            return  # somebody has removed the document since, and its folder with it
        self._durable.add((found.st_dev, found.st_ino))

    def _sweep(self, folder: Path) -> None:
        """Remove what writers that were killed long ago have left, once for each folder that we write into."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        too_old = time.time() - _DRAFT_LASTS_S
        with suppress(OSError), os.scandir(folder) as entries:
            for each in entries:
                if _DRAFT.fullmatch(each.name):
                    with suppress(OSError):  # somebody else was faster
                        if each.stat(follow_symlinks=False).st_mtime < too_old:
                            Path(each.path).unlink()


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder; `NotADirectoryError` when there is something else."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False
    if not is_folder:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(draft: Path, place: Path) -> None:
    try:
        os.link(draft, place)  # unlike a rename, refuses to replace
    except FileExistsError:
        # NFS asks again when an answer is lost, and is told that the name is there: a second link to the draft is our own.
        if draft.stat().st_nlink == 1:
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            draft.replace(place)
        except OSError:
            place.unlink(missing_ok=True)  # nobody else touches what we have claimed
            raise
