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
