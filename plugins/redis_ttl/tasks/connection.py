"""Reads an Airflow connection as the way in to a Redis deployment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from redis_ttl.adapters.connection.endpoint import endpoint_from_fields
from redis_ttl.domain.errors import BadInput

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

# Airflow's own form for Redis connections writes "cluster": false into each of them, whatever the server is. We ask the server itself.
_FORM_FIELDS_WITHOUT_MEANING: Final = ("cluster",)


def endpoint_of(connection_id: str) -> Endpoint:
    """Where that connection leads, and how to get in.

    Understands what the Redis provider's form has (host, port, login, password, db, ssl and its files, startup_nodes), and
    in the extra field also ``sentinel``, ``sentinel_master``, ``sentinel_username``, ``sentinel_password``, ``sentinel_ssl``,
    ``unix_socket``, ``connect_timeout`` and ``read_timeout``. Raises :class:`BadInput` for a connection that Airflow doesn't have or
    whose extra is no JSON object, :class:`InvalidOption` for a field that can't be used.
    """
    connection = _connection(connection_id)
    extra = {name: value for name, value in _extra(connection).items() if name not in _FORM_FIELDS_WITHOUT_MEANING}
    fields = {
        "host": connection.host,
        "port": connection.port,
        "username": connection.login,
        "password": connection.password,
        "db": connection.schema,  # where Airflow puts the path of a connection that is given as a URL
        **extra,
    }
    return endpoint_from_fields(fields, where=f"connection {connection_id}")


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
    return connection.extra_dejson  # read by Airflow, which masks its secrets in logs
