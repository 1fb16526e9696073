"""Finds the server to begin with: the one that is named, or the one that sentinels or a cluster's further nodes lead to.

Whoever leads somewhere may be wrong, so who answers there is asked for its role, or its cluster, before it is believed; then
the next one is asked. At the end an error says what each of them said. Nothing is scanned here.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from redis_ttl.adapters.connection.endpoint import address_of
from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import parse_info, profile_from_info
from redis_ttl.adapters.connection.topology_replies import node_lines, watched_primary, watched_replicas
from redis_ttl.domain.audit.server import Role, ServerProfile
from redis_ttl.domain.errors import (
    ConnectionLost,
    InvalidOption,
    OtherServer,
    RedisTtlError,
    ServerLoading,
    TlsMismatch,
    Unreachable,
    WrongRole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from redis_ttl.adapters.connection.endpoint import Endpoint

Source = Literal["primary", "replica"]

#: A server that is away, or that accepts connections and says nothing.
AWAY: Final = (Unreachable, ConnectionLost, ServerLoading, TlsMismatch)


def locate(endpoint: Endpoint, source: Source, *, permit: Callable[[Endpoint], None] | None = None) -> Endpoint:
    """The server to begin with: the endpoint's own, the first of a cluster's named nodes that answers, or the one that a
    sentinel names, the primary or one of its replicas.

    A sentinel is believed if the server that it names answers in the role that is asked for. Raises the only error there was, or,
    when several were asked, one that lists what each said: of the kind of the first that won't pass by itself (`InvalidOption` for a
    name that the sentinel doesn't know, `AuthenticationFailed`, `WrongRole`), else `Unreachable`. Raises `OtherServer` for a
    named node that isn't one of the cluster's. ``permit`` is asked before a server (not a sentinel) is connected to, and raises for
    one that mustn't be.
    """
    permit = permit or (lambda _: None)
    if endpoint.sentinels:
        return _by_sentinels(endpoint, source, permit)
    if endpoint.startup_nodes:
        return _by_startup_nodes(endpoint, permit)
    permit(endpoint)
    return endpoint


def profile_now(link: RedisLink) -> ServerProfile:
    """What the server says of itself in INFO; what the user may do there isn't asked."""
    return profile_from_info(parse_info(link.call("INFO")), address=link.endpoint.address, access={})


def none_leads(what: str, where: str, said: Sequence[RedisTtlError], todo: str) -> RedisTtlError:
    """One error that lists what each of several said; the only one as it is."""
    if len(said) == 1:
        return said[0]
    final = [error for error in said if not error.retryable]
    kind = type(final[0]) if final else Unreachable
    return kind(what, where=where, found=" / ".join(_in_short(error) for error in said), todo=todo)


def in_vain(told: str, where: str, error: RedisTtlError, todo: str) -> Unreachable:
    """The error for an address that somebody told us, and nobody typed, with what happened there."""
    return Unreachable(
        told, where=where, found=f"{error.what} there" + (f" ({error.found})" if error.found else ""), todo=todo
    )


def _by_sentinels(endpoint: Endpoint, source: Source, permit: Callable[[Endpoint], None]) -> Endpoint:
    said: list[RedisTtlError] = []
    answered = False
    for host, port in endpoint.sentinels:
        try:
            with RedisLink(_sentinel(endpoint, host, port)) as link:
                answered = True
                named = _named(link, endpoint.sentinel_master or "", source)
            return _first_in_role(endpoint, named, source, address_of(host, port), permit)
        except RedisTtlError as error:
            said.append(error)
    todo = "Check the sentinels' addresses (their port is usually 26379) and passwords, and what SENTINEL MASTERS lists on each."
    what = f"no sentinel leads to a {source}" if answered else "no sentinel answers"
    raise none_leads(what, endpoint.label, said, todo)


def _sentinel(endpoint: Endpoint, host: str, port: int) -> Endpoint:
    """The way to a sentinel, whose user, password and TLS are its own."""
    return replace(
        endpoint.at(address_of(host, port)).on(0),
        username=endpoint.sentinel_username,
        password=endpoint.sentinel_password,
        credential_provider=None,
        tls=endpoint.sentinel_tls,
    )


def _named(link: RedisLink, name: str, source: Source) -> list[str]:
    """The addresses that the sentinel names, at least one."""
    primary = watched_primary(link, name)
    if primary is None:
        raise InvalidOption(
            "the sentinel watches no primary of that name",
            where=link.where,
            found=f"sentinel_master {name}",
            todo="SENTINEL MASTERS lists the names that it knows.",
        )
    if source == "primary":
        return [address_of(*primary)]
    found = [address_of(*each) for each in watched_replicas(link, name)]
    if not found:
        todo = "Scan the primary, or add a replica."
        raise WrongRole(f"the sentinel knows no replica of {name} that is up", where=link.where, todo=todo)
    return found


def _first_in_role(
    endpoint: Endpoint, addresses: Sequence[str], source: Source, sentinel: str, permit: Callable[[Endpoint], None]
) -> Endpoint:
    """The first of these servers that answers in that role; sentinels may be wrong for a while, or for ever."""
    said: list[RedisTtlError] = []
    wanted = Role.PRIMARY if source == "primary" else Role.REPLICA
    for address in addresses:
        way = endpoint.at(address)
        permit(way)
        try:
            with RedisLink(way.on(0)) as link:
                profile = profile_now(link)
        except AWAY as error:
            todo = (
                "If that address is right only inside of a NAT or a container, let it announce one that can be reached."
            )
            said.append(in_vain(f"the sentinel says that the {source} is at {address}", sentinel, error, todo))
            continue
        if profile.role in {wanted, Role.UNKNOWN}:
            return way
        said.append(
            WrongRole(
                f"the sentinel says that the {source} is at {address}",
                where=sentinel,
                found=f"a {profile.role} there" + (f" of {profile.primary_address}" if profile.primary_address else ""),
                todo="It may not know of a failover yet, or still monitor an old deployment (SENTINEL RESET).",
            )
        )
    raise none_leads(f"no {source} that the sentinel names answers", sentinel, said, "See SENTINEL REPLICAS there.")


def _by_startup_nodes(endpoint: Endpoint, permit: Callable[[Endpoint], None]) -> Endpoint:
    said: list[RedisTtlError] = []
    named = [address_of(host, port) for host, port in ((endpoint.host, endpoint.port), *endpoint.startup_nodes)]
    for address in named:
        way = endpoint.at(address)
        permit(way)
        try:
            with RedisLink(way.on(0)) as link:
                if said:
                    _check_cluster(link, named)
                return way
        except AWAY as error:
            said.append(error)
    todo = "Check host, port and startup_nodes, the firewall, and that the nodes run."
    raise none_leads("none of the cluster's nodes that are named answers", ", ".join(named), said, todo)


def _check_cluster(link: RedisLink, named: Sequence[str]) -> None:
    """Raise `OtherServer` unless this node belongs to the cluster of the ones that are named beside it, as far as can be told.

    It can be told where the cluster knows this node by the address that we used, and so must know one of the others by theirs, up or
    down. Where it announces others (behind a NAT, or with host names that only it resolves), nothing follows.
    """
    first, here = named[0], link.endpoint.address
    if not profile_now(link).cluster_enabled:
        raise OtherServer(
            f"{first} doesn't answer, and what answers at the next of the startup_nodes isn't a cluster's node",
            where=here,
            todo="Name nodes of one cluster only.",
        )
    table = link.call_many([("CLUSTER", "NODES")])[0]
    if isinstance(table, ErrorReply):
        return
    known = {place for address in _announced(node_lines(table, here)) for place in _places(address)}
    if known & _places(here) and not any(known & _places(other) for other in named if other != here):
        raise OtherServer(
            f"{first} doesn't answer, and the next of the startup_nodes belongs to a cluster that knows none of the others",
            where=here,
            found=", ".join(sorted(known)),
            allowed="one of " + ", ".join(other for other in named if other != here),
            todo="Name nodes of one cluster only; one that was replaced is forgotten by its cluster.",
        )


def _announced(lines: Iterable[str]) -> Iterator[str]:
    """The addresses in CLUSTER NODES, by number and by name: ``id ip:port@bus[,hostname[,name=value]] flags ...``."""
    for line in lines:
        address, *more = [*line.split(" "), ""][1].split(",")
        host, _, port = address.partition("@")[0].rpartition(":")
        yield from (address_of(name, port) for name in (host, *more[:1]) if name and "=" not in name)


def _places(address: str) -> set[str]:
    """An address with every number that its name stands for now."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return {address}
    return {address, *(address_of(str(place[0]), port) for *_, place in found)}


def _in_short(error: RedisTtlError) -> str:
    return f"{error.where}: {error.what}" + (f" ({error.found})" if error.found else "")
