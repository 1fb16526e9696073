"""Stands between a client and an HTTP server, hands requests on, and loses the answers that a test names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lab.loopback import LoopbackListener


@dataclass
class LossyProxy(LoopbackListener):
    """``loses`` is asked about the first line of each request, and its headers, whether the answer gets lost."""

    target: str
    loses: Callable[[bytes], bool]
    heads: list[bytes] = field(default_factory=list)
    """The first line and the headers of each request."""
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _serve(self, client: socket.socket) -> None:
        """One request on each connection: the answer ends with it."""
        parts = urlsplit(self.target)
        with client, socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30) as server:
            client.settimeout(30)
            head, _, body = self._receive_head(client)
            self.heads.append(head)
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"expect:"))]
            if b"expect: 100-continue" in head.lower():
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            left = sum(lengths) - len(body)
            while left > 0 and (data := client.recv(1_048_576)):
                server.sendall(data)
                left -= len(data)
            answer = bytearray()
            while data := server.recv(65_536):
                answer += data
            if not self.loses(head):
                client.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    def _receive_head(self, client: socket.socket) -> tuple[bytes, bytes, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            data = client.recv(65_536)
            if not data:
                break
            received += data
        return received.partition(b"\r\n\r\n")
