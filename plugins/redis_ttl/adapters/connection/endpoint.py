"""Where a Redis server is and how to get in: from a URL (terminal) or from named fields (an Airflow connection).

Opens nothing, and guesses no server: an endpoint names its host, its socket or its sentinels. A password is never part of a label, a
repr or an error, nor is a text that may be a misplaced one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis_ttl.adapters.connection.fields import LAST_PORT, NOT_SHOWN, URL, Fields, host_and_port
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.secret import secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CertificateCheck = Literal["required", "optional", "none"]

_DEFAULT_PORT = 6379
_DEFAULT_SENTINEL_PORT = 26379
_SCHEMES = "redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
_PERCENT_ENCODE = "In a user name or password write # as %23, ? as %3F, / as %2F, @ as %40, and % as %25."
_PLACES = "a host, the path of a unix socket, or sentinels"
_CERTIFICATE_CHECKS = ("required", "optional", "none")
_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted, as in redis-py.

    The files are paths; the authorities of ``ca_file`` are trusted beside the system's. Who checks no certificate checks no host
    name either.
    """

    check: CertificateCheck = "required"
    check_hostname: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server to connect to by ``host`` or ``unix_socket``, or the ``sentinels`` that know where it is: one of the three.

    Whoever has sentinels can't connect until `redis_ttl.adapters.connection.entry.locate` has asked one of them for
    ``sentinel_master``; ``sentinel_tls`` is how they are spoken to, None in plain text. ``startup_nodes`` are further nodes
    of the cluster, which are asked in turn where the host doesn't answer. ``whole_cluster`` False means this node only,
    though it is part of a cluster; ``must_be_cluster``, that a server which is part of none isn't the one that was meant.
    ``node_id`` is the cluster's node that must answer there, where one is meant. ``credential_provider`` is the import path of
    what gives user and password in place of these. Passwords become a :class:`Secret`. Raises `InvalidOption` where no server
    is named.
    """

    host: str = ""
    port: int = _DEFAULT_PORT
    unix_socket: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credential_provider: str | None = None
    tls: Tls | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: Tls | None = None
    startup_nodes: tuple[tuple[str, int], ...] = ()
    whole_cluster: bool = True
    must_be_cluster: bool = False
    node_id: str | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "password", secret(self.password))
        object.__setattr__(self, "sentinel_password", secret(self.sentinel_password))
        named = [place for place in (self.host, self.unix_socket, self.sentinels) if place]
        if not named:
            raise InvalidOption(
                "no server is named", allowed=_PLACES, todo="Nothing is taken for granted, not even localhost."
            )
        if len(named) > 1:
            raise InvalidOption("more than one server is named", allowed=f"one of {_PLACES}")
        if any(not host for host, _ in self.sentinels):
            raise InvalidOption("a sentinel without a host", allowed="host:port[,host:port]")

    @property
    def address(self) -> str:
        """``host:port``, or the path of the unix socket; empty while only sentinels are known."""
        if self.sentinels:
            return ""
        if self.unix_socket:
            return self.unix_socket
        return address_of(self.host, self.port)

    @property
    def label(self) -> str:
        """The endpoint as a person may see it: no user, no password."""
        if self.sentinels:
            return f"{self.sentinel_master} by sentinel {','.join(f'{host}:{port}' for host, port in self.sentinels)}"
        return self.address

    def at(self, address: str, node_id: str | None = None) -> Endpoint:
        """The same way in, to another node, given as ``host:port`` or as the path of a unix socket."""
        if address.startswith("/"):
            return replace(
                self, host="", unix_socket=address, tls=None, sentinels=(), startup_nodes=(), node_id=node_id
            )
        host, _, port = address.rpartition(":")
        return replace(
            self,
            host=host.strip("[]"),
            port=int(port),
            unix_socket=None,
            sentinels=(),
            startup_nodes=(),
            node_id=node_id,
        )

    def on(self, db: int) -> Endpoint:
        """The same server, another database."""
        return replace(self, db=db)


def address_of(host: str, port: int | str) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoint_from_url(url: str, *, overrides: Mapping[str, Any] | None = None) -> Endpoint:
    """The endpoint that a URL names; ``overrides`` are fields as in `endpoint_from_fields` and win over the URL.

    ::

    redis://[[user]:password@]host[:port][/db]            rediss://... with TLS
    unix://[[user]:password@]/path/to.sock[?db=0]
    redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/name[/db]    rediss+sentinel://... with TLS

    ``name`` is what the sentinels call the primary; user and password are the server's, the sentinels' own go into
    the options. Every field of `endpoint_from_fields` may follow as an option, as in
    ``?ssl_ca_certs=/etc/ca.pem&cluster=no``. Characters with a meaning in URLs are percent-encoded. Raises
    `InvalidOption`, which repeats nothing that may be part of a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidOption("not a URL", where=URL, allowed=_SCHEMES, todo=_PERCENT_ENCODE) from None
    # A password that isn't encoded (#, ?, /) cuts the URL short: the rest would be taken for something else, and
    # what is left of it may name another server.
    is_path = parts.scheme == "unix" and not parts.netloc
    after_place = parts.query if is_path else parts.path + ("" if "@" in parts.netloc else parts.query)
    if parts.fragment or "@" in after_place:
        what = "a #, ? or / stands where it can't mean what a URL means by it"
        raise InvalidOption(what, where=URL, todo=_PERCENT_ENCODE)
    credentials, _, place = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    fields: dict[str, Any] = {
        "username": unquote(user) or None,
        "password": unquote(password) or None,
        "ssl": parts.scheme.startswith("rediss"),
    }
    path = unquote(parts.path).strip("/")
    match parts.scheme:
        case "redis" | "rediss":
            host, port = host_and_port(place, _DEFAULT_PORT, URL)
            fields |= {"host": host or None, "port": port, "db": path or None}
        case "unix":
            fields["unix_socket"] = unquote(place + parts.path)
        case "redis+sentinel" | "rediss+sentinel":
            master, _, db = path.partition("/")
            fields |= {"sentinel": place, "sentinel_master": master or None, "db": db or None}
        case _:
            found = f"{parts.scheme}://" if parts.scheme and "://" in url else "no scheme"
            raise InvalidOption("not a Redis URL", where=URL, found=found, allowed=_SCHEMES)
    fields |= dict(parse_qsl(parts.query, keep_blank_values=True))
    fields |= overrides or {}
    if parts.scheme == "unix" and not fields["unix_socket"].startswith("/"):
        raise InvalidOption("no path of a unix socket", where=URL, allowed="unix:///path/to.sock")
    return endpoint_from_fields(fields, where=URL)


def endpoint_from_fields(fields: Mapping[str, Any], *, where: str = "connection") -> Endpoint:
    """The endpoint that named fields describe.

    Values may be text or already of their type; None and "" count as left out. The fields: ``host``, ``port``,
    ``username`` (or ``login``), ``password``, ``db``, ``unix_socket``; ``credential_provider`` (import path of a class or function
    that returns a `redis.CredentialProvider`, in place of user and password); ``ssl``, ``ssl_cert_reqs`` (required,
    optional, none), ``ssl_check_hostname``, ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, as Airflow's Redis
    provider names them; ``sentinel`` (host:port, several with commas or as a list), ``sentinel_master``,
    ``sentinel_kwargs`` (how the sentinels are spoken to, as redis-py's Sentinel takes it: an object with ``username``,
    ``password`` and the ``ssl`` fields of their own), or else ``sentinel_username``, ``sentinel_password``, ``sentinel_ssl`` (whether the
    sentinels speak TLS, with the server's files; by default as the server does); ``startup_nodes`` (further nodes of the cluster,
    as ``sentinel``), ``cluster`` (yes: nothing but a cluster; no: this node only), ``connect_timeout`` and ``read_timeout`` (seconds).
    Raises `InvalidOption` that names the field.
    """
    given = Fields(fields, where, _KNOWN_FIELDS)
    sentinels = given.addresses("sentinel", _DEFAULT_SENTINEL_PORT)
    master = given.text("sentinel_master")
    if sentinels and not master:
        raise InvalidOption(
            "sentinels are given without the name of the primary that they watch",
            where=where,
            todo="Add sentinel_master.",
        )
    if master and not sentinels:
        raise InvalidOption(
            "sentinel_master is given without a sentinel to ask",
            where=where,
            todo="Add sentinel as host:port[,host:port].",
        )
    use_tls = given.flag("ssl", default=False)
    access = _sentinel_access(given, use_tls=use_tls)
    if not sentinels and (
        told := next((name for name in ("sentinel_ssl", "sentinel_kwargs") if given.text(name)), None)
    ):
        raise InvalidOption(f"{told} is given without a sentinel to ask", where=where, todo="Use ssl for the server.")
    if not use_tls and (access.tls is None or given.text("sentinel_kwargs")):
        _refuse_tls_files(given)
    unix_socket, host = given.text("unix_socket"), given.text("host")
    if unix_socket and use_tls and not sentinels:
        raise InvalidOption(
            "TLS is asked for on a unix socket", where=where, todo="Leave ssl out: Redis has no TLS there."
        )
    startup_nodes, whole_cluster = given.addresses("startup_nodes", _DEFAULT_PORT), given.flag("cluster", default=True)
    if startup_nodes and (sentinels or unix_socket or not whole_cluster):
        raise InvalidOption(
            "startup_nodes are given for what is no whole cluster",
            where=where,
            found="sentinels" if sentinels else "a socket" if unix_socket else "cluster=no",
            todo="Leave them out, or name a node of the cluster as the host.",
        )
    places = (*((host,) if host else ()), *((unix_socket,) if unix_socket else ()), *sentinels)
    if not places:
        raise InvalidOption(
            "no server is named",
            where=where,
            allowed=_PLACES,
            todo="Nothing is taken for granted, not even localhost: write it if you mean it.",
        )
    return Endpoint(
        # A connection of Airflow's may have a host beside the sentinels, or beside a socket: what is said more exactly counts.
        host="" if sentinels or unix_socket else host or "",
        port=given.number("port", default=_DEFAULT_PORT, least=1, most=LAST_PORT),
        unix_socket=None if sentinels else unix_socket,
        db=given.number("db", default=0, least=0, most=2**31 - 1),
        **_credentials(given),
        tls=_tls(given) if use_tls else None,
        sentinels=sentinels,
        sentinel_master=master,
        sentinel_username=access.username,
        sentinel_password=access.password,
        sentinel_tls=access.tls if sentinels else None,
        startup_nodes=startup_nodes,
        whole_cluster=whole_cluster,
        must_be_cluster=given.flag("cluster", default=False),
        connect_timeout_s=given.seconds("connect_timeout", default=5.0),
        read_timeout_s=given.seconds("read_timeout", default=30.0),
    )


_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_FIELDS = ("ssl", "ssl_cert_reqs", "ssl_check_hostname", *_TLS_FILES)
_SENTINEL_ACCESS = ("sentinel_username", "sentinel_password", "sentinel_ssl")
_KNOWN_FIELDS = (
    *("host", "port", "username", "login", "password", "credential_provider", "db", "unix_socket"),
    *_TLS_FIELDS,
    *("sentinel", "sentinel_master", "sentinel_kwargs", *_SENTINEL_ACCESS),
    *("startup_nodes", "cluster", "connect_timeout", "read_timeout"),
)


@dataclass(frozen=True, slots=True)
class _Access:
    """How sentinels are spoken to."""

    username: str | None
    password: str | None = field(repr=False)
    tls: Tls | None


def _sentinel_access(given: Fields, *, use_tls: bool) -> _Access:
    own = given.nested("sentinel_kwargs", ("username", "password", *_TLS_FIELDS))
    if own is None:
        speak_tls = given.flag("sentinel_ssl", default=use_tls)
        username, password = given.text("sentinel_username"), secret(given.text("sentinel_password"))
        return _Access(username, password, _tls(given) if speak_tls else None)
    if twice := next((name for name in _SENTINEL_ACCESS if given.text(name)), None):
        raise InvalidOption(
            f"sentinel_kwargs and {twice} both say how sentinels are spoken to",
            where=given.where,
            todo="Give one of them.",
        )
    speak_tls = own.flag("ssl", default=False)
    if not speak_tls:
        _refuse_tls_files(own)
    return _Access(own.text("username"), secret(own.text("password")), _tls(own) if speak_tls else None)


def _credentials(given: Fields) -> dict[str, str | None]:
    username, password = given.text("username") or given.text("login"), secret(given.text("password"))
    provider = given.text("credential_provider")
    if provider is not None and not _IMPORT_PATH.fullmatch(provider):
        allowed = "package.module.name of a class or function that takes no arguments"
        raise InvalidOption("credential_provider can't be used", where=given.where, found=NOT_SHOWN, allowed=allowed)
    if provider is not None and (username or password):
        raise InvalidOption(
            "a credential_provider is given, and a user or password beside it",
            where=given.where,
            todo="Give one of them: the provider gives user and password.",
        )
    return {"username": username, "password": password, "credential_provider": provider}


def _refuse_tls_files(given: Fields) -> None:
    """Raise for a file that nothing would be done with."""
    if file := next((name for name in _TLS_FILES if given.text(name)), None):
        raise InvalidOption(
            f"{file} is given, but TLS is off", where=given.where, todo="Use rediss:// or set ssl to true."
        )


def _tls(given: Fields) -> Tls:
    check = str(given.value("ssl_cert_reqs", "required")).lower().removeprefix("cert_")
    if check not in _CERTIFICATE_CHECKS:
        raise given.wrong("ssl_cert_reqs", check, ", ".join(_CERTIFICATE_CHECKS))
    if given.text("ssl_keyfile") and not given.text("ssl_certfile"):
        raise InvalidOption(
            "ssl_keyfile is given without the certificate that it belongs to",
            where=given.where,
            todo="Add ssl_certfile.",
        )
    return Tls(
        check=cast("CertificateCheck", check),
        check_hostname=given.flag("ssl_check_hostname", default=check != "none"),
        ca_file=given.text("ssl_ca_certs"),
        cert_file=given.text("ssl_certfile"),
        key_file=given.text("ssl_keyfile"),
    )
