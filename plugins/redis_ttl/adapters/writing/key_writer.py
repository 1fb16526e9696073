"""Gives keys their expiry, a few at a time, so that the server itself refuses what has changed since it was journalled.

Each change says its action, and the action the server's condition (`domain.policy.actions`). A key without a TTL gets
``PEXPIREAT key instant NX``. One whose TTL is to be replaced is compared and set by a script in one step: only if it
expires at exactly the instant that its journal row says. Before Redis 7.0 a script does both; there an instant is TIME and
PTTL, good to `TOLERANCE_MS`. There is no plain EXPIRE in here, and no relative one. Which keys, and which instants, is decided
elsewhere; that they were journalled is the caller's promise.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, groupby, repeat
from typing import TYPE_CHECKING, Final, assert_never

import polars as pl

from redis_ttl.adapters.columns.decisions import CHANGE_TYPES
from redis_ttl.adapters.connection.errors import ELSEWHERE, ErrorReply
from redis_ttl.adapters.connection.link import encode
from redis_ttl.adapters.server.key_questions import TOLERANCE_MS
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import ConnectionLost, ServerChanged, ServerProblem
from redis_ttl.domain.policy.actions import Action, Condition
from redis_ttl.domain.remediation.remediation import RuleAccount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis_ttl.adapters.connection.link import RedisLink, Reply, Word

#: Keys that one call of a script takes: it blocks the server for about a fifth of a millisecond.
_SCRIPT_KEYS: Final = 100

#: One script for each condition. ARGV are, for each key, the instant to set and the one at which it expires now, which is empty for a
#: key without a TTL. Answers for each key 1 where it was set, 0 where it expires at another instant or is gone.
_SCRIPT: Final = """
{clock}
local function changed(key, set, was)
  {refuse_past}
  {condition}
  return redis.call('PEXPIREAT', key, set{words})
end
local answers = {{}}
for i = 1, #KEYS do answers[i] = changed(KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
return answers
"""
_CLOCK: Final = "local clock = redis.call('TIME')\nlocal now = clock[1] * 1000 + math.floor(clock[2] / 1000)"
#: An instant in the past would delete the key.
_REFUSE_PAST: Final = "if tonumber(set) <= now then return 0 end"
_IF_NONE: Final = "if was ~= '' or redis.call('PTTL', key) ~= -1 then return 0 end"
_IF_EXACTLY: Final = "if redis.call('PEXPIRETIME', key) ~= tonumber(was) then return 0 end"
_IF_NEARLY: Final = f"""local ttl = redis.call('PTTL', key)
  if ttl < 0 or math.abs(now + ttl - tonumber(was)) > {TOLERANCE_MS} then return 0 end"""


def _script(condition: Condition, *, exact: bool) -> str:
    """The script that sets an expiry on that condition; ``exact`` for servers that know the condition's words and PEXPIRETIME."""
    same = _IF_EXACTLY if exact else _IF_NEARLY
    match condition:
        case Condition.IF_NONE:
            holds = _IF_NONE
        case Condition.IF_EARLIER:
            holds = f"if was == '' or tonumber(set) >= tonumber(was) then return 0 end\n  {same}"
        case Condition.IF_LATER:
            holds = f"if was == '' or tonumber(set) <= tonumber(was) then return 0 end\n  {same}"
        case _:
            assert_never(condition)
    return _SCRIPT.format(
        clock="" if exact else _CLOCK,
        refuse_past="" if exact else _REFUSE_PAST,
        condition=holds,
        words="".join(f", '{word}'" for word in condition.words) if exact else "",
    )


@dataclass(slots=True)
class _Part:
    """Keys of one action on their way: by script, or plainly by NX."""

    action: Action
    rows: pl.DataFrame
    keys: list[bytes]
    instants: list[bytes]
    before: list[bytes] = field(default_factory=list)
    by_script: bool = False
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of keys that were sent: ``accounts`` of those that were changed, by rule; ``raced`` are the changes that the
    server refused, because the key isn't any more what its journal row says.
    """

    accounts: dict[int, RuleAccount]
    raced: pl.DataFrame


class KeyWriter:
    """Writes over one connection, which nobody else uses meanwhile.

    ``exact`` is for servers that know PEXPIREAT's conditions and PEXPIRETIME (Redis 7.0); ``in_cluster`` keeps the keys of a
    script's call to one slot.
    """

    def __init__(self, link: RedisLink, *, exact: bool, in_cluster: bool) -> None:
        self._link = link
        self._exact = exact
        self._in_cluster = in_cluster
        self._shas: dict[Action, bytes] = {}
        self._parts: deque[_Part] = deque()
        # What was sent and not answered yet: the rows, and for each reply how many keys it is about.
        self._under_way: deque[tuple[_Part, pl.DataFrame, list[int] | None]] = deque()
        self._done: list[pl.DataFrame] = []

    def take(self, changes: pl.DataFrame) -> None:
        """The changes to write next, when no reply is under way: the columns of `CHANGE_TYPES`. Each has its action."""
        for action in Action:
            rows = changes.filter(pl.col("action") == action.value)
            if not rows.height:
                continue
            by_script = action.spec.condition is not Condition.IF_NONE or not self._exact
            if by_script and action not in self._shas:
                self._load(action)
            if by_script and self._in_cluster:
                slots = pl.Series("slot", list(map(key_slot, rows["key"].to_list())), dtype=pl.UInt16)
                rows = rows.with_columns(slots).sort("slot", maintain_order=True).drop("slot")
            instants = rows["set_ms"].cast(pl.String).cast(pl.Binary).to_list()
            _refuse_odd(instants)
            before = rows["was_ms"].cast(pl.String).fill_null("").cast(pl.Binary).to_list() if by_script else []
            self._parts.append(_Part(action, rows, rows["key"].to_list(), instants, before, by_script))

    @property
    def waiting(self) -> int:
        """How many keys haven't been sent."""
        return sum(part.rows.height - part.sent for part in self._parts)

    def give_back(self) -> pl.DataFrame:
        """The changes that haven't been sent; they are forgotten here."""
        left = [part.rows.slice(part.sent) for part in self._parts]
        self._parts.clear()
        return pl.concat([_NOTHING, *left])

    def write(self, keys: int, *, ahead: bool) -> int:
        """Send at most so many keys; how many it were. With ``ahead`` their replies may stay under way.

        Raises `ServerChanged` when the server takes no writes any more, `ConnectionLost` when keys have moved to
        another node, `MissingPermission` and other `ServerProblem`: an error is never an answer about a key.
        """
        if not self._parts:
            return 0
        part = self._parts[0]
        first, last = part.sent, min(part.sent + keys, len(part.keys))
        part.sent = last
        if last == len(part.keys):
            self._parts.popleft()
        rows = part.rows.slice(first, last - first)
        if part.by_script:
            calls = list(self._calls(part, first, last))
            self._link.send(b"".join(data for data, _ in calls), len(calls))
            self._under_way.append((part, rows, [count for _, count in calls]))
        else:
            self._link.send(_encode_sets(part.keys[first:last], part.instants[first:last]), last - first)
            self._under_way.append((part, rows, None))
        while len(self._under_way) > (1 if ahead else 0):
            self._collect()
        return last - first

    def settle(self) -> Settled:
        """What became of the keys sent since the last call; waits for every reply."""
        while self._under_way:
            self._collect()
        done, self._done = self._done, []
        if not done:
            return Settled({}, _NOTHING)
        rows = pl.concat(done)
        accounts: dict[int, RuleAccount] = {}
        for rule, action, count in rows.filter("done").group_by("rule", "action").len().iter_rows():
            account = RuleAccount(**{Action(action).spec.account: count})
            accounts[rule] = accounts.get(rule, RuleAccount()) + account
        return Settled(accounts, rows.filter(~pl.col("done")).select(list(CHANGE_TYPES)))

    def _collect(self) -> None:
        part, rows, calls = self._under_way.popleft()
        if calls is None:
            replies = self._link.receive_together(rows.height)
            if replies.count(1) == rows.height:
                self._done.append(rows.with_columns(done=pl.lit(value=True)))
                return
            self._refuse_errors(replies, "PEXPIREAT")
        else:
            replies = self._answers(part.action, self._link.receive_together(len(calls)), calls)
        self._done.append(rows.with_columns(done=pl.Series([reply == 1 for reply in replies], dtype=pl.Boolean)))

    def _calls(self, part: _Part, first: int, last: int) -> Iterator[tuple[bytes, int]]:
        """The calls of the script for these keys, each with how many of them it is about."""
        sha = self._shas[part.action]
        places: Sequence[Sequence[int]] = [range(first, last)]
        if self._in_cluster:
            places = [list(group) for _, group in groupby(range(first, last), lambda at: key_slot(part.keys[at]))]
        for group in places:
            for start in range(0, len(group), _SCRIPT_KEYS):
                some = group[start : start + _SCRIPT_KEYS]
                one, end = some[0], some[-1] + 1
                words = chain.from_iterable(zip(part.instants[one:end], part.before[one:end], strict=True))
                yield encode("EVALSHA", sha, len(some), *part.keys[one:end], *words), len(some)

    def _load(self, action: Action) -> None:
        self._shas[action] = self._link.call("SCRIPT", "LOAD", _script(action.spec.condition, exact=self._exact))

    def _answers(self, action: Action, replies: list[Reply], calls: list[int]) -> list[int]:
        answers: list[int] = []
        for reply, count in zip(replies, calls, strict=True):
            if isinstance(reply, ErrorReply) and reply.text.startswith("NOSCRIPT"):
                # SCRIPT FLUSH: nothing of this call was done. Its keys count as refused, so they are read and sent again.
                self._load(action)
                answers += [0] * count
                continue
            self._refuse_errors([reply], "EVALSHA")
            answers += reply
        return answers

    def _refuse_errors(self, replies: Sequence[Reply], command: str) -> None:
        error = next((reply for reply in replies if isinstance(reply, ErrorReply)), None)
        if error is not None:
            raise self._translated(error, command) from error

    def _translated(self, error: ErrorReply, command: str) -> Exception:
        if "READONLY" in error.text:
            return ServerChanged(
                "the server takes no writes any more (a failover)",
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


def refuse_missing_commands(link: RedisLink) -> bool:
    """Whether the server knows NX and LT and tells instants (Redis 7.0); raises `MissingPermission` for a user who may
    not ask, may not write, or may not run the script that compares and sets (a rollback needs scripts, too).
    """
    absent = b"redis_ttl:absent:" + secrets.token_hex(16).encode()
    exact = all(
        _may_send(link, words) for words in (("PEXPIRETIME", absent), ("PEXPIREAT", absent, _FAR_MS, "XX", "LT"))
    )
    if not exact:
        # What the script calls instead; a server checks that only when it gets there.
        for words in (("PEXPIREAT", absent, _FAR_MS), ("TIME",)):
            _may_send(link, words)
    _may_send(link, ("PTTL", absent))
    sha = link.call("SCRIPT", "LOAD", _script(Condition.IF_EARLIER, exact=exact))
    _may_send(link, ("EVALSHA", sha, 1, absent, _FAR_MS, _FAR_MS + 1))
    return exact


def _may_send(link: RedisLink, words: Sequence[Word]) -> bool:
    """Whether the server knows the command in this form; raises when this user may not send it."""
    reply = link.call_many([words])[0]
    if isinstance(reply, ErrorReply):
        if reply.is_unknown_command or "wrong number of arguments" in reply.text:
            return False
        if "READONLY" in reply.text:
            raise ServerChanged("the server takes no writes (a failover)", where=link.where, found=reply.text)
        if not reply.text.startswith(ELSEWHERE):
            raise link.translate(reply, words) from reply
    return True


class _SetHeads(dict[int, bytes]):
    """What stands before a key of that length in our PEXPIREAT."""

    def __missing__(self, length: int) -> bytes:
        self[length] = head = b"*4\r\n$9\r\nPEXPIREAT\r\n$%d\r\n" % length
        return head


_SET_HEADS: Final = _SetHeads()
_NOTHING: Final = pl.DataFrame(schema=CHANGE_TYPES)
_FAR_MS: Final = 9_999_999_999_990
# Instants have 13 digits from 2001 to 2286.
_DIGITS: Final = 13
_MIDDLE: Final = b"\r\n$13\r\n"


def _encode_sets(keys: list[bytes], instants: list[bytes]) -> bytes:
    heads = map(_SET_HEADS.__getitem__, map(len, keys))
    return b"".join(
        chain.from_iterable(zip(heads, keys, repeat(_MIDDLE), instants, repeat(b"\r\n$2\r\nNX\r\n"), strict=False))
    )


def _refuse_odd(instants: list[bytes]) -> None:
    """Anything shorter would be an instant in the past, which deletes the key."""
    if set(map(len, instants)) - {_DIGITS}:
        raise ServerProblem("an instant isn't in milliseconds of our time", found=str(min(instants, key=len)))
