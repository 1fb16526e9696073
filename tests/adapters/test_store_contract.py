"""What holds of every store, whatever it is: asked of each kind by two processes, as two workers would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab.checkout import ROOT
from lab.live_airflow.settings import airflow_environment
from lab.services.object_store import ObjectStorage
from lab.services.store_process import StoreProcess, StoreSpec, large_document
from redis_ttl.domain.errors import StoreProblem

# Two processes and a service have to start first.
pytestmark = pytest.mark.timeout(300)

_KINDS = ["folder", "folder without hard links", "s3", "s3 in airflow", "gs", "abfs"]
_ROUNDS = 40
#: A little above what s3fs, gcsfs and adlfs send in one request by themselves.
_LARGE_BYTES = {"s3": 101 * 2**20, "gs": 51 * 2**20, "abfs": 65 * 2**20}


@dataclass(frozen=True)
class Pair:
    """Two processes with the same store, and a folder in it that no other test has."""

    kind: str
    one: StoreProcess
    other: StoreProcess
    storage: ObjectStorage | None
    folder: str

    def race(self, method: str, one: tuple[Any, ...], other: tuple[Any, ...]) -> list[bool]:
        """Have both do it at once; whether each of them succeeded."""
        self.one.begin(method, *one)
        self.other.begin(method, *other)
        return [_succeeds(each) for each in (self.one, self.other)]


@pytest.fixture(scope="module", params=_KINDS)
def pair_of_kind(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    object_storages: Callable[[str], ObjectStorage],
) -> Iterator[Pair]:
    """Two processes for each kind of store, for the whole file."""
    kind = request.param
    storage = None if kind.startswith("folder") else object_storages(kind.partition(" ")[0]).apart()
    home = tmp_path_factory.mktemp("store")
    if storage is None:
        spec = StoreSpec("folder", str(home / "new" / "root"), has_hard_links=kind == "folder")
    elif kind == "s3 in airflow":
        root, env = storage.in_airflow()
        spec = StoreSpec("airflow", root, env=airflow_environment(home, ROOT / "dags", env))
    else:
        spec = StoreSpec("upath", storage.root, storage.options, storage.env)
    with ExitStack() as stack:
        one, other = (stack.enter_context(StoreProcess(spec)) for _ in range(2))
        yield Pair(kind, one, other, storage, "")


@pytest.fixture
def pair(pair_of_kind: Pair) -> Pair:
    """The same two, and a folder of this test's own."""
    return replace(pair_of_kind, folder=f"test-{uuid4().hex[:8]}")


def test_what_one_writes_the_other_reads_at_once(pair: Pair) -> None:
    """Each look is fresh: what another process wrote or removed since the look before is seen, whatever that look saw."""
    path = f"{pair.folder}/approvals/20260101T000000Z-abcdef"
    assert pair.one.names(path) == []
    assert not pair.one.exists(f"{path}/b.json")
    pair.one.write(f"{path}/a.json", b"\x00\r\n mine \xff\n")
    assert pair.one.names(path) == pair.other.names(path) == ["a.json"]
    pair.other.write(f"{path}/b.json", b"theirs")
    assert pair.one.names(path) == ["a.json", "b.json"]
    assert pair.one.exists(f"{path}/b.json")
    assert pair.one.read(f"{path}/b.json") == b"theirs"
    assert pair.other.read(f"{path}/a.json") == b"\x00\r\n mine \xff\n"
    pair.other.remove(f"{path}/b.json")
    assert pair.one.names(path) == ["a.json"]
    assert not pair.one.exists(f"{path}/b.json")
    pair.other.write(f"{path}/b.json", b"again")
    assert pair.one.read(f"{path}/b.json") == b"again"
    assert pair.one.names(pair.folder) == ["approvals"]


def test_a_document_that_is_there_is_not_replaced(pair: Pair) -> None:
    """Neither the one who wrote it nor another can write it anew, not even the same bytes; the error names it."""
    path = f"{pair.folder}/one.json"
    pair.one.write(path, b"first")
    for process, data in ((pair.one, b"second"), (pair.other, b"second"), (pair.one, b"first"), (pair.other, b"first")):
        with pytest.raises(StoreProblem, match=rf"{path}.*there already"):
            process.write(path, data)
    assert pair.other.read(path) == b"first"
    assert pair.one.names(pair.folder) == ["one.json"]


@pytest.mark.parametrize("same", [True, False], ids=["same bytes", "other bytes"])
def test_of_two_who_write_at_once_exactly_one_wins(pair: Pair, same: bool) -> None:  # noqa: FBT001
    """Round after round one succeeds and the other hears that the document is there, also where both write the same."""
    for number in range(_ROUNDS):
        path = f"{pair.folder}/{number}"
        documents = [b"x" * 1_000, b"x" * 1_000 if same else b"y" * 2_000]
        won = pair.race("write", (path, documents[0]), (path, documents[1]))
        assert sum(won) == 1
        assert pair.one.read(path) == documents[won.index(True)]
    assert len(pair.other.names(pair.folder)) == _ROUNDS


@pytest.mark.timeout(600)
def test_a_large_document_is_whole_and_has_one_writer(pair: Pair) -> None:
    """Two who write one name at once, each a document that a library would send in parts, leave that of one of them, whole."""
    if pair.kind == "s3 in airflow":
        pytest.skip("it is s3fs again, and this takes long")
    path, size = f"{pair.folder}/large.parquet", _LARGE_BYTES.get(pair.kind, 20 * 2**20)
    won = pair.race("write_large", (path, 1, size), (path, 2, size))
    assert sum(won) == 1
    assert pair.one.digest(path) == sha256(large_document(1 + won.index(True), size)).hexdigest()


def test_a_document_is_no_folder_and_a_folder_no_document(pair: Pair) -> None:
    """A folder doesn't exist as a document, and a document has no names in it; nor has a folder what only begins like it."""
    pair.one.write(f"{pair.folder}/plans/a.json", b"{}")
    pair.one.write(f"{pair.folder}/plans.old", b"{}")
    pair.one.write(f"{pair.folder}/plan/b.json", b"{}")
    assert not pair.one.exists(f"{pair.folder}/plans")
    assert pair.one.names(f"{pair.folder}/plans/a.json") == []
    assert pair.one.names(f"{pair.folder}/plan") == ["b.json"]
    assert pair.one.names(pair.folder) == ["plan", "plans", "plans.old"]


def test_what_is_missing_says_where(pair: Pair) -> None:
    """Reading what isn't there names it; removing it is nothing."""
    with pytest.raises(StoreProblem, match=rf"{pair.folder}/nowhere\.json: the document can't be read .*same store"):
        pair.one.read(f"{pair.folder}/nowhere.json")
    pair.one.remove(f"{pair.folder}/nowhere.json")


def test_trying_a_store_out_leaves_nothing(pair: Pair) -> None:
    """A store that keeps the condition passes the trial, and lists nothing of it."""
    before = pair.one.names("")
    pair.one.try_out()
    assert pair.one.names("") == before


def test_a_bucket_that_is_not_there_is_named(pair: Pair) -> None:
    """Whatever is asked of a bucket that doesn't exist fails and names it; nothing takes it for a store without documents."""
    if pair.storage is None or pair.kind == "s3 in airflow":
        pytest.skip("a folder is made when it is needed, and Airflow's path is s3fs again")
    missing = pair.storage.with_bucket("no-such-bucket")
    spec = StoreSpec("upath", missing.root, missing.options, missing.env)
    with StoreProcess(spec) as process:
        for method, arguments in {
            "names": ("",),
            "exists": ("cl/a",),
            "read": ("cl/a",),
            "write": ("cl/a", b"x"),
            "remove": ("cl/a",),
            "try_out": (),
        }.items():
            process.begin(method, *arguments)
            with pytest.raises(StoreProblem, match="no-such-bucket"):
                process.end()
        with pytest.raises(StoreProblem, match="no-such-bucket"):
            process.names("cl/plans")


def test_what_a_console_makes_a_folder_of_is_no_document(pair: Pair) -> None:
    """The empty object whose name ends with a slash is neither listed nor read."""
    if pair.storage is None or pair.storage.protocol != "s3":
        pytest.skip("only S3's console makes them")
    _put_s3(pair.storage, f"{pair.folder}/plans/")
    assert pair.one.names(f"{pair.folder}/plans") == []
    assert not pair.one.exists(f"{pair.folder}/plans")
    pair.one.write(f"{pair.folder}/plans/a.json", b"{}")
    assert pair.one.names(f"{pair.folder}/plans") == ["a.json"]


def test_a_killed_writer_leaves_no_document(tmp_path: Path) -> None:
    """Whatever a process was killed at, a folder lists whole documents only."""
    for round_ in range(6):
        with StoreProcess(StoreSpec("folder", str(tmp_path))) as process:
            process.begin("write_large", f"large-{round_}", round_, 20 * 2**20)
            while not any(tmp_path.glob(f".large-{round_}*")) and not (tmp_path / f"large-{round_}").exists():
                pass
            process.kill()
        with StoreProcess(StoreSpec("folder", str(tmp_path))) as process:
            for name in process.names(""):
                seed = int(name.partition("-")[2])
                assert process.digest(name) == sha256(large_document(seed, 20 * 2**20)).hexdigest()


def _succeeds(process: StoreProcess) -> bool:
    """Whether what it was told to do succeeds; anything but that the document is there already is raised."""
    try:
        process.end()
    except StoreProblem as problem:
        if "there already" not in str(problem):
            raise
        return False
    return True


def _put_s3(storage: ObjectStorage, key: str) -> None:
    import s3fs

    files = s3fs.S3FileSystem(**storage.options, skip_instance_cache=True)
    files.call_s3("put_object", Bucket=storage.bucket, Key=f"{storage.folder}/{key}", Body=b"")
