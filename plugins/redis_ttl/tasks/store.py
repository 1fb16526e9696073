"""Opens the document store that ``REDIS_TTL_STORE`` names, and refuses one that the tasks of a run wouldn't share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import InvalidOption

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from redis_ttl.adapters.store.store import Store

STORE_VARIABLE: Final = "REDIS_TTL_STORE"
_RUNS_TASKS_ON_ITS_OWN_MACHINE: Final = "LocalExecutor"


def open_store() -> Store:
    """The store of this Airflow: an ObjectStoragePath URL such as ``s3://aws_default@bucket/redis_ttl``, or
    ``redis_ttl/`` under AIRFLOW_HOME.

    Raises :class:`InvalidOption` for a local folder with an executor that runs tasks on other machines, and for storage that
    isn't known to create documents on condition, or whose provider isn't installed.
    """
    from airflow.sdk import ObjectStoragePath, conf

    from redis_ttl.adapters.store.object_shelf import is_folder_url, refuse_protocol
    from redis_ttl.adapters.store.store import Store

    url = store_url()
    path = ObjectStoragePath(url)
    if not is_folder_url(path.protocol):
        refuse_protocol(path.protocol, where=STORE_VARIABLE)
        _refuse_unknown(path, url)
        return Store(path)
    refuse_unshared(url, conf.get("core", "executor"))
    return Store(Path(path.path))  # a plain folder can promise more than object storage: whole documents, durable ones


def store_url() -> str:
    """Where the store lies: as it is written, or the default."""
    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    return os.environ.get(STORE_VARIABLE) or f"file://{home / 'redis_ttl'}"


def open_store_for_writing() -> Store:
    """The store of this Airflow, tried out: for the first task of a run that changes keys, so that what a store can't do ends the
    run before anything is asked or done.
    """
    store = open_store()
    store.try_out()
    return store


def refuse_unshared(url: str, executors: str) -> None:
    """Raise :class:`InvalidOption` unless the executor that Airflow's ``[core] executor`` setting makes the default
    keeps to one machine.

    With teams the setting has a list for each, and any of their defaults may run our tasks.
    """
    for team in executors.split(";"):
        default = team.rpartition("=")[2].split(",")[0].strip()
        if default.rpartition(".")[2].rpartition(":")[2] != _RUNS_TASKS_ON_ITS_OWN_MACHINE:
            raise InvalidOption(
                f"a local folder can't be the store when {default} runs tasks on several machines: each would see its own folder",
                where=STORE_VARIABLE,
                found=url,
                allowed="object storage that every worker reaches, such as s3://aws_default@bucket/redis_ttl",
                todo=f"Set {STORE_VARIABLE} for every component of this Airflow, install the provider of that storage, "
                "and clear this task.",
            )


def _refuse_unknown(path: ObjectStoragePath, url: str) -> None:
    try:
        path.fs  # noqa: B018 - Airflow looks for the provider of the scheme when it is first needed
    except (ValueError, ImportError) as error:
        raise InvalidOption(
            f"this Airflow can't open {path.protocol}:// ({error})",
            where=STORE_VARIABLE,
            found=url,
            allowed="a folder, or object storage whose provider is installed",
            todo="Install the provider, such as apache-airflow-providers-amazon[s3fs] for s3://, on every worker.",
        ) from error
