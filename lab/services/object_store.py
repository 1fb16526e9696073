"""An S3, an Azure Blob Storage and a Google Cloud Storage for tests, each in a process and on a loopback port of its own.

S3 is moto, Google's is gcp-storage-emulator, Azure's is azurite (``make azurite``). Two of them fall short of the service that they
stand for, and are helped here to what it documents. Moto looks whether there is an object and then writes it, on as many threads as
there are requests; here one writing request waits for the other. gcp-storage-emulator doesn't know ``ifGenerationMatch``
(https://docs.cloud.google.com/storage/docs/request-preconditions); here it does, for the uploads that we make. The module knows
nothing of pytest: `is_installed` says what can be run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import httpx

from lab.checkout import ROOT
from lab.loopback import free_port
from lab.servers.server import ServerDidNotStart
from lab.waiting import wait_for

AZURITE = ROOT / "build" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_START_TIMEOUT_S = 180.0
#: What azurite, and every other emulator of Azure, has as its account: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
_AZURE_ACCOUNT = "devstoreaccount1"
_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class ObjectStorage:
    """One running service with an empty bucket, until its ``with`` block ends."""

    protocol: str
    url: str
    """Where its API answers."""
    bucket: str
    options: Mapping[str, Any]
    """For fsspec, in this process or another."""
    env: Mapping[str, str] = field(default_factory=dict)
    """For a process that takes its settings from there, such as an Airflow: with it, `root` leads here."""

    folder: str = "redis_ttl"

    @property
    def root(self) -> str:
        """The URL of a store in the bucket."""
        return f"{self.protocol}://{self.bucket}/{self.folder}"

    def apart(self) -> ObjectStorage:
        """The same bucket, and a folder in it that nobody else has."""
        return replace(self, folder=f"redis_ttl_{uuid.uuid4().hex[:12]}")

    def with_bucket(self, bucket: str) -> ObjectStorage:
        """The same service, another bucket that nobody has made."""
        return replace(self, bucket=bucket)

    def airflow_environment(self) -> dict[str, str]:
        """The environment of an Airflow whose store this is. S3 only."""
        root, env = self.in_airflow()
        return {"REDIS_TTL_STORE": root, **env}

    def in_airflow(self, conn_id: str = "aws_store") -> tuple[str, dict[str, str]]:
        """For an Airflow: the store's URL, and the environment that makes its connection. S3 only."""
        extra = {"endpoint_url": self.url, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
        root = f"{self.protocol}://{conn_id}@{self.bucket}/{self.folder}"
        return root, {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection), "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def run_s3() -> Iterator[ObjectStorage]:
    """Moto, in another process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "lab.services.object_store", "s3", str(port)]
    with _running(command, lambda: httpx.get(f"{url}/moto-api/", timeout=2).is_success):
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        httpx.put(f"{url}/{bucket}", timeout=10).raise_for_status()
        env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        options = {"key": "test", "secret": "test", "endpoint_url": url}
        yield ObjectStorage("s3", url, bucket, options, env)


@contextmanager
def run_gcs() -> Iterator[ObjectStorage]:
    """gcp-storage-emulator, in another process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "lab.services.object_store", "gs", str(port)]
    with _running(command, lambda: httpx.get(f"{url}/storage/v1/b", params={"project": "test"}, timeout=2).is_success):
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        answer = httpx.post(f"{url}/storage/v1/b", params={"project": "test"}, json={"name": bucket}, timeout=10)
        answer.raise_for_status()
        # Without this gcsfs asks Google by gRPC what kind of bucket it is.
        env = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
        yield ObjectStorage("gs", url, bucket, {"endpoint_url": url, "token": "anon", "project": "test"}, env)


@contextmanager
def run_azure() -> Iterator[ObjectStorage]:
    """Azurite, in another process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/{_AZURE_ACCOUNT}"
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={_AZURE_ACCOUNT};AccountKey={_AZURE_KEY};BlobEndpoint={url};"
    )
    with tempfile.TemporaryDirectory(prefix="redis-ttl-azurite-") as folder:
        command = ["node", str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with _running(command, lambda: httpx.get(url, timeout=2).status_code < HTTPStatus.INTERNAL_SERVER_ERROR):
            from azure.storage.blob import BlobServiceClient

            bucket = f"bucket-{uuid.uuid4().hex[:12]}"
            with BlobServiceClient.from_connection_string(connection) as client:
                client.create_container(bucket).close()
            yield ObjectStorage("abfs", url, bucket, {"connection_string": connection})


@contextmanager
def store_of_run() -> Iterator[ObjectStorage | None]:
    """The storage that the environment variable STORE names (``s3``), for a whole run; None for a folder."""
    protocol = os.environ.get("STORE") or "folder"
    if protocol == "folder":
        yield None
        return
    with RUN[protocol]() as storage:
        yield storage


def is_installed(protocol: str) -> bool:
    """Whether that service can be run here."""
    if protocol == "abfs":
        return AZURITE.is_file()
    return importlib.util.find_spec({"s3": "moto", "gs": "gcp_storage_emulator"}[protocol]) is not None


RUN = {"s3": run_s3, "gs": run_gcs, "abfs": run_azure}


@contextmanager
def _running(command: list[str], answers: Any) -> Iterator[None]:
    """A server in a process of its own; it ends with the block, and with whoever started it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=os.environ
        )

        def is_up() -> bool:
            if process.poll() is not None:
                raise ServerDidNotStart(_tail(log))
            try:
                return bool(answers())
            except httpx.HTTPError:
                return False

        try:
            wait_for(is_up, "an object store", _START_TIMEOUT_S)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _tail(log: Any) -> str:
    log.seek(0)
    return str(log.read().decode(errors="replace"))[-4_000:]


def _end_with_parent() -> None:
    """Whoever started this process holds its standard input; when that one is killed, nobody stops us but ourselves."""
    sys.stdin.buffer.read()
    os._exit(0)


class OneWriterAtATime:
    """WSGI: requests that change something wait for each other."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request."""
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return self._app(environ, start_response)
        with self._lock:
            return list(self._app(environ, start_response))


def _serve_s3(port: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = OneWriterAtATime(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


def _serve_gcs(port: int) -> None:
    from gcp_storage_emulator.exceptions import NotFound  # type: ignore[import-untyped]
    from gcp_storage_emulator.handlers import objects  # type: ignore[import-untyped]
    from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]

    upload = objects._multipart_upload

    def upload_on_condition(request: Any, response: Any, storage: Any) -> None:
        if request.query.get("ifGenerationMatch") == ["0"]:
            with contextlib.suppress(NotFound):
                storage.get_file_obj(request.params["bucket_name"], request.data["meta"]["name"])
                response.status = HTTPStatus.PRECONDITION_FAILED
                return
        upload(request, response, storage)

    objects._multipart_upload = upload_on_condition
    create_server("127.0.0.1", port, in_memory=True).run()


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    {"s3": _serve_s3, "gs": _serve_gcs}[sys.argv[1]](int(sys.argv[2]))
