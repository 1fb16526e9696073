"""Where a Redis server is and how to get in: from a URL (terminal) or from named fields (an Airflow connection).

Opens nothing, and guesses no server: an endpoint names its host, its socket or its sentinels. A password is never part of a label, a
repr or an error, nor is a text that may be a misplaced one.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.secret import Secret, secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CertificateCheck = Literal["required", "optional", "none"]

_DEFAULT_PORT = 6379
_DEFAULT_SENTINEL_PORT = 26379
_LAST_PORT = 65_535
_SHOWN = 40
_URL = "URL"
_LONGEST_TIMEOUT_S = 3600.0
_SCHEMES = "redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
_PERCENT_ENCODE = "In a user name or password write # as %23, ? as %3F, / as %2F, @ as %40, and % as %25."
_PLACES = "a host, the path of a unix socket, or sentinels"
_CERTIFICATE_CHECKS = ("required", "optional", "none")
#: What may be repeated in an error; any other text may be a password in the wrong place.
_HARMLESS = re.compile(r"-?[0-9]{1,10}(?:\.[0-9]{1,6})?")
_OPTION_NAME = re.compile(r"[a-z_]{2,30}")
_NOT_SHOWN = "a text that may be part of a password, and isn't shown"
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted.

    The files are paths; ``ca_file`` None means the system's authorities.
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
    though it is part of a cluster. ``node_id`` is the cluster's node that must answer there, where one is meant. Passwords
    become a :class:`Secret`. Raises `InvalidOption` where no server is named.
    """

    host: str = ""
    port: int = _DEFAULT_PORT
    unix_socket: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: Tls | None = None
    startup_nodes: tuple[tuple[str, int], ...] = ()
    whole_cluster: bool = True
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
            return replace(self, host="", unix_socket=address, sentinels=(), startup_nodes=(), node_id=node_id)
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
        raise InvalidOption("not a URL", where=_URL, allowed=_SCHEMES, todo=_PERCENT_ENCODE) from None
    # A password that isn't encoded (#, ?, /) cuts the URL short: the rest would be taken for something else, and
    # what is left of it may name another server.
    is_path = parts.scheme == "unix" and not parts.netloc
    after_place = parts.query if is_path else parts.path + ("" if "@" in parts.netloc else parts.query)
    if parts.fragment or "@" in after_place:
        what = "a #, ? or / stands where it can't mean what a URL means by it"
        raise InvalidOption(what, where=_URL, todo=_PERCENT_ENCODE)
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
            host, port = _host_and_port(place, _DEFAULT_PORT, _URL)
            fields |= {"host": host or None, "port": port, "db": path or None}
        case "unix":
            fields["unix_socket"] = unquote(place + parts.path)
        case "redis+sentinel" | "rediss+sentinel":
            master, _, db = path.partition("/")
            fields |= {"sentinel": place, "sentinel_master": master or None, "db": db or None}
        case _:
            found = f"{parts.scheme}://" if parts.scheme and "://" in url else "no scheme"
            raise InvalidOption("not a Redis URL", where=_URL, found=found, allowed=_SCHEMES)
    fields |= dict(parse_qsl(parts.query, keep_blank_values=True))
    fields |= overrides or {}
    if parts.scheme == "unix" and not fields["unix_socket"].startswith("/"):
        raise InvalidOption("no path of a unix socket", where=_URL, allowed="unix:///path/to.sock")
    return endpoint_from_fields(fields, where=_URL)


def endpoint_from_fields(fields: Mapping[str, Any], *, where: str = "connection") -> Endpoint:
    """The endpoint that named fields describe.

    Values may be text or already of their type; None and "" count as left out. The fields: ``host``, ``port``,
    ``username`` (or ``login``), ``password``, ``db``, ``unix_socket``; ``ssl``, ``ssl_cert_reqs`` (required,
    optional, none), ``ssl_check_hostname``, ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, as Airflow's Redis
    provider names them; ``sentinel`` (host:port, several with commas or as a list), ``sentinel_master``,
    ``sentinel_username``, ``sentinel_password``, ``sentinel_ssl`` (whether the sentinels speak TLS, with the same files; by default
    as the server does); ``startup_nodes`` (further nodes of the cluster, as ``sentinel``), ``cluster`` (no: this node only),
    ``connect_timeout`` and ``read_timeout`` (seconds). Raises `InvalidOption` that names the field.
    """
    given = _Fields(fields, where)
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
    tls_fields = [name for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if given.text(name)]
    use_tls = given.flag("ssl", default=False)
    sentinel_tls = given.flag("sentinel_ssl", default=use_tls)
    if given.text("sentinel_ssl") and not sentinels:
        raise InvalidOption(
            "sentinel_ssl is given without a sentinel to ask", where=where, todo="Use ssl for the server."
        )
    if tls_fields and not (use_tls or sentinel_tls):
        raise InvalidOption(
            f"{tls_fields[0]} is given, but TLS is off", where=where, todo="Use rediss:// or set ssl to true."
        )
    unix_socket, host = given.text("unix_socket"), given.text("host")
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
        port=given.number("port", default=_DEFAULT_PORT, least=1, most=_LAST_PORT),
        unix_socket=None if sentinels else unix_socket,
        db=given.number("db", default=0, least=0, most=2**31 - 1),
        username=given.text("username") or given.text("login"),
        password=secret(given.text("password")),
        tls=given.tls() if use_tls else None,
        sentinels=sentinels,
        sentinel_master=master,
        sentinel_username=given.text("sentinel_username"),
        sentinel_password=secret(given.text("sentinel_password")),
        sentinel_tls=given.tls() if sentinels and sentinel_tls else None,
        startup_nodes=startup_nodes,
        whole_cluster=whole_cluster,
        connect_timeout_s=given.seconds("connect_timeout", default=5.0),
        read_timeout_s=given.seconds("read_timeout", default=30.0),
    )


_KNOWN_FIELDS = (
    *("host", "port", "username", "login", "password", "db", "unix_socket"),
    *("ssl", "ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
    *("sentinel", "sentinel_master", "sentinel_username", "sentinel_password", "sentinel_ssl"),
    *("startup_nodes", "cluster", "connect_timeout", "read_timeout"),
)


class _Fields:
    """Reads typed values out of a mapping and says which field is wrong, and how."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = {name: value for name, value in values.items() if value is not None and value != ""}
        self._where = where
        for name in self._values:
            if name not in _KNOWN_FIELDS:
                near = difflib.get_close_matches(name[:_SHOWN], _KNOWN_FIELDS, n=1)
                raise InvalidOption(
                    "unknown option",
                    where=where,
                    # The rest of a password with an & in it looks like one.
                    found=name if near and _OPTION_NAME.fullmatch(name) else _NOT_SHOWN,
                    allowed=", ".join(_KNOWN_FIELDS),
                    todo=f"Did you mean {near[0]}?" if near else None,
                )

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        return None if value is None else value.reveal() if isinstance(value, Secret) else str(value)

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        value = self._values.get(name, default)
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = least - 1
        if not least <= number <= most or isinstance(value, bool):
            raise self._wrong(name, value, f"a whole number from {least} to {most}")
        return number

    def seconds(self, name: str, *, default: float) -> float:
        value = self._values.get(name, default)
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds <= _LONGEST_TIMEOUT_S:
            raise self._wrong(name, value, "a number of seconds above 0, up to 3600")
        return seconds

    def flag(self, name: str, *, default: bool) -> bool:
        value = str(self._values.get(name, default)).lower()
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise self._wrong(name, value, "true or false")

    def addresses(self, name: str, default_port: int) -> tuple[tuple[str, int], ...]:
        value = self._values.get(name, ())
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list | tuple):
            raise self._wrong(name, value, "host:port, several separated by commas or as a list")
        found = tuple(_host_and_port(str(address).strip(), default_port, self._where) for address in value)
        if any(not host for host, _ in found):
            raise InvalidOption(f"{name} without a host", where=self._where, allowed="host:port[,host:port]")
        return found

    def tls(self) -> Tls:
        check = str(self._values.get("ssl_cert_reqs", "required")).lower().removeprefix("cert_")
        if check not in _CERTIFICATE_CHECKS:
            raise self._wrong("ssl_cert_reqs", check, ", ".join(_CERTIFICATE_CHECKS))
        return Tls(
            check=cast("CertificateCheck", check),
            check_hostname=self.flag("ssl_check_hostname", default=check == "required"),
            ca_file=self.text("ssl_ca_certs"),
            cert_file=self.text("ssl_certfile"),
            key_file=self.text("ssl_keyfile"),
        )

    def _wrong(self, name: str, value: object, allowed: str) -> InvalidOption:
        return InvalidOption(
            f"{name} can't be used", where=self._where, found=_harmless(value, self._where), allowed=allowed
        )


def _harmless(value: object, where: str) -> str:
    """A value as an error may repeat it; of a URL nothing, whose pieces are easily taken for each other."""
    if where == _URL:
        return _NOT_SHOWN
    if isinstance(value, int | float) or (isinstance(value, str) and _HARMLESS.fullmatch(value)):
        return repr(value)
    return _NOT_SHOWN if isinstance(value, str) else f"a {type(value).__name__}"


def _host_and_port(place: str, default_port: int, where: str) -> tuple[str, int]:
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (_HARMLESS.fullmatch(port) and port.isdecimal() and 1 <= int(port) <= _LAST_PORT):
        raise InvalidOption(
            "port can't be used", where=where, found=_harmless(port, where), allowed="a whole number from 1 to 65535"
        )
    return unquote(host), int(port) if port else default_port
