"""One blocking connection to one Redis server: bytes out, replies in, every failure in our own words.

redis-py opens it (:mod:`redis_ttl.adapters.connection.opening`), and stays out of the way from then on: a scan reads two replies per
key, and what a reply costs is what an audit costs. Commands that are sent once (`call`, `call_many`) and commands that are sent
by the thousand (`send`, `receive_together`) share the socket.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

import hiredis

from redis_ttl.adapters.connection.errors import (
    ErrorReply,
    command_name,
    connection_lost,
    hung_up_on,
    not_redis,
    plain_to_tls,
    refused_by_tls,
    translate_reply,
)
from redis_ttl.adapters.connection.replies import unexpected
from redis_ttl.domain.errors import ConnectionLost, OtherServer, UnexpectedReply
from redis_ttl.domain.secret import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from redis_ttl.adapters.connection.endpoint import Endpoint

Word = bytes | str | int
# bytes, int, None, list of the same, or ErrorReply
Reply = Any

_CLIENT_NAME = "redis_ttl"
# A page of a thousand keys and the replies about it fit in one or two reads.
_RECEIVE_BYTES = 256 * 1024
#: Bytes that may be waiting for a reply, or replies that are taken together, to be complete: a page of 250 names of a megabyte.
LARGEST_REPLY_BYTES: Final = 256 * 1024 * 1024
#: Read timeouts that a single reply may take. A server that sends a byte now and then never runs into the timeout of one read.
SLOWEST_REPLY_TIMEOUTS: Final = 10
#: Characters of an error reply that are worth a sentence of ours.
_LONGEST_ERROR: Final = 300
# What the parser answers when it needs more bytes for the next reply.
_NOT_YET = object()


def _short_error(text: str) -> ErrorReply:
    return ErrorReply(text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}...")


def encode(*words: Word) -> bytes:
    """One command in Redis' protocol."""
    # A secret is a text that shows itself as asterisks, but encodes as what it is.
    parts = [
        word if isinstance(word, bytes) else word.encode() if isinstance(word, str) else str(word).encode()
        for word in words
    ]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def encode_each(command: str, keys: Iterable[bytes]) -> list[bytes]:
    """That command for each of many keys, in a fraction of the time."""
    head = b"*2\r\n$%d\r\n%b\r\n" % (len(command), command.encode())
    return [b"%b$%d\r\n%b\r\n" % (head, len(key), key) for key in keys]


class RedisLink:
    """A connection that is logged in and stands on its database; closed by ``close`` or the end of a ``with`` block.

    Opening raises `Unreachable`, `AuthenticationFailed`, `TlsMismatch`, `NoSuchDatabase`, `MissingPermission`, and
    `OtherServer` where the endpoint means another node of a cluster than the one that answers;
    using it raises `ConnectionLost` and what the server's error reply means. ``replica_reads`` asks a cluster's
    replica to answer for its primary's slots.
    """

    def __init__(self, endpoint: Endpoint, *, replica_reads: bool = False) -> None:
        self.endpoint = endpoint
        self.where = f"{endpoint.label} db{endpoint.db}" if endpoint.db else endpoint.label
        self.was_closed = False
        self._answered = False
        from redis_ttl.adapters.connection.opening import open_connection  # noqa: PLC0415  # half a second, for redis-py

        self._opened = open_connection(endpoint, self.where)
        self._socket = self._opened.socket
        self._parser = hiredis.Reader(replyError=_short_error, notEnoughData=_NOT_YET)
        self._arrived: list[Reply] = []
        # Replies to what `send` sent that nobody has taken yet.
        self._awaited = 0
        try:
            self._log_in(replica_reads=replica_reads)
        except BaseException:
            self.close()
            raise

    def call(self, *words: Word) -> Reply:
        """The reply to one command; an error reply is raised in our words."""
        reply = self.call_many([words])[0]
        if isinstance(reply, ErrorReply):
            raise self.translate(reply, words) from reply
        return reply

    def call_many(self, commands: Iterable[Sequence[Word]]) -> list[Reply]:
        """The replies to several commands in one round trip, in their order; errors are `ErrorReply` among them.

        Replies to earlier commands that are under way stay for `receive_together`.
        """
        encoded = [encode(*words) for words in commands]
        return self.exchange(b"".join(encoded), len(encoded))

    def exchange(self, data: bytes, count: int) -> list[Reply]:
        """Like `call_many`, for ``count`` commands that are already encoded."""
        earlier = self._awaited
        self.send(data, count)
        self._wait_for(earlier + count)
        replies = self._arrived[earlier : earlier + count]
        del self._arrived[earlier : earlier + count]
        self._awaited = earlier
        return replies

    def send(self, data: bytes, count: int) -> None:
        """Send ``count`` commands that are already encoded; `receive_together` collects their replies."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._broken_off(str(error)) from error
        self._awaited += count

    def receive_together(self, count: int) -> list[Reply]:
        """The next ``count`` replies, as one list; error replies are elements of it. Later ones may be under way still."""
        self._wait_for(count)
        replies, self._arrived = self._arrived[:count], self._arrived[count:]
        self._awaited -= count
        return replies

    def _wait_for(self, count: int) -> None:
        complete, size, since = len(self._arrived), 0, time.monotonic()
        while len(self._arrived) < count:
            size += self._receive()
            if size > LARGEST_REPLY_BYTES and len(self._arrived) < count:
                raise self._given_up(f"more than {LARGEST_REPLY_BYTES:,} bytes, and no end")
            if len(self._arrived) > complete:
                complete, since = len(self._arrived), time.monotonic()
            elif time.monotonic() - since > SLOWEST_REPLY_TIMEOUTS * self.endpoint.read_timeout_s:
                raise self._given_up(f"no end after {SLOWEST_REPLY_TIMEOUTS * self.endpoint.read_timeout_s:g} s")

    def _given_up(self, found: str) -> Exception:
        """What comes next on this connection would be read as the answer to something else."""
        self.close()
        return UnexpectedReply(
            "the server's reply doesn't come to its end",
            where=self.where,
            found=found,
            allowed=f"at most {LARGEST_REPLY_BYTES:,} bytes, within {SLOWEST_REPLY_TIMEOUTS * self.endpoint.read_timeout_s:g} s",
            todo="It may be a proxy or a look-alike, or have names of many megabytes: connect to the server itself.",
        )

    def translate(self, reply: ErrorReply, words: Sequence[Word]) -> Exception:
        """Our error for that error reply to that command."""
        command = command_name(list(words))
        db = int(words[1]) if command == "SELECT" else self.endpoint.db
        return translate_reply(reply, command=command, where=self.where, db=db)

    def close(self) -> None:
        """Close the connection; nothing happens when it is closed already."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log_in(self, *, replica_reads: bool) -> None:
        endpoint = self.endpoint
        if credentials := self._opened.credentials(self.where):
            self._authenticate(credentials)
        first = self.call_many([("PING",)])[0]
        # NOPERM: a user without +ping is a user all the same.
        if isinstance(first, ErrorReply) and not first.forbids_command and not first.is_unknown_command:
            raise self.translate(first, ("PING",)) from first
        if endpoint.node_id is not None:
            self._check_node(endpoint.node_id)
        if endpoint.db:
            self.call("SELECT", endpoint.db)
        # Reading leaves no trace on a key's idle time or access counter even so; where the server knows it (7.2 and
        # later), this makes sure. A server that doesn't know or allow one of these is fine.
        courtesies: list[Sequence[Word]] = [("CLIENT", "SETNAME", _CLIENT_NAME), ("CLIENT", "NO-TOUCH", "ON")]
        if replica_reads:
            courtesies.append(("READONLY",))
        try:
            self.call_many(courtesies)
        except ConnectionLost as error:
            if self.was_closed:
                raise hung_up_on("CLIENT", self.where) from error
            raise

    def _authenticate(self, credentials: tuple[str, ...]) -> None:
        # Not redis-py's own login: before Redis 6 it drops the user's name and tries the password alone, as the default user.
        words = ("AUTH", *credentials)
        reply = self.call_many([words])[0]
        if isinstance(reply, ErrorReply):
            # A server, or a proxy, that doesn't know AUTH repeats its arguments.
            reply = ErrorReply(without_secrets(reply.text, credentials))
            raise self.translate(reply, words) from reply

    def _check_node(self, meant: str) -> None:
        """A cluster that announces no addresses, or an address that changed hands, leads to another node than the one meant."""
        found = self.call("CLUSTER", "MYID")
        if not isinstance(found, bytes):
            raise unexpected(found, "CLUSTER MYID", self.where, "a node's id")
        found = found[:_LONGEST_ERROR].decode("utf-8", "replace")
        if found != meant:
            raise OtherServer(
                f"this is node {found} of the cluster",
                where=self.where,
                allowed=f"node {meant}",
                todo="The cluster announces no address that leads to each node: see cluster-preferred-endpoint-type and "
                "cluster-announce-ip. If it has just changed, try again.",
            )

    def _receive(self) -> int:
        """Wait for what the server sends next, and take in the replies that are complete; how many bytes came."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                raise self._broken_off("closed by the server")
            if not self._answered:
                self._check_first_bytes(data)
            self._parser.feed(data)
            # A loop of the interpreter's own: nothing of ours runs for a single reply.
            self._arrived.extend(iter(self._parser.gets, _NOT_YET))
            return len(data)
        except TimeoutError as error:
            raise connection_lost(self.where, f"no answer within {self.endpoint.read_timeout_s:g} s") from error
        except OSError as error:
            raise self._broken_off(str(error)) from error
        except hiredis.ProtocolError as error:
            raise not_redis(self.where, b"a broken reply") from error

    def _check_first_bytes(self, data: bytes) -> None:
        if data[:1] not in b"+-:$*":
            raise not_redis(self.where, data)
        self._answered = True

    def _broken_off(self, found: str) -> Exception:
        self.was_closed = True
        if not self._answered:
            # A TLS server hangs up on plain text without a word, and on a client whose certificate it misses.
            if self.endpoint.tls is not None:
                return refused_by_tls(self.where, found)
            from redis_ttl.adapters.connection.opening import speaks_tls  # noqa: PLC0415

            if speaks_tls(self.endpoint):
                return plain_to_tls(self.where)
        return connection_lost(self.where, found)
