"""A document is whole or not there, and is never replaced."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from redis_ttl.adapters.store import Store
from redis_ttl.domain.errors import StoreProblem


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A document comes back as it was, and its folder lists it."""
    store = Store(tmp_path)
    store.write("a/b/one.json", b"\x00data")
    assert store.read("a/b/one.json") == b"\x00data"
    assert store.exists("a/b/one.json")
    assert store.names("a/b") == ["one.json"]
    assert store.names("nowhere") == []


def test_a_document_is_never_replaced(tmp_path: Path) -> None:
    """A second writer of one name is refused and the first one's data stay."""
    store = Store(tmp_path)
    store.write("one", b"first")
    with pytest.raises(StoreProblem, match="there already"):
        store.write("one", b"second")
    assert store.read("one") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "no draft is left behind"


def test_of_many_writers_at_once_exactly_one_wins(tmp_path: Path) -> None:
    """Two tasks that believe to own one shard can't both save the same checkpoint."""
    store = Store(tmp_path)
    won: list[int] = []

    def write(number: int) -> None:
        try:
            store.write("contested", b"%d" % number * 10_000)
        except StoreProblem:
            return
        won.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert len(won) == 1
    assert store.read("contested") == b"%d" % won[0] * 10_000


def test_a_missing_document_says_where_and_why(tmp_path: Path) -> None:
    """Reading what isn't there names the place and the likely reason."""
    with pytest.raises(StoreProblem, match=r"nowhere\.json.*No such file.*same store"):
        Store(tmp_path).read("nowhere.json")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A root that is a file, not a folder, is reported with its path and what to see to."""
    (tmp_path / "root").write_text("a file")
    with pytest.raises(StoreProblem, match=r"root.*can't be written.*REDIS_TTL_STORE"):
        Store(tmp_path / "root").write("a/b", b"data")


def test_a_folder_that_empties_takes_new_documents(tmp_path: Path) -> None:
    """Whoever removes a folder's last document takes the folder with it, and disturbs nobody who writes there just then."""
    store = Store(tmp_path)
    mistakes: list[Exception] = []

    def come_and_go(name: str) -> None:
        try:
            for number in range(150):
                store.write(f"pending/{name}-{number}", b"x")
                store.remove(f"pending/{name}-{number}")
        except StoreProblem as error:
            mistakes.append(error)

    workers = [threading.Thread(target=come_and_go, args=(name,)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert mistakes == []
    assert list(tmp_path.iterdir()) == []


def test_a_document_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a document is synced to disk before it appears under its name, and the folder after: a power failure leaves a whole
    document or none.
    """
    data = b"x" * 5_000
    seen: list[tuple[str, int]] = []
    fsync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        seen.append(("folder" if stat.S_ISDIR(status.st_mode) else "file", status.st_size))

    def linked(source: str | Path, target: str | Path) -> None:
        link(source, target)
        seen.append(("named", 0))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    Store(tmp_path).write("journals/one", data)
    kinds = [kind for kind, _ in seen]
    named = kinds.index("named")
    assert ("file", len(data)) in seen[:named]
    assert "folder" in kinds[named:]


@pytest.mark.parametrize("answer", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_without_hard_links_a_document_is_never_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    """On a file system that has no hard links (FAT, some network shares) a first document is written, and a second one of its name
    refused.
    """

    def refused(*_: object) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(os, "link", refused)
    store = Store(tmp_path)
    store.write("one", b"first")
    with pytest.raises(StoreProblem, match="there already"):
        store.write("one", b"second")
    assert store.read("one") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "no draft is left behind"
