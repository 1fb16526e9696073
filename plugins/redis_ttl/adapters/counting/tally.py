"""Counts the keys of a scan as they arrive, by columns, beside the thread that reads them.

One worker thread folds and counts while the next pages are being read (polars lets the interpreter go meanwhile). What
it holds is bounded: the table of patterns by folding it once more when it outgrows :data:`PATTERNS_HELD`, everything
else by being handed over at each :meth:`Tally.drain`. Knows columns and hashes; nothing of Redis, and nothing of where
the figures go.
"""

from __future__ import annotations

import io
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Final

import polars as pl
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.counting.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.counting.governance_columns import Governors
from redis_ttl.adapters.counting.learned_texts import LearnedTexts
from redis_ttl.adapters.counting.pattern_table import (
    FIELD_KINDS,
    KEY_TYPES,
    OTHER_TYPES,
    conform,
    merge_tables,
    rename_patterns,
    to_parquet,
)
from redis_ttl.adapters.threads import give_way
from redis_ttl.domain.audit.ttl_histogram import TTL_BOUNDS_S, TTL_CLASSES
from redis_ttl.domain.keys.field_ttls import FieldTtlKind
from redis_ttl.domain.keys.fold_by_count import SHARD_LIMITS, fold_by_count
from redis_ttl.domain.keys.folding import LONGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from redis_ttl.domain.audit.key_facts import KeyFacts
    from redis_ttl.domain.policy.policy import Policy

#: Rows that the table of patterns may reach before text segments are folded by their number.
PATTERNS_HELD: Final = 5_000
#: A shard asks all of its first keys, up to so many, whatever share of them was wanted.
LEAST_SAMPLED: Final = 200
#: Batches that may wait for the counting thread before the reader has to.
_BATCHES_WAITING: Final = 2

#: Pattern, governor, and whether the key has no TTL.
_Group = tuple[str, int | None, bool]
#: As in `_FACT_TYPES`.
_FactRow = tuple[str | int | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted since the last drain: the table of patterns, and the fingerprints of keys without TTL, each as
    parquet.
    """

    keys: int
    no_ttl_keys: int
    patterns: bytes
    fingerprints: bytes


@dataclass(frozen=True, slots=True)
class _Batch:
    table: pl.DataFrame
    fingerprints: pl.DataFrame
    sample: dict[bytes, _Group]


@dataclass(slots=True)
class _Increment:
    """What is counted from one drain to the next."""

    tables: list[pl.DataFrame] = field(default_factory=list)
    fingerprints: list[pl.DataFrame] = field(default_factory=list)
    asked: dict[bytes, _Group] = field(default_factory=dict)
    facts: list[_FactRow] = field(default_factory=list)
    ends: dict[bytes, bool] = field(default_factory=dict)
    batches_waiting: int = 0


class Tally:
    """Statistics of one shard in the making.

    ``sample_ratio`` is the share of keys (0 to 1) that are offered for questions (type, size, FREQ): every pattern of
    a batch gives about as many, so that a rare one is known as well as a common one. A scan meets keys in the order of
    their hash, hence the first few of a pattern are a random sample of it. ``seed`` is that of the audit's fingerprints;
    with a ``next_seed`` they have a second column.
    """

    def __init__(
        self, db: int, policy: Policy | None, sample_ratio: float, seed: int = 0, next_seed: int | None = None
    ) -> None:
        self._db = db
        self._seeds = {"key_hash": seed} | ({} if next_seed is None else {"key_hash_next": next_seed})
        self._governors = Governors(policy)
        self._sample_ratio = sample_ratio
        self._texts = LearnedTexts()
        # The reading thread, and a server on the same machine, go before the counting.
        self._worker = ThreadPoolExecutor(1, "tally", give_way)
        self._waiting: deque[tuple[Future[_Batch], _Increment]] = deque()
        # The last one is open: batches are added to it. Those before it are closed, and wait to be drained.
        self._increments = deque([_Increment()])
        self._wanted: list[bytes] = []
        self._sampled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    def add(self, frame: pl.DataFrame) -> None:
        """Count one batch: columns ``key`` (binary) and ``ttl_ms`` (null where the key has none)."""
        increment = self._increments[-1]
        increment.batches_waiting += 1
        self._waiting.append((self._worker.submit(self._count, frame), increment))
        while self._waiting and (len(self._waiting) > _BATCHES_WAITING or self._waiting[0][0].done()):
            self._collect()

    def take_sample(self) -> list[bytes]:
        """The keys whose facts are wanted and weren't asked for yet."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def add_facts(self, answers: Iterable[KeyFacts]) -> None:
        """Count what the server answered about sampled keys; a key that vanished meanwhile has no facts."""
        for facts in answers:
            for increment in self._increments:
                group = increment.asked.pop(facts.key, None)
                if group is not None:
                    increment.facts.append(_fact_row(facts, group))
                    if (ends := _ends(facts, no_ttl=group[2])) is not None:
                        increment.ends[facts.key] = ends
                    break

    def finish_batches(self) -> None:
        """Wait until every batch of the increment to be drained next is counted, so that :meth:`take_sample` has offered
        all that will ever be offered for them.
        """
        while not self.is_counted:
            self._collect()

    @property
    def is_counted(self) -> bool:
        """Whether :meth:`finish_batches` has nothing to wait for."""
        return not self._increments[0].batches_waiting

    def close(self) -> None:
        """What is added from now on belongs to the next increment."""
        self._increments.append(_Increment())

    def drain(self) -> Counted:
        """The first increment that was closed and not drained yet; where there is none, everything so far."""
        if len(self._increments) == 1:
            self.close()
        self.finish_batches()
        # A sampled key that had vanished by the time it was asked about never gets an answer.
        increment = self._increments.popleft()
        table = merge_tables([*increment.tables, self._fact_table(increment.facts)])
        # Without a batch there is no row to have a second hash.
        prints = pl.concat(increment.fingerprints) if increment.fingerprints else _NO_FINGERPRINTS
        prints = prints.join(self._ends_of(increment), on="key_hash", how="left", maintain_order="left")
        buffer = io.BytesIO()
        self._governors.name(prints.with_columns(pl.lit(self._db, pl.Int32).alias("db"))).write_parquet(buffer)
        return Counted(int(table["keys"].sum()), int(table["no_ttl_keys"].sum()), to_parquet(table), buffer.getvalue())

    def _ends_of(self, increment: _Increment) -> pl.DataFrame:
        """Which of the sampled keys without TTL end by themselves, by their fingerprints."""
        keys = pl.Series(list(increment.ends), dtype=pl.Binary)
        ends = pl.Series(list(increment.ends.values()), dtype=pl.Boolean)
        prints = _fingerprints(keys, self._seeds["key_hash"])
        return pl.DataFrame({"key_hash": prints, "ends": ends}).unique("key_hash", keep="any")

    def _collect(self) -> None:
        future, increment = self._waiting.popleft()
        batch = future.result()
        increment.batches_waiting -= 1
        increment.tables.append(batch.table)
        increment.fingerprints.append(batch.fingerprints)
        increment.asked.update(batch.sample)
        self._wanted.extend(batch.sample)
        if len(increment.tables) > 1 and sum(table.height for table in increment.tables) > PATTERNS_HELD:
            self._compact(increment)

    def _compact(self, increment: _Increment) -> None:
        table = merge_tables(increment.tables)
        if table.height > PATTERNS_HELD:
            keys = table.group_by("pattern").agg(pl.col("keys").sum())
            renamed = fold_by_count(dict(keys.iter_rows()), SHARD_LIMITS)
            table = rename_patterns(table, renamed)
            self._texts.learn_folding(renamed)
            increment.asked = {
                key: (renamed.get(pattern, pattern), governor, no_ttl)
                for key, (pattern, governor, no_ttl) in increment.asked.items()
            }
        increment.tables = [table]

    def _count(self, frame: pl.DataFrame) -> _Batch:
        texts = key_texts(frame["key"])
        ttl_s = (frame["ttl_ms"] + 999) // 1000
        pattern = self._fold(texts)
        governor = self._governors.judge(texts, pattern)
        rows = frame.with_columns(
            pattern=pattern,
            governor=governor,
            ttl_s=ttl_s,
            over_rule=ttl_s > self._governors.longest_ttls_s(governor),
            under_rule=frame["ttl_ms"] < self._governors.ttls_s(governor) * 1000,
            ttl_class=_BOUNDS.search_sorted(ttl_s, side="left"),
        )
        table = rows.group_by("pattern", "governor").agg(
            pl.len().alias("keys"),
            pl.col("ttl_s").null_count().alias("no_ttl_keys"),
            pl.col("over_rule").sum().alias("over_rule_keys"),
            pl.col("under_rule").sum().alias("under_rule_keys"),
            *(
                ((pl.col("ttl_class") == number) & pl.col("ttl_s").is_not_null()).sum().alias(f"ttl_{name}")
                for number, name in enumerate(TTL_CLASSES)
            ),
            pl.col("ttl_s").cast(pl.Float64).sum().alias("ttl_sum_s"),
            pl.col("ttl_s").min().alias("ttl_min_s"),
            pl.col("ttl_s").max().alias("ttl_max_s"),
            pl.col("key").head(2).alias("example_keys"),
        )
        table = table.with_columns(examples=_with_order(table["example_keys"]).list.eval(_SHORT)).drop("example_keys")
        no_ttl = rows.filter(pl.col("ttl_ms").is_null()).select("key", "pattern", "governor")
        hashes = [_fingerprints(no_ttl["key"], seed).alias(name) for name, seed in self._seeds.items()]
        return _Batch(
            conform(self._governors.name(table).with_columns(db=pl.lit(self._db))),
            # Categories: a number a key, where the text would keep the whole batch's texts alive until the next drain.
            no_ttl.select(*hashes, pl.col("pattern").cast(pl.Categorical), "governor"),
            self._sample(rows),
        )

    def _fold(self, texts: pl.Series) -> pl.Series:
        patterns = self._texts.fold(fold_shapes(texts).alias("pattern"))
        if patterns.n_unique() > PATTERNS_HELD:
            self._texts.learn_from(patterns)
            patterns = self._texts.fold(patterns)
        return patterns

    def _sample(self, rows: pl.DataFrame) -> dict[bytes, _Group]:
        if not self._sample_ratio:
            return {}
        # The first few keys are all asked: a small keyspace, or a small shard, is known as well as a large one.
        budget = max(round(rows.height * self._sample_ratio), min(rows.height, LEAST_SAMPLED - self._sampled))
        if budget >= rows.height:
            asked = rows.select("pattern", "governor", _NO_TTL, "key")
        elif budget > 0:
            asked = self._spread(rows, budget)
        else:
            return {}
        self._sampled += asked.height
        return {key: (pattern, governor, no_ttl) for pattern, governor, no_ttl, key in asked.iter_rows()}

    @staticmethod
    def _spread(rows: pl.DataFrame, budget: int) -> pl.DataFrame:
        # Patterns of one parent (all before the last separator) share what a parent gets, so that ten thousand user names under one
        # parent don't take the place of a rare pattern elsewhere; within a parent each pattern's first key comes before any second one.
        parent = pl.col("pattern").str.extract("^(.*[:/|])").fill_null(pl.col("pattern"))
        parents = rows["pattern"].unique().to_frame().select(parent.n_unique()).item()
        each = max(1, 2 * budget // parents)
        return (
            rows.group_by("pattern", "governor", maintain_order=True)
            .agg(pl.col("key").head(each), _NO_TTL.head(each))
            .with_columns(parent=parent, turn=pl.int_ranges(pl.col("key").list.len()))
            .explode("key", "no_ttl", "turn")
            .sort("turn", maintain_order=True)
            .with_columns(rank=pl.int_range(pl.len()).over("parent"))
            .sort("rank", maintain_order=True)
            .head(budget)
            .select("pattern", "governor", "no_ttl", "key")
        )

    def _fact_table(self, facts: list[_FactRow]) -> pl.DataFrame:
        rows = pl.DataFrame(facts, schema=_FACT_TYPES, orient="row")
        known = pl.col("type").is_in(KEY_TYPES)
        kind = pl.when(known).then("type").when(pl.col("type").is_not_null()).then(pl.lit("other"))
        figures = [(kind == name).fill_null(value=False).cast(pl.Int64).alias(f"type_{name}") for name in KEY_TYPES]
        for name in ("size", "freq", "idle", "unwritten"):
            value = pl.col(name)
            figures += [
                value.is_not_null().cast(pl.Int64).alias(f"{name}_n"),
                value.fill_null(0).alias(f"{name}_sum"),
                (value.fill_null(0) ** 2).alias(f"{name}_squares"),
                value.alias(f"{name}_max"),
            ]
        one = pl.struct(pl.col("other_type").alias("name"), pl.lit(1, pl.Int64).alias("keys"))
        named = pl.when(pl.col("other_type").is_not_null()).then(pl.concat_list(one)).otherwise(pl.lit([], OTHER_TYPES))
        figures += [named.alias("other_types")]
        table = self._governors.name(rows.select("pattern", "governor", *figures, *_FOLLOWING))
        return merge_tables([conform(table.with_columns(db=pl.lit(self._db)))])


_SHORT: Final = pl.element().filter(pl.element().struct.field("key").bin.size() <= LONGEST_BYTES)
#: A third of a millisecond of hashing.
_HASHED_TOGETHER: Final = 2_000
_NO_HASHES: Final = pl.Series(dtype=pl.UInt64)
_BOUNDS: Final = pl.Series(TTL_BOUNDS_S, dtype=pl.Int64)
_FACT_TYPES: Final = {
    "pattern": pl.String(),
    "governor": pl.Int32(),
    "type": pl.String(),
    "size": pl.Float64(),
    "freq": pl.Float64(),
    "idle": pl.Float64(),
    "unwritten": pl.Float64(),
    "other_type": pl.String(),
    "hot_keys": pl.Boolean(),
    "counter_keys": pl.Boolean(),
    "short_raw_keys": pl.Boolean(),
    "fields_n": pl.Boolean(),
    **{f"fields_{kind.value}": pl.Boolean() for kind in FIELD_KINDS},
    "ending_n": pl.Boolean(),
    "ending_keys": pl.Boolean(),
    "ending_last_s": pl.Int64(),
}
#: What goes into the table as it is.
_FOLLOWING: Final = tuple(_FACT_TYPES)[8:]
_NO_TTL: Final = pl.col("ttl_ms").is_null().alias("no_ttl")
_NO_FINGERPRINTS: Final = pl.DataFrame(schema={"key_hash": pl.UInt64, "pattern": pl.Categorical, "governor": pl.Int32})


def _with_order(lists: pl.Series) -> pl.Series:
    """Example keys with their hash in front: "the smallest few" of a union is then the same in whatever order unions
    are formed.
    """
    flat = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "key": lists}).explode("key", empty_as_null=False)
    ordered = flat.select("row", _fingerprints(flat["key"], 0).alias("order"), "key")
    return ordered.group_by("row", maintain_order=True).agg(pl.struct("order", "key").alias("examples"))["examples"]


def _fingerprints(keys: pl.Series, seed: int) -> pl.Series:
    """The hashes of the keys, some thousand at a time: hashing holds the interpreter, and the reading thread, with a server
    behind it that has nothing to do, waits for its turn in between.
    """
    parts = [_NO_HASHES]
    for at in range(0, len(keys), _HASHED_TOGETHER):
        some = keys.slice(at, _HASHED_TOGETHER).to_list()
        parts.append(pl.Series(list(map(xxh3_64_intdigest, some, repeat(seed))), dtype=pl.UInt64))
        time.sleep(0)
    return pl.concat(parts, rechunk=True)


def _fact_row(facts: KeyFacts, group: _Group) -> _FactRow:
    pattern, governor, no_ttl = group
    fields = facts.fields
    ends = _ends(facts, no_ttl=no_ttl)
    return (
        pattern,
        governor,
        facts.type,
        facts.size_bytes,
        facts.freq,
        facts.idle_s,
        facts.unwritten_s,
        facts.other_type,
        facts.is_hot,
        facts.is_counter,
        facts.is_short_raw,
        fields is not None,
        *(fields is not None and fields.kind is kind for kind in FIELD_KINDS),
        ends is not None,
        bool(ends),
        fields.last_s if ends and fields is not None else None,
    )


def _ends(facts: KeyFacts, *, no_ttl: bool) -> bool | None:
    """Whether a key without a TTL ends by itself, which no key does but a hash; None for one with a TTL, and where it isn't known."""
    if not no_ttl or facts.type is None or (facts.type == "hash" and facts.fields is None):
        return None
    return facts.fields is not None and facts.fields.kind is FieldTtlKind.ALL
