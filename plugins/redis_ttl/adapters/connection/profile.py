"""Finds out who a Redis server is and what this user may ask it, by asking.

INFO gives the figures, a harmless call to each command the permissions. Nothing is concluded from a version alone:
managed services take commands away, ACLs forbid them, proxies lack them. A field that INFO leaves out becomes None.
"""

from __future__ import annotations

import math
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.errors import ErrorReply, hung_up_on
from redis_ttl.adapters.connection.replies import count, scan_page, unexpected
from redis_ttl.domain.audit.server import (
    EXCHANGING,
    KEYSPACE,
    REQUIRED_COMMANDS,
    Access,
    Command,
    DatabaseCounts,
    Flavour,
    ReplicaState,
    Role,
    ServerProfile,
)
from redis_ttl.domain.errors import ConnectionLost, ForbiddenDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.adapters.connection.link import RedisLink, Reply, Word


def read_profile(link: RedisLink, *, address: str | None = None) -> ServerProfile:
    """The server behind this connection as it is now.

    ``address`` is what to call it, by default where we connected to. Raises `MissingPermission` or `CommandUnavailable`
    for a command that an audit can't do without, and for a key pattern of the user's ACL that leaves out the first keys
    met; `ForbiddenDatabase`, with the databases that hold keys, for one that the user may not enter. Commands that merely
    widen the report are noted in ``can``.
    """
    try:
        access = _probe(link)
    except ForbiddenDatabase as error:
        error.held = tuple(counts.db for counts in _databases(parse_info(link.call("INFO"))))
        raise
    info = parse_info(link.call("INFO"))
    # KeyDB tells itself apart only in sections that plain INFO leaves out.
    everything = link.call_many([("INFO", "everything")])[0]
    if not isinstance(everything, ErrorReply):
        info = {**parse_info(everything), **info}
    profile = profile_from_info(info, address=address or link.endpoint.address, access=access)
    if not profile.databases and count(link.call("DBSIZE"), "DBSIZE", link.where):
        profile = replace(profile, untold=(*profile.untold, KEYSPACE))
    return replace(profile, frees_expired_lazily=_frees_lazily(link) if profile.allows(Command.CONFIG_GET) else None)


def parse_info(text: Reply) -> dict[str, str]:
    """INFO's fields by name; comments and lines without a colon are left out, and what is too long for a line is cut.

    Raises `UnexpectedReply` for what is no text, or too long for one.
    """
    if not isinstance(text, bytes | str):
        raise unexpected(text, "INFO", "INFO", "a text")
    if len(text) > _LONGEST_INFO:
        raise unexpected(text if isinstance(text, bytes) else b"", "INFO", "INFO", f"at most {_LONGEST_INFO:,} bytes")
    whole_text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    lines = [line[:_LONGEST_LINE] for line in whole_text.splitlines()]
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def profile_from_info(info: Mapping[str, str], *, address: str, access: Mapping[Command, Access]) -> ServerProfile:
    """The profile that INFO's fields describe; whatever they leave out is unknown."""
    flavour, version = identify(info)
    limit = whole_number(info.get("maxmemory"))
    primary_host, primary_port = info.get("master_host"), info.get("master_port")
    cpu = [fraction(info.get(f"used_cpu_{part}")) for part in ("sys", "user")]
    return ServerProfile(
        address=address,
        flavour=flavour,
        version=version,
        run_id=info.get("run_id", ""),
        cluster_enabled=info.get("cluster_enabled") == "1"
        or "cluster" in (info.get("redis_mode"), info.get("server_mode")),
        role={"master": Role.PRIMARY, "slave": Role.REPLICA}.get(info.get("role", ""), Role.UNKNOWN),
        used_memory_bytes=whole_number(info.get("used_memory")),
        memory_limit_bytes=limit or None,
        eviction_policy=info.get("maxmemory_policy"),
        evicted_keys=whole_number(info.get("evicted_keys")),
        expired_keys=whole_number(info.get("expired_keys")),
        uptime_s=whole_number(info.get("uptime_in_seconds")),
        cpu_s=None if None in cpu else sum(part for part in cpu if part is not None),
        primary_address=f"{primary_host}:{primary_port}" if primary_host and primary_port else None,
        databases=_databases(info),
        replicas=_replicas(info),
        lineage=_replication_id(info.get("master_replid")),
        former_lineage=_replication_id(info.get("master_replid2")),
        exchanges=_exchanges(info),
        last_load=" ".join(info.get(f"rdb_last_load_keys_{name}", "") for name in ("loaded", "expired")).strip(),
        untold=_untold(info),
        time_s=None if (time_us := whole_number(info.get("server_time_usec"))) is None else time_us / 1e6,
        can=dict(access),
    )


def identify(info: Mapping[str, str]) -> tuple[Flavour, str]:
    """The program and its version; ``redis_version`` alone tells nothing, since the others carry one too."""
    for flavour in (Flavour.DRAGONFLY, Flavour.KVROCKS, Flavour.GARNET):
        if version := info.get(f"{flavour.value}_version"):
            return flavour, version
    redis_version = info.get("redis_version", "")
    if info.get("server_name") == "valkey" or "valkey_version" in info:
        return Flavour.VALKEY, info.get("valkey_version", redis_version)
    if "mvcc_depth" in info or info.get("executable", "").endswith("keydb-server"):
        return Flavour.KEYDB, redis_version
    if "server_name" in info or not redis_version:
        return Flavour.UNKNOWN, redis_version
    return Flavour.REDIS, redis_version


def _frees_lazily(link: RedisLink) -> bool | None:
    """Whether ``lazyfree-lazy-expire`` is on; None where the server doesn't know the setting, or doesn't say."""
    reply = link.call_many([("CONFIG", "GET", "lazyfree-lazy-expire")])[0]
    if isinstance(reply, ErrorReply):
        return None
    words = [word for pair in reply.items() for word in pair] if isinstance(reply, dict) else reply
    told = words[1] if isinstance(words, list) and len(words) > 1 else None
    return {b"yes": True, b"no": False}.get(told) if isinstance(told, bytes) else None


def _probe(link: RedisLink) -> dict[Command, Access]:
    absent = b"redis_ttl:absent:" + secrets.token_hex(8).encode()
    probes: dict[Command, tuple[Word, ...]] = {
        Command.INFO: ("INFO", "server"),
        Command.DBSIZE: ("DBSIZE",),
        Command.SCAN: ("SCAN", 0, "COUNT", 1),
        Command.PTTL: ("PTTL", absent),
        Command.TYPE: ("TYPE", absent),
        Command.EXISTS: ("EXISTS", absent),
        Command.RANDOMKEY: ("RANDOMKEY",),
        Command.MEMORY_USAGE: ("MEMORY", "USAGE", absent),
        Command.OBJECT_FREQ: ("OBJECT", "FREQ", absent),
        Command.OBJECT_IDLETIME: ("OBJECT", "IDLETIME", absent),
        Command.OBJECT_ENCODING: ("OBJECT", "ENCODING", absent),
        Command.CONFIG_GET: ("CONFIG", "GET", "maxmemory"),
        Command.CLIENT_NO_TOUCH: ("CLIENT", "NO-TOUCH", "ON"),
        Command.HLEN: ("HLEN", absent),
        Command.HRANDFIELD: ("HRANDFIELD", absent, 1),
        Command.HTTL: ("HTTL", absent, "FIELDS", 1, "f"),
    }
    access: dict[Command, Access] = {}
    scanned: list[bytes] = []
    # One by one: a proxy such as twemproxy hangs up on a command that it doesn't know, and then we can say which.
    for command, words in probes.items():
        try:
            reply = link.call_many([words])[0]
        except ConnectionLost as error:
            if command not in REQUIRED_COMMANDS or not link.was_closed:
                raise
            raise hung_up_on(command.value, link.where) from error
        access[command] = _access(reply)
        if isinstance(reply, ErrorReply):
            if (
                reply.text.startswith(("LOADING", "NOAUTH", "MASTERDOWN"))
                or reply.forbids_database
                or (command in REQUIRED_COMMANDS and access[command] is not Access.ALLOWED)
            ):
                raise link.translate(reply, words) from reply
        elif command is Command.SCAN:
            _, scanned = scan_page(reply, link.where)
    _check_keys(link, scanned)
    return access


def _access(reply: object) -> Access:
    if isinstance(reply, ErrorReply):
        if reply.forbids_command:
            return Access.FORBIDDEN
        if reply.is_unknown_command:
            return Access.UNKNOWN_COMMAND
    return Access.ALLOWED


def _check_keys(link: RedisLink, keys: list[bytes]) -> None:
    for reply in link.call_many([("PTTL", key) for key in keys]) if keys else ():
        if isinstance(reply, ErrorReply) and reply.forbids_key:
            raise link.translate(reply, ("PTTL",)) from reply


def _untold(info: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that INFO leaves out, or that it tells in no form that we know."""
    untold = [name for name in _TEXTS if not info.get(name)]
    untold += [name for name in _NUMBERS if whole_number(info.get(name)) is None]
    return tuple(untold) if tells_replicas(info) else (*untold, "connected_slaves")


def _databases(info: Mapping[str, str]) -> tuple[DatabaseCounts, ...]:
    databases = []
    for name, value in info.items():
        if _DATABASE.fullmatch(name) and "keys=" in value:
            counts = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
            keys, expires, avg_ttl_ms = (
                whole_number(counts.get(field)) or 0 for field in ("keys", "expires", "avg_ttl")
            )
            # Redis calls them by one name, Valkey by another; a server that has no such fields counts none of them.
            field_ttl_keys = whole_number(counts.get("subexpiry", counts.get("keys_with_volatile_items")))
            databases.append(DatabaseCounts(int(name[2:]), keys, expires, avg_ttl_ms or None, field_ttl_keys))
    return tuple(sorted(databases, key=lambda counts: counts.db))


def _replicas(info: Mapping[str, str]) -> tuple[ReplicaState, ...]:
    written = whole_number(info.get("master_repl_offset"))
    replicas = []
    for fields in replica_fields(info):
        read = whole_number(fields.get("offset"))
        lag = max(0, written - read) if written is not None and read is not None else None
        replicas.append(
            ReplicaState(f"{fields.get('ip', '')}:{fields.get('port', '')}", fields.get("state", "unknown"), lag)
        )
    return tuple(replicas)


def _exchanges(info: Mapping[str, str]) -> dict[str, int] | None:
    """The calls of the commands that exchange a data set, by INFO commandstats; None where that section is missing."""
    if not any(name.startswith("cmdstat_") for name in info):
        return None
    calls = {
        name: whole_number(info.get(f"cmdstat_{name}", "").partition("calls=")[2].partition(",")[0])
        for name in EXCHANGING
    }
    return {name: count for name, count in calls.items() if count}


def _replication_id(text: str | None) -> str:
    """An id of a data set; the one of all zeros, which stands for none, is none."""
    return text.strip() if text is not None and text.strip("0 ") else ""


def tells_replicas(info: Mapping[str, str]) -> bool:
    """Whether INFO says how many replicas there are, and tells of as many."""
    counted = whole_number(info.get("connected_slaves"))
    return counted is not None and len(replica_fields(info)) >= counted


def replica_fields(info: Mapping[str, str]) -> list[dict[str, str]]:
    """What INFO tells of each replica."""
    return [
        dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        for name, value in info.items()
        if name.startswith("slave") and name[5:].isdecimal()
    ]


def whole_number(text: str | None) -> int | None:
    """A field of INFO as a whole number below 2^63; None where it is missing or none."""
    if text is None or not _WHOLE.fullmatch(text.strip()):
        return None
    number = int(text)
    return number if number < _TOO_LARGE else None


def fraction(text: str | None) -> float | None:
    """A field of INFO as a finite number; None where it is missing or none."""
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is None or math.isfinite(number) else None


#: `INFO everything` of a server with hundreds of clients and commands is below 1 MB, and its lines below 1,000 characters.
_LONGEST_INFO: Final = 4 * 1024 * 1024
_LONGEST_LINE: Final = 4_096
#: What a profile is made of.
_TEXTS: Final = ("role", "run_id", "maxmemory_policy")
_NUMBERS: Final = ("used_memory", "maxmemory", "evicted_keys", "expired_keys", "uptime_in_seconds")
_WHOLE: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_TOO_LARGE: Final = 1 << 63
_DATABASE: Final = re.compile(r"db[0-9]{1,9}", re.ASCII)
