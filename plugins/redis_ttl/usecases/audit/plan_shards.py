"""Cuts the keyspace into shards, and draws the keys that will prove afterwards that none was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.audit import AuditPlan, RuleInForce, Split
from redis_ttl.domain.audit.shards import SplitRule, choose_rule, split
from redis_ttl.domain.errors import InvalidOption, MissingPermission
from redis_ttl.usecases.store.drift import new_seed, seed_of_next_audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit.audit import AuditOptions
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.usecases.audit.inspect_server import Inspection
    from redis_ttl.usecases.ports import Node, Redis
    from redis_ttl.usecases.store.audits import AuditFolder

#: Keys drawn at random from each database before its scan. Losing one shard of 16 leaves some 60 of them unseen.
SAMPLES: Final = 1_000

#: Without a wish for a number of shards: one shard up to this many keys, then one more power of two each time the keys
#: double.
_KEYS_PER_SHARD: Final = 250_000
_SHARDS_AT_MOST: Final = 16

#: Over all databases and nodes: Airflow maps a task at most 1,024 times unless told otherwise ([core] max_map_length).
_SHARDS_IN_ALL: Final = 1_000


def plan_shards(
    folder: AuditFolder,
    redis: Redis,
    inspection: Inspection,
    options: AuditOptions,
    *,
    audit_id: str,
    cluster: str,
    started_at: str,
    policy: Policy | None,
) -> AuditPlan:
    """Decide how each database of each node is split, write down the samples and the plan, and return that.

    A rule is chosen by flavour, version and mode, and the server's own answers may only withdraw it: then one
    sequential cursor scans.
    """
    shards: list[Shard] = []
    splits: list[Split] = []
    samples: dict[tuple[str, int], list[bytes]] = {}
    databases = [(server, db) for server in inspection.servers for db in _databases(server, options)]
    most = max(1, _SHARDS_IN_ALL // max(1, len(databases)))
    for server, db in databases:
        keys = server.counts_of(db).keys
        wanted = min(most, options.shards or _fitting(keys))
        with redis.connect(server.address, db) as node:
            rule, why, parts = _split(node, server, db, wanted, redis.slots_of(server.address))
            samples[server.address, db] = node.random_keys(SAMPLES)
        splits.append(Split(server.address, db, keys, rule.value, len(parts), why))
        shards += parts
    folder.write_samples(samples)
    plan = AuditPlan(
        audit_id=audit_id,
        cluster=cluster,
        started_at=started_at,
        options=options,
        policy_hash=None if policy is None else policy.hash,
        rules=() if policy is None else tuple(RuleInForce.of(rule) for rule in policy.rules),
        exemptions=() if policy is None else tuple(exemption.pattern.text for exemption in policy.exemptions),
        servers=inspection.servers,
        splits=tuple(splits),
        shards=tuple(shards),
        topology=redis.topology(),
        warnings=(*inspection.warnings, *_slot_warnings(redis)),
        seed=(seed := seed_of_next_audit(folder.documents, cluster)),
        next_seed=None if seed else new_seed(),
    )
    folder.write_plan(plan)
    return plan


def _slot_warnings(redis: Redis) -> list[str]:
    try:
        moving = {slot for claims in redis.slot_claims().values() for slot in claims.moving}
    except MissingPermission:
        return ["whether slots are moving between nodes can't be seen: the user lacks +cluster|nodes"]
    if not moving:
        return []
    return [
        f"{len(moving)} slots were moving between nodes when the scan began: their keys may be counted twice or not at all"
    ]


def _databases(server: ServerProfile, options: AuditOptions) -> list[int]:
    if options.databases != "all":
        return list(options.databases)
    if not server.keyspace_is_told:
        raise InvalidOption(
            "cannot tell which databases have keys: INFO doesn't say",
            where=server.address,
            found="all databases",
            allowed="the numbers of the databases to read",
            todo="Name them: `--db 0,3`, or `audit.databases` of the policy.",
        )
    forbidden = server.forbidden_databases
    return [count.db for count in server.databases if count.keys and count.db not in forbidden] or [0]


def _split(
    node: Node, server: ServerProfile, db: int, wanted: int, owned_slots: Sequence[tuple[int, int]]
) -> tuple[SplitRule, str, list[Shard]]:
    keys = server.counts_of(db).keys
    rule = choose_rule(
        flavour=server.flavour,
        version=server.version_tuple,
        cluster_enabled=server.cluster_enabled,
        dbsize=keys,
        wanted=wanted,
    )
    why = f"{server.flavour.value} {server.version}, {'cluster' if server.cluster_enabled else 'standalone'}, {keys:,} keys"
    if rule is not SplitRule.SEQUENTIAL:
        refused = node.split_refused(rule)
        if refused is not None:
            rule, why = SplitRule.SEQUENTIAL, f"the self-check refused to split: {refused}"
    shards = split(
        node=server.address, run_id=node.run_id(), db=db, rule=rule, dbsize=keys, wanted=wanted, owned_slots=owned_slots
    )
    return rule, why, shards


def _fitting(keys: int) -> int:
    count = 1
    while count < _SHARDS_AT_MOST and keys > count * _KEYS_PER_SHARD:
        count *= 2
    return count
