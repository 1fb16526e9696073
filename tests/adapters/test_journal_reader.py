from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.journal_columns import journal_bytes, journal_rows
from redis_ttl.adapters.journal_reader import NewestRows
from redis_ttl.domain.errors import DamagedDocument

Row = tuple[bytes, int, int | None, int]


def document(*rows: Row) -> bytes:
    """A journal object of rule 0 with these rows: key, database, what was, what we set."""
    types = {"key": pl.Binary, "db": pl.Int32, "was_ms": pl.Int64, "set_ms": pl.Int64}
    return journal_bytes(pl.DataFrame(list(rows), schema=types, orient="row").with_columns(rule=0))


def newest(*documents: bytes) -> list[list[tuple[Any, ...]]]:
    """For each object what remains of it: key, database, what was, what we set, and how old the row is."""
    reader = NewestRows()
    for number, each in enumerate(documents):
        reader.add(number, each)
    reader.settle(documents.__getitem__)
    found = [reader.of(number, each) for number, each in enumerate(documents)]
    return [list(rows.select("key", "db", "was_ms", "set_ms", "age").iter_rows()) for rows in found]


def test_each_key_is_in_its_latest_object_with_its_older_rows() -> None:
    """A key with several instants comes once, the latest row first; rows with the same instant count once, as the latest says."""
    first = document((b"a", 0, None, 10), (b"b", 0, None, 10), (b"c", 0, 5, 10))
    second = document((b"a", 0, 7, 20), (b"c", 0, 6, 10))
    third = document((b"a", 0, 8, 30))
    assert newest(first, second, third) == [
        [(b"b", 0, None, 10, 0)],
        [(b"c", 0, 6, 10, 0)],
        [(b"a", 0, 8, 30, 0), (b"a", 0, 7, 20, 1), (b"a", 0, None, 10, 2)],
    ]


def test_a_key_twice_in_one_object_comes_once() -> None:
    """Within an object, too, each key is one key."""
    assert newest(document((b"a", 0, None, 10), (b"a", 0, None, 10))) == [[(b"a", 0, None, 10, 0)]]


def test_keys_of_different_databases_are_different_keys() -> None:
    """The same name in two databases is two keys."""
    assert newest(document((b"a", 0, None, 10)), document((b"a", 3, 1, 20))) == [
        [(b"a", 0, None, 10, 0)],
        [(b"a", 3, 1, 20, 0)],
    ]


def crafted(victim: bytes) -> bytes:
    """A name of 32 bytes with the victim's XXH3, which is unseeded and can be steered."""
    secret = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578")
    mask = (1 << 64) - 1

    def number(part: bytes) -> int:
        return int.from_bytes(part, "little")

    s0, s1 = number(secret[16:24]), number(secret[24:32])
    product = (number(victim[16:24]) ^ s0) * (number(victim[24:32]) ^ s1)
    want = (product & mask) ^ (product >> 64)
    return victim[:16] + (1 ^ s0).to_bytes(8, "little") + (want ^ s1).to_bytes(8, "little")


def test_a_crafted_name_takes_nobodys_row() -> None:
    """A key whose name was made to have another one's XXH3 is another key."""
    victim = b"cart:session:0000000000000000042"
    stranger = crafted(victim)
    assert xxh3_64_intdigest(stranger) == xxh3_64_intdigest(victim)
    assert newest(document((victim, 0, 5, 10)), document((stranger, 0, None, 20))) == [
        [(victim, 0, 5, 10, 0)],
        [(stranger, 0, None, 20, 0)],
    ]


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda data: data[4:], lambda _: b"PAR1PAR1"]
)
def test_what_is_no_journal_object_is_told_as_that(damage: Any) -> None:
    """An object that was cut off, or is none at all, is damaged, in our own words."""
    with pytest.raises(DamagedDocument):
        journal_rows(damage(document((b"a", 0, None, 10))))
