"""Gives keys back the expiry that they had: looks at many, then compares and sets in one step on the server.

A script restores up to a hundred keys at a time (about 0.2 ms of the server's thread), so that a neighbour doesn't
notice. In a cluster, keys of one call are of one slot. Before 7.0 there is no PEXPIRETIME: the script computes the
instant from TIME and PTTL, read one after the other, and takes two milliseconds more or less for the same.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl

from redis_ttl.adapters.journal_columns import journal_bytes
from redis_ttl.adapters.key_expiries import KeyExpiries
from redis_ttl.adapters.redis_cluster import Ways, check_primary, cluster_nodes
from redis_ttl.adapters.redis_errors import ErrorReply
from redis_ttl.adapters.redis_link import RedisLink, encode
from redis_ttl.adapters.redis_profile import parse_info, profile_from_info
from redis_ttl.domain.load import FastPace, Pace, RatePace
from redis_ttl.domain.rollback import RestoreAccount, add_restored
from redis_ttl.domain.shards import SLOTS, key_slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from redis_ttl.adapters.redis_endpoint import Endpoint
    from redis_ttl.domain.load import Load
    from redis_ttl.domain.plan import NodeIdentity
    from redis_ttl.domain.rate import Rate
    from redis_ttl.domain.server import ServerProfile

KEYS_A_CALL: Final = 100

# ARGV: for each key the instant that we set, and the one to put back or nothing. An old expiry that isn't later than ours would shorten
# a key's life, which no plan of ours means: such a row is left alone. Answers: 1 removed, 2 put back, 0 another expiry, -2 gone.
_RESTORE: Final = """
local function restored(key, set, was)
  local left = redis.call('PTTL', key)
  if left == -2 then return -2 end
  {compare}
  if was == '' then redis.call('PERSIST', key) return 1 end
  if tonumber(was) <= tonumber(set) then return 0 end
  redis.call('PEXPIREAT', key, was)
  return 2
end
local answers = {{}}
for i = 1, #KEYS do answers[i] = restored(KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
return answers
"""
_EXACTLY: Final = "if redis.call('PEXPIRETIME', key) ~= tonumber(set) then return 0 end"
_NEARLY: Final = """if left == -1 then return 0 end
  local now = redis.call('TIME')
  local off = now[1] * 1000 + math.floor(now[2] / 1000) + redis.call('PTTL', key) - tonumber(set)
  if off > 2 or off < -2 then return 0 end"""

_STATES: Final = {1: "removed", 2: "put_back", 0: "changed", -2: "gone"}


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of the keys of some journal rows; ``ours`` have exactly our expiry."""

    accounts: Mapping[int, RestoreAccount]
    ours: pl.DataFrame

    @property
    def ours_accounts(self) -> Mapping[int, RestoreAccount]:
        """What ``ours`` would become."""
        state = pl.when(pl.col("was_ms").is_null()).then(pl.lit("removed")).otherwise(pl.lit("put_back"))
        return _accounts(self.ours.with_columns(state=state))


class KeyRestorer:
    """Restores keys of the deployment that an endpoint leads to; a context manager.

    ``load`` limits looking, ``rate`` changing; both are of one server.
    """

    def __init__(self, endpoint: Endpoint, load: Load, rate: Rate) -> None:
        self._ways = Ways(endpoint)
        self._load = load
        self._rate = rate
        self._stack = ExitStack()
        self._databases: dict[tuple[str, int], _Database] = {}
        self._entry = self._ways.entry().on(0)
        self._profiles: dict[str, ServerProfile] = {}
        self._node_of_slot: list[str] | None = None

    def __enter__(self) -> Self:
        with RedisLink(self._entry) as link:
            profile = _profile(link)
            if profile.cluster_enabled and self._entry.whole_cluster:
                self._node_of_slot = [""] * SLOTS
                for node in cluster_nodes(link):
                    for first, last in node.slots:
                        self._node_of_slot[first : last + 1] = [node.address] * (last - first + 1)
        for address in sorted(set(self._node_of_slot or [self._entry.address])):
            with RedisLink(self._ways.to(address)) as link:
                profile = _profile(link)
            check_primary(profile)
            self._profiles[address] = profile
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def strangers(self, nodes: Sequence[NodeIdentity]) -> list[str]:
        """The primaries of now that don't continue the data set of any of these nodes."""
        return [
            f"{address} ({profile.lineage or profile.run_id or 'unknown'})"
            for address, profile in self._profiles.items()
            if not any(
                node.is_continued_by(
                    run_id=profile.run_id, lineage=profile.lineage, former_lineage=profile.former_lineage
                )
                for node in nodes
            )
        ]

    def limit(self, rate: Rate) -> None:
        """Restore no faster than this from now on."""
        if rate != self._rate:
            self._rate = rate
            for database in self._databases.values():
                database.limit(_pace(rate))

    def look(self, rows: pl.DataFrame) -> Looked:
        """Ask for the expiries of the rows' keys (the journal's columns, and ``undone``: restored by an earlier rollback)."""
        parts = [
            pl.concat([part, self._database(address, db).expiries.read(part["key"].to_list())], how="horizontal")
            for address, db, part in self._by_database(rows)
        ]
        if not parts:
            return Looked({}, rows)
        now_ms = time.time_ns() // 1_000_000
        table = pl.concat(parts).with_columns(state=_state(now_ms))
        ours = table.filter(pl.col("state") == "ours")
        return Looked(_accounts(table.filter(pl.col("state") != "ours")), ours)

    def journal(self, ours: pl.DataFrame) -> bytes:
        """The journal object that says what we found and what we put back."""
        return journal_bytes(ours.with_columns(was_ms="set_ms", set_ms="was_ms"))

    def restore(self, ours: pl.DataFrame) -> Mapping[int, RestoreAccount]:
        """Restore each key that has our expiry still, in one step on the server; what became of them."""
        parts = [
            _accounts(part.with_columns(state=self._database(address, db).restore(part)))
            for address, db, part in self._by_database(ours)
        ]
        return add_restored(parts)

    def _by_database(self, rows: pl.DataFrame) -> Iterator[tuple[str, int, pl.DataFrame]]:
        """The rows of each node and database, in a cluster in the order of their slots."""
        if self._node_of_slot is None:
            for (db,), part in rows.group_by("db", maintain_order=True):
                yield self._entry.address, int(str(db)), part
            return
        slots = pl.Series("slot", list(map(key_slot, rows["key"].to_list())), dtype=pl.UInt16)
        nodes = pl.Series("node", self._node_of_slot).gather(slots)
        by_slot = rows.with_columns(slots, nodes).sort("slot")
        for (node, db), part in by_slot.group_by("node", "db", maintain_order=True):
            yield str(node), int(str(db)), part.drop("node", "slot")

    def _database(self, address: str, db: int) -> _Database:
        known = self._databases.get((address, db))
        if known is None:
            link = self._stack.enter_context(RedisLink(self._ways.to(address, db)))
            expiries, in_cluster = KeyExpiries(link, self._load), self._node_of_slot is not None
            known = _Database(link, expiries, _pace(self._rate), in_cluster=in_cluster)
            self._databases[address, db] = known
        return known


class _Database:
    """One database of one primary."""

    def __init__(self, link: RedisLink, expiries: KeyExpiries, pace: Pace, *, in_cluster: bool) -> None:
        self.expiries = expiries
        self._link = link
        self._pace = pace
        self._in_cluster = in_cluster
        self._script = _RESTORE.format(compare=_EXACTLY if expiries.exact else _NEARLY)
        self._sha = ""

    def limit(self, pace: Pace) -> None:
        """Restore at that pace from now on."""
        self._pace = pace

    def restore(self, rows: pl.DataFrame) -> pl.Series:
        """What became of each key, as the name of a figure of ``RestoreAccount``."""
        if not self._sha:
            self._sha = self._load()
        table = list(rows.select("key", "set_ms", "was_ms").iter_rows())
        answers: list[int] = []
        at = 0
        while at < len(table):
            part = table[at : at + self._pace.page_keys]
            began_s = time.monotonic()
            answers += self._send(part)
            at += len(part)
            now_s = time.monotonic()
            time.sleep(self._pace.pause_s(keys=len(part), elapsed_s=now_s - began_s, now_s=now_s))
        return pl.Series("state", answers, dtype=pl.Int64).replace_strict(_STATES, return_dtype=pl.String)

    def _send(self, rows: Sequence[tuple[bytes, int, int | None]]) -> list[int]:
        calls = list(self._calls(rows))
        replies = self._link.exchange(b"".join(self._encoded(call) for call in calls), len(calls))
        answers: list[int] = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, ErrorReply) and reply.text.startswith("NOSCRIPT"):
                self._sha = self._load()
                reply = self._link.exchange(self._encoded(call), 1)[0]  # noqa: PLW2901  # the answer to the same call, asked again
            if isinstance(reply, ErrorReply):
                raise self._link.translate(reply, ("EVALSHA",)) from reply
            answers += reply
        return answers

    def _calls(
        self, rows: Sequence[tuple[bytes, int, int | None]]
    ) -> Iterator[Sequence[tuple[bytes, int, int | None]]]:
        groups = (
            (list(group) for _, group in groupby(rows, lambda row: key_slot(row[0]))) if self._in_cluster else [rows]
        )
        for group in groups:
            for at in range(0, len(group), KEYS_A_CALL):
                yield group[at : at + KEYS_A_CALL]

    def _encoded(self, rows: Sequence[tuple[bytes, int, int | None]]) -> bytes:
        keys = [key for key, _, _ in rows]
        instants = [instant for _, set_ms, was_ms in rows for instant in (set_ms, "" if was_ms is None else was_ms)]
        return encode("EVALSHA", self._sha, len(keys), *keys, *instants)

    def _load(self) -> str:
        sha: bytes = self._link.call("SCRIPT", "LOAD", self._script)
        return sha.decode()


def _pace(rate: Rate) -> Pace:
    return FastPace() if rate.keys_per_s is None else RatePace(rate.keys_per_s)


def _state(now_ms: int) -> pl.Expr:
    bare, low, high = pl.col("low_ms").is_null(), pl.col("low_ms"), pl.col("high_ms")
    had_none = pl.col("was_ms").is_null()
    as_before = (bare & had_none) | ((low <= pl.col("was_ms")) & (pl.col("was_ms") <= high)).fill_null(value=False)
    ours = ((low <= pl.col("set_ms")) & (pl.col("set_ms") <= high)).fill_null(value=False)
    return (
        pl.when(pl.col("gone") & (pl.col("set_ms") <= now_ms))
        .then(pl.lit("expired"))
        .when(pl.col("gone"))
        .then(pl.lit("gone"))
        .when(ours)
        .then(pl.lit("ours"))
        .when(as_before & pl.col("undone"))
        .then(pl.lit("restored_before"))
        .when(as_before)
        .then(pl.lit("as_before"))
        .otherwise(pl.lit("changed"))
    )


def _accounts(table: pl.DataFrame) -> dict[int, RestoreAccount]:
    sums: dict[int, dict[str, Any]] = {}
    for rule, state, keys in table.group_by("rule", "state").len().iter_rows():
        sums.setdefault(rule, {"keys": 0})[state] = keys
        sums[rule]["keys"] += keys
    return {rule: RestoreAccount(**figures) for rule, figures in sorted(sums.items())}


def _profile(link: RedisLink) -> ServerProfile:
    return profile_from_info(parse_info(link.call("INFO")), address=link.endpoint.address, access={})
