"""Every way in which a connection can fail, on real servers where one fails that way, else on a scripted one."""

from __future__ import annotations

import pickle
import socket

import pytest

from lab.loopback import free_port
from lab.servers.certificates import Certificates
from lab.servers.cluster import Cluster
from lab.servers.kinds import REDIS_7, REDIS_62, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.errors import ErrorReply, translate_reply
from redis_ttl.adapters.connection.link import RedisLink, encode
from redis_ttl.domain.errors import (
    AuthenticationFailed,
    CommandUnavailable,
    ConnectionLost,
    InvalidOption,
    MissingPermission,
    NoSuchDatabase,
    RedisTtlError,
    ServerLoading,
    ServerProblem,
    TlsMismatch,
    Unreachable,
    WrongRole,
)
from tests.adapters.keyspaces import link_to, set_keys
from tests.adapters.scripted_server import scripted_server
from tests.conftest import require


def failure(url: str) -> RedisTtlError:
    """What connecting to that URL and asking for the time fails with."""
    with pytest.raises(RedisTtlError) as caught, RedisLink(endpoint_from_url(url)) as link:
        link.call("TIME")
    error = caught.value
    assert error.where is not None
    assert "secret" not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return error


def test_a_link_speaks_to_every_server(any_server: Server) -> None:
    """Over TCP and over a unix socket, a link gets back what it wrote, whatever the bytes."""
    for url in (any_server.url, f"unix://{any_server.unix_socket}"):
        with RedisLink(endpoint_from_url(url)) as link:
            link.call("SET", b"\x00\xff \r\n", "值")
            assert link.call("GET", b"\x00\xff \r\n") == "值".encode()
            assert link.call_many([("EXISTS", "nothing"), ("GET", "nothing"), ("SCAN", 0)])[:2] == [0, None]


def test_errors_among_many_replies_stay_in_their_place(valkey: Server) -> None:
    """One command of several that fails leaves the other replies where they belong."""
    with link_to(valkey) as link:
        replies = link.call_many([("SET", "a", 1), ("LPUSH", "a", 1), ("GET", "a")])
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ErrorReply)
    assert replies[2] == b"1"


def test_replies_under_way_stay_with_who_asked_first(valkey: Server) -> None:
    """A command sent between a request and the taking of its replies gets its own reply, and so does the request."""
    with link_to(valkey) as link:
        link.send(encode("ECHO", "first") + encode("ECHO", "second"), 2)
        assert link.call("ECHO", "between") == b"between"
        assert link.receive_together(1) == [b"first"]
        assert link.call_many([("ECHO", "a"), ("ECHO", "b")]) == [b"a", b"b"]
        assert link.receive_together(1) == [b"second"]
        assert link.call("ECHO", "last") == b"last"


def test_a_link_names_itself_to_the_server(valkey: Server) -> None:
    """CLIENT LIST shows who is scanning."""
    with link_to(valkey) as link:
        assert b"name=redis_ttl" in link.call("CLIENT", "LIST")


def test_nobody_there() -> None:
    """A port that nobody listens on is unreachable, and worth another try."""
    error = failure(f"redis://127.0.0.1:{free_port()}")
    assert isinstance(error, Unreachable)
    assert error.retryable


def test_a_host_without_address() -> None:
    """A name that means nothing is unreachable."""
    assert isinstance(failure("redis://no-such-host.invalid"), Unreachable)


@pytest.mark.parametrize("host", ["a..b", "h" * 64])
def test_a_host_that_cannot_be(host: str) -> None:
    """A name that no host can have is refused, not answered with a traceback."""
    assert isinstance(failure(f"redis://{host}"), InvalidOption)


def test_no_socket_there() -> None:
    """A unix socket that isn't there is unreachable."""
    assert isinstance(failure("unix:///nowhere/redis.sock"), Unreachable)


@pytest.mark.parametrize("kind", [VALKEY, REDIS_7, REDIS_62], ids=lambda kind: kind.name)
def test_passwords(kind: object) -> None:
    """A wrong, a missing and a superfluous password are told apart, and none is worth another try."""
    with run_server(require(kind), "user ann on >secret ~* +@all", password="secret") as server:  # type: ignore[arg-type]
        place = f"127.0.0.1:{server.port}"
        for url, words in (
            (f"redis://{place}", "none was given"),
            (f"redis://:wrong-secret@{place}", "rejected this user name or password"),
            (f"redis://ann:wrong-secret@{place}", "rejected this user name or password"),
            (f"redis://nobody:secret@{place}", "rejected this user name or password"),
        ):
            error = failure(url)
            assert isinstance(error, AuthenticationFailed)
            assert words in error.what
            assert not error.retryable
        for url in (f"redis://:secret@{place}", f"redis://ann:secret@{place}"):
            with RedisLink(endpoint_from_url(url)) as link:
                assert link.call("PING") == b"PONG"


def test_a_password_that_the_server_does_not_want(any_server: Server) -> None:
    """A password for a server without one is an error that says so."""
    error = failure(f"redis://:secret@127.0.0.1:{any_server.port}")
    assert isinstance(error, AuthenticationFailed)
    assert "has none" in error.what


def test_tls_works_when_both_sides_agree(tls_redis7: Server, certificates: Certificates) -> None:
    """With the authority's certificate, or without checking any, a TLS server answers."""
    for options in (f"ssl_ca_certs={certificates.ca}", "ssl_cert_reqs=none"):
        with RedisLink(endpoint_from_url(f"{tls_redis7.url}?{options}")) as link:
            assert link.call("PING") == b"PONG"


def test_tls_to_a_plain_server(any_server: Server) -> None:
    """TLS to a server that doesn't speak it is told as that."""
    error = failure(any_server.url.replace("redis:", "rediss:") + "?connect_timeout=1")
    assert isinstance(error, TlsMismatch)
    assert error.todo is not None
    assert "redis://" in error.todo


def test_plain_words_to_a_tls_server(tls_redis7: Server) -> None:
    """Plain text to a TLS port is told as that."""
    error = failure(tls_redis7.url.replace("rediss:", "redis:"))
    assert isinstance(error, TlsMismatch)
    assert "rediss://" in str(error)


def test_a_certificate_that_nobody_vouches_for(tls_redis7: Server) -> None:
    """A certificate of an unknown authority is refused, with the option that names the authority."""
    error = failure(tls_redis7.url)
    assert isinstance(error, TlsMismatch)
    assert "ssl_ca_certs" in str(error)


def test_a_certificate_for_another_name(tls_redis7: Server, certificates: Certificates) -> None:
    """A certificate that was made for another name is refused, unless the name isn't to be checked."""
    url = tls_redis7.url.replace("127.0.0.1", "127.0.0.2")
    with run_server(REDIS_7, certificates=certificates) as server:
        server.stop()
        server.host = "127.0.0.2"
        server.start()
        url = f"{server.url}?ssl_ca_certs={certificates.ca}"
        error = failure(url)
        assert isinstance(error, TlsMismatch)
        assert "127.0.0.2" in str(error)
        with RedisLink(endpoint_from_url(url + "&ssl_check_hostname=no")) as link:
            assert link.call("PING") == b"PONG"


def test_a_server_that_wants_a_client_certificate(certificates: Certificates) -> None:
    """Without a client certificate where one is wanted, the error names the options for it; with it, the server answers."""
    with run_server(require(REDIS_7), "tls-auth-clients yes", certificates=certificates) as server:
        url = f"{server.url}?ssl_ca_certs={certificates.ca}"
        error = failure(url)
        assert isinstance(error, TlsMismatch | ConnectionLost)
        assert "ssl_certfile" in str(error)
        own = f"&ssl_certfile={certificates.client_cert}&ssl_keyfile={certificates.client_key}"
        with RedisLink(endpoint_from_url(url + own)) as link:
            assert link.call("PING") == b"PONG"


def test_a_certificate_file_that_is_none(valkey: Server) -> None:
    """A file that holds no certificate is named."""
    error = failure(valkey.url.replace("redis:", "rediss:") + f"?ssl_ca_certs={__file__}")
    assert isinstance(error, InvalidOption)
    assert __file__ in str(error)


def test_a_server_that_is_still_loading() -> None:
    """A server that reads its data set is told as that, and worth another try."""
    with run_server(require(VALKEY)) as server:
        set_keys(server, (f"key:{number}" for number in range(20_000)))
        with server.client() as client:
            client.save()
        server.stop()
        # Half a millisecond a key, and an ear for clients after every kilobyte.
        server.config = ["key-load-delay 500", "loading-process-events-interval-bytes 1024"]
        server.wait_until_loaded = False
        server.start()
        error = failure(server.url)
        assert isinstance(error, ServerLoading)
        assert error.retryable


def test_a_database_that_does_not_exist(any_server: Server) -> None:
    """A database number beyond the server's is told as that."""
    error = failure(f"redis://127.0.0.1:{any_server.port}/4711")
    assert isinstance(error, NoSuchDatabase)
    assert "INFO keyspace" in str(error)


def test_a_second_database_of_a_cluster(any_cluster: Cluster) -> None:
    """A cluster of Redis 7 has database 0 only; what has more says which it hasn't."""
    error = failure(any_cluster.url.removesuffix("/0") + "/9999")
    assert isinstance(error, NoSuchDatabase)


def test_a_command_that_the_user_may_not_send(any_server: Server) -> None:
    """A forbidden command is named, with the ACL rule that allows it."""
    with any_server.client() as client:
        client.acl_setuser("bob", enabled=True, reset=True, passwords=["+secret"], keys=["*"], commands=["+ping"])
    error = failure(f"redis://bob:secret@127.0.0.1:{any_server.port}")
    assert isinstance(error, MissingPermission)
    assert "TIME" in error.what
    assert "+time" in str(error)


def test_a_key_that_the_user_may_not_read(any_server: Server) -> None:
    """A forbidden key is told apart from a forbidden command, with the pattern that is needed."""
    with any_server.client() as client:
        client.acl_setuser("eve", enabled=True, passwords=["+secret"], keys=["mine:*"], commands=["+@all"])
    url = f"redis://eve:secret@127.0.0.1:{any_server.port}"
    with RedisLink(endpoint_from_url(url)) as link, pytest.raises(MissingPermission, match=r"~\*"):
        link.call("PTTL", "yours:1")


def test_a_server_that_goes_away(any_server: Server) -> None:
    """A connection that breaks off is worth another try."""
    with link_to(any_server) as link, any_server.client() as client:
        client.client_kill_filter(_id=str(link.call("CLIENT", "ID")))
        with pytest.raises(ConnectionLost) as caught:
            link.call("PING")
    assert caught.value.retryable


def test_a_server_that_falls_silent() -> None:
    """A server that doesn't answer in time counts as lost, with the time that it had."""
    with scripted_server(lambda words: b"+PONG\r\n" if words[0] == b"PING" else b"") as url:
        error = failure(url + "?read_timeout=0.2")
    assert isinstance(error, ConnectionLost)
    assert "0.2 s" in str(error)


def test_a_web_server() -> None:
    """What isn't Redis is shown by its first words, and not worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        error = failure(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert type(error) is ServerProblem
    assert "HTTP/1.1 400" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("text", "command", "kind"),
    [
        ("ERR invalid password", "AUTH", AuthenticationFailed),  # Redis 5
        ("ERR Client sent AUTH, but no password is set", "AUTH", AuthenticationFailed),  # Redis 5
        ("ERR wrong number of arguments for 'auth' command", "AUTH", AuthenticationFailed),  # a user name on Redis 5
        ("NOAUTH Authentication required.", "PING", AuthenticationFailed),
        ("DENIED Redis is running in protected mode because ...", "PING", AuthenticationFailed),
        ("ERR max number of clients reached", "AUTH", ConnectionLost),
        ("BUSY Redis is busy running a script.", "SCAN", ConnectionLost),
        ("MASTERDOWN Link with MASTER is down", "SCAN", ConnectionLost),
        ("CLUSTERDOWN The cluster is down", "PTTL", ConnectionLost),
        ("MOVED 3999 127.0.0.1:6381", "PTTL", ConnectionLost),
        ("ASK 3999 127.0.0.1:6381", "PTTL", ConnectionLost),
        ("READONLY You can't write against a read only replica.", "EXPIRE", WrongRole),
        ("ERR unknown command `SCAN`, with args beginning with: `0`", "SCAN", CommandUnavailable),  # Redis 5
        ("ERR unknown subcommand 'USAGE'. Try MEMORY HELP.", "MEMORY USAGE", CommandUnavailable),
        ("ERR Unknown or unsupported command 'SCAN'", "SCAN", CommandUnavailable),
        ("ERR SELECT is not allowed in cluster mode", "SELECT", NoSuchDatabase),
        ("NOPERM this user has no permissions to run the 'scan' command or its subcommand", "SCAN", MissingPermission),
        ("NOPERM User x has no permissions to run the 'memory|usage' command", "MEMORY USAGE", MissingPermission),
        ("NOPERM No permissions to access a key", "PTTL", MissingPermission),
        ("ERR something new", "SCAN", ServerProblem),
    ],
)
def test_what_servers_say(text: str, command: str, kind: type[RedisTtlError]) -> None:
    """Error replies of servers that aren't at hand here are understood too."""
    error = translate_reply(ErrorReply(text), command=command, where="h:1")
    assert type(error) is kind
    assert error.where == "h:1"


def test_a_word_of_advice_for_each_refusal() -> None:
    """Whatever a known refusal is, its error says what to do next."""
    for text in (
        "NOAUTH x",
        "WRONGPASS x",
        "LOADING x",
        "MOVED 1 h:1",
        "NOPERM run the 'scan' command",
        "ERR unknown command 'x'",
    ):
        assert translate_reply(ErrorReply(text), command="SCAN", where="h:1").todo


def test_a_user_without_a_password_is_never_taken_for_the_default_one(valkey: Server) -> None:
    """A name alone logs that user in if it needs no password, and is refused if it does."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "open", "reset", "on", "nopass", "~*", "+@all")
        client.execute_command("ACL", "SETUSER", "closed", "reset", "on", ">secret", "~*", "+@all")
    with RedisLink(endpoint_from_url(f"redis://open@127.0.0.1:{valkey.port}")) as link:
        assert link.call("ACL", "WHOAMI") == b"open"
    assert isinstance(failure(f"redis://closed@127.0.0.1:{valkey.port}"), AuthenticationFailed)
