"""A server that answers each command by a function: for what no real server at hand does, such as a proxy."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hiredis

Answer = Callable[[list[bytes]], bytes | None]


@contextmanager
def scripted_server(answer: Answer) -> Iterator[str]:
    """The URL of a server that sends what ``answer`` returns for each command, and hangs up when that is None."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reader = hiredis.Reader()
            while data := self.request.recv(65_536):
                reader.feed(data)
                while (words := reader.gets()) is not False:
                    reply = answer(words)
                    if reply is None:
                        return
                    self.request.sendall(reply)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
