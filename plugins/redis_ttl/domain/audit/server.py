"""What is known of one Redis server before any key is read: who it is, how full it is, and what this user may ask it.

The module knows nothing of connections or of INFO's text; every figure that a server may leave out is None then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from redis_ttl.domain.audit.node_memory import NodeMemory
from redis_ttl.domain.codec import document_part

#: Among the `ServerProfile.untold`: how many keys each database has.
KEYSPACE: Final = "keyspace"


class Flavour(StrEnum):
    """The program that answers; they share a protocol, not the meaning of a cursor."""

    REDIS = "redis"
    VALKEY = "valkey"
    KEYDB = "keydb"
    DRAGONFLY = "dragonfly"
    KVROCKS = "kvrocks"
    GARNET = "garnet"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """Whether a server takes writes or follows another one."""

    PRIMARY = "primary"
    REPLICA = "replica"
    UNKNOWN = "unknown"


class Access(StrEnum):
    """What the server says when this user sends a command."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    UNKNOWN_COMMAND = "unknown command"


class Command(StrEnum):
    """The commands that an audit uses; the first four are what it can't do without."""

    SCAN = "SCAN"
    PTTL = "PTTL"
    DBSIZE = "DBSIZE"
    INFO = "INFO"
    TYPE = "TYPE"
    EXISTS = "EXISTS"
    RANDOMKEY = "RANDOMKEY"
    MEMORY_USAGE = "MEMORY USAGE"
    OBJECT_FREQ = "OBJECT FREQ"
    OBJECT_IDLETIME = "OBJECT IDLETIME"
    OBJECT_ENCODING = "OBJECT ENCODING"
    CONFIG_GET = "CONFIG GET"
    CLIENT_NO_TOUCH = "CLIENT NO-TOUCH"
    HLEN = "HLEN"
    HRANDFIELD = "HRANDFIELD"
    HTTL = "HTTL"

    @property
    def acl_rule(self) -> str:
        """What to add to a user's ACL to allow it, as in ``+memory|usage``."""
        return "+" + self.value.lower().replace(" ", "|")


#: Commands after which other keys are there: they remove a whole database, put another in its place, load one (DEBUG RELOAD), or
#: follow another server. As INFO commandstats writes them.
EXCHANGING: Final = ("flushall", "flushdb", "swapdb", "debug", "replicaof", "slaveof")

REQUIRED_COMMANDS = (Command.SCAN, Command.PTTL, Command.DBSIZE, Command.INFO)
FIELD_COMMANDS = (Command.HTTL, Command.HLEN, Command.HRANDFIELD, Command.CLIENT_NO_TOUCH)
"""What it takes to ask for the TTLs of a hash's fields."""


@document_part
@dataclass(frozen=True, slots=True)
class DatabaseCounts:
    """The server's own account of one database: keys in all, keys with a TTL, and their mean remaining time where it
    is kept; ``field_ttl_keys`` are hashes that have fields with a TTL, None where the server doesn't count them.
    """

    db: int
    keys: int
    expires: int
    avg_ttl_ms: int | None = None
    field_ttl_keys: int | None = None

    @property
    def no_ttl_keys(self) -> int:
        """Keys without a TTL by this account."""
        return self.keys - self.expires


@document_part
@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One replica as its primary sees it; ``lag_bytes`` is how far its stream is behind, None when the server doesn't
    say.
    """

    address: str
    state: str
    lag_bytes: int | None = None


@document_part
@dataclass(frozen=True, slots=True)
class ServerProfile:
    """One server process as it was at one moment.

    ``address`` is "host:port"; ``run_id`` names the process and is empty where the server hides it;
    ``memory_limit_bytes`` is None when the server has no limit or doesn't tell (`limit_is_told`); ``databases`` holds those with
    keys only. ``lineage`` and ``former_lineage`` are the replication ids of the data set (INFO's ``master_replid`` and
    ``master_replid2``), which a replica has in common with its primary and keeps when it takes over; empty where the
    server hides them or has none. ``frees_expired_lazily`` says whether the value of a key that expires is freed in the
    background (``lazyfree-lazy-expire``), None where that can't be asked; if not, the server answers nobody meanwhile.
    ``forbidden_databases`` hold keys and may not be read by this user; known where every database was asked for.
    ``exchanges`` is how often each command that exchanges the data set (FLUSHALL, SWAPDB, REPLICAOF ...) was called so far, None
    where the server doesn't count; ``last_load`` changes when the process loads a data set from a file or a primary, and is empty
    where it isn't told. ``time_s`` is the server's clock, in seconds since 1970. ``untold`` are the fields of
    INFO that it leaves out of those that this is made of; ``keyspace`` is among them where it says of no database how many keys that
    has, though there are some.
    """

    address: str
    flavour: Flavour
    version: str
    run_id: str
    cluster_enabled: bool
    role: Role
    used_memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    eviction_policy: str | None = None
    evicted_keys: int | None = None
    expired_keys: int | None = None
    uptime_s: int | None = None
    cpu_s: float | None = None
    primary_address: str | None = None
    databases: tuple[DatabaseCounts, ...] = ()
    replicas: tuple[ReplicaState, ...] = ()
    frees_expired_lazily: bool | None = None
    lineage: str = ""
    former_lineage: str = ""
    forbidden_databases: tuple[int, ...] = ()
    exchanges: Mapping[str, int] | None = None
    last_load: str = ""
    untold: tuple[str, ...] = ()
    time_s: float | None = None
    can: Mapping[Command, Access] = field(default_factory=dict)

    @property
    def version_tuple(self) -> tuple[int, ...]:
        """The version as numbers, for comparison; a part that isn't a number counts as 0."""
        return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in self.version.split(".")[:3])

    @property
    def limit_is_told(self) -> bool:
        """Whether the server says what it may use; one that has no limit does."""
        return "maxmemory" not in self.untold

    @property
    def keyspace_is_told(self) -> bool:
        """Whether the server says how many keys its databases have."""
        return KEYSPACE not in self.untold

    def memory(self, policy_limit_bytes: int | None = None) -> NodeMemory:
        """Its memory; ``policy_limit_bytes`` is what a server may use that has no maxmemory, or doesn't tell it."""
        limit = self.memory_limit_bytes or policy_limit_bytes
        return NodeMemory(self.address, self.used_memory_bytes, limit, self.limit_is_told or limit is not None)

    @property
    def memory_ratio(self) -> float | None:
        """Used memory as a share of the limit; None where either is unknown or there is no limit."""
        if self.used_memory_bytes is None or self.memory_limit_bytes is None:
            return None
        return self.used_memory_bytes / self.memory_limit_bytes

    @property
    def evicts_by_frequency(self) -> bool:
        """Whether keys carry an access counter (an LFU policy) instead of an idle time; each is an error, or
        nonsense, under the other policy.
        """
        return self.eviction_policy is not None and "lfu" in self.eviction_policy

    @property
    def tells_last_use(self) -> bool:
        """Whether OBJECT IDLETIME tells when a key was used last. Under the LRM policies of Redis 8.6 it tells the last write; where
        such a server hides its policy, nobody knows which.
        """
        if self.eviction_policy is not None:
            return "lrm" not in self.eviction_policy
        knows_lrm = self.flavour is Flavour.REDIS and self.version_tuple >= (8, 6)
        return not (knows_lrm or self.flavour is Flavour.UNKNOWN)

    @property
    def knows_expire_nx(self) -> bool:
        """Whether EXPIRE takes NX, by what the program and its version are known to do."""
        if self.flavour is Flavour.REDIS:
            return self.version_tuple >= (7,)
        return self.flavour is Flavour.VALKEY

    @property
    def knows_field_ttls(self) -> bool:
        """Whether single fields of a hash can have a TTL (HEXPIRE), by what the program and its version are known to do."""
        least = {Flavour.REDIS: (7, 4), Flavour.VALKEY: (9,)}.get(self.flavour)
        return least is not None and self.version_tuple >= least

    @property
    def may_ask_fields(self) -> bool:
        """Whether this user may ask for the TTLs of a hash's fields, without that counting as a use of the key."""
        return all(self.allows(command) for command in FIELD_COMMANDS)

    def allows(self, command: Command) -> bool:
        """Whether this user may send that command to this server."""
        return self.can.get(command) is Access.ALLOWED

    def counts_of(self, db: int) -> DatabaseCounts:
        """The account of one database; all zero where the server lists none, as it does for an empty one."""
        return next((counts for counts in self.databases if counts.db == db), DatabaseCounts(db, 0, 0))


def exchanging_calls(before: Mapping[str, int] | None, now: Mapping[str, int] | None) -> dict[str, int]:
    """How often each of :data:`EXCHANGING` was called between two looks at the calls so far; nothing where that isn't told."""
    if before is None or now is None:
        return {}
    found = {}
    for name in EXCHANGING:
        then, calls = before.get(name, 0), now.get(name, 0)
        # A counter that has fallen was reset meanwhile, and counts from 0.
        if since := calls - then if calls >= then else calls:
            found[name] = since
    return found


def exchanges_text(calls: Mapping[str, int]) -> str:
    """Those calls in words."""
    return ", ".join(
        f"{name.upper()} was called" + (f" {count} times" if count > 1 else "") for name, count in calls.items()
    )
