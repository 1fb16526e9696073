"""Wrong policy files, each with the whole text that its reader gets: line, column, what was found, what was expected.

``wrong_policies`` holds the files, and beside each the text. After a change of wording, ``UPDATE_GOLDEN=yes`` writes the
texts anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.adapters.policy_files.text import MAX_BYTES
from redis_ttl.domain.errors import BadInput, InvalidPolicy

FOLDER = Path(__file__).parent / "wrong_policies"
WRONG_FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", WRONG_FILES)
def test_every_mistake_is_told_with_its_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong file raises one error that lists all that is wrong with it, in the order of the file."""
    monkeypatch.chdir(FOLDER)
    with pytest.raises(InvalidPolicy) as caught:
        load_policy(Path(f"{name}.yaml"))
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "yes":
        golden.write_text(f"{caught.value}\n", encoding="utf-8")
    assert f"{caught.value}\n" == golden.read_text(encoding="utf-8")
    places = [(mistake.line, mistake.column) for mistake in caught.value.mistakes]
    assert places == sorted(places)
    assert all(line > 0 and column > 0 for line, column in places)
    assert all(mistake.found and mistake.expected for mistake in caught.value.mistakes)


def test_there_are_enough_of_them() -> None:
    """The table of wrong files covers at least forty ways to be wrong."""
    assert len(WRONG_FILES) >= 40


def test_a_file_of_ten_megabytes_is_refused_unread(tmp_path: Path) -> None:
    """The size is told, and nothing beyond the limit is read or parsed."""
    path = tmp_path / "large.yaml"
    path.write_text("cluster: shop\n# " + "x" * 10_000_000, encoding="utf-8")
    with pytest.raises(InvalidPolicy) as caught:
        load_policy(path)
    (mistake,) = caught.value.mistakes
    assert (mistake.line, mistake.column) == (1, 1)
    assert mistake.found == "10,000,016 bytes"
    assert mistake.expected == f"at most {MAX_BYTES:,} bytes"


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """What the operating system says against reading a file is a mistake like any other."""
    with pytest.raises(InvalidPolicy, match="can't be read"):
        load_policy(tmp_path / "missing.yaml")


def test_a_password_in_a_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of the mistake, which may travel to logs and messages, leave the URL out."""
    monkeypatch.chdir(FOLDER)
    with pytest.raises(InvalidPolicy) as caught:
        load_policy(Path("connection_is_a_url.yaml"))
    assert "s3cret" not in str(caught.value)


def test_the_error_survives_a_process_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow pickles exceptions: the text and the mistakes are the same on the other side."""
    monkeypatch.chdir(FOLDER)
    with pytest.raises(BadInput) as caught:
        load_policy(Path("many_mistakes.yaml"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert isinstance(copy, InvalidPolicy)
    assert copy.mistakes == getattr(caught.value, "mistakes", None)
