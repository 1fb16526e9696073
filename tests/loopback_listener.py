"""Takes connections on a loopback port of its own, each in a thread: what every proxy of the tests is built on."""

from __future__ import annotations

import socket
import threading
from typing import Self


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
