"""What a shard's tally keeps of each batch: the figures of a pattern, the fingerprints, and whose facts are asked for."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest
from xxhash import xxh3_64_intdigest

from lab.remediation.policies import policy_of, rule
from redis_ttl.adapters.counting import tally as tallying
from redis_ttl.adapters.counting.pattern_merger import PatternMerger
from redis_ttl.adapters.counting.tally import Counted, Tally
from redis_ttl.domain.audit.key_facts import KeyFacts
from redis_ttl.domain.audit.ttl_histogram import TTL_BOUNDS_S, TTL_CLASSES
from redis_ttl.domain.keys.field_ttls import FieldTtls
from redis_ttl.domain.policy.actions import Mode

Rows = list[tuple[bytes, int | None]]
POLICY = policy_of(rule("a:{n}", ttl_s=100, mode=Mode.CAP), rule("b:{n}"), exempt=["a:7"])


def frame(made: Rows) -> pl.DataFrame:
    """A batch as the reader hands it out."""
    return pl.DataFrame(made, schema={"key": pl.Binary, "ttl_ms": pl.Int64}, orient="row")


def table(document: bytes) -> pl.DataFrame:
    """A document's rows."""
    return pl.read_parquet(io.BytesIO(document))


def row_of(counted: Counted, pattern: str, **where: Any) -> dict[str, Any]:
    """The one row of a pattern."""
    rows = table(counted.patterns).filter(pl.col("pattern") == pattern)
    for name, value in where.items():
        rows = rows.filter(pl.col(name).eq_missing(pl.lit(value)))
    return rows.row(0, named=True)


def tally_of(made: Rows, **more: Any) -> Counted:
    """What one batch comes to."""
    options: dict[str, Any] = {"db": 0, "policy": None, "sample_ratio": 0.0, **more}
    with Tally(**options) as tally:
        tally.add(frame(made))
        return tally.drain()


def test_a_row_has_every_figure_of_its_pattern() -> None:
    """Keys, those without a TTL, the classes of the others, their least, largest and summed TTL in seconds, rounded up."""
    made: Rows = [(b"a:%d" % number, ttl) for number, ttl in enumerate([None, None, 1, 1_000, 1_001, 86_400_000])]
    row = row_of(tally_of(made, db=3), "a:{n}")
    assert (row["db"], row["keys"], row["no_ttl_keys"]) == (3, 6, 2)
    assert (row["ttl_min_s"], row["ttl_max_s"], row["ttl_sum_s"]) == (1, 86_400, 1 + 1 + 2 + 86_400)
    classes = {name: row[f"ttl_{name}"] for name in TTL_CLASSES}
    assert sum(classes.values()) == 4
    assert classes[TTL_CLASSES[0]] == 3
    assert (row["governance"], row["governed_by"], row["over_rule_keys"]) == ("none", None, 0)


@pytest.mark.parametrize("at", range(len(TTL_BOUNDS_S)))
def test_a_class_has_its_upper_bound(at: int) -> None:
    """A TTL of exactly the bound is in the class below it, and a second more in the next."""
    bound_s = TTL_BOUNDS_S[at]
    counted = tally_of([(b"a:1", bound_s * 1000), (b"a:2", bound_s * 1000 + 1)])
    row = row_of(counted, "a:{n}")
    assert (row[f"ttl_{TTL_CLASSES[at]}"], row[f"ttl_{TTL_CLASSES[at + 1]}"]) == (1, 1)


def test_rows_are_told_apart_by_what_governs_them() -> None:
    """One pattern has a row for each rule and exemption; keys over their rule's longest TTL are counted by the second."""
    longest_ms = int(100 * 1.1) * 1000
    made: Rows = [(b"a:7", None), (b"a:8", longest_ms), (b"a:9", longest_ms + 1), (b"a:6", None), (b"c:1", 10**12)]
    counted = tally_of(made, policy=POLICY)
    rule_row, exempt = (row_of(counted, "a:{n}", governance=each) for each in ("rule", "exempt"))
    assert (rule_row["governed_by"], rule_row["keys"], rule_row["over_rule_keys"]) == ("a:{n}", 3, 1)
    assert (exempt["governed_by"], exempt["keys"], exempt["over_rule_keys"]) == ("a:7", 1, 0)
    assert row_of(counted, "c:{n}")["over_rule_keys"] == 0
    assert (counted.keys, counted.no_ttl_keys) == (5, 2)


def test_keys_with_less_left_than_their_rule_s_ttl_are_counted() -> None:
    """To the millisecond, and only those of a rule: a key without a TTL, an exempt one and one that nothing governs have no such TTL."""
    made: Rows = [(b"a:8", 99_999), (b"a:9", 100_000), (b"a:6", None), (b"a:7", 5), (b"c:1", 5)]
    counted = tally_of(made, policy=POLICY)
    rule_row, exempt = (row_of(counted, "a:{n}", governance=each) for each in ("rule", "exempt"))
    assert (rule_row["keys"], rule_row["under_rule_keys"], exempt["under_rule_keys"]) == (3, 1, 0)
    assert row_of(counted, "c:{n}")["under_rule_keys"] == 0


def test_two_keys_of_a_batch_are_its_examples() -> None:
    """With their hashes in front, by which those of several batches are chosen, whatever their order."""
    row = row_of(tally_of([(b"a:%d" % number, None) for number in range(5)]), "a:{n}")
    found = [(each["order"], each["key"]) for each in row["examples"]]
    assert sorted(found) == sorted((xxh3_64_intdigest(key, seed=0), key) for key in (b"a:0", b"a:1"))


@pytest.mark.parametrize("next_seed", [None, 9])
def test_a_key_without_a_ttl_leaves_its_fingerprint(next_seed: int | None) -> None:
    """By the audit's seed, and the next one where there is one, with pattern, database and what governs it; no other key does."""
    many = tallying._HASHED_TOGETHER + 3
    names = [b"a:%d" % number for number in range(many)]
    made: Rows = [*((name, None) for name in names), (b"b:1", 5)]
    rows = table(tally_of(made, db=4, policy=POLICY, seed=7, next_seed=next_seed).fingerprints)
    assert sorted(rows["key_hash"]) == sorted(xxh3_64_intdigest(name, seed=7) for name in names)
    if next_seed is None:
        assert "key_hash_next" not in rows.columns
    else:
        pairs = set(rows.select("key_hash", "key_hash_next").iter_rows())
        assert pairs == {(xxh3_64_intdigest(name, seed=7), xxh3_64_intdigest(name, seed=9)) for name in names}
    assert set(rows["db"]) == {4}
    assert set(rows.select("pattern", "governance", "governed_by").iter_rows()) == {
        ("a:{n}", "rule", "a:{n}"),
        ("a:{n}", "exempt", "a:7"),
    }


def test_nothing_leaves_no_rows() -> None:
    """A shard without keys has documents without rows."""
    with Tally(0, None, 0.5) as tally:
        assert tally.is_counted
        counted = tally.drain()
    assert (counted.keys, counted.no_ttl_keys, table(counted.patterns).height, table(counted.fingerprints).height) == (
        0,
        0,
        0,
        0,
    )


def test_facts_are_summed_where_their_key_was_counted() -> None:
    """Types, sizes with their squares, use and counters of a pattern's sampled keys; a fact of a key counts once."""
    with Tally(0, POLICY, 1.0) as tally:
        tally.add(frame([(b"a:1", None), (b"a:2", 5), (b"a:7", None), (b"b:1", None)]))
        tally.finish_batches()
        assert sorted(tally.take_sample()) == [b"a:1", b"a:2", b"a:7", b"b:1"]
        tally.add_facts(
            [
                KeyFacts(b"a:1", "string", 100, 7, None, "int"),
                KeyFacts(b"a:2", "hash", 300, None, 5),
                KeyFacts(b"a:7", "odd", None, None, 10**6),
                KeyFacts(b"strange", "string", 1, 1, 1),
            ]
        )
        tally.add_facts([KeyFacts(b"a:1", "string", 100, 7, None, "int")])
        counted = tally.drain()
    row = row_of(counted, "a:{n}", governance="rule")
    assert (row["keys"], row["type_string"], row["type_hash"], row["type_other"]) == (2, 1, 1, 0)
    assert [row[f"size_{part}"] for part in ("n", "sum", "squares", "max")] == [2, 400.0, 100_000.0, 300.0]
    assert [row[f"freq_{part}"] for part in ("n", "sum", "squares", "max")] == [1, 7.0, 49.0, 7.0]
    assert [row[f"idle_{part}"] for part in ("n", "sum", "squares", "max")] == [1, 5.0, 25.0, 5.0]
    assert (row["hot_keys"], row["counter_keys"]) == (2, 1)
    exempt = row_of(counted, "a:{n}", governance="exempt")
    assert (exempt["type_other"], exempt["size_n"], exempt["size_max"], exempt["hot_keys"]) == (1, 0, None, 0)
    other = row_of(counted, "b:{n}")
    assert (other["size_n"], sum(other[f"type_{name}"] for name in ("string", "other"))) == (0, 0)


def test_increments_are_drained_in_their_order() -> None:
    """What is added after a close is the next one's, with the facts of its keys; a drain without a close takes everything so far."""
    with Tally(0, None, 1.0) as tally:
        tally.add(frame([(b"a:1", None)]))
        tally.close()
        tally.add(frame([(b"b:1", None), (b"b:2", None)]))
        tally.close()
        tally.add(frame([(b"c:1", None)]))
        tally.finish_batches()
        assert tally.is_counted
        first = tally.drain()
        tally.finish_batches()
        tally.add_facts([KeyFacts(b"b:1", "string", 5)])
        second, third = tally.drain(), tally.drain()
        assert tally.drain().keys == 0
    assert [each.keys for each in (first, second, third)] == [1, 2, 1]
    assert row_of(second, "b:{n}")["size_sum"] == 5.0
    assert table(second.fingerprints).height == 2


def test_batches_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader waits when more than two batches haven't been counted."""
    waiting: list[int] = []
    with Tally(0, None, 0.0) as tally:
        slow = tally._worker.submit

        def submit(work: Any, batch: Any) -> Any:
            waiting.append(len(tally._waiting))
            return slow(work, batch)

        monkeypatch.setattr(tally._worker, "submit", submit)
        for number in range(6):
            tally.add(frame([(b"a:%d" % each, None) for each in range(number, number + 300)]))
        assert len(tally._waiting) <= 2
        assert not tally.is_counted or not tally._waiting
    assert max(waiting) <= 2


@pytest.mark.parametrize(
    ("batches", "ratio", "asked"), [(1, 0.01, 200), (2, 0.01, 200), (4, 0.01, 209), (1, 0.5, 200), (3, 0.5, 500)]
)
def test_the_first_keys_of_a_shard_are_asked_whole(batches: int, ratio: float, asked: int) -> None:
    """Up to two hundred of them, however the batches are cut; after that the wanted share of each batch."""
    with Tally(0, None, ratio) as tally:
        found = 0
        for number in range(batches):
            size = 300 if batches != 2 else 100
            tally.add(frame([(b"a:%d" % (number * 1_000 + each), None) for each in range(size)]))
            tally.finish_batches()
            found += len(tally.take_sample())
    assert found == asked


def test_patterns_of_one_parent_share_what_it_gets() -> None:
    """A parent gets twice its part of what is asked, and its patterns come in turns; the budget is spent on what comes first."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    made: Rows = [(b"big:%d" % number, None) for number in range(5_000)]
    made += [(f"users:{a}{b}x".encode(), None) for a in letters for b in letters[:10] for _ in range(2)]
    made += [(b"rare:%d" % number, None) for number in range(3)]
    made += [(b"alone", None)]
    with Tally(0, None, 0.0001) as tally:
        tally.add(frame(made))
        tally.finish_batches()
        sample = tally.take_sample()
    families = {
        name: [key for key in sample if key.startswith(name)] for name in (b"big:", b"users:", b"rare:", b"alone")
    }
    assert {name: len(keys) for name, keys in families.items()} == {
        b"big:": 98,
        b"users:": 98,
        b"rare:": 3,
        b"alone": 1,
    }
    assert len(set(families[b"users:"])) == 98, "no second key of a pattern while there are others"
    assert set(sample[:4]) == {b"big:0", b"users:aax", b"rare:0", b"alone"}


def test_types_beyond_the_six_are_named() -> None:
    """Each by its own name, with its keys, beside those that count as other."""
    with Tally(0, None, 1.0) as tally:
        tally.add(frame([(b"a:%d" % number, None) for number in range(4)]))
        tally.finish_batches()
        kinds = ("ReJSON-RL", "vectorset", "ReJSON-RL", "hash")
        tally.add_facts(KeyFacts(b"a:%d" % number, kind) for number, kind in enumerate(kinds))
        row = row_of(tally.drain(), "a:{n}")
    assert {each["name"]: each["keys"] for each in row["other_types"]} == {"ReJSON-RL": 2, "vectorset": 1}
    assert (row["type_other"], row["type_hash"]) == (3, 1)


ALL, SOME = FieldTtls(2, 2, 2, 50), FieldTtls(2, 2, 1, 50)


@pytest.mark.parametrize(
    ("ttl_ms", "facts", "known", "ends"),
    [
        (None, {"type": "hash", "fields": ALL}, True, True),
        (None, {"type": "hash", "fields": SOME}, True, False),
        (None, {"type": "hash"}, False, None),
        (None, {"type": "string"}, True, False),
        (None, {}, False, None),
        (5, {"type": "hash", "fields": ALL}, False, None),
        (5, {"type": "string"}, False, None),
    ],
)
def test_only_a_hash_whose_every_field_ends_does_so_itself(
    ttl_ms: int | None, facts: dict[str, Any], *, known: bool, ends: bool | None
) -> None:
    """Of a key without a TTL it is known by its type, and of a hash by its fields; of one with a TTL nobody asks."""
    with Tally(0, None, 1.0) as tally:
        tally.add(frame([(b"a:1", ttl_ms)]))
        tally.finish_batches()
        tally.add_facts([KeyFacts(b"a:1", **facts)])
        merger = PatternMerger()
        merger.add(tally.drain().patterns)
    [row] = merger.result()[0]
    assert (row.fields.no_ttl_sampled, row.fields.ending) == (int(known), int(bool(ends)))
    assert row.fields.last_s == (50 if ends else None)
