"""Reads every key of one shard with its TTL, page by page, as columns; and the facts of a sample of keys on the way.

Per round trip: the next SCAN, the PTTL of every key of the page before, and a few of the waiting questions. Redis' -1
(no TTL) becomes null and -2 (gone) a count, here and nowhere else. Which keys matter, and what they mean, is not
known here.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from redis_ttl.adapters.connection.errors import ELSEWHERE, ErrorReply
from redis_ttl.adapters.connection.link import RedisLink, Reply, encode
from redis_ttl.adapters.connection.replies import are_numbers, count, scan_page, unexpected, whole
from redis_ttl.adapters.server.field_looks import FieldLook, FieldLooks
from redis_ttl.domain.audit.key_facts import KeyFacts, Question
from redis_ttl.domain.audit.shards import Shard, SplitRule
from redis_ttl.domain.keys.field_ttls import NO_FIELD_TTLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from redis_ttl.domain.policy.load import Load

# The next cursor, and the keys of the page.
_ScanAnswer = tuple[int, list[bytes]]

_NO_TTL = -1
_GONE = -2
# A bucket holds at most about 35 keys (Valkey: 7 a bucket, at most 5 times overfull), so this many keys per shard
# mean at least one bucket per shard.
_KEYS_PER_SHARD_FOR_NESTED_BUCKETS = 64

# No type and no encoding of a value has a longer name, and no figure of a key is larger.
_LONGEST_WORD = 64
_LARGEST = (1 << 63) - 1

# What a look at the fields of a hash counts for, in questions that take nothing but a key.
_LOOK_COSTS = 8

# Values that become part of a column at once: few enough to take less time than the server needs for a page.
_COLUMN_PART = 500

_COMMANDS = {
    Question.TYPE: ("TYPE",),
    Question.SIZE: ("MEMORY", "USAGE"),
    Question.FREQ: ("OBJECT", "FREQ"),
    Question.IDLE: ("OBJECT", "IDLETIME"),
    Question.UNWRITTEN: ("OBJECT", "IDLETIME"),
    Question.ENCODING: ("OBJECT", "ENCODING"),
}


@dataclass(frozen=True, slots=True)
class KeyBatch:
    """Some pages of a shard.

    ``frame`` has the columns ``key`` (Binary) and ``ttl_ms`` (Int64, null for a key without a TTL); ``vanished``
    counts keys that were met and were gone by the time their TTL was asked for. Everything before ``next_cursor`` has
    been handed out with this batch or an earlier one: a scan that broke off goes on from there, on the same server
    process only. ``done`` marks the last batch of the shard.
    """

    frame: pl.DataFrame
    vanished: int
    next_cursor: int
    done: bool
    pages: int

    @property
    def keys(self) -> int:
        """How many keys the batch has."""
        return self.frame.height


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request: the TTLs of a page, of which ``now`` are waited for, questions about some keys, looks at some hashes' fields,
    and perhaps a SCAN.
    """

    page: list[bytes]
    now: int
    asked: list[bytes]
    looks: list[FieldLook]
    scans: bool
    sent_s: float


class _Column:
    """A column in the making, of whatever comes: a part of it at a time is made of values, by ``make``."""

    def __init__(self, make: Callable[[list[Any]], pl.Series]) -> None:
        self._make = make
        self._parts: list[pl.Series] = []
        self._values: list[Any] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, values: list[Any]) -> None:
        self._length += len(values)
        self._values += values
        if len(self._values) >= _COLUMN_PART:
            self._parts.append(self._make(self._values))
            self._values = []

    def take(self) -> pl.Series:
        """All of it; the next one begins."""
        column = pl.concat([*self._parts, self._make(self._values)], rechunk=True)
        self._parts, self._values, self._length = [], [], 0
        return column


class ShardReader:
    """Reads one shard over one connection, from its start or from where an earlier reader stopped.

    ``questions`` are what `ask` asks about a key, ``samples`` keys whose turning up is noted. Hashes are asked for the TTLs of their
    fields only where the database ``has_field_ttls``, or may have some. With ``PEXPIRETIME``
    (Redis 7.0) the column ``ttl_ms`` has the instant at which a key expires, ms since 1970, instead of what is left. A key that
    moves to another node of a cluster just then is gone from this one, unless ``moved_is_gone`` says otherwise: then
    `ConnectionLost` is raised.
    Used by one thread at a time.
    """

    def __init__(
        self,
        link: RedisLink,
        shard: Shard,
        load: Load,
        *,
        questions: Sequence[Question] = (),
        samples: Iterable[bytes] = (),
        batch_keys: int = 100_000,
        batch_s: float = 2.0,
        expiry: Literal["PTTL", "PEXPIRETIME"] = "PTTL",
        moved_is_gone: bool = True,
        has_field_ttls: bool = True,
    ) -> None:
        self._link = link
        self._shard = shard
        self._batch_keys = batch_keys
        self._batch_s = batch_s
        self._expiry = expiry
        self._moved_is_gone = moved_is_gone
        self._heads = _Heads(expiry)
        self._pace = load.pace(round_trip_s=_round_trip_s(link))
        self._questions = tuple(question for question in questions if question is not Question.FIELDS)
        self._asks_fields = Question.FIELDS in questions
        self._has_field_ttls = has_field_ttls
        self._looks = FieldLooks()
        self._samples = frozenset(samples)
        self._met: set[bytes] = set()
        self._waiting: deque[bytes] = deque()
        self._facts: list[KeyFacts] = []
        # What belongs to the next batch. PTTLs of the last `_under_way` keys haven't been answered yet.
        self._keys = _Column(lambda keys: pl.Series(keys, dtype=pl.Binary))
        self._ttls = _Column(self._ttl_column)
        self._under_way = 0

    def batches(self, cursor: int | None = None) -> Iterator[KeyBatch]:
        """Every key that is there from the shard's start to its end, at least once; at least one batch.

        ``cursor`` is the ``next_cursor`` of an earlier batch to go on from; None begins at the shard's start. A key
        comes twice only if the server's table shrinks meanwhile. Raises `ConnectionLost` (go on from the last batch's
        ``next_cursor`` over a new connection, if the same process answers), `MissingPermission` and other
        `ServerProblem`.
        """
        shard = self._shard
        scan_from: int | None = shard.start_cursor if cursor is None else cursor
        resume_at = scan_from or 0
        largest_page = self._pace.page_keys
        may_grow = True
        page: list[bytes] = []
        pages = 0
        began_s = time.monotonic()
        while scan_from is not None or page:
            count = self._pace.page_keys if may_grow else min(largest_page, self._pace.page_keys)
            sent = self._send(page, scan_from, count)
            # Here the server has something to do. However slow the load, somebody waits for news of the scan, and a kill
            # may cost only so much.
            if self._pace.keeps_busy and self._is_due(began_s):
                yield self._batch(resume_at, pages, done=False)
                pages, began_s = 0, time.monotonic()
            answer = self._receive(sent)
            pages += 1
            page = []
            if answer is not None and scan_from is not None:
                resume_at = scan_from
                next_cursor, found = answer
                if not shard.overshoots(next_cursor):
                    page = found
                elif shard.rule is SplitRule.SLOTS:
                    page = [key for key in found if shard.holds(key)]
                elif count > 1:
                    # Some of these keys are the next shard's. Read on from the same place in smaller steps, so as to
                    # end exactly at the border.
                    may_grow, largest_page = False, max(1, count // 4)
                    continue
                else:
                    page = self._before_border(shard, found)
                scan_from = None if shard.is_past(next_cursor) else next_cursor
            if scan_from is None and not page:
                break
            if not self._pace.keeps_busy and self._is_due(began_s):
                yield self._batch(resume_at, pages, done=False)
                pages, began_s = 0, time.monotonic()
        yield self._batch(0, pages, done=True)

    def ask(self, keys: Iterable[bytes]) -> None:
        """Have the reader's questions asked about these keys, a few along with each of the pages to come."""
        if self._questions:
            self._waiting.extend(keys)

    def answers(self) -> list[KeyFacts]:
        """What was answered since the last call; a key that is gone by now has no answer."""
        answers, self._facts = self._facts, []
        return answers

    def all_answers(self) -> list[KeyFacts]:
        """Like `answers`, after asking everything that is still waiting."""
        while self._waiting or self._looks:
            asked = self._take_waiting(self._pace.page_keys)
            looks = self._looks.take(max(1, self._pace.page_keys // _LOOK_COSTS))
            sent_s = time.monotonic()
            request, answers = self._about(asked, looks)
            self._collect(asked, looks, self._link.exchange(b"".join(request), answers))
            self._rest(0, sent_s)
        return self.answers()

    def seen_samples(self) -> list[bytes]:
        """The samples that were met since the last call."""
        met, self._met = self._met, set()
        return list(met)

    def _send(self, page: list[bytes], scan_from: int | None, count: int) -> _Sent:
        """Ask for the TTLs of the page and scan on.

        Where the pace allows it, the page's last TTLs stay under way when the rest has been answered: the server has
        something to do while we take in the next page and ask for its TTLs.
        """
        # A page that was sized to block the server for a moment mustn't bring questions that block it for longer.
        most = max(4, count // 10, len(self._waiting) // 8 if self._pace.keeps_busy else 0)
        looks = self._looks.take(max(1, most // _LOOK_COSTS))
        asked = self._take_waiting(max(1, most - _LOOK_COSTS * len(looks)))
        now = len(page) // 3 if self._pace.keeps_busy and scan_from is not None else len(page)
        request, answers = self._about(asked, looks)
        if scan_from is not None:
            request.append(encode("SCAN", scan_from, "COUNT", count))
            answers += 1
        sent_s = time.monotonic()
        self._link.send(b"".join([_one_each(self._heads, page[:now]), *request]), now + answers)
        if now < len(page):
            # By itself, so that the server doesn't take it in, and hold back its answers, before it has scanned on.
            self._link.send(_one_each(self._heads, page[now:]), len(page) - now)
        self._met |= self._samples.intersection(page)
        return _Sent(page, now, asked, looks, scan_from is not None, sent_s)

    def _receive(self, sent: _Sent) -> _ScanAnswer | None:
        """Wait for the answers; that to the SCAN if there was one."""
        self._settle()
        # The server is at work for us: a good moment to make columns of what has arrived.
        self._keys.add(sent.page)
        questions = len(sent.asked) * len(self._questions) + sum(look.replies for look in sent.looks)
        replies = self._link.receive_together(sent.now + questions + sent.scans)
        self._under_way = len(sent.page) - sent.now
        answer = self._scan_answer(replies.pop()) if sent.scans else None
        self._ttls.add(replies[: sent.now])
        self._collect(sent.asked, sent.looks, replies[sent.now :])
        self._rest(max(len(sent.page), len(answer[1]) if answer else 0), sent.sent_s)
        return answer

    def _rest(self, keys: int, sent_s: float) -> None:
        """Leave the server alone for as long as the pace says, after a round trip about so many keys."""
        now_s = time.monotonic()
        pause_s = self._pace.pause_s(keys=keys, elapsed_s=now_s - sent_s, now_s=now_s)
        if pause_s > 0:
            time.sleep(pause_s)

    def _about(self, asked: Sequence[bytes], looks: Sequence[FieldLook]) -> tuple[list[bytes], int]:
        """The questions about these keys and hashes, and how many answers they have."""
        request = [encode(*_COMMANDS[question], key) for key in asked for question in self._questions]
        answers = len(request) + sum(look.replies for look in looks)
        return request + [look.request for look in looks], answers

    def _settle(self) -> None:
        """Wait for the TTLs that are under way."""
        if self._under_way:
            self._ttls.add(self._link.receive_together(self._under_way))
            self._under_way = 0

    def _is_due(self, began_s: float) -> bool:
        keys = len(self._keys)
        return keys >= self._batch_keys or (keys > 0 and time.monotonic() - began_s >= self._batch_s)

    def _scan_answer(self, reply: Reply) -> _ScanAnswer:
        return scan_page(reply, self._link.where)

    def _batch(self, next_cursor: int, pages: int, *, done: bool) -> KeyBatch:
        self._settle()
        asked = pl.DataFrame({"key": self._keys.take(), "ttl_ms": self._ttls.take()})
        least = asked["ttl_ms"].min()
        if isinstance(least, int) and least < _GONE:
            raise unexpected(least, self._expiry, self._link.where, "-2, -1 or milliseconds")
        frame = asked.filter(pl.col("ttl_ms") != _GONE)
        frame = frame.with_columns(pl.when(pl.col("ttl_ms") != _NO_TTL).then(pl.col("ttl_ms")))
        return KeyBatch(frame, asked.height - frame.height, next_cursor, done, pages)

    def _ttl_column(self, ttls: list[Reply]) -> pl.Series:
        if not are_numbers(ttls):  # polars would look into anything else, as deep as it goes
            ttls = [self._ttl_or_gone(ttl) for ttl in ttls]
        try:
            return pl.Series(ttls, dtype=pl.Int64)
        except OverflowError as error:
            raise unexpected(max(ttls, key=abs), self._expiry, self._link.where, "-2, -1 or milliseconds") from error

    def _ttl_or_gone(self, reply: Reply) -> int:
        if self._moved_is_gone and isinstance(reply, ErrorReply) and reply.text.startswith(ELSEWHERE):
            return _GONE
        return whole(reply, self._expiry, self._link.where)

    def _before_border(self, shard: Shard, found: list[bytes]) -> list[bytes]:
        # A page of COUNT 1 ends with the first bucket that has keys. It ended past the border, so that bucket lies
        # past it too, unless buckets are larger than shards; then its keys are kept, and some of them are met twice
        # rather than never.
        keys = count(self._link.call("DBSIZE"), "DBSIZE", self._link.where)
        nested = keys >= _KEYS_PER_SHARD_FOR_NESTED_BUCKETS * shard.of
        return [] if nested else found

    def _take_waiting(self, most_commands: int) -> list[bytes]:
        most_keys = min(len(self._waiting), max(1, most_commands // max(1, len(self._questions))))
        return [self._waiting.popleft() for _ in range(most_keys)]

    def _collect(self, asked: Sequence[bytes], looks: Sequence[FieldLook], replies: Sequence[Reply]) -> None:
        width = len(self._questions)
        for number, key in enumerate(asked):
            facts = _facts(key, dict(zip(self._questions, replies[number * width : (number + 1) * width], strict=True)))
            if facts is None:
                continue
            if facts.type != "hash":
                self._facts.append(facts)
            elif not self._has_field_ttls:
                self._facts.append(replace(facts, fields=NO_FIELD_TTLS))
            elif self._asks_fields:
                self._looks.add(facts)
            else:
                self._facts.append(facts)
        self._facts += self._looks.answered(looks, replies[len(asked) * width :])


def _round_trip_s(link: RedisLink) -> float:
    best_s = float("inf")
    for _ in range(10):
        started_s = time.monotonic()
        # An error reply takes as long.
        link.call_many([("PING",)])
        best_s = min(best_s, time.monotonic() - started_s)
    return best_s


def _facts(key: bytes, replies: dict[Question, Reply]) -> KeyFacts | None:
    """What was answered about a key. An answer of another kind than its question's is none."""
    kind = replies.get(Question.TYPE)
    if kind == b"none":
        return None
    return KeyFacts(
        key,
        _word(kind),
        _number(replies.get(Question.SIZE)),
        _number(replies.get(Question.FREQ)),
        _number(replies.get(Question.IDLE)),
        _word(replies.get(Question.ENCODING)),
        unwritten_s=_number(replies.get(Question.UNWRITTEN)),
    )


def _word(reply: Reply) -> str | None:
    return reply[:_LONGEST_WORD].decode("utf-8", "replace") if isinstance(reply, bytes) else None


def _number(reply: Reply) -> int | None:
    return reply if isinstance(reply, int) and 0 <= reply <= _LARGEST else None


class _Heads(dict[int, bytes]):
    """What stands before a key of that length in a command that takes nothing but a key."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._start = b"*2\r\n$%d\r\n%b\r\n$" % (len(command), command.encode())

    def __missing__(self, length: int) -> bytes:
        self[length] = head = self._start + b"%d\r\n" % length
        return head


def _one_each(heads: _Heads, keys: Sequence[bytes]) -> bytes:
    """One command for each key, encoded without a line of ours running for each."""
    found = map(heads.__getitem__, map(len, keys))
    return b"".join(chain.from_iterable(zip(found, keys, repeat(b"\r\n"), strict=False)))
