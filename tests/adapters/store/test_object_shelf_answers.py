"""What a store makes of each answer of object storage's library: a stand-in that answers what the services do only now and then.

That the real libraries and services answer so is what ``test_object_shelf`` and ``test_store_contract`` show.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from redis_ttl.adapters.store import object_shelf
from redis_ttl.adapters.store.object_shelf import ObjectShelf, is_folder_url, refuse_protocol
from redis_ttl.domain.errors import InvalidOption

ROOT = "bucket/prefix"


class ListingsCache:
    """What a library keeps of its looks."""

    use_listings_cache = True


class FileSystem:
    """A service in memory behind a library that keeps listings unless it is told not to."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.buckets = {"bucket"}
        self.dircache = ListingsCache()
        self.forgotten = 0
        self.writes: list[dict[str, Any]] = []
        self.on_write: list[Callable[[str, bytes, str], None]] = []
        self.listed: list[dict[str, Any]] | None = None
        self.may_ask_for_bucket = True

    def invalidate_cache(self) -> None:
        """Forget the looks before."""
        self.forgotten += 1

    def pipe_file(self, path: str, data: bytes, **how: Any) -> None:
        """Write, as the next of the test's answers says, or else if there is none of that name."""
        self.writes.append(how)
        mark = how["ContentType"]
        if self.on_write:
            self.on_write.pop(0)(path, data, mark)
            return
        if path in self.objects:
            raise OSError("PreconditionFailed")
        self.objects[path] = (data, mark)

    def cat_file(self, path: str) -> Any:
        """The object."""
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path][0]

    def info(self, path: str) -> dict[str, Any]:
        """What is known of an object, a folder or the bucket."""
        if path in self.objects:
            return {"type": "file", "ContentType": self.objects[path][1]}
        if path in self.buckets and self.may_ask_for_bucket:
            return {"type": "directory"}
        if any(name.startswith(f"{path}/") for name in self.objects):
            return {"type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, *, detail: bool = False) -> Any:
        """The entries of a folder."""
        assert detail or path == "bucket"
        if path.partition("/")[0] not in self.buckets:
            raise FileNotFoundError(path)
        if self.listed is not None:
            return self.listed
        return [{"name": name} for name in self.objects if name.startswith(f"{path}/")]

    def rm_file(self, path: str) -> None:
        """Remove it."""
        if self.objects.pop(path, None) is None:
            raise FileNotFoundError(path)


S3FileSystem = type("S3FileSystem", (FileSystem,), {"__module__": "s3fs.core"})


class Conflict(OSError):
    """The service can't tell yet who is first."""

    def __init__(self, status: int = 409) -> None:
        super().__init__(f"status {status}")
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


def raising(error: Exception) -> Callable[[str, bytes, str], None]:
    """A write that ends so, with nothing written."""

    def act(*_: object) -> None:
        raise error

    return act


@pytest.fixture
def fs() -> Any:
    """The service."""
    return S3FileSystem()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_a_document_is_created_under_its_path_in_one_request(fs: Any) -> None:
    """Below bucket and prefix, however they are written, with a mark of its own each time."""
    for root in (ROOT, f"/{ROOT}/"):
        shelf = ObjectShelf(fs, root, "s3")
        shelf.create(("a", f"{len(fs.objects)}.json"), b"x")
    assert list(fs.objects) == [f"{ROOT}/a/0.json", f"{ROOT}/a/1.json"]
    assert shelf.place(("a", "b")) == f"s3://{ROOT}/a/b"
    assert {how["mode"] for how in fs.writes} == {"create"}
    assert {how["chunksize"] for how in fs.writes} == {4_900 * 2**20}, "no document is sent in parts"
    marks = [how["ContentType"] for how in fs.writes]
    assert len(set(marks)) == 2
    assert all(each.startswith("application/octet-stream; writer=") for each in marks)


@pytest.mark.parametrize("conflicts", [1, 6])
def test_a_conflict_is_waited_out(fs: Any, slept: list[float], conflicts: int) -> None:
    """Where the service can't tell yet who is first, it is asked again, later each time, six times at most."""
    fs.on_write = [raising(Conflict()) for _ in range(conflicts)]
    ObjectShelf(fs, ROOT, "s3").create(("one",), b"x")
    assert f"{ROOT}/one" in fs.objects
    assert slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6][:conflicts]


def test_a_conflict_that_stays_is_told(fs: Any, slept: list[float]) -> None:
    """After the last wait it is an error like another, and nothing is written."""
    fs.on_write = [raising(Conflict()) for _ in range(9)]
    with pytest.raises(Conflict):
        ObjectShelf(fs, ROOT, "s3").create(("one",), b"x")
    assert (len(slept), len(fs.on_write)) == (6, 2)


@pytest.mark.parametrize("error", [Conflict(412), Conflict(500), OSError("no route")])
def test_what_is_no_conflict_is_not_tried_again(fs: Any, slept: list[float], error: Exception) -> None:
    """Any other failure ends the write at once, and is handed on."""
    fs.on_write = [raising(error)]
    with pytest.raises(type(error)):
        ObjectShelf(fs, ROOT, "s3").create(("one",), b"x")
    assert slept == []


def test_a_conflict_behind_another_error_is_one(fs: Any, slept: list[float]) -> None:
    """The library may wrap the service's answer in an error of its own."""

    def wrapped(*_: object) -> None:
        raise OSError("wrapped") from Conflict()

    fs.on_write = [wrapped]
    ObjectShelf(fs, ROOT, "s3").create(("one",), b"x")
    assert slept == [0.05]


def test_our_own_document_was_written_by_us_whatever_the_answer_says(fs: Any, slept: list[float]) -> None:
    """An answer that got lost after the writing is no failure; a document with another mark is somebody else's."""

    def lost(path: str, data: bytes, mark: str) -> None:
        fs.objects[path] = (data, mark)
        raise OSError("the answer is lost")

    fs.on_write = [lost]
    shelf = ObjectShelf(fs, ROOT, "s3")
    shelf.create(("one",), b"x")
    with pytest.raises(FileExistsError):
        shelf.create(("one",), b"x")
    assert slept == []


def test_what_is_too_large_for_one_request_is_refused(fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is one request or none: as large as one may be it is written, and a byte more isn't."""
    monkeypatch.setattr(object_shelf, "_LARGEST_BYTES", 5)
    shelf = ObjectShelf(fs, ROOT, "s3")
    shelf.create(("one",), b"12345")
    with pytest.raises(ValueError, match=r"6 bytes; s3:// takes 5 in one request"):
        shelf.create(("two",), b"123456")
    assert list(fs.objects) == [f"{ROOT}/one"]


def test_every_look_is_a_fresh_one(fs: Any) -> None:
    """Before each reading, asking and listing the library forgets what it knew, and is kept from knowing it again."""
    shelf = ObjectShelf(fs, ROOT, "s3")
    shelf.create(("one",), b"x")
    for look in (lambda: shelf.read(("one",)), lambda: shelf.exists(("one",)), lambda: shelf.names(())):
        fs.dircache.use_listings_cache, fs.forgotten = True, 0
        look()
        assert not fs.dircache.use_listings_cache
        assert fs.forgotten >= 1


def test_what_is_not_there_is_missing_and_a_folder_is_no_document(fs: Any) -> None:
    """Reading says so, asking says no, removing does nothing."""
    shelf = ObjectShelf(fs, ROOT, "s3")
    shelf.create(("a", "one"), b"x")
    assert [shelf.exists(each) for each in (("a", "one"), ("a",), ("b",))] == [True, False, False]
    with pytest.raises(FileNotFoundError, match="there is none"):
        shelf.read(("b",))
    shelf.remove(("b",))
    shelf.remove(("a", "one"))
    assert not shelf.exists(("a", "one"))


def test_a_bucket_that_is_not_there_is_no_empty_store(fs: Any) -> None:
    """Whatever is asked of it, it is named."""
    shelf = ObjectShelf(fs, ROOT, "s3")
    fs.buckets.clear()
    fs.on_write = [raising(OSError("no bucket"))]
    acts: list[Callable[[], object]] = [
        lambda: shelf.read(("b",)),
        lambda: shelf.exists(("b",)),
        lambda: shelf.remove(("b",)),
        lambda: shelf.names(()),
        lambda: shelf.create(("b",), b"x"),
    ]
    for act in acts:
        with pytest.raises(FileNotFoundError, match="there is no bucket bucket"):
            act()


def test_who_may_not_ask_for_a_bucket_may_list_it(fs: Any) -> None:
    """Where asking for the bucket is forbidden, its listing says that it is there."""
    shelf = ObjectShelf(fs, ROOT, "s3")
    fs.may_ask_for_bucket = False
    assert shelf.exists(("b",)) is False
    assert shelf.names(()) == set()


def test_a_listing_has_the_documents_of_the_folder_alone(fs: Any) -> None:
    """Not what only begins like it, nor the folder itself, nor what is deeper or hidden."""
    names = ["a/one", "a/two/", "a/b/three", "ab/four", "a/.five", "a/", "a"]
    fs.listed = [{"name": f"{ROOT}/{name}"} for name in names]
    assert ObjectShelf(fs, ROOT, "s3").names(("a",)) == {"one", "two"}


def test_a_library_that_returns_no_bytes_is_not_believed(fs: Any) -> None:
    """A dictionary, which fsspec gives for several paths, is no document."""
    shelf = ObjectShelf(fs, ROOT, "s3")
    fs.objects[f"{ROOT}/one"] = ({}, "")
    with pytest.raises(TypeError, match="returned dict"):
        shelf.read(("one",))


def test_only_a_library_that_keeps_the_condition_is_taken(fs: Any) -> None:
    """By its own name, or that of one it is made of; a store without a bucket is refused, too."""
    assert ObjectShelf(type("Ours", (S3FileSystem,), {})(), ROOT, "s3").place(()) == f"s3://{ROOT}"
    for other in (FileSystem, type("S3FileSystem", (FileSystem,), {"__module__": "other.core"})):
        with pytest.raises(InvalidOption, match="s3fs, gcsfs or adlfs"):
            ObjectShelf(other(), ROOT, "s3")
    for root in ("", "/"):
        with pytest.raises(InvalidOption, match="needs a bucket"):
            ObjectShelf(fs, root, "s3")


def test_which_urls_are_folders() -> None:
    """Those without a scheme, and those of files."""
    assert [is_folder_url(each) for each in ("", "file", "local", "s3", "gs")] == [True, True, True, False, False]


def test_only_known_storage_is_a_store() -> None:
    """Behind other schemes nobody knows whether a document could be replaced: they are refused, with what is allowed."""
    for protocol in ("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl"):
        refuse_protocol(protocol, where="x")
    with pytest.raises(InvalidOption, match=r"sftp:// can't be the store.*found sftp://; expected a folder, s3://"):
        refuse_protocol("sftp", where="sftp://host/x")
