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

from lab.loopback import LoopbackListener
from lab.servers.server import Server


@dataclass
class AlternatingProxy(LoopbackListener):
    """``servers`` take turns, connection by connection."""

    servers: Sequence[Server]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._turns = itertools.cycle(self.servers)
        return super().__enter__()

    def _serve(self, client: socket.socket) -> None:
        target = next(self._turns)
        server = socket.create_connection((target.host, target.port))
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _pump(server, client)


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
