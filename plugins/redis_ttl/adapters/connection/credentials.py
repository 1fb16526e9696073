"""Where the user and password of a connection come from: the endpoint itself, or a credential provider that it names.

Providers are redis-py's (`redis.CredentialProvider`), for credentials that expire: IAM at ElastiCache or MemoryDB, Entra ID. Each
connection asks again.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider

from redis_ttl.domain.errors import AuthenticationFailed, InvalidOption, Unreachable

if TYPE_CHECKING:
    from redis_ttl.adapters.connection.endpoint import Endpoint

_ALLOWED: Final = (
    "package.module.name of a class or function that takes no arguments and returns a redis.CredentialProvider"
)


def provider_of(endpoint: Endpoint, where: str) -> CredentialProvider | None:
    """The source of user and password; None without a login. Raises `InvalidOption` for a provider that can't be loaded."""
    if endpoint.credential_provider is not None:
        return _named(endpoint.credential_provider, where)
    if endpoint.password is None and not endpoint.username:
        return None
    # A user without a password is a user all the same (nopass): better refused than taken for the default one.
    return UsernamePasswordCredentialProvider(endpoint.username, endpoint.password)


def credentials_of(provider: CredentialProvider, where: str) -> tuple[str, ...]:
    """The password, or user and password, of this moment.

    Raises `Unreachable` where the provider fails, which may be temporary, and `AuthenticationFailed` where it returns anything else.
    """
    try:
        given: object = provider.get_credentials()
    except Exception as error:
        raise Unreachable(
            "the credential provider failed",
            where=where,
            found=type(error).__name__,  # its text may hold a token
            todo="The log has the error that caused this one: often the provider's service, or its permissions.",
        ) from error
    if isinstance(given, tuple) and len(given) in {1, 2} and all(isinstance(each, str) for each in given):
        return given
    raise AuthenticationFailed(
        "the credential provider returned no credentials",
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
            "the credential provider can't be loaded",
            where=where,
            found=f"{path}: {type(error).__name__}",
            allowed=_ALLOWED,
        ) from error
    if isinstance(provider, CredentialProvider):
        return provider
    raise InvalidOption(
        "this is no redis.CredentialProvider",
        where=where,
        found=f"{path}: a {type(provider).__name__}",
        allowed=_ALLOWED,
    )
