"""What a Redis server, a socket or TLS says when something is wrong, in our own errors.

Knows the texts of the servers (Redis 5 to 8, Valkey 8 and 9, and proxies), opens nothing.
"""

from __future__ import annotations

import re
import ssl

from redis_ttl.domain.errors import (
    AuthenticationFailed,
    CommandUnavailable,
    ConnectionLost,
    ForbiddenDatabase,
    MissingPermission,
    NoSuchDatabase,
    RedisTtlError,
    ServerLoading,
    ServerProblem,
    TlsMismatch,
    Unreachable,
    WrongRole,
)

# What a cluster's node says about a key that has just left for another node.
ELSEWHERE = ("MOVED", "ASK", "TRYAGAIN")

_ACL_SUBCOMMANDS = ("CLIENT", "CONFIG", "MEMORY", "OBJECT", "CLUSTER", "SCRIPT")
_NO_TLS_THERE = "Use redis:// (or ssl: false), or the server's TLS port."
_ARGUMENTS = re.compile(r",? with args beginning with:.*", re.DOTALL)
_IN_CLUSTER = "A Redis Cluster has database 0 only; Valkey from 9.0 on has as many as cluster-databases says."
_TLS_ALERT = b"\x15\x03"
_UNKNOWN_COMMAND = re.compile(r"unknown (or unsupported )?(sub)?command|(un|not )supported|disabled", re.IGNORECASE)


class ErrorReply(Exception):
    """An error as the server wrote it; stays inside the adapters."""

    @property
    def text(self) -> str:
        """The line that the server sent, without its leading minus."""
        # Servers repeat the arguments of a command that they don't know; names and values mustn't get into logs.
        return _ARGUMENTS.sub("", str(self.args[0])) if self.args else ""

    @property
    def forbids_command(self) -> bool:
        """Whether the user's ACL has no right to the command itself."""
        return self.text.startswith("NOPERM") and not (self.forbids_key or self.forbids_database)

    @property
    def forbids_key(self) -> bool:
        """Whether the user's ACL allows the command, but not on that key."""
        return self.text.startswith("NOPERM") and re.search(r"\bkeys?\b", self.text) is not None

    @property
    def forbids_database(self) -> bool:
        """Whether the user's ACL allows the command, but not in that database (Valkey 9.1)."""
        return self.text.startswith("NOPERM") and re.search(r"\bdatabases?\b", self.text) is not None

    @property
    def is_unknown_command(self) -> bool:
        """Whether the server, or a proxy before it, has no such command or subcommand."""
        return _UNKNOWN_COMMAND.search(self.text) is not None


def command_name(words: tuple[object, ...] | list[object]) -> str:
    """The name of a command with its subcommand, as in "MEMORY USAGE"."""
    texts = [word.decode() if isinstance(word, bytes) else str(word) for word in words[:2]]
    return " ".join(texts[:2] if texts[0] in _ACL_SUBCOMMANDS else texts[:1])


def acl_rule(command: str) -> str:
    """What to add to a user's ACL to allow a command, as in "+memory|usage"."""
    return "+" + command.lower().replace(" ", "|")


def translate_reply(error: ErrorReply, *, command: str, where: str, db: int = 0) -> RedisTtlError:
    """Our error for an error reply to ``command`` in database ``db``; the caller raises it ``from`` the reply."""
    if error.forbids_database:
        return ForbiddenDatabase.of(db, where, error.text)
    for recognise in (_permission, _not_now, _password, _wrong_place):
        translated = recognise(error, command, where)
        if translated is not None:
            return translated
    return ServerProblem(f"the server rejected {command}", where=where, found=error.text)


def translate_network(error: OSError, *, where: str, in_handshake: bool = False) -> RedisTtlError:
    """Our error for a socket that couldn't be opened, or a failed TLS handshake on it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsMismatch(
            "the server's certificate isn't valid",
            where=where,
            found=error.verify_message or error.reason,
            todo="Set ssl_ca_certs to the CA that signed it, or connect by the host name it was issued for.",
        )
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        if "ALERT" in reason:
            return refused_by_tls(where, reason)
        return TlsMismatch("the server doesn't speak TLS on this port", where=where, found=reason, todo=_NO_TLS_THERE)
    text = str(error) or type(error).__name__
    if in_handshake:
        return TlsMismatch("the TLS handshake got no answer", where=where, found=text, todo=_NO_TLS_THERE)
    todo = "Check host, port and firewall, and that the server is running."
    return Unreachable("connection failed", where=where, found=text, todo=todo)


def connection_lost(where: str, found: str) -> ConnectionLost:
    """The server answered before, and stopped."""
    todo = "Retrying helps if it restarted, failed over or was busy."
    return ConnectionLost("the connection was lost", where=where, found=found, todo=todo)


def hung_up_on(command: str, where: str) -> CommandUnavailable:
    """The connection was closed in answer to a harmless command, right after the server had answered another one."""
    return CommandUnavailable(
        f"the connection was closed in answer to {command}",
        where=where,
        todo="Proxies such as twemproxy do this for commands they don't support: connect to the server directly.",
    )


def refused_by_tls(where: str, found: str) -> TlsMismatch:
    """The server ended a TLS connection before it answered anything."""
    todo = "It may want a client certificate: ssl_certfile and ssl_keyfile."
    return TlsMismatch("the server rejected the TLS handshake", where=where, found=found, todo=todo)


def plain_to_tls(where: str) -> TlsMismatch:
    """The port speaks TLS, and we used plain text."""
    todo = "Use rediss:// (or ssl: true)."
    return TlsMismatch("this port requires TLS, and the connection is plain text", where=where, todo=todo)


def not_redis(where: str, start: bytes) -> RedisTtlError:
    """Our error for bytes that aren't Redis' protocol."""
    if start[:2] == _TLS_ALERT:
        return plain_to_tls(where)
    return ServerProblem("this isn't a Redis server", where=where, found=repr(start[:40]), todo="Check the port.")


def _permission(error: ErrorReply, command: str, where: str) -> RedisTtlError | None:
    if error.forbids_key:
        return MissingPermission(
            f"this user may not use {command} on every key",
            where=where,
            found=error.text,
            allowed="a key pattern that covers the whole database: ~* (from Redis 7.0 on, %R~* is enough)",
            todo="Add it with ACL SETUSER <user> ~*, or audit as another user.",
        )
    if error.forbids_command:
        return MissingPermission(
            f"this user may not use {command}",
            where=where,
            found=error.text,
            todo=f"Allow it with ACL SETUSER <user> {acl_rule(command)}, or audit as another user.",
        )
    return None


def _password(error: ErrorReply, command: str, where: str) -> RedisTtlError | None:
    text = error.text.lower()
    if text.startswith("noauth") or "operation not permitted" in text:
        what, todo = "the server requires a password, and none was given", "Add it to the connection or URL."
    elif text.startswith("wrongpass") or "invalid password" in text or "invalid username-password" in text:
        what = "the server rejected this user name or password"
        todo = "Correct them in the connection or URL; in a URL, special characters are percent-encoded."
    elif "no password is set" in text or "without any password configured" in text:
        what = "a password was given, but the default user has none"
        todo = "Leave out the password, or add the user name it belongs to."
    elif text.startswith("denied"):
        what = "the server is in protected mode: it has no password and accepts only local connections"
        todo = "Set a password, as its own message explains."
    elif command == "AUTH":
        what = "the server can't check this user name and password"
        todo = "Redis before 6 has no user names: leave it out."
    else:
        return None
    return AuthenticationFailed(what, where=where, found=error.text[:120], todo=todo)


def _not_now(error: ErrorReply, command: str, where: str) -> RedisTtlError | None:
    code = error.text.split(" ", 1)[0]
    if code == "LOADING":
        todo = "Try again when INFO persistence says loading:0."
        return ServerLoading("the server is still reading its data set into memory", where=where, todo=todo)
    if code == "BUSY" or "max number of clients" in error.text:
        what, todo = f"the server is too busy for {command}", "Try again when it is idle."
    elif code == "MASTERDOWN":
        what, todo = "the replica has lost its primary and won't serve stale data", "Try again when it is back."
    elif code in ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"):
        what = "the cluster is moving slots or failing over"
        todo = "Try again when CLUSTER INFO says cluster_state:ok."
    elif "NOREPLICAS" in error.text:  # a script of a server before 7.0 says it in the middle of its own words
        what = "the server rejects writes: it has too few replicas"
        todo = "Try again when INFO replication says min_slaves_good_slaves of min-replicas-to-write or more."
    elif "MISCONF" in error.text:
        what = "the server rejects writes: it can't save its data set"
        todo = "Try again when its log and INFO persistence say rdb_last_bgsave_status:ok."
    else:
        return None
    return ConnectionLost(what, where=where, found=error.text, todo=todo)


def _wrong_place(error: ErrorReply, command: str, where: str) -> RedisTtlError | None:
    if error.text.startswith("READONLY"):
        todo = "Use the address of its primary."
        return WrongRole("the server is a replica and rejects writes", where=where, found=error.text, todo=todo)
    if error.is_unknown_command:
        return CommandUnavailable(
            f"the server has no {command}",
            where=where,
            found=error.text,
            todo="A proxy, a managed service or rename-command may hide it: connect to the server directly.",
        )
    if command == "SELECT":
        in_cluster = "cluster" in error.text.lower()
        todo = _IN_CLUSTER if in_cluster else "INFO keyspace lists the databases that hold keys."
        return NoSuchDatabase("the server has no such database", where=where, found=error.text, todo=todo)
    return None
