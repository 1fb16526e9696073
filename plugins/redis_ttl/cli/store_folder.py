"""The folder that ``--store`` means. A terminal keeps and reads documents in folders only, and says so of everything else."""

from __future__ import annotations

from pathlib import Path

from redis_ttl.domain.errors import InvalidOption


def store_folder(text: str, *, where: str = "--store", must_exist: bool = True) -> Path:
    """The folder, also by the ``file://`` URL that Airflow would have. Raises :class:`InvalidOption` for a URL of anything else,
    and for a folder that isn't there where it ``must_exist``.
    """
    protocol, is_url, rest = text.partition("://")
    if is_url and protocol != "file":
        from redis_ttl.adapters.store.object_shelf import refuse_protocol

        refuse_protocol(protocol, where=where)
        raise InvalidOption(
            "the terminal reads documents from a folder only",
            where=where,
            found=text,
            todo="Copy the cluster's folder from the bucket, and use that.",
        )
    folder = Path(rest if is_url else text)
    if folder.exists() and not folder.is_dir():
        raise InvalidOption("this is a file, not a folder", where=where, found=str(folder))
    if must_exist and not folder.is_dir():
        raise InvalidOption("there is no such folder", where=where, found=str(folder))
    return folder
