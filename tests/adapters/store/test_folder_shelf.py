"""What a folder does at its bounds: drafts that are old to the second, folders that others keep removing, file systems of all kinds."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.folder_shelf import FolderShelf

NOW_S = float(int(time.time()))


@pytest.mark.parametrize(("age_s", "stays"), [(86_399.5, True), (86_400.0, True), (86_400.5, False)])
def test_a_draft_lasts_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, *, stays: bool) -> None:
    """One that is older was left by somebody dead, and goes with the next write into its folder."""
    monkeypatch.setattr(time, "time", lambda: NOW_S)
    draft = tmp_path / ".x.json.0a1b2c3d"
    draft.write_bytes(b"half")
    os.utime(draft, (NOW_S - age_s, NOW_S - age_s))
    FolderShelf(tmp_path).create(["y.json"], b"whole")
    assert draft.exists() is stays


@pytest.mark.parametrize(
    "name", [".hidden", "x.json.0a1b2c3d", ".x.json.0a1b2c3", ".x.json.0a1b2c3de", ".x.json.0A1B2C3D"]
)
def test_only_drafts_are_swept(tmp_path: Path, name: str) -> None:
    """Whatever else is old stays."""
    (tmp_path / name).write_bytes(b"theirs")
    os.utime(tmp_path / name, (1, 1))
    FolderShelf(tmp_path).create(["y.json"], b"whole")
    assert (tmp_path / name).exists()


def test_a_folder_is_swept_once(tmp_path: Path) -> None:
    """The first write of a process into a folder looks for drafts; another folder is another one."""
    shelf = FolderShelf(tmp_path)
    shelf.create(["a", "1"], b"x")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        draft = tmp_path / folder / ".x.json.0a1b2c3d"
        draft.write_bytes(b"half")
        os.utime(draft, (1, 1))
        shelf.create([folder, "2"], b"x")
    assert [(tmp_path / folder / ".x.json.0a1b2c3d").exists() for folder in ("a", "b")] == [True, False]


@pytest.mark.parametrize(("times", "is_written"), [(1, True), (100, True), (101, False)])
def test_a_folder_that_others_remove_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, *, is_written: bool
) -> None:
    """A hundred times; who removes it more often than that keeps us from writing."""
    left = [times]
    real = Path.open

    def removed(path: Path, *arguments: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            path.parent.rmdir()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", removed)
    shelf = FolderShelf(tmp_path)
    if is_written:
        shelf.create(["a", "b"], b"x")
        assert shelf.read(["a", "b"]) == b"x"
    else:
        with pytest.raises(FileNotFoundError):
            shelf.create(["a", "b"], b"x")


def test_names_are_those_of_documents_and_folders(tmp_path: Path) -> None:
    """Not what is hidden; a folder that isn't there, or is a document, has none."""
    shelf = FolderShelf(tmp_path)
    shelf.create(["a", "one"], b"x")
    (tmp_path / "a" / ".hidden").write_bytes(b"x")
    (tmp_path / "a" / "folder").mkdir()
    assert shelf.names(["a"]) == {"one", "folder"}
    assert shelf.names(["b"]) == shelf.names(["a", "one"]) == set()
    assert [shelf.exists(each) for each in (["a", "one"], ["a", "folder"], ["a"], ["b"])] == [True, False, False, False]
    assert shelf.place(["a", "one"]) == str(tmp_path / "a" / "one")


def test_an_empty_folder_goes_with_its_last_document(tmp_path: Path) -> None:
    """One that has others stays, and removing what isn't there is fine."""
    shelf = FolderShelf(tmp_path)
    for name in ("one", "two"):
        shelf.create(["a", name], b"x")
    shelf.remove(["a", "one"])
    assert shelf.names(["a"]) == {"two"}
    shelf.remove(["a", "two"])
    assert not (tmp_path / "a").exists()
    shelf.remove(["a", "two"])


def test_a_failure_that_is_not_about_links_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no file system without links: nothing is claimed, and no draft is left."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        FolderShelf(tmp_path).create(["one"], b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_on_disk_is_not_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write into a folder syncs all above it; the next ones sync the document and its folder."""
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.partition(".")[0] or "draft")
        real(descriptor)

    shelf = FolderShelf(tmp_path / "root")
    shelf.create(["a", "b", "1"], b"x")
    monkeypatch.setattr(os, "fsync", note)
    shelf.create(["a", "b", "2"], b"x")
    assert synced == ["draft", "b"]
    synced.clear()
    shelf.create(["a", "3"], b"x")
    assert synced == ["draft", "a", "root", tmp_path.name]


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    """Nothing is made beside it."""
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(NotADirectoryError):
        FolderShelf(tmp_path).create(["a", "b"], b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
