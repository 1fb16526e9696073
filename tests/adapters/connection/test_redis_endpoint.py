from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from redis_ttl.adapters.connection.endpoint import Endpoint, Tls, endpoint_from_fields, endpoint_from_url
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.secret import Secret

SENTINELS = (("s1", 26379), ("s2", 5000))


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://cache.example:7000/3", Endpoint(host="cache.example", port=7000, db=3)),
        ("redis://:se%40cret@h", Endpoint(host="h", password="se@cret")),
        ("redis://ann:secret@h:1/2", Endpoint(host="h", port=1, db=2, username="ann", password="secret")),
        ("redis://[::1]:7000", Endpoint(host="::1", port=7000)),
        ("rediss://h", Endpoint(host="h", tls=Tls())),
        ("rediss://h?ssl_ca_certs=/ca.pem", Endpoint(host="h", tls=Tls(ca_file="/ca.pem"))),
        ("rediss://h?ssl_cert_reqs=none", Endpoint(host="h", tls=Tls(check="none", check_hostname=False))),
        ("rediss://h?ssl_check_hostname=no", Endpoint(host="h", tls=Tls(check_hostname=False))),
        (
            "rediss://h?ssl_certfile=/c&ssl_keyfile=/k",
            Endpoint(host="h", tls=Tls(cert_file="/c", key_file="/k")),
        ),
        ("unix:///run/redis.sock?db=2", Endpoint(unix_socket="/run/redis.sock", db=2)),
        ("unix://:secret@/run/redis.sock", Endpoint(unix_socket="/run/redis.sock", password="secret")),
        ("redis+sentinel://s1,s2:5000/main/4", Endpoint(sentinels=SENTINELS, sentinel_master="main", db=4)),
        (
            "rediss+sentinel://u:p@s1,s2:5000/main?sentinel_password=x",
            Endpoint(
                sentinels=SENTINELS,
                sentinel_master="main",
                username="u",
                password="p",
                sentinel_password="x",
                tls=Tls(),
                sentinel_tls=Tls(),
            ),
        ),
        (
            "rediss+sentinel://s1,s2:5000/main?sentinel_ssl=no&sentinel_username=eve",
            Endpoint(sentinels=SENTINELS, sentinel_master="main", tls=Tls(), sentinel_username="eve"),
        ),
        (
            "redis+sentinel://s1,s2:5000/main?sentinel_ssl=yes&ssl_ca_certs=/ca.pem",
            Endpoint(sentinels=SENTINELS, sentinel_master="main", sentinel_tls=Tls(ca_file="/ca.pem")),
        ),
        (
            "redis://h:7000?startup_nodes=s2:5000,h3",
            Endpoint(host="h", port=7000, startup_nodes=(("s2", 5000), ("h3", 6379))),
        ),
        ("redis://h?cluster=no&read_timeout=2.5", Endpoint(host="h", whole_cluster=False, read_timeout_s=2.5)),
    ],
)
def test_a_url_says_where_and_how(url: str, endpoint: Endpoint) -> None:
    """Each form of URL leads to the endpoint that it spells out."""
    assert endpoint_from_url(url) == endpoint


def test_what_is_given_beside_a_url_wins() -> None:
    """Options of a command override the same options of the URL."""
    endpoint = endpoint_from_url("redis://:old@h/1", overrides={"password": "new", "db": 2, "ssl": True})
    assert (endpoint.password, endpoint.db, endpoint.tls) == ("new", 2, Tls())


def test_fields_may_be_of_any_type_that_airflow_makes_of_them() -> None:
    """Numbers and flags may be text, sentinels a list, and empty fields count as left out."""
    endpoint = endpoint_from_fields(
        {
            "host": "",
            "login": "ann",
            "password": "secret",
            "port": "7000",
            "db": "3",
            "ssl": "true",
            "ssl_cert_reqs": "CERT_REQUIRED",
            "sentinel": ["s1", "s2:5000"],
            "sentinel_master": "main",
            "ssl_keyfile": None,
        }
    )
    assert endpoint == Endpoint(
        port=7000,
        db=3,
        username="ann",
        password="secret",
        tls=Tls(),
        sentinels=SENTINELS,
        sentinel_master="main",
        sentinel_tls=Tls(),
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prot": 1}, ["prot", "Did you mean port?"]),
        ({"port": 0}, ["port", "0", "1 to 65535"]),
        ({"port": "http"}, ["port", "isn't shown", "whole number"]),
        ({"db": -1}, ["db", "-1"]),
        ({"db": "users"}, ["db", "isn't shown"]),
        ({"ssl": "maybe"}, ["ssl", "isn't shown", "true or false"]),
        ({"ssl": True, "ssl_cert_reqs": "some"}, ["ssl_cert_reqs", "required, optional, none"]),
        ({"ssl_ca_certs": "/ca"}, ["ssl_ca_certs", "TLS is off"]),
        ({"sentinel": "s1"}, ["sentinel_master"]),
        ({"sentinel_master": "main"}, ["sentinel as host:port"]),
        ({"sentinel": "s1:99999", "sentinel_master": "main"}, ["port", "99999"]),
        ({"sentinel": 7, "sentinel_master": "main"}, ["sentinel", "7", "host:port"]),
        ({"sentinel_ssl": "no"}, ["sentinel_ssl", "without a sentinel"]),
        ({"sentinel": "s1", "sentinel_master": "main", "sentinel_ssl": "maybe"}, ["sentinel_ssl", "true or false"]),
        ({"startup_nodes": ":7001"}, ["startup_nodes", "host:port"]),
        ({"startup_nodes": "h2", "cluster": "no"}, ["startup_nodes", "cluster=no"]),
        ({"startup_nodes": "h2", "sentinel": "s1", "sentinel_master": "main"}, ["startup_nodes", "sentinels"]),
        ({"read_timeout": 0}, ["read_timeout", "0", "seconds"]),
        ({"connect_timeout": "soon"}, ["connect_timeout", "isn't shown"]),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], words: list[str]) -> None:
    """A field that can't be used is refused by its name, with what was found and what may stand there."""
    with pytest.raises(InvalidOption) as caught:
        endpoint_from_fields({"host": "h", **fields}, where="connection redis_shop")
    assert caught.value.where == "connection redis_shop"
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://:secret@:6379/0",
        "unix://",
        "unix://?db=1",
        "unix:run.sock",
        "redis+sentinel:///main",
        "redis+sentinel://:26379/main",
        "redis+sentinel://s1,,s2/main",
        "rediss://?ssl=yes",
        "redis+sentinel://s1,/main",
    ],
)
def test_no_server_is_taken_for_granted(url: str) -> None:
    """A URL that names no host, socket or sentinel leads nowhere, and not to localhost."""
    with pytest.raises(InvalidOption):
        endpoint_from_url(url)


@pytest.mark.parametrize(
    "fields", [{}, {"port": 6379}, {"host": ""}, {"password": "secret", "db": 1}, {"sentinel": ":26379"}]
)
def test_no_connection_without_a_server(fields: dict[str, Any]) -> None:
    """Neither does a connection of Airflow's, nor an endpoint that code makes."""
    with pytest.raises(InvalidOption):
        endpoint_from_fields({**fields, **({"sentinel_master": "m"} if "sentinel" in fields else {})})
    with pytest.raises(InvalidOption, match="no server is named"):
        Endpoint()


SECRETS = [
    "S3cretPassw0rd",
    "77777777777",
    "a:S3cretPassw0rd",
    "S3cr Passw0rd",
    "S3cret&Passw0rd",
    "优惠S3cret",
    "99999",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        "redis://:{}",
        "redis://user:{}",
        "redis://:{}@",
        "redis://user:{}@",
        "redis://h:6379/{}",
        "redis://h:{}/0",
        "redis://h?db={}",
        "redis://h:6379?password={}&db=x",
        "redis://h?{}",
        "redis://h?password={}&read_timeout=soon",
        "redis+sentinel://:{}@/main",
        "redis+sentinel://s1:{}/main",
        "redis+sentinel://:{}@s1",
        "unix://:{}@",
        "redis://h?ssl={}",
        "redis://h?cluster={}",
        "rediss://h?ssl_cert_reqs={}",
        "redis://:{}@h:x",
        "redis://:{}@h#f",
        "redis://:{}@x@h:6379/a",
        "redis://:{}/@h",
        "redis://:{}?@h",
        "redis+sentinel://s1/{}?sentinel_password={}&db=x",
    ],
)
def test_no_wrong_url_shows_a_password(form: str, secret: str) -> None:
    """Whatever is wrong with a URL, and wherever its password landed, the error repeats nothing of it."""
    try:
        endpoint = endpoint_from_url(form.replace("{}", secret))
    except InvalidOption as error:
        shown = f"{error} {error!r} {pickle.loads(pickle.dumps(error))!r}"
        pieces = [piece for piece in re.split(r"[^\w]", secret) if len(piece) > 1]
        assert not any(piece in shown for piece in pieces), shown
    else:
        assert not endpoint.password or endpoint.password not in repr(endpoint)


def test_a_secret_is_itself_wherever_it_is_copied() -> None:
    """Pickled, copied or wrapped again, a password stays what it is, and shows nothing."""
    endpoint = endpoint_from_url("redis+sentinel://:se%40cret@s1/main?sentinel_password=hidden")
    for copied in (pickle.loads(pickle.dumps(endpoint)), copy.deepcopy(endpoint), endpoint.on(3), endpoint.at("h:1")):
        assert (copied.password, copied.sentinel_password) == ("se@cret", "hidden")
        assert not {"se@cret", "hidden"} & set(f"{copied} {copied!r} {copied.password} {copied.password!r}".split("'"))
        assert isinstance(copied.password, Secret)
        assert copied.password.reveal() == "se@cret"
        assert copied.password.encode() == b"se@cret"


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://h", "redis://h:0", "redis://h:port", "redis://[::1", "redis://h/db"]
)
def test_a_wrong_url_is_refused(url: str) -> None:
    """What isn't a Redis URL is refused as such, and the URL itself, with its password, isn't repeated."""
    with pytest.raises(InvalidOption) as caught:
        endpoint_from_url(url.replace("//", "//ann:secret@"))
    assert caught.value.where == "URL"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("character", ["#", "?", "/", "["])
@pytest.mark.parametrize("before", ["redis://:", "rediss://ann:", "redis+sentinel://:", "unix://:"])
def test_a_password_that_is_not_encoded_is_not_guessed_at(character: str, before: str) -> None:
    """A password that cuts the URL short is refused without repeating any of it, instead of leading to another server."""
    with pytest.raises(InvalidOption) as caught:
        endpoint_from_url(f"{before}12{character}hidden@prod:6379/0")
    assert "percent-encoded" in str(caught.value) or "%23" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "12" not in str(caught.value)


def test_a_fragment_means_nothing() -> None:
    """What follows a # is refused rather than ignored."""
    with pytest.raises(InvalidOption):
        endpoint_from_url("redis://prod:6379/0#1")


def test_a_socket_may_have_an_at_sign_in_its_path() -> None:
    """In the path of a unix socket every character stands for itself."""
    assert endpoint_from_url("unix:///run/a@b.sock").unix_socket == "/run/a@b.sock"


def test_passwords_are_not_shown() -> None:
    """Neither the label nor the repr of an endpoint shows a password."""
    endpoint = endpoint_from_url("redis+sentinel://ann:secret@s1/main?sentinel_password=hidden")
    for text in (endpoint.label, repr(endpoint), endpoint.address):
        assert "secret" not in text
        assert "hidden" not in text


def test_an_endpoint_leads_to_other_nodes_the_same_way() -> None:
    """Another node of the deployment is reached with the same credentials, IPv6 and unix sockets included."""
    endpoint = endpoint_from_url("rediss://ann:secret@h/3")
    assert endpoint.at("10.0.0.1:7000").address == "10.0.0.1:7000"
    assert endpoint.at("[::1]:7000").host == "::1"
    assert endpoint.at("[::1]:7000").address == "[::1]:7000"
    assert endpoint.at("/run/redis.sock").address == "/run/redis.sock"
    assert endpoint.at("10.0.0.1:7000").password == "secret"
    assert endpoint.at("10.0.0.1:7000").tls == Tls()
