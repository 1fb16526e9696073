"""Looks at a deployment before anything is scanned: who answers, what may be asked of it, what there is to scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import FIELD_COMMANDS, Access, Command, ServerProfile
from redis_ttl.domain.codec import document
from redis_ttl.domain.errors import ForbiddenDatabase, MissingPermission

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.audit.audit import AuditOptions
    from redis_ttl.usecases.ports import Redis


@document(None)
@dataclass(frozen=True, slots=True)
class Inspection:
    """The nodes that will be scanned, as they were found, and what the operator should know before the scan."""

    servers: tuple[ServerProfile, ...]
    warnings: tuple[str, ...] = ()


def inspect_server(redis: Redis, options: AuditOptions) -> Inspection:
    """Profile every node that the audit will scan.

    Raises the errors of :mod:`redis_ttl.domain.errors` for a server that can't be reached, doesn't let us in, or lacks
    a command that an audit can't do without; what merely narrows the report becomes a warning.
    """
    servers = []
    for address in redis.nodes(options):
        if options.databases == "all":
            servers.append(_where_allowed(redis, address))
        else:
            with redis.connect(address, options.databases[0] if options.databases else 0) as node:
                servers.append(node.profile())
    return Inspection(tuple(servers), tuple(_warnings(servers, options)))


def _where_allowed(redis: Redis, address: str) -> ServerProfile:
    """The server as it is seen from the first database that this user may read; those with keys that it may not are named in it."""
    profile: ServerProfile | None = None
    forbidden: list[int] = []
    refusal: ForbiddenDatabase | None = None
    waiting = [0]
    while waiting:
        db = waiting.pop(0)
        try:
            with redis.connect(address, db) as node:
                if profile is None:
                    profile = node.profile()
                    waiting = [count.db for count in profile.databases if count.db not in {db, *forbidden}]
        except ForbiddenDatabase as error:
            refusal = refusal or error
            forbidden.append(db)
            if profile is None:
                waiting = waiting or [held for held in error.held if held not in forbidden]
    if profile is None:
        raise refusal if refusal is not None else MissingPermission("this user may read no database", where=address)
    holding = {count.db for count in profile.databases if count.keys}
    return replace(profile, forbidden_databases=tuple(sorted(holding & set(forbidden))))


def _warnings(servers: list[ServerProfile], options: AuditOptions) -> list[str]:
    warnings = [*_narrowings(servers), *_fields_unasked(servers), *left_out(servers)]
    if not all(server.keyspace_is_told for server in servers):
        return [
            *warnings,
            "INFO doesn't report how many keys the databases have: the scan's counts can't be checked against the server's own",
        ]
    held = {count.db: 0 for server in servers for count in server.databases}
    for server in servers:
        for count in server.databases:
            held[count.db] += count.keys
    if options.databases != "all":
        for db in options.databases:
            if not held.get(db):
                elsewhere = ", ".join(f"db{other} ({keys:,})" for other, keys in sorted(held.items()) if keys)
                warnings.append(
                    f"database {db} is empty; "
                    + (f"keys are in {elsewhere}" if elsewhere else "so is every other database")
                )
    elif not any(held.values()):
        warnings.append("every database is empty")
    return warnings


def left_out(servers: Iterable[ServerProfile]) -> list[str]:
    """A sentence for each database that holds keys and isn't read, because this user may not."""
    return [
        f"database {db} of {server.address} is left out, with {server.counts_of(db).keys:,} keys: this user may not read it "
        f"(allow it with db={db} or alldbs)"
        for server in servers
        for db in server.forbidden_databases
    ]


def _fields_unasked(servers: list[ServerProfile]) -> list[str]:
    """That this user may not ask for the TTLs of hashes' fields where there may be some."""
    asked = [
        server
        for server in servers
        if server.can.get(Command.HTTL) is not Access.UNKNOWN_COMMAND
        and any(count.field_ttl_keys != 0 for count in server.databases)
    ]
    lacking = {command for server in asked for command in FIELD_COMMANDS if server.can.get(command) is Access.FORBIDDEN}
    if not lacking:
        return []
    names = [command for command in FIELD_COMMANDS if command in lacking]
    said = (
        f"{', '.join(command.value for command in names)} {'is' if len(names) == 1 else 'are'} forbidden to this user"
    )
    rules = " ".join(command.acl_rule for command in names)
    return [
        f"which hashes have TTLs on their fields, and so end by themselves, is unknown: {said} (allow it with ACL rule {rules})"
    ]


#: Commands that an audit can do without, and what the report lacks then.
_NARROWS: Final = {
    Command.TYPE: "types",
    Command.MEMORY_USAGE: "bytes",
    Command.OBJECT_FREQ: "access frequency",
    Command.OBJECT_IDLETIME: "idle times",
    Command.OBJECT_ENCODING: "counters",
    Command.RANDOMKEY: "the check that no key was missed",
    Command.EXISTS: "the check that no key was missed",
}


def _narrowings(servers: list[ServerProfile]) -> list[str]:
    lost: dict[Command, Access] = {}
    for server in servers:
        for command in _NARROWS:
            access = server.can.get(command, Access.ALLOWED)
            unasked = Command.OBJECT_IDLETIME if server.evicts_by_frequency else Command.OBJECT_FREQ
            if access is not Access.ALLOWED and command is not unasked:
                lost[command] = access
    return [
        f"without {_NARROWS[command]}: {command.value} is forbidden to this user (allow it with ACL rule {command.acl_rule})"
        if access is Access.FORBIDDEN
        else f"without {_NARROWS[command]}: this server has no {command.value}"
        for command, access in lost.items()
    ]
