"""Opens the socket to a Redis server, encrypted where the endpoint asks for it. Says nothing on it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from redis_ttl.adapters.connection.endpoint import Tls
from redis_ttl.adapters.connection.errors import translate_network
from redis_ttl.domain.errors import InvalidOption, RedisTtlError, Unreachable

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

_CHECKS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


def open_socket(endpoint: Endpoint, where: str) -> socket.socket:
    """A connected socket; raises `Unreachable`, `TlsMismatch`, and `InvalidOption` for an unusable host or TLS file."""
    if not endpoint.address:
        raise Unreachable(
            "which server is meant isn't known before a sentinel has said so",
            where=where,
            todo="This is a fault of the program: please report it.",
        )
    context = None if endpoint.tls is None else _tls_context(endpoint.tls, where)
    try:
        plain = _plain_socket(endpoint)
    except OSError as error:
        raise translate_network(error, where=where) from error
    except ValueError as error:  # before anybody is asked: an empty label, or one that is too long
        allowed = "a host name of labels with 1 to 63 characters, or an address"
        raise InvalidOption("no host can have this name", where=where, found=str(error), allowed=allowed) from error
    if context is None:
        plain.settimeout(endpoint.read_timeout_s)
        return plain
    try:
        secured = context.wrap_socket(plain, server_hostname=endpoint.host)
    except OSError as error:
        plain.close()
        raise translate_network(error, where=where, in_handshake=True) from error
    secured.settimeout(endpoint.read_timeout_s)
    return secured


def speaks_tls(endpoint: Endpoint) -> bool:
    """Whether a TLS server is there, whatever its certificate."""
    try:
        open_socket(replace(endpoint, tls=Tls(check="none", check_hostname=False)), endpoint.label).close()
    except RedisTtlError:
        return False
    return True


def _plain_socket(endpoint: Endpoint) -> socket.socket:
    if endpoint.unix_socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(endpoint.connect_timeout_s)
        try:
            plain.connect(endpoint.unix_socket)
        except OSError:
            plain.close()
            raise
        return plain
    plain = socket.create_connection((endpoint.host, endpoint.port), endpoint.connect_timeout_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return plain


def _tls_context(tls: Tls, where: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        found = f"{files}: {error}"
        raise InvalidOption(
            "a TLS file can't be used", where=where, found=found, allowed="readable PEM files"
        ) from error
    context.check_hostname = tls.check_hostname and tls.check == "required"
    context.verify_mode = _CHECKS[tls.check]
    return context
