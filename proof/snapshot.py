"""Every key of a server with the instant at which it expires: what a remediation changes, and a rollback must give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.connection.link import RedisLink, encode

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``frame`` has a row for each key: ``key`` (binary) and ``expires_ms``, null for a key without a TTL."""

    frame: pl.DataFrame

    @property
    def keys(self) -> int:
        """How many keys there were."""
        return self.frame.height

    @property
    def no_ttl_keys(self) -> int:
        """How many of them had no TTL."""
        return self.frame["expires_ms"].null_count()

    def without(self, touched: pl.Series, *, until_ms: int) -> pl.DataFrame:
        """The rows of keys that nobody else touched, and that don't expire by themselves until then."""
        stays = pl.col("expires_ms").is_null() | (pl.col("expires_ms") > until_ms)
        return self.frame.filter(stays).join(touched.to_frame("key"), on="key", how="anti")


def take_snapshot(endpoint: Endpoint) -> Snapshot:
    """Read all of it, with PEXPIRETIME (Redis 7.0, Valkey)."""
    keys: list[bytes] = []
    instants: list[int] = []
    with RedisLink(endpoint) as link:
        cursor = b"0"
        while True:
            cursor, page = link.call("SCAN", cursor, "COUNT", _PAGE)
            if page:
                keys += page
                instants += link.exchange(b"".join(encode("PEXPIRETIME", key) for key in page), len(page))
            if cursor == b"0":
                break
    frame = pl.DataFrame({"key": pl.Series(keys, dtype=pl.Binary), "expires_ms": pl.Series(instants, dtype=pl.Int64)})
    frame = frame.unique("key").filter(pl.col("expires_ms") != -2)  # noqa: PLR2004  # gone since the SCAN
    return Snapshot(frame.with_columns(pl.when(pl.col("expires_ms") != -1).then("expires_ms")))


def differences(before: pl.DataFrame, after: Snapshot) -> pl.DataFrame:
    """The rows of ``before`` whose key is gone afterwards or expires at another instant, with ``now_ms`` and ``is_gone``."""
    there = after.frame.rename({"expires_ms": "now_ms"}).with_columns(is_gone=False)
    both = before.join(there, on="key", how="left").with_columns(pl.col("is_gone").fill_null(value=True))
    return both.filter(pl.col("is_gone") | ~pl.col("expires_ms").eq_missing(pl.col("now_ms")))
