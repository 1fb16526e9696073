"""Asks for the expiries of keys by name, wherever in a deployment they are at this moment.

In a cluster a slot may be on its way while we ask. Keys are followed as a rollback follows them
(:mod:`redis_ttl.adapters.connection.key_routes`): one counts as gone only when the node that answers for it says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import polars as pl

from redis_ttl.adapters.connection.key_routes import LOST, KeyRoutes
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.domain.errors import ConnectionLost, SlotsMoved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.adapters.connection.link import RedisLink
    from redis_ttl.domain.policy.load import Load


class FollowedExpiries:
    """Expiries of keys of the deployment that an endpoint leads to; a context manager. ``load`` is the limit of each server."""

    def __init__(self, endpoint: Endpoint, load: Load) -> None:
        self._label = endpoint.label
        self._load = load
        self._routes = KeyRoutes(endpoint)
        self._readers: dict[tuple[str, int], tuple[RedisLink, KeyExpiries]] = {}

    def __enter__(self) -> Self:
        self._routes.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._routes.close()

    def read(self, db: int, keys: Sequence[bytes], *, at: str | None = None) -> pl.DataFrame:
        """A row for each key, in their order: ``low_ms`` and ``high_ms``, between which its expiry lies (both null without a
        TTL, and the same where the server knows PEXPIRETIME), ``gone``.

        ``at`` is the address of the node where they were met, which is asked first. Raises `SlotsMoved` where a cluster keeps
        sending us around, and `ConnectionLost` where nobody answers for keys.
        """
        rows = pl.DataFrame({"key": pl.Series(keys, dtype=pl.Binary)}).with_row_index("number")
        answered, unreached = self._routes.everywhere(
            rows.with_columns(db=pl.lit(db, pl.Int32)), self._ask, lambda: None, at=at
        )
        if unreached.height:
            self._refuse(unreached["stray"])
        if not answered:
            return pl.DataFrame(schema={"low_ms": pl.Int64, "high_ms": pl.Int64, "gone": pl.Boolean})
        return pl.concat(answered).sort("number").select("low_ms", "high_ms", "gone")

    def _ask(self, address: str, db: int, rows: pl.DataFrame, *, asking: bool, alone: bool) -> pl.DataFrame:
        del alone  # each key is asked for alone anyway
        link = self._routes.link(address, db)
        known = self._readers.get((address, db))
        if known is None or known[0] is not link:
            known = self._readers[address, db] = link, KeyExpiries(link, self._load)
        return pl.concat([rows, known[1].read(rows["key"].to_list(), asking=asking)], how="horizontal")

    def _refuse(self, strays: pl.Series) -> None:
        found = f"{len(strays):,} keys that no node answers for"
        if not strays.str.starts_with(LOST).any():
            raise SlotsMoved(
                "this cluster moves slots faster than they can be followed",
                where=self._label,
                found=found,
                todo="Try again when its slots have come to rest (CLUSTER NODES shows slots on their way in brackets).",
            )
        raise ConnectionLost(
            "nodes of this cluster don't answer", where=self._label, found=found, todo="Try again when it is whole."
        )
