"""Opens the way to a Redis server by redis-py's own connection, and hands over its socket. Says nothing on it.

TCP, IPv6, unix sockets, TLS and keep-alive are redis-py's, so an endpoint means what it means to every other client of it.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_ttl.adapters.connection.credentials import credentials_of, provider_of
from redis_ttl.adapters.connection.endpoint import Tls
from redis_ttl.adapters.connection.errors import translate_network
from redis_ttl.domain.errors import InvalidOption, RedisTtlError, ServerProblem, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.credentials import CredentialProvider

    from redis_ttl.adapters.connection.endpoint import Endpoint

Client = redis.Connection | redis.UnixDomainSocketConnection


@dataclass(frozen=True, slots=True)
class Opened:
    """A connected socket that nothing was said on, and the redis-py connection that it belongs to."""

    socket: socket.socket
    client: Client

    def credentials(self, where: str) -> tuple[str, ...]:
        """The password, or user and password, to log in with; empty where nobody does. Raises what `credentials_of` does."""
        provider: CredentialProvider | None = self.client.credential_provider
        return () if provider is None else credentials_of(provider, where)

    def close(self) -> None:
        """Close it; nothing happens when it is closed already."""
        self.client.disconnect()  # type: ignore[no-untyped-call]


def client_arguments(endpoint: Endpoint, where: str) -> tuple[type[Client], dict[str, Any]]:
    """The redis-py connection that leads to an endpoint, and its arguments; raises `InvalidOption` for an unusable credential provider."""
    arguments: dict[str, Any] = {
        "db": endpoint.db,
        "credential_provider": provider_of(endpoint, where),
        "socket_connect_timeout": endpoint.connect_timeout_s,
        "socket_timeout": endpoint.read_timeout_s,
    }
    if endpoint.unix_socket:
        return redis.UnixDomainSocketConnection, {"path": endpoint.unix_socket, **arguments}
    arguments |= {"host": endpoint.host, "port": endpoint.port}
    tls = endpoint.tls
    if tls is None:
        return redis.Connection, arguments
    return redis.SSLConnection, {
        **arguments,
        "ssl_cert_reqs": tls.check,
        "ssl_check_hostname": tls.check_hostname,
        "ssl_ca_certs": tls.ca_file,
        "ssl_certfile": tls.cert_file,
        "ssl_keyfile": tls.key_file,
    }


def open_connection(endpoint: Endpoint, where: str) -> Opened:
    """A connection to the endpoint's server; raises `Unreachable`, `TlsMismatch`, and `InvalidOption` for an unusable host, TLS file or
    credential provider.
    """
    if not endpoint.address:
        raise Unreachable(
            "no server is known until a sentinel names one",
            where=where,
            todo="This is a fault of the program: please report it.",
        )
    kind, arguments = client_arguments(endpoint, where)
    # redis-py gives the TLS handshake the time of a read; to us it is a part of connecting.
    arguments["socket_timeout"] = endpoint.connect_timeout_s
    client = kind(**arguments, retry=_Handover(), redis_connect_func=_say_nothing)
    handover = cast("_Handover", client.retry)  # its copy of the one that it was given
    try:
        client.connect_check_health(check_health=False)
    except Exception as error:
        if handover.failure is None:
            raise
        raise _translated(handover.failure, endpoint, where) from error
    if handover.socket is None:
        raise ServerProblem(
            f"redis-py {redis.__version__} opens no socket that could be handed over",
            where=where,
            allowed="redis-py from 6.4 on, below 9",
            todo="Install a version that redis_ttl's requirements name.",
        )
    handover.socket.settimeout(endpoint.read_timeout_s)
    return Opened(handover.socket, client)


def speaks_tls(endpoint: Endpoint) -> bool:
    """Whether a TLS server is there, whatever its certificate."""
    if endpoint.unix_socket:
        return False
    anybody = Tls(check="none", check_hostname=False)
    try:
        open_connection(
            replace(endpoint, tls=anybody, username=None, password=None, credential_provider=None), endpoint.label
        ).close()
    except RedisTtlError:
        return False
    return True


class _Handover(Retry):
    """Sees what redis-py opens, or why it can't: the one place where it gives its socket out of its hands.

    It tries once: who asks again, and how long, is decided where more is known (another sentinel, the task's retries).
    """

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 0)
        self.socket: socket.socket | None = None
        self.failure: OSError | ValueError | None = None

    def call_with_retry(self, do: Callable[[], Any], *_: Any, **__: Any) -> Any:
        """What ``do`` gives."""
        try:
            found = do()
        except (OSError, ValueError) as error:
            self.failure = error
            raise
        if isinstance(found, socket.socket):
            self.socket = found
        return found


def _say_nothing(client: Client) -> None:
    """In place of redis-py's own greeting: logging in has sentences of ours, and courtesies that a proxy hangs up on come last."""


def _translated(failure: OSError | ValueError, endpoint: Endpoint, where: str) -> RedisTtlError:
    if not isinstance(failure, OSError):  # before anybody is asked: an empty label, or one that is too long
        allowed = "a host name of labels with 1 to 63 characters, or an address"
        return InvalidOption("no host can have this name", where=where, found=str(failure), allowed=allowed)
    if endpoint.tls is None:
        return translate_network(failure, where=where)
    unusable = _unusable_files(endpoint.tls, where)
    return unusable or translate_network(failure, where=where, in_handshake=_is_of_handshake(failure))


def _unusable_files(tls: Tls, where: str) -> InvalidOption | None:
    """What is wrong with the files; redis-py reads them when the server has answered, and tells them from the network by nothing."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        return InvalidOption(
            "a TLS file can't be used", where=where, found=f"{files}: {error}", allowed="readable PEM files"
        )
    return None


def _is_of_handshake(failure: OSError) -> bool:
    """Whether somebody had answered before it failed."""
    if isinstance(failure, ConnectionError):
        return not isinstance(failure, ConnectionRefusedError)
    return "handshake" in str(failure)
