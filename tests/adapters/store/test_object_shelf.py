"""What object storage does to a store: lost answers, conditions in requests, servers that know none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from upath import UPath

from lab.services.object_store import ObjectStorage
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import AlreadyWritten, InvalidOption, StoreProblem
from tests.adapters.lossy_proxy import LossyProxy

pytestmark = pytest.mark.timeout(300)  # a service has to start first

_WAYS = {"s3": b"PUT ", "gs": b"POST /upload/", "abfs": b"PUT "}
_CONDITIONS = {"s3": b"if-none-match: *", "gs": b"ifgenerationmatch=0", "abfs": b"if-none-match: *"}


class LosesWrites:
    """Loses the answers to so many writes."""

    def __init__(self, way: bytes, times: int) -> None:
        self._way = way
        self.left = times

    def __call__(self, head: bytes) -> bool:
        """Whether this one's."""
        if not head.startswith(self._way) or not self.left:
            return False
        self.left -= 1
        return True


@contextmanager
def store_through(storage: ObjectStorage, proxy: LossyProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store whose requests go through the proxy."""
    for name, value in storage.env.items():
        monkeypatch.setenv(name, value)
    options = {
        name: value.replace(_origin(storage.url), proxy.url) if isinstance(value, str) else value
        for name, value in storage.options.items()
    }
    yield Store(UPath(storage.root, **options, skip_instance_cache=True))


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


@pytest.fixture(params=["s3", "gs", "abfs"])
def storage(
    request: pytest.FixtureRequest,
    object_storages: Callable[[str], ObjectStorage],
    monkeypatch: pytest.MonkeyPatch,
) -> ObjectStorage:
    """Each service, and a folder of this test's own."""
    found = object_storages(request.param).apart()
    for name, value in found.env.items():
        monkeypatch.setenv(name, value)
    return found


def test_a_write_whose_answer_is_lost_was_ours(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library asks again and hears that the document is there; that one is our own, so the write has succeeded. Who writes the
    same bytes afterwards hasn't.
    """
    loses = LosesWrites(_WAYS[storage.protocol], 1)
    with (
        LossyProxy(_origin(storage.url), loses) as proxy,
        store_through(storage, proxy, monkeypatch) as store,
    ):
        store.write("claims/1.json", b"the same")
        assert loses.left == 0
        writes = [head for head in proxy.heads if head.startswith(_WAYS[storage.protocol])]
        assert len(writes) == 2, "the library asked again"
        with pytest.raises(AlreadyWritten):
            store.write("claims/1.json", b"the same")
        assert store.read("claims/1.json") == b"the same"


def test_another_ones_document_is_not_ours_though_our_answer_is_lost(
    storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody else was first with the same bytes, a lost answer doesn't make us the winner."""
    Store(UPath(storage.root, **storage.options)).write("claims/1.json", b"the same")
    loses = LosesWrites(_WAYS[storage.protocol], 1)
    with (
        LossyProxy(_origin(storage.url), loses) as proxy,
        store_through(storage, proxy, monkeypatch) as store,
    ):
        with pytest.raises(AlreadyWritten):
            store.write("claims/1.json", b"the same")
        assert loses.left == 0


def test_every_write_carries_the_condition(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request itself says that there must be none of that name, and it is one request, for a document of any size."""
    with (
        LossyProxy(_origin(storage.url), lambda _: False) as proxy,
        store_through(storage, proxy, monkeypatch) as store,
    ):
        store.write("small", b"x")
        store.write("empty", b"")
        store.write("large", b"x" * 66 * 2**20)
        writes = [head for head in proxy.heads if head.startswith(_WAYS[storage.protocol])]
    assert len(writes) == 3
    assert all(_CONDITIONS[storage.protocol] in head.lower() for head in writes)


def test_a_server_that_knows_no_condition_is_refused(s3_store: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks S3 and ignores If-None-Match is found out before a run begins, by its effect; nothing of the trial stays."""

    class Forgetful(LossyProxy):
        def _receive_head(self, client: Any) -> tuple[bytes, bytes, bytes]:
            head, end, body = super()._receive_head(client)
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"if-none-match")]
            return b"\r\n".join(lines), end, body

    with (
        Forgetful(_origin(s3_store.url), lambda _: False) as proxy,
        store_through(s3_store, proxy, monkeypatch) as store,
    ):
        with pytest.raises(InvalidOption, match=rf"{s3_store.bucket}.*replaces a document"):
            store.try_out()
        assert store.names("") == []
    Store(UPath(s3_store.root, **s3_store.options)).try_out()


@pytest.mark.parametrize(
    "url", ["memory://bucket/x", "http://127.0.0.1:1/x", "sftp://host/x", "hdfs://host/x", "simplecache::s3://bucket/x"]
)
def test_a_store_that_is_not_known_to_keep_the_condition_is_refused(url: str) -> None:
    """Opening it is an error that names the protocol and what it lacks; nothing is asked of it."""

    class Path:
        protocol = url.partition("://")[0]
        path = "bucket/x"

        @property
        def fs(self) -> Any:
            raise AssertionError

    with pytest.raises(InvalidOption, match=rf"{Path.protocol}://.*only if there is none of its name"):
        Store(Path())


def test_a_foreign_library_behind_a_known_protocol_is_refused() -> None:
    """Who has attached a file system of his own to s3:// is told that nothing is known of it."""

    class Path:
        protocol = "s3"
        path = "bucket/x"
        fs = object()

    with pytest.raises(InvalidOption, match=r"builtins\.object"):
        Store(Path())


def test_a_store_without_a_bucket_is_refused(s3_store: ObjectStorage) -> None:
    """There is nothing that such a URL could mean."""

    class Path:
        protocol = "s3"
        path = ""
        fs = UPath(s3_store.root, **s3_store.options).fs

    with pytest.raises(InvalidOption, match="needs a bucket"):
        Store(Path())


def test_a_service_that_does_not_answer_is_a_problem_with_a_name(s3_store: ObjectStorage) -> None:
    """Nothing of what a library raises gets through."""
    options = {
        **s3_store.options,
        "endpoint_url": "http://127.0.0.1:1",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    path = UPath(s3_store.root, **options, skip_instance_cache=True)
    path.fs.retries = 1
    with pytest.raises(StoreProblem, match=s3_store.bucket):
        Store(path).names("cl")
