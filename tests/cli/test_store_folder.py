"""A terminal keeps and reads documents in folders, and says so of everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from redis_ttl.cli import drift, journal, message
from redis_ttl.cli.store_folder import store_folder
from redis_ttl.domain.errors import InvalidOption

_REFUSED = [
    ("memory://bucket/x", "memory:// can't be the store.*only if there is none of its name"),
    ("sftp://host/x", "sftp:// can't be the store.*only if there is none of its name"),
    ("s3://bucket/redis_ttl", "the terminal reads documents from a folder only"),
]


@pytest.mark.parametrize(("store", "words"), _REFUSED)
@pytest.mark.parametrize("must_exist", [True, False])
def test_a_url_is_never_taken_for_a_folder(store: str, words: str, must_exist: bool) -> None:  # noqa: FBT001
    """What the storage behind it lacks is said, and no folder of that name is made."""
    with pytest.raises(InvalidOption, match=rf"--store: .*{words}"):
        store_folder(store, must_exist=must_exist)


@pytest.mark.parametrize(
    ("app", "arguments"),
    [
        (journal.app, ["show", "20260220T190000Z-0a1b2c"]),
        (drift.app, ["show", "shop"]),
        (message.app, ["preview", "drift_found"]),
    ],
)
def test_every_command_refuses_what_it_cannot_open(app: Typer, arguments: list[str], tmp_path: Path) -> None:
    """Also a folder that isn't there, and a file."""
    (tmp_path / "file").write_text("")
    for store in ("memory://bucket/x", str(tmp_path / "nowhere"), str(tmp_path / "file")):
        result = CliRunner().invoke(app, [*arguments, "--store", store])
        assert result.exit_code != 0
        assert isinstance(result.exception, InvalidOption)


def test_a_folder_is_itself_also_by_its_url(tmp_path: Path) -> None:
    """As a path, as Airflow's URL, and before it is made where it may be made."""
    assert store_folder(str(tmp_path)) == store_folder(f"file://{tmp_path}") == tmp_path
    assert store_folder(str(tmp_path / "new"), must_exist=False) == tmp_path / "new"
