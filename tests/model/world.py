"""A small world for the model check of the write path: a real cluster, an application that does as it likes, a store that fails,
plans that are approved and withdrawn, and the truth about every key.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.servers.cluster import Cluster
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import NotApproved
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import GuardSettings
from redis_ttl.domain.remediation.approval import Approval
from redis_ttl.domain.remediation.control import OperatorCommand
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.model.faulty_store import Faults, FaultyStore, Killed

TAGS: Final = tuple(f"{{t{number}}}" for number in range(5))
#: Two rules that a plan writes, one that nobody has signed off, an exemption, and keys that nothing governs.
FAMILIES: Final = ("a", "c", "u", "keep", "other")
SET_TTL_S: Final = 60 * DAY_S
CAP_TTL_S: Final = 30 * DAY_S
#: A slot that is moved by MIGRATE takes its expiries along as remaining time: they arrive a moment later.
MOVED_WITHIN_MS: Final = 1_000
LIMIT_KEYS: Final = 25
#: A test that spoils an object leaves so much of it.
_SPOILT_BYTES: Final = 8
CALM: Final = GuardSettings(latency_factor=1e9, expire_cap_hits_per_s=1e9, evicted_keys_per_s=1e9, patience_s=1)


class Clock:
    """The program's clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> dt.datetime:
        """The time of day (UTC)."""
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        """Real seconds go by."""
        time.sleep(seconds)


class Operator:
    """Asks for what a test planned, one command a look, with what happens at that look; then nothing any more."""

    def __init__(self) -> None:
        self.planned: list[tuple[OperatorCommand, Callable[[], None] | None]] = []

    def read(self) -> OperatorCommand:
        """The command of this look."""
        if not self.planned:
            return OperatorCommand()
        command, happens = self.planned.pop(0)
        if happens is not None:
            happens()
        return command


@dataclass
class ModelRun(Applying):
    """One plan of the world."""

    faults: Faults = field(default_factory=Faults)
    clock: Clock = field(default_factory=Clock)
    operator: Operator = field(default_factory=Operator)
    approved: bool = False
    was_approved: bool = True
    lost_objects: int = 0

    @property
    def documents(self) -> PlanDocuments:
        """The plan's documents, in the store that fails."""
        return PlanDocuments(FaultyStore(self.store, self.faults), "test", self.plan.plan_id)

    def approve(self) -> Approval:
        """The approval in force."""
        if self.faults.dead:
            raise Killed
        if not self.approved:
            raise NotApproved("not approved: withdrawn", where=self.plan.plan_id)
        return self.approval

    def tools(self, **other: Any) -> Any:
        """What applying needs, in this world."""
        return replace(super().tools(), approve=self.approve, clock=self.clock, control=self.operator, **other)

    def can_be_instant(self, key: bytes, expires_ms: int, number: int) -> bool:
        """Whether the plan may set this expiry on this key under that rule."""
        planned = self.plan.rules[number]
        first = self.first_instant_ms(key, number)
        steps, off = divmod(expires_ms - first + MOVED_WITHIN_MS, ANCHOR_STEP_MS)
        return 0 <= steps <= 24 * 4 + 2 and off <= 2 * MOVED_WITHIN_MS and not planned.refusal

    def first_instant_ms(self, key: bytes, number: int) -> int:
        """The plan's instant of the key if TTLs counted from the approval."""
        return self._instant_ms(key, number, self.approved_at_ms)


class World:
    """The cluster, the application's truth about its keys, and the plans."""

    def __init__(self, cluster: Cluster, root: Path, owner: dict[str, int]) -> None:
        self.cluster = cluster
        self.root = root
        # redis-py doesn't type the commands that it has no function for.
        self.nodes: list[Any] = [server.client() for server in cluster.primaries]
        self.ids = [node.execute_command("CLUSTER", "MYID") for node in self.nodes]
        self.slots = {tag: key_slot(f"a:{tag}1".encode()) for tag in TAGS}
        # Which node has the slot of a tag: what the world before left, since a node's own view may lag behind.
        self.owner = owner
        if not owner:
            owner.update({tag: self._owner_of(slot) for tag, slot in self.slots.items()})
        self.open: tuple[str, int] | None = None
        self.app: Any = cluster.client()
        self.base: dict[bytes, int | None] = {}
        self.runs: list[ModelRun] = []
        self._rows: dict[Path, list[tuple[bytes, int | None, int | None]]] = {}
        self.policies = [
            policy_of(
                rule("a:{x}", ttl_s=SET_TTL_S),
                rule("c:{x}", ttl_s=cap_s, mode=Mode.CAP),
                rule("u:{x}", sign_off=None),
                exempt=["a:keep-{x}"],
                canary_keys=2,
                guards=CALM,
            )
            for cap_s in (CAP_TTL_S, 10 * DAY_S)
        ]

    # --- the application ---

    def key(self, family: str, number: int) -> bytes:
        """The name of a key."""
        tag = TAGS[number % len(TAGS)]
        prefix = {"keep": "a:keep-", "other": "other:"}.get(family, f"{family}:")
        return f"{prefix}{tag}{number}".encode()

    def write(self, key: bytes, ttl_s: int | None) -> None:
        """The application writes a key anew."""
        self.app.set(key, b"x", ex=ttl_s)
        self._hear(key)

    def delete(self, key: bytes) -> None:
        """The application deletes a key."""
        self.app.delete(key)
        self.base.pop(key, None)

    def expire(self, key: bytes, ttl_s: int | None) -> None:
        """The application gives a key another TTL, or none."""
        if ttl_s is None:
            self.app.persist(key)
        else:
            self.app.expire(key, ttl_s)
        self._hear(key)

    def _hear(self, key: bytes) -> None:
        found = int(self.app.execute_command("PEXPIRETIME", key))
        if found == -2:
            self.base.pop(key, None)
        else:
            self.base[key] = None if found == -1 else found

    # --- the cluster ---

    def begin_move(self, tag: str, to: int) -> None:
        """Open a slot for moving."""
        slot, source = self.slots[tag], self.owner[tag]
        if self.open is not None or to == source:
            return
        self.nodes[to].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.nodes[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[to])
        self.open = tag, to

    def move_keys(self, most: int) -> None:
        """Move some keys of the open slot."""
        if self.open is None:
            return
        tag, to = self.open
        slot, source = self.slots[tag], self.nodes[self.owner[tag]]
        keys = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, most)
        if keys:
            server = self.cluster.primaries[to]
            source.execute_command("MIGRATE", server.host, server.port, "", 0, 5000, "KEYS", *keys)

    def finish_move(self) -> None:
        """Move what is left, and close the slot."""
        if self.open is None:
            return
        tag, to = self.open
        self.move_keys(10_000)
        slot = self.slots[tag]
        for number in (to, self.owner[tag], *(n for n in range(len(self.nodes)) if n not in (to, self.owner[tag]))):
            self.nodes[number].execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.ids[to])
        self.owner[tag] = to
        self.open = None

    def put_slots_back(self) -> None:
        """Give each slot, which must be empty, to the node that every world begins with; as a move, so that no node doubts it."""
        for place, tag in enumerate(TAGS):
            self.begin_move(tag, place % len(self.nodes))
            self.finish_move()

    def _owner_of(self, slot: int) -> int:
        for number, node in enumerate(self.nodes):
            for first, last, primary, *_ in node.execute_command("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return self.ids.index(primary[2])
            del number
        raise AssertionError(slot)

    # --- the truth ---

    def expiries(self) -> dict[bytes, int | None]:
        """Every key of the cluster, and when it expires."""
        found: dict[bytes, int | None] = {}
        for node in self.nodes:
            with node.pipeline(transaction=False) as asking:
                for slot in self.slots.values():
                    asking.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
                keys = [key for part in asking.execute() for key in part]
            with node.pipeline(transaction=False) as asking:
                for key in keys:
                    asking.execute_command("ASKING")
                    asking.execute_command("PEXPIRETIME", key)
                for key, answer in zip(keys, asking.execute()[1::2], strict=True):
                    found[key] = None if answer == -1 else int(answer)
        return found

    def journal(self, run: ModelRun) -> Iterator[tuple[bytes, int | None, int | None]]:
        """All rows of a plan's journal: key, old expiry, ours. Objects that a test spoilt are passed over."""
        folder = run.store / "test" / "journals" / run.plan.plan_id
        for file in sorted(folder.glob("*_*")) if folder.is_dir() else ():
            if "rollback" not in file.name and file.stat().st_size > _SPOILT_BYTES:
                if file not in self._rows:  # an object is written once
                    rows = journal_rows(file.read_bytes()).select("key", "was_ms", "set_ms")
                    self._rows[file] = list(rows.iter_rows())
                yield from self._rows[file]

    def close(self) -> None:
        """Close the connections."""
        for node in self.nodes:
            node.close()
        self.app.close()
