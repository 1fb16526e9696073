"""Stands at one address for several Redis servers, as a balancer or a name with several addresses does: each connection leads to the
next of them.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.servers import Server


@dataclass
class AlternatingProxy:
    """``servers`` take turns, connection by connection."""

    servers: Sequence[Server]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        self._turns = itertools.cycle(self.servers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            target = next(self._turns)
            server = socket.create_connection((target.host, target.port))
            for source, drain in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, drain), daemon=True).start()


def _pump(source: socket.socket, drain: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            drain.sendall(data)
    except OSError:
        pass
    for each in (source, drain):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
