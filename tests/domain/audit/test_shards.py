from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.audit.server import Flavour
from redis_ttl.domain.audit.shards import (
    SLOTS,
    Shard,
    SlotClaims,
    SplitRule,
    bitreverse,
    choose_rule,
    key_slot,
    split,
    unsettled_slots,
)
from redis_ttl.domain.codec import from_plain, to_plain

KEYS = 10_000_000


def cut(
    rule: SplitRule, wanted: int, *, dbsize: int = KEYS, owned: tuple[tuple[int, int], ...] = ((0, SLOTS - 1),)
) -> list[Shard]:
    """The shards of a node with that many keys."""
    return split(node="10.0.0.1:6379", run_id="abc", db=0, rule=rule, dbsize=dbsize, wanted=wanted, owned_slots=owned)


@given(st.integers(1, 64).flatmap(lambda bits: st.tuples(st.integers(0, 2**bits - 1), st.just(bits))))
def test_reversing_bits_twice_changes_nothing(number_and_bits: tuple[int, int]) -> None:
    """Reversed twice, a number is itself again."""
    number, bits = number_and_bits
    assert bitreverse(bitreverse(number, bits), bits) == number


@given(st.integers(0, 6), st.integers(0, 2**64 - 1))
def test_each_cursor_belongs_to_exactly_one_shard(power: int, cursor: int) -> None:
    """Under rule bits, every position of the keyspace lies in one shard and no other."""
    shards = cut(SplitRule.BITS, 2**power)
    owner = bitreverse(cursor, 64) * len(shards) >> 64  # positions as whole numbers, which don't round
    assert cursor == 0 or [shard.number for shard in shards if not shard.is_past(cursor)] == [owner]


@given(st.integers(0, 6))
def test_shards_of_bits_begin_where_the_one_before_ends(power: int) -> None:
    """The start of a shard is past its predecessor, is no overshoot of it, and is not past itself."""
    shards = cut(SplitRule.BITS, 2**power)
    for shard, following in pairwise(shards):
        assert shard.is_past(following.start_cursor)
        assert not shard.overshoots(following.start_cursor)
        assert not following.is_past(following.start_cursor)
    assert shards[0].start_cursor == 0
    assert shards[-1].is_past(0)
    assert not shards[-1].overshoots(0)


@given(st.integers(1, 6), st.integers(1, 2**64 - 1))
def test_a_cursor_beyond_the_border_overshoots(power: int, cursor: int) -> None:
    """A cursor that has left a shard overshoots it, unless it is the end, or the very start of the next shard."""
    shards = cut(SplitRule.BITS, 2**power)
    starts = {shard.start_cursor for shard in shards}
    for shard in shards:
        if cursor not in starts:
            assert shard.overshoots(cursor) == shard.is_past(cursor)


@given(st.lists(st.integers(0, SLOTS - 1), min_size=2, max_size=20, unique=True), st.integers(1, 64))
def test_slot_shards_cover_all_slots_once(borders: list[int], wanted: int) -> None:
    """Whatever slots a node owns, its shards follow one another without a gap from the first slot to the last."""
    borders.sort()
    owned = tuple(zip(borders[::2], borders[1::2], strict=False))
    shards = cut(SplitRule.SLOTS, wanted, owned=owned)
    assert shards[0].first == 0
    assert shards[-1].last == SLOTS - 1
    assert all(before.last + 1 == after.first for before, after in pairwise(shards))
    assert all(shard.first <= shard.last for shard in shards)


def test_slot_shards_share_the_slots_that_the_node_owns() -> None:
    """A node with slots at both ends of the range has shards with about as many of its own slots each."""
    owned = ((0, 999), (15_000, 15_999))
    shards = cut(SplitRule.SLOTS, 4, owned=owned)
    mine = [slot for first, last in owned for slot in range(first, last + 1)]
    assert [sum(shard.first <= slot <= shard.last for slot in mine) for shard in shards] == [500] * 4


@given(st.integers(0, SLOTS - 1), st.integers(0, 2**40))
def test_a_slot_shard_ends_with_its_last_slot(slot: int, inner: int) -> None:
    """A cursor of a shard's own slots isn't past it, one of a later slot is."""
    for shard in cut(SplitRule.SLOTS, 4):
        cursor = inner << 14 | slot
        assert shard.is_past(cursor) == (cursor == 0 or slot > shard.last)


def test_only_redis_and_valkey_are_split() -> None:
    """A server of another flavour is scanned by one cursor, whatever version it claims."""
    rules = {
        flavour: choose_rule(flavour=flavour, version=(9, 0), cluster_enabled=False, dbsize=KEYS, wanted=8)
        for flavour in Flavour
    }
    assert {flavour for flavour, rule in rules.items() if rule is SplitRule.BITS} == {Flavour.REDIS, Flavour.VALKEY}
    assert set(rules.values()) == {SplitRule.BITS, SplitRule.SEQUENTIAL}


def test_cluster_nodes_are_split_by_what_their_version_does() -> None:
    """Cluster nodes are split by slots from Redis 7.4 and Valkey 8 on, by bits before; other servers always by bits."""

    def rule(flavour: Flavour, version: tuple[int, ...], *, cluster: bool = True) -> SplitRule:
        return choose_rule(flavour=flavour, version=version, cluster_enabled=cluster, dbsize=KEYS, wanted=8)

    assert rule(Flavour.REDIS, (7, 2, 6)) is SplitRule.BITS
    assert rule(Flavour.REDIS, (7, 3, 9)) is SplitRule.BITS
    assert rule(Flavour.REDIS, (7, 4)) is SplitRule.SLOTS
    assert rule(Flavour.REDIS, (7, 4, 0)) is SplitRule.SLOTS
    assert rule(Flavour.VALKEY, (8,)) is SplitRule.SLOTS
    assert rule(Flavour.VALKEY, (7, 2, 4)) is SplitRule.BITS
    assert rule(Flavour.VALKEY, (8, 0, 1)) is SplitRule.SLOTS
    assert rule(Flavour.REDIS, (8, 6, 3), cluster=False) is SplitRule.BITS
    assert rule(Flavour.VALKEY, (9, 1, 2), cluster=False) is SplitRule.BITS


def test_a_small_database_is_not_split() -> None:
    """Below 20,000 keys one cursor reads all."""
    assert (
        choose_rule(flavour=Flavour.REDIS, version=(7, 0), cluster_enabled=False, dbsize=19_999, wanted=8)
        is SplitRule.SEQUENTIAL
    )
    assert (
        choose_rule(flavour=Flavour.REDIS, version=(7, 0), cluster_enabled=False, dbsize=20_000, wanted=1)
        is SplitRule.SEQUENTIAL
    )

    choose = {"flavour": Flavour.REDIS, "version": (7, 0), "cluster_enabled": False}
    assert choose_rule(**choose, dbsize=20_000, wanted=2) is SplitRule.BITS  # type: ignore[arg-type]


def test_shards_are_no_smaller_than_makes_sense() -> None:
    """Asked for more shards than there are keys for, fewer are made, and a power of two of them under rule bits."""
    assert len(cut(SplitRule.BITS, 64, dbsize=70_000)) == 4
    assert len(cut(SplitRule.SLOTS, 64, dbsize=70_000)) == 7
    assert len(cut(SplitRule.BITS, 64, dbsize=80_000)) == 8
    assert len(cut(SplitRule.SLOTS, 64, dbsize=9_999)) == 1
    assert len(cut(SplitRule.SLOTS, 64, dbsize=69_999)) == 6
    assert len(cut(SplitRule.BITS, 0)) == 1
    assert len(cut(SplitRule.BITS, 1000)) == 64
    assert len(cut(SplitRule.SLOTS, 1000)) == 64
    assert len(cut(SplitRule.SEQUENTIAL, 8)) == 1


def test_shards_by_hand() -> None:
    """Shards of bits begin at the reversed number; those of slots at their first slot; one cursor at the start."""
    assert [shard.start_cursor for shard in cut(SplitRule.BITS, 8)] == [0, 4, 2, 6, 1, 5, 3, 7]
    assert [(shard.first, shard.last) for shard in cut(SplitRule.BITS, 4)] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    slots = cut(SplitRule.SLOTS, 4)
    assert [(shard.first, shard.last, shard.start_cursor) for shard in slots] == [
        (0, 4_095, 0),
        (4_096, 8_191, 4_096),
        (8_192, 12_287, 8_192),
        (12_288, 16_383, 12_288),
    ]
    (whole,) = cut(SplitRule.SEQUENTIAL, 4)
    assert (whole.number, whole.of, whole.first, whole.last, whole.start_cursor) == (0, 1, 0, 0, 0)
    assert not whole.is_past(7)
    assert whole.is_past(0)


def test_a_page_that_ends_beyond_its_slots_overshoots() -> None:
    """Under rule slots whatever is past a shard may hold keys of the next one; a sequential scan has no next one."""
    first = cut(SplitRule.SLOTS, 4)[0]
    assert not first.overshoots(4_095)
    assert first.overshoots(4_096)
    assert first.overshoots(1 << 14 | 4_096)
    assert not first.overshoots(1 << 14 | 4_095)
    assert not cut(SplitRule.SEQUENTIAL, 1)[0].overshoots(7)


def test_a_node_owns_all_slots_unless_told_otherwise() -> None:
    """Without a list of slots the shards share all of them, and the last slot of a shard is one of its own."""
    shards = split(node="10.0.0.1:6379", run_id="abc", db=0, rule=SplitRule.SLOTS, dbsize=KEYS, wanted=3)
    assert shards == cut(SplitRule.SLOTS, 3)
    assert [(shard.first, shard.last) for shard in shards] == [(0, 5_460), (5_461, 10_921), (10_922, 16_383)]
    assert shards[0].is_past(5_461)
    assert not shards[0].is_past(5_460)
    assert not Shard(0, 2, "n", "r", 0, SplitRule.SLOTS, 0, 4_096).is_past(4_096)
    assert Shard(0, 2, "n", "r", 0, SplitRule.SLOTS, 0, 4_096).is_past(4_097)


def test_a_shard_of_slots_knows_its_keys() -> None:
    """Under rule slots a key belongs to the shard of its slot, both ends included; under others that can't be told."""
    shards = split(
        node="n", run_id="r", db=0, rule=SplitRule.SLOTS, dbsize=KEYS, wanted=4, owned_slots=((8_363, 8_363),)
    )
    assert shards[0].holds(b"foo{}{bar}")
    one = Shard(1, 3, "n", "r", 0, SplitRule.SLOTS, 8_363, 8_363)
    assert one.holds(b"foo{}{bar}")
    assert not one.holds(b"bar")
    assert not Shard(1, 3, "n", "r", 0, SplitRule.SLOTS, 8_364, 9_000).holds(b"foo{}{bar}")
    assert not Shard(1, 3, "n", "r", 0, SplitRule.SLOTS, 8_000, 8_362).holds(b"foo{}{bar}")
    assert all(shard.holds(b"bar") for shard in cut(SplitRule.BITS, 4))


def test_more_shards_than_slots_are_not_made() -> None:
    """A node with three slots has three shards at most; one without any has one, over all slots."""
    shards = cut(SplitRule.SLOTS, 8, owned=((5, 6), (9, 9)))
    assert [(shard.first, shard.last) for shard in shards] == [(0, 5), (6, 8), (9, SLOTS - 1)]
    assert [(shard.first, shard.last) for shard in cut(SplitRule.SLOTS, 8, owned=())] == [(0, SLOTS - 1)]


def test_the_owned_slots_may_come_in_any_order() -> None:
    """Ranges that a server lists from the back are shared like those in order."""
    backwards = cut(SplitRule.SLOTS, 4, owned=((15_000, 15_999), (0, 999)))
    assert backwards == cut(SplitRule.SLOTS, 4, owned=((0, 999), (15_000, 15_999)))


def test_a_shard_survives_json() -> None:
    """A shard that went through JSON text is the same shard."""
    for rule in SplitRule:
        for shard in cut(rule, 8):
            assert from_plain(Shard, json.loads(json.dumps(to_plain(shard)))) == shard


def test_a_shard_names_itself_for_people() -> None:
    """A shard's label says which node, which database, and which part of how many."""
    assert cut(SplitRule.BITS, 8)[1].label == "10.0.0.1:6379 db0 2/8"
    assert cut(SplitRule.SLOTS, 8)[1].label == "10.0.0.1:6379 db0 2/8 slots 2048-4095"


def test_progress_rises_from_nothing_to_all() -> None:
    """The share that was read rises with the cursor, from 0 at a shard's start to 1 past its end."""
    for rule in (SplitRule.BITS, SplitRule.SLOTS):
        for shard in cut(rule, 8):
            assert shard.ratio_done(shard.start_cursor) == 0 or shard.start_cursor == 0
            assert shard.ratio_done(0) == 1
    second = cut(SplitRule.BITS, 2)[1]
    assert second.ratio_done(0b11) == 0.5
    assert cut(SplitRule.SLOTS, 2)[1].ratio_done(12_288) == 0.5
    assert cut(SplitRule.SLOTS, 2)[1].ratio_done(1 << 14 | 16_383) == 8_191 / 8_192
    # A cursor of an earlier shard, or a first page that hasn't moved, is no progress.
    assert cut(SplitRule.SLOTS, 2)[1].ratio_done(1) == 0
    assert cut(SplitRule.BITS, 4)[3].ratio_done(0b11) == 0
    assert cut(SplitRule.BITS, 4)[3].ratio_done(0b111) == 0.5
    (whole,) = cut(SplitRule.SEQUENTIAL, 1)
    assert whole.ratio_done(1) == 0.5
    assert whole.ratio_done(0) == 1


def test_the_slot_of_a_key_is_that_of_its_hash_tag() -> None:
    """Slots agree with the examples of the cluster specification; an empty tag doesn't count."""
    assert key_slot(b"123456789") == 0x31C3
    assert key_slot(b"{user1000}.following") == key_slot(b"{user1000}.followers")
    # Empty braces are no tag: all of the key counts, and what is in later braces doesn't.
    assert key_slot(b"foo{}{bar}") == 8_363
    assert key_slot(b"{}") == 15_257
    assert key_slot(b"") == 0
    # A brace that isn't closed after it is none, and of several tags the first counts.
    assert key_slot(b"{a") == 10_276
    assert key_slot(b"}a{") == 11_710
    assert key_slot(b"a}b") != key_slot(b"a")
    assert key_slot(b"{a}{b}") == key_slot(b"x{a}y") == key_slot(b"a") == 15_495
    assert key_slot(b"foo{{bar}}zap") == key_slot(b"{bar")


def test_slots_are_settled_when_one_node_owns_each_all_the_time() -> None:
    """Those on their way, with another owner than before, with none or with two aren't; outside a cluster there are none."""

    def claims(*owned: set[int], moving: set[int] = frozenset()) -> dict[str, SlotClaims]:  # type: ignore[assignment]
        return {str(node): SlotClaims(frozenset(slots), frozenset(moving)) for node, slots in enumerate(owned)}

    rest = claims({0, 1}, {2, 3})
    assert unsettled_slots(rest, rest) == frozenset()
    assert unsettled_slots({}, {}) == frozenset()
    assert unsettled_slots(claims({0, 1}, {2, 3}, moving={1}), rest) == {1}
    assert unsettled_slots(rest, claims({0, 1}, {2, 3}, moving={2})) == {2}
    assert unsettled_slots(rest, claims({0}, {1, 2, 3})) == {1}
    assert unsettled_slots(rest, claims({0}, {2, 3})) == {1}
    two = claims({0, 1}, {1, 2})
    assert unsettled_slots(two, two) == {1}
