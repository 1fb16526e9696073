"""Asks for the expiries of keys by name, wherever in a deployment they are at this moment.

In a cluster a slot may be on its way while we ask. A node that no longer holds a key says where it went (MOVED, ASK), and that
is followed: a key counts as gone only when the node that answers for it says so.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

import polars as pl

from redis_ttl.adapters.redis_cluster import cluster_nodes, is_cluster, locate
from redis_ttl.adapters.redis_errors import ErrorReply
from redis_ttl.adapters.redis_link import RedisLink, Reply, encode
from redis_ttl.domain.errors import SlotsMoved
from redis_ttl.domain.shards import SLOTS, key_slot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from redis_ttl.adapters.redis_endpoint import Endpoint
    from redis_ttl.domain.load import Load

_GONE: Final = -2
_KEYS_A_TIME: Final = 500
#: So often one key is asked for at another place; a cluster that sends us around for longer isn't at rest.
_HOPS: Final = 8
#: Before a node is asked again that says TRYAGAIN.
_REST_S: Final = 0.05
#: PTTL is cut to whole milliseconds, and so is TIME by us.
_ROUNDING_MS: Final = 1


class FollowedExpiries:
    """Expiries of keys of the deployment that an endpoint leads to; a context manager. ``load`` is the limit of each server."""

    def __init__(self, endpoint: Endpoint, load: Load) -> None:
        self._entry = locate(endpoint, "primary")
        self._load = load
        self._stack = ExitStack()
        self._nodes: dict[tuple[str, int], _Node] = {}
        self._owners: list[str] | None = None
        self._ids: dict[str, str] = {}

    def __enter__(self) -> Self:
        with RedisLink(self._entry.on(0)) as link:
            if self._entry.whole_cluster and is_cluster(link):
                self._owners = [self._entry.address] * SLOTS
                for node in cluster_nodes(link):
                    self._ids[node.address] = node.id
                    for first, last in node.slots:
                        self._owners[first : last + 1] = [node.address] * (last - first + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, db: int, keys: Sequence[bytes], *, at: str | None = None) -> pl.DataFrame:
        """A row for each key, in their order: ``low_ms`` and ``high_ms``, between which its expiry lies (both null without a
        TTL, and the same where the server knows PEXPIRETIME), ``gone``.

        ``at`` is the address of the node where they were met, which is asked first. Raises `SlotsMoved` where a cluster keeps
        sending us around.
        """
        parts = [_frame([], [], 0, 0)]
        waiting = self._by_owner(keys) if at is None else {(at, False): list(range(len(keys)))}
        for _ in range(_HOPS):
            elsewhere: dict[tuple[str, bool], list[int]] = {}
            for (address, asking), numbers in waiting.items():
                node = self._node(address, db)
                for start in range(0, len(numbers), node.page_keys):
                    page = numbers[start : start + node.page_keys]
                    answers, low_ms, high_ms = node.ask([keys[number] for number in page], asking=asking)
                    for number, answer in zip(page, answers, strict=True):
                        if isinstance(answer, ErrorReply):
                            elsewhere.setdefault(self._redirected(answer, address), []).append(number)
                    parts.append(_frame(page, answers, low_ms, high_ms))
            if not elsewhere:
                return pl.concat(parts).sort("number").drop("number")
            waiting = elsewhere
        raise SlotsMoved(
            "this cluster moves slots faster than they can be followed",
            where=self._entry.label,
            found=f"{sum(map(len, waiting.values()))} keys that no node answers for",
            todo="Try again when its slots have come to rest (CLUSTER NODES shows slots on their way in brackets).",
        )

    def _by_owner(self, keys: Sequence[bytes]) -> dict[tuple[str, bool], list[int]]:
        owners = self._owners
        if owners is None:
            return {(self._entry.address, False): list(range(len(keys)))}
        waiting: dict[tuple[str, bool], list[int]] = {}
        for number, key in enumerate(keys):
            waiting.setdefault((owners[key_slot(key)], False), []).append(number)
        return waiting

    def _redirected(self, reply: ErrorReply, address: str) -> tuple[str, bool]:
        """Where to ask instead, and whether as one who was sent there for a slot that is on its way."""
        kind, *words = reply.text.split()
        if kind == "TRYAGAIN":
            time.sleep(_REST_S)
            return address, False
        slot, there = int(words[0]), words[1]
        host, _, port = there.rpartition(":")
        # A node that doesn't know its own name yet says only the port.
        there = there if host else f"{self._entry.at(address).host}:{port}"
        if kind == "MOVED" and self._owners is not None:
            self._owners[slot] = there
        return there, kind == "ASK"

    def _node(self, address: str, db: int) -> _Node:
        known = self._nodes.get((address, db))
        if known is None:
            link = self._stack.enter_context(RedisLink(self._entry.at(address, self._ids.get(address)).on(db)))
            known = self._nodes[address, db] = _Node(link, self._load)
        return known


class _Node:
    """One database of one server."""

    def __init__(self, link: RedisLink, load: Load) -> None:
        self._link = link
        began_s = time.monotonic()
        self._exact = not isinstance(link.call_many([("PEXPIRETIME", "")])[0], ErrorReply)
        self._pace = load.pace(round_trip_s=time.monotonic() - began_s)

    @property
    def page_keys(self) -> int:
        """How many keys may be asked for at a time."""
        return min(_KEYS_A_TIME, self._pace.page_keys)

    def ask(self, keys: Sequence[bytes], *, asking: bool) -> tuple[list[Reply], int, int]:
        """What the node says of each key, which may be that it is elsewhere, and between which two moments (ms since 1970) it
        said so; both 0 where its answers are moments themselves.
        """
        began_s = time.monotonic()
        if self._exact:
            asked = self._send("PEXPIRETIME", keys, asking=asking), 0, 0
        else:
            low_ms = self._time_ms()
            left = self._send("PTTL", keys, asking=asking)
            asked = left, low_ms, self._time_ms() + _ROUNDING_MS
        now_s = time.monotonic()
        time.sleep(self._pace.pause_s(keys=len(keys), elapsed_s=now_s - began_s, now_s=now_s))
        return asked

    def _send(self, command: str, keys: Sequence[bytes], *, asking: bool) -> list[Reply]:
        if asking:
            before = encode("ASKING")
            replies = self._link.exchange(b"".join(before + encode(command, key) for key in keys), 2 * len(keys))[1::2]
        else:
            replies = self._link.exchange(b"".join(encode(command, key) for key in keys), len(keys))
        for reply in replies:
            if isinstance(reply, ErrorReply) and not reply.text.startswith(_ELSEWHERE):
                raise self._link.translate(reply, (command,)) from reply
        return replies

    def _time_ms(self) -> int:
        seconds, microseconds = self._link.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000


_ELSEWHERE: Final = ("MOVED ", "ASK ", "TRYAGAIN")


def _frame(numbers: list[int], answers: list[Reply], low_ms: int, high_ms: int) -> pl.DataFrame:
    """The rows of the keys that were answered for."""
    if any(isinstance(answer, ErrorReply) for answer in answers):
        told = [(number, answer) for number, answer in zip(numbers, answers, strict=True) if isinstance(answer, int)]
        numbers, answers = [number for number, _ in told], [answer for _, answer in told]
    columns = {"number": pl.Series(numbers, dtype=pl.UInt32), "answer": pl.Series(answers, dtype=pl.Int64)}
    known = pl.when(pl.col("answer") >= 0).then(pl.col("answer"))
    return pl.DataFrame(columns).select(
        "number",
        (known + low_ms).alias("low_ms"),
        (known + high_ms).alias("high_ms"),
        (pl.col("answer") == _GONE).alias("gone"),
    )
