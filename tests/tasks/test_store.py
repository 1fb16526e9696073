from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from lab.services.object_store import ObjectStorage
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.tasks.store import open_store, open_store_for_writing, refuse_unshared

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "executors",
    [
        "LocalExecutor",
        "airflow.executors.local_executor.LocalExecutor",
        "LocalExecutor,CeleryExecutor",
        "LocalExecutor;one=LocalExecutor",
    ],
)
def test_a_local_folder_is_right_where_tasks_stay_on_one_machine(executors: str) -> None:
    """The default executor decides, because no task of ours asks for another one; what follows it in the list doesn't."""
    refuse_unshared("file:///var/redis_ttl", executors)
    with pytest.raises(InvalidOption, match="CeleryExecutor"):
        refuse_unshared("file:///var/redis_ttl", f"CeleryExecutor,{executors.partition(';')[0]}")


@pytest.mark.parametrize(
    "executors",
    [
        "CeleryExecutor",
        "KubernetesExecutor",
        "CeleryExecutor,LocalExecutor",
        "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor",
        "LocalExecutor;one=CeleryExecutor",
    ],
)
def test_a_local_folder_is_refused_where_tasks_run_elsewhere(executors: str) -> None:
    """The error names the variable, the folder, the executor, and what to use instead."""
    with pytest.raises(InvalidOption) as caught:
        refuse_unshared("file:///var/redis_ttl", executors)
    text = str(caught.value)
    for words in ("REDIS_TTL_STORE", "file:///var/redis_ttl", "Executor", "s3://"):
        assert words in text


@pytest.mark.parametrize("prefix", ["file://", ""])
def test_documents_go_where_the_variable_says(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document written through the store lies in the folder that REDIS_TTL_STORE names."""
    monkeypatch.setenv("REDIS_TTL_STORE", f"{prefix}{tmp_path}/store")
    open_store().write("one/audits/a/audit.json", b"{}")
    assert (tmp_path / "store" / "one" / "audits" / "a" / "audit.json").read_bytes() == b"{}"


def test_the_default_is_a_folder_under_airflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, documents lie in redis_ttl/ under AIRFLOW_HOME."""
    monkeypatch.delenv("REDIS_TTL_STORE", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    open_store().write("one/a", b"x")
    assert (tmp_path / "redis_ttl" / "one" / "a").read_bytes() == b"x"


def test_object_storage_needs_no_local_executor(s3_store: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that isn't a local folder is accepted with every executor, and keeps documents."""
    for name, value in s3_store.airflow_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    store = open_store_for_writing()
    store.write("one/a", b"x")
    assert (store.read("one/a"), store.names("one"), store.names("")) == (b"x", ["a"], ["one"])


@pytest.mark.parametrize("protocol", ["memory", "sftp", "http", "hdfs", "github"])
def test_storage_that_is_not_known_to_create_on_condition_is_refused(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any work, with the protocol's name and what is missing; also where Airflow could open it."""
    attach(protocol, fs=MemoryFileSystem())
    monkeypatch.setenv("REDIS_TTL_STORE", f"{protocol}://bucket/redis_ttl")
    with pytest.raises(InvalidOption, match=rf"REDIS_TTL_STORE: {protocol}://.*only if there is none of its name"):
        open_store()


def test_storage_without_its_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme that no installed provider knows is an error at once, and names what to install."""
    monkeypatch.setenv("REDIS_TTL_STORE", "abfs://bucket/redis_ttl")
    with pytest.raises(InvalidOption, match=r"abfs.*Install the provider"):
        open_store()
