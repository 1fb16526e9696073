"""The settings of the demo's Airflow: complete, on loopback, with users of its own and as few processes as it runs on."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode

from demo.home import Home, read_json, write_private
from lab.live_airflow.settings import airflow_environment, loopback_settings

USERS = {"admin": "admin", "alice": "op", "bob": "op", "carol": "viewer"}
"""Names and roles. Two operators, because an approval needs somebody else than whoever asked for it."""

VIEWER = "carol"
"""Whose credentials the approval gate reads Airflow's audit log with."""

_SECRETS = "secrets.json"


def passwords(home: Home) -> dict[str, str]:
    """The users' passwords, made on the first call."""
    known = read_json(home.passwords)
    if not isinstance(known, dict) or set(known) != set(USERS):
        known = {name: secrets.token_urlsafe(9) for name in USERS}
        write_private(home.passwords, json.dumps(known))
    return {str(name): str(password) for name, password in known.items()}


def environment(home: Home, *, port: int, redis_url: str) -> dict[str, str]:
    """The environment of every component: the caller's own without its Airflow settings, and the demo's settings."""
    kept = _kept_secrets(home)
    settings = {
        **loopback_settings(port, USERS),
        "AIRFLOW__API__SECRET_KEY": kept["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt"],
        "AIRFLOW__CORE__FERNET_KEY": kept["fernet"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.passwords),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_REDIS_LUCKYUS_ISALES_MARKET": redis_url,
        # Who marked a task is read from Airflow's audit log, with the rights of somebody who may only look.
        "AIRFLOW_CONN_REDIS_TTL_AIRFLOW": json.dumps(
            {
                "conn_type": "http",
                "schema": "http",
                "host": "127.0.0.1",
                "port": port,
                "login": VIEWER,
                "password": passwords(home)[VIEWER],
            }
        ),
        # What is decided is signed, so that whoever can write to the store can't approve.
        "AIRFLOW_CONN_REDIS_TTL_SIGNING": json.dumps({"conn_type": "generic", "password": kept["signing"]}),
        "REDIS_TTL_STORE": f"file://{home.store}",  # as it is: a space stays a space
    }
    return airflow_environment(home.airflow, home.checkout / "dags", settings)


def _kept_secrets(home: Home) -> dict[str, str]:
    path = home.root / _SECRETS
    found = read_json(path)
    known = found if isinstance(found, dict) else {}
    kept = {
        "api": secrets.token_hex(32),
        "jwt": secrets.token_hex(32),
        "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "signing": secrets.token_urlsafe(32),
    } | known
    if kept != known:
        write_private(path, json.dumps(kept))
    return {str(name): str(value) for name, value in kept.items()}
