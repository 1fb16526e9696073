"""Stands between a client and a Redis server as a managed service does: hides fields of INFO, or tells others.

What no real server at hand does on command. Everything else passes as it is, whatever the commands are, however many are under
way; knows replies (RESP 2 and 3) only as far as it must to find INFO's among them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

from lab.loopback import LoopbackListener


class HidingProxy(LoopbackListener):
    """Listens on a loopback port of its own. ``hides`` are names of INFO's fields, ``tells`` values in place of the server's.

    Both may be changed while it runs: what is asked afterwards hears of it. ``settings`` are values in place of those that
    CONFIG GET tells.
    """

    def __init__(
        self,
        port: int,
        hides: Iterable[str] = (),
        tells: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._target = ("127.0.0.1", port)
        self.hides = frozenset(hides)
        self.tells = dict(tells or {})
        self.settings = dict(settings or {})

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
        self._ask(client, server)

    @staticmethod
    def _ask(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        stream = server.makefile("rb")
        with suppress(OSError, ValueError), client, server, stream:
            while True:
                client.sendall(self._reply(stream))

    def _reply(self, stream: object) -> bytes:
        line = stream.readline()  # type: ignore[attr-defined]
        if not line:
            raise ValueError("the server hung up")
        kind, size = line[:1], line[1:].strip()
        if kind in b"$=!" and int(size) >= 0:
            return self._text(kind, stream.read(int(size) + 2)[:-2])  # type: ignore[attr-defined]
        parts = max(0, int(size)) * (2 if kind in b"%|" else 1) if kind in b"*~>%|" else 0
        replies = [self._reply(stream) for _ in range(parts)]
        if kind in b"*%" and parts == 2 and (told := self._setting(replies)) is not None:  # a name and its value
            replies[1] = told
        return bytes(line + b"".join(replies))

    def _text(self, kind: bytes, text: bytes) -> bytes:
        if text.startswith(b"# "):
            text = b"\r\n".join(self._told(line) for line in text.split(b"\r\n") if not self._is_hidden(line))
        return b"%s%d\r\n%s\r\n" % (kind, len(text), text)

    def _is_hidden(self, line: bytes) -> bool:
        return line.split(b":", 1)[0].decode("latin-1") in self.hides

    def _told(self, line: bytes) -> bytes:
        name, colon, _ = line.partition(b":")
        value = self.tells.get(name.decode("latin-1")) if colon else None
        return line if value is None else name + b":" + value.encode()

    def _setting(self, replies: list[bytes]) -> bytes | None:
        name = replies[0].split(b"\r\n")[1].decode("latin-1") if replies[0].startswith(b"$") else ""
        value = self.settings.get(name)
        return None if value is None else b"$%d\r\n%s\r\n" % (len(value), value.encode())
