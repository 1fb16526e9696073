"""A document is whole or not there, and is never replaced."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from redis_ttl.adapters.store.store import Store
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


def _refuse_links(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("has_links", [True, False])
def test_every_folder_on_the_way_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:  # noqa: FBT001
    """The file, its folder, and each folder above it that was made are synced before the write returns; those that others have made,
    too, the first time.
    """
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse_links)
    synced: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    root = tmp_path / "made" / "root"
    Store(root).write("c/journals/p/x.parquet", b"1")
    folders = [tmp_path, tmp_path / "made", root, root / "c", root / "c" / "journals", root / "c" / "journals" / "p"]
    assert {str(each) for each in folders} <= set(synced)
    assert synced[-1] != synced[0]
    assert any("x.parquet" in each for each in synced), "the document itself"
    synced.clear()
    (root / "d" / "plans").mkdir(parents=True)  # by another process, a moment ago
    Store(root).write("d/plans/y.json", b"1")
    assert {str(root), str(root / "d"), str(root / "d" / "plans")} <= set(synced)


def test_without_hard_links_nothing_is_replaced_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that appears between a look and the write stays, and the writer is refused."""
    monkeypatch.setattr(os, "link", _refuse_links)
    monkeypatch.setattr(Path, "exists", lambda _self, **_: False)
    store = Store(tmp_path)
    (tmp_path / "one").write_bytes(b"theirs")
    with pytest.raises(StoreProblem, match="there already"):
        store.write("one", b"ours")
    assert (tmp_path / "one").read_bytes() == b"theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["one"]


def test_a_claim_that_cannot_be_kept_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, a write that fails after it has claimed the name leaves no empty document in its place."""
    monkeypatch.setattr(os, "link", _refuse_links)

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = Store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(StoreProblem, match="No space left"):
            store.write("one", b"ours")
    assert not store.exists("one")
    assert list(tmp_path.iterdir()) == []
    store.write("one", b"ours")
    assert store.read("one") == b"ours"


def test_a_link_whose_answer_is_lost_was_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS may say that a name is there because it has just made it for us."""
    link = os.link

    def link_twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    store = Store(tmp_path)
    store.write("one", b"ours")
    with pytest.raises(StoreProblem, match="there already"):
        store.write("one", b"ours")
    assert store.read("one") == b"ours"


def test_drafts_of_the_dead_are_not_listed_and_go(tmp_path: Path) -> None:
    """What a killed writer left is no document; the first write into the folder a day later removes it, and no fresh draft."""
    old, fresh = tmp_path / "p" / ".x.json.0a1b2c3d", tmp_path / "p" / ".y.json.0a1b2c3e"
    (tmp_path / "p").mkdir()
    for draft in (old, fresh):
        draft.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    assert Store(tmp_path).names("p") == []
    Store(tmp_path).write("p/z.json", b"whole")
    assert Store(tmp_path).names("p") == ["z.json"]
    assert [each.exists() for each in (old, fresh)] == [False, True]


_OUTSIDE = [
    "../x", "a/../../x", "..", ".", "a/./b", "/etc/x", "a//b", "a/", "/", "a/b\\..\\c", "a\x00b", "a/.hidden", "a b", "a\nb",
    "file:///etc/x", "s3://other/x", "a/x?versionId=1", "a/x#1", "a/*", "a/[b]", "~/x/../..", "x" * 300, "caf\u00e9", "a/..",
]  # fmt: skip


@pytest.mark.parametrize("path", [*_OUTSIDE, ""])
def test_no_path_leads_outside_or_to_another_document(path: str, tmp_path: Path) -> None:
    """Whatever is done with it, the path is refused and named, and nothing was made, read or removed."""
    root = tmp_path / "deep" / "root"
    outside = tmp_path / "x"
    outside.write_bytes(b"theirs")
    store = Store(root)
    store.write("a/b/one.json", b"ours")
    for act in (store.read, store.exists, store.remove, lambda path: store.write(path, b"evil")):
        with pytest.raises(StoreProblem, match="no path of a document"):
            act(path)
    if path:
        with pytest.raises(StoreProblem, match="no path of a document"):
            store.names(path)
    assert outside.read_bytes() == b"theirs"
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()) == [
        "deep/root/a/b/one.json",
        "x",
    ]


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
