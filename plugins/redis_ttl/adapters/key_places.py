"""The 64-bit number by which a key of one database is known where its name would take too much room.

Two of ten million keys get the same one with a probability of 0.0003%.
"""

from __future__ import annotations

from typing import Final

import polars as pl
from xxhash import xxh3_64_intdigest

#: Odd, with bits all over: database numbers become numbers that differ everywhere; database 0 leaves the hash as it is.
_SPREADS_DATABASES: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def key_places(keys: pl.Series, db: int) -> pl.Series:
    """The places of a Binary column's keys in that database."""
    hashes = pl.Series(list(map(xxh3_64_intdigest, keys.to_list())), dtype=pl.UInt64)
    return in_database(hashes, db)


def in_database(hashes: pl.Series, db: int) -> pl.Series:
    """The places of keys that have these hashes (xxh3, as an audit's fingerprints) in that database."""
    if not db:
        return hashes
    return hashes ^ pl.Series([db * _SPREADS_DATABASES & _MASK], dtype=pl.UInt64)


def find_places(table: pl.Series, wanted: pl.Series) -> pl.Series:
    """Where each of the wanted places stands in the sorted table, null for one that isn't there."""
    if table.is_empty() or wanted.is_empty():
        return pl.Series("at", [None], dtype=pl.UInt32).new_from_index(0, len(wanted))
    at = table.search_sorted(wanted).clip(0, len(table) - 1)
    found = table.gather(at) == wanted
    return pl.select(pl.when(found).then(at).cast(pl.UInt32).alias("at"))["at"]
