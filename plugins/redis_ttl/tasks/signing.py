"""The signing keys of this Airflow: the password of the connection ``redis_ttl_signing``, which tasks can read and the store can't.

Only here does the program meet a key. Airflow takes a connection that it can't read for one that doesn't exist; for a key that would
mean to believe unsigned approvals, so it is asked once more, without hiding anything.
"""

from __future__ import annotations

from typing import Final

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
from airflow.sdk.log import mask_secret

from redis_ttl.domain.errors import BadInput, Unreachable
from redis_ttl.domain.remediation.signing import SigningKeys, parse_signing_keys

SIGNING_CONNECTION: Final = "redis_ttl_signing"
_WHERE: Final = f"connection {SIGNING_CONNECTION}"
_TODO: Final = "Correct the connection; nothing is approved while its keys can't be read."


def signing_keys() -> SigningKeys | None:
    """The keys, the newest first; None where there is no such connection.

    Raises :class:`BadInput` for a connection that can't be read or holds no good key, and :class:`Unreachable` (tried again) while
    Airflow doesn't say whether there is one.
    """
    try:
        connection = Connection.get(SIGNING_CONNECTION)
    except AirflowNotFoundException:
        _refuse_unreadable()
        return None
    except Exception as error:  # noqa: BLE001  # whatever keeps us from the keys; its text might show them
        raise BadInput("it can't be read", where=_WHERE, found=type(error).__name__, todo=_TODO) from None
    keys = parse_signing_keys(connection.password, where=f"{_WHERE}, password")
    for key in keys.keys:
        mask_secret(key.decode())
    return keys


def _refuse_unreadable() -> None:
    """Raise when there is a connection after all."""
    for backend in ensure_secrets_backend_loaded():
        if isinstance(backend, ExecutionAPISecretsBackend):
            _refuse_unless_missing()
            continue
        try:
            found = backend.get_connection(conn_id=SIGNING_CONNECTION)
        except Exception as error:  # noqa: BLE001  # as above
            raise BadInput(
                "it can't be read",
                where=_WHERE,
                found=f"{type(error).__name__} in {type(backend).__name__}",
                todo=_TODO,
            ) from None
        if found:
            raise Unreachable("it was read at the second time only", where=_WHERE)


def _refuse_unless_missing() -> None:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        answer = SUPERVISOR_COMMS.send(GetConnection(conn_id=SIGNING_CONNECTION))
    except AirflowRuntimeError as error:
        raise Unreachable(
            "Airflow can't read it now", where=_WHERE, found=error.error.error.value, todo=_TODO
        ) from None
    if not isinstance(answer, ErrorResponse):
        raise Unreachable("it was read at the second time only", where=_WHERE)
    if answer.error is not ErrorType.CONNECTION_NOT_FOUND:
        raise Unreachable("Airflow can't read it now", where=_WHERE, found=answer.error.value, todo=_TODO)
