"""Checks on the server itself that its cursors behave as a shard rule assumes.

It may only withdraw a rule, never grant one. What it is for are proxies and look-alikes that report themselves as
Redis: an index of a backend or a thread in the cursor's bits, log addresses, counters. About eighty small SCANs;
nothing is written and no key's access is noted. Some chance remains, so a scan is also checked for completeness
afterwards.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from redis_ttl.adapters.connection.replies import scan_page
from redis_ttl.domain.audit.shards import SLOTS, SplitRule, bitreverse, key_slot, position

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.link import RedisLink

_PAGE_KEYS = 100
_PAGES = 4
_STARTS = 4
_BORDER_BITS = 6
# The bits of a cursor below its sign bit, all of which may be set in the last position of a shard.
_CURSOR_BITS = 62


def split_refused(link: RedisLink, rule: SplitRule, dbsize: int) -> str | None:
    """Why this server's scan must not be cut by that rule; None when nothing speaks against it."""
    match rule:
        case SplitRule.SEQUENTIAL:
            return None
        case SplitRule.SLOTS:
            return _slots_refused(link)
        case SplitRule.BITS:
            return _positions_refused(link, dbsize) or _borders_refused(link, dbsize)


def _positions_refused(link: RedisLink, dbsize: int) -> str | None:
    """Cursors keep the shard's bits, rise, and advance in step with the keys; shards have different keys."""
    met: dict[bytes, int] = {}
    for start in range(_STARTS):
        cursor, count = start, 0
        for _ in range(_PAGES):
            next_cursor, keys = _scan(link, cursor, _PAGE_KEYS)
            count += len(keys)
            for key in keys:
                if met.setdefault(key, start) != start:
                    return f"scans that begin at cursors {met[key]} and {start} returned the same key"
            if next_cursor == 0:
                return f"cursor {cursor} ended the scan after {count} of {dbsize} keys"
            if next_cursor & (_STARTS - 1) != start:
                return f"the scan that began at cursor {start} left its part after {count} of {dbsize} keys"
            if position(next_cursor) <= position(cursor):
                return f"the cursor after {cursor} does not lie behind it: {next_cursor}"
            cursor = next_cursor
        moved, expected = position(cursor) - position(start), count / dbsize
        # Six standard deviations of the number of keys in such an interval, and room for a table that is being resized.
        if abs(moved - expected) > 6 * math.sqrt(count + 1) / dbsize + 0.15 * expected:
            return f"{count} of {dbsize} keys moved the cursor from {start} by {moved:.5f} of the whole instead of {expected:.5f}"
    return None


def _borders_refused(link: RedisLink, dbsize: int) -> str | None:
    """The last position of each of 64 shards is followed by the beginning of the next one, the very last by 0."""
    shards = 1 << _BORDER_BITS
    for number in range(shards):
        last = bitreverse(number, _BORDER_BITS) | (((1 << (_CURSOR_BITS - _BORDER_BITS)) - 1) << _BORDER_BITS)
        next_cursor, _ = _scan(link, last, 1)
        if number == shards - 1:
            return None if next_cursor == 0 else f"the last position is followed by cursor {next_cursor} instead of 0"
        if next_cursor == 0:
            return f"part {number + 1} of {shards} ended the whole scan"
        beyond = position(next_cursor) - (number + 1) / shards
        if not 0 <= beyond <= 256 / dbsize:
            return f"part {number + 1} of {shards} is not followed by the next one (off by {beyond:.5f} of the whole)"
    return None


def _slots_refused(link: RedisLink) -> str | None:
    """Keys must lie in the slots between the cursor that was sent and the one that came back."""
    for start in range(0, SLOTS, SLOTS // 4):
        cursor = start
        for _ in range(_PAGES):
            next_cursor, keys = _scan(link, cursor, _PAGE_KEYS)
            first = cursor & (SLOTS - 1)
            last = next_cursor & (SLOTS - 1) if next_cursor else SLOTS - 1
            if last < first:
                return f"the cursor after {cursor} goes back from slot {first} to {last}"
            for key in keys:
                if not first <= key_slot(key) <= last:
                    return f"cursor {cursor} returned a key of slot {key_slot(key)}, outside {first} to {last}"
            if next_cursor == 0:
                break
            cursor = next_cursor
    return None


def _scan(link: RedisLink, cursor: int, count: int) -> tuple[int, list[bytes]]:
    return scan_page(link.call("SCAN", cursor, "COUNT", count), link.where)
