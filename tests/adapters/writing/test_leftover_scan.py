"""Which keys of a keyspace have an instant of a plan, found without any journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.key_routes import SlotsState
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.adapters.writing import leftover_scan
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.errors import Aborted
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.rollback.rollback import Leftovers

POLICY = policy_of(
    rule("a:{n}", ttl_s=3 * DAY_S),
    rule("b:{n}", ttl_s=9 * DAY_S, mode=Mode.CAP),
    rule("a:{n}:{m}"),
    rule("c:{n}", sign_off=None),
)


@contextmanager
def restorer_of(server: Server) -> Iterator[KeyRestorer]:
    """The way to that server."""
    with KeyRestorer(endpoint_from_url(server.url), parse_load("fast"), Rate(None)) as restorer:
        yield restorer


def nothing() -> None:
    """Nobody is heard."""


def leftovers(
    applying: Applying, server: Server, *, approvals: list[int] | None = None, rules: set[int] | None = None
) -> Leftovers:
    """What a look finds."""
    with restorer_of(server) as restorer:
        approved = [applying.approved_at_ms] if approvals is None else approvals
        return restorer.leftovers(applying.plan, approved, rules, nothing)


def put(server: Server, expiries: dict[bytes, int | None], db: int = 0) -> None:
    """Keys that expire at these instants, or never."""
    with server.client(db) as client:
        for key, expires_ms in expiries.items():
            client.set(key, "x")
            if expires_ms is not None:
                client.pexpireat(key, expires_ms)


def test_keys_with_an_instant_of_the_plan_are_counted_by_rule(any_server: Server, tmp_path: Path) -> None:
    """Each rule's keys, with some of their names; keys without TTL, with another one, and those that nothing governs aren't among them."""
    applying = Applying(any_server.url, tmp_path, POLICY)
    at = applying.instant_ms
    put(
        any_server,
        {
            b"a:1": at(b"a:1"), b"a:2": at(b"a:2"), b"b:1": at(b"b:1", 1), b"a:1:2": at(b"a:1:2", 2),
            b"a:3": None, b"a:4": at(b"a:4") + 5_000, b"a:5": at(b"a:6"), b"x": at(b"x"), b"c:1": at(b"c:1", 3),
        },
    )  # fmt: skip
    found = leftovers(applying, any_server)
    assert found.counts == {0: 2, 1: 1, 2: 1}
    assert sorted(found.examples) == [b"a:1", b"a:1:2", b"a:2", b"b:1"]
    assert (found.keys, found.moving) == (9, False)
    assert leftovers(applying, any_server, rules={1}).counts == {1: 1}
    assert leftovers(applying, any_server, rules=set()) == Leftovers({}, (), 0)
    assert leftovers(applying, any_server, approvals=[]) == Leftovers({}, (), 0)


@pytest.mark.parametrize(("steps", "ours"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_every_instant_up_to_the_next_one_is_the_plans(
    valkey: Server, tmp_path: Path, steps: int, *, ours: bool
) -> None:
    """From the approval's own, which version 0.1 set, to the one after the present one."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    put(valkey, {b"a:1": applying.instant_ms(b"a:1") + steps * ANCHOR_STEP_MS})
    assert leftovers(applying, valkey).counts == ({0: 1} if ours else {})


@pytest.mark.parametrize("off_ms", [-1, 1, 1_000, -1_000])
def test_another_instant_is_none(valkey: Server, tmp_path: Path, off_ms: int) -> None:
    """Neither a millisecond beside one, nor whole seconds."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    put(valkey, {b"a:1": applying.instant_ms(b"a:1") + off_ms})
    assert leftovers(applying, valkey).counts == {}


def test_instants_after_any_approval_are_the_plans(valkey: Server, tmp_path: Path) -> None:
    """A plan that was approved twice may have set instants that count from either."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    earlier_ms = applying.approved_at_ms - 3 * ANCHOR_STEP_MS - 1_234
    put(
        valkey,
        {b"a:1": applying.instant_ms(b"a:1"), b"b:2": applying.instant_ms(b"b:2", 1) - 3 * ANCHOR_STEP_MS - 1_234},
    )
    assert leftovers(applying, valkey).counts == {0: 1}
    assert leftovers(applying, valkey, approvals=[applying.approved_at_ms, earlier_ms]).counts == {0: 1, 1: 1}
    assert leftovers(applying, valkey, approvals=[earlier_ms]).counts == {1: 1}


@pytest.mark.parametrize("edge", [0, 1])
def test_where_keys_move_an_instant_may_have_shifted(valkey: Server, tmp_path: Path, edge: int) -> None:
    """By a second later and a tenth of one earlier, and no more."""
    early_ms, late_ms = MOVES_SHIFT_MS
    applying = Applying(valkey.url, tmp_path, POLICY)
    put(
        valkey,
        {
            b"a:1": applying.instant_ms(b"a:1") + late_ms + edge,
            b"a:2": applying.instant_ms(b"a:2") - early_ms - edge,
        },
    )
    with restorer_of(valkey) as restorer:
        restorer._routes.in_cluster = True
        found = restorer.leftovers(applying.plan, [applying.approved_at_ms], None, nothing)
    assert found.counts == ({} if edge else {0: 2})


def test_every_database_of_the_plan_is_looked_through(valkey: Server, tmp_path: Path) -> None:
    """Once each, however many shards it has, and no other one; the same name in two databases is two keys."""
    applying = Applying(valkey.url, tmp_path, POLICY, databases=(0, 3))
    applying.plan = replace(applying.plan, shards=(*applying.plan.shards, applying.plan.shards[0]))
    for db in (0, 3, 5):
        put(valkey, {b"a:1": applying.instant_ms(b"a:1"), b"a:2": None}, db)
    found = leftovers(applying, valkey)
    assert (found.counts, found.keys) == ({0: 2}, 4)


def test_so_many_are_named(valkey: Server, tmp_path: Path) -> None:
    """All are counted, and five are named."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    names = [b"a:%d" % number for number in range(12)]
    put(valkey, {name: applying.instant_ms(name) for name in names})
    found = leftovers(applying, valkey)
    assert found.counts == {0: 12}
    assert len(found.examples) == 5
    assert set(found.examples) < set(names)


def test_an_operator_ends_a_look(valkey: Server, tmp_path: Path) -> None:
    """He is heard with every batch."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    put(valkey, {b"a:1": None})

    def stop() -> None:
        raise Aborted("enough")

    with restorer_of(valkey) as restorer, pytest.raises(Aborted):
        restorer.leftovers(applying.plan, [applying.approved_at_ms], None, stop)


REST, ELSEWHERE, MOVING = (
    SlotsState(("a",), moving=False),
    SlotsState(("b",), moving=False),
    SlotsState(("a",), moving=True),
)


@pytest.mark.parametrize(
    ("states", "looks", "moving"),
    [
        ([REST, REST], 1, False),
        ([MOVING, MOVING, MOVING, MOVING], 2, False),
        ([REST, ELSEWHERE, ELSEWHERE, ELSEWHERE], 2, False),
        ([REST, ELSEWHERE, ELSEWHERE, REST, REST, ELSEWHERE], 3, True),
        ([REST, ELSEWHERE, ELSEWHERE, REST, REST, REST], 3, False),
        ([MOVING, REST, REST, REST], 2, False),
    ],
)
def test_while_slots_move_it_is_looked_again(
    valkey: Server, tmp_path: Path, states: list[SlotsState], looks: int, *, moving: bool
) -> None:
    """Three times at most, until they rest; slots that are on their way all the time are looked at twice. A key counts once."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    put(valkey, {b"a:1": applying.instant_ms(b"a:1"), b"a:2": None})
    batches: list[int] = []
    waiting = list(states)
    with restorer_of(valkey) as restorer:
        restorer._routes.slots_state = lambda: waiting.pop(0)  # type: ignore[method-assign]
        found = restorer.leftovers(applying.plan, [applying.approved_at_ms], None, lambda: batches.append(1))
    assert len(batches) == looks
    assert waiting == []
    assert found == Leftovers({0: 1}, (b"a:1",), 2, moving)


def test_an_instant_at_the_very_beginning_of_the_plans_time_is_found(any_server: Server, tmp_path: Path) -> None:
    """The approval's own, of a key that no jitter lengthens."""
    policy = policy_of(rule("a:{n}", ttl_s=3 * DAY_S, jitter_ratio=0.0), rule("b:{n}", ttl_s=9 * DAY_S))
    applying = Applying(any_server.url, tmp_path, policy)
    put(any_server, {b"a:1": applying.approved_at_ms + 3 * DAY_S * 1000})
    assert leftovers(applying, any_server).counts == {0: 1}


def test_only_keys_of_the_plans_time_are_looked_at_closely(redis62: Server, tmp_path: Path) -> None:
    """A server that tells only what is left is asked again for those that expire within a minute of the plan's first and last instant."""
    applying = Applying(redis62.url, tmp_path, POLICY)
    rules = applying.plan.included
    shortest_ms = min(each.ttl_s for each in rules) * 1000
    longest_ms = max(each.ttl_s + each.window_s for each in rules) * 1000
    first_ms, last_ms = applying.approved_at_ms + shortest_ms, applying.approved_at_ms + longest_ms + 2 * ANCHOR_STEP_MS
    far, near = [first_ms - 100_000, last_ms + 100_000, first_ms - DAY_S * 1000], [first_ms + 1_000, last_ms - 1_000]
    put(redis62, {b"a:%d" % number: expires_ms for number, expires_ms in enumerate([*far, *near])})
    with redis62.client() as client:
        client.config_resetstat()
        assert leftovers(applying, redis62).counts == {}
        assert client.info("commandstats")["cmdstat_pttl"]["calls"] == 5 + len(near)


def test_a_database_is_read_whole(valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its beginning to its end, in large batches, with the instants that the server tells."""
    applying = Applying(valkey.url, tmp_path, POLICY)
    read: list[Any] = []

    def reader(link: Any, shard: Shard, load: Any, **more: Any) -> Any:
        read.append((shard, more))
        return ShardReader(link, shard, load, **more)

    monkeypatch.setattr(leftover_scan, "ShardReader", reader)
    leftovers(applying, valkey)
    [node] = applying.plan.nodes
    whole = Shard(0, 1, node.address, node.run_id, 0, SplitRule.SEQUENTIAL, 0, 0)
    assert read == [(whole, {"batch_keys": 100_000, "expiry": "PEXPIRETIME"})]
