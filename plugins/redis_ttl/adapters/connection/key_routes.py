"""Leads to the node that has a key now, also while slots move, nodes fail over and a cluster finds itself again.

A node's word about a key that it doesn't have (MOVED, ASK, TRYAGAIN, CLUSTERDOWN) says where to ask, or that it is too early
to; it never says that the key is gone. Whoever asks for keys hands back those rows that got such a word, and gets them placed
anew. Tries are bounded in time; what can't be reached by then stays with the one who asked.

Knows nothing of what is asked.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl

from redis_ttl.adapters.connection.cluster import check_is_cluster, check_primary, cluster_nodes
from redis_ttl.adapters.connection.entry import locate, profile_now
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.domain.audit.shards import SLOTS, key_slot
from redis_ttl.domain.errors import (
    ConnectionLost,
    OtherServer,
    RedisTtlError,
    ServerLoading,
    ServerProblem,
    Unreachable,
    WrongRole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.audit.server import ServerProfile

#: What a node says of keys that aren't its own at the moment, or of a moment in which it takes no writes.
STRAY: Final = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY")
#: Our own word for keys whose node broke off before it answered.
LOST: Final = "LOST"
#: How long keys are followed while none of them is answered for: a failover takes a node timeout and some seconds.
PATIENCE_S: Final = 60.0
_ON_THE_WAY: Final = re.compile(rb"\[\d+-[<>]-")
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 1.0
#: So many redirections are followed at once; after that, two nodes may be sending us to and fro.
_AT_ONCE: Final = 3
GOES_AWAY: Final = (ConnectionLost, Unreachable, ServerLoading, WrongRole)


class Ask(Protocol):
    """Asks one database of one node for the keys of some rows: the rows with what it answered, and with ``stray``, what it says of a
    key that it doesn't have at the moment, null for one that was answered for.
    """

    def __call__(self, address: str, db: int, rows: pl.DataFrame, /, *, asking: bool, alone: bool) -> pl.DataFrame:
        """ASKING is sent first where ``asking``; ``alone``: no key is asked for together with another."""


class KeyRoutes:
    """The primaries of the deployment that an endpoint leads to, and which of them has a key.

    ``follows``: whether keys may be looked for on a node other than the one that was asked, which is so in a cluster and behind
    sentinels. Nothing is sent to a node that doesn't belong to the cluster that we began with.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._entry = locate(endpoint, "primary").on(0)
        self._links: dict[tuple[str, int], RedisLink] = {}
        self._members: set[str] = set()
        self._ids: dict[str, str] = {}
        self._node_of_slot: list[str] | None = None
        self.in_cluster = False
        self.profiles: dict[str, ServerProfile] = {}

    @property
    def follows(self) -> bool:
        """Whether a key may be looked for elsewhere."""
        return self._node_of_slot is not None or bool(self._endpoint.sentinels)

    @property
    def addresses(self) -> list[str]:
        """The primaries of this moment."""
        return sorted(set(self._node_of_slot or [self._entry.address]))

    def open(self) -> None:
        """Find the primaries. Raises `WrongRole` where a replica answers in place of one."""
        with RedisLink(self._entry) as link:
            profile = profile_now(link)
            check_is_cluster(profile, self._entry)
            self.in_cluster = profile.cluster_enabled
            if self.in_cluster and self._entry.whole_cluster:
                self._take_map(link)
        for address in self.addresses:
            self._profile(address)

    def close(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def link(self, address: str, db: int) -> RedisLink:
        """A connection to that database of that node, kept open. Raises `OtherServer` for a node of no, or another, cluster."""
        known = self._links.get((address, db))
        if known is None:
            if address not in self.profiles:
                self._profile(address)
            known = self._links[address, db] = RedisLink(self._way(address, db))
        return known

    def drop(self, address: str) -> None:
        """Forget a node that broke off; who answers there next is asked anew who it is."""
        self.profiles.pop(address, None)
        for place in [place for place in self._links if place[0] == address]:
            self._links.pop(place).close()

    def placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows (columns ``key``, ``db`` and others) with where to ask for each: ``slot``, ``node``, ``asking`` and ``alone``."""
        slots = [0] * rows.height if not self.in_cluster else list(map(key_slot, rows["key"].to_list()))
        placed = rows.with_columns(
            pl.Series("slot", slots, dtype=pl.UInt16),
            asking=pl.lit(value=False),
            alone=pl.lit(value=False),
            doubtful=pl.lit(value=False),
        )
        placed = placed.with_columns(self._nodes(placed["slot"]))
        return placed.sort("slot", maintain_order=True) if self.in_cluster else placed

    @staticmethod
    def by_node(placed: pl.DataFrame) -> Iterator[tuple[str, int, bool, bool, pl.DataFrame]]:
        """The rows of each node and database, in the order of their slots: address, database, whether to send ASKING first, and
        whether each key must be asked for alone.
        """
        places = placed.select("node", "db", "asking", "alone").unique(maintain_order=True)
        if places.height == 1:  # on one server, as a rule: no copy of every key
            node, db, asking, alone = places.row(0)
            yield node, db, asking, alone, placed
            return
        for (node, db, asking, alone), part in placed.group_by("node", "db", "asking", "alone", maintain_order=True):
            yield str(node), int(str(db)), bool(asking), bool(alone), part

    def redirected(self, strays: pl.DataFrame) -> pl.DataFrame:
        """Rows that weren't answered for (``stray`` says how), placed anew."""
        told = list(strays.select("stray", "node").unique().iter_rows())
        if any(not text.startswith(("ASK", "TRYAGAIN")) for text, _ in told):
            self.refresh(avoid={node for text, node in told if text.startswith(LOST)})
        moved: dict[int, str] = {}
        asked: dict[tuple[str, str], str] = {}
        for text, node in told:
            code, *more = text.split(" ")
            if code in {"MOVED", "ASK"} and len(more) >= 2 and self._node_of_slot is not None:  # noqa: PLR2004  # slot and address
                address = self._named(more[1], node)
                if code == "MOVED":
                    moved[int(more[0])] = address
                else:
                    asked[text, node] = address
        if self._node_of_slot is not None:
            # What the node of this moment says is newer than the map.
            for slot, address in moved.items():
                self._node_of_slot[slot] = address
        asks = pl.DataFrame(
            {"stray": [text for text, _ in asked], "node": [node for _, node in asked], "ask": list(asked.values())},
            schema={"stray": pl.String, "node": pl.String, "ask": pl.String},
        )
        placed = strays.join(asks, on=["stray", "node"], how="left", maintain_order="left")
        placed = placed.with_columns(self._nodes(placed["slot"]))
        return placed.with_columns(
            node=pl.coalesce("ask", "node"),
            asking=pl.col("ask").is_not_null(),
            alone=pl.lit(value=True),
            doubtful=pl.col("doubtful") | pl.col("stray").str.starts_with(LOST),
        ).drop("ask", "stray")

    def refresh(self, *, avoid: set[str] | frozenset[str] = frozenset()) -> None:
        """Ask where the slots, or the primary, are now; nothing changes where nobody answers."""
        if self._node_of_slot is None:
            if self._endpoint.sentinels:
                with suppress(ServerProblem):
                    self._entry = locate(self._endpoint, "primary").on(0)
            return
        known = [each for each in self.addresses if each not in avoid]
        for address in dict.fromkeys([*known, self._entry.address, *avoid]):
            try:
                with RedisLink(self._way(address)) as link:
                    self._take_map(link)
                return
            except (RedisTtlError, ErrorReply):
                continue

    def slots_state(self) -> SlotsState:
        """Which node has which slots now, and whether some are on their way; to be compared with a later one."""
        if self._node_of_slot is None:
            return SlotsState((), moving=False)
        self.refresh()
        moving = False
        for address in self.addresses:
            lines = self.link(address, 0).call_many([("CLUSTER", "NODES")])[0]
            # A node marks the slots that leave it, or come, in its own line: [93->-id], [93-<-id]. Who may not ask looks twice.
            moving = moving or not isinstance(lines, bytes) or _ON_THE_WAY.search(lines) is not None
        return SlotsState(tuple(self._node_of_slot), moving=moving)

    def everywhere(
        self, rows: pl.DataFrame, ask: Ask, check: Callable[[], None], *, at: str | None = None
    ) -> tuple[list[pl.DataFrame], pl.DataFrame]:
        """What the nodes answer for the rows' keys (columns ``key``, ``db`` and others), wherever these are now; and the rows that
        nobody answered for in time, whose ``stray`` says why.

        ``at`` is the node where the keys were met, which is asked first. ``check`` is called before each wait. Connections of a node
        that broke off are closed: :meth:`link` gives another one.
        """
        answered: list[pl.DataFrame] = []
        pending = self.placed(rows)
        if at is not None and self._node_of_slot is not None:
            pending = pending.with_columns(node=pl.lit(at))
        journey = Journey(check, follows=self.follows)
        while True:
            strays: list[pl.DataFrame] = []
            for address, db, asking, alone, part in self.by_node(pending):
                found = self._asked(ask, address, db, part, asking=asking, alone=alone)
                if found["stray"].null_count() < found.height:
                    strange = pl.col("stray").is_not_null()
                    strays.append(found.filter(strange).select(*pending.columns, "stray"))
                    found = found.filter(~strange)
                    if strays[-1]["stray"].str.starts_with(LOST).any():
                        self.drop(address)
                if found.height:
                    answered.append(found.drop("stray"))
            if not strays:
                return answered, pending.clear().with_columns(stray=pl.lit(None, pl.String))
            stray = pl.concat(strays)
            if not journey.goes_on(stray):
                return answered, stray
            pending = self.redirected(stray).select(pending.columns)

    def _asked(self, ask: Ask, address: str, db: int, rows: pl.DataFrame, *, asking: bool, alone: bool) -> pl.DataFrame:
        try:
            return ask(address, db, rows, asking=asking, alone=alone)
        except GOES_AWAY as error:
            if not self.follows:
                raise
            return rows.with_columns(stray=pl.lit(f"{LOST} {type(error).__name__}"))

    def _take_map(self, link: RedisLink) -> None:
        nodes = cluster_nodes(link)
        ids = {node.id for node in nodes}
        if self._members and not ids & self._members:
            raise _other_cluster(link.where)
        node_of_slot = list(self._node_of_slot or [""] * SLOTS)
        for node in nodes:
            for first, last in node.slots:
                node_of_slot[first : last + 1] = [node.address] * (last - first + 1)
        self._node_of_slot = [each or link.endpoint.address for each in node_of_slot]
        self._members |= ids
        self._ids = {node.address: node.id for node in nodes}

    def _way(self, address: str, db: int = 0) -> Endpoint:
        """The way to that node, at whose end the node must answer that has this address by the newest map; one that has no slots
        yet, to which another sends us, is known by its cluster alone.
        """
        return self._endpoint.at(address, self._ids.get(address)).on(db)

    def _profile(self, address: str) -> None:
        with RedisLink(self._way(address)) as link:
            profile = profile_now(link)
            check_primary(profile)
            if self._node_of_slot is not None:
                if not profile.cluster_enabled:
                    raise _other_cluster(link.where)
                if not {node.id for node in cluster_nodes(link)} & self._members:
                    raise _other_cluster(link.where)
        self.profiles[address] = profile

    def _nodes(self, slots: pl.Series) -> pl.Series:
        if self._node_of_slot is None:
            return pl.Series("node", [self._entry.address]).new_from_index(0, len(slots))
        return pl.Series("node", self._node_of_slot).gather(slots)

    def _named(self, address: str, by: str) -> str:
        """The address that a node names; one that leaves out the host means its own."""
        host, _, port = address.rpartition(":")
        if host.strip("[]") in ("", "?"):
            host = self._endpoint.at(by).host
        return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class SlotsState:
    """The node of each slot, and whether slots are on their way."""

    nodes: tuple[str, ...]
    moving: bool


class Journey:
    """Waits between the tries of one question, and knows when to give up."""

    def __init__(self, check: Callable[[], None], *, follows: bool) -> None:
        self._check = check
        self._follows = follows
        self._fewest: int | None = None
        self._since_s = time.monotonic()
        self._tries = 0
        self._wait_s = _FIRST_WAIT_S

    def goes_on(self, strays: pl.DataFrame) -> bool:
        """Whether to ask for these rows once more, after a wait where there is something to wait for."""
        codes = {text.split(" ", 1)[0] for text in strays["stray"].unique().to_list()}
        if not self._follows and codes & {"MOVED", "ASK"}:
            return False
        now_s = time.monotonic()
        if self._fewest is None or strays.height < self._fewest:
            self._fewest, self._since_s = strays.height, now_s
        elif now_s - self._since_s >= PATIENCE_S:
            return False
        self._tries += 1
        self._check()
        if codes - {"MOVED", "ASK"} or self._tries > _AT_ONCE:
            time.sleep(self._wait_s)
            self._wait_s = min(_LONGEST_WAIT_S, self._wait_s * 2)
        return True


def _other_cluster(where: str) -> OtherServer:
    return OtherServer(
        "this node belongs to another cluster than the one that the work began with",
        where=where,
        todo="See what runs at this address; the cluster's own table of nodes leads there.",
    )
