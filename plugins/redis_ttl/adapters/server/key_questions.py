"""Asks one server about keys that are to be changed: when they expire, whether they are in use, and what time it is there.

An answer that can't be had is an error here and never a fact about the key: a key that is elsewhere in a cluster, or whose
server can't answer now, is neither gone nor cold.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.profile import parse_info
from redis_ttl.adapters.connection.replies import are_numbers, time_us, unexpected, whole
from redis_ttl.domain.errors import ServerProblem
from redis_ttl.domain.policy.guards import CLOCKS_DIFFER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.adapters.connection.link import RedisLink, Reply
    from redis_ttl.domain.audit.server import ServerProfile
    from redis_ttl.domain.policy.policy import Cold

#: How exactly the instant of an expiry is known before 7.0, where it is TIME and PTTL, one after the other.
TOLERANCE_MS: Final = 20

#: PTTLs between two looks at the server's clock, before 7.0: they take a fifth of a millisecond.
_TTLS_PER_LOOK: Final = 200
#: Keys that are asked about in one round trip.
_ASKED_TOGETHER: Final = 500
_USES_ASKED_TOGETHER: Final = 200
_NO_TTL: Final = -1
_GONE: Final = -2


def server_now_ms(link: RedisLink) -> int:
    """The server's clock, ms since 1970. Raises `ServerProblem` where it can't be read, and where it is so far from this
    machine's that instants of the two make no sense together.
    """
    now_ms = _told_now_ms(link)
    ahead_s = now_ms / 1000 - time.time()
    if abs(ahead_s) > CLOCKS_DIFFER_S:
        raise ServerProblem(
            "the server's clock and this machine's differ too much for expiries to be right",
            where=link.where,
            found=f"{ahead_s:+,.0f} s",
            allowed=f"{CLOCKS_DIFFER_S:g} s at most",
            todo="Set both by the same time server (NTP), and clear the task.",
        )
    return now_ms


def _told_now_ms(link: RedisLink) -> int:
    told = parse_info(link.call("INFO", "server")).get("server_time_usec", "")
    if told.isdecimal():
        return int(told) // 1000
    answer = link.call_many([("TIME",)])[0]
    if isinstance(answer, ErrorReply):
        raise ServerProblem(
            "the server doesn't tell its time, neither in INFO nor by TIME, so no expiry can be computed",
            where=link.where,
            found=answer.text,
            todo="Allow it with ACL SETUSER <user> +time.",
        ) from link.translate(answer, ("TIME",))
    return time_us(answer, link.where) // 1000


class ExpiryQuestions:
    """Asks when keys expire; ``exact`` where the server tells instants (Redis 7.0)."""

    def __init__(self, link: RedisLink, *, exact: bool) -> None:
        self._link = link
        self._exact = exact

    def of(self, keys: Sequence[bytes]) -> pl.DataFrame:
        """A row for each key: ``expires_ms``, null without a TTL, and ``gone``.

        Raises `ConnectionLost` for a key that another node of a cluster answers for.
        """
        answers: list[int] = []
        size = _ASKED_TOGETHER if self._exact else _TTLS_PER_LOOK
        for at in range(0, len(keys), size):
            part = keys[at : at + size]
            answers += self._exactly(part) if self._exact else self._nearly(part)
        answer = pl.col("answer")
        return pl.DataFrame({"answer": answers}, schema={"answer": pl.Int64}).select(
            pl.when(answer >= 0).then(answer).alias("expires_ms"), (answer == _GONE).alias("gone")
        )

    def _exactly(self, keys: Sequence[bytes]) -> list[int]:
        return self._whole(self._link.call_many([("PEXPIRETIME", key) for key in keys]), "PEXPIRETIME")

    def _nearly(self, keys: Sequence[bytes]) -> list[int]:
        clock, *ttls = self._link.call_many([("TIME",), *(("PTTL", key) for key in keys)])
        now_ms = time_us(clock, self._link.where) // 1000
        return [now_ms + ttl if ttl > _NO_TTL else ttl for ttl in self._whole(ttls, "PTTL")]

    def _whole(self, replies: list[Reply], command: str) -> list[int]:
        return replies if are_numbers(replies) else [whole(reply, command, self._link.where) for reply in replies]


class UseQuestions:
    """Asks how much keys are used; where the server can't tell in the rule's terms, every key counts as used."""

    def __init__(self, link: RedisLink, profile: ServerProfile) -> None:
        self._link = link
        self._counts = profile.evicts_by_frequency
        self._tells_last_use = profile.tells_last_use

    def are_cold(self, keys: Sequence[bytes], cold: Cold) -> list[bool | None]:
        """For each key whether it is cold; None when it is gone. Raises `ConnectionLost` for one that is elsewhere."""
        word, bound = ("FREQ", cold.freq_at_most) if self._counts else ("IDLETIME", cold.idle_s)
        if bound is None or not self._tells_last_use:
            return [False] * len(keys)
        answers: list[bool | None] = []
        for at in range(0, len(keys), _USES_ASKED_TOGETHER):
            part = keys[at : at + _USES_ASKED_TOGETHER]
            for reply in self._link.call_many([("OBJECT", word, key) for key in part]):
                if reply is None:
                    answers.append(None)
                elif isinstance(reply, int):
                    answers.append(reply <= bound if self._counts else reply >= bound)
                else:
                    answers.append(self._meaning(reply, word))
        return answers

    def _meaning(self, reply: Reply, word: str) -> bool | None:
        """None for a key that is gone, which Redis 7.0 says by an error; not cold where this can't be asked here at all."""
        if not isinstance(reply, ErrorReply):
            raise unexpected(reply, f"OBJECT {word}", self._link.where, "a number")
        if "no such key" in reply.text:
            return None
        if "maxmemory policy" in reply.text or reply.is_unknown_command or reply.forbids_command or reply.forbids_key:
            return False
        raise self._link.translate(reply, ("OBJECT", word)) from reply
