"""What a remediation would do, as one document that people read, approve and hold the writer to.

A plan is made of one audit and the policy of that moment (:mod:`redis_ttl.domain.plan.planning`). Its digest covers every
word of it, so an approval of the digest is an approval of exactly this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from redis_ttl.domain.audit.shards import Shard
from redis_ttl.domain.codec import Form, document, document_part, from_plain, to_plain
from redis_ttl.domain.plan.caution import Caution
from redis_ttl.domain.plan.other_plans import OtherPlan
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Cold, SignOff
from redis_ttl.domain.schema import check_schema

#: 2 added ``requested_by``, ``others``, ``cautions`` (of rules, too), and of the forecast ``late_s``, ``others_per_s`` and
#: ``limit_is_policys``, ``limit_is_told`` and ``fullest``. 3 added the cautions about TTLs of hashes' fields. 4 added mode ``extend`` and
#: ``extend_keys``, and is said by plans that have such a rule: others are those of version 3, to the byte.
PLAN_SCHEMA: Final = "redis_ttl.plan/4"
_WITHOUT_EXTEND: Final = "redis_ttl.plan/3"


@document_part
@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A server whose keys the plan is about, in a way that survives a restart and a failover, and nothing else.

    ``lineage`` is the replication id (INFO's ``master_replid``). A replica that takes over keeps it as its
    ``master_replid2``, as does a server that restarts from its own RDB file: the data set is the same one. Empty where
    the server hides it; then ``run_id`` must be equal.
    """

    address: str
    run_id: str
    lineage: str

    def is_continued_by(self, *, run_id: str, lineage: str, former_lineage: str) -> bool:
        """Whether a server that says this of itself holds the data set that the plan is about."""
        if self.lineage:
            return self.lineage in (lineage, former_lineage)
        return bool(self.run_id) and self.run_id == run_id


@document_part
@dataclass(frozen=True, slots=True)
class Skipped:
    """Keys of a rule's pattern that the plan leaves alone, and why."""

    why: str
    keys: int


@document_part
@dataclass(frozen=True, slots=True)
class PlannedDatabase:
    """How many of a rule's keys one database has, by what is done to them; an action without keys isn't named."""

    db: int
    changes: Mapping[Action, int]

    @property
    def first_ttls(self) -> int:
        """How many of them have no TTL, so that each takes the memory of one."""
        return sum(keys for action, keys in self.changes.items() if not action.spec.replaces_expiry)


@document_part
@dataclass(frozen=True, slots=True)
class PlannedRule:
    """What would become of one rule's keys.

    ``number`` is the rule's place in the policy, from 0. ``refusal`` says why the plan leaves the rule out (no sign-off,
    or not chosen); then nothing of it is written. ``changes`` says how many keys the plan does what
    to; an action without keys isn't named. Every one of them expires between ``ttl_s`` and ``ttl_s + window_s`` seconds
    after an anchor that follows the moment of writing (:mod:`redis_ttl.domain.plan.expiry`). ``limit_keys`` is what the writer
    may change at most: the planned keys and the policy's tolerance.
    ``warnings`` are sentences, and ``cautions`` the figures of the same.
    ``size_bytes``, what the keys hold that don't end by themselves anyway, and its 95% interval are estimated from the audit's
    sample; None without one. ``hot_ratio`` is the share of
    the sampled keys that are in use; None where that can't be told.
    """

    number: int
    pattern: str
    mode: Mode
    ttl_s: int
    window_s: int
    priority: str
    changes: Mapping[Action, int]
    limit_keys: int
    refusal: str | None = None
    sign_off: SignOff | None = None
    cold: Cold | None = None
    skipped: tuple[Skipped, ...] = ()
    size_bytes: int | None = None
    size_low_bytes: int | None = None
    size_high_bytes: int | None = None
    examples: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()
    hot_ratio: float | None = None
    databases: tuple[PlainDatabase, ...] = ()

    @property
    def change_keys(self) -> int:
        """How many keys would get an expiry."""
        return 0 if self.refusal else self.concerned_keys

    @property
    def concerned_keys(self) -> int:
        """The same, whether the plan takes the rule or leaves it out."""
        return sum(self.changes.values())


@document_part
@dataclass(frozen=True, slots=True)
class Forecast:
    """Memory and expiries to come, for all nodes together. Bytes; ``None`` where a server doesn't tell or has no limit.

    ``limit_bytes`` is maxmemory, or where a server has none the policy's ``memory.limit`` (``limit_is_policys``);
    ``limit_is_told`` says whether every server tells what it has.
    ``peak_bytes`` is ``used_bytes``, the TTLs' own memory and, where this run makes a server's table of expiries
    double, that; ``after_bytes`` is the level when the last key of the plan has gone. ``peak_ratio`` is the peak of the
    fullest server (``fullest``, where there are several) as a share of its limit, and ``allowed_ratio`` what it may come to.

    ``expiries_per_s`` is the worst second, with the keys of other plans that expire then; ``others_per_s`` is the worst
    second of those alone. No key expires earlier than ``first_expiry_s`` after the approval, and none later than
    ``last_expiry_s``, which has ``late_s`` in it: so much later than the approval the last keys may be written, and their
    TTLs counted from.
    """

    used_bytes: int | None
    limit_bytes: int | None
    ttl_bytes: int
    table_bytes: int
    after_bytes: int | None
    expiries_per_s: float
    first_expiry_s: int | None
    last_expiry_s: int | None
    peak_ratio: float | None = None
    allowed_ratio: float | None = None
    late_s: int = 0
    others_per_s: float = 0.0
    limit_is_policys: bool = False
    limit_is_told: bool = True
    fullest: str | None = None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory in use while keys are given their TTLs; None where what is in use now isn't known."""
        return None if self.used_bytes is None else self.used_bytes + self.ttl_bytes + self.table_bytes


@document(None, without={"schema", "unsaid"})
@dataclass(frozen=True, slots=True)
class Plan:
    """One remediation that was thought through, for one run of one DAG.

    ``run`` names the DAG run that it was made in: another run can't use it. ``nodes`` are in the order of the audit's
    servers, ``shards`` the parts in which the keyspace will be read, with the addresses of ``nodes``. ``limit_keys`` is what
    the run may change at most, over all rules; None in plans that say nothing of it. ``requested_by`` is the Airflow user
    who triggered the run, None where that isn't known. ``others`` are the cluster's other plans whose keys have still to
    expire. ``schema`` is the document's own, and ``unsaid`` names what a document of
    an older version doesn't have (``rules.hot_ratio``): neither counts in its digest, which stays what was approved.
    """

    plan_id: str
    cluster: str
    run: str
    created_at: str
    audit_id: str
    audit_finished_at: str
    policy_hash: str
    keys: int
    no_ttl_keys: int
    nodes: tuple[NodeIdentity, ...]
    shards: tuple[Shard, ...]
    rules: tuple[PlainRule, ...]
    forecast: Forecast
    rate: str
    load: str
    canary_watch_s: int = 600
    eviction_policy: str | None = None
    warnings: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()
    exempt: tuple[Skipped, ...] = ()
    ungoverned_keys: int = 0
    limit_keys: int | None = None
    requested_by: str | None = None
    others: tuple[OtherPlan, ...] = ()
    schema: str = PLAN_SCHEMA
    unsaid: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """A plan made today says the first version that has all of it."""
        if self.schema in (PLAN_SCHEMA, _WITHOUT_EXTEND):
            used = {action for rule in self.rules for action in rule.mode.actions}
            object.__setattr__(self, "schema", _WITHOUT_EXTEND if used <= _ALWAYS_SAID else PLAN_SCHEMA)

    @property
    def change_keys(self) -> int:
        """How many keys would get an expiry, over all rules."""
        return sum(rule.change_keys for rule in self.rules)

    @property
    def included(self) -> tuple[PlannedRule, ...]:
        """The rules that something would be written for."""
        return tuple(rule for rule in self.rules if rule.refusal is None)

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of the plan's canonical JSON: keys sorted, no spaces, UTF-8."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data, with its digest."""
        return {**self.content(), "digest": self.digest}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote, in this version or an older one. Its digest is computed anew: one in ``data``
        is not believed. Raises :class:`NewerDocument`.
        """
        version = check_schema(data, PLAN_SCHEMA)
        plan = from_plain(cls, {name: value for name, value in data.items() if name not in ("schema", "digest")})
        plan = replace(plan, schema=f"{PLAN_SCHEMA.rpartition('/')[0]}/{version}")
        return replace(plan, unsaid=frozenset(_missing(plan.content(), data)))

    def content(self) -> dict[str, Any]:
        """What the digest covers: all that the document says."""
        # Words and figures first, then what has parts: so it was always written.
        plain = sorted(to_plain(self).items(), key=lambda each: isinstance(each[1], list | dict))
        said = {"schema": self.schema, **dict(plain)}
        for path in self.unsaid:
            _forget(said, path.split("."))
        return said


def _missing(content: Any, data: Any, path: str = "") -> set[str]:
    """The names, with dots between the levels, that are in ``content`` and not in ``data``."""
    if isinstance(content, list) and isinstance(data, list):
        return {name for ours, theirs in zip(content, data, strict=False) for name in _missing(ours, theirs, path)}
    if not isinstance(content, dict) or not isinstance(data, dict):
        return set()
    found = {f"{path}{name}" for name in content if name not in data}
    return found.union(*(_missing(content[name], data[name], f"{path}{name}.") for name in content if name in data))


def _forget(content: Any, path: list[str]) -> None:
    """Leave out what is at that path, in every element of a list on the way."""
    if isinstance(content, list):
        for each in content:
            _forget(each, path)
    elif isinstance(content, dict):
        if len(path) == 1:
            content.pop(path[0], None)
        else:
            _forget(content.get(path[0]), path[1:])


def _in_document(plain: Mapping[str, Any]) -> dict[str, Any]:
    """With the changes as documents say them: ``set_keys`` and ``cap_keys``, which all versions have, and others as they occur."""
    changes = plain["changes"]
    counts = {
        _field_of(action): changes.get(action.value, 0)
        for action in Action
        if action in _ALWAYS_SAID or changes.get(action.value)
    }
    said: dict[str, Any] = {}
    for name, value in plain.items():
        said |= counts if name == "changes" else {name: value}
    return said


def _from_document(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields again; the inverse of `_in_document`."""
    said = [action for action in Action if action in _ALWAYS_SAID or _field_of(action) in data]
    rest = {name: value for name, value in data.items() if name not in map(_field_of, said)}
    return rest | {"changes": {action: keys for action in said if (keys := data[_field_of(action)])}}


def _field_of(action: Action) -> str:
    return f"{action.value}_keys"


_ALWAYS_SAID: Final = frozenset[Action]({Action.SET, Action.CAP})


def _spread(kind: type[Any]) -> Form:
    return Form(lambda made: _in_document(to_plain(made)), lambda data: from_plain(kind, _from_document(data)))


#: As they stand in documents, with a figure for each action in the place of ``changes``.
PlainRule = Annotated[PlannedRule, _spread(PlannedRule)]
PlainDatabase = Annotated[PlannedDatabase, _spread(PlannedDatabase)]
