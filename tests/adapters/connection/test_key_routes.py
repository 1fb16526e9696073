"""Where a key is looked for, by what nodes say of it: without any node."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import polars as pl
import pytest

from redis_ttl.adapters.connection import key_routes
from redis_ttl.adapters.connection.cluster import ClusterNode
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.key_routes import Journey, KeyRoutes, SlotsState
from redis_ttl.domain.audit.shards import SLOTS, key_slot
from redis_ttl.domain.errors import ConnectionLost, MissingPermission, OtherServer, Unreachable, WrongRole

N1, N2, N3 = "10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"
URL = "redis://10.0.0.1:1/0"


def rows(*keys: bytes, db: int = 0) -> pl.DataFrame:
    """Rows about these keys."""
    return pl.DataFrame({"key": list(keys), "db": db}, schema={"key": pl.Binary, "db": pl.Int32})


def routes_of(url: str = URL, *, cluster: bool = True) -> KeyRoutes:
    """The way to a cluster of two, each with half of the slots; or to one server."""
    made = KeyRoutes(endpoint_from_url(url))
    if cluster:
        made.in_cluster = True
        made._node_of_slot = [N1] * (SLOTS // 2) + [N2] * (SLOTS // 2)
        made._members = {"id1", "id2"}
    return made


LOW = next(b"k%d" % number for number in range(999) if key_slot(b"k%d" % number) < SLOTS // 2)
HIGH = next(b"k%d" % number for number in range(999) if key_slot(b"k%d" % number) >= SLOTS // 2)
Answer = Callable[[pl.DataFrame], list[str | None]]


class Nodes:
    """What nodes answer: by address a list of what each says of the rows of one question, the last one for ever."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = {{"n1": N1, "n2": N2, "n3": N3}[name]: list(each) for name, each in answers.items()}
        self.asked: list[tuple[str, list[bytes], bool, bool]] = []

    def __call__(self, address: str, db: int, found: pl.DataFrame, /, *, asking: bool, alone: bool) -> pl.DataFrame:
        """Ask."""
        del db
        self.asked.append((address, found["key"].to_list(), asking, alone))
        waiting = self.answers.get(address, [None])
        said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(said, Exception):
            raise said
        return found.with_columns(stray=pl.lit(said, pl.String), by=pl.lit(address))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time, on a clock that goes on by it."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1_000 + sum(found))
    return found


def everywhere(
    routes: KeyRoutes, nodes: Nodes, found: pl.DataFrame, **more: Any
) -> tuple[dict[bytes, str], list[tuple[bytes, str]]]:
    """Who answered for each key, and what was said of those that nobody did."""
    answered, strays = routes.everywhere(found, nodes, lambda: None, **more)
    table = pl.concat(answered) if answered else pl.DataFrame({"key": [], "by": []})
    assert "stray" not in table.columns
    return dict(table.select("key", "by").iter_rows()), list(strays.select("key", "stray").iter_rows())


def test_keys_are_asked_where_their_slots_are(slept: list[float]) -> None:
    """Each node is asked once for all of its keys, by their slots, without ASKING; and one server for everything."""
    nodes = Nodes()
    assert everywhere(routes_of(), nodes, rows(HIGH, LOW)) == ({LOW: N1, HIGH: N2}, [])
    assert nodes.asked == [(N1, [LOW], False, False), (N2, [HIGH], False, False)]
    nodes = Nodes()
    assert everywhere(routes_of(cluster=False), nodes, rows(HIGH, LOW)) == ({LOW: N1, HIGH: N1}, [])
    assert nodes.asked == [(N1, [HIGH, LOW], False, False)]
    assert slept == []


def test_databases_are_asked_apart() -> None:
    """Keys of two databases are two questions, each of its own database."""
    routes = routes_of(cluster=False)
    placed = routes.placed(pl.concat([rows(b"a"), rows(b"b", db=3), rows(b"c")]))
    assert placed["slot"].to_list() == [0, 0, 0]
    found = [
        (address, db, asking, alone, part["key"].to_list())
        for address, db, asking, alone, part in routes.by_node(placed)
    ]
    assert found == [(N1, 0, False, False, [b"a", b"c"]), (N1, 3, False, False, [b"b"])]


def test_keys_are_asked_first_where_they_were_met() -> None:
    """In a cluster the node that had them is asked, whatever the map says; one server is the only one there is."""
    nodes = Nodes()
    assert everywhere(routes_of(), nodes, rows(LOW, HIGH), at=N2)[0] == {LOW: N2, HIGH: N2}
    assert everywhere(routes_of(cluster=False), Nodes(), rows(LOW), at=N2)[0] == {LOW: N1}


def test_a_key_that_has_moved_is_followed_and_the_map_is_put_right(slept: list[float]) -> None:
    """MOVED: the other node is asked without ASKING, each key alone, and the map is read anew; later keys of the slot go there."""
    routes = routes_of()
    refreshed: list[Any] = []
    routes.refresh = lambda *, avoid=frozenset(): refreshed.append(set(avoid))  # type: ignore[method-assign]
    nodes = Nodes(n1=[f"MOVED {key_slot(LOW)} {N3}"])
    assert everywhere(routes, nodes, rows(LOW)) == ({LOW: N3}, [])
    assert nodes.asked[1] == (N3, [LOW], False, True)
    assert refreshed == [set()]
    nodes = Nodes(n1=["MOVED nonsense"])
    assert everywhere(routes, nodes, rows(LOW)) == ({LOW: N3}, [])
    assert slept == []


def test_a_key_that_is_on_its_way_is_asked_for_once(slept: list[float]) -> None:
    """ASK: the other node is told ASKING, and the map stays as it is."""
    routes = routes_of()
    routes.refresh = lambda **_: pytest.fail("nothing has moved yet")  # type: ignore[method-assign]
    nodes = Nodes(n1=[f"ASK {key_slot(LOW)} {N2}", None])
    assert everywhere(routes, nodes, rows(LOW)) == ({LOW: N2}, [])
    assert nodes.asked[1] == (N2, [LOW], True, True)
    assert everywhere(routes, nodes, rows(LOW)) == ({LOW: N1}, [])
    assert slept == []


@pytest.mark.parametrize("said", ["TRYAGAIN x", "CLUSTERDOWN x", "LOADING x", "MASTERDOWN x", "READONLY x"])
def test_what_passes_is_waited_for(slept: list[float], said: str) -> None:
    """A node that can't answer yet is asked again, after a wait that grows to a second."""
    routes = routes_of()
    refreshed: list[Any] = []
    routes.refresh = lambda *, avoid=frozenset(): refreshed.append(set(avoid))  # type: ignore[method-assign]
    nodes = Nodes(n1=[*[said] * 7, None])
    assert everywhere(routes, nodes, rows(LOW)) == ({LOW: N1}, [])
    assert slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert bool(refreshed) == (said != "TRYAGAIN x")


def test_only_what_was_not_answered_is_asked_again(slept: list[float]) -> None:
    """Keys that have their answer aren't asked for once more."""
    routes = routes_of(cluster=False)

    def ask(address: str, db: int, found: pl.DataFrame, /, *, asking: bool, alone: bool) -> pl.DataFrame:
        del address, db, asking
        asked.append((found["key"].to_list(), alone))
        stray = ["TRYAGAIN" if key == b"b" and len(asked) == 1 else None for key in found["key"].to_list()]
        return found.with_columns(stray=pl.Series(stray, dtype=pl.String))

    asked: list[Any] = []
    answered, strays = routes.everywhere(rows(b"a", b"b", b"c"), ask, lambda: None)
    assert [table["key"].to_list() for table in answered] == [[b"a", b"c"], [b"b"]]
    assert strays.is_empty()
    assert asked == [([b"a", b"b", b"c"], False), ([b"b"], True)]
    assert len(slept) == 1


def test_patience_ends_when_nothing_is_answered_for_a_minute(slept: list[float]) -> None:
    """What nobody answers for in sixty seconds stays with who asked, with what was said last."""
    routes = routes_of()
    routes.refresh = lambda **_: None  # type: ignore[method-assign]
    nodes = Nodes(n1=["CLUSTERDOWN x"])
    assert everywhere(routes, nodes, rows(LOW, HIGH)) == ({HIGH: N2}, [(LOW, "CLUSTERDOWN x")])
    assert 60 <= sum(slept) < 62


def test_patience_begins_anew_with_every_key_that_is_answered_for(slept: list[float]) -> None:
    """As long as fewer keys are left each time, it goes on."""
    journey = Journey(lambda: None, follows=True)
    for left in (3, 2, 1):
        strays = pl.DataFrame({"stray": ["TRYAGAIN x"] * left})
        slept.append(59.0)
        assert journey.goes_on(strays)
    slept.append(61.0)
    assert not journey.goes_on(strays)


def test_two_nodes_that_send_to_and_fro_are_slowed_down(slept: list[float]) -> None:
    """Three redirections are followed at once, after that with waits; who asks may end it at each."""
    routes = routes_of()
    routes.refresh = lambda **_: None  # type: ignore[method-assign]
    slot = key_slot(LOW)
    nodes = Nodes(n1=[f"MOVED {slot} {N2}"], n2=[f"MOVED {slot} {N1}"])
    checks: list[int] = []

    def check() -> None:
        checks.append(len(slept))
        if len(checks) == 6:
            raise MissingPermission("enough")

    with pytest.raises(MissingPermission):
        routes.everywhere(rows(LOW), nodes, check)
    assert checks == [0, 0, 0, 0, 1, 2]


def test_outside_a_cluster_nobody_is_followed(slept: list[float]) -> None:
    """A single server that says that a key has moved isn't asked again; one that is loading is waited for."""
    for said in (f"MOVED 1 {N2}", f"ASK 1 {N2}"):
        nodes = Nodes(n1=[said])
        assert everywhere(routes_of(cluster=False), nodes, rows(LOW)) == ({}, [(LOW, said)])
        assert len(nodes.asked) == 1
    assert everywhere(routes_of(cluster=False), Nodes(n1=["LOADING x", None]), rows(LOW)) == ({LOW: N1}, [])
    assert len(slept) == 1


@pytest.mark.usefixtures("slept")
def test_a_node_that_breaks_off_is_avoided_and_what_it_did_is_doubtful() -> None:
    """Its connections are closed, the map is asked for elsewhere, and its rows are marked; with nobody else it is an error."""
    routes = routes_of()
    refreshed: list[Any] = []
    routes.refresh = lambda *, avoid=frozenset(): refreshed.append(set(avoid))  # type: ignore[method-assign]
    closed: list[tuple[str, int]] = []
    links: dict[tuple[str, int], Any] = {
        (address, db): SimpleNamespace(close=lambda at=(address, db): closed.append(at))
        for address in (N1, N2)
        for db in (0, 3)
    }
    routes._links = links
    routes.profiles = {N1: "x", N2: "x"}  # type: ignore[dict-item]
    doubts: list[list[bool]] = []

    def ask(address: str, db: int, found: pl.DataFrame, /, *, asking: bool, alone: bool) -> pl.DataFrame:
        del db, asking, alone
        doubts.append(found["doubtful"].to_list())
        if len(doubts) == 1:
            raise ConnectionLost("gone")
        return found.with_columns(
            stray=pl.lit("TRYAGAIN x" if len(doubts) == 2 else None, pl.String), by=pl.lit(address)
        )

    answered, strays = routes.everywhere(rows(LOW), ask, lambda: None)
    assert (pl.concat(answered)["key"].to_list(), strays.height) == ([LOW], 0)
    assert doubts == [[False], [True], [True]], "once doubtful, always so"
    assert refreshed == [{N1}]
    assert sorted(closed) == [(N1, 0), (N1, 3)]
    assert set(routes.profiles) == {N2}
    with pytest.raises(ConnectionLost):
        everywhere(routes_of(cluster=False), Nodes(n1=[ConnectionLost("gone")]), rows(LOW))
    for error in (Unreachable("x"), WrongRole("x")):
        doubts.clear()
        assert everywhere(routes, Nodes(n1=[error, None]), rows(LOW)) == ({LOW: N1}, [])
    with pytest.raises(MissingPermission):
        everywhere(routes, Nodes(n1=[MissingPermission("x")]), rows(LOW))


@pytest.mark.parametrize(
    ("named", "by", "address"),
    [
        ("10.0.0.9:9", N1, "10.0.0.9:9"),
        (":9", N1, "10.0.0.1:9"),
        ("?:9", N2, "10.0.0.2:9"),
        ("fe80::1:9", N1, "[fe80::1]:9"),
        ("[fe80::1]:9", N1, "[fe80::1]:9"),
        ("[]:9", N1, "10.0.0.1:9"),
        ("node.example:9", N1, "node.example:9"),
    ],
)
def test_a_node_may_leave_out_its_host(named: str, by: str, address: str) -> None:
    """Who names an address without a host means its own; IPv6 stands in brackets."""
    assert routes_of()._named(named, by) == address


class Link:
    """A connection to a node that has a map, or doesn't answer."""

    opened: ClassVar[list[str]] = []
    dead: frozenset[str] = frozenset()
    nodes: ClassVar[list[ClusterNode]] = []
    marks: ClassVar[dict[str, Any]] = {}
    is_cluster = True

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint
        self.where = endpoint.address
        Link.opened.append(endpoint.address)
        if endpoint.address in Link.dead:
            raise Unreachable("dead")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call_many(self, commands: list[Any]) -> list[Any]:
        """The node's own view."""
        assert commands == [("CLUSTER", "NODES")]
        assert self.endpoint.db == 0, "a cluster has no other database"
        return [Link.marks.get(self.endpoint.address, b"x myself - 1-2")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> type[Link]:
    """Nodes that answer with a map: node 1 and node 3, which has taken over from node 2."""
    half = SLOTS // 2
    Link.opened, Link.dead, Link.marks, Link.is_cluster = [], frozenset(), {}, True
    Link.nodes = [ClusterNode("id1", N1, ((0, half - 1),)), ClusterNode("id3", N3, ((half, SLOTS - 1),))]
    monkeypatch.setattr(key_routes, "RedisLink", Link)
    monkeypatch.setattr(key_routes, "cluster_nodes", lambda _: Link.nodes)
    monkeypatch.setattr(key_routes, "profile_now", lambda _: SimpleNamespace(cluster_enabled=Link.is_cluster))
    monkeypatch.setattr(key_routes, "check_primary", lambda _: None)
    return Link


def test_the_map_is_read_from_whoever_answers(cluster: type[Link]) -> None:
    """Known nodes first, those that broke off last; with nobody the map stays as it was."""
    routes = routes_of()
    routes.refresh(avoid={N1})
    assert cluster.opened == [N2]
    assert routes.addresses == [N1, N3]
    assert routes._members == {"id1", "id2", "id3"}
    assert everywhere(routes, Nodes(), rows(LOW, HIGH))[0] == {LOW: N1, HIGH: N3}
    cluster.opened.clear()
    cluster.dead = frozenset({N3, N1})
    routes.refresh()
    assert cluster.opened == [N1, N3]
    assert routes.addresses == [N1, N3]
    cluster.dead = frozenset({N1})
    cluster.opened.clear()
    cluster.nodes = [ClusterNode("id3", N3, ((0, SLOTS - 1),))]
    routes.refresh()
    assert (cluster.opened, routes.addresses) == ([N1, N3], [N3])


def test_slots_that_nobody_tells_of_stay_where_they_were(cluster: type[Link]) -> None:
    """A map with a hole leaves the hole as it was; at the beginning the entry is asked."""
    cluster.nodes = [ClusterNode("id1", N2, ((0, 9), (20, 29)))]
    routes = routes_of()
    routes.refresh()
    assert routes._node_of_slot is not None
    assert routes._node_of_slot[:31] == [N2] * 10 + [N1] * 10 + [N2] * 10 + [N1]
    fresh = routes_of(cluster=False)
    fresh.open()
    assert fresh._node_of_slot is not None
    assert fresh._node_of_slot[8:21] == [N2] * 2 + [N1] * 10 + [N2]


def test_a_map_of_another_cluster_is_not_taken(cluster: type[Link]) -> None:
    """Nothing is sent to nodes that have nothing in common with those that the work began with."""
    routes = routes_of()
    cluster.nodes = [ClusterNode("other", N3, ((0, SLOTS - 1),))]
    routes.refresh()
    assert routes.addresses == [N1, N2]
    with pytest.raises(OtherServer, match="another cluster"):
        routes.link(N3, 0)
    cluster.is_cluster = False
    cluster.nodes = [ClusterNode("id1", N3, ((0, SLOTS - 1),))]
    with pytest.raises(OtherServer, match="another cluster"):
        routes.link(N3, 0)


def test_a_connection_stays_open_until_its_node_is_dropped(cluster: type[Link]) -> None:
    """One for each node and database; who answers after a break is asked anew who it is."""
    routes = routes_of()
    first = routes.link(N1, 0)
    assert routes.link(N1, 0) is first
    assert cluster.opened == [N1, N1], "once for who it is, once to stay"
    assert routes.link(N1, 3) is not first
    assert len(cluster.opened) == 3
    closed: list[int] = []
    for each in routes._links.values():
        each.close = lambda: closed.append(1)  # type: ignore[method-assign]
    routes.drop(N2)
    assert closed == []
    routes.drop(N1)
    assert len(closed) == 2
    routes.link(N1, 0)
    assert len(cluster.opened) == 5
    routes._links[N1, 0].close = lambda: closed.append(1)  # type: ignore[method-assign]
    routes.close()
    assert (len(closed), routes._links) == (3, {})


@pytest.mark.parametrize(
    ("marks", "moving"),
    [
        ({}, False),
        ({N1: b"x myself,master - 0-1 [93->-abc]"}, True),
        ({N3: b"x myself,master - 0-1 [93-<-abc]"}, True),
        ({N1: ErrorReply("NOPERM")}, True),
        ({N1: b"x [93] - 1->-2"}, False),
    ],
)
def test_slots_are_on_their_way_when_a_node_marks_them(
    cluster: type[Link], marks: dict[str, Any], *, moving: bool
) -> None:
    """By a mark in brackets in a node's own line; who may not ask can't say that nothing moves."""
    cluster.marks = marks
    state = routes_of().slots_state()
    assert state.moving is moving
    assert state.nodes == tuple([N1] * (SLOTS // 2) + [N3] * (SLOTS // 2))
    assert routes_of(cluster=False).slots_state() == SlotsState((), moving=False)


def test_behind_sentinels_the_primary_of_now_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place may be somebody else's by now; where no sentinel answers, nothing changes."""
    entry = endpoint_from_url("redis+sentinel://10.0.0.9:9/main")
    where = [endpoint_from_url(f"redis://{N1}/0")]

    def located(endpoint: Any, source: str) -> Any:
        if not endpoint.sentinels:
            return endpoint
        assert (endpoint, source) == (entry, "primary")
        if not where:
            raise Unreachable("no sentinel answers")
        return where[0]

    monkeypatch.setattr(key_routes, "locate", located)
    routes = KeyRoutes(entry)
    assert routes.follows
    assert not routes_of(cluster=False).follows
    assert routes_of().follows
    assert routes.addresses == [N1]
    where[0] = endpoint_from_url(f"redis://{N2}/0")
    routes.refresh()
    assert routes.addresses == [N2]
    where.clear()
    routes.refresh()
    assert routes.addresses == [N2]
