"""The 64-bit number by which a key of one database is known where its name would take too much room.

Two of ten million keys get the same one with a probability of 0.0003%.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from itertools import repeat
from typing import Final

import polars as pl
from xxhash import xxh3_64_intdigest

#: Odd, with bits all over: database numbers become numbers that differ everywhere; database 0 leaves the hash as it is.
_SPREADS_DATABASES: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


#: Where somebody switched the interpreter's own secret off (PYTHONHASHSEED), we bring one.
_SECRET: Final = secrets.token_bytes(16)


def key_ids(keys: pl.Series, db: int) -> pl.Series:
    """Numbers that stand for a Binary column's keys in that database within this process, and that nobody can steer.

    Unlike :func:`key_places` they can't be foretold: the interpreter's own hash of bytes is SipHash-1-3, keyed by 128
    random bits of this process (PEP 456), so whoever chooses key names can't make two of them collide. Two of ten million
    keys get the same number with a probability of 0.0003%. Never to be kept: another process has other numbers.
    """
    names = keys.to_list()
    if sys.flags.hash_randomization:
        hashes = pl.Series(list(map(hash, names)), dtype=pl.Int64).reinterpret(signed=False)
    else:
        digests = (hashlib.blake2b(name, digest_size=8, key=_SECRET).digest() for name in names)
        hashes = pl.Series([int.from_bytes(digest, "little") for digest in digests], dtype=pl.UInt64)
    return in_database(hashes, db)


def key_places(keys: pl.Series, db: int, seed: int = 0) -> pl.Series:
    """The places of a Binary column's keys in that database, by the fingerprints of an audit with that seed."""
    hashes = pl.Series(list(map(xxh3_64_intdigest, keys.to_list(), repeat(seed))), dtype=pl.UInt64)
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
