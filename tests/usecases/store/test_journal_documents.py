from __future__ import annotations

from pathlib import Path

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import DamagedDocument, StoreProblem
from redis_ttl.domain.rollback.journal import JournalName, attempt_of, checksum_of
from redis_ttl.usecases.store.plans import PlanDocuments

ATTEMPT = attempt_of(1_780_000_000_000, "abcdef")
NAME = JournalName(ATTEMPT, "shard-0", 0)
FOLDER = "test/journals/20261124T010101Z-abcdef"


class Listings(Store):
    """A store that counts how often a folder is listed."""

    listed = 0

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""
        self.listed += 1
        return super().names(folder)


def documents(store: Store) -> PlanDocuments:
    """The plan's documents, as a new process sees them."""
    return PlanDocuments(store, "test", "20261124T010101Z-abcdef")


def test_an_object_carries_the_checksum_of_what_it_holds(tmp_path: Path) -> None:
    """What was written is read back under a name with its checksum; anything else under that name is refused."""
    kept = documents(Store(tmp_path))
    name = kept.write_journal(NAME, b"rows")
    assert (name.checksum, kept.journal_names()) == (checksum_of(b"rows"), [name])
    assert kept.journal(name) == b"rows"
    (tmp_path / FOLDER / str(name)).write_bytes(b"rowz")
    with pytest.raises(DamagedDocument, match="isn't what was written"):
        kept.journal(name)


def test_objects_of_the_first_version_are_read(tmp_path: Path) -> None:
    """An object whose name has no checksum is read as it is."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / str(NAME)).write_bytes(b"rows")
    kept = documents(Store(tmp_path))
    assert kept.journal_names() == [NAME]
    assert kept.journal(NAME) == b"rows"


@pytest.mark.parametrize("another_process", [False, True])
def test_writing_the_same_again_is_fine_and_anything_else_is_refused(tmp_path: Path, *, another_process: bool) -> None:
    """One number of an attempt stands for one content, whoever writes it and however often."""
    kept = documents(Store(tmp_path))
    name = kept.write_journal(NAME, b"rows")
    again = documents(Store(tmp_path)) if another_process else kept
    assert again.write_journal(NAME, b"rows") == name
    with pytest.raises(StoreProblem, match="another journal object"):
        again.write_journal(NAME, b"others")
    assert kept.journal_names() == [name]


class Failing(Store):
    """A store that takes nothing as long as it is told so."""

    fails = True

    def write(self, path: str, data: bytes) -> None:
        """Write, or don't."""
        if self.fails:
            raise StoreProblem("the store is full", where=path)
        super().write(path, data)


def test_a_number_that_was_never_written_is_free(tmp_path: Path) -> None:
    """After a failure that left nothing, the number takes what was decided anew."""
    store = Failing(tmp_path)
    kept = documents(store)
    with pytest.raises(StoreProblem, match="full"):
        kept.write_journal(NAME, b"rows")
    store.fails = False
    name = kept.write_journal(NAME, b"others")
    assert kept.journal(name) == b"others"


def test_the_store_is_listed_once_an_attempt(tmp_path: Path) -> None:
    """Where a listing is a round trip, writing objects costs one, not one an object."""
    store = Listings(tmp_path)
    kept = documents(store)
    for number in range(20):
        kept.write_journal(JournalName(ATTEMPT, "shard-0", number), b"%d" % number)
    assert store.listed == 1
