from __future__ import annotations

import json

import pytest

from redis_ttl.adapters.connection.endpoint import Endpoint, Tls
from redis_ttl.domain.errors import BadInput, InvalidOption
from redis_ttl.tasks.connection import endpoint_of


def connect(monkeypatch: pytest.MonkeyPatch, **fields: object) -> Endpoint:
    """The endpoint of a connection with these fields."""
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", json.dumps({"conn_type": "redis", **fields}))
    return endpoint_of("redis_test")


def test_the_fields_of_airflows_redis_form_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host, port, login and password are the connection's; database and TLS come from the extra field under the
    provider's names.
    """
    extra = {
        "db": 3,
        "ssl": True,
        "ssl_cert_reqs": "optional",
        "ssl_ca_certs": "/etc/ca.pem",
        "ssl_certfile": "/etc/client.pem",
        "ssl_keyfile": "/etc/client.key",
        "ssl_check_hostname": False,
        "cluster": False,
        "startup_nodes": None,
    }
    endpoint = connect(monkeypatch, host="cache.example.com", port=6380, login="audit", password="secret", extra=extra)
    assert endpoint == Endpoint(
        host="cache.example.com",
        port=6380,
        db=3,
        username="audit",
        password="secret",
        tls=Tls(
            check="optional",
            check_hostname=False,
            ca_file="/etc/ca.pem",
            cert_file="/etc/client.pem",
            key_file="/etc/client.key",
        ),
    )


def test_a_connection_that_is_no_cluster_in_the_form_is_audited_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form writes "cluster": false for everybody who leaves the box alone; that must not hide two thirds of a
    cluster's keys.
    """
    for said in (False, "false", "False", None, ""):
        endpoint = connect(monkeypatch, host="h", extra={"cluster": said})
        assert (endpoint.whole_cluster, endpoint.must_be_cluster) == (True, False)
    for said in (True, "true", "yes"):
        endpoint = connect(monkeypatch, host="h", extra={"cluster": said})
        assert (endpoint.whole_cluster, endpoint.must_be_cluster) == (True, True)


def test_a_connection_may_be_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL's path is the database, as in every other Redis URL, and its query is the extra field."""
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_TEST", "redis://user:p%40ss@127.0.0.1:7000/5?ssl=true")
    endpoint = endpoint_of("redis_test")
    assert (endpoint.address, endpoint.db, endpoint.username, endpoint.password) == (
        "127.0.0.1:7000",
        5,
        "user",
        "p@ss",
    )
    assert endpoint.tls == Tls()


def test_sentinels_come_from_the_extra_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Redis provider has no field, ours is read."""
    extra = {"sentinel": "s1:26379,s2", "sentinel_master": "market", "sentinel_password": "x"}
    endpoint = connect(monkeypatch, password="secret", extra=extra)
    assert endpoint.sentinels == (("s1", 26379), ("s2", 26379))
    assert (endpoint.sentinel_master, endpoint.sentinel_password) == ("market", "x")


def test_an_unknown_connection_is_named_with_what_to_do() -> None:
    """A policy may name a connection that nobody has made yet."""
    with pytest.raises(BadInput, match=r"connection nowhere: there is no such connection\. Create it under Admin"):
        endpoint_of("nowhere")


@pytest.mark.parametrize("extra", ["{", "[1]", '"ssl"'])
def test_an_extra_field_that_is_no_object_is_refused(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    """Airflow itself would take it for an empty one, and connect without TLS."""
    with pytest.raises(BadInput, match="connection redis_test: its extra field can't be read"):
        connect(monkeypatch, host="h", extra=extra)


def test_an_unknown_field_names_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt field isn't ignored."""
    with pytest.raises(InvalidOption, match=r"connection redis_test.*sentinal.*sentinel"):
        connect(monkeypatch, host="h", extra={"sentinal": "s1"})
