"""The table of per-pattern figures: its columns, and how two of them become one.

A row is one (database, pattern, governing rule or exemption). Every figure is a sum, a minimum, a maximum or "the few
smallest", so that tables merge in any order and any grouping with the same result: shards may arrive as they like, and
a resumed shard's increments add up to what one uninterrupted scan would have counted. Knows columns (polars), and
nothing of Redis or of the store.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.store.parquet_documents import damage_named, read_columns
from redis_ttl.domain.audit.estimate import Sample
from redis_ttl.domain.audit.pattern_statistics import Governance, PatternStatistics
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.keys.field_ttls import FieldStatistics, FieldTtlKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The types that Redis and its modules' keys are counted under; what isn't named here counts as ``other``.
KEY_TYPES: Final[tuple[str, ...]] = ("string", "hash", "list", "set", "zset", "stream", "other")
EXAMPLES_KEPT: Final = 5

#: Names of types beyond KEY_TYPES that a row keeps, the first by name, so that it doesn't matter in which order rows are merged.
TYPE_NAMES_KEPT: Final = 8
OTHER_TYPES: Final = pl.List(pl.Struct({"name": pl.String(), "keys": pl.Int64()}))
#: What sampled hashes are counted under that have fields with a TTL.
FIELD_KINDS: Final = (FieldTtlKind.ALL, FieldTtlKind.SOME, FieldTtlKind.AT_LEAST_SOME)

GROUP: Final[tuple[str, ...]] = ("db", "pattern", "governance", "governed_by")
_COUNTS: Final[tuple[str, ...]] = (
    "keys",
    "no_ttl_keys",
    "over_rule_keys",
    "under_rule_keys",
    *(f"ttl_{name}" for name in TTL_CLASSES),
    *(f"type_{name}" for name in KEY_TYPES),
    "hot_keys",
    "counter_keys",
    "short_raw_keys",
    "fields_n",
    *(f"fields_{kind.value}" for kind in FIELD_KINDS),
    "ending_n",
    "ending_keys",
)
_FIELD_COUNTS: Final = ("all_fields", "some_fields", "at_least_some")
_SAMPLES: Final[tuple[str, ...]] = ("size", "freq", "idle", "unwritten")
_SUMS: Final[tuple[str, ...]] = (
    *_COUNTS,
    "ttl_sum_s",
    *(f"{sample}_{part}" for sample in _SAMPLES for part in ("n", "sum", "squares")),
)

SCHEMA: Final[dict[str, pl.DataType]] = {
    "db": pl.Int32(),
    "pattern": pl.String(),
    "governance": pl.String(),
    "governed_by": pl.String(),
    **{name: pl.Int64() for name in _COUNTS},
    # Whole seconds, but a thousand keys with the longest TTL that a server takes add up to more than 64 bits hold.
    "ttl_sum_s": pl.Float64(),
    "ttl_min_s": pl.Int64(),
    "ttl_max_s": pl.Int64(),
    "ending_last_s": pl.Int64(),
    **{
        f"{sample}_{part}": pl.Int64() if part == "n" else pl.Float64()
        for sample in _SAMPLES
        for part in ("n", "sum", "squares", "max")
    },
    "other_types": OTHER_TYPES,
    "examples": pl.List(pl.Struct({"order": pl.UInt64(), "key": pl.Binary()})),
}


_LISTS: Final = ("examples", "other_types")


def empty_table() -> pl.DataFrame:
    """A table without rows: the neutral element of :func:`merge_tables`."""
    return pl.DataFrame(schema=SCHEMA)


def conform(table: pl.DataFrame) -> pl.DataFrame:
    """``table`` with every column of :data:`SCHEMA`: what it lacks is zero, or unknown where zero would be a claim."""
    missing = [
        pl.lit(0 if name in _SUMS else None, dtype=dtype).alias(name)
        if name not in _LISTS
        else pl.lit([], dtype=dtype).alias(name)
        for name, dtype in SCHEMA.items()
        if name not in table.columns
    ]
    return table.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def merge_tables(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One table with the figures of all; associative and commutative, rows in the order of their group."""
    parts = [table for table in tables if table.height]
    if not parts:
        return empty_table()
    return _regroup(pl.concat(parts))


def rename_patterns(table: pl.DataFrame, renamed: Mapping[str, str]) -> pl.DataFrame:
    """The table after a second folding: rows whose patterns got one name become one row."""
    if not renamed:
        return table
    return _regroup(table.with_columns(pl.col("pattern").replace(dict(renamed))))


def to_statistics(table: pl.DataFrame) -> list[PatternStatistics]:
    """The rows as the domain knows them, most no-TTL keys first, then most keys, then by name."""
    ordered = table.sort(
        ["no_ttl_keys", "keys", "db", "pattern", "governed_by"],
        descending=[True, True, False, False, False],
        nulls_last=True,
    )
    return [_statistics(row) for row in ordered.iter_rows(named=True)]


def to_parquet(table: pl.DataFrame) -> bytes:
    """The table as one parquet file."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def from_parquet(data: bytes) -> pl.DataFrame:
    """The table that :func:`to_parquet` wrote, by this version or an older one with fewer columns."""
    with damage_named("patterns"):
        return conform(read_columns(data, "patterns"))


def _regroup(table: pl.DataFrame) -> pl.DataFrame:
    sums = [pl.col(name).sum() for name in _SUMS]
    highest = [pl.col(name).max() for name in ("ttl_max_s", "ending_last_s", *(f"{sample}_max" for sample in _SAMPLES))]
    few = pl.col("examples").explode(empty_as_null=False).unique().sort().head(EXAMPLES_KEPT)
    names = pl.col("other_types").explode(empty_as_null=False)
    merged = table.group_by(GROUP).agg(*sums, pl.col("ttl_min_s").min(), *highest, few, names)
    merged = merged.with_columns(other_types=_sums_by_name(merged["other_types"]))
    return merged.select(list(SCHEMA)).sort(GROUP, nulls_last=True)


def _sums_by_name(lists: pl.Series) -> pl.Series:
    """Each row's types with their keys, every name once."""
    if not lists.list.len().sum():
        return lists
    flat = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "each": lists}).explode(
        "each", empty_as_null=False
    )
    sums = flat.unnest("each").group_by("row", "name").agg(pl.col("keys").sum()).sort("name")
    kept = sums.group_by("row").agg(pl.struct("name", "keys").head(TYPE_NAMES_KEPT).alias("other_types"))
    rows = pl.DataFrame({"row": pl.int_range(len(lists), eager=True)})
    return rows.join(kept, on="row", how="left", maintain_order="left")["other_types"].fill_null([]).cast(OTHER_TYPES)


def _statistics(row: Mapping[str, object]) -> PatternStatistics:
    def number(name: str) -> int:
        return int(row[name])  # type: ignore[call-overload, no-any-return]  # a column of SCHEMA that is never null

    def sample(name: str) -> Sample:
        count = number(f"{name}_n")
        total, squares, largest = (float(row[f"{name}_{part}"] or 0.0) for part in ("sum", "squares", "max"))  # type: ignore[arg-type]
        return Sample(count, total, squares, largest)

    with_ttl = number("keys") - number("no_ttl_keys")
    examples = row["examples"]
    return PatternStatistics(
        db=number("db"),
        pattern=str(row["pattern"]),
        governance=Governance(str(row["governance"])),
        governed_by=None if row["governed_by"] is None else str(row["governed_by"]),
        keys=number("keys"),
        no_ttl_keys=number("no_ttl_keys"),
        over_rule_keys=number("over_rule_keys"),
        ttl_histogram=tuple(number(f"ttl_{name}") for name in TTL_CLASSES),
        ttl_mean_s=float(row["ttl_sum_s"]) / with_ttl if with_ttl else None,  # type: ignore[arg-type]  # never null
        ttl_min_s=None if row["ttl_min_s"] is None else number("ttl_min_s"),
        ttl_max_s=None if row["ttl_max_s"] is None else number("ttl_max_s"),
        sizes=sample("size"),
        freqs=sample("freq"),
        idles_s=sample("idle"),
        types={name: count for name in KEY_TYPES if (count := number(f"type_{name}"))},
        hot_keys=number("hot_keys"),
        counter_keys=number("counter_keys"),
        unwritten_s=sample("unwritten"),
        other_types={each["name"]: each["keys"] for each in row["other_types"]},  # type: ignore[attr-defined]
        short_raw_keys=number("short_raw_keys"),
        fields=FieldStatistics(
            hashes=number("fields_n"),
            **{name: number(f"fields_{kind.value}") for name, kind in zip(_FIELD_COUNTS, FIELD_KINDS, strict=True)},
            no_ttl_sampled=number("ending_n"),
            ending=number("ending_keys"),
            last_s=None if row["ending_last_s"] is None else number("ending_last_s"),
        ),
        under_rule_keys=number("under_rule_keys"),
        examples=tuple(example["key"] for example in examples),  # type: ignore[attr-defined]
    )
