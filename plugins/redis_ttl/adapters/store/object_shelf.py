"""Documents in object storage, over fsspec: S3 (s3fs), Google Cloud Storage (gcsfs), Azure Blob Storage (adlfs).

A document is one request that the service carries out only if there is no object of that name: ``If-None-Match: *`` on S3 and
Azure, ``ifGenerationMatch=0`` on Google. It is always one request, whatever its size: parts of an upload in several would be
shared between two who write one name at once. Each library keeps the listings that it has seen for the life of the process; that
is switched off. A document carries the mark of whoever wrote it: on Google in its metadata, on S3 and Azure, where these libraries
don't tell the metadata of an object, as a parameter of its content type.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from redis_ttl.domain.errors import InvalidOption

_CONDITION: Final = "to create a document only if there is none of its name"
_FOLDERS: Final = frozenset({"", "file", "local"})
_SUPPORTED: Final = "a folder, s3://, gs:// (gcs://) or abfs:// (abfss://, az://, adl://)"
#: The most that S3 and Azure take in one request, less a little.
_LARGEST_BYTES: Final = 4_900 * 2**20
#: S3 answers so when it can't yet tell which of two is the first. Those who wait longer than this are told that it can't be written.
_CONFLICT: Final = 409
_CONFLICT_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def _create_s3(fs: Any, path: str, data: bytes, mark: str) -> None:
    fs.pipe_file(path, data, mode="create", chunksize=_LARGEST_BYTES, ContentType=_content_type(mark))


def _create_gcs(fs: Any, path: str, data: bytes, mark: str) -> None:
    fs.pipe_file(path, data, mode="create", chunksize=_LARGEST_BYTES, metadata={"writer": mark})


def _create_azure(fs: Any, path: str, data: bytes, mark: str) -> None:
    from azure.storage.blob import ContentSettings  # noqa: PLC0415 - only who uses Azure has it

    fs.pipe_file(path, data, overwrite=False, content_settings=ContentSettings(content_type=_content_type(mark)))


def _content_type(mark: str) -> str:
    return f"application/octet-stream; writer={mark}"


def _prepare_azure(fs: Any) -> None:
    # What the clients' argument of this name sets; adlfs has no way to give it. Above it a blob is sent in blocks, whose ids
    # are the same for all who write that blob: what the first commits could be made of the blocks of both.
    fs.service_client._config.max_single_put_size = _LARGEST_BYTES  # noqa: SLF001


#: Who keeps the condition, by the library and its class, with the way to ask for it.
_CREATE: Final[dict[tuple[str, str], Callable[[Any, str, bytes, str], None]]] = {
    ("s3fs", "S3FileSystem"): _create_s3,
    ("gcsfs", "GCSFileSystem"): _create_gcs,
    ("adlfs", "AzureBlobFileSystem"): _create_azure,
}
_PROTOCOLS: Final = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl"})


def is_folder_url(protocol: str) -> bool:
    """Whether a URL of that scheme names a folder."""
    return protocol in _FOLDERS


def refuse_protocol(protocol: str, *, where: str) -> None:
    """Raise :class:`InvalidOption` unless the storage behind URLs of that scheme is known to keep the condition."""
    if protocol not in _PROTOCOLS:
        raise InvalidOption(
            f"{protocol}:// can't be the store: nothing says that it can be told {_CONDITION}, so that two tasks could replace each "
            "other's journals and approvals",
            where=where,
            found=f"{protocol}://",
            allowed=_SUPPORTED,
        )


class ObjectShelf:
    """The documents below ``root`` (the bucket's name and a prefix) in a file system of fsspec."""

    failures: type[Exception] = Exception

    def __init__(self, fs: Any, root: str, protocol: str) -> None:
        self._fs = fs
        self._root = root.strip("/")
        self._protocol = protocol
        self._bucket = self._root.partition("/")[0]
        if not self._bucket:
            raise InvalidOption(
                "a store needs a bucket", where=f"{protocol}://", allowed=f"{protocol}://bucket/redis_ttl"
            )
        self._create = self._way_to_create()
        if self._create is _create_azure:
            _prepare_azure(fs)

    def place(self, parts: Sequence[str]) -> str:
        """The URL of a document."""
        return f"{self._protocol}://{self._path(parts)}"

    def create(self, parts: Sequence[str], data: bytes) -> None:
        """Create a document; `FileExistsError` when somebody else has."""
        if len(data) > _LARGEST_BYTES:
            raise ValueError(f"{len(data):,} bytes; {self._protocol}:// takes {_LARGEST_BYTES:,} in one request")
        path, mark = self._path(parts), secrets.token_hex(16)
        for wait_s in (*_CONFLICT_WAITS_S, None):
            try:
                self._create(self._fs, path, data, mark)
            except Exception as error:
                found = self._info(path)
                if found is None:
                    self._require_bucket()
                    if wait_s is not None and _status(error) == _CONFLICT:
                        time.sleep(wait_s)
                        continue
                    raise
                if mark not in _marks(found):
                    raise FileExistsError(path) from error
            return

    def read(self, parts: Sequence[str]) -> bytes:
        """The document."""
        self._forget()
        try:
            data = self._fs.cat_file(self._path(parts))
        except FileNotFoundError:
            self._require_bucket()
            raise FileNotFoundError("there is none") from None
        if not isinstance(data, bytes):
            raise TypeError(f"the storage's library returned {type(data).__name__}")
        return data

    def exists(self, parts: Sequence[str]) -> bool:
        """Whether it is there."""
        if self._info(self._path(parts)) is not None:
            return True
        self._require_bucket()
        return False

    def remove(self, parts: Sequence[str]) -> None:
        """Remove it."""
        try:
            self._fs.rm_file(self._path(parts))
        except FileNotFoundError:
            self._require_bucket()

    def names(self, parts: Sequence[str]) -> set[str]:
        """The names in a folder. The object by which consoles make a folder isn't among them, and neither is anything hidden."""
        folder = self._path(parts)
        self._forget()
        try:
            entries = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            entries = []
        if not entries:
            self._require_bucket()
        # Some libraries list what only begins like the folder, and the folder itself.
        found = (each["name"].rstrip("/").removeprefix(f"{folder}/") for each in entries)
        return {name for name in found if name and "/" not in name and not name.startswith(".")}

    def _path(self, parts: Sequence[str]) -> str:
        return "/".join((self._root, *parts))

    def _info(self, path: str) -> Any:
        """What is known of an object; None when there is none, or only a folder."""
        self._forget()
        try:
            found = self._fs.info(path)
        except FileNotFoundError:
            return None
        return found if found["type"] == "file" else None

    def _require_bucket(self) -> None:
        """Raise `FileNotFoundError` when there is no bucket. To ask for it may be forbidden where listing it isn't."""
        self._forget()
        with suppress(Exception):
            self._fs.info(self._bucket)
            return
        try:
            self._fs.ls(self._bucket)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no bucket {self._bucket}") from None

    def _forget(self) -> None:
        """Switch off what the library keeps of the looks before, also where somebody who shares it has switched it on."""
        self._fs.dircache.use_listings_cache = False
        self._fs.invalidate_cache()

    def _way_to_create(self) -> Callable[[Any, str, bytes, str], None]:
        for each in type(self._fs).__mro__:
            way = _CREATE.get((each.__module__.partition(".")[0], each.__name__))
            if way is not None:
                return way
        raise InvalidOption(
            f"{self._protocol}:// is opened by {type(self._fs).__module__}.{type(self._fs).__qualname__}, and nothing says that "
            f"this one can be told {_CONDITION}",
            where=f"{self._protocol}://{self._root}",
            allowed="s3fs, gcsfs or adlfs",
        )


def _marks(info: Any) -> str:
    """Where each library tells the mark of the writer."""
    settings = info.get("content_settings")
    return f"{info.get('ContentType')} {getattr(settings, 'content_type', None)} {info.get('metadata')}"


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error of s3fs; None where there is none."""
    response = getattr(error.__cause__ or error, "response", None)
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
