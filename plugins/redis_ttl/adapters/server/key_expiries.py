"""Asks one server at which instants keys expire: to the millisecond where it knows PEXPIRETIME (7.0 and later).

An older server is asked for its time, the remaining time of some keys and its time again. The instant then lies between
two limits that are as far apart as those questions took, usually well under a millisecond or two. What a cluster's node
says of keys that it doesn't have at the moment is handed on: it never means that they are gone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.key_routes import STRAY
from redis_ttl.adapters.connection.link import RedisLink, Reply, encode, encode_each
from redis_ttl.adapters.connection.replies import are_numbers, time_us, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.policy.load import Load

_GONE: Final = -2
_KEYS_A_TIME: Final = 500
#: PTTL is cut to whole milliseconds, and so is TIME by us.
_ROUNDING_MS: Final = 1


class KeyExpiries:
    """The expiries of keys over one connection, no faster than ``load``; ``exact`` where the server knows PEXPIRETIME."""

    def __init__(self, link: RedisLink, load: Load) -> None:
        self._link = link
        began_s = time.monotonic()
        asked = link.call_many([("PEXPIRETIME", "")])[0]
        # A node of a cluster knows the command, and has perhaps not that key.
        self.exact = not isinstance(asked, ErrorReply) or asked.text.startswith(STRAY)
        self._pace = load.pace(round_trip_s=time.monotonic() - began_s)

    def read(self, keys: Sequence[bytes], *, asking: bool = False) -> pl.DataFrame:
        """A row for each key: ``low_ms`` and ``high_ms``, between which its expiry lies (both null without a TTL), ``gone``, and
        ``stray``, what the node says of a key that it doesn't have at the moment; null for one that was answered for.

        ``asking`` sends ASKING before each question, as a node wants it that is just getting a slot. Raises `MissingPermission` for a
        user who may use neither PEXPIRETIME nor TIME.
        """
        parts = []
        for start in range(0, len(keys), size := min(_KEYS_A_TIME, self._pace.page_keys)):
            part = keys[start : start + size]
            began_s = time.monotonic()
            parts.append(self._exactly(part, asking=asking) if self.exact else self._nearly(part, asking=asking))
            now_s = time.monotonic()
            time.sleep(self._pace.pause_s(keys=len(part), elapsed_s=now_s - began_s, now_s=now_s))
        return pl.concat(parts) if parts else _frame([], 0, 0)

    def _exactly(self, keys: Sequence[bytes], *, asking: bool) -> pl.DataFrame:
        return _frame(self._ask("PEXPIRETIME", keys, asking=asking), 0, 0)

    def _nearly(self, keys: Sequence[bytes], *, asking: bool) -> pl.DataFrame:
        before_ms = time_us(self._link.call_many([("TIME",)])[0], self._link.where) // 1000
        left = self._ask("PTTL", keys, asking=asking)
        after = self._link.call("TIME")
        return _frame(left, before_ms, time_us(after, self._link.where) // 1000 + _ROUNDING_MS)

    def _ask(self, command: str, keys: Sequence[bytes], *, asking: bool) -> list[Reply]:
        if asking:
            head = encode("ASKING")
            data = b"".join(head + each for each in encode_each(command, keys))
            replies = self._link.exchange(data, 2 * len(keys))[1::2]
        else:
            replies = self._link.exchange(b"".join(encode_each(command, keys)), len(keys))
        if not are_numbers(replies):
            self._refuse_odd(replies, command)
        return replies

    def _refuse_odd(self, replies: Sequence[Reply], command: str) -> None:
        for reply in replies:
            if not isinstance(reply, ErrorReply):
                whole(reply, command, self._link.where)
            elif not reply.text.startswith(STRAY):
                raise self._link.translate(reply, (command,)) from reply


def _frame(answers: list[Reply], low_ms: int, high_ms: int) -> pl.DataFrame:
    try:
        column, stray = pl.Series("answer", answers, dtype=pl.Int64), pl.Series("stray", [None], dtype=pl.String)
        stray = stray.new_from_index(0, len(answers))
    except (TypeError, ValueError, pl.exceptions.PolarsError):  # what a node says of keys that it doesn't have
        found = [None if isinstance(answer, ErrorReply) else answer for answer in answers]
        column = pl.Series("answer", found, dtype=pl.Int64)
        texts = [answer.text if isinstance(answer, ErrorReply) else None for answer in answers]
        stray = pl.Series("stray", texts, dtype=pl.String)
    known = pl.when(pl.col("answer") >= 0).then(pl.col("answer"))
    return pl.DataFrame([column, stray]).select(
        (known + low_ms).alias("low_ms"),
        (known + high_ms).alias("high_ms"),
        (pl.col("answer") == _GONE).fill_null(value=False).alias("gone"),
        "stray",
    )
