"""Gives keys their expiry, a few at a time, so that the server itself refuses what has changed since we read it.

A key without a TTL gets ``PEXPIREAT key instant NX``, one whose TTL is to be shortened ``XX LT``; before Redis 7.0 one
script does both, atomically. There is no plain EXPIRE in here, and no relative one. Which keys, and which instants, is
decided elsewhere; that they were journalled is the caller's promise.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.decisions_columns import CHANGE_TYPES
from redis_ttl.adapters.redis_errors import ELSEWHERE, ErrorReply
from redis_ttl.adapters.redis_link import encode
from redis_ttl.domain.errors import ConnectionLost, ServerChanged, ServerProblem
from redis_ttl.domain.remediation import RuleAccount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.adapters.redis_link import RedisLink, Reply, Word

#: Keys that one call of the script takes: it blocks the server for about a fifth of a millisecond.
_SCRIPT_KEYS: Final = 100
#: A TTL read before 7.0 is good to a few milliseconds; an application's own change moves it by more.
_SAME_WITHIN_MS: Final = 1_000
_GONE: Final = -2

#: ARGV[1] is ``set`` or ``cap``, the others are instants. Answers for each key 0 where nothing was done, 1 where it had
#: no TTL, or the instant at which it would have expired.
_SCRIPT: Final = b"""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local answers = {}
for i = 1, #KEYS do
  local ttl = redis.call('PTTL', KEYS[i])
  local instant = tonumber(ARGV[i + 1])
  answers[i] = 0
  if instant > now then
    if ARGV[1] == 'set' then
      if ttl == -1 and redis.call('PEXPIREAT', KEYS[i], ARGV[i + 1]) == 1 then answers[i] = 1 end
    elseif ARGV[1] == 'cap' then
      if ttl >= 0 and now + ttl > instant and redis.call('PEXPIREAT', KEYS[i], ARGV[i + 1]) == 1 then
        answers[i] = now + ttl
      end
    end
  end
end
return answers
"""


@dataclass(slots=True)
class _Part:
    """Keys of one kind on their way: all ``set`` or all ``cap``."""

    rows: pl.DataFrame
    keys: list[bytes]
    instants: list[bytes]
    caps: bool
    sent: int = 0


class KeyWriter:
    """Writes over one connection, which nobody else uses meanwhile.

    ``scripted`` writes by script, for servers that know no NX and LT; ``single_keys`` gives each call of it one key, as
    a cluster wants it.
    """

    def __init__(self, link: RedisLink, *, scripted: bool, single_keys: bool) -> None:
        self._link = link
        self._script_keys = 1 if single_keys else _SCRIPT_KEYS
        self._script = link.call("SCRIPT", "LOAD", _SCRIPT) if scripted else None
        self._parts: deque[_Part] = deque()
        # What was sent and not answered yet: the rows, whether caps, and how many replies will come.
        self._under_way: deque[tuple[pl.DataFrame, bool, int]] = deque()
        self._done: list[pl.DataFrame] = []
        self._corrections = _NOTHING

    def take(self, changes: pl.DataFrame) -> None:
        """The changes to write next: columns ``key``, ``db``, ``rule``, ``was_ms`` and ``set_ms``."""
        for caps in (False, True):
            rows = changes.filter(pl.col("was_ms").is_not_null() if caps else pl.col("was_ms").is_null())
            if rows.height:
                instants = rows["set_ms"].cast(pl.String).cast(pl.Binary).to_list()
                self._parts.append(_Part(rows, rows["key"].to_list(), instants, caps))

    @property
    def waiting(self) -> int:
        """How many keys haven't been sent."""
        return sum(part.rows.height - part.sent for part in self._parts)

    @property
    def earliest_ms(self) -> int | None:
        """The earliest instant among the keys that haven't been sent; None when there are none."""
        found = [part.rows["set_ms"][part.sent :].min() for part in self._parts]
        return min((int(str(each)) for each in found if each is not None), default=None)

    def drop(self) -> dict[int, int]:
        """Forget the keys that haven't been sent; how many of each rule."""
        left: dict[int, int] = {}
        for part in self._parts:
            for rule, count in part.rows.slice(part.sent).group_by("rule").len().iter_rows():
                left[rule] = left.get(rule, 0) + count
        self._parts.clear()
        return left

    def write(self, keys: int, *, ahead: bool) -> int:
        """Send at most so many keys; how many it were. With ``ahead`` their replies may stay under way.

        Raises `ServerChanged` when the server takes no writes any more, `ConnectionLost` when keys have moved to
        another node, `MissingPermission` and other `ServerProblem`.
        """
        if not self._parts:
            return 0
        part = self._parts[0]
        first, last = part.sent, min(part.sent + keys, len(part.keys))
        part.sent = last
        if last == len(part.keys):
            self._parts.popleft()
        names, instants = part.keys[first:last], part.instants[first:last]
        if self._script is not None:
            data, replies = self._encode_script(names, instants, caps=part.caps)
        elif part.caps:
            data, replies = _encode_caps(names, instants), 2 * len(names)
        else:
            data, replies = _encode_sets(names, instants), len(names)
        self._link.send(data, replies)
        self._under_way.append((part.rows.slice(first, last - first), part.caps, replies))
        while len(self._under_way) > (1 if ahead else 0):
            self._collect()
        return last - first

    def settle(self) -> dict[int, RuleAccount]:
        """What became of the keys sent since the last call, by rule; waits for every reply."""
        while self._under_way:
            self._collect()
        done, self._done = self._done, []
        accounts: dict[int, RuleAccount] = {}
        if not done:
            return accounts
        rows = pl.concat(done)
        refused = rows.filter(~pl.col("done"))
        counts = [
            (rule, RuleAccount(capped=count) if caps else RuleAccount(set=count))
            for rule, caps, count in rows.filter("done")
            .group_by("rule", pl.col("was_ms").is_not_null().alias("caps"))
            .len()
            .iter_rows()
        ]
        if refused.height:
            counts += self._refusals(refused)
        for rule, account in counts:
            accounts[rule] = accounts.get(rule, RuleAccount()) + account
        return accounts

    def corrections(self) -> pl.DataFrame:
        """Keys whose TTL the application changed just before we did, with the instant that was really theirs, since the
        last call.
        """
        found, self._corrections = self._corrections, _NOTHING
        return found

    def _collect(self) -> None:
        rows, caps, count = self._under_way.popleft()
        replies = self._link.receive_together(count)
        if self._script is not None:
            answers = self._scripted_answers(replies)
            done = [answer != 0 for answer in answers]
            before: list[int] | None = answers if caps else None
        elif caps:
            before = self._whole(replies[0::2], "PEXPIRETIME")
            done = [reply == 1 for reply in self._whole(replies[1::2], "PEXPIREAT")]
        else:
            before = None
            if replies.count(1) == count:
                self._done.append(rows.with_columns(done=pl.lit(value=True)))
                return
            done = [reply == 1 for reply in self._whole(replies, "PEXPIREAT")]
        rows = rows.with_columns(done=pl.Series(done, dtype=pl.Boolean))
        self._done.append(rows)
        if before is not None:
            was = rows.with_columns(really_ms=pl.Series(before, dtype=pl.Int64))
            moved = (pl.col("really_ms") - pl.col("was_ms")).abs() > (_SAME_WITHIN_MS if self._script else 0)
            corrected = was.filter(pl.col("done") & moved).with_columns(was_ms="really_ms").select(list(CHANGE_TYPES))
            self._corrections = pl.concat([self._corrections, corrected])

    def _encode_script(self, keys: list[bytes], instants: list[bytes], *, caps: bool) -> tuple[bytes, int]:
        script, mode, size = self._script or b"", "cap" if caps else "set", self._script_keys
        calls = [
            encode("EVALSHA", script, len(keys[at : at + size]), *keys[at : at + size], mode, *instants[at : at + size])
            for at in range(0, len(keys), size)
        ]
        return b"".join(calls), len(calls)

    def _scripted_answers(self, replies: list[Reply]) -> list[int]:
        self._refuse_errors(replies, "EVALSHA")
        return [int(answer) for reply in replies for answer in reply]

    def _whole(self, replies: list[Reply], command: str) -> list[int]:
        self._refuse_errors(replies, command)
        return replies

    def _refuse_errors(self, replies: Sequence[Reply], command: str) -> None:
        error = next((reply for reply in replies if isinstance(reply, ErrorReply)), None)
        if error is not None:
            raise self._translated(error, command) from error

    def _translated(self, error: ErrorReply, command: str) -> Exception:
        if error.text.startswith(("READONLY", "NOSCRIPT")):
            return ServerChanged(
                "the server takes no writes any more (a failover)"
                if error.text.startswith("READONLY")
                else "the server has forgotten our script (a restart)",
                where=self._link.where,
                found=error.text,
                todo="The part begins again, at the primary of that moment.",
            )
        if error.text.startswith(ELSEWHERE):
            todo = "The part begins again, when the slots are where they belong."
            return ConnectionLost(
                "keys have moved to another node", where=self._link.where, found=error.text, todo=todo
            )
        return self._link.translate(error, (command,))

    def _refusals(self, refused: pl.DataFrame) -> list[tuple[int, RuleAccount]]:
        """Why the server refused: the key is gone, has our instant already, or was changed by the application."""
        command = "PTTL" if self._script else "PEXPIRETIME"
        replies = self._link.call_many([(command, key) for key in refused["key"].to_list()])
        self._refuse_errors(replies, command)
        counts = []
        ours_ms = refused["set_ms"].to_list()
        for rule, set_ms, reply in zip(refused["rule"].to_list(), ours_ms, replies, strict=True):
            if reply == _GONE:
                counts.append((rule, RuleAccount(vanished=1)))
            elif reply == set_ms:
                counts.append((rule, RuleAccount(already_ours=1)))
            else:
                counts.append((rule, RuleAccount(raced=1)))
        return counts


def refuse_missing_commands(link: RedisLink) -> bool:
    """Whether the server knows NX and LT and tells instants (Redis 7.0); raises `MissingPermission` for a user who may
    not ask, or may not write.
    """
    absent = b"redis_ttl:absent:" + secrets.token_hex(16).encode()
    if not all(
        _may_send(link, words) for words in (("PEXPIRETIME", absent), ("PEXPIREAT", absent, _FAR_MS, "XX", "LT"))
    ):
        # What the script calls instead; a server checks that only when it gets there.
        for words in (("PEXPIREAT", absent, _FAR_MS), ("PTTL", absent), ("TIME",)):
            _may_send(link, words)
        return False
    return True


def _may_send(link: RedisLink, words: Sequence[Word]) -> bool:
    """Whether the server knows the command in this form; raises when this user may not send it."""
    reply = link.call_many([words])[0]
    if isinstance(reply, ErrorReply):
        if reply.is_unknown_command or "wrong number of arguments" in reply.text:
            return False
        if reply.text.startswith("READONLY"):
            raise ServerChanged("the server takes no writes (a failover)", where=link.where, found=reply.text)
        if not reply.text.startswith(ELSEWHERE):
            raise link.translate(reply, words) from reply
    return True


class _SetHeads(dict[int, bytes]):
    """What stands before a key of that length in our PEXPIREAT."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self._start = b"*%d\r\n$9\r\nPEXPIREAT\r\n$" % words

    def __missing__(self, length: int) -> bytes:
        self[length] = head = self._start + b"%d\r\n" % length
        return head


_SET_HEADS: Final = _SetHeads(4)
_CAP_HEADS: Final = _SetHeads(5)
_NOTHING: Final = pl.DataFrame(schema=CHANGE_TYPES)
_FAR_MS: Final = 9_999_999_999_999
# Instants have 13 digits from 2001 to 2286.
_DIGITS: Final = 13
_MIDDLE: Final = b"\r\n$13\r\n"


def _encode_sets(keys: list[bytes], instants: list[bytes]) -> bytes:
    _refuse_odd(instants)
    heads = map(_SET_HEADS.__getitem__, map(len, keys))
    return b"".join(
        chain.from_iterable(zip(heads, keys, repeat(_MIDDLE), instants, repeat(b"\r\n$2\r\nNX\r\n"), strict=False))
    )


def _encode_caps(keys: list[bytes], instants: list[bytes]) -> bytes:
    _refuse_odd(instants)
    asked = [encode("PEXPIRETIME", key) for key in keys]
    heads = map(_CAP_HEADS.__getitem__, map(len, keys))
    tail = b"\r\n$2\r\nXX\r\n$2\r\nLT\r\n"
    return b"".join(chain.from_iterable(zip(asked, heads, keys, repeat(_MIDDLE), instants, repeat(tail), strict=False)))


def _refuse_odd(instants: list[bytes]) -> None:
    """Anything shorter would be an instant in the past, which deletes the key."""
    if set(map(len, instants)) - {_DIGITS}:
        raise ServerProblem("an instant isn't in milliseconds of our time", found=str(min(instants, key=len)))
