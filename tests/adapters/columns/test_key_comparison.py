"""The comparison of fingerprints against the same thing said with Python's sets."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.columns import key_comparison
from redis_ttl.adapters.columns.key_comparison import KeyComparison
from redis_ttl.adapters.columns.key_places import in_database, key_places
from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.drift.drift import ComparisonScope, NewKeys
from redis_ttl.domain.errors import DamagedDocument
from tests.journal_objects import journal_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGAN_MS = 1_000_000

keys = st.sets(st.tuples(st.integers(0, 1), st.integers(0, 40)), max_size=40)


def fingerprints(keys: Iterable[tuple[int, int]]) -> bytes:
    """A document as an audit writes it, each key twice; names of even numbers are governed."""
    rows = [(db, f"key:{number}".encode(), number) for db, number in keys] * 2
    frame = pl.DataFrame(rows, schema={"db": pl.Int32, "key": pl.Binary, "number": pl.Int64}, orient="row")
    even = pl.col("number") % 2 == 0
    buffer = io.BytesIO()
    frame.select(
        key_places(frame["key"], 0).alias("key_hash"),
        pl.lit("key:{n}").cast(pl.Categorical).alias("pattern"),
        "db",
        pl.when(even).then(pl.lit("rule")).otherwise(pl.lit("none")).cast(pl.Categorical).alias("governance"),
        pl.when(even).then(pl.lit("key:{n}")).cast(pl.Categorical).alias("governed_by"),
    ).write_parquet(buffer)
    return buffer.getvalue()


def baseline(keys: Iterable[tuple[int, int]]) -> bytes:
    """A document of a baseline."""
    rows = [(place(db, number), db) for db, number in keys]
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema={"place": pl.UInt64, "db": pl.Int32}, orient="row").sort("place").write_parquet(buffer)
    return buffer.getvalue()


def place(db: int, number: int) -> int:
    """The place of a key."""
    hashed = key_places(pl.Series([f"key:{number}".encode()], dtype=pl.Binary), 0)
    return int(in_database(hashed, db)[0])


@given(before=keys, first=keys, second=keys, bits=st.sampled_from([0, 3]), may_leave=st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_sets(
    before: set[tuple[int, int]],
    first: set[tuple[int, int]],
    second: set[tuple[int, int]],
    bits: int,
    *,
    may_leave: bool,
) -> None:
    """New is what isn't in the baseline, the next baseline is what stays, in one part or in several, whatever repeats."""
    scope = ComparisonScope(BEGAN_MS, scanned=(0, 1), covered=(0, 1), may_leave=may_leave)
    today = first | second
    with KeyComparison(scope, key_comparison.KEYS_AT_ONCE << bits) as comparison:
        comparison.add_today(0, fingerprints(first))
        comparison.add_today(1, fingerprints(second))
        comparison.add_baseline(baseline(before))
        comparison.compare()
        counted = {(each.db, each.governance.value): each.keys for each in comparison.new_keys()}
        kept = [row for _, data in comparison.ranges() for row in pl.read_parquet(io.BytesIO(data)).iter_rows()]
        comparison.add_names([b"key:1", b"key:2", b"key:41"], 0)
        named = {key for names in comparison.examples().values() for key in names}
    expected: dict[tuple[int, str], int] = {}
    for db, number in today - before:
        group = (db, "none" if number % 2 else "rule")
        expected[group] = expected.get(group, 0) + 1
    assert counted == expected
    stays = before & today if may_leave else before
    assert sorted(kept) == sorted((place(*key), key[0]) for key in stays)
    assert comparison.no_ttl_keys == len(today)
    assert comparison.left_keys == (len(before - today) if may_leave else 0)
    assert named == {f"key:{number}".encode() for number in (1, 2) if (0, number) in today - before}


def test_only_a_ttl_that_would_still_hold_was_wiped() -> None:
    """A key whose instant had come by itself is new; so is one that was announced and perhaps never written."""
    scope = ComparisonScope(BEGAN_MS, scanned=(0,), covered=(0,))

    def journal(number: int, set_ms: int | None) -> bytes:
        row = {"key": [f"key:{number}".encode()], "db": [0], "rule": [0], "was_ms": [None], "set_ms": [set_ms]}
        return journal_bytes(
            pl.DataFrame(row, schema_overrides={"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64})
        )

    with KeyComparison(scope, 0) as comparison:
        comparison.add_today(0, fingerprints((0, number) for number in (1, 3, 5, 7)))
        comparison.add_journal(journal(1, BEGAN_MS + 1), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(3, BEGAN_MS), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(5, BEGAN_MS + 1), 0, undoes=False, is_complete=False, is_later=True)
        comparison.add_journal(journal(7, BEGAN_MS + 1), 0, undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal(7, None), 1, undoes=True, is_complete=True, is_later=True)
        comparison.compare()
        comparison.add_names([f"key:{number}".encode() for number in (1, 3, 5, 7)], 0)
        examples = {wiped: sorted(names) for (_, _, wiped), names in comparison.examples().items()}
    assert examples == {True: [b"key:1"], False: [b"key:3", b"key:5", b"key:7"]}


def test_names_are_looked_for_where_most_new_keys_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are proposed by their number of new keys, each once, and none when every pattern has its examples."""
    monkeypatch.setattr(key_comparison, "EXAMPLES_SHOWN", 2)
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        comparison.add_today(0, fingerprints([(0, 1)]))
        comparison.add_today(1, fingerprints([(0, 3), (0, 5)]))
        comparison.compare()
        assert (comparison.next_document(), comparison.next_document(), comparison.next_document()) == (1, 0, None)
        comparison.add_names([b"key:3", b"key:5"], 0)
        assert comparison.next_document() is None


@pytest.mark.parametrize("bits", [0, 3])
def test_what_is_accepted_under_another_seed_is_cut_by_that_one(bits: int) -> None:
    """The next baseline of everything that is there has the places of its own seed, each part within its bounds and sorted."""
    seed = 12_345
    names = pl.Series([f"key:{number}".encode() for number in range(200)], dtype=pl.Binary)
    buffer = io.BytesIO()
    pl.DataFrame(
        {"key_hash": key_places(names, 0), "key_hash_next": key_places(names, 0, seed), "db": pl.Series([1] * 200)}
    ).with_columns(
        pl.col("db").cast(pl.Int32),
        pattern=pl.lit("key:{n}").cast(pl.Categorical),
        governance=pl.lit("none").cast(pl.Categorical),
        governed_by=pl.lit(None, pl.String).cast(pl.Categorical),
    ).write_parquet(buffer)
    scope = ComparisonScope(BEGAN_MS, (0, 1), (0, 1), accepts_all=True, next_seed=seed)
    with KeyComparison(scope, key_comparison.KEYS_AT_ONCE << bits) as comparison:
        comparison.add_today(0, buffer.getvalue())
        comparison.add_baseline(baseline([(1, 3), (1, 999)]))
        comparison.compare()
        parts = [(each, pl.read_parquet(io.BytesIO(data))) for each, data in comparison.ranges()]
    assert len(parts) == 1 << bits
    firsts, lasts = [each.first for each, _ in parts], [each.last for each, _ in parts]
    assert (firsts[0], lasts[-1], {each.path for each, _ in parts}) == (0, 2**64 - 1, {""})
    assert firsts[1:] == [last + 1 for last in lasts[:-1]], "the ranges leave nothing out"
    for bounds, rows in parts:
        assert rows["place"].is_sorted()
        assert all(bounds.first <= place <= bounds.last for place in rows["place"])
        assert rows.height == bounds.keys
    places = pl.concat([rows for _, rows in parts])["place"].sort().to_list()
    assert places == key_places(names, 1, seed).sort().to_list()


def journal_of(set_ms: dict[int, int | None], db: int = 0) -> bytes:
    """A journal object that gives these keys these instants."""
    rows = {
        "key": [f"key:{number}".encode() for number in set_ms],
        "db": db,
        "rule": 0,
        "was_ms": None,
        "set_ms": list(set_ms.values()),
    }
    return journal_bytes(
        pl.DataFrame(rows, schema_overrides={"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64})
    )


def compared(
    scope: ComparisonScope,
    today: Iterable[tuple[int, int]],
    before: Iterable[tuple[int, int]] = (),
    *,
    accepted: Iterable[tuple[int, int]] = (),
    journals: Iterable[tuple[dict[int, int | None], dict[str, bool]]] = (),
) -> tuple[KeyComparison, list[tuple[int, int]]]:
    """A comparison that is done, and the next baseline's rows."""
    with KeyComparison(scope, 0) as comparison:
        comparison.add_today(0, fingerprints(today))
        comparison.add_baseline(baseline(before))
        comparison.add_accepted(baseline(accepted))
        for turn, (rows, how) in enumerate(journals):
            told = {"undoes": False, "is_complete": True, "is_later": False, **how}
            comparison.add_journal(journal_of(rows), turn, **told)
        comparison.compare()
        kept = [row for _, data in comparison.ranges() for row in pl.read_parquet(io.BytesIO(data)).iter_rows()]
        return comparison, sorted(kept)


def new_of(comparison: KeyComparison) -> dict[tuple[int, str, bool], int]:
    """New keys by database, governance and whether their TTL was wiped."""
    return {(each.db, each.governance.value, each.wiped): each.keys for each in comparison.new_keys()}


def rows_of(*keys: tuple[int, int]) -> list[tuple[int, int]]:
    """These keys as a baseline has them."""
    return sorted((place(*key), key[0]) for key in keys)


def test_the_first_comparison_takes_everything_in() -> None:
    """Where there is no baseline yet, nothing is new, and all that is there joins."""
    scope = ComparisonScope(BEGAN_MS, (0, 1), (0, 1), is_first=True)
    comparison, kept = compared(scope, [(0, 1), (1, 2)])
    assert (new_of(comparison), kept) == ({}, rows_of((0, 1), (1, 2)))
    assert (comparison.no_ttl_keys, comparison.joined_keys, comparison.left_keys) == (2, 2, 0)


def test_accepting_all_makes_today_the_baseline() -> None:
    """Everything that is there is told as new once, and is the next baseline with what wasn't scanned; the rest has left."""
    scope = ComparisonScope(BEGAN_MS, (0,), (0,), accepts_all=True)
    comparison, kept = compared(scope, [(0, 1), (0, 3)], [(0, 3), (0, 5), (1, 7)])
    assert new_of(comparison) == {(0, "none", False): 1}
    assert kept == rows_of((0, 1), (0, 3), (1, 7))
    assert (comparison.joined_keys, comparison.left_keys) == (0, 1)


@pytest.mark.parametrize("may_leave", [False, True])
def test_only_what_was_scanned_may_leave(may_leave: bool) -> None:  # noqa: FBT001
    """Keys of another database stay in the baseline, and of the scanned ones those that have gone leave it, if any may."""
    scope = ComparisonScope(BEGAN_MS, scanned=(0,), covered=(0,), may_leave=may_leave)
    comparison, kept = compared(scope, [(0, 1)], [(0, 1), (0, 5), (1, 7)])
    assert kept == rows_of((0, 1), (1, 7), *(() if may_leave else ((0, 5),)))
    assert (comparison.left_keys, comparison.joined_keys) == (int(may_leave), 0)


def test_a_database_that_the_baseline_does_not_cover_joins_it() -> None:
    """Its keys are new to nobody: they are in the next baseline from then on."""
    scope = ComparisonScope(BEGAN_MS, scanned=None, covered=(0,))
    comparison, kept = compared(scope, [(0, 1), (1, 3)], [(0, 5)])
    assert new_of(comparison) == {(0, "none", False): 1}
    assert kept == rows_of((1, 3))
    assert (comparison.joined_keys, comparison.left_keys) == (1, 1)


def test_a_key_of_the_baseline_that_was_wiped_since_is_new() -> None:
    """What was given a TTL after the accepted baseline and has lost it is new, though the baseline has the key; before it, it isn't."""
    scope = ComparisonScope(BEGAN_MS, (0,), (0,))
    later = BEGAN_MS + 1
    journals: list[tuple[dict[int, int | None], dict[str, bool]]] = [
        ({1: later, 2: later}, {"is_later": True}),
        ({3: later}, {"is_later": False}),
        ({5: BEGAN_MS}, {"is_later": True}),
        ({7: later}, {"is_later": True, "is_complete": False}),
    ]
    before = [(0, 1), (0, 3), (0, 5), (0, 7)]
    comparison, kept = compared(scope, [(0, number) for number in (1, 2, 3, 5, 7)], before, journals=journals)
    assert new_of(comparison) == {(0, "none", True): 1, (0, "rule", True): 1}
    assert kept == rows_of((0, 3), (0, 5), (0, 7))
    assert (comparison.left_keys, comparison.joined_keys) == (1, 0)


def test_what_a_rollback_took_back_is_as_it_was_accepted() -> None:
    """A key whose TTL a rollback took off is old where the accepted baseline has it, and new where it hasn't."""
    scope = ComparisonScope(BEGAN_MS, (0,), (0,))
    journals: list[tuple[dict[int, int | None], dict[str, bool]]] = [
        ({1: BEGAN_MS + 1, 3: BEGAN_MS + 1}, {"is_later": True}),
        ({1: None, 3: None, 5: BEGAN_MS + 2}, {"undoes": True, "is_later": True}),
        ({7: None}, {"undoes": False}),
    ]
    accepted = [(0, 1), (0, 5), (0, 7)]
    comparison, kept = compared(scope, [(0, number) for number in (1, 3, 5, 7)], accepted=accepted, journals=journals)
    assert new_of(comparison) == {(0, "none", False): 3}
    assert kept == rows_of((0, 1))
    assert (comparison.left_keys, comparison.joined_keys) == (0, 1)


@pytest.mark.parametrize(("turns", "wiped"), [((0, 1), False), ((1, 0), True)])
def test_the_later_turn_about_a_key_counts(turns: tuple[int, int], *, wiped: bool) -> None:
    """In whichever order journal objects are added, the one of the later turn says what is known of a key."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        comparison.add_today(0, fingerprints([(0, 1)]))
        comparison.add_journal(journal_of({1: BEGAN_MS + 1}), turns[0], undoes=False, is_complete=True, is_later=True)
        comparison.add_journal(journal_of({1: None}), turns[1], undoes=True, is_complete=True, is_later=True)
        comparison.compare()
        assert new_of(comparison) == {(0, "none", wiped): 1}


def test_a_journal_of_another_database_is_about_other_keys() -> None:
    """The same names in two databases are different keys."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0, 3), (0, 3)), 0) as comparison:
        comparison.add_today(0, fingerprints([(0, 1), (3, 1)]))
        comparison.add_journal(journal_of({1: BEGAN_MS + 1}, 3), 0, undoes=False, is_complete=True, is_later=True)
        comparison.compare()
        assert new_of(comparison) == {(0, "none", False): 1, (3, "none", True): 1}
        comparison.add_names([b"key:1"], 3)
        assert comparison.examples() == {(3, "key:{n}", True): [b"key:1"]}


def test_so_many_names_are_remembered_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a group's new keys the first ones are remembered, and of those that are found so many are shown, each once."""
    monkeypatch.setattr(key_comparison, "_REMEMBERED", 3)
    monkeypatch.setattr(key_comparison, "EXAMPLES_SHOWN", 2)
    names = [f"key:{number}".encode() for number in range(1, 20, 2)]
    for shown in (2, 99):
        monkeypatch.setattr(key_comparison, "EXAMPLES_SHOWN", shown)
        with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
            comparison.add_today(0, fingerprints((0, number) for number in range(1, 20, 2)))
            comparison.compare()
            comparison.add_names(names, 0)
            comparison.add_names(names, 0)
            [found] = comparison.examples().values()
        assert len(found) == len(set(found)) == min(3, shown)


def test_names_of_a_batch_count_without_a_ttl_only() -> None:
    """Of a batch's keys those that have a TTL are no new keys without one."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        comparison.add_names([b"key:1"], 0)
        assert comparison.next_document() is None
        comparison.add_today(0, fingerprints([(0, 1), (0, 3)]))
        comparison.compare()
        batch = pl.DataFrame({"key": [b"key:1", b"key:3", b"key:5"], "ttl_ms": [None, 7, None]})
        comparison.add_names(batch, 0)
        assert comparison.examples() == {(0, "key:{n}", False): [b"key:1"]}


def test_of_documents_with_as_many_new_keys_the_first_is_read_first() -> None:
    """Documents are proposed by their number of new keys, and by their own number where that is the same."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        comparison.add_today(2, fingerprints([(0, 1)]))
        comparison.add_today(1, fingerprints([(0, 3)]))
        comparison.add_today(3, fingerprints([(0, 5), (0, 7)]))
        comparison.add_today(4, fingerprints([]))
        comparison.compare()
        assert [comparison.next_document() for _ in range(4)] == [3, 1, 2, None]


def test_new_keys_are_told_with_what_governs_them() -> None:
    """Database, pattern, governance and governor of each group, in the order in which they were met."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0, 1), (0, 1)), 0) as comparison:
        comparison.add_today(0, fingerprints([(1, 2), (1, 4)]))
        comparison.add_today(1, fingerprints([(0, 1)]))
        comparison.compare()
        assert comparison.new_keys() == [
            NewKeys(1, "key:{n}", Governance.RULE, "key:{n}", wiped=False, keys=2),
            NewKeys(0, "key:{n}", Governance.NONE, None, wiped=False, keys=1),
        ]


@pytest.mark.parametrize("keys", [8_000_000, 8_000_001])
def test_what_is_too_much_at_once_is_cut(keys: int) -> None:
    """Up to eight million fingerprints are compared at once; one more, and they are cut in two."""
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), keys) as comparison:
        comparison.add_today(0, fingerprints([(0, 1)]))
        comparison.compare()
        assert len(list(comparison.ranges())) == 1 + (keys > 8_000_000)


def test_documents_that_are_damaged_are_told() -> None:
    """Whatever can't be read, or lacks a column, is damaged, and says what it holds."""
    buffer = io.BytesIO()
    pl.DataFrame({"place": [1]}).write_parquet(buffer)
    with KeyComparison(ComparisonScope(BEGAN_MS, (0,), (0,)), 0) as comparison:
        for data in (b"x", buffer.getvalue()):
            with pytest.raises(DamagedDocument, match="fingerprints"):
                comparison.add_today(0, data)
            for add in (comparison.add_baseline, comparison.add_accepted):
                with pytest.raises(DamagedDocument, match="a baseline"):
                    add(data)
            with pytest.raises(DamagedDocument, match="journal"):
                comparison.add_journal(data, 0, undoes=False, is_complete=True, is_later=True)
