"""Which rows stand on which, by their keys and instants alone."""

from __future__ import annotations

import polars as pl
import pytest

from redis_ttl.adapters.journal import links as journal_links
from redis_ttl.adapters.journal.links import EndedRows, LaterRows
from redis_ttl.domain.plan.expiry import MOVES_SHIFT_MS
from tests.journal_objects import journal_bytes

Row = tuple[bytes, int | None, int | None]


def document(*rows: Row, rule: int = 0, db: int = 0) -> bytes:
    """A journal object: the key, what was, what was set."""
    types = {"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64}
    frame = pl.DataFrame(list(rows), schema=types, orient="row").with_columns(rule=rule, db=db)
    return journal_bytes(frame)


def later_of(*plans: bytes, below: bytes, shifted: bool = False) -> LaterRows:
    """Rows of later plans, after everybody's instants were noted."""
    later = LaterRows(shifted)
    for each in (below, *plans):
        later.note(each)
    for number, each in enumerate(plans):
        later.add(number, each)
    return later


def standing(later: LaterRows, below: bytes, rules: set[int] | None = None) -> list[tuple[bytes, int, int]]:
    """Which key a plan stands on, and how high."""
    return list(later.standing_on(below, rules).select("key", "plan", "height").iter_rows())


BELOW = document((b"a", None, 1_005), (b"b", None, 2_005), (b"c", 9_005, 3_005))


def test_a_row_stands_on_the_instant_that_it_found() -> None:
    """A later plan's row that found the earlier one's instant on the same key stands on it; one that found another doesn't."""
    plan = document((b"a", 1_005, 505), (b"b", 3_005, 505), (b"d", 1_005, 505))
    later = later_of(plan, below=BELOW)
    found = later.standing_on(BELOW, None)
    assert list(
        found.select("key", "db", "rule", "was_ms", "set_ms", "plan", "height", "age", "undone").iter_rows()
    ) == [(b"a", 0, 0, 1_005, 505, 0, 0, 0, False)]


def test_only_rows_that_found_an_expiry_are_held() -> None:
    """Not those that found none, and not those whose former expiry can't be an instant of a plan: of other milliseconds, or beside all."""
    later = later_of(
        document((b"a", None, 7), (b"b", 1_004, 7), (b"c", 4_005, 7), (b"d", 5, 7), (b"a", 3_005, 7)), below=BELOW
    )
    assert len(later) == 1
    assert len(later_of(document((b"a", 4_005, 5_005)), below=BELOW)) == 1, "the noted ones bound them"
    assert len(LaterRows(shifted=False)) == 0
    assert LaterRows(shifted=False).standing_on(BELOW, None).is_empty()


def test_only_the_rows_of_chosen_rules_count() -> None:
    """A plan that stands on another rule's keys stands in nobody's way."""
    below = document((b"a", None, 1_005), rule=1)
    later = later_of(document((b"a", 1_005, 505)), below=below)
    assert standing(later, below, {1}) == standing(later, below) == [(b"a", 0, 0)]
    assert standing(later, below, {0, 2}) == standing(later, below, set()) == []


def test_databases_are_told_apart() -> None:
    """The same name in another database is another key."""
    later = later_of(document((b"a", 1_005, 505), db=3), below=BELOW)
    assert standing(later, BELOW) == []
    assert standing(later, document((b"a", None, 1_005), db=3)) == [(b"a", 0, 0)]


def test_plans_stand_on_plans_in_chains() -> None:
    """Who stands on the one below, and who on that; the highest comes first, and all rows of a key have one number."""
    first, second = document((b"a", 1_005, 505)), document((b"a", 505, 205), (b"b", 2_005, 305))
    later = later_of(first, second, below=BELOW)
    found = later.standing_on(BELOW, None)
    table = list(found.select("key", "plan", "height", "age").iter_rows())
    assert sorted(table) == [(b"a", 0, 0, 1), (b"a", 1, 1, 0), (b"b", 1, 0, 0)]
    numbers = dict(found.select("key", "key_at").iter_rows())
    assert len(set(numbers.values())) == 2
    assert found.filter(pl.col("key") == b"a")["key_at"].n_unique() == 1


def test_a_chain_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that stand on one another in a circle are followed so often, and no further."""
    monkeypatch.setattr(journal_links, "_HIGHEST", 4)
    later = later_of(document((b"a", 1_005, 505)), document((b"a", 505, 1_005)), below=BELOW)
    assert [height for _, _, height in standing(later, BELOW)] == [3, 2, 1, 0]


def test_who_has_a_key_now_counts_with_all_beneath() -> None:
    """Of keys that have a later plan's instant, the plans up to that one are in the way, each with its keys and its height."""
    first, second = document((b"a", 1_005, 505), (b"b", 2_005, 505)), document((b"a", 505, 205), (b"b", 505, 205))
    later = later_of(first, second, below=BELOW)
    found = later.standing_on(BELOW, None)
    on_a = found.filter((pl.col("key") == b"a") & (pl.col("height") == 1))
    on_b = found.filter((pl.col("key") == b"b") & (pl.col("height") == 0))
    assert LaterRows.plans(found, on_a) == {0: (1, 0), 1: (1, 1)}
    assert LaterRows.plans(found, on_b) == {0: (1, 0)}
    assert LaterRows.plans(found, pl.concat([on_a, on_b])) == {0: (2, 0), 1: (1, 1)}
    assert LaterRows.plans(found, found.clear()) == {}


@pytest.mark.parametrize(("off_ms", "stands"), [(-101, False), (-100, True), (0, True), (1_000, True), (1_001, False)])
def test_where_keys_move_an_instant_may_have_shifted(off_ms: int, stands: bool) -> None:  # noqa: FBT001
    """Found a second later or a tenth of one earlier it is the same; elsewhere it must be the same to the millisecond."""
    assert MOVES_SHIFT_MS == (100, 1_000)
    below = document((b"a", None, 2_005))
    plan = document((b"a", 2_005 + off_ms, 505))
    for shifted in (True, False):
        found = standing(later_of(plan, below=below, shifted=shifted), below)
        assert bool(found) == (stands if shifted else not off_ms)
        ended = EndedRows(shifted)
        ended.note(below)
        ended.want(plan)
        assert bool(len(ended)) == (stands if shifted else not off_ms)
        ended.trace(below, {0})
        ended.turn()
        rows = pl.DataFrame(
            {"key": [b"a"], "db": [0], "was_ms": [2_005 + off_ms]}, schema_overrides={"key": pl.Binary, "db": pl.Int32}
        )
        traced = ended.beneath(rows)["was_ms"].to_list()
        assert traced == ([None] if (stands if shifted else not off_ms) else [2_005 + off_ms])


def rows_of(*found: tuple[bytes, int | None], db: int = 0) -> pl.DataFrame:
    """Rows of the plan that is taken back: the key, and what it had found."""
    types = {"key": pl.Binary, "was_ms": pl.Int64}
    frame = pl.DataFrame(list(found), schema=types, orient="row")
    return frame.with_columns(db=pl.lit(db, pl.Int32), other=pl.lit("x"))


def ended_of(wanted: bytes, *plans: bytes) -> EndedRows:
    """What lies beneath the wanted rows, with the instants of ended plans noted."""
    ended = EndedRows(shifted=False)
    for each in plans:
        ended.note(each)
    ended.want(wanted)
    return ended


def test_an_ended_plans_instant_is_traced_back_to_what_that_had_found() -> None:
    """A former expiry that an ended plan had set becomes what was there before it, or none; others stay as they are."""
    ended = document((b"a", None, 1_005), (b"b", 9_005, 2_005), (b"c", None, 3_005))
    wanted = document((b"a", 1_005, 505), (b"b", 2_005, 505), (b"c", 7_005, 505), (b"d", None, 505))
    trace = ended_of(wanted, ended)
    assert len(trace) == 2
    trace.trace(ended, {0})
    assert trace.turn() is False
    rows = rows_of((b"a", 1_005), (b"b", 2_005), (b"c", 7_005), (b"d", None), (b"a", 2_005))
    found = trace.beneath(rows)
    assert found.columns == rows.columns
    assert found["was_ms"].to_list() == [None, 9_005, 7_005, None, 2_005]
    assert trace.beneath(rows_of((b"a", 1_005), db=3))["was_ms"].to_list() == [1_005], "another database's key"


def test_nothing_traced_changes_nothing() -> None:
    """Without anything beneath, rows are what they were, and no turn goes on."""
    trace = ended_of(document((b"a", 1_005, 505)), document((b"a", None, 1_005)))
    rows = rows_of((b"a", 1_005))
    assert trace.turn() is False
    assert trace.beneath(rows).equals(rows)


def test_only_rules_that_were_taken_back_are_traced() -> None:
    """Where an ended plan stands still for a rule, its instant is what the key had before."""
    ended = document((b"a", None, 1_005), rule=1)
    for rules, was in (({1}, None), ({0}, 1_005)):
        trace = ended_of(document((b"a", 1_005, 505)), ended)
        trace.trace(ended, rules)
        trace.turn()
        assert trace.beneath(rows_of((b"a", 1_005)))["was_ms"].to_list() == [was]


def test_each_turn_goes_a_plan_deeper() -> None:
    """What an ended plan had found may be another ended plan's instant: the last turn's word counts, and says when it is the last."""
    lower, upper = document((b"a", 9_005, 1_005)), document((b"a", 1_005, 2_005))
    trace = ended_of(document((b"a", 2_005, 505)), lower, upper)
    for each in (lower, upper):
        trace.trace(each, {0})
    assert trace.turn() is True
    assert len(trace) == 1
    assert trace.beneath(rows_of((b"a", 2_005)))["was_ms"].to_list() == [1_005]
    for each in (lower, upper):
        trace.trace(each, {0})
    assert trace.turn() is False
    assert trace.beneath(rows_of((b"a", 2_005)))["was_ms"].to_list() == [9_005]


def test_of_two_objects_the_newest_says_what_was_found() -> None:
    """An ended plan that journalled a key twice found first the one and then the other: the last object's word counts."""
    first, second = document((b"a", 9_005, 1_005)), document((b"a", None, 1_005))
    for order, was in (((first, second), None), ((second, first), 9_005)):
        trace = ended_of(document((b"a", 1_005, 505)), *order)
        for each in order:
            trace.trace(each, {0})
        trace.turn()
        assert trace.beneath(rows_of((b"a", 1_005)))["was_ms"].to_list() == [was]
