"""Gives keys back the expiry that they had: looks at many, then compares and sets in one step on the server.

A script restores up to a hundred keys at a time (about 0.2 ms of the server's thread), so that a neighbour doesn't
notice. In a cluster, keys of one call are of one slot. Before 7.0 there is no PEXPIRETIME: the script computes the
instant from TIME and PTTL, read one after the other, and takes two milliseconds more or less for the same.

Keys are followed to wherever they are now (:mod:`redis_ttl.adapters.connection.key_routes`); those that can't be reached are counted as
that, and never as gone. A move takes along what is left of a key's life, not its instant, so in a cluster an expiry is ours
when it is ours within a second (`domain.plan.expiry.MOVES_SHIFT_MS`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Self, assert_never

import polars as pl

from redis_ttl.adapters.columns.journal import journal_bytes
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.key_routes import GOES_AWAY, LOST, STRAY, KeyRoutes
from redis_ttl.adapters.connection.link import RedisLink, encode
from redis_ttl.adapters.connection.replies import are_numbers, text, unexpected
from redis_ttl.adapters.server.health import read_health
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.adapters.writing.leftover_scan import LeftoverScan
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import ConnectionLost
from redis_ttl.domain.plan.expiry import MOVES_SHIFT_MS
from redis_ttl.domain.policy.actions import Action, Condition
from redis_ttl.domain.policy.load import FastPace, Pace, RatePace
from redis_ttl.domain.rollback.rollback import Leftovers, RestoreAccount, WatchedNode, add_restored

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from types import TracebackType

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.adapters.connection.link import Reply
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.plan.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy.load import Load
    from redis_ttl.domain.policy.rate import Rate

KEYS_A_CALL: Final = 100

#: Of one key its name, the instant that we set, the one that it had before, and what we did to it.
_Row = tuple[bytes, int, int | None, str]

# ARGV: for each key the instant that we set, the one to put back or nothing, and the action that is taken back. An old expiry that the
# action can't have replaced is none of our doing: such a row is left alone. One that has passed would delete the key, which then keeps
# ours. Answers: 1 removed, 2 put back, 3 kept ours, 0 another expiry, -2 gone.
_RESTORE: Final = """
local function restored(key, set, was, action)
  local left = redis.call('PTTL', key)
  if left == -2 then return -2 end
  {compare}
  if was == '' then redis.call('PERSIST', key) return 1 end
  {refuse}
  if tonumber(was) <= present then return 3 end
  redis.call('PEXPIREAT', key, was)
  return 2
end
local answers = {{}}
for i = 1, #KEYS do answers[i] = restored(KEYS[i], ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]) end
return answers
"""


def _refusal(action: Action) -> str:
    """When an old expiry isn't put back that this action is said to have replaced, as Lua."""
    match action.spec.condition:
        case Condition.IF_NONE:
            return "return 0"
        case Condition.IF_EARLIER:
            return "if tonumber(was) <= tonumber(set) then return 0 end"
        case Condition.IF_LATER:
            return "if tonumber(was) >= tonumber(set) then return 0 end"
        case _:
            assert_never(action.spec.condition)


_REFUSE: Final = "\n  ".join(f"if action == '{action}' then {_refusal(action)} end" for action in Action)
_EXACTLY: Final = """if left == -1 then return 0 end
  local at = redis.call('PEXPIRETIME', key)
  local present, off = at - left, at - tonumber(set)
  if off > {late} or off < -{early} then return 0 end"""
# A server that has to wait for a processor between the two would take the key for one that expires earlier: it looks again.
_NEARLY: Final = """if left == -1 then return 0 end
  local before, now
  repeat
    before = redis.call('TIME')
    left = redis.call('PTTL', key)
    now = redis.call('TIME')
  until (now[1] - before[1]) * 1000000 + now[2] - before[2] < 1000
  local present = now[1] * 1000 + math.floor(now[2] / 1000)
  local off = present + left - tonumber(set)
  if off > {late} + 2 or off < -{early} - 2 then return 0 end"""

_STATES: Final = {1: "removed", 2: "put_back", 3: "outlived", 0: "changed", -2: "gone"}


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
        self._load = load
        self._rate = rate
        self._routes = KeyRoutes(endpoint)
        self._databases: dict[tuple[str, int], _Database] = {}
        self._watching: dict[str, RedisLink] = {}
        self._endpoint = endpoint

    def __enter__(self) -> Self:
        self._routes.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._routes.close()
        for link in self._watching.values():
            link.close()
        self._watching.clear()

    def strangers(self, nodes: Sequence[NodeIdentity]) -> list[str]:
        """The primaries of now that don't continue the data set of any of these nodes. A cluster is one data set: where one of its
        primaries does, nodes that have joined it since are no strangers.
        """
        profiles = self._routes.profiles
        found = [
            f"{address} ({profile.lineage or profile.run_id or 'unknown'})"
            for address, profile in profiles.items()
            if not any(_continues(profile, node) for node in nodes)
        ]
        return found if not self._routes.in_cluster or len(found) == len(profiles) else []

    @property
    def in_cluster(self) -> bool:
        """Whether keys may have moved from node to node, and their expiries shifted with that."""
        return self._routes.in_cluster

    def limit(self, rate: Rate) -> None:
        """Restore no faster than this from now on."""
        if rate != self._rate:
            self._rate = rate
            for database in self._databases.values():
                database.limit(_pace(rate))

    def health(self) -> list[WatchedNode]:
        """The figures of every primary of this moment."""
        found = []
        for address in self._routes.addresses:
            try:
                if address not in self._watching:
                    self._watching[address] = RedisLink(self._endpoint.at(address).on(0))
                reading = read_health(self._watching[address])
            except GOES_AWAY:
                if not self._routes.follows:
                    raise
                if (link := self._watching.pop(address, None)) is not None:
                    link.close()
                reading = None
            if reading is None or not reading.is_primary:
                # Whose place somebody else may have taken.
                self._routes.refresh(avoid={address})
                if address not in self._routes.addresses:
                    continue
            policy = profile.eviction_policy if (profile := self._routes.profiles.get(address)) else None
            found.append(WatchedNode(address, reading, (policy or "").startswith("volatile")))
        return found

    def look(self, rows: pl.DataFrame, check: Callable[[], None]) -> Looked:
        """Ask for the expiries of the rows' keys: the journal's columns, ``key_at``, ``age`` and ``undone``, as
        :class:`~redis_ttl.adapters.journal.reader.NewestRows` gives them. ``check`` is called before each wait.

        Of several rows about a key the newest one counts whose instant it has, and each key is counted once.
        """
        table = self._looked(rows, check)
        ours = table.filter(pl.col("state") == "ours")
        return Looked(_accounts(table.filter(pl.col("state") != "ours")), ours)

    def journal(self, ours: pl.DataFrame) -> bytes:
        """The journal object that says what we found and what we put back."""
        return journal_bytes(ours.with_columns(was_ms="set_ms", set_ms="was_ms"))

    def restore(self, ours: pl.DataFrame, check: Callable[[], None]) -> Mapping[int, RestoreAccount]:
        """Restore each key that has our expiry still, in one step on the server; what became of them. ``check`` is called before
        each page, and may raise.
        """

        def send(address: str, db: int, part: pl.DataFrame, *, asking: bool, alone: bool) -> pl.DataFrame:
            return self._database(address, db).restore(part, check, asking=asking, alone=alone)

        answered, unreached = self._routes.everywhere(ours, send, check)
        states = pl.concat([*answered, unreached.drop("stray").with_columns(state=pl.lit("unreached"))])
        states = states.with_columns(pl.col("state").fill_null("unreached"))
        # The node broke off before it answered: what reads as changed may be our own doing.
        doubtful = states.filter(pl.col("doubtful") & (pl.col("state") == "changed"))
        if doubtful.height:
            states = states.filter(~(pl.col("doubtful") & (pl.col("state") == "changed")))
            looked = self._looked(doubtful.select(ours.columns).drop("state"), check)
            was = pl.when(pl.col("was_ms").is_null()).then(pl.lit("removed")).otherwise(pl.lit("put_back"))
            done = pl.col("state").is_in(["as_before", "restored_before"])
            looked = looked.with_columns(state=pl.when(done).then(was).otherwise("state"))
            # One that still is ours by a later look was restored by nobody: it is told as what it is.
            looked = looked.with_columns(pl.col("state").replace("ours", "unreached"))
            parts = [_accounts(states), _accounts(looked)]
        else:
            parts = [_accounts(states)]
        return add_restored(parts)

    def leftovers(
        self,
        plan: Plan,
        approvals_ms: Collection[int],
        rules: Collection[int] | None,
        check: Callable[[], None],
    ) -> Leftovers:
        """Look through every database of the plan for keys with an instant that it can have set."""
        scan = LeftoverScan(self._routes, self._load, plan, approvals_ms, rules)
        return scan.run(check)

    def _looked(self, rows: pl.DataFrame, check: Callable[[], None]) -> pl.DataFrame:
        """A row for each key, with its ``state``."""

        def ask(address: str, db: int, part: pl.DataFrame, *, asking: bool, alone: bool) -> pl.DataFrame:
            del alone  # each key is asked for alone anyway
            answers = self._database(address, db).expiries.read(part["key"].to_list(), asking=asking)
            return pl.concat([part, answers], how="horizontal")

        if rows.is_empty():
            return rows.with_columns(state=pl.lit(None, pl.String))
        several = bool(rows["age"].max())
        asked = rows.unique("key_at", keep="first", maintain_order=True) if several else rows
        parts, unreached = self._routes.everywhere(asked, ask, check)
        now_ms = time.time_ns() // 1_000_000
        columns = [*rows.columns, "state"]
        table = rows.clear().with_columns(state=pl.lit(None, pl.String))
        if parts:
            answered = pl.concat(parts)
            if several:
                answers = answered.select("key_at", "low_ms", "high_ms", "gone")
                answered = rows.join(answers, on="key_at", how="inner", maintain_order="left")
            table = answered.with_columns(
                state=_state(now_ms, *(MOVES_SHIFT_MS if self._routes.in_cluster else (0, 0)))
            ).select(columns)
            if several:
                table = _one_a_key(table)
        lost = unreached.select(rows.columns).with_columns(state=pl.lit("unreached"))
        return pl.concat([table, lost]) if lost.height else table

    def _database(self, address: str, db: int) -> _Database:
        link = self._routes.link(address, db)
        known = self._databases.get((address, db))
        if known is None or known.link is not link:
            expiries = KeyExpiries(link, self._load)
            known = self._databases[address, db] = _Database(
                link, expiries, _pace(self._rate), in_cluster=self._routes.in_cluster, follows=self._routes.follows
            )
        return known


class _Database:
    """One database of one primary."""

    def __init__(self, link: RedisLink, expiries: KeyExpiries, pace: Pace, *, in_cluster: bool, follows: bool) -> None:
        self.expiries = expiries
        self.link = link
        self._pace = pace
        self._in_cluster = in_cluster
        self._follows = follows
        early, late = MOVES_SHIFT_MS if in_cluster else (0, 0)
        compare = (_EXACTLY if expiries.exact else _NEARLY).format(early=early, late=late)
        self._script = _RESTORE.format(compare=compare, refuse=_REFUSE)
        self._sha = ""

    def limit(self, pace: Pace) -> None:
        """Restore at that pace from now on."""
        self._pace = pace

    def restore(self, rows: pl.DataFrame, check: Callable[[], None], *, asking: bool, alone: bool) -> pl.DataFrame:
        """The rows with ``state``, what became of each key as the name of a figure of ``RestoreAccount``, or else with ``stray``,
        what the node says of a key that it doesn't have at the moment.
        """
        check()
        if not self._sha:
            self._sha = self._load()
        table = list(rows.select("key", "set_ms", "was_ms", "action").iter_rows())
        answers: list[int | str] = []
        at = 0
        while at < len(table):
            if at:
                check()
            part = table[at : at + self._pace.page_keys]
            began_s = time.monotonic()
            try:
                answers += self._send(part, asking=asking, alone=alone)
            except ConnectionLost as error:
                if not self._follows:
                    raise
                answers += [f"{LOST} {type(error).__name__}"] * (len(table) - at)
                break
            at += len(part)
            now_s = time.monotonic()
            time.sleep(self._pace.pause_s(keys=len(part), elapsed_s=now_s - began_s, now_s=now_s))
        return rows.with_columns(*_states_and_strays(answers))

    def _send(self, rows: Sequence[_Row], *, asking: bool, alone: bool) -> list[int | str]:
        calls = list(self._calls(rows, alone=alone))
        replies = self._exchange(calls, asking=asking)
        answers: list[int | str] = []
        for call, first in zip(calls, replies, strict=True):
            reply = first
            if isinstance(reply, ErrorReply) and reply.text.startswith("NOSCRIPT"):
                self._sha = self._load()
                reply = self._exchange([call], asking=asking)[0]
            if isinstance(reply, ErrorReply):
                answers += [self._stray(reply)] * len(call)
            elif isinstance(reply, list) and len(reply) == len(call) and are_numbers(reply):
                answers += reply
            else:
                raise unexpected(reply, "EVALSHA", self.link.where, "a number for each key")
        return answers

    def _stray(self, reply: ErrorReply) -> str:
        """What the node says of keys that it doesn't have at the moment; other errors are raised."""
        if reply.text.startswith(STRAY) and not (reply.text.startswith("READONLY") and not self._follows):
            return reply.text
        if "READONLY" in reply.text and self._follows:
            # Before 7.0 a script tells it in its own words.
            return "READONLY"
        raise self.link.translate(reply, ("EVALSHA",)) from reply

    def _exchange(self, calls: Sequence[Sequence[_Row]], *, asking: bool) -> list[Reply]:
        if not asking:
            return self.link.exchange(b"".join(self._encoded(call) for call in calls), len(calls))
        head = encode("ASKING")
        return self.link.exchange(b"".join(head + self._encoded(call) for call in calls), 2 * len(calls))[1::2]

    def _calls(self, rows: Sequence[_Row], *, alone: bool) -> Iterator[Sequence[_Row]]:
        groups = (
            (list(group) for _, group in groupby(rows, lambda row: key_slot(row[0]))) if self._in_cluster else [rows]
        )
        size = 1 if alone else KEYS_A_CALL
        for group in groups:
            for at in range(0, len(group), size):
                yield group[at : at + size]

    def _encoded(self, rows: Sequence[_Row]) -> bytes:
        head = b"*%d\r\n%b$%d\r\n%d\r\n" % (
            3 + 4 * len(rows),
            b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % self._sha.encode(),
            len(str(len(rows))),
            len(rows),
        )
        parts = [head]
        parts += [b"$%d\r\n%b\r\n" % (len(key), key) for key, *_ in rows]
        parts += [
            b"$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
            % (
                len(instant := b"%d" % set_ms),
                instant,
                len(was := b"" if was_ms is None else b"%d" % was_ms),
                was,
                len(name := action.encode()),
                name,
            )
            for _, set_ms, was_ms, action in rows
        ]
        return b"".join(parts)

    def _load(self) -> str:
        return text(self.link.call("SCRIPT", "LOAD", self._script), "SCRIPT LOAD", self.link.where).decode(
            "ascii", "replace"
        )


def _continues(profile: ServerProfile, node: NodeIdentity) -> bool:
    return node.is_continued_by(run_id=profile.run_id, lineage=profile.lineage, former_lineage=profile.former_lineage)


def _states_and_strays(answers: list[int | str]) -> list[pl.Series]:
    try:
        codes = pl.Series("state", answers, dtype=pl.Int64)
        stray = pl.Series("stray", [None], dtype=pl.String).new_from_index(0, len(answers))
    except (TypeError, ValueError, pl.exceptions.PolarsError):  # some were strays
        codes = pl.Series("state", [None if isinstance(each, str) else each for each in answers], dtype=pl.Int64)
        stray = pl.Series("stray", [each if isinstance(each, str) else None for each in answers], dtype=pl.String)
    return [codes.replace_strict(_STATES, return_dtype=pl.String, default=None), stray]


def _one_a_key(table: pl.DataFrame) -> pl.DataFrame:
    """Of several rows about a key the newest one that fits: whose instant it has, or else as it was before."""
    fit = (
        pl.when(pl.col("state").is_in(["ours", "outlived"]))
        .then(0)
        .when(pl.col("state").is_in(["as_before", "restored_before"]))
        .then(1)
    )
    ranked = table.with_columns(fit=fit.otherwise(2)).sort("key_at", "fit", "age")
    return ranked.unique("key_at", keep="first", maintain_order=True).drop("fit")


def _pace(rate: Rate) -> Pace:
    return FastPace() if rate.keys_per_s is None else RatePace(rate.keys_per_s)


def _state(now_ms: int, early_ms: int, late_ms: int) -> pl.Expr:
    bare, low, high = pl.col("low_ms").is_null(), pl.col("low_ms") - late_ms, pl.col("high_ms") + early_ms
    had_none = pl.col("was_ms").is_null()
    as_before = (bare & had_none) | ((low <= pl.col("was_ms")) & (pl.col("was_ms") <= high)).fill_null(value=False)
    ours = ((low <= pl.col("set_ms")) & (pl.col("set_ms") <= high)).fill_null(value=False)
    return (
        pl.when(pl.col("gone") & (pl.col("set_ms") <= now_ms))
        .then(pl.lit("expired"))
        .when(pl.col("gone"))
        .then(pl.lit("gone"))
        .when(ours & (pl.col("was_ms") <= now_ms).fill_null(value=False))
        .then(pl.lit("outlived"))
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
