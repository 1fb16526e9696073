"""One complete scan of a keyspace: what it set out to do, what each shard saved on the way, and what came of it.

The three documents of an audit in the order in which they are written: :class:`AuditPlan`, one :class:`Checkpoint`
after the other for each shard, :class:`Audit`. All are plain data with a schema name; where they live is the store's
business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from redis_ttl.domain.audit.estimate import add_estimates
from redis_ttl.domain.audit.node_memory import NodesMemory
from redis_ttl.domain.audit.server import ServerProfile
from redis_ttl.domain.audit.shards import Shard
from redis_ttl.domain.codec import Form, Hex64, document, document_part, from_plain, to_plain
from redis_ttl.domain.schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis_ttl.domain.audit.estimate import Estimate
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics
    from redis_ttl.domain.policy.policy import Rule

AUDIT_PLAN_SCHEMA: Final = "redis_ttl.audit_plan/3"
CHECKPOINT_SCHEMA: Final = "redis_ttl.checkpoint/1"
AUDIT_SCHEMA: Final = "redis_ttl.audit/2"

#: The share of sample keys that may be there yet unseen before a scan counts as incomplete. Losing one shard of 16
#: leaves 5% unseen; a key that was deleted and written again while the scan passed looks unseen too, and is no loss.
UNSEEN_TOLERATED: Final = 0.005


def _databases(data: Any) -> Literal["all"] | tuple[int, ...]:
    return "all" if data == "all" else tuple(map(int, data))


#: Every database, or the numbers of some.
Databases = Annotated[
    Literal["all"] | tuple[int, ...], Form(lambda chosen: chosen if chosen == "all" else list(chosen), _databases)
]


@document_part
@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What the operator may choose for one audit.

    ``load`` in the words of :func:`redis_ttl.domain.policy.load.parse_load`; ``shards`` per database and node (``None``: as
    fits); ``sample_percent`` of keys are asked for type, size and FREQ; ``databases`` is ``"all"`` or the numbers;
    ``parallel`` shards are scanned at a time.
    """

    load: str = "gentle"
    shards: int | None = None
    sample_percent: float = 1.0
    source: Literal["primary", "replica"] = "primary"
    databases: Databases = (0,)
    parallel: int = 1


@document_part
@dataclass(frozen=True, slots=True)
class Split:
    """How one database of one node is scanned, and why so."""

    node: str
    db: int
    keys: int
    rule: str
    shards: int
    why: str


@document_part
@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule of the policy as it was when the audit began."""

    pattern: str
    ttl_s: int
    mode: str
    priority: str
    signed_off: bool
    longest_ttl_s: int | None = None
    """What its keys' TTLs were held against; None in audits of an older version."""

    @classmethod
    def of(cls, rule: Rule) -> RuleInForce:
        """What an audit keeps of a rule."""
        return cls(
            rule.pattern.text,
            rule.ttl_s,
            rule.mode.value,
            rule.priority.value,
            rule.sign_off is not None,
            rule.longest_ttl_s,
        )


@document(AUDIT_PLAN_SCHEMA)
@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What an audit set out to scan; every task of its run reads the same one.

    ``seed`` is what the fingerprints of its keys are hashed with: a secret of the cluster, so that nobody who chooses names can
    give two of them one fingerprint. Audits of version 0.1 had none, which is 0. While a baseline of that version holds, audits go
    on without one, and hash each key with ``next_seed`` as well: what somebody accepts is kept under that.
    """

    audit_id: str
    cluster: str
    started_at: str
    options: AuditOptions
    policy_hash: str | None
    servers: tuple[ServerProfile, ...]
    splits: tuple[Split, ...]
    shards: tuple[Shard, ...]
    rules: tuple[RuleInForce, ...] = ()
    exemptions: tuple[str, ...] | None = None
    """The patterns of the policy's exemptions in their order; None in audits of an older version."""
    topology: str | None = None
    warnings: tuple[str, ...] = ()
    seed: Hex64 = 0
    next_seed: Hex64 | None = None


@document(CHECKPOINT_SCHEMA)
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one shard has come: everything below ``cursor`` is counted in this increment or in an earlier one of its
    generation.

    A generation is one scan of the shard by one server process; a new one starts from nothing. Increments of a
    generation are disjoint stretches of the scan, so they add up.
    """

    shard: int
    generation: int
    number: int
    run_id: str
    cursor: int
    done: bool
    keys: int
    no_ttl_keys: int
    vanished: int
    patterns: str
    fingerprints: str
    seen_samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completeness:
    """What became of keys that were drawn at random before the scan: all must have been met, or be gone.

    ``doubts`` say why keys may be of more than one data set, ``left_out`` which databases weren't read though all were asked for.
    """

    samples: int
    unseen: int
    scanned_again: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything was read that was to be read, of one data set, as far as can be told."""
        return not (self.doubts or self.left_out or self.unseen)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the verdict."""
        listed = {name: list(getattr(self, name)) for name in ("scanned_again", "doubts", "left_out")}
        return {"samples": self.samples, "unseen": self.unseen, "is_whole": self.is_whole, **listed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Completeness:
        """What :meth:`to_json` wrote; version 1 knew neither doubts nor what was left out."""
        listed = {name: tuple(data.get(name, ())) for name in ("scanned_again", "doubts", "left_out")}
        return cls(data["samples"], data["unseen"], **listed)


@document_part
@dataclass(frozen=True, slots=True)
class KeyspaceCount:
    """Keys and keys with a TTL of one database, summed over the nodes, as INFO keyspace counts them.

    ``field_ttl_keys`` are hashes that have fields with a TTL, whether or not the key has one; None where a node doesn't count them.
    """

    db: int
    keys: int
    expires: int
    field_ttl_keys: int | None = None

    @property
    def no_ttl_keys(self) -> int:
        """Keys without TTL, as the server's own counters have it."""
        return self.keys - self.expires


@dataclass(frozen=True, slots=True)
class RuleKeeping:
    """How well a rule is kept: the keys that it governs, those without TTL, and those with a longer TTL than it allows."""

    keys: int
    no_ttl_keys: int
    over_rule_keys: int

    @classmethod
    def of(cls, rows: Iterable[PatternStatistics]) -> RuleKeeping:
        """The sums over the patterns that one rule governs."""
        sums = [(row.keys, row.no_ttl_keys, row.over_rule_keys) for row in rows]
        return cls(*(sum(column) for column in zip(*sums, strict=True))) if sums else cls(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of one complete scan: the server, the totals, and a row for each pattern."""

    plan: AuditPlan
    finished_at: str
    duration_s: float
    keys: int
    no_ttl_keys: int
    vanished: int
    keyspace_before: tuple[KeyspaceCount, ...]
    keyspace_after: tuple[KeyspaceCount, ...]
    completeness: Completeness
    patterns: tuple[PatternStatistics, ...]
    patterns_document: str = ""
    fingerprints: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def no_ttl_ratio(self) -> float:
        """The share of keys without TTL, 0 to 1."""
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    def memory(self, memory_limit_bytes: int | None = None) -> NodesMemory:
        """Memory of the nodes at the start of the scan; one without maxmemory may use what the policy says (``memory.limit``)."""
        return NodesMemory(tuple(server.memory(memory_limit_bytes) for server in self.plan.servers))

    @property
    def ending_keys(self) -> int | None:
        """About how many of the keys without TTL end by themselves, hashes whose every field has one; None where that isn't known of
        any pattern, or where none is known and some hashes couldn't be asked.
        """
        known = [row.ending_keys for row in self.patterns if row.ending_keys is not None]
        is_in_doubt = not sum(known) and any(row.types.get("hash", 0) > row.fields.hashes for row in self.patterns)
        return None if is_in_doubt or (self.patterns and not known) else sum(known)

    @property
    def field_ttl_keys(self) -> int | None:
        """Hashes that have fields with a TTL, by the servers' own counts after the scan; None where one doesn't tell."""
        counts = [each.field_ttl_keys for each in self.keyspace_after]
        return None if None in counts else sum(each for each in counts if each is not None)

    @property
    def used_memory_bytes(self) -> int | None:
        """Memory in use on all nodes together, at the start of the scan; None where one doesn't tell."""
        return self.memory().used_bytes

    @property
    def maxmemory_bytes(self) -> int | None:
        """The nodes' limits together; None where one of them has none or doesn't tell."""
        return self.memory().limit_bytes

    @property
    def size_bytes(self) -> Estimate | None:
        """What the keys hold together, estimated; ``None`` when no size could be sampled."""
        sizes = [size for pattern in self.patterns if (size := pattern.size_bytes) is not None]
        return add_estimates(sizes) if sizes else None

    @property
    def counted_off(self) -> int | None:
        """By how many keys the scan's total differs from the nearer of the server's own counts, before and after; None where the
        server doesn't tell them.

        Zero when the total lies between the two: what changed during the scan explains it.
        """
        if not self.keyspace_before or not self.keyspace_after:
            return None
        before = sum(count.keys for count in self.keyspace_before)
        after = sum(count.keys for count in self.keyspace_after)
        low, high = min(before, after), max(before, after)
        return self.keys - high if self.keys > high else self.keys - low if self.keys < low else 0

    def by_rule(self) -> list[tuple[RuleInForce, RuleKeeping]]:
        """Each rule of the policy with the keys that it governs, in the policy's order; a rule may govern none."""
        governed: dict[str, list[PatternStatistics]] = {}
        for row in self.patterns:
            if row.rule is not None:
                governed.setdefault(row.rule, []).append(row)
        return [(rule, RuleKeeping.of(governed.get(rule.pattern, []))) for rule in self.plan.rules]

    def headline(self, memory_limit_bytes: int | None = None) -> dict[str, Any]:
        """The few figures that travel with an asset event, a metric or a task's result; None is one that nobody knows. A node
        without maxmemory may use what the policy says.
        """
        memory = self.memory(memory_limit_bytes)
        return {
            "cluster": self.plan.cluster,
            "audit_id": self.plan.audit_id,
            "keys": self.keys,
            "no_ttl_keys": self.no_ttl_keys,
            "no_ttl_ratio": round(self.no_ttl_ratio, 6),
            "ending_keys": self.ending_keys,
            "used_memory_bytes": memory.used_bytes,
            "maxmemory_bytes": self.maxmemory_bytes,
            "memory_ratio": None if memory.ratio is None else round(memory.ratio, 6),
            "fullest_node_ratio": None if memory.worst_ratio is None else round(memory.worst_ratio, 6),
            "patterns": len(self.patterns),
            "duration_s": round(self.duration_s, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """The whole audit as plain data; the patterns are in the parquet document beside it as well."""
        size = self.size_bytes
        return {
            "schema": AUDIT_SCHEMA,
            **self.headline(),
            "started_at": self.plan.started_at,
            "finished_at": self.finished_at,
            "options": to_plain(self.plan.options),
            "policy_hash": self.plan.policy_hash,
            "rules": [
                {
                    **to_plain(rule),
                    "keys": kept.keys,
                    "no_ttl_keys": kept.no_ttl_keys,
                    "over_rule_keys": kept.over_rule_keys,
                }
                for rule, kept in self.by_rule()
            ],
            "server": {**to_plain(self.plan.servers[0]), "nodes": [to_plain(server) for server in self.plan.servers]},
            "splits": [to_plain(split) for split in self.plan.splits],
            "shards": len(self.plan.shards),
            "vanished": self.vanished,
            "bytes": None if size is None else round(size.value),
            "bytes_low": None if size is None or size.low is None else round(size.low),
            "bytes_high": None if size is None or size.high is None else round(size.high),
            "keyspace_before": [to_plain(count) for count in self.keyspace_before],
            "keyspace_after": [to_plain(count) for count in self.keyspace_after],
            "field_ttl_keys": self.field_ttl_keys,
            "counted_off": self.counted_off,
            "completeness": self.completeness.to_json(),
            "warnings": list(self.warnings),
            "patterns_document": self.patterns_document,
            "fingerprints": list(self.fingerprints),
            "patterns": [pattern.to_json() for pattern in self.patterns],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], plan: AuditPlan, patterns: Iterable[PatternStatistics]) -> Audit:
        """The audit that :meth:`to_json` wrote, with its plan and the rows of its patterns document."""
        check_schema(data, AUDIT_SCHEMA)
        return cls(
            plan=plan,
            finished_at=data["finished_at"],
            duration_s=data["duration_s"],
            keys=data["keys"],
            no_ttl_keys=data["no_ttl_keys"],
            vanished=data["vanished"],
            keyspace_before=tuple(from_plain(KeyspaceCount, count) for count in data["keyspace_before"]),
            keyspace_after=tuple(from_plain(KeyspaceCount, count) for count in data["keyspace_after"]),
            completeness=Completeness.from_json(data["completeness"]),
            patterns=tuple(patterns),
            patterns_document=data["patterns_document"],
            fingerprints=tuple(data["fingerprints"]),
            warnings=tuple(data.get("warnings", ())),
        )


def fingerprints_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The documents of fingerprints that an audit's document names, for whoever needs no more of it."""
    check_schema(data, AUDIT_SCHEMA)
    return tuple(map(str, data["fingerprints"]))
