"""How keys are looked at and restored, call by call: on real servers, and with nodes that answer as no healthy one does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from lab.servers.server import Server
from redis_ttl.adapters.columns.journal import ACTIONS, journal_rows
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.adapters.writing import key_restorer
from redis_ttl.adapters.writing.key_restorer import KeyRestorer, _Database
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import Aborted, ConnectionLost, MissingPermission
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.load import FastPace, RatePace, parse_load
from redis_ttl.domain.policy.rate import Rate, parse_rate
from redis_ttl.domain.rollback.rollback import RestoreAccount
from tests.adapters.scripted_link import ScriptedLink

FAST = parse_load("fast")
DAY_MS = 86_400_000
ROW_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.Binary,
    "db": pl.Int32,
    "rule": pl.Int32,
    "was_ms": pl.Int64,
    "set_ms": pl.Int64,
    "action": ACTIONS,
    "key_at": pl.UInt32,
    "age": pl.Int32,
    "undone": pl.Boolean,
}

Row = tuple[bytes, int | None, int]


def nothing() -> None:
    """Nobody is heard."""


def now_ms() -> int:
    """The moment."""
    return time.time_ns() // 1_000_000


def rows(*found: Row, db: int = 0, undone: bool = False) -> pl.DataFrame:
    """Journal rows of different keys as a rollback looks for them: the key, what was, what we set."""
    table = [
        (key, db, 0, was, set_ms, Action.SET if was is None else Action.CAP, at, 0, undone)
        for at, (key, was, set_ms) in enumerate(found)
    ]
    return pl.DataFrame(table, schema=ROW_TYPES, orient="row")


def put(server: Server, expiries: dict[bytes, int | None], db: int = 0) -> None:
    """Keys that expire at these instants, or never."""
    with server.client(db) as client:
        pipeline = client.pipeline(transaction=False)
        for key, expires_ms in expiries.items():
            pipeline.set(key, "x")
            if expires_ms is not None:
                pipeline.pexpireat(key, expires_ms)
        pipeline.execute()


def left_ms(server: Server, key: bytes) -> int:
    """What is left of the key's life."""
    with server.client() as client:
        return int(client.pttl(key))


@contextmanager
def restorer_of(server: Server, rate: str = "unlimited") -> Iterator[KeyRestorer]:
    """The way to that server."""
    with KeyRestorer(endpoint_from_url(server.url), FAST, parse_rate(rate)) as restorer:
        yield restorer


def states(table: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Which key is in which state."""
    return sorted(table.select("key", "state").iter_rows())


def state_of(
    row: Row, low_ms: int | None, high_ms: int | None, *, gone: bool = False, undone: bool = False, **moves: int
) -> str:
    """What a key is by its row and by the limits of its expiry."""
    table = rows(row, undone=undone).with_columns(
        low_ms=pl.lit(low_ms, pl.Int64), high_ms=pl.lit(high_ms, pl.Int64), gone=pl.lit(gone)
    )
    expression = key_restorer._state(1_000, moves.get("early_ms", 0), moves.get("late_ms", 0))
    return str(table.select(expression.alias("state"))["state"][0])


@pytest.mark.parametrize(
    ("was", "low_ms", "high_ms", "state"),
    [
        (None, 5_000, 5_000, "ours"),
        (None, 4_999, 5_001, "ours"),
        (None, 5_000, 5_001, "ours"),
        (None, 4_999, 5_000, "ours"),
        (None, 5_001, 5_001, "changed"),
        (None, 4_999, 4_999, "changed"),
        (None, None, None, "as_before"),
        (9_000, None, None, "changed"),
        (9_000, 9_000, 9_000, "as_before"),
        (9_000, 9_001, 9_001, "changed"),
        (9_000, 8_999, 8_999, "changed"),
        (9_000, 8_999, 9_000, "as_before"),
        (9_000, 9_000, 9_001, "as_before"),
        (5_000, 5_000, 5_000, "ours"),
    ],
)
def test_a_key_is_what_its_expiry_says(was: int | None, low_ms: int | None, high_ms: int | None, state: str) -> None:
    """Ours when our instant lies between the limits, both included; as before when the former one does, or there is none again."""
    assert state_of((b"a", was, 5_000), low_ms, high_ms) == state
    again = "restored_before" if state == "as_before" else state
    assert state_of((b"a", was, 5_000), low_ms, high_ms, undone=True) == again


@pytest.mark.parametrize(("set_ms", "state"), [(999, "expired"), (1_000, "expired"), (1_001, "gone")])
def test_a_key_that_is_gone_had_its_time_or_had_not(set_ms: int, state: str) -> None:
    """It has expired from its very instant on."""
    assert state_of((b"a", None, set_ms), None, None, gone=True) == state


@pytest.mark.parametrize(
    ("expires_ms", "state"),
    [
        (6_000, "ours"),
        (6_001, "changed"),
        (4_900, "ours"),
        (4_899, "changed"),
        (9_900, "as_before"),
        (10_001, "changed"),
    ],
)
def test_where_keys_move_an_expiry_may_have_shifted(expires_ms: int, state: str) -> None:
    """Later by a second and earlier by a tenth of one is ours, and as before; beyond it isn't."""
    assert state_of((b"a", 9_000, 5_000), expires_ms, expires_ms, early_ms=100, late_ms=1_000) == state


def test_of_several_rows_about_a_key_the_newest_that_fits_counts() -> None:
    """Ours before as it was before, and before anything else; of equal ones the newest."""
    table = pl.DataFrame(
        [(0, 0, "changed"), (0, 1, "ours"), (1, 0, "as_before"), (1, 1, "ours"), (2, 1, "restored_before"), (2, 0, "gone"),
         (3, 0, "changed"), (3, 1, "changed"), (4, 1, "as_before"), (4, 2, "as_before"), (4, 0, "changed")],
        schema={"key_at": pl.UInt32, "age": pl.Int32, "state": pl.String},
        orient="row",
    )  # fmt: skip
    found = key_restorer._one_a_key(table)
    assert list(found.iter_rows()) == [
        (0, 1, "ours"), (1, 1, "ours"), (2, 1, "restored_before"), (3, 0, "changed"), (4, 1, "as_before"),
    ]  # fmt: skip


def test_looking_tells_ours_from_the_rest(any_server: Server) -> None:
    """Keys with our instant are handed on, counted nowhere; the others are counted, each in one figure. Nothing is changed."""
    ours = now_ms() + DAY_MS
    put(any_server, {b"a:1": ours, b"a:2": ours + 5_000, b"a:3": None, b"a:5": ours, b"a:6": ours + 9 * DAY_MS})
    found = rows(
        (b"a:1", None, ours), (b"a:2", None, ours), (b"a:3", None, ours), (b"a:4", None, ours),
        (b"a:5", ours + DAY_MS, ours), (b"a:6", ours + 9 * DAY_MS, ours), (b"a:7", None, ours - 2 * DAY_MS),
    )  # fmt: skip
    with restorer_of(any_server) as restorer:
        looked = restorer.look(found, nothing)
    assert looked.accounts == {0: RestoreAccount(keys=5, changed=1, as_before=2, gone=1, expired=1)}
    assert looked.ours["key"].to_list() == [b"a:1", b"a:5"]
    assert looked.ours_accounts == {0: RestoreAccount(keys=2, removed=1, put_back=1)}
    assert abs(left_ms(any_server, b"a:1") - DAY_MS) < 120_000


def test_of_nothing_nothing_is_asked(valkey: Server) -> None:
    """No rows have no states."""
    with restorer_of(valkey) as restorer:
        looked = restorer.look(rows(), nothing)
        assert (looked.accounts, looked.ours.height, looked.ours_accounts) == ({}, 0, {})
        assert restorer.restore(looked.ours, nothing) == {}


def test_older_rows_are_looked_at_with_the_newest(valkey: Server) -> None:
    """A key with an older attempt's instant is ours by that attempt's row, and is asked for once."""
    first, second = now_ms() + DAY_MS, now_ms() + 2 * DAY_MS
    put(valkey, {b"a:1": first, b"a:2": second, b"a:3": None})
    table = (
        pl.concat([rows((b"a:1", None, second), (b"a:2", None, second), (b"a:3", None, second))] * 2)
        .with_columns(
            age=pl.Series([0, 0, 0, 1, 1, 1], dtype=pl.Int32),
            set_ms=pl.Series([second] * 3 + [first] * 3),
        )
        .sort("key_at", "age")
    )
    with restorer_of(valkey) as restorer, valkey.client() as client:
        restorer.look(table, nothing)
        before = client.info("commandstats")["cmdstat_pexpiretime"]["calls"]
        looked = restorer.look(table, nothing)
        assert client.info("commandstats")["cmdstat_pexpiretime"]["calls"] == before + 3
    assert sorted(looked.ours.select("key", "age", "set_ms").iter_rows()) == [(b"a:1", 1, first), (b"a:2", 0, second)]
    assert looked.accounts == {0: RestoreAccount(keys=1, as_before=1)}


def test_what_is_restored_is_what_was_compared(any_server: Server) -> None:
    """In one step on the server: a key with our expiry loses it or has the former one, any other is left, whatever was seen before."""
    ours, longer = now_ms() + DAY_MS, now_ms() + 9 * DAY_MS
    put(any_server, {b"a:1": ours, b"a:2": ours, b"a:3": ours + 5_000, b"a:4": None, b"a:6": ours, b"a:7": ours})
    found = rows(
        (b"a:1", None, ours), (b"a:2", longer, ours), (b"a:3", None, ours), (b"a:4", None, ours), (b"a:5", None, ours),
        (b"a:6", ours - 1, ours), (b"a:7", ours, ours),
    ).with_columns(state=pl.lit("ours"))  # fmt: skip
    with restorer_of(any_server) as restorer:
        done = restorer.restore(found, nothing)
    assert done == {0: RestoreAccount(keys=7, removed=1, put_back=1, changed=4, gone=1)}
    assert left_ms(any_server, b"a:1") == left_ms(any_server, b"a:4") == -1
    assert abs(left_ms(any_server, b"a:2") - 9 * DAY_MS) < 120_000
    for key in (b"a:3", b"a:6", b"a:7"):
        assert abs(left_ms(any_server, key) - DAY_MS) < 120_000, key


def test_hundreds_of_keys_are_restored_a_hundred_a_call(valkey: Server) -> None:
    """However many there are, each call of the script has a hundred keys at most, and every key is restored."""
    ours = now_ms() + DAY_MS
    names = [b"a:%d" % number for number in range(250)]
    put(valkey, dict.fromkeys(names, ours))
    found = rows(*((name, None, ours) for name in names)).with_columns(state=pl.lit("ours"))
    with restorer_of(valkey) as restorer, valkey.client() as client:
        before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        assert restorer.restore(found, nothing) == {0: RestoreAccount(keys=250, removed=250)}
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 3
        assert client.info("keyspace")["db0"]["expires"] == 0


def test_restoring_asks_before_each_page_and_keeps_its_rate(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is heard before each page, and what he says ends the rest; a new rate holds for what comes."""
    ours = now_ms() + DAY_MS
    names = [b"a:%d" % number for number in range(25)]
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    found = rows(*((name, None, ours) for name in names)).with_columns(state=pl.lit("ours"))
    with restorer_of(valkey, "200/s") as restorer, valkey.client() as client:
        put(valkey, dict.fromkeys(names, ours))
        asked: list[int] = []
        restorer.restore(found, lambda: asked.append(client.info("keyspace")["db0"]["expires"]))
        assert asked == [25, 15, 5]
        assert sum(slept) > 0.04
        put(valkey, dict.fromkeys(names, ours))

        def stop() -> None:
            if client.info("keyspace")["db0"]["expires"] < 25:
                raise Aborted("enough")

        with pytest.raises(Aborted):
            restorer.restore(found, stop)
        assert client.info("keyspace")["db0"]["expires"] == 15
        restorer.limit(Rate(None))
        asked.clear()
        slept.clear()
        put(valkey, dict.fromkeys(names, ours))
        restorer.restore(found, lambda: asked.append(1))
        assert asked == [1]
        assert sum(slept) == 0


def test_the_journal_of_a_rollback_turns_was_and_set_round(valkey: Server) -> None:
    """It says what we found on the key, our instant, and what we put back."""
    with restorer_of(valkey) as restorer:
        data = restorer.journal(rows((b"a:1", None, 5), (b"a:2", 9, 7)).with_columns(state=pl.lit("ours")))
    assert list(journal_rows(data).iter_rows()) == [(b"a:1", 0, 0, 5, None, "set"), (b"a:2", 0, 0, 7, 9, "cap")]


def test_a_server_that_forgot_its_scripts_is_told_them_again(valkey: Server) -> None:
    """In the middle of a rollback, too."""
    ours = now_ms() + DAY_MS
    put(valkey, {b"a:1": ours, b"a:2": ours})
    with restorer_of(valkey) as restorer, valkey.client() as client:
        first, second = (rows((key, None, ours)).with_columns(state=pl.lit("ours")) for key in (b"a:1", b"a:2"))
        assert restorer.restore(first, nothing)[0].removed == 1
        client.script_flush()
        assert restorer.restore(second, nothing)[0].removed == 1


@pytest.mark.parametrize(
    ("off_ms", "state"), [(-1_000, "removed"), (-1_001, "changed"), (100, "removed"), (101, "changed"), (0, "removed")]
)
def test_in_a_cluster_the_step_forgives_what_a_move_shifts(valkey: Server, off_ms: int, state: str) -> None:
    """What was set lies a second before, or a tenth of one after what the key has now; on its own a server forgives nothing."""
    has = now_ms() + DAY_MS
    for in_cluster in (True, False):
        put(valkey, {b"a:1": has})
        with RedisLink(endpoint_from_url(valkey.url)) as link:
            database = _Database(link, KeyExpiries(link, FAST), FastPace(), in_cluster=in_cluster, follows=False)
            found = database.restore(rows((b"a:1", None, has + off_ms)), nothing, asking=False, alone=False)
        assert states(found) == [(b"a:1", state if in_cluster else "removed" if not off_ms else "changed")]


@pytest.mark.parametrize(("off_ms", "state"), [(-5_000, "changed"), (5_000, "changed"), (0, "removed")])
def test_before_seven_an_instant_is_compared_nearly(redis62: Server, off_ms: int, state: str) -> None:
    """A server that tells only what is left of a key's life compares within two milliseconds."""
    has = now_ms() + DAY_MS
    put(redis62, {b"a:1": has})
    with restorer_of(redis62) as restorer:
        done = restorer.restore(rows((b"a:1", None, has + off_ms)).with_columns(state=pl.lit("ours")), nothing)
    assert done == {0: RestoreAccount(keys=1, **{state: 1})}


class Exact:
    """Expiries that are known to the millisecond."""

    exact = True


def database_of(
    *answers: list[Any] | Exception, follows: bool = True, in_cluster: bool = True, pace: Any = None
) -> tuple[_Database, ScriptedLink]:
    """One database of a node that answers so."""
    link = ScriptedLink(*answers)
    made = _Database(link, Exact(), pace or FastPace(), in_cluster=in_cluster, follows=follows)  # type: ignore[arg-type]
    return made, link


TAGGED = tuple((b"{x}:%d" % number, None, 10) for number in range(3))


@pytest.mark.parametrize(
    "text",
    [
        "MOVED 1 a:1",
        "ASK 1 a:1",
        "TRYAGAIN x",
        "CLUSTERDOWN x",
        "MASTERDOWN x",
        "LOADING x",
        "READONLY x",
        "ERR script READONLY",
    ],
)
def test_what_a_node_says_of_keys_that_it_has_not_is_handed_on(text: str) -> None:
    """All keys of the call have no state, and what the node said; those of other calls have theirs."""
    database, _ = database_of([[1, 2, 0], ErrorReply(text)])
    found = database.restore(rows(*TAGGED, (b"{y}:1", None, 10)), nothing, asking=False, alone=False)
    assert found["state"].to_list() == ["removed", "put_back", "changed", None]
    said = text if not text.startswith("ERR") else "READONLY"
    assert found["stray"].to_list() == [None, None, None, said]


@pytest.mark.parametrize(
    ("text", "follows"),
    [("NOPERM x", True), ("ERR x", True), ("OOM x", False), ("READONLY x", False), ("ERR script READONLY", False)],
)
def test_other_errors_end_the_restoring(text: str, *, follows: bool) -> None:
    """An error that says nothing of where a key is ends the work; so does a replica where nobody could take its place."""
    database, _ = database_of([ErrorReply(text)], follows=follows)
    with pytest.raises(MissingPermission, match="EVALSHA"):
        database.restore(rows(*TAGGED), nothing, asking=False, alone=False)


def test_a_node_that_breaks_off_loses_what_it_had_not_answered() -> None:
    """Where keys may be elsewhere, those of earlier pages keep their states, and all others are lost; otherwise it is an error."""
    many = tuple((b"{x}:%d" % number, None, 10) for number in range(25))
    database, _ = database_of([[1] * 10], ConnectionLost("gone"), pace=RatePace(200.0))
    found = database.restore(rows(*many), nothing, asking=False, alone=False)
    assert found["state"].to_list() == ["removed"] * 10 + [None] * 15
    assert found["stray"].to_list() == [None] * 10 + ["LOST ConnectionLost"] * 15
    database, _ = database_of(ConnectionLost("gone"), follows=False)
    with pytest.raises(ConnectionLost):
        database.restore(rows(*many), nothing, asking=False, alone=False)


def test_keys_of_one_call_are_of_one_slot() -> None:
    """In a cluster, and each by itself where the node wants it so; elsewhere they go together."""
    mixed = rows((b"{x}:1", None, 10), (b"{x}:2", None, 10), (b"{y}:1", 20, 10))
    assert key_slot(b"{x}:1") != key_slot(b"{y}:1")
    for in_cluster, alone, calls in ((True, False, 2), (True, True, 3), (False, False, 1)):
        answers = [[1, 1], [2]] if calls == 2 else [[1], [1], [2]] if calls == 3 else [[1, 1, 2]]
        database, link = database_of(answers, in_cluster=in_cluster)
        found = database.restore(mixed, nothing, asking=False, alone=alone)
        assert found["state"].to_list() == ["removed", "removed", "put_back"]
        [(data, count)] = link.sent
        assert count == calls == data.count(b"EVALSHA")


def test_asking_goes_before_each_call() -> None:
    """A node that is just getting the slot is told so before each call, and only the calls' own answers count."""
    database, link = database_of(["OK", [1, 1, 1], "OK", [2]])
    found = database.restore(rows(*TAGGED, (b"{y}:1", 20, 10)), nothing, asking=True, alone=False)
    assert found["state"].to_list() == ["removed", "removed", "removed", "put_back"]
    [(data, count)] = link.sent
    assert (count, data.count(b"ASKING"), data.index(b"ASKING") < data.index(b"EVALSHA")) == (4, 2, True)


def test_a_forgotten_script_is_loaded_once_and_its_call_repeated() -> None:
    """Only the call that the node didn't understand is sent again, with the new name."""
    database, link = database_of([ErrorReply("NOSCRIPT x"), [2]], [[1, 1, 1]])
    found = database.restore(rows(*TAGGED, (b"{y}:1", 20, 10)), nothing, asking=False, alone=False)
    assert found["state"].to_list() == ["removed", "removed", "removed", "put_back"]
    assert link.loaded == 2
    assert [count for _, count in link.sent] == [2, 1]
    assert b"%040d" % 2 in link.sent[1][0]


class Routes:
    """Where keys are, as a test says: ``answers`` are what the nodes did with the rows."""

    in_cluster = False
    follows = True

    def __init__(self, *answers: tuple[list[pl.DataFrame], pl.DataFrame]) -> None:
        self.answers = list(answers)
        self.asked: list[list[bytes]] = []
        self.addresses = ["n1:1", "n2:1"]
        self.profiles: dict[str, Any] = {}
        self.refreshed: list[set[str]] = []

    def everywhere(self, found: pl.DataFrame, ask: Any, check: Callable[[], None]) -> Any:
        """The next answer."""
        del ask, check
        self.asked.append(found["key"].to_list())
        return self.answers.pop(0)

    def refresh(self, *, avoid: set[str]) -> None:
        """Look who is there."""
        self.refreshed.append(set(avoid))


def restorer_with(routes: Routes) -> KeyRestorer:
    """A restorer over these routes."""
    made = KeyRestorer(endpoint_from_url("redis://localhost:1/0"), FAST, Rate(None))
    made._routes = routes  # type: ignore[assignment]
    return made


def told(table: pl.DataFrame, *said: tuple[str | None, bool]) -> pl.DataFrame:
    """The rows with what became of each, and whether the node had broken off before."""
    return table.with_columns(
        state=pl.Series([state for state, _ in said], dtype=pl.String),
        doubtful=pl.Series([doubt for _, doubt in said], dtype=pl.Boolean),
    )


def test_what_a_broken_node_may_have_done_is_looked_at_again() -> None:
    """A key that reads as changed after its node broke off may be our own doing: as it was before means that it was restored; still
    ours means that nobody did; anything else is what it is. Keys without an answer are unreached.
    """
    ours = now_ms() + DAY_MS
    was = ours + DAY_MS
    table = rows(*((b"a:%d" % number, was if number == 2 else None, ours) for number in range(8))).with_columns(
        state=pl.lit("ours")
    )
    done = told(table.head(7), ("removed", False), ("changed", True), ("changed", True), ("changed", True),
                ("changed", False), ("changed", True), ("removed", True))  # fmt: skip
    nobody = table.tail(1).with_columns(stray=pl.lit("LOST x"), doubtful=pl.lit(value=True))
    again = table.filter(pl.col("key").is_in([b"a:1", b"a:2", b"a:3", b"a:5"])).drop("state")
    limits = {b"a:1": None, b"a:2": was, b"a:3": ours, b"a:5": ours + 7}
    looked = again.with_columns(
        low_ms=pl.Series([limits[key] for key in again["key"].to_list()], dtype=pl.Int64),
        high_ms=pl.Series([limits[key] for key in again["key"].to_list()], dtype=pl.Int64),
        gone=pl.lit(value=False),
    )
    routes = Routes(([done], nobody), ([looked], again.clear().with_columns(stray=pl.lit(None, pl.String))))
    account = restorer_with(routes).restore(table, nothing)[0]
    assert account == RestoreAccount(keys=8, removed=3, put_back=1, changed=2, unreached=2)
    assert routes.asked[1] == [b"a:1", b"a:2", b"a:3", b"a:5"]


def test_keys_that_nobody_answered_for_are_unreached() -> None:
    """By a look, too: they are counted, and never as gone."""
    table = rows((b"a:1", None, 10), (b"a:2", None, 10))
    lost = table.tail(1).with_columns(stray=pl.lit("LOST x"))
    found = table.head(1).with_columns(low_ms=pl.lit(10), high_ms=pl.lit(10), gone=pl.lit(value=False))
    looked = restorer_with(Routes(([found], lost))).look(table, nothing)
    assert looked.accounts == {0: RestoreAccount(keys=1, unreached=1)}
    assert looked.ours["key"].to_list() == [b"a:1"]
    looked = restorer_with(Routes(([], table.with_columns(stray=pl.lit("LOST x"))))).look(table, nothing)
    assert looked.accounts == {0: RestoreAccount(keys=2, unreached=2)}


def test_a_server_that_continues_no_node_of_the_plan_is_a_stranger(valkey: Server) -> None:
    """By its replication id, or its process where it hides that; in a cluster one that continues is enough."""
    with restorer_of(valkey) as restorer:
        [(address, profile)] = restorer._routes.profiles.items()
        ours = NodeIdentity(address, "x", profile.lineage)
        theirs = NodeIdentity(address, "x", "0" * 40)
        assert restorer.strangers([theirs, ours]) == []
        assert restorer.strangers([theirs]) == [f"{address} ({profile.lineage})"]
        restorer._routes.profiles["n2:1"] = replace(profile, lineage="1" * 40, former_lineage="", run_id="")
        restorer._routes.profiles["n3:1"] = replace(profile, lineage="", former_lineage="", run_id="")
        assert restorer.strangers([ours]) == [f"n2:1 ({'1' * 40})", "n3:1 (unknown)"]
        restorer._routes.in_cluster = True
        assert restorer.in_cluster
        assert restorer.strangers([ours]) == []
        assert len(restorer.strangers([theirs])) == 3


def test_every_primary_is_watched(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures over one connection that stays open, and whether its eviction policy takes keys with a TTL first."""
    opened: list[str] = []

    class Counted(RedisLink):
        def __init__(self, endpoint: Any) -> None:
            opened.append(endpoint.address)
            super().__init__(endpoint)

    monkeypatch.setattr(key_restorer, "RedisLink", Counted)
    with restorer_of(valkey) as restorer:
        for policy in ("noeviction", "volatile-lfu", None):
            [(address, profile)] = restorer._routes.profiles.items()
            restorer._routes.profiles[address] = replace(profile, eviction_policy=policy)
            [node] = restorer.health()
            assert (node.address, node.evicts_keys_with_ttl) == (address, policy == "volatile-lfu")
            assert node.reading is not None
            assert node.reading.is_primary
        restorer._routes.profiles.clear()
        assert not restorer.health()[0].evicts_keys_with_ttl
        assert len(opened) == 1


@pytest.mark.parametrize("follows", [True, False])
def test_a_primary_that_does_not_answer_is_told_or_replaced(monkeypatch: pytest.MonkeyPatch, *, follows: bool) -> None:
    """Where somebody else may have its place, it is looked for; one that is there still is told without figures."""
    routes = Routes()
    routes.follows = follows
    restorer = restorer_with(routes)

    def lost(*_: object) -> Any:
        raise ConnectionLost("gone")

    monkeypatch.setattr(key_restorer, "RedisLink", lost)
    if not follows:
        with pytest.raises(ConnectionLost):
            restorer.health()
        return
    found = restorer.health()
    assert [(node.address, node.reading) for node in found] == [("n1:1", None), ("n2:1", None)]
    assert routes.refreshed == [{"n1:1"}, {"n2:1"}]

    def replaced(*, avoid: set[str]) -> None:
        routes.addresses = [each for each in routes.addresses if each not in avoid]

    routes.refresh = replaced  # type: ignore[method-assign]
    assert restorer.health() == []
