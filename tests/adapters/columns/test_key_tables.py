"""Tables of numbers that stand for keys: sorted, each key once, by the latest word about it."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.adapters.columns import key_tables
from redis_ttl.adapters.columns.key_tables import KeyStates, SortedRows

places = st.integers(0, 2**64 - 1) | st.integers(0, 7).map(lambda part: part << 60 | 5)


def rows(numbers: list[int], value: int, **more: pl.Series) -> pl.DataFrame:
    """Rows of these places with one value."""
    return pl.DataFrame({"place": pl.Series(numbers, dtype=pl.UInt64), "value": [value] * len(numbers), **more})


@given(st.lists(st.lists(places, min_size=1, max_size=8), min_size=1, max_size=6))
def test_the_table_is_sorted_and_has_each_place_once_with_its_latest_row(batches: list[list[int]]) -> None:
    """Whatever comes in whichever order: sorted over all parts, and of several rows about a place the last one."""
    table = SortedRows()
    expected: dict[int, int] = {}
    for number, batch in enumerate(batches):
        table.add(rows(batch, number))
        expected |= dict.fromkeys(batch, number)
    found = table.table()
    assert found is not None
    assert list(found.iter_rows()) == sorted(expected.items())
    assert found["place"].n_chunks() == 1
    assert table.table() is None, "the rows are handed over"


def test_the_latest_row_is_the_last_that_came_however_many_there_are() -> None:
    """Of thousands of rows about hundreds of places, which sorting may not mix up, the last of each counts; in sixteen parts."""
    table = SortedRows()
    numbers = [part << 60 | place for part in range(16) for place in range(50)]
    shuffled = random.Random(1).sample(numbers * 25, len(numbers) * 25)
    expected: dict[int, int] = {}
    for start in range(0, 60_000, 20_000):
        values = range(start, start + 20_000)
        table.add(pl.DataFrame({"place": pl.Series(shuffled, dtype=pl.UInt64), "value": values}))
        expected |= dict(zip(shuffled, values, strict=True))
    assert sorted(table._parts) == list(range(16))
    found = table.table()
    assert found is not None
    assert list(found.iter_rows()) == sorted(expected.items())


def test_a_place_is_finished_when_any_of_its_rows_is() -> None:
    """What one attempt finished stays finished, though a later one that was cut off has the latest row."""
    table = SortedRows()
    for finished, value in ((False, 1), (True, 2), (False, 3)):
        table.add(rows([7, 2**63], value, finished=pl.Series([finished, False])))
    found = table.table()
    assert found is not None
    assert found.columns == ["place", "value", "finished"]
    assert list(found.iter_rows()) == [(7, 3, True), (2**63, 3, False)]


def test_the_latest_state_of_a_key_counts() -> None:
    """States come one for all or one for each, and the last one stays, also when the table was read in between."""
    states = KeyStates()
    assert states.latest().schema == {"place": pl.UInt64, "state": pl.UInt8, "rule": pl.UInt16}
    assert states.latest().is_empty()
    rules = pl.Series([0, 3], dtype=pl.Int32)
    states.add(pl.Series([5, 6], dtype=pl.UInt64), 1, rules)
    states.add(pl.Series([], dtype=pl.UInt64), 9, rules.clear())
    assert sorted(states.latest().iter_rows()) == [(5, 1, 0), (6, 1, 3)]
    states.add(pl.Series([6, 7], dtype=pl.UInt64), pl.Series([2, 4], dtype=pl.UInt8), rules)
    assert sorted(states.latest().iter_rows()) == [(5, 1, 0), (6, 2, 0), (7, 4, 3)]


def test_changes_of_state_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When more than three changes wait, those of one key become one, and counting begins anew from then."""
    monkeypatch.setattr(key_tables, "_STATES_HELD", 3)
    states, held = KeyStates(), []
    for number in range(9):
        states.add(pl.Series([1], dtype=pl.UInt64), number, pl.Series([0], dtype=pl.Int32))
        held.append(sum(part.height for part in states._parts))
    assert held == [1, 2, 3, 1, 2, 3, 4, 1, 2]
    assert list(states.latest().iter_rows()) == [(1, 8, 0)]
