"""A Redis deployment as the use cases that write see it: the primary that holds a plan's data set, and one database of it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.columns.decisions import CanaryColumns, DecisionColumns
from redis_ttl.adapters.connection.cluster import Ways, cluster_nodes
from redis_ttl.adapters.connection.entry import AWAY, in_vain
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import parse_info, profile_from_info
from redis_ttl.adapters.journal.earlier_changes import EarlierChanges
from redis_ttl.adapters.server.health import read_health
from redis_ttl.adapters.server.key_questions import TOLERANCE_MS, ExpiryQuestions, UseQuestions, server_now_ms
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.adapters.writing.key_writer import KeyWriter, refuse_missing_commands
from redis_ttl.domain.audit.server import Role
from redis_ttl.domain.errors import OtherServer, ServerProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_ttl.adapters.columns.decisions import Decided, DecidedAgain
    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.domain.plan.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.load import Load
    from redis_ttl.domain.policy.policy import Policy

#: Somebody waits for news of the writing, and what was read shall not be old when it is written.
_BATCH_S: Final = 1.0


class WritableDeployment:
    """The deployment that an endpoint leads to. ``load`` is the limit for reading one server."""

    def __init__(self, endpoint: Endpoint, load: Load) -> None:
        self._ways = Ways(endpoint)
        self._load = load

    def primary_of(self, node: NodeIdentity) -> str:
        """The address of the primary that holds the data set of ``node`` now.

        Asked are the plan's address, the endpoint (its sentinels, or its cluster) and the primaries of replicas that
        answer. Raises `OtherServer` when every primary that answers holds another data set, and `Unreachable` when none
        answers.
        """
        asked: list[str] = []
        others: list[str] = []
        told_by: dict[str, str] = {}
        silent: ServerProblem | None = None
        waiting = [node.address]
        try:
            waiting = self._entries(node.address)
        except ServerProblem as error:
            silent = error
        while waiting:
            address = waiting.pop(0)
            if address in asked:
                continue
            asked.append(address)
            try:
                profile = self._profile(address)
            except ServerProblem as error:
                told = told_by.get(address)
                if told is not None and isinstance(error, AWAY):
                    todo = "Give the primary's own address in the connection."
                    error = in_vain(f"the replica says its primary is at {address}", told, error, todo)
                silent = silent or error
                continue
            if profile.role is Role.REPLICA:
                if profile.primary_address:
                    waiting.append(profile.primary_address)
                    told_by.setdefault(profile.primary_address, address)
                continue
            if node.is_continued_by(
                run_id=profile.run_id, lineage=profile.lineage, former_lineage=profile.former_lineage
            ):
                return address
            others.append(f"{address} with {profile.lineage or profile.run_id or 'no identity'}")
        if silent is not None and not others:
            raise silent
        raise OtherServer(
            "no primary holds the data set that the plan was made of",
            where=node.address,
            found="; ".join(others) or "replicas only",
            allowed=f"a server that continues {node.lineage or node.run_id}",
            todo="Audit this server, and make a new plan.",
        ) from silent

    @contextmanager
    def connect(self, address: str, db: int) -> Iterator[WritableDatabase]:
        """Connections to that database of that primary: one each to read, to ask and to write."""
        with ExitStack() as links:
            yield WritableDatabase(self._ways.to(address, db), self._load, links)

    @staticmethod
    def new_canary(ratio: float, keys: int) -> CanaryColumns:
        """Picks the canary's keys of each rule."""
        return CanaryColumns(ratio, keys)

    def _entries(self, planned: str) -> list[str]:
        entry = self._ways.entry().on(0)
        with RedisLink(entry) as link:
            info = parse_info(link.call("INFO"))
            if info.get("cluster_enabled") == "1" and entry.whole_cluster:
                return [node.address for node in cluster_nodes(link)]
        return [entry.address, planned]

    def _profile(self, address: str) -> ServerProfile:
        with RedisLink(self._ways.to(address)) as link:
            return profile_from_info(parse_info(link.call("INFO")), address=address, access={})


class WritableDatabase:
    """One database of one primary.

    Reading, asking, writing and looking at the server's health each have a connection of their own, so that they can
    go on at the same time.
    """

    def __init__(self, endpoint: Endpoint, load: Load, links: ExitStack) -> None:
        self._endpoint = endpoint
        self._load = load
        self._links = links
        self._reading, self._asking, self._writing, self._watching = (
            links.enter_context(RedisLink(endpoint)) for _ in range(4)
        )
        info = parse_info(self._watching.call("INFO"))
        self._profile = profile_from_info(info, address=endpoint.address, access={})
        self._tells_instants = refuse_missing_commands(self._writing)

    @property
    def address(self) -> str:
        """``host:port`` of the node, or the path of its unix socket."""
        return self._endpoint.address

    def run_id(self) -> str:
        """The process that answers now; empty where the server hides it."""
        return parse_info(self._watching.call("INFO", "server")).get("run_id", "")

    def batches(self, shard: Shard, *, load_share: int, batch_keys: int) -> Iterator[ReadBatch]:
        """The shard's keys: columns ``key`` and ``expires_ms``, null without a TTL."""
        reader = ShardReader(
            self._reading,
            shard,
            self._load.share(load_share),
            batch_keys=batch_keys,
            batch_s=_BATCH_S,
            expiry="PEXPIRETIME" if self._tells_instants else "PTTL",
            moved_is_gone=False,
        )
        began_s = time.monotonic()
        for batch in reader.batches():
            frame = batch.frame
            if not self._tells_instants:
                frame = self._with_instants(frame)
            read = ReadBatch(
                frame.rename({"ttl_ms": "expires_ms"}), batch.vanished, batch.next_cursor, batch.done, began_s
            )
            # The next batch's first keys have been asked for already: their answers wait while this batch is looked after.
            began_s = time.monotonic()
            yield read

    def decisions(self, plan: Plan, policy: Policy, approved_at_ms: int) -> DatabaseDecisions:
        """What the plan means for this database's keys."""
        return DatabaseDecisions(
            DecisionColumns(
                plan,
                policy,
                approved_at_ms,
                db=self._endpoint.db,
                tolerance_ms=0 if self._tells_instants else TOLERANCE_MS,
                questions=UseQuestions(self._asking, self._profile),
                in_cluster=self._profile.cluster_enabled,
            ),
            self._asking,
            self._writing,
            ExpiryQuestions(self._writing, exact=self._tells_instants),
            UseQuestions(self._writing, self._profile),
        )

    def writer(self) -> KeyWriter:
        """Writes to this database."""
        return KeyWriter(self._writing, exact=self._tells_instants, in_cluster=self._profile.cluster_enabled)

    def health(self) -> Reading:
        """The server's figures as they are now."""
        return read_health(self._watching)

    def _with_instants(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with instants instead of what is left: each TTL is asked once more, beside the server's clock."""
        lasting = frame.filter(pl.col("ttl_ms").is_null())
        keys = frame.filter(pl.col("ttl_ms").is_not_null())["key"]
        found = ExpiryQuestions(self._reading, exact=False).of(keys.to_list())
        asked = pl.DataFrame([keys]).with_columns(found["expires_ms"].alias("ttl_ms"), found["gone"])
        return pl.concat([lasting, asked.filter(~pl.col("gone")).drop("gone")])


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Keys that were read from ``read_at_s`` (monotonic) on; ``frame`` has the columns ``key`` and ``expires_ms``."""

    frame: pl.DataFrame
    vanished: int
    next_cursor: int
    done: bool
    read_at_s: float

    @property
    def keys(self) -> int:
        """How many keys the batch has."""
        return self.frame.height


class DatabaseDecisions:
    """Decisions for batches of one database, by the server's clock.

    ``asking`` and ``writing`` are two connections: deciding goes on while something is written, and deciding again is
    what the writing itself does.
    """

    def __init__(
        self,
        columns: DecisionColumns,
        asking: RedisLink,
        writing: RedisLink,
        expiries: ExpiryQuestions,
        uses: UseQuestions,
    ) -> None:
        self._columns = columns
        self._asking = asking
        self._writing = writing
        self._expiries = expiries
        self._uses = uses

    def decide(self, batch: ReadBatch) -> Decided:
        """What shall become of the batch's keys."""
        now_ms = server_now_ms(self._asking)
        return self._columns.decide(batch.frame, keys=batch.keys, now_ms=now_ms, read_at_s=batch.read_at_s)

    def decide_again(self, changes: pl.DataFrame, *, raced: bool) -> DecidedAgain:
        """What shall become of keys that were to change, by what the server says of them now."""
        # The clock first: what is decided counts from before the keys were read.
        now_ms = server_now_ms(self._writing)
        expiries = self._expiries.of(changes["key"].to_list())
        return self._columns.decide_again(changes, expiries, now_ms=now_ms, questions=self._uses, raced=raced)

    @staticmethod
    def earlier() -> EarlierChanges:
        """What was journalled before; of nothing yet."""
        return EarlierChanges()

    def count(self, changes: pl.DataFrame) -> dict[int, int]:
        """How many keys of each rule these are."""
        return dict(changes.group_by("rule").len().iter_rows())

    def journal(self, changes: pl.DataFrame) -> bytes:
        """The journal object of these changes."""
        return self._columns.journal(changes)
