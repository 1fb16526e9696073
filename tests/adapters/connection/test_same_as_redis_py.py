"""An endpoint is redis-py's way to a server: the same arguments, and the same servers taken and refused."""

from __future__ import annotations

import ast
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.cluster import RedisCluster
from redis.credentials import CredentialProvider
from redis.sentinel import Sentinel

from lab.servers.certificates import Certificates
from lab.servers.cluster import Cluster
from lab.servers.kinds import REDIS_7, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.cluster import cluster_nodes
from redis_ttl.adapters.connection.endpoint import endpoint_from_fields, endpoint_from_url
from redis_ttl.adapters.connection.entry import locate
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.opening import client_arguments
from redis_ttl.domain.errors import (
    AuthenticationFailed,
    InvalidOption,
    RedisTtlError,
    ServerProblem,
    TlsMismatch,
    Unreachable,
)
from tests.conftest import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_ttl.adapters.connection.endpoint import Endpoint


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:7000/5",
        "redis://[::1]:7000/5",
        "redis://:p%40ss@h/1",
        "redis://ann:p%23ss@h",
        "redis://ann@h",
        "unix:///tmp/redis.sock?db=3",
        "unix://ann:secret@/tmp/redis.sock",
        "rediss://h",
        "rediss://h?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k",
        "rediss://h?ssl_cert_reqs=none",
        "rediss://h?ssl_cert_reqs=optional&ssl_ca_certs=/ca",
        "rediss://h?ssl_check_hostname=False",
    ],
)
def test_a_url_means_what_it_means_to_redis_py(url: str) -> None:
    """The kind of connection, the address, the database, TLS, and what is said to log in."""
    theirs = redis.ConnectionPool.from_url(url)
    kind, ours = client_arguments(endpoint_from_url(url), "here")
    assert kind is theirs.connection_class
    made = kind(**theirs.connection_kwargs), kind(**ours)
    for name in ("host", "port", "path", "db", "keyfile", "certfile", "cert_reqs", "ca_certs", "check_hostname"):
        there, here = (getattr(each, name, None) for each in made)
        assert here == there, name
    provider = ours["credential_provider"]
    given = theirs.connection_kwargs.get("username"), theirs.connection_kwargs.get("password")
    if any(given):
        wanted: Any = redis.UsernamePasswordCredentialProvider(*given)
        assert provider.get_credentials() == wanted.get_credentials()
    else:
        assert provider is None


def answers(endpoint: Endpoint) -> bool:
    """Whether redis-py and we get an answer there; both must agree."""
    kind, arguments = client_arguments(endpoint, "here")
    client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=kind, **arguments))
    try:
        theirs = bool(client.ping())
    except redis.RedisError:
        theirs = False
    finally:
        client.close()
    try:
        with RedisLink(endpoint) as link:
            ours = bool(link.call("PING") == b"PONG")
    except RedisTtlError:
        ours = False
    assert ours == theirs
    return ours


def test_tls_is_taken_and_refused_where_redis_py_does(certificates: Certificates) -> None:
    """Authorities, host names and client certificates, on a server that wants one."""
    with run_server(require(REDIS_7), "tls-auth-clients optional", certificates=certificates) as server:
        trusted = {"ssl": True, "ssl_ca_certs": str(certificates.ca)}
        for fields, expected in (
            ({"ssl": True}, False),
            (trusted, True),
            ({"ssl": True, "ssl_cert_reqs": "optional"}, False),
            ({**trusted, "ssl_cert_reqs": "optional"}, True),
            ({"ssl": True, "ssl_cert_reqs": "none"}, True),
            ({**trusted, "host": "localhost"}, None),
            ({**trusted, "host": "localhost", "ssl_check_hostname": False}, True),
            ({**trusted, "ssl_certfile": certificates.client_cert, "ssl_keyfile": certificates.client_key}, True),
            ({}, False),
        ):
            endpoint = endpoint_from_fields({"host": server.host, "port": server.port, **fields})
            assert answers(endpoint) is expected or expected is None


def test_a_host_of_ipv6(valkey: Server) -> None:
    """An address of IPv6 is connected to where it is one, and shown in brackets."""
    with valkey.client() as client:
        client.config_set("bind", "127.0.0.1 ::1")
    endpoint = endpoint_from_url(f"redis://[::1]:{valkey.port}")
    assert (endpoint.address, answers(endpoint)) == (f"[::1]:{valkey.port}", True)


def test_a_unix_socket_and_the_users_of_a_server(valkey: Server) -> None:
    """A path, a user with and without a password, and a wrong one."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "ann", "reset", "on", ">s3cret words", "~*", "+@all")
        client.execute_command("ACL", "SETUSER", "open", "reset", "on", "nopass", "~*", "+@all")
    for user, password, expected in (("ann", "s3cret words", True), ("ann", "no", False), ("open", None, True)):
        fields = {"username": user, "password": password}
        assert answers(endpoint_from_fields({"unix_socket": str(valkey.unix_socket), **fields})) is expected
        assert answers(endpoint_from_fields({"host": valkey.host, "port": valkey.port, **fields})) is expected


@pytest.mark.parametrize("kind", [VALKEY, REDIS_7], ids=lambda kind: kind.name)
def test_sentinels_lead_where_redis_py_is_led(kind: Any, certificates: Certificates) -> None:
    """With ``sentinel_kwargs``, a user, a password and TLS of their own, as redis-py's Sentinel takes them."""
    certified: dict[str, Any] = {"certificates": certificates} if kind is REDIS_7 else {}
    with (
        run_server(require(kind), password="secret") as primary,
        Server(
            kind,
            ["user eve on >hers ~* &* +@all", f"sentinel monitor mymaster {primary.host} {primary.port} 1"],
            sentinel=True,
            password="x",
            **certified,
        ) as sentinel,
    ):
        own: dict[str, Any] = {"username": "eve", "password": "hers"}
        if certified:
            own |= {"ssl": True, "ssl_ca_certs": str(certificates.ca)}
        sentinels: Any = Sentinel  # without types
        theirs = sentinels([(sentinel.host, sentinel.port)], sentinel_kwargs=own, password="secret")
        fields = {"sentinel": f"{sentinel.host}:{sentinel.port}", "sentinel_master": "mymaster", "password": "secret"}
        found = locate(endpoint_from_fields({**fields, "sentinel_kwargs": own}), "primary")
        host, port = theirs.discover_master("mymaster")
        assert (found.host, found.port) == (host, port)
        for client in theirs.sentinels:
            client.close()
        with pytest.raises(AuthenticationFailed if not certified else TlsMismatch):
            locate(endpoint_from_fields(fields), "primary")


def test_a_clusters_primaries_and_slots_are_those_of_redis_py(any_cluster: Cluster) -> None:
    """The nodes that redis-py knows, and the slots that it would send to each; we know their ids beside that."""
    node = any_cluster.primaries[0]
    with (
        RedisCluster(host=node.host, port=node.port) as theirs,
        RedisLink(endpoint_from_url(node.url).on(0)) as link,
    ):
        ours = cluster_nodes(link)
        assert sorted(each.address for each in ours) == sorted(each.name for each in theirs.get_primaries())
        for each in ours:
            for first, last in each.slots:
                assert all(theirs.nodes_manager.get_node_from_slot(slot).name == each.address for slot in (first, last))


class Rotating(CredentialProvider):
    """Gives a password that is new each time, as IAM's tokens are."""

    given = 0
    answer: Any = None

    def get_credentials(self) -> tuple[str, str]:
        """The user and the password of this moment."""
        type(self).given += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or ("ann", f"token-{self.given}")


class Other:
    """No provider at all."""


@contextmanager
def rotating(answer: Any = None) -> Iterator[str]:
    """The import path of a fresh provider."""
    Rotating.given, Rotating.answer = 0, answer
    yield f"{__name__}.Rotating"


def test_each_connection_asks_the_credential_provider(valkey: Server) -> None:
    """A password that doesn't last is asked for by every connection, and an endpoint says only who gives it."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "ann", "reset", "on", ">token-1", ">token-2", "~*", "+@all")
    with rotating() as path:
        endpoint = endpoint_from_fields({"host": valkey.host, "port": valkey.port, "credential_provider": path})
        for number in (1, 2):
            with RedisLink(replace(endpoint, db=number)) as link:
                assert link.call("ACL", "WHOAMI") == b"ann"
        assert Rotating.given == 2
        with pytest.raises(AuthenticationFailed, match="rejected this user name") as raised:
            RedisLink(endpoint)
        assert "token" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (RuntimeError("token-9 expired"), Unreachable, "the credential provider failed; found RuntimeError"),
        (("a", "b", "c"), AuthenticationFailed, r"returned no credentials; found a tuple; expected \(password,\)"),
        ("token-9", AuthenticationFailed, "returned no credentials; found a str"),
    ],
)
def test_a_credential_provider_that_gives_none(valkey: Server, answer: Any, kind: type[Exception], words: str) -> None:
    """Its failure may pass, another answer won't; what it said may be a token and isn't repeated."""
    with rotating(answer) as path, pytest.raises(kind, match=words) as raised:
        RedisLink(endpoint_from_fields({"host": valkey.host, "port": valkey.port, "credential_provider": path}))
    assert "token-9" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"credential_provider": "secret"},
            "credential_provider can't be used; found a text that may be part of a pass",
        ),
        ({"credential_provider": f"{__name__}.Other"}, "this is no redis.CredentialProvider; found .*Other: a Other"),
        ({"credential_provider": f"{__name__}.Nobody"}, "can't be loaded; found .*Nobody: AttributeError"),
        ({"credential_provider": "no.such.module.Provider"}, "can't be loaded; found .*Provider: ModuleNotFoundError"),
        ({"credential_provider": "a.b", "password": "secret"}, "a user or password beside it"),
        ({"credential_provider": "a.b", "login": "ann"}, "a user or password beside it"),
    ],
)
def test_a_credential_provider_that_cannot_be_had(fields: dict[str, Any], words: str) -> None:
    """It is refused before anybody is connected to, with what a provider is."""
    with pytest.raises(InvalidOption, match=words) as raised:
        RedisLink(endpoint_from_fields({"host": "127.0.0.1", "port": 1, **fields}))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sentinel_kwargs": {"pasword": "secret"}}, "unknown option in sentinel_kwargs; found pasword.*Did you mean"),
        ({"sentinel_kwargs": "secret"}, "sentinel_kwargs can't be used; found a text that may be part of a password"),
        ({"sentinel_kwargs": [1]}, "sentinel_kwargs can't be used; found a list"),
        ({"sentinel_kwargs": {}, "sentinel_ssl": "no"}, "sentinel_kwargs and sentinel_ssl both say"),
        ({"sentinel_kwargs": {"ssl_ca_certs": "/ca"}}, "ssl_ca_certs is given, but TLS is off"),
        (
            {"sentinel_kwargs": {"password": "x"}, "sentinel": None, "sentinel_master": None, "host": "h"},
            "without a sen",
        ),
    ],
)
def test_sentinel_kwargs_that_cannot_be_used(fields: dict[str, Any], words: str) -> None:
    """They are read as carefully as the connection itself."""
    with pytest.raises(InvalidOption, match=words) as raised:
        endpoint_from_fields({"sentinel": "s1", "sentinel_master": "main", **fields})
    assert "secret" not in str(raised.value)


def test_sentinel_kwargs_say_everything_about_the_way_to_sentinels() -> None:
    """Where they are given, nothing is taken over from the server's own TLS, as in redis-py; they may be JSON as text."""
    fields = {"sentinel": "s1", "sentinel_master": "main", "ssl": True, "password": "secret"}
    assert endpoint_from_fields(fields).sentinel_tls is not None
    endpoint = endpoint_from_fields({**fields, "sentinel_kwargs": '{"password": "hidden"}'})
    assert (endpoint.sentinel_tls, endpoint.sentinel_password, endpoint.password) == (None, "hidden", "secret")
    assert "hidden" not in repr(endpoint)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "h", "ssl": True, "ssl_keyfile": "/k"}, "ssl_keyfile is given without the certificate"),
        ({"unix_socket": "/tmp/redis.sock", "ssl": True}, "TLS is asked for on a unix socket"),
    ],
)
def test_tls_that_redis_py_would_leave_out_or_fail_at(fields: dict[str, Any], words: str) -> None:
    """What would silently not be encrypted, or end in a TypeError, is refused."""
    with pytest.raises(InvalidOption, match=words):
        endpoint_from_fields(fields)


def test_no_private_attribute_of_redis_py_is_used() -> None:
    """The socket comes out of a hook that redis-py documents; the connection stays its own."""
    module = sys.modules[client_arguments.__module__].__file__
    names = {
        node.attr for node in ast.walk(ast.parse(Path(str(module)).read_text())) if isinstance(node, ast.Attribute)
    }
    assert not {name for name in names if name.startswith("_") and not name.endswith("__")}


def test_a_redis_py_that_hands_out_no_socket_is_told_as_that(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that opens its socket in another way ends in one sentence with the versions that work."""
    monkeypatch.setattr(redis.Connection, "connect_check_health", lambda *_, **__: None)
    with pytest.raises(
        ServerProblem, match=r"opens no socket that could be handed over; expected redis-py from 6\.4 on"
    ):
        RedisLink(endpoint_from_url(valkey.url))
