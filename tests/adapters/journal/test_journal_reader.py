from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.journal.reader import NewestRows
from redis_ttl.domain.errors import DamagedDocument
from tests.journal_objects import journal_bytes

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


def reader_of(*documents: bytes, undone: tuple[bytes, ...] = ()) -> NewestRows:
    """A reader that has settled these objects."""
    reader = NewestRows()
    for number, each in enumerate(documents):
        reader.add(number, each)
    for each in undone:
        reader.add_undone(each)
    reader.settle(documents.__getitem__)
    return reader


def rows_of(
    reader: NewestRows, number: int, data: bytes, *columns: str, rules: set[int] | None = None
) -> list[tuple[Any, ...]]:
    """These columns of what remains of an object."""
    return list(reader.of(number, data, rules).select(columns).iter_rows())


def test_an_object_of_several_databases_knows_its_keys_apart() -> None:
    """Keys of one object's databases are told apart, and found again in objects of one database alone."""
    first = document((b"a", 0, 1, 10), (b"a", 3, 2, 20), (b"b", 7, 3, 30), (b"c", 3, 4, 40))
    second = document((b"a", 3, 5, 50))
    third = document((b"b", 7, 6, 30))
    assert newest(first, second, third) == [
        [(b"a", 0, 1, 10, 0), (b"c", 3, 4, 40, 0)],
        [(b"a", 3, 5, 50, 0), (b"a", 3, 2, 20, 1)],
        [(b"b", 7, 6, 30, 0)],
    ]


def test_a_key_that_a_rollback_restored_is_marked() -> None:
    """Undone are the keys of earlier rollbacks' objects, by database, whatever their rows say; older rows are marked as their key is."""
    first = document((b"a", 0, None, 10), (b"b", 0, None, 10))
    second = document((b"a", 0, 3, 20), (b"c", 0, None, 10), (b"d", 3, None, 10))
    reader = reader_of(first, second, undone=(document((b"a", 0, 9, 9)), document((b"d", 0, 9, 9))))
    assert rows_of(reader, 0, first, "key", "undone") == [(b"b", False)]
    assert rows_of(reader, 1, second, "key", "age", "undone") == [
        (b"a", 0, True),
        (b"a", 1, True),
        (b"c", 0, False),
        (b"d", 0, False),
    ]
    assert rows_of(reader_of(first), 0, first, "key", "undone") == [(b"a", False), (b"b", False)]


def test_rows_of_one_key_have_one_place() -> None:
    """The newest row and its older ones share a number, which no other key of the object has."""
    first = document((b"a", 0, None, 10), (b"c", 0, None, 10))
    second = document((b"a", 0, 3, 20), (b"b", 0, None, 10), (b"c", 0, 3, 20))
    reader = reader_of(first, second)
    found = rows_of(reader, 1, second, "key", "key_at", "age")
    assert [(key, age) for key, _, age in found] == [(b"a", 0), (b"a", 1), (b"b", 0), (b"c", 0), (b"c", 1)]
    assert len({key_at for _, key_at, _ in found}) == 3
    assert all(len({at for name, at, _ in found if name == key}) == 1 for key in (b"a", b"b", b"c"))


def test_only_the_rows_of_chosen_rules_remain() -> None:
    """Rows of other rules, newest and older ones, are left out; which one is newest, all of them say."""

    def of_rule(number: int, *rows: Row) -> bytes:
        types = {"key": pl.Binary, "db": pl.Int32, "was_ms": pl.Int64, "set_ms": pl.Int64}
        return journal_bytes(pl.DataFrame(list(rows), schema=types, orient="row").with_columns(rule=number))

    first, second = of_rule(1, (b"a", 0, None, 10), (b"b", 0, None, 10)), of_rule(2, (b"a", 0, 3, 20), (b"c", 0, 1, 10))
    reader = reader_of(first, second)
    assert rows_of(reader, 1, second, "key", "age", rules={2}) == [(b"a", 0), (b"c", 0)]
    assert rows_of(reader, 1, second, "key", "age", rules={1}) == [(b"a", 1)]
    assert rows_of(reader, 0, first, "key", "age", rules={1}) == [(b"b", 0)]
    assert rows_of(reader, 0, first, "key", "age", rules=set()) == []


def test_only_objects_with_repeated_keys_are_read_again() -> None:
    """For keys with one row nothing is read a second time; an object of such keys alone isn't either."""
    objects = [
        document((b"a", 0, None, 10), (b"b", 0, None, 10)),
        document((b"c", 0, None, 10)),
        document((b"b", 0, 1, 20)),
    ]
    reader, read = NewestRows(), []
    for number, each in enumerate(objects):
        reader.add(number, each)

    def again(number: int) -> bytes:
        read.append(number)
        return objects[number]

    reader.settle(again)
    assert read == [0, 2]
    reader = reader_of(document((b"c", 0, None, 10)))
    assert rows_of(reader, 0, document((b"c", 0, None, 10)), "key") == [(b"c",)]
    assert rows_of(reader_of(), 0, document((b"c", 0, None, 10)), "key") == [(b"c",)]
