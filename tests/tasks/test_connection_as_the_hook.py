"""A connection means here what it means to the Redis provider: `RedisHook` is asked, and held beside what we connect with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.redis.hooks.redis import RedisHook
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from redis_ttl.adapters.connection.key_routes import KeyRoutes
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import InvalidOption, OtherServer
from redis_ttl.tasks.connection import endpoint_of
from tests.adapters.keyspaces import FAST

if TYPE_CHECKING:
    from lab.servers.cluster import Cluster
    from lab.servers.server import Server
    from redis_ttl.adapters.connection.endpoint import Endpoint

FILES = {"ssl_ca_certs": "/etc/ca.pem", "ssl_certfile": "/etc/client.pem", "ssl_keyfile": "/etc/client.key"}
#: What the hook gives to redis-py beside these says nothing of where a connection leads, or how it gets in.
WHERE_AND_HOW = (
    *("host", "port", "username", "password", "db"),
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
)


def connections(monkeypatch: pytest.MonkeyPatch, **fields: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the hook's client would connect with, and what we would."""
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps({"conn_type": "redis", **fields}))
    hook: Any = RedisHook(redis_conn_id="redis_test")  # without types
    pool = hook.get_conn().connection_pool
    theirs = {name: value for name, value in pool.connection_kwargs.items() if name in WHERE_AND_HOW}
    return theirs, as_arguments(endpoint_of("redis_test"))


def as_arguments(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint in redis-py's words."""
    told: dict[str, Any] = {"host": endpoint.host, "port": endpoint.port, "db": endpoint.db}
    told |= {"username": endpoint.username, "password": endpoint.password}
    if endpoint.tls is not None:
        told |= {"ssl_cert_reqs": endpoint.tls.check, "ssl_check_hostname": endpoint.tls.check_hostname}
        told |= {"ssl_ca_certs": endpoint.tls.ca_file}
        told |= {"ssl_certfile": endpoint.tls.cert_file, "ssl_keyfile": endpoint.tls.key_file}
    return told


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"db": 0}},
        {"extra": {"db": 3}},
        {"login": "audit", "password": "secret", "extra": {"db": 0}},
        {"password": "secret", "extra": {"db": 0, "cluster": False, "startup_nodes": None, "ssl": False}},
        {"login": "audit", "password": "None", "extra": {"db": 0}},  # the hook's word for no password
        {"login": "audit", "password": "false", "extra": {"db": 0}},
        {"extra": {"db": 0, "ssl": True}},
        {"extra": {"db": 2, "ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": False, **FILES}},
        {"extra": {"db": 0, "ssl": True, "ssl_cert_reqs": "optional", **FILES}},
        {"extra": {"db": 0, "ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False}},
        {"extra": {"db": 0, "ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, "cluster": False}},
    ],
    ids=json.dumps,
)
def test_we_connect_with_what_the_hook_connects_with(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    """Key by key, for one server: address, user, password, database, and everything about TLS."""
    theirs, ours = connections(monkeypatch, host="cache.example.com", port=6380, **fields)
    assert ours == {
        name: value or None if name in ("username", "password") else value for name, value in theirs.items()
    }


def test_a_cluster_is_entered_as_the_hook_enters_it(monkeypatch: pytest.MonkeyPatch, any_cluster: Cluster) -> None:
    """Host, further nodes, user and password of ``cluster: true`` lead the hook's client and us to the same primaries."""
    host, second, third = (f"{node.host}:{node.port}" for node in any_cluster.primaries)
    for node in any_cluster.primaries:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "audit", "reset", "on", ">secret", "~*", "+@all")
    fields = {
        "host": host.partition(":")[0],
        "port": int(host.partition(":")[2]),
        "login": "audit",
        "password": "secret",
    }
    extra = {"cluster": True, "startup_nodes": f"{second},{third}"}
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps({"conn_type": "redis", **fields, "extra": extra}))
    hook: Any = RedisHook(redis_conn_id="redis_test")
    with hook.get_conn() as entered:
        assert isinstance(entered, RedisCluster)
        cluster: Any = entered
        theirs = sorted(node.name for node in cluster.get_primaries())
        arguments = cluster.get_connection_kwargs()
    endpoint = endpoint_of("redis_test")
    assert sorted(RedisDeployment(endpoint, FAST).nodes(AuditOptions())) == theirs
    assert (endpoint.username, endpoint.password) == (arguments["username"], arguments["password"])
    assert endpoint.startup_nodes == tuple(
        (name.partition(":")[0], int(name.partition(":")[2])) for name in (second, third)
    )


def test_what_is_no_cluster_is_refused_where_the_hook_refuses_it(
    monkeypatch: pytest.MonkeyPatch, valkey: Server
) -> None:
    """``cluster: true`` means a cluster; another server at its address is another server."""
    fields = {"conn_type": "redis", "host": valkey.host, "port": valkey.port, "extra": {"cluster": True}}
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps(fields))
    hook: Any = RedisHook(redis_conn_id="redis_test")
    with pytest.raises(RedisClusterException):
        hook.get_conn()
    endpoint = endpoint_of("redis_test")
    for ask in (
        lambda: RedisDeployment(endpoint, FAST).nodes(AuditOptions()),
        lambda: WatchedDeployment(endpoint).sample("2026-01-01T00:00:00+00:00", limit_bytes=None),
        lambda: KeyRoutes(endpoint).open(),
    ):
        with pytest.raises(OtherServer, match="says cluster, and this server isn't part of one"):
            ask()


def test_the_hook_opens_nothing_while_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of a cluster connects when it is made; ours isn't made, so that an address can be refused before."""
    extra = {"cluster": True, "startup_nodes": "127.0.0.1:1"}
    fields = {"conn_type": "redis", "host": "127.0.0.1", "port": 1, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps(fields))
    assert endpoint_of("redis_test").startup_nodes == (("127.0.0.1", 1),)


def test_what_the_hook_would_guess_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a host redis-py takes localhost, and any text for true; a connection says what it means."""
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps({"conn_type": "redis"}))
    with pytest.raises(InvalidOption, match="no server is named"):
        endpoint_of("redis_test")
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", "redis://cache.example.com/5?ssl=false")
    assert (endpoint_of("redis_test").tls, endpoint_of("redis_test").db) == (None, 5)
