"""A server, its reader and a tally that do what a test tells them: for moments that no real server can be brought to.

They mirror ``adapters.server.node``, ``redis_reader`` and ``tally`` as ``usecases.ports`` describes them; that a scan works with the
real ones is what ``test_audit`` shows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import AuditOptions, AuditPlan, Split
from redis_ttl.domain.audit.server import DatabaseCounts, Flavour, Role, ServerProfile
from redis_ttl.domain.audit.shards import Shard, SlotClaims, SplitRule
from redis_ttl.domain.errors import MissingPermission
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.usecases.audit.scan_shard import ScanTools
from redis_ttl.usecases.store.audits import AuditFolder

NODE = "10.0.0.1:6379"
BEGAN = dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC)


@dataclass
class SetClock:
    """Time that goes on by a step each time somebody asks how long something took."""

    step_s: float = 0.0
    at_s: float = 100.0

    def now(self) -> dt.datetime:
        """The moment."""
        return BEGAN + dt.timedelta(seconds=self.at_s - 100)

    def monotonic(self) -> float:
        """The seconds."""
        self.at_s += self.step_s
        return self.at_s


@dataclass
class SomeKeys:
    """A batch: these keys, and the cursor after them."""

    frame: Sequence[bytes]
    next_cursor: int
    done: bool = False
    vanished: int = 0

    @property
    def keys(self) -> int:
        """How many there are."""
        return len(self.frame)


@dataclass
class KnownCounts:
    """What a tally counted."""

    keys: int
    no_ttl_keys: int
    patterns: bytes
    fingerprints: bytes


@dataclass
class ListTally:
    """Counts keys in lists, an increment each; every key whose name begins with "no" has no TTL."""

    counted_after: int = 0
    increments: list[list[bytes]] = field(default_factory=lambda: [[]])
    facts: list[str] = field(default_factory=list)
    wanted: list[bytes] = field(default_factory=list)
    looks: int = 0
    is_finished: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, frame: Any) -> None:
        """Count them, and want facts of the first."""
        self.is_finished = False
        self.increments[-1] += list(frame)
        self.wanted += frame[:1]

    def take_sample(self) -> list[bytes]:
        """The keys that facts are wanted of."""
        wanted, self.wanted = self.wanted, []
        return wanted

    def add_facts(self, answers: Iterable[Any]) -> None:
        """Remember them."""
        self.facts += list(answers)

    def close(self) -> None:
        """Begin the next increment."""
        self.increments.append([])

    @property
    def is_counted(self) -> bool:
        """After so many looks, it is."""
        self.looks += 1
        return self.looks > self.counted_after

    def finish_batches(self) -> None:
        """The last batch wants facts of one more key."""
        self.is_finished = True
        self.wanted.append(b"late")

    def drain(self) -> KnownCounts:
        """The first increment."""
        assert self.is_finished, "batches are still being counted"
        keys = self.increments.pop(0)
        no_ttl = [key for key in keys if key.startswith(b"no")]
        return KnownCounts(len(keys), len(no_ttl), b" ".join(keys), b" ".join(no_ttl))


@dataclass
class ScriptedReader:
    """Hands out batches, and the sample keys among them."""

    found: list[SomeKeys]
    samples: frozenset[bytes]
    cursors: list[int | None]
    asked: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    answered: int = 0

    def batches(self, cursor: int | None) -> Iterator[SomeKeys]:
        """Those after that cursor."""
        self.cursors.append(cursor)
        at = [each.next_cursor for each in self.found].index(cursor) + 1 if cursor is not None else 0
        for batch in self.found[at:]:
            self.seen += [key for key in batch.frame if key in self.samples]
            yield batch

    def ask(self, keys: Sequence[bytes]) -> None:
        """Remember what is asked."""
        self.asked += keys

    def answers(self) -> list[Any]:
        """Those to what was asked."""
        return self.all_answers()

    def all_answers(self) -> list[Any]:
        """All that was asked since."""
        answers = [f"facts of {key.decode()}" for key in self.asked[self.answered :]]
        self.answered = len(self.asked)
        return answers

    def seen_samples(self) -> list[bytes]:
        """Those met since the last call."""
        seen, self.seen = self.seen, []
        return seen


@dataclass
class ScriptedRedis:
    """One server, database by database.

    ``run_ids`` are what it answers one after the other, the last one for ever. A scan of the whole database meets ``keys``, too,
    unless they are ``hidden``. ``read`` remembers by which shards, shares and samples it was read.
    """

    batches: dict[int, list[SomeKeys]] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=lambda: ["a"])
    keys: set[bytes] = field(default_factory=set)
    random: list[bytes] = field(default_factory=list)
    profiles: dict[str, ServerProfile] = field(default_factory=dict)
    hidden: bool = False
    refused: str | None = None
    slots: Sequence[tuple[int, int]] = ((0, 16_383),)
    topologies: list[str | None] = field(default_factory=lambda: [None])
    claims: Mapping[str, SlotClaims] | None = field(default_factory=dict)
    read: list[tuple[Shard, int, list[bytes]]] = field(default_factory=list)
    cursors: list[int | None] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    address: str = NODE
    readers: list[ScriptedReader] = field(default_factory=list)

    def nodes(self, options: AuditOptions) -> list[str]:
        """The one."""
        del options
        return [NODE]

    def slots_of(self, address: str) -> Sequence[tuple[int, int]]:
        """Its slots."""
        del address
        return self.slots

    def topology(self) -> str | None:
        """The next one, the last one for ever."""
        return self.topologies.pop(0) if len(self.topologies) > 1 else self.topologies[0]

    def slot_claims(self) -> Mapping[str, SlotClaims]:
        """What the primaries say of their slots, unless they don't let us ask."""
        if self.claims is None:
            raise MissingPermission("may not ask for slots")
        return self.claims

    @contextmanager
    def connect(self, address: str, db: int) -> Iterator[ScriptedRedis]:
        """It is its own node."""
        self.connected.append((address, db))
        yield self

    def run_id(self) -> str:
        """The next one, the last one for ever."""
        return self.run_ids.pop(0) if len(self.run_ids) > 1 else self.run_ids[0]

    def profile(self) -> ServerProfile:
        """The profile of the node that was connected to last."""
        return self.profiles[self.connected[-1][0]]

    def split_refused(self, rule: SplitRule) -> str | None:
        """Why not."""
        del rule
        return self.refused

    def random_keys(self, count: int) -> list[bytes]:
        """Some of them."""
        return self.random[:count]

    def existing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those that are there."""
        return [key for key in keys if key in self.keys]

    def health(self) -> Reading:
        """Nobody asks here."""
        raise NotImplementedError

    def expiries(self) -> Any:
        """Nor for these."""
        raise NotImplementedError

    @contextmanager
    def reader(self, shard: Shard, *, load_share: int, samples: Iterable[bytes]) -> Iterator[ScriptedReader]:
        """A reader of that shard's batches; a shard that nobody scripted is the whole database."""
        wanted = list(samples)
        self.read.append((shard, load_share, wanted))
        every = [key for batches in self.batches.values() for batch in batches for key in batch.frame]
        whole = [SomeKeys(sorted({*every, *(() if self.hidden else self.keys)}), 0, done=True)]
        found = whole if shard.rule is SplitRule.SEQUENTIAL else self.batches[shard.number]
        self.readers.append(ScriptedReader(found, frozenset(wanted), self.cursors))
        yield self.readers[-1]


def profile_of(
    address: str = NODE, databases: Sequence[tuple[int, int, int]] = ((0, 0, 0),), **more: Any
) -> ServerProfile:
    """A Valkey with these databases: number, keys, keys with a TTL."""
    found = tuple(DatabaseCounts(db, keys, expires) for db, keys, expires in databases)
    known: dict[str, Any] = {"flavour": Flavour.VALKEY, "version": "9.0.0", "run_id": "a", "cluster_enabled": False}
    return ServerProfile(address=address, role=Role.PRIMARY, databases=found, **(known | more))


def shard_of(number: int = 0, of: int = 1, node: str = NODE, rule: SplitRule = SplitRule.BITS, db: int = 0) -> Shard:
    """One of the shards of that node's database."""
    return Shard(number, of, node, "planned", db, rule, number, number)


@dataclass
class Scanning:
    """An audit whose plan is ready, with everything that scanning it needs."""

    store: Path
    shards: tuple[Shard, ...]
    redis: ScriptedRedis = field(default_factory=ScriptedRedis)
    clock: SetClock = field(default_factory=SetClock)
    tally: ListTally = field(default_factory=ListTally)
    samples: dict[str, list[bytes]] = field(default_factory=dict)
    parallel: int = 8
    topology: str | None = None
    tallies: list[int] = field(default_factory=list)
    seeds: list[tuple[int, int | None]] = field(default_factory=list)
    heard: list[tuple[int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = dict.fromkeys(shard.node for shard in self.shards)
        servers = tuple(self.redis.profiles.setdefault(node, profile_of(node)) for node in nodes)
        places = dict.fromkeys((shard.node, shard.db, shard.of, shard.rule) for shard in self.shards)
        self.plan = AuditPlan(
            audit_id="audit-1",
            cluster="test",
            started_at=BEGAN.isoformat(),
            options=AuditOptions(parallel=self.parallel),
            policy_hash=None,
            seed=7,
            next_seed=9,
            servers=servers,
            splits=tuple(Split(node, db, 0, rule.value, of, "") for node, db, of, rule in places),
            shards=self.shards,
            topology=self.topology,
        )
        drawn = {
            (place.rpartition(" ")[0], int(place.rpartition(" ")[2])): keys for place, keys in self.samples.items()
        }
        self.folder.write_samples(drawn)
        self.folder.write_plan(self.plan)

    @property
    def folder(self) -> AuditFolder:
        """Its documents."""
        return AuditFolder(Store(self.store), "test", "audit-1")

    @property
    def tools(self) -> ScanTools:
        """What scanning needs; each shard has a tally of its own."""

        def new_tally(db: int, *, seed: int, next_seed: int | None) -> Any:
            self.tallies.append(db)
            self.seeds.append((seed, next_seed))
            self.tally = replace(self.tally, increments=[[]], facts=[], wanted=[], looks=0)
            return self.tally

        def hear(number: int, *, keys: int, ratio: float) -> None:
            self.heard.append((number, keys, ratio))

        return ScanTools(self.redis, new_tally, hear, self.clock)
