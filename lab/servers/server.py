"""Starts real servers for tests, benchmarks and experiments, and stops exactly those that it started.

Every server gets a folder, a loopback port and a process of its own, and is stopped by its process id; a server that
was already there is never spoken to. What to do when a kind of server isn't installed is the caller's choice
(`ServerKind.find` returns None).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, NoPermissionError, TimeoutError

from lab import watchdog
from lab.loopback import free_port
from lab.servers.kinds import VALKEY, ServerKind
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from lab.servers.certificates import Certificates


_START_TIMEOUT_S = 20.0


class ServerDidNotStart(RuntimeError):
    """A server process ended, or didn't answer in time; the text ends with its log."""


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
        for is_last in (False, False, False, False, True):
            self.port = fixed_port or free_port()
            self._launch(binary)
            try:
                self._wait()
            except ServerDidNotStart:
                self.stop()
                if fixed_port or is_last or "in use" not in self.log():
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the process at once, as a crash would: nothing that these servers hold is worth a tidy shutdown."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            watchdog.let_go(self.process)
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
        watchdog.watch(self.process)

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
                wait_for(lambda: is_in_sync(client), "the replica to be in sync")
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


def is_in_sync(client: redis.Redis) -> bool:
    """Whether a replica has all that its primary had."""
    replication: Any = client.info("replication")
    return bool(replication.get("master_link_status") == "up")


def _sees(primary: redis.Redis, replica: Server) -> bool:
    replication: Any = primary.info("replication")
    followers = [value for name, value in replication.items() if name.startswith("slave") and isinstance(value, dict)]
    return any(follower["port"] == replica.port and follower["state"] == "online" for follower in followers)
