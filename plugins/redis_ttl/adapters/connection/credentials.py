"""Who gives the user and the password of a connection: the endpoint itself, or a credential provider that it names.

Providers are redis-py's (`redis.CredentialProvider`), for passwords that don't last: IAM at ElastiCache or MemoryDB, Entra ID. Each
connection asks anew.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider

from redis_ttl.domain.errors import AuthenticationFailed, InvalidOption, Unreachable

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

_ALLOWED: Final = (
    "package.module.name of a class or function that takes no arguments and gives a redis.CredentialProvider"
)


def provider_of(endpoint: Endpoint, where: str) -> CredentialProvider | None:
    """Who gives user and password; None where nobody logs in. Raises `InvalidOption` for a provider that can't be had."""
    if endpoint.credential_provider is not None:
        return _named(endpoint.credential_provider, where)
    if endpoint.password is None and not endpoint.username:
        return None
    # A user without a password is a user all the same (nopass): better refused than taken for the default one.
    return UsernamePasswordCredentialProvider(endpoint.username, endpoint.password)


def credentials_of(provider: CredentialProvider, where: str) -> tuple[str, ...]:
    """The password, or user and password, of this moment.

    Raises `Unreachable` where the provider fails, which may pass, and `AuthenticationFailed` where it gives something else.
    """
    try:
        given: object = provider.get_credentials()
    except Exception as error:
        raise Unreachable(
            "the credential provider fails",
            where=where,
            found=type(error).__name__,  # its text may hold a token
            todo="The error that this one stands on says why: its own service, or its own permissions.",
        ) from error
    if isinstance(given, tuple) and len(given) in {1, 2} and all(isinstance(each, str) for each in given):
        return given
    raise AuthenticationFailed(
        "the credential provider gives no credentials",
        where=where,
        found=f"a {type(given).__name__}",
        allowed="(password,) or (user, password)",
    )


def _named(path: str, where: str) -> CredentialProvider:
    module, _, name = path.rpartition(".")
    try:
        provider = getattr(import_module(module), name)()
    except Exception as error:
        raise InvalidOption(
            "the credential provider can't be had",
            where=where,
            found=f"{path}: {type(error).__name__}",
            allowed=_ALLOWED,
        ) from error
    if isinstance(provider, CredentialProvider):
        return provider
    raise InvalidOption(
        "the credential provider is none", where=where, found=f"{path}: a {type(provider).__name__}", allowed=_ALLOWED
    )
