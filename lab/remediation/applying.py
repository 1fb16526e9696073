"""Applies plans in this process, without an audit and without people."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from xxhash import xxh3_64_intdigest

from redis_ttl.adapters.columns.journal import JOURNAL_TYPES, journal_rows
from redis_ttl.adapters.connection.cluster import cluster_nodes, is_cluster
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import read_profile
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.threads import ahead
from redis_ttl.adapters.writing.writable_deployment import WritableDeployment
from redis_ttl.domain.audit.shards import Shard, choose_rule, split
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, Spread, anchor_ms, jitter_seed
from redis_ttl.domain.plan.plan import Forecast, NodeIdentity, Plan, PlannedRule
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.remediation.approval import Approval
from redis_ttl.domain.remediation.control import OperatorCommand
from redis_ttl.usecases.remediation.apply_plan import ApplyTools, apply_canary, apply_shard, check_canary
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import (
        Policy,
        Rule,
    )
    from redis_ttl.domain.remediation.remediation import PartResult


class Commands:
    """An operator whose command a test sets."""

    def __init__(self, command: OperatorCommand | None = None) -> None:
        self.command = command or OperatorCommand()
        self.asked = 0
        self.fails = False

    def read(self) -> OperatorCommand:
        """The command."""
        self.asked += 1
        if self.fails:
            raise OSError("no answer")
        return self.command


@dataclass
class Applying:
    """One remediation of one deployment, part by part, as the tasks of a run take them."""

    url: str
    store: Path
    policy: Policy
    shards: int = 1
    databases: Sequence[int] = (0,)
    rate: str = "unlimited"
    load: str = "fast"
    limit_keys: int = 1_000_000
    commands: Commands = field(default_factory=Commands)
    log: list[str] = field(default_factory=list)
    on_log: Callable[[str], None] | None = None
    plan: Plan = field(init=False)
    approved_at_ms: int = field(init=False)
    endpoint_url: str | None = None
    _digest: tuple[Plan, str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.approved_at_ms = time.time_ns() // 1_000_000
        nodes, shards = self._nodes_and_shards()
        self.plan = Plan(
            plan_id="20261124T010101Z-abcdef",
            cluster="test",
            run="terminal",
            created_at="2026-11-24T01:01:01+00:00",
            audit_id="audit-1",
            audit_finished_at="2026-11-24T01:00:00+00:00",
            policy_hash=self.policy.hash,
            keys=0,
            no_ttl_keys=0,
            nodes=nodes,
            shards=shards,
            rules=tuple(self._planned(number, each) for number, each in enumerate(self.policy.rules)),
            forecast=Forecast(0, None, 0, 0, None, 0.0, None, None),
            rate=self.rate,
            load=self.load,
            canary_watch_s=self.policy.remediation.canary.watch_s,
        )

    @property
    def documents(self) -> PlanDocuments:
        """The plan's documents."""
        return PlanDocuments(Store(self.store), "test", self.plan.plan_id)

    @property
    def digest(self) -> str:
        """The plan's digest, computed once for each plan that this has had: tests ask for it key by key."""
        if self._digest is None or self._digest[0] is not self.plan:
            self._digest = self.plan, self.plan.digest
        return self._digest[1]

    @property
    def approval(self) -> Approval:
        """Somebody's approval of this plan."""
        until_ms = self.approved_at_ms + 24 * 3_600_000
        return Approval(self.plan.plan_id, self.digest, ("wang",), self.approved_at_ms, until_ms, ())

    def tools(self, **other: Any) -> ApplyTools:
        """What applying needs."""
        endpoint = endpoint_from_url(self.endpoint_url or self.url)
        tools = ApplyTools(
            redis=WritableDeployment(endpoint, parse_load(self.load)),
            documents=self.documents,
            policy=self.policy,
            approve=lambda: self.approval,
            control=self.commands,
            clock=SystemClock(),
            ahead=ahead,
            log=self._hear,
            token=secrets.token_hex(3),
        )
        return replace(tools, **other)

    def canary(self, **other: Any) -> PartResult:
        """Write the canary."""
        return apply_canary(self.plan, self.tools(**other))

    def pass_canary(self, **other: Any) -> None:
        """Write the canary, and pass its check."""
        self.canary(**other)
        check_canary(self.plan, self.tools(**other))

    def shard(self, number: int = 0, **other: Any) -> PartResult:
        """Write one shard."""
        return apply_shard(self.plan, number, self.tools(**other))

    def run(self) -> list[PartResult]:
        """All of it."""
        canary = self.canary()
        check_canary(self.plan, self.tools())
        return [canary, *(self.shard(number) for number in range(len(self.plan.shards)))]

    def instant_ms(self, key: bytes, number: int = 0) -> int:
        """What the plan says about that key at this moment, if that rule governs it."""
        return self._instant_ms(key, number, anchor_ms(self.approved_at_ms, time.time_ns() // 1_000_000))

    def instants_ms(self, key: bytes, number: int = 0) -> set[int]:
        """All that the plan has said about that key since its approval, version 0.1's included."""
        latest_ms = anchor_ms(self.approved_at_ms, time.time_ns() // 1_000_000)
        return {
            self._instant_ms(key, number, anchor)
            for anchor in range(self.approved_at_ms, latest_ms + 1, ANCHOR_STEP_MS)
        }

    def _instant_ms(self, key: bytes, number: int, anchor: int) -> int:
        planned = self.plan.rules[number]
        spread = Spread(anchor + planned.ttl_s * 1000, planned.window_s)
        return spread.instant_ms(xxh3_64_intdigest(key, seed=jitter_seed(self.digest)))

    def journal(self) -> pl.DataFrame:
        """All rows of the journal, the earliest first."""
        names = self.documents.journal_names()
        rows = [journal_rows(self.documents.journal(name)) for name in names]
        return pl.concat(rows) if rows else pl.DataFrame(schema=JOURNAL_TYPES)

    def was(self) -> dict[tuple[int, bytes], set[int | None]]:
        """For each key of the journal every expiry that it says the key had before us."""
        found: dict[tuple[int, bytes], set[int | None]] = {}
        for db, key, was in self.journal().select("db", "key", "was_ms").iter_rows():
            found.setdefault((db, key), set()).add(was)
        return found

    def _hear(self, text: str) -> None:
        self.log.append(text)
        if self.on_log is not None:
            self.on_log(text)

    def _planned(self, number: int, each: Rule) -> PlannedRule:
        return PlannedRule(
            number=number,
            pattern=each.pattern.text,
            mode=each.mode,
            ttl_s=each.ttl_s,
            window_s=int(each.ttl_s * each.jitter_ratio),
            priority=each.priority.value,
            changes={Action.SET: self.limit_keys},
            limit_keys=self.limit_keys,
            refusal=None if each.sign_off else "no sign-off",
            sign_off=each.sign_off,
            cold=each.cold,
        )

    def _nodes_and_shards(self) -> tuple[tuple[NodeIdentity, ...], tuple[Shard, ...]]:
        endpoint = endpoint_from_url(self.url)
        with RedisLink(endpoint) as link:
            places = [(endpoint.address, ((0, 16_383),))]
            if is_cluster(link):
                places = [(node.address, node.slots) for node in cluster_nodes(link)]  # type: ignore[misc]
        nodes, shards = [], []
        for address, slots in places:
            for db in self.databases:
                with RedisLink(endpoint.at(address).on(db)) as link:
                    profile, keys = read_profile(link), int(link.call("DBSIZE"))
                cut = choose_rule(
                    flavour=profile.flavour,
                    version=profile.version_tuple,
                    cluster_enabled=profile.cluster_enabled,
                    dbsize=keys,
                    wanted=self.shards,
                )
                shards += split(
                    node=address,
                    run_id=profile.run_id,
                    db=db,
                    rule=cut,
                    dbsize=keys,
                    wanted=self.shards,
                    owned_slots=slots,
                )
            nodes.append(NodeIdentity(address, profile.run_id, profile.lineage))
        return tuple(nodes), tuple(shards)
