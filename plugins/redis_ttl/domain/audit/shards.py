"""How one scan of a database is cut into shards that many workers can read at the same time, and why no key is lost
by that.

The proof, for a plain hash table (rule ``bits``). Give every key the position p = bitreverse64(hash) / 2^64, a number
in [0, 1), and every cursor v the position bitreverse64(v) / 2^64. A table of 2^e buckets files a key under the low e
bits of its hash. Those bits, read in reverse, are the leading bits of p: each bucket is one of 2^e equal intervals of
[0, 1). The position of a key doesn't depend on e, so it survives every resize. One step of SCAN hands out the bucket
that holds the cursor's position and answers with that bucket's end; while the server moves keys from one table to
another it hands out the smaller table's bucket and the matching part of the larger one, and every key is in one of
the two. So a step from x to y returns every key with p in [x, y), and y > x. A chain of steps from a to the first y
>= b therefore covers [a, b) completely, whatever grows or shrinks in between. Shard i of 2^s is the interval [i/2^s,
(i+1)/2^s): its cursors are those whose low s bits are bitreverse_s(i), and the scan has left it as soon as the answer
is 0 or has other low bits. A cursor only ever moves forward, so a shard that was left isn't entered again.

The proof for cluster nodes that keep a table per slot (rule ``slots``: Redis >= 7.4, Valkey >= 8). There a cursor is
(position within the slot << 14) | slot, and slots are walked in ascending order. Shards are ranges of slots; a range
has been read once the cursor's slot is past its last one. The low bits of such a cursor are the slot, so rule
``bits`` would lose almost everything there, and rule ``slots`` would lose almost everything on an older node: the
rule follows from flavour, version and mode, and a self-check may withdraw it.

A page of many buckets may run over the end of its shard, and the next shard returns those keys too.
`Shard.overshoots` tells such a page, so that a reader can repeat it in smaller steps and count no key twice.

Cursors belong to one server process, because the hash seed is random at its start: a shard names the ``run_id`` that
it is good for. The module knows nothing of connections.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from redis_ttl.domain.audit.server import Flavour
from redis_ttl.domain.codec import document_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLOTS = 16_384
# Below this a scan takes a moment anyway, and shards would mostly return the keys of their neighbours.
LEAST_KEYS_TO_SPLIT = 20_000
# Keeps the pages that are read again at the end of a shard far below the shard itself.
LEAST_KEYS_PER_SHARD = 10_000
# 2^6: what the self-check was tried with, and more than any server's single thread can be fed with.
MOST_SHARDS = 64


class SplitRule(StrEnum):
    """By what a scan is cut."""

    SLOTS = "slots"
    BITS = "bits"
    SEQUENTIAL = "sequential"


@document_part
@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the scan of one database of one server process.

    ``number`` counts from 0 among the ``of`` shards of this node and database. ``node`` is "host:port" and ``run_id``
    the process that the cursors belong to. ``first`` and ``last`` are slots, both included, under rule ``slots``;
    under ``bits`` both are the shard's number in the order of positions; under ``sequential`` both are 0.
    """

    number: int
    of: int
    node: str
    run_id: str
    db: int
    rule: SplitRule
    first: int
    last: int

    @property
    def start_cursor(self) -> int:
        """The cursor that the shard's scan begins with."""
        match self.rule:
            case SplitRule.BITS:
                return bitreverse(self.first, self._bits)
            case SplitRule.SLOTS:
                return self.first
            case SplitRule.SEQUENTIAL:
                return 0
            case _:
                assert_never(self.rule)

    def is_past(self, next_cursor: int) -> bool:
        """Whether a scan that was answered with this cursor has read the whole shard."""
        if next_cursor == 0:
            return True
        match self.rule:
            case SplitRule.BITS:
                return next_cursor & (self.of - 1) != self.start_cursor
            case SplitRule.SLOTS:
                return next_cursor & (SLOTS - 1) > self.last
            case SplitRule.SEQUENTIAL:
                return False
            case _:
                assert_never(self.rule)

    def overshoots(self, next_cursor: int) -> bool:
        """Whether the page that was answered with this cursor may also hold keys of the next shard."""
        if not self.is_past(next_cursor):
            return False
        if self.rule is SplitRule.BITS:
            return next_cursor != bitreverse((self.first + 1) % self.of, self._bits)
        return self.rule is SplitRule.SLOTS

    def holds(self, key: bytes) -> bool:
        """Whether the key's slot is one of the shard's; always true under other rules, where a key's place can't be
        known from outside.
        """
        return self.rule is not SplitRule.SLOTS or self.first <= key_slot(key) <= self.last

    def ratio_done(self, next_cursor: int) -> float:
        """How much of the shard a scan that was answered with this cursor has read, 0 to 1, for a progress display.

        Exact under rules ``bits`` and ``slots``. Under ``sequential`` it is so for a plain table of Redis or Valkey,
        and a guess on other servers.
        """
        if self.is_past(next_cursor):
            return 1.0
        if self.rule is SplitRule.SLOTS:
            return max(0.0, ((next_cursor & (SLOTS - 1)) - self.first) / (self.last - self.first + 1))
        share = position(next_cursor) * self.of - self.first
        return min(1.0, max(0.0, share))

    @property
    def label(self) -> str:
        """The shard in a person's words, as in "10.0.0.1:6379 db0 2/8", with its slots where it is cut by slots."""
        slots = f" slots {self.first}-{self.last}" if self.rule is SplitRule.SLOTS else ""
        return f"{self.node} db{self.db} {self.number + 1}/{self.of}{slots}"

    @property
    def _bits(self) -> int:
        return self.of.bit_length() - 1


def choose_rule(
    *, flavour: Flavour, version: tuple[int, ...], cluster_enabled: bool, dbsize: int, wanted: int
) -> SplitRule:
    """The rule by which a scan of this server may be cut, as far as flavour, version, mode and size tell.

    A self-check on the server itself may still withdraw it. Servers other than Redis and Valkey answer with cursors
    that aren't positions (a thread index, a log address, a counter), whatever version they claim to be compatible
    with.
    """
    if wanted <= 1 or dbsize < LEAST_KEYS_TO_SPLIT:
        return SplitRule.SEQUENTIAL
    if flavour is Flavour.REDIS:
        return SplitRule.SLOTS if cluster_enabled and version >= (7, 4) else SplitRule.BITS
    if flavour is Flavour.VALKEY:
        return SplitRule.SLOTS if cluster_enabled and version >= (8,) else SplitRule.BITS
    return SplitRule.SEQUENTIAL


def split(
    *,
    node: str,
    run_id: str,
    db: int,
    rule: SplitRule,
    dbsize: int,
    wanted: int,
    owned_slots: Sequence[tuple[int, int]] = ((0, SLOTS - 1),),
) -> list[Shard]:
    """Disjoint shards that together cover the whole keyspace of one node and database; at most ``wanted``, and at
    least one.

    ``owned_slots`` are the ranges that a cluster node holds, both ends included; rule ``slots`` gives each shard
    about as many of them. The first shard begins at slot 0 and the last one ends at the last slot, so that
    completeness doesn't hang on that list.
    """
    count = max(1, min(wanted, MOST_SHARDS, dbsize // LEAST_KEYS_PER_SHARD))
    if rule is SplitRule.BITS:
        count = 1 << (count.bit_length() - 1)
        ranges = [(number, number) for number in range(count)]
    elif rule is SplitRule.SLOTS:
        ranges = _slot_ranges(owned_slots, count)
    else:
        ranges = [(0, 0)]
    return [
        Shard(number, len(ranges), node, run_id, db, rule, first, last) for number, (first, last) in enumerate(ranges)
    ]


def bitreverse(number: int, bits: int) -> int:
    """The number with its lowest ``bits`` bits in reverse order; undoes itself."""
    return int(f"{number:0{bits}b}"[::-1], 2) if bits else 0


def position(cursor: int) -> float:
    """Where in [0, 1) a cursor of rule ``bits`` stands."""
    return bitreverse(cursor, 64) / 2.0**64


def key_slot(key: bytes) -> int:
    """The cluster slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it, modulo 16,384 (Redis Cluster
    specification).
    """
    opening = key.find(b"{")
    if opening >= 0:
        closing = key.find(b"}", opening + 1)
        if closing > opening + 1:
            key = key[opening + 1 : closing]
    return crc_hqx(key, 0) & (SLOTS - 1)


def _slot_ranges(owned: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    slots = [slot for first, last in sorted(owned) for slot in range(first, last + 1)]
    count = max(1, min(count, len(slots)))
    starts = [0, *(slots[number * len(slots) // count] for number in range(1, count))]
    ends = [*(start - 1 for start in starts[1:]), SLOTS - 1]
    return list(zip(starts, ends, strict=True))


@dataclass(frozen=True, slots=True)
class SlotClaims:
    """What one primary of a cluster says of its own slots: those that it owns, and those that it is giving away or taking over."""

    owned: frozenset[int]
    moving: frozenset[int]


def unsettled_slots(before: Mapping[str, SlotClaims], after: Mapping[str, SlotClaims]) -> frozenset[int]:
    """The slots that were on their way at either of two moments, that another node owned at each of them, or that none or several
    claimed: what was seen of their keys in between may be wrong. Claims are by the nodes' addresses; none outside a cluster.
    """
    was, now = _owners(before), _owners(after)
    moving = {slot for claims in (before, after) for each in claims.values() for slot in each.moving}
    if was != now or any(len(owners) != 1 for owners in now.values()):
        slots = was.keys() | now.keys()
        moving |= {slot for slot in slots if was.get(slot) != now.get(slot) or len(now.get(slot, ())) != 1}
    return frozenset(moving)


def _owners(claims: Mapping[str, SlotClaims]) -> dict[int, list[str]]:
    owners: dict[int, list[str]] = {}
    for address in sorted(claims):
        for slot in claims[address].owned:
            owners.setdefault(slot, []).append(address)
    return owners
