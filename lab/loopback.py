"""Ports of this machine alone: a free one, and a listener that takes connections on one, each in a thread. Standard library only."""

from __future__ import annotations

import socket
import threading
from typing import Self


def free_port(wanted: int = 0) -> int:
    """The port that is wanted where nobody listens on it, and 0 where somebody does; any free one where none is wanted."""
    with socket.socket() as probe:
        if wanted:
            # Without it, connections of a server that has just stopped would keep its port for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


class LoopbackListener:
    """Listens while its ``with`` block lasts; ``_serve`` says what becomes of each connection."""

    _listener: socket.socket

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
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
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError
