"""The signing keys as tasks find them: in a connection, or nowhere; never half."""

from __future__ import annotations

import json
import secrets

import pytest
from airflow.sdk.execution_time import supervisor

from redis_ttl.domain.errors import BadInput
from redis_ttl.tasks.signing import signing_keys

CONNECTION = "AIRFLOW_CONN_REDIS_TTL_SIGNING"
KEY, OLDER = secrets.token_urlsafe(32), secrets.token_hex(32)


def test_the_password_holds_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest first, one a line."""
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "generic", "password": f"{KEY}\n{OLDER}"}))
    keys = signing_keys()
    assert keys is not None
    assert keys.keys == (KEY.encode(), OLDER.encode())


def test_no_connection_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is signed then, and that is said elsewhere."""
    monkeypatch.delenv(CONNECTION, raising=False)
    assert signing_keys() is None


@pytest.mark.parametrize(
    "password", [None, "", " ", "hunter2", f"{KEY},hunter2"], ids=["none", "empty", "blank", "weak", "one weak"]
)
def test_a_connection_without_a_good_key_is_an_error(monkeypatch: pytest.MonkeyPatch, password: str | None) -> None:
    """It is never taken for no connection, and the error shows no password."""
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "generic", "password": password}))
    with pytest.raises(BadInput, match="connection redis_ttl_signing") as caught:
        signing_keys()
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", ["{", '{"conn_type": "generic", "port": "many"}', '["a list"]'])
def test_a_connection_that_can_t_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Airflow takes it for one that doesn't exist; whoever breaks it must not switch the signatures off."""
    monkeypatch.setenv(CONNECTION, text)
    with pytest.raises(BadInput, match=r"connection redis_ttl_signing.*(can't be read|no signing key)"):
        signing_keys()


def test_a_backend_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though Airflow asks the next one and says that there is no such connection."""

    class Broken:
        def get_connection(self, conn_id: str) -> None:
            raise OSError(f"no way to {KEY} of {conn_id}")

    monkeypatch.delenv(CONNECTION, raising=False)
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [Broken()])
    monkeypatch.setattr("redis_ttl.tasks.signing.ensure_secrets_backend_loaded", lambda: [Broken()])
    with pytest.raises(BadInput, match="OSError in Broken") as caught:
        signing_keys()
    assert KEY not in str(caught.value)
