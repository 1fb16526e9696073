"""Reads an Airflow connection as the way in to a Redis deployment, in the Redis provider's words."""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.redis.hooks.redis import RedisHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from redis_ttl.adapters.connection.endpoint import endpoint_from_fields
from redis_ttl.adapters.connection.fields import TRUE
from redis_ttl.domain.errors import BadInput

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

_PROVIDERS_TLS: Final = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def endpoint_of(connection_id: str) -> Endpoint:
    """Where that connection leads, and how to get in: what `RedisHook` would connect with, and what it has no words for.

    The hook is asked, so a connection means here what it means to every other task: host, port, login, password, db, ssl and its
    files, and with ``cluster`` nothing but a cluster. Beside that, the extra field may have ``startup_nodes``, ``sentinel``,
    ``sentinel_master``, ``sentinel_kwargs`` (or ``sentinel_username``, ``sentinel_password``, ``sentinel_ssl``),
    ``credential_provider``, ``unix_socket``, ``connect_timeout`` and ``read_timeout``. It differs where
    the hook would guess: without a host no server is meant, and "false" as text is false.

    Raises :class:`BadInput` for a connection that Airflow doesn't have or whose extra is no JSON object, :class:`InvalidOption`
    for a field that can't be used.
    """
    connection = _connection(connection_id)
    extra = _extra(connection)
    # The form writes "cluster": false into every connection whose box nobody ticked: then the server itself is asked.
    if str(extra.pop("cluster", None)).lower() in TRUE:
        extra["cluster"] = True
    # schema is where Airflow puts the path of a connection that is given as a URL; the hook's own db wins.
    fields = {"db": connection.schema, **extra, **_providers_word(connection_id, extra)}
    return endpoint_from_fields(fields, where=f"connection {connection_id}")


class _UnopenedHook(RedisHook):
    """The provider's hook, whose client is made but opens nothing: that of a cluster asks for the topology when it is made."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection as one server's."""
        connection = copy(super().get_connection(conn_id))
        extra = {name: value for name, value in connection.extra_dejson.items() if name != "cluster"}
        connection.extra = json.dumps(extra)
        return connection


def _providers_word(connection_id: str, extra: dict[str, Any]) -> dict[str, Any]:
    """What the provider would connect with, by our names."""
    client: Any = _UnopenedHook(redis_conn_id=connection_id).get_conn()  # type: ignore[no-untyped-call]
    arguments = client.connection_pool.connection_kwargs
    told = {name: arguments.get(name) for name in ("host", "port", "username", "password", "db")}
    uses_tls = "ssl_cert_reqs" in arguments  # only a client that speaks TLS is given these
    if uses_tls:
        told |= {name: arguments[name] for name in _PROVIDERS_TLS}
    # A connection that is given as a URL can't say false but as text, which is true in Python.
    told["ssl"] = extra["ssl"] if isinstance(extra.get("ssl"), str) else uses_tls
    return {name: value for name, value in told.items() if value is not None}


def _connection(connection_id: str) -> Connection:
    try:
        connection: Connection = Connection.get(connection_id)
    except AirflowNotFoundException as error:
        raise BadInput(
            "there is no such connection",
            where=f"connection {connection_id}",
            todo="Create it under Admin > Connections, or write the right id into the policy; then clear this task.",
        ) from error
    return connection


def _extra(connection: Connection) -> dict[str, Any]:
    """The extra field's content; Airflow itself takes one that it can't read for an empty one."""
    try:
        extra = json.loads(connection.extra or "{}")
    except json.JSONDecodeError as error:
        extra = error
    if not isinstance(extra, dict):
        found = str(extra) if isinstance(extra, json.JSONDecodeError) else f"a JSON {type(extra).__name__}"
        raise BadInput(
            "its extra field can't be read",
            where=f"connection {connection.conn_id}",
            found=found,
            allowed='a JSON object such as {"ssl": true}',
        )
    return dict(connection.extra_dejson)  # read by Airflow, which masks its secrets in logs
